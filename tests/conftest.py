"""Real PostgreSQL and Valkey for every test, a database of its own for the run, empty tables before each test."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from limits import RateLimitItemPerMinute
from pydantic import SecretStr

from embedded.lease import EmbeddedServers
from miniapp_api.application import create_app
from miniapp_api.limits import POLICIES
from models import database as db
from settings import ROOT, Settings
from tests.books import Books
from tests.browser import browser, phone, phone_without_scripts  # noqa: F401 - fixtures of all tests
from tests.fakes import Clock, ports
from tests.playing import Stage
from tests.referee import Referee
from tests.shapes import shape
from tests.world import World

if TYPE_CHECKING:
    from tests.chats import Chats

SERVERS = ROOT / "var" / "test"
# Limits have tests of their own.
UNLIMITED = {name: replace(policy, item=RateLimitItemPerMinute(1_000_000)) for name, policy in POLICIES.items()}
START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # a Monday, 09:00 in Shanghai


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    SERVERS.mkdir(parents=True, exist_ok=True)
    with EmbeddedServers(SERVERS) as running:
        yield running


def database_named(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


BUILT = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
async def database_urls(servers: EmbeddedServers, pytestconfig: pytest.Config) -> AsyncIterator[tuple[str, str]]:
    """(owner, application) URLs of a freshly migrated database that only this run uses."""
    name = f"test_{os.getpid()}"
    admin = await asyncpg.connect(servers.owner_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    owner, application = database_named(servers.owner_url, name), database_named(servers.database_url, name)
    await db.migrate(owner, urlsplit(application).username)
    built = await asyncpg.connect(owner)
    pytestconfig.stash[BUILT] = await shape(built)
    await built.close()
    yield owner, application
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@pytest.fixture(scope="session")
def built(database_urls: tuple[str, str], pytestconfig: pytest.Config) -> list[str]:
    """The schema as the migrations made it. Races that take a CHECK away put it back in other words."""
    return pytestconfig.stash[BUILT]


@pytest.fixture(scope="session")
async def owner(database_urls: tuple[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """A connection that may do what the application may not: empty the append-only tables between tests."""
    connection = await asyncpg.connect(database_urls[0])
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def connected(database_urls: tuple[str, str]) -> AsyncIterator[None]:
    await db.connect(database_urls[1], replace(db.Limits(), pool_max=20))
    yield
    await db.disconnect()


@pytest.fixture(scope="session")
async def tables(owner: asyncpg.Connection) -> list[str]:
    found = await owner.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('tortoise_migrations', 'regions')"
    )
    return sorted(row["tablename"] for row in found)


async def empty(owner: asyncpg.Connection, tables: list[str]) -> None:
    deletes = "; ".join(f"DELETE FROM {table}" for table in tables)
    await owner.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; COMMIT")


@pytest.fixture(scope="session")
async def books(connected: None, database_urls: tuple[str, str]) -> AsyncIterator[Books]:
    """A connection of its own: `session_replication_role` makes a connection forget its plans, and planning takes ten times as long."""
    connection = await asyncpg.connect(database_urls[0])
    yield await Books.opened(connection)
    await connection.close()


@pytest.fixture
async def database(owner: asyncpg.Connection, tables: list[str], books: Books) -> AsyncIterator[asyncpg.Connection]:
    """Empty tables before, proven books after. The value is the owner's connection, for looking."""
    await empty(owner, tables)
    yield owner
    await books.assert_balance()


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture(scope="session")
def settings(servers: EmbeddedServers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        _env_file=None, database_url=SecretStr(servers.database_url), redis_url=SecretStr(servers.redis_url),
        var_dir=tmp_path_factory.mktemp("var"), payment_hash_memory_kib=64, payment_hash_passes=1,
        wechat_api_base_url="http://127.0.0.1:9/wechat", dingtalk_api_base_url="http://127.0.0.1:9/dingtalk",
        dingtalk_oapi_base_url="http://127.0.0.1:9/oapi",
        hotline="0531-12345678",
        content_check=False,  # texts are shown at once; tests/test_content_checks.py turns it on
    )


@pytest.fixture
async def world(database: asyncpg.Connection, clock: Clock, settings: Settings) -> AsyncIterator[World]:
    """The whole application over HTTP, with an empty world behind it. Undeclared refusals are errors."""
    from miniapp_api.apis import APIS

    gateways = ports()
    app = create_app(
        settings=settings, clock=clock, ports=gateways, apis=APIS, redis_url=None, strict_refusals=True, policies=UNLIMITED
    )
    async with TestClient(TestServer(app)) as client:
        yield World(client, database, clock, settings, gateways)


@pytest.fixture
async def stage(database: asyncpg.Connection, tables: list[str], books: Books, settings: Settings) -> Stage:
    """What a state machine plays on."""
    return Stage(asyncio.get_running_loop(), database, tables, books, settings)


@pytest.fixture
def referee(world: World, monkeypatch: pytest.MonkeyPatch) -> Referee:
    return Referee(world.owner, monkeypatch)


@pytest.fixture
async def ruins(world: World, owner: asyncpg.Connection, tables: list[str]) -> AsyncIterator[AsyncExitStack]:
    """What a lost race leaves behind is swept away before constraints come back and the books are checked."""
    async with AsyncExitStack() as stack:
        yield stack
        await empty(owner, tables)


@pytest.fixture
async def chats(
    database: asyncpg.Connection, clock: Clock, settings: Settings, servers: EmbeddedServers, tmp_path: Path,
) -> AsyncIterator["Chats"]:
    """The application with its bot, the platforms beside it, and a worker that works when it is told."""
    from tests.chats import open_chats

    async with open_chats(database, clock, settings, servers.redis_url, tmp_path) as found:
        yield found


def days(number: float) -> timedelta:
    return timedelta(days=number)


def here(name: str) -> Path:
    return Path(__file__).with_name(name)
