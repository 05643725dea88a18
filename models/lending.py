"""Connections handed on from request to request, without going back to asyncpg's pool in between.

The pool makes, checks and closes connections well, but each acquire and release costs it a task, a shield and two time-outs: a
quarter of what reading a wallet takes. So a connection goes back to it only to be closed.
"""

import asyncio
from collections import deque
from typing import Any

import asyncpg

ACQUIRE_SECONDS = 1.0  # longer than any wait in health; shorter than a phone's patience


class Lender:
    """`take` and `give_back`; who waits is served in order.

    What is lent is the connection itself: the pool's proxy around it, which costs a call and a coroutine for each query, is for
    those who might use a connection that they have given back.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._most = pool.get_max_size()
        self._open = 0  # taken from the pool, or being taken
        self._idle: list[Any] = []  # the last one first: its caches are warm
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()  # and until when
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def use(self) -> tuple[int, int]:
        """(open, idle of them)."""
        return self._open, len(self._idle)

    async def take(self) -> Any:
        """A live connection. Raises TimeoutError after a second, and what connecting raises."""
        while self._idle:
            connection = self._idle.pop()
            if _is_open(connection):
                return connection
            await self._forget(connection)
        return await (self._new() if self._open < self._most else self._wait())

    async def give_back(self, connection: Any) -> None:
        """To whoever waits longest; to the pool if it cannot be used again."""
        if _is_open(connection) and not connection.is_in_transaction() and not connection._protocol._is_cancelling():  # noqa: SLF001
            self._hand_on(connection)
        else:
            await self._forget(connection)

    async def close(self) -> None:
        """The idle ones go back to the pool, which can close them."""
        while self._idle:
            await self._forget(self._idle.pop())
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def _new(self) -> Any:
        self._open += 1
        try:
            proxy: Any = await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        except BaseException:
            self._open -= 1
            self._wake_one()
            raise
        return proxy._con  # noqa: SLF001 - the pool has no other name for it

    async def _wait(self) -> Any:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append((turn, loop.time() + ACQUIRE_SECONDS))
        if self._alarm is None:
            self._alarm = loop.call_later(ACQUIRE_SECONDS, self._give_up_due)
        try:
            connection = await turn
        except BaseException:
            # Cancelled in the moment in which it was our turn: the next one must not wait for us.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on(turn.result())
            raise
        return connection if connection is not None else await self.take()

    def _give_up_due(self) -> None:
        """One alarm for all who wait: their patience is the same, so whoever waits longest is due first."""
        loop = asyncio.get_running_loop()
        self._alarm = None
        while self._waiting:
            turn, until = self._waiting[0]
            if not turn.done() and loop.time() < until:
                self._alarm = loop.call_at(until, self._give_up_due)
                return
            self._waiting.popleft()
            if not turn.done():
                turn.set_exception(TimeoutError())

    async def _forget(self, connection: Any) -> None:
        self._open -= 1
        try:
            if connection._proxy is not None:  # noqa: SLF001 - the pool lets go by itself of a connection that has died
                await self._pool.release(connection._proxy)  # noqa: SLF001
        finally:
            self._wake_one()

    def _hand_on(self, connection: Any) -> None:
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        self._idle.append(connection)

    def _wake_one(self) -> None:
        """There is room for a new connection: whoever waits longest opens it."""
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _pass_on(self, connection: Any) -> None:
        if connection is None:
            self._wake_one()
        else:
            self._hand_on(connection)


def _is_open(connection: Any) -> bool:
    return not connection.is_closed()
