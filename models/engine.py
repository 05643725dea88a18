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
from tortoise.context import require_context

from models.gathering import Question
from models.lending import Lender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALIAS = "default"


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

    def _check_loop(self) -> bool:
        """A process has one loop (`database.connect`). Asking which one is a system call, and Tortoise asks before each statement."""
        return True

    async def create_pool(self, **kwargs: Any) -> asyncpg.Pool:
        # Tortoise's own defaults would override what the DSN says.
        options = {name: value for name, value in kwargs.items() if name not in ("host", "port", "user", "password", "database")}
        return await asyncpg.create_pool(record_class=Row, init=_prepare, **options)

    _lender: Lender | None = None
    _questions: dict[str, Question] | None = None

    def question(self, sql: str, kinds: tuple[str, ...]) -> Question:
        """The one that all who ask this share."""
        if self._questions is None:
            self._questions = {}
        if (found := self._questions.get(sql)) is None:
            found = self._questions[sql] = Question(self._fetch, sql, kinds)
        return found

    async def _fetch(self, sql: str, *args: object) -> list[Any]:
        async with self.acquire_connection() as connection:
            found: list[Any] = await connection.fetch(sql, *args)
            return found

    async def lender(self) -> Lender:
        if self._pool is None:
            async with self._pool_init_lock:
                if self._pool is None:
                    await self.create_connection(with_db=True)
        if self._lender is None:
            assert self._pool is not None
            self._lender = Lender(self._pool)
        return self._lender

    async def _close(self) -> None:
        for question in (self._questions or {}).values():
            question.close()
        self._questions = None
        if self._lender is not None:
            await self._lender.close()
            self._lender = None
        await super()._close()

    def connections(self) -> tuple[int, int]:
        """Of this process: (open, idle of them)."""
        return self._lender.use if self._lender is not None else (0, 0)

    def acquire_connection(self) -> Any:
        return _Loan(self)


class _Loan:
    """`async with` over one connection of a client."""

    __slots__ = ("_client", "_connection", "_lender")

    def __init__(self, client: SafeClient) -> None:
        self._client = client

    async def __aenter__(self) -> asyncpg.Connection:
        self._lender = self._client._lender or await self._client.lender()  # noqa: SLF001 - the two belong together
        try:
            self._connection = await self._lender.take()
        except TimeoutError as error:
            raise DatabaseBusyError from error
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._lender.give_back(self._connection)


client_class = SafeClient


def client() -> Any:
    """The client of this task: inside a transaction, the transaction's."""
    return require_context().connections.get(ALIAS)


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


class Step(Bound):
    """A transaction in which use-cases have theirs as savepoints: they last if it does, all together or none of them."""


@asynccontextmanager
async def lend_transaction(begin: str = "BEGIN", kind: type[Bound] = Bound) -> "AsyncIterator[asyncpg.Connection]":
    """A connection in a transaction, seen by Tortoise's models too. Commits at the end, rolls back on any exception.

    begin: "BEGIN", or a script of it and a lock: one round trip for both, and what is read next is read behind the lock.
    kind: Step for one that others may happen in. A connection whose BEGIN, COMMIT or ROLLBACK was cancelled is terminated
    rather than handed to the next request.
    """
    # Not `get_connections()`: it imports its module at each call.
    connections = require_context().connections
    parent: Any = connections.get(ALIAS)
    within = isinstance(parent, Step)
    if (within and kind is Step) or (isinstance(parent, TransactionWrapper) and not within):
        raise RuntimeError("transactions do not nest: one use-case, one durable transaction")
    owner = parent._parent if within else parent  # noqa: SLF001 - Tortoise's, which has no other name for it
    async with parent.acquire_connection() as connection:
        token = None
        try:
            await connection.execute(begin.replace("BEGIN", "SAVEPOINT use_case", 1) if within else begin)
            token = connections.set(ALIAS, kind(owner, connection))
            yield connection
            await connection.execute("RELEASE SAVEPOINT use_case" if within else "COMMIT")
        except BaseException:
            await _abandon(connection, "ROLLBACK TO SAVEPOINT use_case" if within else "ROLLBACK")
            raise
        finally:
            if token is not None:
                connections.reset(token)


async def _abandon(connection: asyncpg.Connection, rollback: str) -> None:
    """Whatever becomes of it, nothing lasts of the transaction; so why it is abandoned is what the caller hears, and no time-out."""
    if connection.is_closed():
        return
    try:
        async with asyncio.timeout(1):
            await connection.execute(rollback)
    except Exception:  # noqa: BLE001 - the server rolls back by itself when the connection is gone
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise
