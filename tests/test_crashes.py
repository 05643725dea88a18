"""kill -9 of web, jobs and PostgreSQL under load: what was acknowledged is there, once, and the books balance."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from settings import Settings
from tests.fakes import Clock, ports
from tests.shop import PASSWORD, open_shop
from tests.witness import FEN, SESSIONS, Client, Plan, Programs, Servers, answers, plans, servers, signed_in
from tests.world import World

CLIENTS = 8
PROMISE_SECONDS = 60
LOT_FEN = 10_000_000


@dataclass
class Trial:
    servers: Servers
    programs: Programs
    clients: list[Client]

    async def look(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.servers.postgres.owner_url)

    def promised(self) -> int:
        return sum(len(client.promised) for client in self.clients)

    async def endure(self, plan: list[Plan]) -> None:
        """Load, and a kill whenever so many further payments have been acknowledged; then what was begun is finished."""
        over = asyncio.Event()
        shopping = [asyncio.create_task(client.shop_until(over)) for client in self.clients]
        try:
            for each in plan:
                await self._reach(self.promised() + each.after, shopping)
                await self._kill(each.victim)
            await self._reach(self.promised() + 20, shopping)
            over.set()
            async with asyncio.timeout(PROMISE_SECONDS):
                await asyncio.gather(*shopping)
        finally:
            for task in shopping:
                task.cancel()

    async def _reach(self, promised: int, shopping: list[asyncio.Task[None]]) -> None:
        async with asyncio.timeout(PROMISE_SECONDS):
            while self.promised() < promised:
                assert not any(task.done() for task in shopping), "a client was given a wrong answer"
                await asyncio.sleep(0.005)

    async def _kill(self, victim: str) -> None:
        if victim == "postgres":
            await self.servers.kill_postgres()
        else:
            await self.programs.kill(victim)


@asynccontextmanager
async def trial(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trial]:
    with servers(folder, monkeypatch) as running:
        programs = Programs(running)
        try:
            assert await programs.run("migrate") == 0
            for name, command in (("web-1", "web"), ("web-2", "web"), ("jobs", "jobs")):
                programs.keep(name, command)
            base = f"http://127.0.0.1:{programs.port}"
            clients = await enterprises(running, base)
            await answers(base)
            await passwords(base, clients)
            yield Trial(running, programs, clients)
        finally:
            await programs.stop()


async def enterprises(running: Servers, base: str) -> list[Client]:
    owner = await asyncpg.connect(running.postgres.owner_url)
    world = World(None, owner, Clock(datetime.now(UTC)), Settings(_env_file=None), ports())  # type: ignore[arg-type]
    shop = await open_shop(world)
    clients = []
    for _ in range(CLIENTS):
        member = await world.enterprise()
        await world.qualify(member, shop.programme)
        await world.lot(member, shop.programme, LOT_FEN)
        tokens = await signed_in(owner, member, SESSIONS)
        clients.append(Client(base, member, shop.product_id, shop.programme.id, tokens))
    await owner.close()
    return clients


async def passwords(base: str, clients: list[Client]) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        for client in clients:
            headers = {"Authorization": f"Bearer {client.tokens[-1]}", "Idempotency-Key": "password"}
            async with session.post(f"{base}/api/v1/payment-password", json={"password": PASSWORD}, headers=headers) as response:
                assert response.status == 200, await response.text()


async def prove(done: Trial) -> None:
    """Every promise is kept once, nothing was done twice, and the books balance."""
    owner = await done.look()
    paid = {row["message"]: (row["id"], row["times"], row["fen"]) for row in await owner.fetch(
        "SELECT o.message, o.id, count(e.id) AS times, sum(e.fen)::bigint AS fen FROM orders o"
        " JOIN ledger_entries e ON e.order_id = o.id AND e.kind = 'commit' WHERE o.state = 'paid' GROUP BY o.id",
    )}
    promised = {mark: order_id for client in done.clients for mark, order_id in client.promised.items()}
    assert {mark: (order_id, 1, FEN) for mark, order_id in promised.items()} == paid
    asked = [mark for client in done.clients for mark in client.asked]
    assert sorted(asked) == sorted(row["message"] for row in await owner.fetch("SELECT message FROM orders"))
    assert await owner.fetchval("SELECT sum(spent_fen) FROM lots") == len(promised) * FEN
    await owner.close()
    assert await done.programs.run("check-books") == 0


async def test_nothing_that_was_acknowledged_is_lost_or_doubled_by_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with trial(tmp_path / "var", monkeypatch) as done:
        await done.endure(plans(seed=20260302, kills=12))
        await prove(done)
        assert sum(client.repeats for client in done.clients) > 0  # the kills were felt


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
async def test_forty_kills_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    async with trial(tmp_path / "var", monkeypatch) as done:
        await done.endure(plans(seed, kills=40))
        await prove(done)


@pytest.mark.soak
async def test_a_database_that_answers_before_it_has_written_loses_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with synchronous_commit off the witness must miss payments, or it would not see any loss."""
    async with trial(tmp_path / "var", monkeypatch) as done:
        owner = await done.look()
        await owner.execute("ALTER DATABASE qifuquan SET synchronous_commit = off")  # behind the back of those that are connected
        await owner.close()
        with pytest.raises(AssertionError):
            await done.endure([Plan("postgres", 20)] * 10)
            await prove(done)
