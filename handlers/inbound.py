"""What the platforms push to us: kept in one statement, handled by workers, repeated tries seen as one (docs/decisions/0180).

The key is written with the message itself. A process that dies after that leaves a message that somebody else takes up; one that
dies before has told the platform nothing, which then pushes again: no first try is swallowed.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog

from handlers.context import Context
from handlers.personal import SealBrokenError, open_sealed, seal
from handlers.refusals import Busy
from handlers.transactions import changed, step, transaction
from models.inbound import INBOUND_GRAPH, InboundKind, InboundState

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
# One second, four, sixteen, a minute; then the person is told. A platform that is down for longer is down for the answer too.
RETRY_SECONDS = (1, 4, 16, 64)
TRIES_MAX = len(RETRY_SECONDS) + 1
# Longer than any timestamp of a push is accepted, and longer than a platform tries.
FORGOTTEN_AFTER = timedelta(days=7)
ERROR_CHARACTERS_MAX = 64
ANSWER_CHARACTERS_MAX = 480  # a notice has 500
UNREADABLE = "does not open"

RECEIVE = """
INSERT INTO inbound_messages (platform, app_id, open_id, kind, dedupe_hash, state, payload, attempts, received_at, due_at)
VALUES ($1, $2, $3, $4, $5, 'received', $6, 0, $7, $7)
ON CONFLICT (platform, app_id, dedupe_hash) DO NOTHING RETURNING id
"""
# What one person says is handled one after the other, or "确认" would overtake the question that it answers.
CLAIM = """
WITH chosen AS (
  SELECT m.id FROM inbound_messages m
  WHERE m.state = 'received' AND m.due_at <= $1 AND (m.kind = 'event' OR NOT EXISTS (
    SELECT FROM inbound_messages before
    WHERE before.platform = m.platform AND before.app_id = m.app_id AND before.open_id = m.open_id
      AND before.kind = 'said' AND before.state IN ('received', 'working') AND before.id < m.id
  ))
  ORDER BY m.due_at, m.id LIMIT $2 FOR UPDATE OF m SKIP LOCKED
)
UPDATE inbound_messages m SET state = 'working', leased_until = $3, attempts = m.attempts + 1 FROM chosen WHERE m.id = chosen.id
RETURNING m.*
"""
# The number of attempts is the fence: whoever lost the lease writes nothing.
ANSWERED = """
UPDATE inbound_messages SET payload = NULL, answer = $3 WHERE id = $1 AND attempts = $2 AND state = 'working' RETURNING id
"""
SETTLE = """
UPDATE inbound_messages SET state = $3::varchar, leased_until = NULL, due_at = coalesce($4, due_at), error = $5,
  payload = CASE WHEN $3::varchar = 'received' THEN payload END, answer = CASE WHEN $3::varchar = 'received' THEN answer END,
  finished_at = CASE WHEN $3::varchar = 'received' THEN NULL ELSE $6::timestamptz END
WHERE id = $1 AND attempts = $2 AND state = 'working' RETURNING id
"""
RELEASE = """
UPDATE inbound_messages m SET state = CASE WHEN m.attempts >= $3 THEN 'failed' ELSE 'received' END, leased_until = NULL,
  error = 'lease expired', payload = CASE WHEN m.attempts < $3 THEN m.payload END, answer = CASE WHEN m.attempts < $3 THEN m.answer END,
  finished_at = CASE WHEN m.attempts >= $3 THEN $1::timestamptz END
