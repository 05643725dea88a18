"""`python -m bench [--check] [--works W1,W5]`, SIZE=small|full: floors and ours in turn, three times, medians, ratios.

Without `--works` the eight works of the main job, in the small size within three minutes; `--works all` for all of them. Both leave
bench/results.json. `--check`: exit code 1 if a "must" of docs/performance.md is missed.
"""

import argparse
import asyncio
import os
import sys
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import uvloop
from pydantic import SecretStr

import app
import logs
from bench import data, demand_fanout, processes, report, settlement, understanding
from bench.batches import Batches
from bench.load import CONNECTIONS, Plan
from bench.report import CALLBACKS, CROWD, PAGES_OF_TWO, SLOW, UNDERSTANDING, Side, compare, middle
from bench.sizes import SIZES, Size
from embedded.daemon import free_port
from embedded.lease import EmbeddedServers
from family.garbage import let_garbage_rest
from models.database import migrate
from settings import ROOT, Mode, Settings

VAR = ROOT / "var" / "bench"
DATABASE = "bench"
HTTP, BESIDE = ("W1", "W2", "W3", "W4", "W2c"), "W3 beside W6, W7"
MAIN_BATCHES = ("W5", "W6", "W7", "W8")
BATCHES = (*MAIN_BATCHES, "W9", "W10", *settlement.WORKS)
MAIN = (*HTTP, CROWD, *MAIN_BATCHES, BESIDE)
ALL = (*HTTP, *BATCHES, BESIDE, CROWD, CALLBACKS, SLOW, UNDERSTANDING)
WARM_SECONDS = 0.5
POSTGRES = {"shared_buffers": "2GB"}  # as a server would have it; the default of `make run` is for a laptop


