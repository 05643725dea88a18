"""Jobs: one leader ticks, sweeps find what is due, a killed worker loses nothing (F19; traps 25 and 60)."""

import asyncio
import inspect
import os
import pkgutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import ModuleType

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

import handlers
from handlers.housekeeping import forget_idempotency_keys
from handlers.notices import open_events
from handlers.ports import Message, Outcome, SendResult
from handlers.refusals import Busy
from handlers.transactions import rows, transaction
from jobs.heartbeat import Heartbeats
from jobs.leader import LEADER_LOCK
from jobs.main import run_jobs, shares
from jobs.schedule import Entry, schedule
from jobs.sweeper import Sweeper
from models.accounts import Role
from settings import ROOT, Settings
from tests.shop import open_shop
from tests.world import World

PATIENCE_SECONDS = 60


# --- the schedule ----------------------------------------------------------------------------------------------------------


def modules(package: ModuleType) -> list[ModuleType]:
    return [import_module(found.name) for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]


def sweeps() -> set[Callable[..., object]]:
    """Every use-case of the shape `(ctx, limit=...) -> int`."""
    return {
        function for module in modules(handlers) for function in vars(module).values()
        if inspect.iscoroutinefunction(function) and function.__module__ == module.__name__
        and list(inspect.signature(function).parameters) == ["ctx", "limit"] and inspect.signature(function).return_annotation is int
    }


def test_every_sweep_there_is_is_in_the_schedule_once(settings):
    scheduled = [entry.sweep for entry in schedule(settings)]
    assert sweeps() == set(scheduled)
    assert len(scheduled) == len(set(scheduled))


def test_sweeps_are_named_word_and_verb_and_what_people_wait_for_is_looked_at_every_second(settings):
    entries = {entry.name: entry.every_seconds for entry in schedule(settings)}
    assert all(name.replace("_", "").replace(".", "", 1).isalpha() and name.count(".") == 1 for name in entries)
    assert {name for name, every in entries.items() if every == settings.sweep_seconds} >= {
        "rounds.open", "rounds.close", "rounds.draw", "wallet.expire", "orders.close_unpaid", "reviews.review", "notices.open",
    }


# --- sweeping --------------------------------------------------------------------------------------------------------------


def sweeper(world: World, *sweeps: Callable[..., Awaitable[int]], heartbeats: Heartbeats | None = None) -> tuple[Sweeper, list[Entry]]:
    entries = [Entry(f"test.{sweep.__name__}", 1, sweep) for sweep in sweeps]
    return Sweeper(entries, world.settings, world.clock, world.ports, heartbeats or Heartbeats()), entries


async def test_a_sweep_is_repeated_until_it_finds_nothing_each_time_with_the_present_moment(world):
    moments, left = [], [3, 2, 1, 0]

    async def countdown(ctx):
        moments.append(ctx.now)
        world.clock.advance(seconds=1)
        return left.pop(0)

    running, [entry] = sweeper(world, countdown)
    began = world.clock.now()
    assert await running.sweep(entry) == 6
    assert moments == [began + timedelta(seconds=second) for second in range(4)]


async def test_a_sweep_that_fails_is_tried_again_and_never_stops_another(world):
    beats, done = Heartbeats(), asyncio.Event()

    async def broken(_ctx) -> int:
        raise ValueError

    async def held(_ctx) -> int:
        raise Busy

    async def fine(_ctx) -> int:
        done.set()
        return 0

    running, entries = sweeper(world, broken, held, fine, heartbeats=beats)
    task = asyncio.create_task(running.run())
    for _ in range(2):
        done.clear()
        for entry in entries:
            await running.wake(entry.name)
        await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)
    running.stop()
    await asyncio.wait_for(task, PATIENCE_SECONDS)
    await beats.keep(world.context())
    found = await world.owner.fetch("SELECT sweep, failures, error FROM heartbeats ORDER BY sweep")
    assert [tuple(row) for row in found] == [("test.broken", 2, "ValueError"), ("test.fine", 0, None), ("test.held", 2, "busy")]


async def test_a_sweep_that_is_woken_while_it_runs_looks_once_more(world):
    runs, begun, gate = [], asyncio.Event(), asyncio.Event()

    async def slow(_ctx) -> int:
        runs.append(len(runs))
        begun.set()
        await gate.wait()
        return 0

    running, [entry] = sweeper(world, slow)
    task = asyncio.create_task(running.run())
    await running.wake(entry.name)
    await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
    for _ in range(5):
        await running.wake(entry.name)
    begun.clear()
    gate.set()
    await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
    running.stop()
    await asyncio.wait_for(task, PATIENCE_SECONDS)
    assert runs == [0, 1]