FROM (
  SELECT id FROM inbound_messages WHERE state = 'working' AND leased_until <= $1 ORDER BY leased_until LIMIT $2 FOR UPDATE SKIP LOCKED
) expired WHERE m.id = expired.id
"""
FORGET = """
DELETE FROM inbound_messages WHERE id IN (
  SELECT id FROM inbound_messages WHERE finished_at <= $1 ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
S = InboundState
for _edge in ((S.RECEIVED, S.WORKING), (S.WORKING, S.RECEIVED), (S.WORKING, S.FAILED)):
    INBOUND_GRAPH.event(*_edge)  # what CLAIM and RELEASE walk


@dataclass(frozen=True, slots=True)
class Arrived:
    """A push that has been verified. `key` makes it itself among all pushes of its platform and app; `payload` is JSON."""

    platform: str
    app_id: str
    open_id: str
    kind: InboundKind
    key: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that this process holds. Either `payload` is there, or the `answer` that is still to be sent."""

    id: int
    platform: str
    app_id: str
    open_id: str
    kind: InboundKind
    attempts: int
    payload: dict[str, Any] | None
    answer: dict[str, Any] | None
    received_at: datetime

    @property
    def is_last_try(self) -> bool:
        return self.attempts >= TRIES_MAX


async def receive(ctx: Context, arrived: Arrived) -> bool:
    """Keep a push until it is handled. False if it is here already. Raises Busy."""
    made = await changed(
        RECEIVE, arrived.platform, arrived.app_id, arrived.open_id, arrived.kind, hashlib.sha256(arrived.key.encode()).digest(),
        _sealed(ctx, arrived.payload), ctx.now,
    )
    return bool(made)


async def claim(ctx: Context, room: int) -> list[Taken]:
    """Take up to `room` messages that are due, for a minute. One that does not open has failed, and the others go on. Raises Busy."""
    readable, broken = [], []
    for one in sorted(await changed(CLAIM, ctx.now, room, ctx.now + LEASE), key=lambda one: one["id"]):
        taken = Taken(
            one.id, one.platform, one.app_id, one.open_id, InboundKind(one.kind), one.attempts, None, None, one.received_at,
        )
        try:
            readable.append(replace(taken, payload=_opened(ctx, one.payload), answer=_opened(ctx, one.answer)))
        except SealBrokenError as error:
            log.error("push_does_not_open", id=one.id, reason=str(error))  # noqa: TRY400 - where it was read says nothing
            broken.append(taken)
    for each in broken:
        with suppress(Busy):  # the others are ours and wait: of this one the lease ends
            await _settle(ctx, each, S.FAILED, None, UNREADABLE)
    return readable


async def keep_answer(ctx: Context, taken: Taken, answer: Mapping[str, Any]) -> bool:
    """What was said is understood and forgotten: from here on only the sending is repeated. False if the lease was lost."""
    return bool(await changed(ANSWERED, taken.id, taken.attempts, _sealed(ctx, answer)))


class LeaseLostError(Exception):
    """This worker took so long that the message was given to another."""


async def answer_once(ctx: Context, taken: Taken, make: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """`make` does what a message asks for and returns its answer: all of it and the keeping of the answer in one transaction.

    A process that is killed has done nothing, or leaves an answer that is only to be sent. Raises Busy, LeaseLostError: then nothing
    was done.
    """
    async with step():
        answer = await make()
        if not await keep_answer(ctx, taken, answer):
            raise LeaseLostError
    return answer


async def finish(ctx: Context, taken: Taken) -> bool:
    return await _settle(ctx, taken, S.DONE, None, None)


async def put_off(ctx: Context, taken: Taken, error: str) -> bool:
    """Try again later, or give up after the last try. Returns whether it will be tried again."""
    if taken.is_last_try:
        await _settle(ctx, taken, S.FAILED, None, error)
        return False
    await _settle(ctx, taken, S.RECEIVED, ctx.now + timedelta(seconds=RETRY_SECONDS[taken.attempts - 1]), error)
    return True


async def _settle(ctx: Context, taken: Taken, to: InboundState, due_at: datetime | None, error: str | None) -> bool:
    INBOUND_GRAPH.event(S.WORKING, to)
    short = error[:ERROR_CHARACTERS_MAX] if error else None
    return bool(await changed(SETTLE, taken.id, taken.attempts, str(to), due_at, short, ctx.now))


async def release_expired(ctx: Context, limit: int = 500) -> int:
    """Sweep: give back what workers took and never finished. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(RELEASE, ctx.now, limit, TRIES_MAX)


async def forget_handled(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: delete messages a week after they were handled; nothing of what was said is in them any more. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - FORGOTTEN_AFTER, limit)


def _sealed(ctx: Context, content: Mapping[str, Any]) -> bytes:
    return seal(ctx.settings, orjson.dumps(content).decode())


def _opened(ctx: Context, sealed: bytes | None) -> dict[str, Any] | None:
    if sealed is None:
        return None
    content: dict[str, Any] = orjson.loads(open_sealed(ctx.settings, sealed))
    return content


async def leave_in_inbox(ctx: Context, taken: Taken, person_id: int, text: str) -> None:
    """An answer that the chat does not take any more: a notice like any other, so it also goes out by the notices' channels."""
    async with transaction(ctx) as tx:
        tx.announce("bot_answer", "inbound_message", taken.id, person_id=person_id, answer=text[:ANSWER_CHARACTERS_MAX])
