"""Nobody has taken a demand up in four working days: the enterprise is offered three others, and forwards it with one call (D14)."""

from collections.abc import Sequence
from typing import Any

from handlers.context import Context
from handlers.demands.posting import ask_institution, refuse_unless
from handlers.demands.rules import (
    ALTERNATIVES_WORKING_DAYS,
    CERTIFIED,
    RELATED,
    REMIND_WORKING_DAYS,
    SERVES,
    WITHIN_REACH,
    AddresseeNotAvailable,
    closed_to,
    facts,
    lock_posted,
    refuse_related,
    require_within_reach,
)
from handlers.demands.views import DemandView, demand_view
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, transaction
from handlers.working_days import due_after
from models.demands import ResponseState

OFFERED = 3


class NotAnAlternative(Refusal):
    kind, code, title = Kind.INVALID, "not_an_alternative", "只能转发给平台推荐的机构"


class AlreadyForwarded(Refusal):
    kind, code, title = Kind.CONFLICT, "already_forwarded", "已转发给该机构"


LOCK_DUE = """
SELECT * FROM demands WHERE state = 'open' AND alternatives_at <= $1 ORDER BY alternatives_at, id LIMIT $2
FOR NO KEY UPDATE SKIP LOCKED
"""
# Of the same province. First who sits in the district, then in its city; among them by the share of good reviews, then by the share
# of demands they took up of those addressed to them, both smoothed, so that one good review is not more than a hundred. Then by id.
ALTERNATIVES = f"""
WITH related AS MATERIALIZED ({RELATED}), certified AS NOT MATERIALIZED ({CERTIFIED})
INSERT INTO demand_alternatives (demand_id, institution_id, rank, offered_at)
SELECT $3::bigint, id, row_number() OVER (ORDER BY here DESC, near DESC, liked DESC, answers DESC, id), $6::timestamptz
FROM (
  SELECT o.id, o.region_code = $4::text AS here, starts_with(o.region_code, left($4::text, 4)) AS near, v.liked, a.answers
  FROM organisations o
  CROSS JOIN LATERAL (SELECT (count(*) FILTER (WHERE grade = 'good') + 1.0) / (count(*) + 2) AS liked
                      FROM reviews WHERE institution_id = o.id AND NOT is_system) v
  CROSS JOIN LATERAL (SELECT (count(taken_at) + 1.0) / (count(*) + 2) AS answers
                      FROM demand_responses WHERE institution_id = o.id AND is_chosen) a
  WHERE starts_with(o.region_code, left($4::text, 2)) AND {SERVES} AND NOT EXISTS (SELECT 1 FROM related WHERE related.id = o.id)
    AND NOT EXISTS (SELECT 1 FROM demand_responses r WHERE r.demand_id = $3::bigint AND r.institution_id = o.id
                    AND (r.is_chosen OR r.state = 'passed'))
    AND NOT EXISTS (SELECT 1 FROM demand_alternatives t WHERE t.demand_id = $3::bigint AND t.institution_id = o.id)
    AND ({WITHIN_REACH.format(closed="$7")})
  ORDER BY here DESC, near DESC, liked DESC, answers DESC, o.id LIMIT $5::int
) ranked
RETURNING institution_id, rank
"""
LOCK_ALTERNATIVE = """
SELECT t.*, o.certified_at IS NOT NULL AND o.suspended_at IS NULL AS is_open
FROM demand_alternatives t JOIN organisations o ON o.id = t.institution_id
WHERE t.demand_id = $1 AND t.institution_id = $2 FOR UPDATE OF t
"""
# An institution that knew of an open demand has now been chosen: it takes no place, and its two days begin.
ADDRESS = """
UPDATE demand_responses SET is_chosen = true, notified_at = CASE WHEN state = 'notified' THEN $3 ELSE notified_at END,
  remind_at = CASE WHEN state = 'notified' THEN $4::timestamptz END
WHERE demand_id = $1 AND institution_id = $2 RETURNING state
"""


async def offer_alternatives(ctx: Context, limit: int = 50) -> int:
    """Four working days without a taker: three others, once for each turn. Returns how many demands."""
    async with transaction(ctx) as tx:
        due = await tx.rows(LOCK_DUE, ctx.now, limit)
        for demand in due:
            await tx.run("UPDATE demands SET alternatives_at = NULL WHERE id = $1", demand.id)
            found = await tx.rows(
                ALTERNATIVES, demand.enterprise_id, demand.category, demand.id, demand.region_code, OFFERED, ctx.now,
                await closed_to(tx, demand.enterprise_id),
            )
            ranked = [one.institution_id for one in sorted(found, key=lambda one: one.rank)]
            tx.record("demand.alternatives_offered", "demand", demand.id, institutions=ranked)
            if found:
                tx.announce(
                    "demand_alternatives", "demand", demand.id, organisation_id=demand.enterprise_id, title=demand.title, count=len(found)
                )
        return len(due)


async def forward_demand(ctx: Context, demand_id: int, institution_ids: Sequence[int]) -> DemandView:
    """一键转发 to institutions that were offered; whom it was addressed to before keeps it. Four new working days begin.

    Raises NotFound, DemandTaken, DemandClosed, DemandHeld, NotAnAlternative, AlreadyForwarded, AddresseeNotAvailable, RelatedAddressee,
    OutsideZone.
    """
    async with transaction(ctx) as tx:
        demand = await lock_posted(ctx, tx, demand_id)
        refuse_unless(ctx, demand, "forward")
        for institution_id in sorted(set(institution_ids)):
            await _forward(ctx, tx, demand, institution_id)
        await tx.run(
            "UPDATE demands SET alternatives_at = $2, updated_at = $3 WHERE id = $1", demand_id,
            due_after(ctx.now, ALTERNATIVES_WORKING_DAYS), ctx.now,
        )
        return tx.reply(await demand_view(ctx, tx, demand_id))


async def _forward(ctx: Context, tx: Transaction, demand: Any, institution_id: int) -> None:
    alternative = await tx.row(LOCK_ALTERNATIVE, demand.id, institution_id)
    if alternative is None:
        raise NotAnAlternative
    if alternative.forwarded_at is not None:
        raise AlreadyForwarded
    if not alternative.is_open:
        raise AddresseeNotAvailable
    await refuse_related(tx, ctx.organisation_id, institution_id)
    await require_within_reach(tx, ctx.organisation_id, institution_id)
    await tx.run("UPDATE demand_alternatives SET forwarded_at = $2 WHERE id = $1", alternative.id, ctx.now)
    due_at = due_after(ctx.now, REMIND_WORKING_DAYS)
    known = await tx.row(ADDRESS, demand.id, institution_id, ctx.now, due_at)
    if known is None:
        await ask_institution(tx, demand, institution_id)
    elif known.state == ResponseState.PASSED:
        raise AddresseeNotAvailable
    else:
        told = await facts(tx, demand) | {"reply_by": due_at.isoformat()}
        tx.announce("demand_posted", "demand", demand.id, organisation_id=institution_id, **told)
    tx.record("demand.forwarded", "demand", demand.id, institution_id=institution_id)
