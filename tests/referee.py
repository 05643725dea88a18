"""Races under a referee: nobody hopes for an interleaving, and nobody waits for a moment to pass.

A contender that reaches a hold point stays there until each of the others is held too, has ended, or waits for a lock in the
database. With the protection in place this shows that it makes the others wait; without it all have read the same state.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from models import engine

Contender = Callable[[], Awaitable[Any]]
COMMIT = "commit"  # the hold point that every use-case has: all is written, nothing committed
# Of our own database only: other runs share the server.
WAITING = """
SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND a.datname = current_database()
"""


SEEN_WAITING = 8


class Referee:
    def __init__(self, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        self._owner, self._monkeypatch = owner, monkeypatch
        self._holding: frozenset[str] = frozenset()
        self._tasks: list[asyncio.Task[Any]] = []
        self._held: dict[asyncio.Task[Any] | None, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        original = engine.lend_transaction

        @asynccontextmanager
        async def lend(*args: Any, **kwargs: Any) -> AsyncIterator[asyncpg.Connection]:
            async with original(*args, **kwargs) as connection:
                yield connection
                await self._hold(COMMIT)

        monkeypatch.setattr("handlers.transactions.lend_transaction", lend)

    def hold_after(self, dotted: str) -> None:
        """Make a function of a module a hold point: its callers have read, and not yet written."""
        path, _, name = dotted.rpartition(".")
        module = importlib.import_module(path)
        original = getattr(module, name)

        async def holding(*args: Any, **kwargs: Any) -> Any:
            answer = await original(*args, **kwargs)
            await self._hold(dotted)
            return answer

        self._monkeypatch.setattr(module, name, holding)

    async def race(self, *contenders: Contender, hold: Sequence[str] = (), in_turn: bool = False) -> list[Any]:
        """What each returned or raised. `in_turn`: one starts when the one before is held, has ended or waits for a lock."""
        self._holding, self._tasks, self._held = frozenset(hold), [], {}
        for contender in contenders:
            task = asyncio.ensure_future(contender())
            task.add_done_callback(lambda _: self._changed.set())
            self._tasks.append(task)
            while in_turn and not await self._stuck():
                pass
        while any(not task.done() for task in self._tasks):
            if await self._stuck() and self._held:
                for future in self._held.values():
                    future.set_result(None)
                self._held.clear()
        return [task.exception() or task.result() for task in self._tasks]

    async def _hold(self, point: str) -> None:
        task = asyncio.current_task()
        if point in self._holding and task in self._tasks:
            self._held[task] = asyncio.get_running_loop().create_future()
            self._changed.set()
            await self._held[task]

    async def _stuck(self) -> bool:
        """Whether nobody can go on by himself."""
        running = [task for task in self._tasks if not task.done() and task not in self._held]
        if not running:
            return True
        if not self._held and len(running) == len(self._tasks) > 1:  # nothing to look at before the first of them stops
            self._changed.clear()
            await self._changed.wait()
            return False
        # Seen again and again: somebody may wait for a moment for a lock that is none of the race's.
        for _ in range(SEEN_WAITING):
            if int(await self._owner.fetchval(WAITING)) < len(running):
                return False
        return True


async def waits_or_ends(owner: asyncpg.Connection, *tasks: asyncio.Future[Any]) -> None:
    """Until each of them has ended or is seen to wait for a lock in the database."""
    while await owner.fetchval(WAITING) < sum(not task.done() for task in tasks):
        pass


@asynccontextmanager
async def without_constraint(owner: asyncpg.Connection, table: str, name: str) -> AsyncIterator[None]:
    """A table without one of its constraints or unique indexes. Inside, the rows that break it must be removed again."""
    definition = await owner.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1 AND conrelid = $2::regclass", name, table
    )
    if definition:
        drop, make = f"ALTER TABLE {table} DROP CONSTRAINT {name}", f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
    else:
        drop, make = f"DROP INDEX {name}", await owner.fetchval("SELECT pg_get_indexdef($1::regclass)", name)
    await owner.execute(drop)
    try:
        yield
    finally:
        await owner.execute(make)
