"""What nobody asks for and has to be done: answers that are old enough to forget, and sweeps that must be seen to run (F19)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from handlers.context import Context
from handlers.transactions import rows, transaction

KEYS_KEPT = timedelta(days=7)
LATE_TICKS, LATE_SECONDS = 3, 60  # a sweep is late after three of its ticks, but never within a minute

FORGET = """
DELETE FROM idempotency_keys WHERE id IN (
  SELECT id FROM idempotency_keys WHERE created_at <= $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
"""
KEEP = """
INSERT INTO heartbeats (sweep, every_seconds, ran_at, done, failures, error)
SELECT b.* FROM unnest($1::text[], $2::float8[], $3::timestamptz[], $4::bigint[], $5::int[], $6::text[]) b
ON CONFLICT (sweep) DO UPDATE SET every_seconds = EXCLUDED.every_seconds, ran_at = EXCLUDED.ran_at,
  done = heartbeats.done + EXCLUDED.done, failures = EXCLUDED.failures, error = EXCLUDED.error
"""


async def forget_idempotency_keys(ctx: Context, limit: int = 5_000) -> int:
    """A repeated request gets its kept answer for seven days. Returns how many answers were forgotten."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - KEYS_KEPT, limit)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a sweep did since the last time this was kept. `failures`: runs in a row that broke."""

    sweep: str
    every_seconds: float
    ran_at: datetime
    done: int
    failures: int
    error: str | None


async def keep_heartbeats(ctx: Context, beats: Sequence[Beat]) -> None:
    columns = [[getattr(beat, name) for beat in beats] for name in Beat.__slots__]
    async with transaction(ctx) as tx:
        await tx.run(KEEP, *columns)


class SweepView(TypedDict):
    """A sweep that is late does not run: no jobs process is up, or it hangs. One with failures runs and breaks."""

    sweep: str
    every_seconds: float
    ran_at: datetime
    done: int
    failures: int
    error: str | None
    is_late: bool


class SweepsView(TypedDict):
    items: list[SweepView]


async def list_sweeps(ctx: Context) -> SweepsView:
    return {"items": [_sweep_view(beat, ctx.now) for beat in await rows("SELECT * FROM heartbeats ORDER BY sweep")]}


def _sweep_view(beat: Any, now: datetime) -> SweepView:
    patience = timedelta(seconds=max(LATE_TICKS * beat.every_seconds, LATE_SECONDS))
    return {
        "sweep": beat.sweep, "every_seconds": beat.every_seconds, "ran_at": beat.ran_at, "done": beat.done,
        "failures": beat.failures, "error": beat.error, "is_late": beat.ran_at + patience < now,
    }


# Each count goes over an index of what is still open and ends where a number says no more: an operator's page, not a report.
COUNTED_MAX = 100_000
BACKLOG = f"""
SELECT {", ".join(
    f"(SELECT count(*) FROM (SELECT FROM deliveries WHERE state = '{state}' LIMIT {COUNTED_MAX}) d)::int AS {state}"
    for state in ("planned", "sending", "accepted", "dead")
)},
  (SELECT count(*) FROM (SELECT FROM events WHERE opened_at IS NULL LIMIT {COUNTED_MAX}) e)::int AS events,
  (SELECT coalesce(jsonb_object_agg(sweep, greatest(extract(epoch FROM $1::timestamptz - ran_at) - every_seconds, 0)), '{{}}')
   FROM heartbeats) AS lateness
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What has not been done yet: open deliveries by state, dead ones, events without notices, seconds that each sweep is late."""

    deliveries: dict[str, int]
    dead: int
    events: int
    lateness_seconds: dict[str, float]


async def backlog(now: datetime) -> Backlog:
    """Counts end at COUNTED_MAX. Raises Busy."""
    found, = await rows(BACKLOG, now)
    return Backlog(
        {state: found[state] for state in ("planned", "sending", "accepted")}, found.dead, found.events,
        {sweep: float(seconds) for sweep, seconds in found.lateness.items()},
    )
