"""What happens to a demand by itself: reminders, the end after thirty days, and that its contact is forgotten later (D15)."""

from handlers.context import Context
from handlers.demands.posting import close
from handlers.transactions import transaction
from models.categories import CATEGORIES
from models.demands import CloseReason
from models.personal import kept_for

# `reply_by` of the first notice is over; what is said now is that it is overdue.
REMIND = """
WITH due AS (
  SELECT r.id, r.demand_id, r.institution_id FROM demand_responses r
  WHERE r.remind_at <= $1 ORDER BY r.remind_at, r.id LIMIT $2 FOR UPDATE OF r SKIP LOCKED
), marked AS (
  UPDATE demand_responses r SET remind_at = NULL FROM due WHERE r.id = due.id
)
INSERT INTO events (kind, organisation_id, person_id, subject, subject_id, data, created_at)
SELECT 'demand_reminder', due.institution_id, c.person_id, 'demand', d.id,
  jsonb_build_object('title', d.title, 'category', $3::jsonb ->> d.category), $1
FROM due JOIN demands d ON d.id = due.demand_id
LEFT JOIN consultants c ON c.id = d.consultant_id AND c.institution_id = due.institution_id AND c.state = 'active'
"""
LOCK_DUE = """
SELECT * FROM demands WHERE state IN ('held', 'open') AND expires_at <= $1 ORDER BY expires_at, id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
FORGET_CONTACTS = """
UPDATE demands SET contact_name = NULL, contact_phone = NULL WHERE id IN (
  SELECT id FROM demands WHERE state = 'closed' AND contact_name IS NOT NULL AND closed_at <= $1
  ORDER BY closed_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id
"""


async def remind_unviewed(ctx: Context, limit: int = 500) -> int:
    """Two working days without a look: the institution that was chosen hears of it once more. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(REMIND, ctx.now, limit, CATEGORIES)


async def expire_due(ctx: Context, limit: int = 200) -> int:
    """Thirty days without a taker, or without words that pass: closed, and both sides hear of it. Returns how many."""
    async with transaction(ctx) as tx:
        due = await tx.rows(LOCK_DUE, ctx.now, limit)
        for demand in due:
            await close(tx, demand, CloseReason.EXPIRED)
            tx.announce(
                "demand_closed", "demand", demand.id, organisation_id=demand.enterprise_id, title=demand.title, closing=CloseReason.EXPIRED
            )
        return len(due)


async def forget_contacts(ctx: Context, limit: int = 500) -> int:
    """Name and phone of who asked, as long after the closing as models/personal.py says (PIPL 19). Returns how many demands."""
    async with transaction(ctx) as tx:
        forgotten = await tx.rows(FORGET_CONTACTS, ctx.now - kept_for("demands", "contact_phone"), limit)
        for demand in forgotten:
            tx.record("demand.contact_forgotten", "demand", demand.id)
        return len(forgotten)
