"""Deciding in a conversation: which cases may be, and that what is decided is what was shown (rules 1-8 of decision 0191)."""

import hashlib
from typing import Any, TypedDict

import orjson

from handlers import approvals
from handlers.approvals import ONE, ApprovalView, Decision, reach_of
from handlers.context import Context
from handlers.paging import Page
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import row
from models.approvals import ApplicationKind, ApprovalKind, ApprovalState

VERSION_BYTES = 6

# Money, unfreezing and what needs more than a yes: with the case open before one's eyes, not by a tap (rule 7). An appeal may unfreeze,
# a dispute and a payment move vouchers, a redemption moves money, an approved amount is a sum, an objection takes away what counts.
NEEDS_APP = frozenset({
    ApprovalKind.PAYMENT, ApprovalKind.REDEMPTION, ApprovalKind.DISPUTE, ApprovalKind.APPEAL, ApprovalKind.OBJECTION,
    ApprovalKind.DRAW_OBJECTION, ApprovalKind.DISQUALIFICATION,
})
FORMS_WITH_SUMS = frozenset({ApplicationKind.APPROVED_AMOUNT})


class DecisionNeedsApp(Refusal):
    kind, code, title = Kind.FORBIDDEN, "decision_needs_app", "该事项涉及资金或权益，请在小程序中办理"


class CaseChanged(Refusal):
    """`data.version`: what it is now."""

    kind, code, title = Kind.CONFLICT, "case_changed", "该事项已有变化，请查看后重新办理"


class ChatCaseView(TypedDict):
    """`version` tells one state of a case from the next. `stage`: of a case that two people decide, 1/2 or 2/2."""

    approval: ApprovalView
    version: str
    needs_app: bool
    stage: str | None
    changed: list[str]
    files: int
    turns: int
    last_reason: str | None


EXTRA = """
SELECT a.data, (SELECT f.kind FROM applications f WHERE a.subject = 'application' AND f.id = a.subject_id) AS form_kind,
  (SELECT r.prepared_at IS NOT NULL FROM redemptions r WHERE a.subject = 'redemption' AND r.id = a.subject_id) AS prepared
FROM approvals a WHERE a.id = $1
"""


def version_of(approval: Any) -> str:
    """Changes with whatever a decision rests on: its state, when it was submitted, what was submitted."""
    told = [approval.id, approval.state, approval.submitted_at.isoformat(), approval.data]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:2 * VERSION_BYTES]


async def chat_case(ctx: Context, approval_id: int) -> ChatCaseView:
    """A case as a card shows it. Raises NotFound, also for what is outside the jurisdiction."""
    found = await read_case(ctx, approval_id)
    case = await approvals.open_case(ctx, approval_id)
    extra = await row(EXTRA, approval_id)
    history = case["history"]
    return {
        "approval": case["approval"], "version": version_of(found), "needs_app": _needs_app(found.kind, extra.form_kind),
        "stage": None if extra.prepared is None else "2/2" if extra.prepared else "1/2",
        "changed": [field["title"] for field in case["facts"].get("fields", []) if field["is_changed"]],
        "files": len(case["facts"].get("files", [])), "turns": len(history) + 1,
        "last_reason": next((past["reason"] for past in history if past["reason"]), None),
    }


async def read_case(ctx: Context, approval_id: int) -> Any:
    """Raises NotFound."""
    found = await row(ONE, *reach_of(ctx.actor), approval_id)
    if found is None:
        raise NotFound
    return found


def _needs_app(kind: str, form_kind: str | None) -> bool:
    return kind in NEEDS_APP or form_kind in FORMS_WITH_SUMS


async def first_cases(ctx: Context, count: int) -> list[ChatCaseView]:
    """The oldest open cases of the official's queue."""
    page = await approvals.list_approvals(ctx, ApprovalState.OPEN, None, Page(limit=count))
    return [await chat_case(ctx, approval["id"]) for approval in page["items"]]


async def decide_in_chat(ctx: Context, approval_id: int, version: str, decision: Decision, reason: str | None = None) -> ApprovalView:
    """Decide what was shown. Raises DecisionNeedsApp, CaseChanged, and what approvals.decide raises.

    A case is never changed while it is open without a new turn, so what was looked at here is what is decided there.
    """
    found = await read_case(ctx, approval_id)
    extra = await row(EXTRA, approval_id)
    if _needs_app(found.kind, extra.form_kind):
        raise DecisionNeedsApp
    if found.state == ApprovalState.OPEN and version_of(found) != version:
        raise CaseChanged(version=version_of(found))
    return await approvals.decide(ctx, approval_id, decision, reason=reason)
