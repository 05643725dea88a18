"""Connections handed on from request to request, without going back to asyncpg's pool in between.

The pool makes, checks and closes connections well, but each acquire and release costs it a task, a shield and two time-outs: a
quarter of what reading a wallet takes. So a connection goes back to it only to be closed.
"""

import asyncio
from typing import Any

import asyncpg

from models.waiting import WAIT_SECONDS, Waiting


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
        self._waiting: Waiting[None] = Waiting()

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
        self._waiting.close()

    async def _new(self) -> Any:
        self._open += 1
        try:
            proxy: Any = await self._pool.acquire(timeout=WAIT_SECONDS)
        except BaseException:
            self._open -= 1
            self._wake_one()
            raise
        return proxy._con  # noqa: SLF001 - the pool has no other name for it

    async def _wait(self) -> Any:
        turn = self._waiting.join(asyncio.get_running_loop(), None)
        try:
            connection = await turn
        except BaseException:
            # Cancelled in the moment in which it was our turn: the next one must not wait for us.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on(turn.result())
            raise
        return connection if connection is not None else await self.take()

    async def _forget(self, connection: Any) -> None:
        self._open -= 1
        try:
            if connection._proxy is not None:  # noqa: SLF001 - the pool lets go by itself of a connection that has died
                await self._pool.release(connection._proxy)  # noqa: SLF001
        finally:
            self._wake_one()

    def _hand_on(self, connection: Any) -> None:
        if found := self._waiting.next():
            found[0].set_result(connection)
        else:
            self._idle.append(connection)

    def _wake_one(self) -> None:
        """There is room for a new connection: whoever waits longest opens it."""
        if found := self._waiting.next():
            found[0].set_result(None)

    def _pass_on(self, connection: Any) -> None:
        if connection is None:
            self._wake_one()
        else:
            self._hand_on(connection)


def _is_open(connection: Any) -> bool:
    return not connection.is_closed()
