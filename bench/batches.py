"""The batches W5 to W14: ours as the jobs run them and the floors in turn, on the same rows, which are put back in between."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from bench import batch_floor, demand_fanout, settlement
from bench.settlement import Settlement
from bench.sizes import Size
from clock import SystemClock
from handlers import draws, reviews, scores, wallet, wins
from handlers.context import SYSTEM, Actor, Context
from handlers.deliveries import Pauses, deliver_due
from handlers.ports import Ports
from jobs.main import DELIVERERS
from models.accounts import OrganisationKind, Role
from settings import Settings

CONNECTIONS = 64
SCORES_AT_ONCE = 1_000
PUBLIC_VALUE = "03 07 12 18 25 31+09"
# Put back what a work has changed: the owner may, with triggers off. $-less, for `execute` of several statements.
FORGET = """
DELETE FROM ledger_entries WHERE id > {ledger_entries}; DELETE FROM audit_entries WHERE id > {audit_entries};
DELETE FROM events WHERE id > {events};
"""
UNDO = {
    "W5": """UPDATE reservations SET state = 'submitted', rank = NULL, win_year = NULL, win_nth = NULL
             WHERE round_id = {drawn} AND state <> 'submitted'; DELETE FROM lots WHERE reservation_id IS NOT NULL;
             UPDATE rounds SET state = 'committed', finalised_by_id = NULL WHERE id = {drawn};
             UPDATE draws SET reveal = NULL, seed = NULL, drawn_at = NULL""",
    "W6": "UPDATE lots SET available_fen = expired_fen, expired_fen = 0, expired_at = NULL WHERE expired_at IS NOT NULL",
    "W7": "UPDATE orders o SET reviewed_at = NULL FROM reviews r WHERE r.order_id = o.id; DELETE FROM reviews",
    "W8": "UPDATE deliveries SET state = 'planned', attempts = 0, finished_at = NULL, leased_until = NULL",
    "W9": "DELETE FROM score_months; DELETE FROM scores; DELETE FROM score_changes",
    "W10": demand_fanout.UNDO,
    **settlement.UNDO,
}
CHANGED = {"W5": "reservations, lots, ledger_entries", "W6": "lots, ledger_entries", "W7": "orders, reviews", "W8": "deliveries",
           "W9": "score_months, scores, score_changes", "W10": demand_fanout.CHANGED, **settlement.CHANGED}


class Batches:
    """`seconds(work, side)` carries a batch out and returns how long it took."""

    def __init__(self, settings: Settings, size: Size, owner: asyncpg.Connection, pool: asyncpg.Pool, ports: Ports, endpoint: int) -> None:
        self._settings, self._size, self._owner, self._pool, self._ports = settings, size, owner, pool, ports
        self._endpoint = endpoint
        self._sums: dict[str, tuple[Any, ...]] = {}
        self.drawn = size.past_rounds + size.open_rounds + 1
        self.transactions = 0  # of the last W10
        self._settlement = Settlement(size, owner, self.context)

    async def settle_institutions(self) -> None:
        await demand_fanout.settle(self._owner)

    def context(self, now: datetime | None = None, **actor: Any) -> Context:
        return Context(Actor(**actor) if actor else SYSTEM, now or SystemClock().now(), self._settings, self._ports, "bench")

    async def commit_round(self) -> None:
        """Close the round that will be drawn, as its officials do: two secrets, the list, and then the public value."""
        self.round = await self._owner.fetchrow("SELECT * FROM rounds WHERE id = $1", self.drawn)
        people = {Role.DRAW_OFFICER: self._size.enterprises + 3, Role.WITNESS: self._size.enterprises + 4}
        for role, person in people.items():
            await draws.put_secret(self.context(role=role, person_id=person, region_code="370100"), self.drawn, None)
        assert await draws.close_due_rounds(self.context(self.round["closes_at"] + timedelta(minutes=1))) == 1
        for role, person in people.items():
            await self._owner.execute(
                "INSERT INTO public_values (round_id, source, value, person_id, role, created_at) VALUES ($1, 'SSQ', $2, $3, $4, now())",
                self.drawn, PUBLIC_VALUE, person, role.value,
            )

    async def seconds(self, work: str, side: str) -> float:
        marks = {table: await self._owner.fetchval(f"SELECT coalesce(max(id), 0) FROM {table}")
                 for table in ("ledger_entries", "audit_entries", "events")}
        if work in settlement.WORKS:
            taken = await self._settlement.seconds(work, side)
        else:
            run: Callable[[], Awaitable[float]] = getattr(self, f"_{side}_{work.lower()}")
            taken = await run()
        await self._owner.execute("BEGIN; SET LOCAL session_replication_role = replica;" + FORGET.format(**marks)
                                  + UNDO[work].format(drawn=self.drawn) + "; COMMIT")
        for table in CHANGED[work].split(", "):
            await self._owner.execute(f"VACUUM (ANALYZE) {table}")
        return taken

    # --- ours -------------------------------------------------------------------------------------------------------

    async def _ours_w5(self) -> float:
        """The draw, and after the publicity the vouchers; the results told to everybody in between are no part of the work."""
        taken = await timed(draws.draw_due_rounds(self.context(self.round["draw_at"])))
        await self._owner.execute("UPDATE rounds SET state = 'publicity' WHERE id = $1", self.drawn)
        manager = self.context(
            self.round["publicity_until"], role=Role.PROGRAMME_MANAGER, person_id=self._size.enterprises + 5, region_code="370100"
        )
        taken += await timed(wins.finalise_round(manager, self.drawn))
        issued = await self._owner.fetchval("SELECT count(*) FROM lots WHERE reservation_id IS NOT NULL")
        assert issued == self._size.winners // 2 * 2, issued
        return taken

    async def _ours_w6(self) -> float:
        return await self._until_done(wallet.expire_due, self._size.expiring)

    async def _ours_w7(self) -> float:
        return await self._until_done(reviews.review_due, self._size.to_review)

    async def _ours_w8(self) -> float:
        pauses, done = Pauses(), 0

        async def work() -> None:
            nonlocal done
            while sent := await deliver_due(self.context(), CONNECTIONS // DELIVERERS, pauses):
                done += sent

        taken = await timed(asyncio.gather(*(work() for _ in range(DELIVERERS))))
        await self._delivered_once(done)
        return taken

    async def _ours_w9(self) -> float:
        """As after a change of the formula's columns: everybody anew, a thousand in each commit."""
        began = time.perf_counter()
        for first in range(1, self._size.scored + 1, SCORES_AT_ONCE):
            await scores.recompute(self.context(), range(first, min(first + SCORES_AT_ONCE, self._size.scored + 1)))
        taken = time.perf_counter() - began
        await self._scored("ours")
        return taken

    async def _scored(self, side: str) -> None:
        """Both sides come to the same numbers, or nothing was compared."""
        found = await self._owner.fetchrow("SELECT count(*), sum(total), sum(activity), sum(reviews) FROM scores")
        self._sums[side] = tuple(found)
        assert found[0] == self._size.scored, found
        assert len(set(self._sums.values())) == 1, self._sums

    async def _ours_w10(self) -> float:
        one = demand_fanout.ENTERPRISE
        poster = self.context(role=Role.OWNER, person_id=one, organisation_id=one, membership_id=one,
                              organisation_kind=OrganisationKind.ENTERPRISE)
        began = time.perf_counter()
        self.transactions = await demand_fanout.ours(poster, self.context())
        taken = time.perf_counter() - began
        await demand_fanout.prove(self._owner)
        return taken

    async def _until_done(self, sweep: Callable[[Context], Awaitable[int]], expected: int) -> float:
        began, done = time.perf_counter(), 0
        while batch := await sweep(self.context()):
            done += batch
        assert done == expected, (done, expected)
        return time.perf_counter() - began

    async def _delivered_once(self, done: int) -> None:
        delivered = await self._owner.fetchval("SELECT count(*) FROM deliveries WHERE state = 'delivered' AND attempts = 1")
        assert done == delivered == self._size.notices, (done, delivered)

    async def beside(self, sweeping: asyncio.Event) -> None:
        """Expire and review all that is due, again and again, until told to stop: what a payment meets at worst."""
        while not sweeping.is_set():
            for work in ("W6", "W7"):
                while not sweeping.is_set() and await (wallet.expire_due if work == "W6" else reviews.review_due)(self.context()):
                    pass
                if not sweeping.is_set():
                    await self._owner.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {UNDO[work]}; COMMIT")

    # --- floor ------------------------------------------------------------------------------------------------------

    async def _floor_w5(self) -> float:
        return await timed(batch_floor.draw(self._owner, self.drawn))

    async def _floor_w6(self) -> float:
        return await timed(batch_floor.expire(self._owner))

    async def _floor_w7(self) -> float:
        return await timed(batch_floor.review(self._owner))

    async def _floor_w9(self) -> float:
        taken = await timed(batch_floor.score(self._owner, scores.month_of(SystemClock().now())))
        await self._scored("floor")
        return taken

    async def _floor_w8(self) -> float:
        taken = await timed(batch_floor.deliver(self._pool, self._size, self._endpoint, CONNECTIONS))
        await self._delivered_once(self._size.notices)
        return taken

    async def _floor_w10(self) -> float:
        began = time.perf_counter()
        self.transactions = await demand_fanout.floor(self._owner, self.context())
        taken = time.perf_counter() - began
        await demand_fanout.prove(self._owner)
        return taken


async def timed(work: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began