async def test_stopping_ends_a_long_sweep_after_the_batch_it_is_in(world):
    batches = []

    async def endless(_ctx) -> int:
        batches.append(1)
        if len(batches) == 3:
            running.stop()
        return 1

    running, [entry] = sweeper(world, endless)
    task = asyncio.create_task(running.run())
    await running.wake(entry.name)
    await asyncio.wait_for(task, PATIENCE_SECONDS)
    assert len(batches) == 3


# --- being noticed ---------------------------------------------------------------------------------------------------------


async def test_a_sweep_that_does_not_run_is_seen_to_be_late(world):
    beats, admin = Heartbeats(), await world.official(Role.ADMIN)

    async def fine(_ctx) -> int:
        return 0

    running, [entry] = sweeper(world, fine, heartbeats=beats)
    await running.sweep(entry)
    await beats.keep(world.context())
    status, body = await world.get("/sweeps", by=admin)
    assert status == 200
    assert body["items"] == [{
        "sweep": "test.fine", "every_seconds": 1.0, "ran_at": body["items"][0]["ran_at"], "done": 0, "failures": 0, "error": None,
        "is_late": False,
    }]
    world.clock.advance(seconds=60)
    assert (await world.get("/sweeps", by=admin))[1]["items"][0]["is_late"] is False
    world.clock.advance(microseconds=1)
    assert (await world.get("/sweeps", by=admin))[1]["items"][0]["is_late"] is True
    status, body = await world.get("/sweeps", by=await world.enterprise())
    assert (status, body["code"]) == (403, "not_your_role")


async def test_what_sweeps_did_adds_up_over_restarts(world):
    batches: list[int] = [2, 1, 0, 4, 0]

    async def some(_ctx) -> int:
        return batches.pop(0)

    while batches:
        beats = Heartbeats()
        running, [entry] = sweeper(world, some, heartbeats=beats)
        await running.sweep(entry)
        await beats.keep(world.context())
        await beats.keep(world.context())
    assert await world.value("SELECT done FROM heartbeats") == 7


# --- catching up -----------------------------------------------------------------------------------------------------------


async def test_kept_answers_are_forgotten_after_seven_days_to_the_microsecond(world):
    await world.owner.execute(
        "INSERT INTO idempotency_keys (principal, operation, key, body_hash, status, answer, created_at)"
        " VALUES ('p1:m0', 'x', 'k', '', 200, '', $1)", world.clock.now(),
    )
    world.clock.advance(days=7, microseconds=-1)
    assert await world.sweep(forget_idempotency_keys) == 0
    world.clock.advance(microseconds=1)
    assert await world.sweep(forget_idempotency_keys) == 1
    assert await world.value("SELECT count(*) FROM idempotency_keys") == 0


async def test_after_three_days_of_standstill_two_machines_catch_everything_up_once(world):
    shop = await open_shop(world, unpaid_timeout_days=2)
    unpaid = [await shop.order() for _ in range(2)]
    lots = [await shop.lot(fen, valid_until=(world.clock.now() + timedelta(days=1)).date()) for fen in (100, 200, 300)]
    world.clock.advance(days=3)
    machines = [sweeper(world)[0] for _ in range(2)]
    entries = [entry for entry in schedule(world.settings) if entry.every_seconds <= 60 and not entry.name.startswith("deliveries.")]
    for _ in range(2):
        await asyncio.gather(*(machine.sweep(entry) for entry in entries for machine in machines))
    found = await world.owner.fetch("SELECT lot_id, fen FROM ledger_entries WHERE kind = 'expire' ORDER BY lot_id")
    assert [tuple(row) for row in found] == list(zip(lots, (100, 200, 300), strict=True))
    assert [await shop.state(order) for order in unpaid] == ["closed", "closed"]
    told = await world.owner.fetch("SELECT kind, subject_id, count(*) FROM events WHERE kind = 'order_closed' GROUP BY 1, 2 ORDER BY 2")
    assert {row["subject_id"] for row in told} == set(unpaid)
    assert await world.value("SELECT count(*) FROM events WHERE opened_at IS NULL") == 0
    assert await world.value("SELECT count(*) FROM (SELECT FROM notices GROUP BY event_id, person_id HAVING count(*) > 1) twice") == 0


# --- processes -------------------------------------------------------------------------------------------------------------


