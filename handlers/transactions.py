"""One use-case, one durable transaction; what it changed, told and answered is written in one statement at its end."""

import re
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar

import asyncpg
import orjson
from tortoise.exceptions import DBConnectionError

from handlers.context import Context, Idempotency
from handlers.refusals import Busy
from models.engine import DatabaseBusyError, Row, client, lend_transaction

Answer = TypeVar("Answer")

# Someone else holds what we need, or two needed each other's: nothing happened, the whole use-case may be tried again.
BUSY_ERRORS = (
    DatabaseBusyError, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError,
    asyncpg.QueryCanceledError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError,
    asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.TooManyConnectionsError, asyncpg.InterfaceError,
    asyncpg.InternalClientError, DBConnectionError, ConnectionError, TimeoutError, socket.gaierror,
)

FLUSH = """
WITH done AS (
  INSERT INTO audit_entries (at, person_id, organisation_id, role, action, subject, subject_id, before, after, data, request_id)
  SELECT $1, $2, $3, $4, a->>'action', a->>'subject', (a->>'subject_id')::bigint, a->>'before', a->>'after', a->'data', $5
  FROM jsonb_array_elements($6::jsonb) a
), told AS (
  INSERT INTO events (kind, organisation_id, person_id, role, region_code, park_id, channel, address, secrets, subject, subject_id,
    data, actor_id, created_at)
  SELECT e->>'kind', (e->>'organisation_id')::bigint, (e->>'person_id')::bigint, e->>'role', e->>'region_code',
         (e->>'park_id')::bigint, e->>'channel', decode(e->>'address', 'base64'), decode(e->>'secrets', 'base64'), e->>'subject',
         (e->>'subject_id')::bigint, e->'data', $2, $1
  FROM jsonb_array_elements($7::jsonb) e
)
INSERT INTO idempotency_keys (principal, operation, key, body_hash, status, answer, created_at)
SELECT $8, $9, $10, $11, $12, $13, $1 WHERE $10::varchar IS NOT NULL
"""


@cache
def _written_with(sql: str, count: int) -> str:
    """One statement of `sql`, which has `count` parameters, and FLUSH behind it. Its rows are those of `sql`."""
    later = re.sub(r"\$(\d+)", lambda number: f"${int(number[1]) + count}", FLUSH).strip()
    others, _, kept = later.removeprefix("WITH ").rpartition("\nINSERT")
    return f"WITH made AS ({sql}), {others}, kept AS (INSERT{kept})\nSELECT * FROM made"


class AnsweredMeanwhileError(Exception):
    """The same request was carried out by somebody else while we did it: ours is undone, theirs is the answer."""


class Transaction:
    """SQL in one transaction, and a record of what must be written with it. `Row` columns are attributes."""

    def __init__(self, ctx: Context, connection: asyncpg.Connection) -> None:
        self.ctx = ctx
        self.connection = connection
        self._audit: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
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
        self._audit.append(
            {"action": action, "subject": subject, "subject_id": subject_id, "before": before, "after": after, "data": data}
        )

    def announce(
        self, kind: str, subject: str, subject_id: int, *, organisation_id: int | None = None, person_id: int | None = None,
        role: str | None = None, region_code: str | None = None, park_id: int | None = None, **data: object,
    ) -> None:
        """Tell an organisation's members, a person, or the officials of a role over a region or park (handlers/notices.py)."""
        self._events.append({
            "kind": kind, "subject": subject, "subject_id": subject_id, "organisation_id": organisation_id, "person_id": person_id,
            "role": role, "region_code": region_code, "park_id": park_id, "data": data,
        })

    def announce_outside(
        self, kind: str, subject: str, subject_id: int, *, channel: str, address: bytes, secrets: bytes | None, data: dict[str, object],
    ) -> None:
        """Tell a bare address (handlers/outside.py); `address` and `secrets` are sealed."""
        self._events.append({
            "kind": kind, "subject": subject, "subject_id": subject_id, "channel": channel, "address": b64encode(address).decode(),
            "secrets": None if secrets is None else b64encode(secrets).decode(), "data": data,
        })

    def reply(self, answer: Answer, status: int = 200) -> Answer:
        """The answer to the person; kept under the request's idempotency key in the same commit."""
        if self.ctx.idempotency is not None:
            self._answer = orjson.dumps(answer)
            self._status = status
        return answer

    async def last(self, sql: str, *args: object) -> Any:
        """The last change of a use-case, in one statement with all that was recorded: a round trip less. Its first row, or None.

        `sql` changes rows and returns them. Audit, events and answer are written even if it changes none: then refuse.
        """
        written = await self._write(self.connection.fetchrow, _written_with(sql, len(args)), *args)
        self._audit, self._events, self._answer = [], [], None
        return written

    async def flush(self) -> None:
        """Write audit, events and the kept answer: one round trip, whatever their number."""
        if self._audit or self._events or self._kept_under:
            await self._write(self.connection.execute, FLUSH)

    @property
    def _kept_under(self) -> Idempotency | None:
        return self.ctx.idempotency if self._answer is not None else None

    async def _write(self, run: Callable[..., Awaitable[Any]], sql: str, *args: object) -> Any:
        actor, key = self.ctx.actor, self._kept_under
        try:
            return await run(
                sql, *args, self.ctx.now, actor.person_id, actor.organisation_id, str(actor.role or "person"), self.ctx.request_id,
                self._audit, self._events, *((key.principal, key.operation, key.key, key.body_hash, self._status, self._answer)
                                             if key else (None,) * 6),
            )
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


async def rows(sql: str, *args: object) -> list[Row]:
    """Read outside a transaction: one statement, one snapshot."""
    try:
        async with client().acquire_connection() as connection:
            return list(await connection.fetch(sql, *args))
    except BUSY_ERRORS as error:
        raise Busy from error


# One statement that changes rows and needs no audit is a transaction by itself: no round trips for BEGIN and COMMIT.
changed = rows


async def row(sql: str, *args: object) -> Any:
    found = await rows(sql, *args)
    return found[0] if found else None
