"""One use-case, one durable transaction; what it changed, told and answered is written in one statement at its end."""

import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cache
from types import TracebackType
from typing import Any, TypeVar

import asyncpg
import orjson
from tortoise.exceptions import DBConnectionError

from handlers.context import Context, Idempotency
from handlers.refusals import Busy
from models.engine import DatabaseBusyError, Row, Step, client, lend_transaction

Answer = TypeVar("Answer")

# Someone else holds what we need, or two needed each other's: nothing happened, the whole use-case may be tried again.
BUSY_ERRORS = (
    DatabaseBusyError, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError,
    asyncpg.QueryCanceledError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError,
    asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.TooManyConnectionsError, asyncpg.InterfaceError,
    asyncpg.InternalClientError, DBConnectionError, ConnectionError, TimeoutError, socket.gaierror,
)

# What is recorded is written as plain rows: taking it out of JSON cost a third more at each commit, and plans that did not last.
ACTOR = {"person_id": "bigint", "organisation_id": "bigint", "role": "varchar", "request_id": "varchar"}
AUDIT = {"action": "varchar", "subject": "varchar", "subject_id": "bigint", "before": "varchar", "after": "varchar", "data": "jsonb"}
EVENT = {
    "kind": "varchar", "organisation_id": "bigint", "person_id": "bigint", "role": "varchar", "region_code": "varchar",
    "park_id": "bigint", "subject": "varchar", "subject_id": "bigint", "data": "jsonb", "actor_id": "bigint",
}
OUTSIDE = {
    "kind": "varchar", "channel": "varchar", "address": "bytea", "secrets": "bytea", "subject": "varchar", "subject_id": "bigint",
    "data": "jsonb", "actor_id": "bigint",
}
KEPT = {"principal": "varchar", "operation": "varchar", "key": "varchar", "body_hash": "bytea", "status": "smallint", "answer": "bytea"}
FEW = 2  # rows; more of them come as JSON after all, so that there is not a statement for every number
MANY = -1


@cache
def _written(sql: str, before: str, count: int, audits: int, events: int, outside: int, *, kept: bool) -> str:
    """One statement: `sql`, which has `count` parameters and whose rows are returned, and behind it what was recorded.

    `before`: more of its WITH. Nothing is recorded if `sql` returns no row. Parameters in the order of `Transaction._write`.
    """
    numbers = itertools.count(count + 1)

    def parameters(kinds: Iterable[str]) -> str:
        return ", ".join(f"${next(numbers)}::{kind}" for kind in kinds)

    def recorded(columns: dict[str, str], rows: int) -> str:
        if rows == MANY:
            typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            return f"jsonb_to_recordset({parameters(['jsonb'])}) AS each({typed})"
        values = ", ".join(f"({parameters(columns.values())})" for _ in range(rows))
        return f"(VALUES {values}) AS each({', '.join(columns)})"

    parts, only_if = ([f"made AS ({sql})"], " WHERE EXISTS (SELECT FROM made)") if sql else ([], "")
    now = parameters(["timestamptz"])
    if kept:
        parts.append(f"kept AS (INSERT INTO idempotency_keys (created_at, {', '.join(KEPT)})"
                     f" SELECT {now}, {parameters(KEPT.values())}{only_if})")
    if audits:
        parts.append(f"audited AS (INSERT INTO audit_entries (at, {', '.join((*ACTOR, *AUDIT))})"
                     f" SELECT {now}, {parameters(ACTOR.values())}, each.* FROM {recorded(AUDIT, audits)}{only_if})")
    for name, columns, rows in (("told", EVENT, events), ("told_outside", OUTSIDE, outside)):
        if rows:
            parts.append(f"{name} AS (INSERT INTO events (created_at, {', '.join(columns)})"
                         f" SELECT {now}, each.* FROM {recorded(columns, rows)}{only_if})")
    return f"WITH {before and before + ', '}{', '.join(parts)} SELECT {'* FROM made' if sql else ''}"


def _values(columns: dict[str, str], recorded: list[tuple[Any, ...]]) -> tuple[int, list[Any]]:
    """How many rows, or MANY, and their parameters."""
    if len(recorded) <= FEW:
        return len(recorded), [value for each in recorded for value in each]
    return MANY, [[dict(zip(columns, map(_in_json, each), strict=True)) for each in recorded]]


def _in_json(value: Any) -> Any:
    return rf"\x{value.hex()}" if isinstance(value, bytes) else value


class AnsweredMeanwhileError(Exception):
    """The same request was carried out by somebody else while we did it: ours is undone, theirs is the answer."""


class Transaction:
    """SQL in one transaction, and a record of what must be written with it. `Row` columns are attributes."""

    def __init__(self, ctx: Context, connection: asyncpg.Connection) -> None:
        self.ctx = ctx
        self.connection = connection
        self._audit: list[tuple[Any, ...]] = []  # values of AUDIT
        self._events: list[tuple[Any, ...]] = []  # of EVENT
        self._outside: list[tuple[Any, ...]] = []  # of OUTSIDE
        self._answer: bytes | None = None
        self._status = 200

    async def row(self, sql: str, *args: object) -> Any:
        """The first row, or None."""
        return await self.connection.fetchrow(sql, *args)

    async def rows(self, sql: str, *args: object) -> list[Any]:
        return list(await self.connection.fetch(sql, *args))

    async def value(self, sql: str, *args: object) -> Any:
        return await self.connection.fetchval(sql, *args)

    async def run(self, sql: str, *args: object) -> int:
        """Execute, and return how many rows it touched."""
        tag: str = await self.connection.execute(sql, *args)
        return int(tag.rsplit(" ", 1)[-1])

    def record(
        self, action: str, subject: str, subject_id: int, *, before: str | None = None, after: str | None = None, **data: object
    ) -> None:
        """One audit row: exactly one for each change of state."""
        self._audit.append((action, subject, subject_id, before, after, data))

    def announce(
        self, kind: str, subject: str, subject_id: int, *, organisation_id: int | None = None, person_id: int | None = None,
        role: str | None = None, region_code: str | None = None, park_id: int | None = None, **data: object,
    ) -> None:
        """Tell an organisation's members, a person, or the officials of a role over a region or park (handlers/notices.py)."""
        self._events.append(
            (kind, organisation_id, person_id, role, region_code, park_id, subject, subject_id, data, self.ctx.actor.person_id)
        )

    def announce_outside(
        self, kind: str, subject: str, subject_id: int, *, channel: str, address: bytes, secrets: bytes | None, data: dict[str, object],
    ) -> None:
        """Tell a bare address (handlers/outside.py); `address` and `secrets` are sealed."""
        self._outside.append((kind, channel, address, secrets, subject, subject_id, data, self.ctx.actor.person_id))

    def reply(self, answer: Answer, status: int = 200) -> Answer:
        """The answer to the person; kept under the request's idempotency key in the same commit."""
        if self.ctx.idempotency is not None:
            self._answer = orjson.dumps(answer)
            self._status = status
        return answer

    async def last(self, sql: str, *args: object, before: str = "") -> Any:
        """The last change of a use-case, in one statement with all that was recorded: a round trip less. Its first row, or None.

        `sql` changes rows and returns them. If it returns none, nothing is written: then refuse. `before`: a WITH that `sql` stands
        on; PostgreSQL wants what changes rows at the top of a statement, and `sql` is a part of one.
        """
        written = await self._write(self.connection.fetchrow, sql, *args, before=before)
        self._audit, self._events, self._outside, self._answer = [], [], [], None
        return written

    async def flush(self) -> None:
        """Write audit, events and the kept answer: one round trip, whatever their number."""
        if not self.is_written:
            await self._write(self.connection.execute, "")

    @property
    def is_written(self) -> bool:
        return not (self._audit or self._events or self._outside or self._kept_under)

    @property
    def _kept_under(self) -> Idempotency | None:
        return self.ctx.idempotency if self._answer is not None else None

    async def _write(self, run: Callable[..., Awaitable[Any]], sql: str, *args: object, before: str = "") -> Any:
        actor, key = self.ctx.actor, self._kept_under
        audits, audit_values = _values(AUDIT, self._audit)
        events, event_values = _values(EVENT, self._events)
        outside, outside_values = _values(OUTSIDE, self._outside)
        kept = (key.principal, key.operation, key.key, key.body_hash, self._status, self._answer) if key else ()
        who = (actor.person_id, actor.organisation_id, str(actor.role or "person"), self.ctx.request_id) if audits else ()
        statement = _written(sql, before, len(args), audits, events, outside, kept=bool(key))
        try:
            return await run(statement, *args, self.ctx.now, *kept, *who, *audit_values, *event_values, *outside_values)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name and error.constraint_name.startswith("uid_idempotency"):
                raise AnsweredMeanwhileError from error
            raise


@asynccontextmanager
async def transaction(ctx: Context, begin: str = "BEGIN") -> AsyncIterator[Transaction]:
    """Begin, and at the end write what was recorded and commit; any exception undoes everything. Refuses nesting. No network inside.

    begin: see `lend_transaction`.
    """
    try:
        async with lend_transaction(begin) as connection:
            tx = Transaction(ctx, connection)
            yield tx
            await tx.flush()
    except BUSY_ERRORS as error:
        raise Busy from error


@asynccontextmanager
async def step() -> AsyncIterator[None]:
    """Use-cases, and what is read and changed between them, as one durable transaction: for a conversation, whose answer belongs to
    what was done (docs/decisions/0211). Their locks last to its end, so it is short. No network inside. Raises Busy.
    """
    try:
        async with lend_transaction(kind=Step):
            yield
    except BUSY_ERRORS as error:
        raise Busy from error


class one_statement:  # noqa: N801 - used like `transaction`; a generator would cost more than all rules of the use-case
    """For a use-case whose only change is one statement (`last`): that is a transaction by itself, without BEGIN and COMMIT.

    What was read before may be older than what the statement meets: it must itself see to whatever may not have changed meanwhile.
    """

    __slots__ = ("_ctx", "_loan", "_tx")

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def __aenter__(self) -> Transaction:
        lender = client()
        # Within a step it may fail like any other without taking the step with it.
        self._loan = lend_transaction() if isinstance(lender, Step) else lender.acquire_connection()
        try:
            self._tx = Transaction(self._ctx, await self._loan.__aenter__())
        except BUSY_ERRORS as error:
            raise Busy from error
        return self._tx

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._loan.__aexit__(kind, error, trace)
        if isinstance(error, BUSY_ERRORS):
            raise Busy from error
        assert error is not None or self._tx.is_written, "recorded, and not written with the statement (tx.last)"


async def rows(sql: str, *args: object) -> list[Row]:
    """Read outside a transaction: one statement, one snapshot."""
    try:
        async with client().acquire_connection() as connection:
            return list(await connection.fetch(sql, *args))
    except BUSY_ERRORS as error:
        raise Busy from error


async def gathered_row(sql: str, kinds: tuple[str, ...], *args: object) -> Any:
    """`row`, for what each request asks: together with whoever else asks it now (models/gathering.py). `kinds`: of the parameters."""
    try:
        return await client().question(sql, kinds).ask(*args)
    except BUSY_ERRORS as error:
        raise Busy from error


# One statement that changes rows and needs no audit is a transaction by itself: no round trips for BEGIN and COMMIT.
changed = rows


async def row(sql: str, *args: object) -> Any:
    found = await rows(sql, *args)
    return found[0] if found else None
