"""The reviewers' daily digest: at nine on working days, what waits; once a day and person, caught up once after a downtime (F11)."""

from datetime import datetime, time

from handlers.context import Context
from handlers.transactions import transaction
from handlers.working_days import SHANGHAI, is_working_day
from models.accounts import Role

AT = time(9)
ROLES = (Role.REVIEWER, Role.CENTRE_REVIEWER, Role.RISK_OFFICER, Role.ADMIN)

# What came after nine is no part of it: it has been told of by itself. The prefix is prefix_of (handlers/regions.py) once more.
SEND = """
WITH members AS (
  SELECT m.person_id, m.role, m.park_id, CASE
    WHEN m.region_code LIKE '__0000' THEN left(m.region_code, 2)
    WHEN m.region_code LIKE '____00' AND substr(m.region_code, 3, 2) <> '90' THEN left(m.region_code, 4)
    ELSE m.region_code END AS prefix
  FROM memberships m WHERE m.state = 'active' AND m.role = ANY($1)
    AND NOT EXISTS (SELECT FROM review_digests d WHERE d.person_id = m.person_id AND d.day = $2)
), due AS (
  SELECT m.person_id, count(DISTINCT a.id) AS waiting, count(DISTINCT a.id) FILTER (WHERE a.due_at <= $4) AS late,
    min(a.submitted_at) AS oldest
  FROM members m JOIN approvals a ON a.state = 'open' AND a.role = m.role AND a.submitted_at <= $3
    AND CASE WHEN m.park_id IS NOT NULL THEN a.park_id = m.park_id ELSE m.prefix IS NULL OR starts_with(a.region_code, m.prefix) END
  GROUP BY m.person_id ORDER BY m.person_id LIMIT $5
), sent AS (
  INSERT INTO review_digests (person_id, day, waiting, late, sent_at) SELECT person_id, $2, waiting, late, $4 FROM due
  ON CONFLICT (person_id, day) DO NOTHING RETURNING id, person_id
)
INSERT INTO events (kind, person_id, subject, subject_id, data, created_at)
SELECT 'review_digest', due.person_id, 'digest', sent.id,
       jsonb_build_object('waiting', due.waiting, 'late', nullif(due.late, 0), 'oldest', due.oldest, 'day', $2::date), $4
FROM due JOIN sent USING (person_id)
"""


async def send_digests(ctx: Context, limit: int = 500) -> int:
    """Tell each reviewer for whom something has been waiting since nine. Returns how many; on other days, and before nine, none."""
    local = ctx.now.astimezone(SHANGHAI)
    if local.time() < AT or not is_working_day(local.date()):
        return 0
    nine = datetime.combine(local.date(), AT, SHANGHAI)
    async with transaction(ctx) as tx:
        return await tx.run(SEND, [str(role) for role in ROLES], local.date(), nine, ctx.now, limit)
