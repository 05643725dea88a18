"""The one place that knows all parts: `python -m app` web, jobs, migrate, seed, admin, menus, check-books, openapi, simulator, run.

Unset DATABASE_URL and REDIS_URL mean the embedded servers of this checkout: whichever command comes first starts them,
and whichever leaves last stops them.
"""

import argparse
import asyncio
import difflib
import errno
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

import settings as configuration
from clock import Clock, OffsetClock, SystemClock
from family import inherited
from family.listening import PortInUseError
from settings import Mode, Settings

if TYPE_CHECKING:
    from aiohttp import web

    from bot.gateways import Gateways
    from handlers.ports import Ports

FOR_DEVELOPMENT = {
    "seed": "it invents people with well-known identities, one of whom administers the platform",
    "simulator": "it signs in whoever asks, as whomever they like",
    "run": "servers start `web` and `jobs` by themselves",
}


@contextmanager
def servers(settings: Settings) -> Iterator[Settings]:
    """The settings with both servers' addresses: the given ones, or those of the embedded servers."""
    if settings.database_url and settings.redis_url:
        yield settings
        return
    from embedded.lease import EmbeddedServers

    with EmbeddedServers(settings.var_dir) as embedded:
        yield settings.model_copy(update={
            "database_url": settings.database_url or SecretStr(embedded.database_url),
            "database_owner_url": settings.database_owner_url or (None if settings.database_url else SecretStr(embedded.owner_url)),
            "redis_url": settings.redis_url or SecretStr(embedded.redis_url),
        })


def clock_of(settings: Settings) -> Clock:
    return OffsetClock(settings.clock_file) if settings.clock_file else SystemClock()


@contextmanager
def connecting(url: str) -> Iterator[None]:
    """One line where the database has no connection for us: forty of the driver would say no more, each time a family tries again."""
    from tortoise.exceptions import DBConnectionError

    from models.database import NO_CONNECTION, place_of

    try:
        yield
    except NO_CONNECTION as error:
        reason = error.__cause__ if isinstance(error, DBConnectionError) else error  # Tortoise does not repeat what the server said
        said = str(reason) or type(reason).__name__
        structlog.get_logger("database").critical("database_unreachable", at=place_of(url, os.environ), error=said)
        raise SystemExit(1) from None


@asynccontextmanager
async def database(settings: Settings, name: str) -> AsyncIterator[None]:
    import logs
    from handlers.personal import key_ring
    from models import database as db

    assert settings.database_url is not None
    logs.configure(settings.mode, inherited.name(name))
    key_ring(settings)  # malformed keys stop a process before it has done anything
    limits = db.Limits(
        settings.database_pool_max, settings.statement_timeout_ms, settings.lock_timeout_ms, settings.idle_in_transaction_timeout_ms
    )
    url = settings.database_url.get_secret_value()
    try:
        with connecting(url):
            await db.connect(url, limits, f"qifuquan-{name}")
            await db.server_is_durable()
        yield
    finally:
        await db.disconnect()


@asynccontextmanager
async def platforms(settings: Settings) -> AsyncIterator["Ports"]:
    """WeChat, DingTalk and the storage behind the ports of handlers/."""
    async with outside(settings) as (_, ports):
        yield ports


@asynccontextmanager
async def outside(settings: Settings) -> AsyncIterator[tuple["Gateways", "Ports"]]:
    """The platforms' clients, and the same as ports."""
    from bot.gateways import open_gateways
    from handlers.ports import Ports
    from storage import open_storage

    assert settings.redis_url is not None
    async with open_gateways(settings, settings.redis_url.get_secret_value(), settings.wechat_template_ids) as gateways:
        yield gateways, Ports(
            logins=gateways.logins, senders=gateways.senders, storage=open_storage(settings), codes=gateways.codes,
            recallers=gateways.recallers, content_check=gateways.content_check, scenes=gateways.scenes,
            cards=gateways.cards,
        )


def make_web(settings: Settings, gateways: "Gateways", ports: "Ports") -> "web.Application":
    from bot.assembly import mount
    from miniapp_api.apis import APIS
    from miniapp_api.application import create_app

    assert settings.redis_url is not None
    clock = clock_of(settings)
    app = create_app(settings=settings, clock=clock, ports=ports, apis=APIS, redis_url=settings.redis_url.get_secret_value())
    mount(app, settings, clock, ports, gateways)
    return app


async def web_process(settings: Settings) -> None:
    """One web process; several share the port."""
    from miniapp_api.serving import serve

    async with database(settings, "web"), outside(settings) as (gateways, ports):
        app = make_web(settings, gateways, ports)
        try:
            await serve(app, settings.host, settings.port, settings.drain_seconds, inherited.sockets(), inherited.serves)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUseError("PORT", settings.port) from None