def named(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def make_database(servers: EmbeddedServers, size: Size, name: str = DATABASE) -> None:
    """A fresh copy of the size's template, which is made first if it is not there."""
    template = f"bench_{size.name}_{data.fingerprint(size)}"
    admin = await asyncpg.connect(servers.owner_url)
    try:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        kept = await admin.fetch("SELECT datname FROM pg_database WHERE datname LIKE $1", f"bench_{size.name}_%")
        there = [row["datname"] for row in kept]
        if template not in there:
            for old in (*there, "bench_new"):
                await admin.execute(f'DROP DATABASE IF EXISTS "{old}"')
            await admin.execute('CREATE DATABASE "bench_new"')
            owner = named(servers.owner_url, "bench_new")
            await migrate(owner, urlsplit(servers.database_url).username)
            await data.fill(owner, size)
            await admin.execute(f'ALTER DATABASE "bench_new" RENAME TO "{template}"')
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    finally:
        await admin.close()


class Bench:
    """`ports` and `pids` of the two sides' web processes; `postgres` is the postmaster's pid."""

    def __init__(self, size: Size, postgres: int, sides: dict[str, tuple[int, int]]) -> None:
        self.size, self.postgres, self.sides = size, postgres, sides
        self._next = dict.fromkeys((*HTTP, PAGES_OF_TWO, CALLBACKS, SLOW), 0)

    def measure(self, work: str, side: str, seconds: float | None = None, connections: int = CONNECTIONS) -> Side:
        pid, port = self.sides[side]
        plan = Plan(port, work, side, self.size.name, self._next[work], seconds or self.size.seconds, WARM_SECONDS, connections)
        before = processes.cpu_seconds(pid), processes.cpu_seconds(self.postgres)
        outcome = processes.load(plan)
        after = processes.cpu_seconds(pid), processes.cpu_seconds(self.postgres)
        self._next[work] += outcome.sent
        app_ms, db_ms = ((then - at) * 1000 / outcome.sent for at, then in zip(before, after, strict=True))
        return {"rps": outcome.rps, "p50_ms": outcome.p50_ms, "p99_ms": outcome.p99_ms, "app_ms": app_ms, "db_ms": db_ms,
                "cpu_ms": app_ms + db_ms}

    def web(self, works: list[str]) -> list[dict[str, Any]]:
        found = []
        for work in (work for work in HTTP if work in works):
            turns: dict[str, list[Side]] = {"floor": [], "ours": []}
            for turn in range(self.size.repeats):
                # Who goes first changes: what one leaves to be written should not always meet the other.
                for side in sorted(turns, reverse=bool(turn % 2)):
                    turns[side].append(self.measure(work, side))
            found.append(compare(work, middle(turns["ours"]), middle(turns["floor"])))
            say(found[-1])
        return found

    def crowd(self) -> dict[str, Any]:
        """One quota and 32 who want of it, against one who wants: a hot row would make the crowd the slower one."""
        turns: dict[str, list[Side]] = {"alone": [], "crowd": []}
        for _ in range(self.size.repeats):
            turns["alone"].append(self.measure("W2c", "ours", connections=1))
            turns["crowd"].append(self.measure("W2c", "ours"))
        found = compare(CROWD, middle(turns["crowd"]), middle(turns["alone"]))
        say(found)
        return found

    async def batches(self, batches: Batches, works: list[str]) -> list[dict[str, Any]]:
        found = []
        if "W5" in works:
            await batches.commit_round()
        if "W10" in works:
            await batches.settle_institutions()
        for work in (work for work in BATCHES if work in works):
            turns: dict[str, list[Side]] = {"floor": [], "ours": []}
            for turn in range(self.size.repeats):
                for side in sorted(turns, reverse=bool(turn % 2)):
                    seconds = await batches.seconds(work, side)
                    turns[side].append(self.speed(work, seconds, batches.transactions))
            found.append(compare(work, middle(turns["ours"]), middle(turns["floor"])))
            say(found[-1])
        return found

    def speed(self, work: str, seconds: float, transactions: int) -> Side:
        """Notices a second for W8 and W10, and for W10 transactions a second; seconds for the others."""
        if work == "W8":
            return {"rps": self.size.notices / seconds}
        if work == "W10":
            return {"rps": demand_fanout.NOTICES / seconds, "tps": transactions / seconds}
        return {"seconds": seconds}

    async def beside(self, batches: Batches) -> dict[str, Any]:
        turns: dict[str, list[Side]] = {"alone": [], "beside": []}
        for _ in range(self.size.repeats):
            turns["alone"].append(await asyncio.to_thread(self.measure, "W3", "ours"))
            stop = asyncio.Event()
            sweeping = asyncio.create_task(batches.beside(stop))
            turns["beside"].append(await asyncio.to_thread(self.measure, "W3", "ours"))
            stop.set()
            await sweeping
        found = compare(BESIDE, middle(turns["beside"]), middle(turns["alone"]))
        say(found)
        return found


async def hold_the_table(url: str, stop: asyncio.Event) -> None:
    """A database that takes three seconds for an insert, every second time."""
    connection = await asyncpg.connect(url)
    try:
        while not stop.is_set():
            async with connection.transaction():
                await connection.execute("LOCK TABLE inbound_messages IN SHARE MODE")
                await asyncio.sleep(3)
            await asyncio.sleep(0.5)
    finally:
        await connection.close()


async def callbacks(bench: Bench, owner_url: str, works: list[str]) -> list[dict[str, Any]]:
    """Pushes against a handler that only verifies and decrypts; then how long an answer takes while the database does not."""
    found = []
    if CALLBACKS in works:
        turns: dict[str, list[Side]] = {"floor": [], "ours": []}
        for turn in range(bench.size.repeats):
            for side in sorted(turns, reverse=bool(turn % 2)):
                turns[side].append(await asyncio.to_thread(bench.measure, CALLBACKS, side))
        found.append(compare(CALLBACKS, middle(turns["ours"]), middle(turns["floor"])))
    if SLOW in works:
        stop = asyncio.Event()
        holding = asyncio.create_task(hold_the_table(owner_url, stop))
        slow = await asyncio.to_thread(bench.measure, SLOW, "ours", 10.0)
        stop.set()
        await holding
        found.append(compare(SLOW, slow, slow))
    for each in found:
        say(each)
    return found


def say(entry: dict[str, Any]) -> None:
    print("  ", entry["id"], *(f"{name}={entry[name]}" for name in entry if name.startswith("ratio_")), flush=True)


async def measure_batches(bench: Bench, settings: Settings, owner_url: str, endpoint: int, works: list[str]) -> list[dict[str, Any]]:
    assert settings.database_url is not None
    owner = await asyncpg.connect(owner_url)
    try:
        async with (
            app.database(settings, "jobs"), app.platforms(settings) as ports,
            asyncpg.create_pool(settings.database_url.get_secret_value(), min_size=4, max_size=8) as pool,
        ):
            batches = Batches(settings, bench.size, owner, pool, ports, endpoint)
            let_garbage_rest()  # as the process of the jobs does; both sides run in this one
            found = await bench.batches(batches, works)
            return [*found, await bench.beside(batches)] if BESIDE in works else found
    finally:
        await owner.close()


def settings_of(servers: EmbeddedServers, database: str, endpoint: int) -> Settings:
    return Settings(
        database_url=SecretStr(named(servers.database_url, database)), redis_url=SecretStr(servers.redis_url), var_dir=VAR,
        wechat_api_base_url=f"http://127.0.0.1:{endpoint}",
        content_check=False,  # how long a platform looks at words is its time, not ours
    )


def our_web(settings: Settings, log: str = "ours.log") -> AbstractContextManager[tuple[int, int]]:
    return processes.server("bench.ours", VAR / log, {**app.environment(settings), "HOST": "127.0.0.1", "PORT": str(free_port())})


def measure(size: Size, servers: EmbeddedServers, works: list[str]) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        _, endpoint = stack.enter_context(processes.server("bench.endpoint", VAR / "endpoint.log", {}))
        settings = settings_of(servers, DATABASE, endpoint)
        database_url = named(servers.database_url, DATABASE)
        sides = {
            "floor": stack.enter_context(processes.server("bench.floor", VAR / "floor.log", {}, database_url)),
            "ours": stack.enter_context(our_web(settings)),
        }
        bench = Bench(size, servers.postgres.pid, sides)
        web = bench.web(works)
        if CROWD in works:
            web.append(bench.crowd())
        port = str(free_port())
        beside = {"floor": stack.enter_context(processes.server("bench.callback_floor", VAR / "callback_floor.log", {"PORT": port}))}
        pushed = Bench(size, servers.postgres.pid, {**sides, **beside})
        web += uvloop.run(callbacks(pushed, named(servers.owner_url, DATABASE), works))
        if UNDERSTANDING in works:
            web.append(understanding.entry())
            say(web[-1])
        return web + uvloop.run(measure_batches(bench, settings, named(servers.owner_url, DATABASE), endpoint, works))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a must is missed")
    parser.add_argument("--works", default="", help="W1,W5 …; 'all'; those of the main job unless told")
    arguments = parser.parse_args()
    size = SIZES[os.environ.get("SIZE", "small")]
    works = {"": list(MAIN), "all": list(ALL)}.get(arguments.works) or [work.replace("+", ", ") for work in arguments.works.split(",")]
    Path(VAR).mkdir(parents=True, exist_ok=True)
    logs.configure(Mode.PRODUCTION, "bench")
    began = time.monotonic()
    with EmbeddedServers(VAR, POSTGRES) as servers:
        asyncio.run(make_database(servers, size))
        print(f"data of size {size.name} after {time.monotonic() - began:.0f} s", flush=True)
        found = measure(size, servers, works)
    report.show(found)
    if set(works) >= set(MAIN):
        report.write(size.name, found)
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if arguments.check and any(each["missed"] for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
