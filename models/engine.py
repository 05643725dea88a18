"""The asyncpg backend of Tortoise, made safe: what `tortoise.backends.asyncpg` 1.1.9 loses on cancellation is kept here.

`in_transaction()` acquires a connection and then awaits BEGIN outside any `try`, so a cancelled request leaves the
connection "idle in transaction" for ever, and `pool.acquire()` has no time-out: five such requests stop a process.
"""

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.connection import get_connections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALIAS = "default"
ACQUIRE_SECONDS = 1.0  # longer than any wait in health; shorter than a phone's patience


class DatabaseBusyError(Exception):
    """No connection within a second, a lock not granted in time, a deadlock: try again, nothing has happened."""


class Row(asyncpg.Record):  # type: ignore[misc] # asyncpg ships no types
    """A row whose columns are attributes: `order.state`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """No session state is ever set, so the RESET round trip at each release (1.3-1.45x per query) buys nothing."""

    def get_reset_query(self) -> str:
        return ""


async def _prepare(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=lambda value: value if isinstance(value, str) else orjson.dumps(value).decode(), decoder=orjson.loads,
            schema="pg_catalog",
        )


class SafeClient(AsyncpgDBClient):
    """Tortoise's client with our rows, our connection class, and an acquire that gives up."""

    connection_class = Connection

    async def create_pool(self, **kwargs: Any) -> asyncpg.Pool:
        return await asyncpg.create_pool(None, record_class=Row, init=_prepare, **kwargs)

    @asynccontextmanager
    async def _lend(self) -> "AsyncIterator[asyncpg.Connection]":
        if self._pool is None:
            async with self._pool_init_lock:
                if self._pool is None:
                    await self.create_connection(with_db=True)
        pool = self._pool
        assert pool is not None
        try:
            connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
        except TimeoutError as error:
            raise DatabaseBusyError from error
        try:
            yield connection
        finally:
            await pool.release(connection)

    def acquire_connection(self) -> Any:
        return self._lend()


client_class = SafeClient


def client() -> Any:
    """The client of this task: inside a transaction, the transaction's."""
    return get_connections().get(ALIAS)


class Bound(TransactionWrapper):
    """What Tortoise queries see inside our transaction: the one connection, and never another task's."""

    def __init__(self, parent: SafeClient, connection: asyncpg.Connection) -> None:
        super().__init__(parent)
        self._connection = connection
        self._owner = asyncio.current_task()

    def acquire_connection(self) -> Any:
        if asyncio.current_task() is not self._owner:
            raise RuntimeError("a task spawned inside a transaction must not use its connection")
        return super().acquire_connection()


@asynccontextmanager
async def lend_transaction() -> "AsyncIterator[asyncpg.Connection]":
    """A connection in a transaction, seen by Tortoise's models too. Commits at the end, rolls back on any exception.

    A connection whose BEGIN, COMMIT or ROLLBACK was cancelled is terminated rather than handed to the next request.
    """
    parent = client()
    if isinstance(parent, TransactionWrapper):
        raise RuntimeError("transactions do not nest: one use-case, one durable transaction")
    async with parent.acquire_connection() as connection:
        token = None
        try:
            await connection.execute("BEGIN")
            token = get_connections().set(ALIAS, Bound(parent, connection))
            yield connection
            await connection.execute("COMMIT")
        except BaseException:
            await _abandon(connection)
            raise
        finally:
            if token is not None:
                get_connections().reset(token)


async def _abandon(connection: asyncpg.Connection) -> None:
    if connection.is_closed():
        return
    try:
        async with asyncio.timeout(1):
            await connection.execute("ROLLBACK")
    except BaseException:
        connection.terminate()
        raise