async def jobs_process(settings: Settings) -> None:
    from bot.assembly import works
    from bot.conversation import converse
    from family.garbage import let_garbage_rest
    from jobs.main import run_jobs

    async with database(settings, "jobs"), outside(settings) as (gateways, ports):
        clock = clock_of(settings)
        let_garbage_rest()
        inherited.serves()
        await run_jobs(settings, clock, ports, beside=works(settings, clock, ports, gateways, converse))


async def migrate(settings: Settings) -> int:
    """Bring the schema up to date, as the tables' owner, and load the administrative divisions."""
    import logs
    from handlers.regions import load_regions
    from models.database import NotTheOwnerError, user_of
    from models.database import migrate as apply

    assert settings.database_url is not None
    logs.configure(settings.mode, inherited.name("migrate"))
    application = settings.database_url.get_secret_value()
    owner = settings.database_owner_url.get_secret_value() if settings.database_owner_url else application
    try:
        with connecting(owner):
            await apply(owner, user_of(application) if owner != application else None)
    except NotTheOwnerError:
        named = "DATABASE_OWNER_URL" if settings.database_owner_url else "DATABASE_URL"
        print(
            f"{named}: its role may not change the schema. Set DATABASE_OWNER_URL to that of the role that owns the tables. "
            f"Example: DATABASE_OWNER_URL={configuration.EXAMPLES['database_owner_url']}", file=sys.stderr,
        )
        return 2
    async with database(settings, "migrate"):
        await load_regions()
    return 0


async def seed(settings: Settings, size: str = "demo") -> list[str]:
    """The demonstration; `large` adds 20 parks, 200 institutions, 5,000 products and 200,000 orders. What came of it, in words."""
    from demo.large import plant_large
    from demo.seed import count, grown
    from demo.seed import seed as plant

    async with database(settings, "seed"), platforms(settings) as ports:
        before, said = await count(), []
        if not await plant(settings, clock_of(settings), ports):
            said.append("本平台已有自己的系统管理员，没有写入演示数据。")
        if size == "large" and not await plant_large(settings, clock_of(settings), ports):
            said.append("大规模演示数据以前已经写入，没有再写。")
        return [*said, f"✓ 数据库中现有：{grown(before, await count())}。"]


async def first_admin(settings: Settings, phone: str) -> int:
    """Make the person who has bound this phone the platform's first administrator; there is no default account."""
    from handlers.accounts import appoint_first_admin
    from handlers.context import SYSTEM, Context
    from handlers.refusals import Refusal

    async with database(settings, "admin"), platforms(settings) as ports:
        try:
            await appoint_first_admin(Context(SYSTEM, clock_of(settings).now(), settings, ports, "admin"), phone, "平台运营")
        except Refusal as refusal:
            print(f"✗ {refusal.title}")
            return 1
    print("✓ 已任命首位系统管理员。")
    return 0


async def check_books(settings: Settings) -> int:
    """Prove every invariant; 1 if one is broken."""
    from handlers.audit import check_books as check
    from handlers.invariants import INVARIANTS

    async with database(settings, "check-books"):
        broken = await check()
    for name, breaks in broken.items():
        print(f"✗ {name}: {breaks}")
    print(f"{len(INVARIANTS) - len(broken)} of {len(INVARIANTS)} invariants hold.")
    return 1 if broken else 0


async def menus(settings: Settings) -> int:
    """Make the Official Account's menus those of bot/menus.py, and check them against what the platform then shows."""
    from bot.gateways import open_gateways
    from bot.menus import bring_up_to_date
    from bot.transport import PlatformError

    async with open_gateways(settings, settings.redis_url.get_secret_value() if settings.redis_url else None) as gateways:
        try:
            wrong = await bring_up_to_date(gateways.oa)
        except PlatformError as error:  # what the menus are by now is not known
            print(f"✗ 平台没有完成请求（{error}），菜单未能核对，请稍后重试。")
            return 1
    for each in wrong:
        print(f"✗ {each}")
    print("✗ 菜单与平台不一致。" if wrong else "✓ 服务号菜单已是最新。")
    return 1 if wrong else 0


def simulate(settings: Settings) -> None:
    import demo.simulation

    asyncio.run(demo.simulation.serve(settings))


def web_family(settings: Settings) -> int:
    """N web processes on one port; this one only watches over them."""
    if settings.web_processes == 1:
        run_loop(web_process(settings))
        return 0
    from family.supervisor import supervise, web_children

    return asyncio.run(supervise(web_children(settings), environment(settings), settings))


