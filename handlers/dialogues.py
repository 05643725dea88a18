"""Conversations of several steps: kept between two messages, for ten minutes, for one identity in one membership."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from handlers.context import Context
from handlers.personal import open_sealed, seal
from handlers.refusals import ChangedMeanwhile
from handlers.transactions import changed, row, transaction

LIVES = timedelta(minutes=10)
KEPT = timedelta(days=1)  # after its end: as long as a platform may deliver a message again

FIND = "SELECT * FROM dialogues WHERE identity_id = $1 AND membership_id = $2 AND expires_at > $3"
KEEP = """
INSERT INTO dialogues (identity_id, person_id, membership_id, intent, step, slots, private, message_id, version, expires_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::int + 1, $10, $11)
ON CONFLICT (identity_id) DO UPDATE SET person_id = $2, membership_id = $3, intent = $4, step = $5, slots = $6, private = $7,
  message_id = $8, version = dialogues.version + 1, expires_at = $10, updated_at = $11, finished_at = NULL
WHERE $9 = 0 OR dialogues.version = $9
RETURNING version
"""
FINISH = "UPDATE dialogues SET finished_at = $3, message_id = $2 WHERE identity_id = $1 AND finished_at IS NULL RETURNING id"
FORGET = """
DELETE FROM dialogues WHERE id IN (
  SELECT id FROM dialogues WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """`finished` by `message_id`: that message alone may still be answered from it."""

    intent: str
    step: str
    slots: dict[str, Any]
    private: dict[str, str] = field(repr=False)
    message_id: str
    version: int
    finished: bool


async def find_dialogue(ctx: Context) -> Dialogue | None:
    """The dialogue of the acting identity and membership that has not expired."""
    found = await row(FIND, ctx.actor.identity_id, ctx.actor.membership_id, ctx.now)
    if found is None:
        return None
    private = orjson.loads(open_sealed(ctx.settings, found.private)) if found.private is not None else {}
    return Dialogue(
        found.intent, found.step, found.slots, private, found.message_id, found.version, finished=found.finished_at is not None
    )


async def keep_dialogue(
    ctx: Context, intent: str, step: str, slots: Mapping[str, Any], private: Mapping[str, str], *, message_id: str, after: int
) -> int:
    """Wait for the answer to `step`. `after`: the version that this continues; 0 begins anew. Returns the version.

    Raises ChangedMeanwhile: another message of the same person moved it at the same moment.
    """
    sealed = seal(ctx.settings, orjson.dumps(dict(private)).decode()) if private else None
    kept = await changed(
        KEEP, ctx.actor.identity_id, ctx.person_id, ctx.membership_id, intent, step, dict(slots), sealed, message_id, after,
        ctx.now + LIVES, ctx.now,
    )
    if not kept:
        raise ChangedMeanwhile
    return int(kept[0].version)


async def finish_dialogue(ctx: Context, message_id: str) -> bool:
    """It is over: done, given up, or left for another. Returns whether there was one."""
    return bool(await changed(FINISH, ctx.actor.identity_id, message_id, ctx.now))


async def forget_dialogues(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: what expired a day ago. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - KEPT, limit)
