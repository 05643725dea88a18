"""What an organisation may still appeal against: its rejected cases whose fifteen working days are not over (F10)."""

from datetime import datetime, timedelta
from typing import TypedDict

from handlers.appeals import FILING_WORKING_DAYS
from handlers.context import Context
from handlers.transactions import rows
from handlers.working_days import due_after

# Fifteen working days with the longest holiday in between.
LOOKED_BACK = timedelta(days=45)
REJECTED = """
SELECT a.id, a.kind, a.title, a.subject, a.subject_id, a.decided_at, a.reason FROM approvals a
WHERE a.organisation_id = $1 AND a.state = 'rejected' AND a.decided_at > $2 AND a.kind <> 'appeal'
  AND NOT EXISTS (SELECT FROM appeals p WHERE p.approval_id = a.id)
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
    rejected = await rows(REJECTED, ctx.organisation_id, ctx.now - LOOKED_BACK)
    found = [(one, due_after(one.decided_at, FILING_WORKING_DAYS)) for one in rejected]
    return [{"title": one.title, "reason": one.reason, "decided_at": one.decided_at, "until": until}
            for one, until in found if ctx.now <= until]
