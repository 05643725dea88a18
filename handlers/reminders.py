"""What people are reminded of in time (F05): vouchers that expire, a window that closes, a form that was left unfinished.

Vouchers: thirty, seven and one day before, and on the last day at 18:00. Whatever could be done by the morning is told by day only:
a reminder that waits for the end of the night may come after it was heeded.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from handlers.application_kinds import KINDS
from handlers.context import Context
from handlers.reservation_rules import HIDDEN
from handlers.rounds import LOCK, LONG_SECONDS, YEAR, allow_long_statements, each_due
from handlers.transactions import transaction
from handlers.wallet import shanghai_date
from handlers.working_days import SHANGHAI
from models.approvals import ApplicationKind


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


# --- what can still be done ------------------------------------------------------------------------------------------

DAY_BEGINS, DAY_ENDS = time(9), time(21)
UNFINISHED_AFTER, UNFINISHED_UNTIL = timedelta(days=3), timedelta(days=30)
CLOSING = """
SELECT id FROM rounds WHERE state = 'open' AND closing_told_at IS NULL AND closes_at > $1
  AND closes_at < (date_trunc('day', $1 AT TIME ZONE 'Asia/Shanghai') + interval '2 days') AT TIME ZONE 'Asia/Shanghai'
"""
# Whoever could take a ticket and has none; who took it back has decided. A win that is not public yet counts for nothing here: who
# hears nothing would know of it.
TELL_CLOSING = f"""
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'round_closing', o.id, 'round', r.id, jsonb_build_object('round', r.name, 'closes_at', r.closes_at, 'ends_at', r.closes_at), $2
FROM rounds r JOIN applications a ON a.programme_id = r.programme_id AND a.kind = 'qualification' AND a.state = 'approved'
JOIN organisations o ON o.id = a.organisation_id
WHERE r.id = $1 AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL
  AND NOT EXISTS (SELECT FROM reservations v WHERE v.round_id = r.id AND v.organisation_id = o.id)
  AND EXISTS (
    SELECT FROM round_quotas q JOIN voucher_types t ON t.id = q.voucher_type_id WHERE q.round_id = r.id
      AND (r.allocation = 'lottery'
        OR EXISTS (SELECT FROM round_shares s WHERE s.round_id = r.id AND s.voucher_type_id = t.id AND s.remaining > 0))
      AND (t.annual_win_cap IS NULL OR t.annual_win_cap > (
        SELECT count(*) FROM reservations w WHERE w.organisation_id = o.id AND w.voucher_type_id = t.id
          AND w.win_year = {YEAR.format(round="r")} AND w.win_nth IS NOT NULL AND NOT ({HIDDEN}))))
ORDER BY o.id
"""


def is_day(now: datetime) -> bool:
    return DAY_BEGINS <= now.astimezone(SHANGHAI).time() < DAY_ENDS


async def remind_closing(ctx: Context, limit: int = 20) -> int:
    """`round_closing`, once a round, from nine in the morning of the day before its window closes. Returns how many rounds."""
    return await each_due(ctx, CLOSING + "ORDER BY closes_at, id LIMIT $2", _tell_closing, limit) if is_day(ctx.now) else 0


async def _tell_closing(ctx: Context, round_id: int) -> bool:
    """Nothing is locked but the round's own row: whoever reserves meanwhile does not wait."""
    async with transaction(ctx) as tx:
        await allow_long_statements(tx)
        if await tx.row(f"{CLOSING} AND id = $2 {LOCK}", ctx.now, round_id) is None:
            return False
        await tx.connection.execute(TELL_CLOSING, round_id, ctx.now, timeout=LONG_SECONDS)
        await tx.run("UPDATE rounds SET closing_told_at = $2 WHERE id = $1", round_id, ctx.now)
        return True


UNFINISHED = """
UPDATE applications a SET reminded_at = $1 FROM (
  SELECT id FROM applications WHERE state IN ('draft', 'returned') AND (reminded_at IS NULL OR reminded_at < updated_at)
    AND updated_at BETWEEN $2 AND $3 ORDER BY updated_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
) idle WHERE a.id = idle.id RETURNING a.id, a.organisation_id, a.kind, a.state
"""


async def remind_unfinished(ctx: Context, limit: int = 500) -> int:
    """`application_unfinished` for a draft, or a form that was returned, after three days without a change; once for each such rest."""
    if not is_day(ctx.now):
        return 0
    async with transaction(ctx) as tx:
        idle = await tx.rows(UNFINISHED, ctx.now, ctx.now - UNFINISHED_UNTIL, ctx.now - UNFINISHED_AFTER, limit)
        for each in idle:
            tx.announce(
                "application_unfinished", "application", each.id, organisation_id=each.organisation_id,
                title=KINDS[ApplicationKind(each.kind)].title, reason="returned" if each.state == "returned" else None,
            )
        return len(idle)
