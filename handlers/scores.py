"""What counts for an institution and its consultants, counted one by one and computed anew to the same numbers (F27).

`count` notes an event in the commit in which it happened. A sweep carries events into `score_months` and computes the scores that
they touch (docs/scores.md, docs/decisions/0171). All is integers, and a month is a sum: the order in which events come is nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from handlers.context import Context
from handlers.score_formula import BASE, COLUMNS, MONTH_OF, MONTHS, OF_KIND, PARTS, POINTS_OF, VALUE_OF, VERSION
from handlers.transactions import Transaction, transaction
from handlers.working_days import SHANGHAI
from models.scores import ScoreKind

COUNT = """
INSERT INTO score_events (kind, institution_id, consultant_id, enterprise_id, subject, subject_id, facts, happened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (kind, subject, subject_id) DO NOTHING
"""
REVOKE = "UPDATE score_events SET revoked_at = $4 WHERE kind = $1 AND subject = $2 AND subject_id = $3 AND revoked_at IS NULL"
RESTORE = "UPDATE score_events SET revoked_at = NULL WHERE kind = $1 AND subject = $2 AND subject_id = $3"


async def count(
    tx: Transaction, kind: ScoreKind, subject: str, subject_id: int, *, institution_id: int, consultant_id: int | None = None,
    enterprise_id: int | None = None, **facts: object,
) -> None:
    """Note something that counts, in the commit in which it happened; a second time it changes nothing."""
    await tx.run(COUNT, kind, institution_id, consultant_id, enterprise_id, subject, subject_id, facts, tx.ctx.now)


async def revoke(tx: Transaction, kind: ScoreKind, subject: str, subject_id: int) -> None:
    """It counts no more, from the commit in which it was found false; that it once did stays visible."""
    await tx.run(REVOKE, kind, subject, subject_id, tx.ctx.now)


async def restore(tx: Transaction, kind: ScoreKind, subject: str, subject_id: int) -> None:
    """It was not found false after all: the same event counts again, of the month in which it happened."""
    await tx.run(RESTORE, kind, subject, subject_id)


async def count_completed(tx: Transaction, order: Any) -> None:
    """订单完成, said by the enterprise or ruled by a reviewer."""
    await count(
        tx, ScoreKind.ORDER_COMPLETED, "order", order.id, institution_id=order.institution_id, enterprise_id=order.enterprise_id
    )


async def count_review(tx: Transaction, review: Any) -> None:
    """收到企业评价: a person's, once others can see it."""
    assert not review.is_system, "nobody's opinion"
    await count(
        tx, ScoreKind.REVIEW_RECEIVED, "review", review.id, institution_id=review.institution_id, enterprise_id=review.enterprise_id,
        grade=review.grade,
    )


def month_of(at: datetime) -> int:
    """year * 12 + month - 1 in Shanghai."""
    local = at.astimezone(SHANGHAI)
    return local.year * 12 + local.month - 1


# --- from events to months ---------------------------------------------------------------------------------------------------------

# What is to be counted, or was counted and has been revoked since.
CLAIM = """
SELECT id, institution_id, coalesce(consultant_id, 0) AS consultant, kind, revoked_at IS NOT NULL AS revoked FROM score_events
WHERE counted = (revoked_at IS NOT NULL) ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
# A row for everybody whom an event touches: the institution itself (consultant 0 here, NULL in the table) and the consultant.
ENSURE = f"""
INSERT INTO scores (institution_id, consultant_id, formula_version, month, reviews, transactions, activities, answers, total, activity,
  updated_at)
SELECT institution, nullif(consultant, 0), {VERSION}, $3, {BASE}, 0, 0, 0, {BASE}, 0, $4
FROM unnest($1::bigint[], $2::bigint[]) AS h(institution, consultant) ORDER BY institution, consultant
ON CONFLICT (institution_id, (coalesce(consultant_id, 0))) DO NOTHING
"""
LOCK = """
SELECT s.id, s.institution_id, coalesce(s.consultant_id, 0) AS consultant, s.month, s.formula_version
FROM scores s JOIN unnest($1::bigint[], $2::bigint[]) AS h(institution, consultant)
  ON s.institution_id = h.institution AND coalesce(s.consultant_id, 0) = h.consultant
ORDER BY s.institution_id, coalesce(s.consultant_id, 0) FOR UPDATE OF s
"""
_SUMS = ", ".join(
    f"sum(sign) FILTER (WHERE kind = '{kind}')::int AS {column}" for kind, column in COLUMNS.items()
) + ", sum(sign * value) FILTER (WHERE kind = 'review_received')::int AS review_value, sum(sign * points)::int AS points"
_NAMES = (*COLUMNS.values(), "review_value", "points")
# Events spread to their holders: each counts for the institution, and for the consultant where there is one.
_SPREAD = f"""
  SELECT e.institution_id, h.consultant_id, {MONTH_OF.format(at='e.happened_at')} AS month, e.kind, {{sign}} AS sign,
    {VALUE_OF.format(event='e')} AS value, {POINTS_OF.format(event='e')} AS points
  FROM score_events e CROSS JOIN LATERAL (
    SELECT NULL::bigint UNION ALL SELECT e.consultant_id WHERE e.consultant_id IS NOT NULL) AS h(consultant_id)
"""
# Rows first, sums after: a revoked event is a negative sum, which is no row of its own.
ENSURE_MONTHS = f"""
INSERT INTO score_months (institution_id, consultant_id, month, {', '.join(_NAMES)})
SELECT DISTINCT institution_id, consultant_id, month, {', '.join('0' for _ in _NAMES)}
FROM ({_SPREAD.format(sign='1')} WHERE e.id = ANY($1)) spread ORDER BY institution_id, consultant_id NULLS FIRST, month
ON CONFLICT (institution_id, (coalesce(consultant_id, 0)), month) DO NOTHING
"""
ADD = f"""
WITH added AS (
  SELECT institution_id, consultant_id, month, {_SUMS}
  FROM ({_SPREAD.format(sign="CASE WHEN e.revoked_at IS NULL THEN 1 ELSE -1 END")} WHERE e.id = ANY($1)) spread GROUP BY 1, 2, 3
), turned AS (
  UPDATE score_events SET counted = NOT counted WHERE id = ANY($1)
)
UPDATE score_months m SET {', '.join(f'{name} = m.{name} + coalesce(a.{name}, 0)' for name in _NAMES)}
FROM added a WHERE m.institution_id = a.institution_id AND coalesce(m.consultant_id, 0) = coalesce(a.consultant_id, 0)
  AND m.month = a.month
"""


async def count_events(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: events that are new, or revoked since they were counted. Several workers share the work. Returns how many."""
    async with transaction(ctx) as tx:
        events = await tx.rows(CLAIM, limit)
        if not events:
            return 0
        ids = [event.id for event in events]
        holders = {(event.institution_id, consultant) for event in events for consultant in (0, event.consultant)}
        locked = await _lock_scores(tx, holders)
        now = month_of(ctx.now)
        stale = [score.id for score in locked if score.month < now or score.formula_version != VERSION]
        if stale:  # so that what time has taken is not put down to an event
            await _compute(tx, stale, "decay", {})
        await tx.run(ENSURE_MONTHS, ids)
        await tx.run(ADD, ids)
        await _compute(tx, [score.id for score in locked], "events", _facts(locked, events))
        return len(events)


async def _lock_scores(tx: Transaction, holders: set[tuple[int, int]]) -> list[Any]:
    """By institution and consultant, everywhere: whoever computes from the months holds the score."""
    institutions, consultants = [list(part) for part in zip(*sorted(holders), strict=True)]
    await tx.run(ENSURE, institutions, consultants, month_of(tx.ctx.now), tx.ctx.now)
    return await tx.rows(LOCK, institutions, consultants)


def _facts(locked: Sequence[Any], events: Sequence[Any]) -> dict[str, dict[str, dict[str, int]]]:
    """score id -> component -> kind -> how many more (or fewer)."""
    ids = {(score.institution_id, score.consultant): str(score.id) for score in locked}
    found: dict[str, dict[str, dict[str, int]]] = {}
    for event in events:
        for consultant in {0, event.consultant}:
            part = found.setdefault(ids[event.institution_id, consultant], {}).setdefault(OF_KIND[ScoreKind(event.kind)].name, {})
            part[event.kind] = part.get(event.kind, 0) + (-1 if event.revoked else 1)
    return found


# --- from months to scores ---------------------------------------------------------------------------------------------------------

# One statement: the parts from the months, the new score, and a line for each part that changed.
COMPUTE = f"""
WITH before AS (
  SELECT * FROM scores WHERE id = ANY($1)
), fresh AS (
  SELECT s.id, {PARTS}
  FROM before s LEFT JOIN score_months m
    ON m.institution_id = s.institution_id AND coalesce(m.consultant_id, 0) = coalesce(s.consultant_id, 0)
    AND m.month > $2 - {MONTHS}
  GROUP BY s.id
), written AS (
  UPDATE scores s SET reviews = f.reviews, transactions = f.transactions, activities = f.activities, answers = f.answers,
    total = f.reviews + f.transactions + f.activities + f.answers, activity = f.activity, month = $2, formula_version = {VERSION},
    updated_at = $3
  FROM fresh f WHERE s.id = f.id
)
INSERT INTO score_changes (institution_id, consultant_id, at, component, before, after, cause, facts)
SELECT b.institution_id, b.consultant_id, $3, part.name, part.old, part.new,
  CASE WHEN $4::text = 'decay' AND b.formula_version <> {VERSION} THEN 'formula' ELSE $4 END,
  coalesce($5::jsonb -> b.id::text -> part.name, '{{}}')
FROM before b JOIN fresh f ON f.id = b.id, LATERAL (VALUES
  ('reviews', b.reviews, f.reviews), ('transactions', b.transactions, f.transactions), ('activities', b.activities, f.activities),
  ('answers', b.answers, f.answers)) AS part(name, old, new)
WHERE part.old <> part.new ORDER BY b.id, part.name
"""
STALE = f"""
SELECT id FROM scores WHERE month < $1 OR formula_version <> {VERSION} ORDER BY institution_id, coalesce(consultant_id, 0)
LIMIT $2 FOR UPDATE SKIP LOCKED
"""


async def _compute(tx: Transaction, score_ids: list[int], cause: str, facts: dict[str, dict[str, dict[str, int]]]) -> None:
    await tx.run(COMPUTE, score_ids, month_of(tx.ctx.now), tx.ctx.now, cause, facts)


async def decay_scores(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: scores that are of an earlier month or an earlier formula. Returns how many."""
    async with transaction(ctx) as tx:
        stale = [score.id for score in await tx.rows(STALE, month_of(ctx.now), limit)]
        if stale:
            await _compute(tx, stale, "decay", {})
        return len(stale)


# --- all over again ----------------------------------------------------------------------------------------------------------------

HOLDERS = """
SELECT DISTINCT institution_id AS institution, 0::bigint AS consultant FROM score_events WHERE institution_id = ANY($1)
UNION SELECT institution_id, consultant_id FROM score_events WHERE institution_id = ANY($1) AND consultant_id IS NOT NULL
UNION SELECT institution_id, coalesce(consultant_id, 0) FROM scores WHERE institution_id = ANY($1)
"""
# Events before scores, as the sweep does. What comes after these is left to the sweep, or each would wait for the other.
LOCK_EVENTS = """
SELECT id FROM score_events WHERE institution_id = ANY($1) AND counted = (revoked_at IS NOT NULL) ORDER BY id FOR UPDATE
"""
TURN = "UPDATE score_events SET counted = NOT counted WHERE id = ANY($1)"
FORGET = "DELETE FROM score_months WHERE institution_id = ANY($1)"
REBUILD = f"""
INSERT INTO score_months (institution_id, consultant_id, month, {', '.join(_NAMES)})
SELECT institution_id, consultant_id, month, {', '.join(f'coalesce({name}, 0)' for name in _NAMES)} FROM (
  SELECT institution_id, consultant_id, month, {_SUMS}
  FROM ({_SPREAD.format(sign='1')} WHERE e.institution_id = ANY($1) AND e.counted) spread GROUP BY 1, 2, 3
) summed
"""

async def recompute(ctx: Context, institution_ids: Sequence[int]) -> None:
    """The scores of these institutions and their consultants from their events alone, whatever was counted before."""
    async with transaction(ctx) as tx:
        await recompute_in(tx, list(institution_ids))


async def recompute_in(tx: Transaction, ids: list[int]) -> None:
    events = [event.id for event in await tx.rows(LOCK_EVENTS, ids)]
    holders = {(each.institution, each.consultant) for each in await tx.rows(HOLDERS, ids)}
    if not holders:
        return
    locked = await _lock_scores(tx, holders)
    await tx.run(TURN, events)
    await tx.run(FORGET, ids)
    await tx.run(REBUILD, ids)
    await _compute(tx, [score.id for score in locked], "recomputed", {})