@dataclass
class Workers:
    """Processes of tests/jobs_worker.py, and what they say: (pid, word)."""

    processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    said: "asyncio.Queue[tuple[int, str]]" = field(default_factory=asyncio.Queue)
    readers: dict[int, "asyncio.Task[None]"] = field(default_factory=dict)

    async def start(self, *arguments: str) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.jobs_worker", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.processes[process.pid] = process
        self.readers[process.pid] = asyncio.create_task(self._read(process))
        return process.pid

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            with suppress(ValueError):  # the log speaks on the same pipe
                pid, word = line.decode().split()
                self.said.put_nowait((int(pid), word))

    async def hear(self, word: str, *, by: int | None = None) -> int:
        """The process that says it next."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                pid, said = await self.said.get()
                if said == word and by in (None, pid):
                    return pid

    async def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        await self.processes[pid].wait()
        await self.readers[pid]  # its last words do not count
        while not self.said.empty():
            self.said.get_nowait()

    async def end(self) -> None:
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        await asyncio.gather(*self.readers.values())


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    started = Workers()
    yield started
    await started.end()


async def two_candidates(workers: Workers, url: str) -> int:
    """Start two and return the one that leads."""
    for _ in range(2):
        await workers.start("lead", url)
    for _ in range(2):
        await workers.hear("ready")
    return await workers.hear("test.tick")


async def test_of_two_processes_only_one_ticks_and_the_other_takes_over_when_it_is_killed(database, database_urls, workers):
    leader = await two_candidates(workers, database_urls[1])
    assert [await workers.hear("test.tick") for _ in range(20)] == [leader] * 20
    await workers.kill(leader)
    following = await workers.hear("test.tick")
    assert following != leader
    assert [await workers.hear("test.tick") for _ in range(5)] == [following] * 5


async def test_a_leader_whose_session_the_server_ends_steps_down_and_somebody_leads_again(database, database_urls, workers):
    await two_candidates(workers, database_urls[1])
    ended = await database.fetchval(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted AND"
        " database = (SELECT oid FROM pg_database WHERE datname = current_database())", LEADER_LOCK,
    )
    assert ended is True
    while not workers.said.empty():
        workers.said.get_nowait()
    # Either may win; the old leader only after it has noticed and stood for election again.
    following = await workers.hear("test.tick")
    assert [await workers.hear("test.tick") for _ in range(5)] == [following] * 5


async def test_a_leader_that_hangs_loses_the_lock_to_one_that_does_not(database, database_urls, workers):
    leader = await two_candidates(workers, database_urls[1])
    os.kill(leader, signal.SIGSTOP)
    while (following := await workers.hear("test.tick")) == leader:
        pass  # what it said before
    assert following != leader


async def test_sigterm_lets_a_jobs_process_finish_what_is_in_flight(database, database_urls, workers, world):
    received, answered, go = asyncio.Event(), [], asyncio.Event()

    async def endpoint(request: web.Request) -> web.Response:
        received.set()
        await go.wait()
        answered.append(await request.json())
        return web.Response()

    async with serving(endpoint) as url:
        await letters(world, 1)
        pid = await workers.start("deliver", database_urls[1], url, "60", "real")
        await asyncio.wait_for(received.wait(), PATIENCE_SECONDS)
        workers.processes[pid].terminate()
        go.set()
        await workers.hear("left", by=pid)
        assert await asyncio.wait_for(workers.processes[pid].wait(), PATIENCE_SECONDS) == 0
    assert len(answered) == 1
    assert await world.value("SELECT state FROM deliveries") == "delivered"


async def test_jobs_in_this_process_open_and_deliver_until_they_are_stopped(world, database_urls):
    delivered, stop = asyncio.Event(), asyncio.Event()

    class Telling:
        async def send(self, message: Message) -> SendResult:
            delivered.set()
            return SendResult(Outcome.DELIVERED)

        async def receipt(self, provider_id: str) -> SendResult:
            return SendResult(Outcome.DELIVERED)

    world.ports.senders["wechat_subscribe"] = Telling()
    settings: Settings = world.settings.model_copy(update={"database_url": SecretStr(database_urls[1]), "sweep_seconds": 0.05})
    member = await world.enterprise()
    jobs = asyncio.create_task(run_jobs(settings, world.clock, world.ports, stop))
    async with transaction(world.context()) as tx:
        tx.announce("order_accepted", "order", 1, person_id=member.person_id, number="N1", service="审计")
    await asyncio.wait_for(delivered.wait(), PATIENCE_SECONDS)
    stop.set()
    await asyncio.wait_for(jobs, PATIENCE_SECONDS)
    assert await world.value("SELECT state FROM deliveries") == "delivered"
    ran = await world.owner.fetch("SELECT sweep FROM heartbeats")
    assert {row["sweep"] for row in ran} == {entry.name for entry in schedule(settings)} | {"deliveries.deliver"}


def test_what_is_in_flight_is_shared_out_to_the_last_message():
    assert [shares(workers) for workers in (1, 3, 4, 8, 10, 64)] == [[1], [1, 1, 1], [1] * 4, [2] * 4, [3, 3, 2, 2], [16] * 4]


# --- killed while sending --------------------------------------------------------------------------------------------------


def serving(handler: Callable[[web.Request], Awaitable[web.Response]]) -> "Serving":
    return Serving(handler)


class Serving:
    """An endpoint on the loopback interface for as long as the block lasts."""

    def __init__(self, handler: Callable[[web.Request], Awaitable[web.Response]]) -> None:
        application = web.Application()
        application.router.add_post("/", handler)
        self._server = TestServer(application)

    async def __aenter__(self) -> str:
        await self._server.start_server()
        return str(self._server.make_url("/"))

    async def __aexit__(self, *_error: object) -> None:
        await self._server.close()


async def letters(world: World, count: int) -> None:
    """Planned deliveries to as many people, at the machine's own time: the workers have no other clock, so nobody here sleeps at night."""
    world.clock.set(datetime.now(UTC))
    await world.owner.execute(
        "WITH people AS (INSERT INTO persons (created_at) SELECT now() FROM generate_series(1, $1::int) RETURNING id),"
        " known AS (INSERT INTO identities (person_id, platform, app_id, open_id, created_at)"
        "           SELECT id, 'wechat', 'wx-test', 'o' || id, now() FROM people),"
        " awake AS (INSERT INTO notice_preferences (person_id, muted, updated_at) SELECT id, '{}', now() FROM people)"
        " INSERT INTO events (kind, person_id, subject, subject_id, data, created_at)"
        " SELECT 'order_accepted', id, 'order', id, '{\"number\": \"N1\", \"service\": \"审计\"}', now() FROM people", count,
    )
    while await world.sweep(open_events):
        pass