def environment(settings: Settings) -> dict[str, str]:
    """What child processes must know: the addresses of the servers, which they shall not start themselves."""
    found = {**os.environ, "VAR_DIR": str(settings.var_dir)}
    for name in ("database_url", "database_owner_url", "redis_url"):
        if secret := getattr(settings, name):
            found[name.upper()] = secret.get_secret_value()
    return found


def run_loop(main: "asyncio._CoroutineLike[object]") -> None:
    import uvloop

    uvloop.run(main)  # type: ignore[arg-type]


def complaints(error: Exception) -> Iterator[str]:
    """What is wrong with the settings, a line for each problem: its name, what it is, an example. Never the value: it may be secret."""
    match error:
        case ValidationError():
            for found in error.errors(include_input=False, include_url=False):
                yield from _complaint(found)
        case SettingsError():
            name = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "a setting")
            yield f"{name.upper()}: must be JSON. Example: {name.upper()}={configuration.EXAMPLES.get(name, '{}')}"
        case UnicodeDecodeError():
            yield f"{Path('.env').resolve()}: is no UTF-8 at byte {error.start}. Save it as UTF-8."
        case OSError():
            yield f"{error.filename or Path('.env').resolve()}: cannot be read: {error.strerror}"


def _complaint(found: Any) -> Iterator[str]:
    if found["type"] == "default_factory_not_called":
        return  # it follows from others, of which one is wrong
    said = found["msg"].removeprefix("Value error, ")
    if not found["loc"]:
        yield from said.splitlines()
        return
    name = str(found["loc"][0])
    if found["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, 1)
        yield f"{name.upper()}: there is no such setting." + (f" Is {near[0].upper()} meant?" if near else " settings.py lists them all.")
        return
    default = Settings.model_fields[name].default
    example = configuration.EXAMPLES.get(name, default if isinstance(default, str | int | float) else None)
    yield f"{name.upper()}: {said}." + (f" Example: {name.upper()}={example}" if example is not None else "")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("seed", help="demonstration data").add_argument("--size", choices=("demo", "large"), default="demo")
    for name in ("web", "jobs", "migrate", "menus", "check-books", "openapi", "simulator", "run"):
        commands.add_parser(name)
    commands.add_parser("admin", help="appoint the first administrator").add_argument("phone")
    given = parser.parse_args(arguments)
    command: str = given.command
    try:
        settings = configuration.load()
    except (ValidationError, SettingsError, OSError, UnicodeDecodeError) as error:
        print(*complaints(error), sep="\n", file=sys.stderr)
        return 2
    if settings.mode is Mode.PRODUCTION and command in FOR_DEVELOPMENT:
        print(f"`{command}` is for development: {FOR_DEVELOPMENT[command]}. This is production (MODE).", file=sys.stderr)
        return 2
    inherited.end_with_the_parent(settings.stop_seconds)
    try:
        return run(command, settings, given)
    except OSError as error:
        if (folder := in_the_way(error, settings.var_dir)) is None:
            raise
        print(f"VAR_DIR: {folder}: {error.strerror}. It must be a folder in which we may write. Example: VAR_DIR=/var/lib/qifuquan",
              file=sys.stderr)
        return 2


def in_the_way(error: OSError, var_dir: Path) -> Path | None:
    """What of our folder, or on the way to it, the error is about; None: it is about something else."""
    if not isinstance(error.filename, str | bytes) or not error.filename:
        return None
    path, ours = Path(os.fsdecode(error.filename)).absolute(), var_dir.absolute()
    return path if path.is_relative_to(ours) or ours.is_relative_to(path) else None


def run(command: str, settings: Settings, given: argparse.Namespace) -> int:
    """The command's exit code."""
    if command == "openapi":
        import orjson

        from miniapp_api.apis import APIS
        from miniapp_api.openapi import document

        print(orjson.dumps(document(APIS), option=orjson.OPT_INDENT_2).decode())
        return 0
    if command == "simulator":
        simulate(settings)
        return 0
    if command == "menus":
        return asyncio.run(menus(settings))
    if command == "run":
        from family.supervisor import run_everything

        return run_everything(settings)
    with servers(settings) as ready:
        if command == "web":
            return web_family(ready)
        if command == "jobs":
            run_loop(jobs_process(ready))
            return 0
        if command == "check-books":
            return asyncio.run(check_books(ready))
        if command == "admin":
            return asyncio.run(first_admin(ready, given.phone))
        if command == "migrate":
            return asyncio.run(migrate(ready))
        print(*asyncio.run(seed(ready, given.size)), sep="\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PortInUseError as in_use:
        print(in_use, file=sys.stderr)
        sys.exit(2)
