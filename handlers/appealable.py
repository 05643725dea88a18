"""What an organisation may still appeal against: its rejected cases, revoked filings and lost wins, for fifteen working days (F10)."""

from datetime import datetime, timedelta
from typing import TypedDict

from handlers.appeal_decisions import SUBJECTS
from handlers.appeals import FILING_WORKING_DAYS
from handlers.context import Context
from handlers.transactions import rows
from handlers.working_days import due_after

# Fifteen working days with the longest holiday in between.
LOOKED_BACK = timedelta(days=45)
DECIDED = """
WITH against AS (
  SELECT id, reason FROM approvals WHERE organisation_id = $1 AND state = 'rejected' AND kind = ANY($3) AND decided_at > $2
  UNION ALL SELECT a.id, f.revoke_reason FROM filings f JOIN filing_objections j ON j.filing_id = f.id
  JOIN approvals a ON a.subject = 'filing_objection' AND a.subject_id = j.id AND a.state = 'approved'
  WHERE f.institution_id = $1 AND f.state = 'revoked' AND f.revoked_at > $2
  UNION ALL SELECT a.id, a.data->>'reason' FROM approvals a JOIN reservations v ON v.id = a.subject_id
  WHERE a.organisation_id = $1 AND a.subject = 'reservation' AND a.state = 'approved' AND a.decided_at > $2 AND v.state = 'disqualified'
)
SELECT a.title, a.decided_at, against.reason FROM against JOIN approvals a ON a.id = against.id
WHERE NOT EXISTS (SELECT FROM appeals p WHERE p.approval_id = a.id)
  AND NOT EXISTS (SELECT FROM approvals n WHERE n.subject = a.subject AND n.subject_id = a.subject_id AND n.id > a.id)
ORDER BY a.decided_at DESC LIMIT 20
"""


class AppealableView(TypedDict):
    title: str
    reason: str | None
    decided_at: datetime
    until: datetime


async def list_appealable(ctx: Context) -> list[AppealableView]:
    """Newest first; a handful."""
    decided = await rows(DECIDED, ctx.organisation_id, ctx.now - LOOKED_BACK, list(SUBJECTS))
    found = [(one, due_after(one.decided_at, FILING_WORKING_DAYS)) for one in decided]
    return [{"title": one.title, "reason": one.reason, "decided_at": one.decided_at, "until": until}
            for one, until in found if ctx.now <= until]
