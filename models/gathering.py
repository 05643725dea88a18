"""Questions that many requests ask at the same moment, answered by one statement.

Half of what it costs to read a few rows is the round trip and the beginning of a statement, on both sides of it. Who asks alone is
answered alone and at once; who asks while others are being answered waits for them, and then goes with all who have come meanwhile. So
nothing is slower where little is asked, and a crowd costs less the larger it is. Nobody is answered with what was read before they asked.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from typing import Any

import asyncpg

from models.waiting import Waiting

# How many are asked in one statement: few numbers, since each is prepared on each connection, and a place that nobody takes costs next to
# nothing. Beyond sixteen there is nothing left to save: then the round trip's share of a question is a sixteenth.
SIZES = (1, 4, 16)
LARGEST = SIZES[-1]
AT_ONCE = 2  # statements of one question under way: while one is answered the next one is on its way

Fetch = Callable[..., Awaitable[list[Any]]]
Asked = tuple[asyncio.Future[Any], tuple[object, ...]]


@cache
def together(sql: str, kinds: tuple[str, ...], count: int) -> str:
    """`sql` for `count` times its parameters, which are of `kinds`; each row says by `asker` whose it is, from 0.

    Plain parameters, and not arrays: how many there are is in the statement, so a plan made once is as good as one made anew.
    """
    rows, width = [], len(kinds)
    for asker in range(count):
        values = (f"${asker * width + at}::{kind}" for at, kind in enumerate(kinds, 1))
        rows.append(f"({asker}, {', '.join(values)})")
    named = re.sub(r"\$(\d+)", r"asked.p\1", sql)
    columns = ", ".join(f"p{at}" for at in range(1, width + 1))
    return f"SELECT asked.asker, answer.* FROM (VALUES {', '.join(rows)}) asked(asker, {columns}) CROSS JOIN LATERAL ({named}) answer"


class Question:
    """One statement with parameters of `kinds` (PostgreSQL's names) that returns one row or none, and takes no locks."""

    def __init__(self, fetch: Fetch, sql: str, kinds: tuple[str, ...]) -> None:
        self._fetch, self._sql, self._kinds = fetch, sql, kinds
        self._loop = asyncio.get_running_loop()  # of the connections; each look-up is a system call
        self._waiting: Waiting[tuple[object, ...]] = Waiting()
        self._under_way: set[asyncio.Task[None]] = set()
        self._called = False

    async def ask(self, *args: object) -> Any:
        """The row, or None. Raises what the statement raises, and TimeoutError for who is not asked for within a second."""
        turn = self._waiting.join(self._loop, args)
        if not self._called and len(self._under_way) < AT_ONCE:
            # Not at once: whoever else has been woken by the same turn of the loop comes along.
            self._called = True
            self._loop.call_soon(self._send)
        return await turn

    def close(self) -> None:
        self._waiting.close()
        for task in self._under_way:
            task.cancel()

    def _send(self) -> None:
        self._called = False
        while len(self._under_way) < AT_ONCE and (asked := list(self._next())):
            task = self._loop.create_task(self._answer(asked))
            self._under_way.add(task)
            task.add_done_callback(self._answered)

    def _next(self) -> Iterator[Asked]:
        """Those who are asked for together, without those who have gone."""
        for _ in range(LARGEST):
            if (found := self._waiting.next()) is None:
                return
            yield found

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._send()

    async def _answer(self, asked: list[Asked]) -> None:
        try:
            try:
                answers = await self._read([args for _, args in asked])
            except asyncpg.DataError:
                if len(asked) == 1:
                    raise
                # One of them asks what is not to be asked at all; the others are not to know of it.
                for each in asked:
                    await self._answer([each])
                return
        except asyncio.CancelledError:
            for turn, _ in asked:
                turn.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked
            for turn, _ in asked:
                if not turn.done():
                    turn.set_exception(error)
        else:
            for (turn, _), answer in zip(asked, answers, strict=True):
                if not turn.done():
                    turn.set_result(answer)

    async def _read(self, asked: list[tuple[object, ...]]) -> list[Any]:
        if len(asked) == 1:
            found = await self._fetch(self._sql, *asked[0])
            return [found[0] if found else None]
        count = next(size for size in SIZES if size >= len(asked))
        nobody = (None,) * (len(self._kinds) * (count - len(asked)))
        answers: list[Any] = [None] * count
        for row in await self._fetch(together(self._sql, self._kinds, count), *(arg for args in asked for arg in args), *nobody):
            answers[row["asker"]] = row
        return answers[:len(asked)]
