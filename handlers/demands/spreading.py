"""An open demand reaches the institutions that serve its category in its district: in waves, each of them one statement (D15)."""

from datetime import timedelta
from typing import Any

from handlers.context import Context
from handlers.demands.rules import CERTIFIED, RELATED, SERVES, WITHIN_REACH, closed_to, facts
from handlers.regions import prefix_of
from handlers.transactions import Transaction, transaction
from models.demands import TAKERS_MAX

# Three institutions can take it up; a wave is enough for that nearly always, and whom it does not need it does not disturb.
WAVE, WAVE_EVERY = 200, timedelta(minutes=1)

LOCK_DUE = """
SELECT * FROM demands WHERE spread_at <= $1 ORDER BY spread_at, id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
# $3 the demand, $4 what the institutions' codes begin with. The order is by lot and the same whenever it is asked: no institution
# is always among the first, and a wave begins where the one before ended.
SPREAD = f"""
WITH related AS MATERIALIZED ({RELATED}), certified AS NOT MATERIALIZED ({CERTIFIED}), chosen AS (
  SELECT o.id FROM organisations o
  WHERE starts_with(o.region_code, $4::text) AND {SERVES} AND NOT EXISTS (SELECT 1 FROM related WHERE related.id = o.id)
    AND NOT EXISTS (SELECT 1 FROM demand_responses r WHERE r.demand_id = $3::bigint AND r.institution_id = o.id)
    AND ({WITHIN_REACH.format(closed="$8")})
  ORDER BY md5($3::bigint::text || ':' || o.id), o.id LIMIT $5::int
), made AS (
  INSERT INTO demand_responses (demand_id, institution_id, state, is_chosen, notified_at)
  SELECT $3::bigint, id, 'notified', false, $6::timestamptz FROM chosen
  ON CONFLICT (demand_id, institution_id) DO NOTHING RETURNING institution_id
)
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'demand_posted', institution_id, 'demand', $3::bigint, $7::jsonb, $6::timestamptz FROM made
"""
PLACES_TAKEN = "SELECT count(*) FROM demand_responses WHERE demand_id = $1 AND place IS NOT NULL"


async def spread_due(ctx: Context, limit: int = 5) -> int:
    """The next wave of up to `limit` open demands. Returns how many demands; none waits for the other."""
    async with transaction(ctx) as tx:
        due = await tx.rows(LOCK_DUE, ctx.now, limit)
        for demand in due:
            told = await _wave(ctx, tx, demand)
            more = told == WAVE
            await tx.run("UPDATE demands SET spread_at = $2 WHERE id = $1", demand.id, ctx.now + WAVE_EVERY if more else None)
            tx.record("demand.spread", "demand", demand.id, institutions=told)
        return len(due)


async def _wave(ctx: Context, tx: Transaction, demand: Any) -> int:
    """How many institutions were told; none when all places are taken or its time is over."""
    if demand.expires_at <= ctx.now or await tx.value(PLACES_TAKEN, demand.id) >= TAKERS_MAX:
        return 0
    return await tx.run(
        SPREAD, demand.enterprise_id, demand.category, demand.id, prefix_of(demand.region_code), WAVE, ctx.now, await facts(tx, demand),
        await closed_to(tx, demand.enterprise_id),
    )
