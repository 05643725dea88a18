"""回避: a reviewer steps aside from a case before deciding it; the queue is the others' (F12)."""

from typing import Any

from handlers.approvals import LOCK, ONE, REASON_MAX, SUBJECTS, AlreadyDecided, ApprovalView, ReasonNeeded, Recused, reach_of, view
from handlers.context import Context
from handlers.refusals import NotFound
from handlers.transactions import transaction
from models.approvals import ApprovalState


async def recuse(ctx: Context, approval_id: int, reason: str) -> ApprovalView:
    """Never decide this case; its other reviewers are told again that it waits. Raises NotFound, AlreadyDecided, ReasonNeeded, Recused."""
    said = reason.strip()
    if not said or len(said) > REASON_MAX:
        raise ReasonNeeded(max=REASON_MAX)
    async with transaction(ctx) as tx:
        seen = await tx.row(ONE, *reach_of(ctx.actor), approval_id)
        if seen is None:
            raise NotFound
        await tx.row(LOCK.format(SUBJECTS[seen.subject]), seen.subject_id)
        await tx.row(LOCK.format("approvals"), approval_id)
        approval: Any = await tx.row(ONE, *reach_of(ctx.actor), approval_id)
        if approval.state != ApprovalState.OPEN:
            raise AlreadyDecided(state=approval.state, by=None, at=approval.decided_at.isoformat())
        gone = approval.data.get("recused", [])
        if ctx.person_id in gone:
            raise Recused
        await tx.run("UPDATE approvals SET data = $2 WHERE id = $1", approval_id, {**approval.data, "recused": [*gone, ctx.person_id]})
        tx.record("approval.recused", "approval", approval_id, reason=said)
        tx.announce(
            "approval_waiting", "approval", approval_id, role=approval.role, region_code=approval.region_code, park_id=approval.park_id,
            approval_kind=approval.kind, title=approval.title, applicant=approval.organisation_name, due_at=approval.due_at.isoformat(),
        )
        return tx.reply(view(ctx, approval))