@dataclass
class Storm:
    """Counts what arrives, and kills the sender of every so-manieth message before it gets its answer."""

    kill_at: list[int]
    received: Counter[str] = field(default_factory=Counter)
    killed: set[int] = field(default_factory=set)
    dead: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)

    async def take(self, request: web.Request) -> web.Response:
        message = await request.json()
        self.received[message["reference"]] += 1
        if self.kill_at and self.received.total() >= self.kill_at[0] and message["pid"] not in self.killed:
            self.kill_at.pop(0)
            self.killed.add(message["pid"])
            os.kill(message["pid"], signal.SIGKILL)
            self.dead.put_nowait(message["pid"])
        return web.Response()


async def storm(world: World, workers: Workers, url: str, count: int, kills: int, way: str) -> tuple[int, int]:
    """(lost, duplicates) of `count` messages sent by three processes of which `kills` are killed and replaced."""
    await letters(world, count)
    raging = Storm([count * (number + 1) // (kills + 1) for number in range(kills)])
    async with serving(raging.take) as endpoint:
        start = lambda: workers.start("deliver", url, endpoint, "5", way)  # noqa: E731
        for _ in range(3):
            await start()
        async with asyncio.timeout(60 + 10 * kills):
            for _ in range(kills):
                pid = await raging.dead.get()
                await workers.processes[pid].wait()
                await start()
            while await rows("SELECT pg_sleep(0.05) FROM deliveries WHERE state <> 'delivered' LIMIT 1"):
                pass
    references = {f"N{row.id}" for row in await rows("SELECT id FROM notices")}
    return len(references - set(raging.received)), sum(raging.received.values()) - len(raging.received)


async def test_killed_workers_lose_no_message_and_repeat_no_more_than_they_had_in_flight(world, database_urls, workers, settings):
    lost, duplicates = await storm(world, workers, database_urls[1], 300, 3, "real")
    assert lost == 0
    assert duplicates <= 3 * settings.notice_workers


@pytest.mark.soak
async def test_fifteen_killed_workers_lose_none_of_1500_messages(world, database_urls, workers, settings):
    lost, duplicates = await storm(world, workers, database_urls[1], 1_500, 15, "real")
    assert lost == 0
    assert duplicates <= 15 * settings.notice_workers


async def test_control_marking_before_sending_loses_messages(world, database_urls, workers):
    lost, _ = await storm(world, workers, database_urls[1], 300, 3, "mark-first")
    assert lost > 0
