"""The reminder ladder before vouchers expire (F05): thirty, seven and one day before, and on the last day at 18:00."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from handlers.context import Context
from handlers.transactions import transaction
from handlers.wallet import shanghai_date
from handlers.working_days import SHANGHAI


@dataclass(frozen=True, slots=True)
class Rung:
    """Due `days` before the last day, at `at` in Shanghai; over when the next rung is due."""

    name: str
    days: int
    at: time


LADDER = (
    Rung("T-30", 30, time(9)),
    Rung("T-7", 7, time(9)),
    Rung("T-1", 1, time(9)),
    Rung("T-0", 0, time(18)),
)

# One sum for all types of one last day: a name alone would say that it is all of that type. A template's field has twenty characters.
# What it could buy is looked for once for each type and city, not for each enterprise.
HINTS = 3
REMIND = """
WITH due AS (
  SELECT l.organisation_id, l.valid_until, sum(l.available_fen)::bigint AS fen, min(t.name) AS name,
    nullif(count(DISTINCT t.id), 1) AS types, min(l.expires_at) AS ends_at, (array_agg(t.id ORDER BY t.name))[1] AS type_id,
    min(left(o.region_code, 4)) AS city
  FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id JOIN organisations o ON o.id = l.organisation_id
  WHERE l.available_fen > 0 AND l.valid_until BETWEEN $2 AND $3
    AND NOT EXISTS (SELECT 1 FROM reminders r
                    WHERE r.organisation_id = l.organisation_id AND r.valid_until = l.valid_until AND r.rung = $1)
  GROUP BY l.organisation_id, l.valid_until LIMIT $5
), hints AS (
  SELECT place.type_id, place.city, string_agg('「' || p.name || '」', '' ORDER BY p.is_recommended DESC, p.id) AS products
  FROM (SELECT DISTINCT type_id, city FROM due WHERE city IS NOT NULL) place, LATERAL (
    SELECT p.id, p.name, p.is_recommended
    FROM deductions d JOIN products p ON p.id = d.product_id JOIN organisations i ON i.id = p.organisation_id
    WHERE d.voucher_type_id = place.type_id AND p.state = 'listed' AND starts_with(p.region_code, place.city)
      AND i.certified_at IS NOT NULL AND i.suspended_at IS NULL
    ORDER BY p.is_recommended DESC, p.id LIMIT $6
  ) p GROUP BY place.type_id, place.city
), sent AS (
  INSERT INTO reminders (organisation_id, valid_until, rung, sent_at) SELECT organisation_id, valid_until, $1, $4 FROM due
  ON CONFLICT DO NOTHING RETURNING organisation_id, valid_until
)
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'voucher_expiring', due.organisation_id, 'wallet', due.organisation_id,
       jsonb_build_object('balance_fen', fen, 'valid_until', valid_until, 'name', name, 'types', types, 'rung', $1, 'ends_at', ends_at,
         'products', products,
         'voucher_type', CASE WHEN types IS NULL THEN name ELSE left(name, 14) || '等' || types || '种' END), $4
FROM due JOIN sent USING (organisation_id, valid_until) LEFT JOIN hints USING (type_id, city)
"""


def last_days(rung: Rung, following: Rung | None, now: datetime) -> tuple[int, int]:
    """Lots whose last day lies so many days ahead (from, to inclusive) are on this rung now.

    A rung that was missed because the jobs were down is skipped when the next one is due: one reminder, not two.
    """
    local = now.astimezone(SHANGHAI)
    furthest = rung.days if local.time() >= rung.at else rung.days - 1
    if following is None:
        return 0, furthest
    return (following.days + 1 if local.time() >= following.at else following.days), furthest


async def remind_expiring(ctx: Context, limit: int = 1_000) -> int:
    """Announce `voucher_expiring` to every enterprise with vouchers on a rung; each rung once. Returns how many."""
    today, sent = shanghai_date(ctx.now), 0
    for rung, following in zip(LADDER, (*LADDER[1:], None), strict=True):
        nearest, furthest = last_days(rung, following, ctx.now)
        if nearest > furthest:
            continue
        async with transaction(ctx) as tx:
            sent += await tx.run(
                REMIND, rung.name, today + timedelta(days=nearest), today + timedelta(days=furthest), ctx.now, limit, HINTS
            )
    return sent
