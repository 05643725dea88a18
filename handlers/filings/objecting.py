"""异议: the enterprise that a filing names is told of it and may say that it was not so (D17, D18; docs/decisions/0201).

Before it counts, an objection is one of its flags, and whoever approves has seen it. After it counted, it opens a case of its own
before another reviewer. The filing's row is locked in both: so the approval has seen the objection, or the objection the approval.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypedDict

from handlers import appeal_decisions, approvals
from handlers.approvals import Decision, DecisionNotOffered, OwnCase
from handlers.context import Context
from handlers.filings import flags, objections
from handlers.filings.decisions import case_of, restore, revoke, tell
from handlers.filings.writing import FilingStateWrong, place_of
from handlers.paging import Page, PageView, page_of
from handlers.qualifications import NotCertified
from handlers.refusals import Kind, NotFound, Refusal
from handlers.risks import PARTY
from handlers.steps import Steps, may
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.filings import FilingState, ObjectionState

REVIEW_WORKING_DAYS = 5  # of what counts already
FINDING = "经核实，企业异议成立"
STEPS: Steps = {"object": frozenset({FilingState.IN_REVIEW, FilingState.APPROVED})}


class ObjectionTooLate(Refusal):
    """`data.object_by`."""

    kind, code, title = Kind.CONFLICT, "objection_too_late", "已超过提出异议的期限"


class AlreadyObjected(Refusal):
    kind, code, title = Kind.CONFLICT, "already_objected", "已对该备案提出异议"


class ObjectionView(TypedDict):
    state: ObjectionState
    reason: str
    objected_at: datetime
    decided_at: datetime | None
    answer: str | None


class NamingFilingView(TypedDict):
    """A filing that names the acting enterprise, as far as it concerns it: not what the institution tells the reviewer.

    `object_by`: until when it may be objected to. `counts`: for the institution's score.
    """

    id: int
    institution_id: int
    institution: str
    state: FilingState
    happened_on: date
    amount_fen: int
    product: str | None
    order_id: int | None
    submitted_at: datetime
    object_by: datetime | None
    counts: bool
    objection: ObjectionView | None
    allowed_actions: list[str]


# Drafts concern nobody yet; what waits for the institution's correction was told, and will be again.
NAMING = """
SELECT f.*, i.name AS institution, p.name AS product, e.certified_at IS NOT NULL AS is_certified, j.state AS objection_state,
  j.reason AS objection_reason, j.objected_at, j.decided_at AS objection_decided_at, j.answer,
  EXISTS (SELECT 1 FROM score_events s WHERE s.subject = 'filing' AND s.subject_id = f.id AND s.revoked_at IS NULL) AS counts
FROM filings f JOIN organisations i ON i.id = f.institution_id JOIN organisations e ON e.id = f.enterprise_id
LEFT JOIN products p ON p.id = f.product_id
LEFT JOIN filing_objections j ON j.filing_id = f.id AND j.enterprise_id = f.enterprise_id AND j.state <> 'lapsed'
WHERE f.enterprise_id = $1 AND (f.object_by IS NOT NULL OR j.id IS NOT NULL)
"""
LIST = f"{NAMING} AND f.id < $2 ORDER BY f.id DESC LIMIT $3"
ONE = f"{NAMING} AND f.id = $2"
LOCK_NAMING = "SELECT * FROM filings WHERE id = $1 AND enterprise_id = $2 AND object_by IS NOT NULL FOR UPDATE"
INSERT = """
INSERT INTO filing_objections (filing_id, enterprise_id, reason, state, objected_by_id, objected_at)
VALUES ($1, $2, $3, 'open', $4, $5) ON CONFLICT DO NOTHING RETURNING *
"""
APPROVER = """
SELECT decided_by_id FROM approvals WHERE subject = 'filing' AND subject_id = $1 AND state = 'approved' ORDER BY id DESC LIMIT 1
"""
# Whoever decides on an objection changes its filing, which everybody locks first.
LOCK_FILING = "SELECT f.id FROM filings f JOIN filing_objections j ON j.filing_id = f.id WHERE j.id = $1 FOR UPDATE OF f"


# --- the enterprise -------------------------------------------------------------------------------------------------------------


async def list_naming(ctx: Context, page: Page) -> PageView[NamingFilingView]:
    """What institutions filed about the acting enterprise, newest first."""
    before = (page.key() or [2**63 - 1])[0]
    found = await rows(LIST, ctx.organisation_id, before, page.limit + 1)
    return page_of(found, page, lambda filing: _naming(ctx, filing), lambda filing: [filing.id])


async def get_naming(ctx: Context, filing_id: int) -> NamingFilingView:
    """Raises NotFound."""
    found = await row(ONE, ctx.organisation_id, filing_id)
    if found is None:
        raise NotFound
    return _naming(ctx, found)


async def object_to_filing(ctx: Context, filing_id: int, reason: str) -> NamingFilingView:
    """提出异议, once. Raises NotFound, NotCertified, FilingStateWrong, ObjectionTooLate, AlreadyObjected."""
    async with transaction(ctx) as tx:
        filing = await lock_naming(tx, filing_id)
        if not await tx.value(objections.CERTIFIED, ctx.organisation_id):
            raise NotCertified
        if not may(ctx, STEPS, "object", filing.state):
            raise FilingStateWrong(state=filing.state)
        if ctx.now > filing.object_by:
            raise ObjectionTooLate(object_by=filing.object_by.isoformat())
        objection = await tx.row(INSERT, filing.id, ctx.organisation_id, reason, ctx.person_id, ctx.now)
        if objection is None:
            raise AlreadyObjected
        tx.record("filing_objection.made", "filing_objection", objection.id, after=objection.state, filing_id=filing.id)
        if filing.state == FilingState.APPROVED:
            await _open_case(tx, filing, objection)
        else:
            await flags.keep(tx, filing.id, await flags.look_at(tx, filing))
        return tx.reply(_naming(ctx, await tx.row(ONE, ctx.organisation_id, filing.id)), 201)


async def lock_naming(tx: Transaction, filing_id: int) -> Any:
    """Raises NotFound, also before the enterprise was told."""
    filing = await tx.row(LOCK_NAMING, filing_id, tx.ctx.organisation_id)
    if filing is None:
        raise NotFound
    return filing


async def _open_case(tx: Transaction, filing: Any, objection: Any) -> None:
    """What counts already is looked at by another reviewer than who let it count; it counts until that is decided."""
    region_code, park_id = await place_of(tx, filing.institution_id)
    await approvals.open_approval(
        tx, kind=ApprovalKind.OBJECTION, title=f"备案异议：{filing.enterprise_name}"[:100], subject="filing_objection",
        subject_id=objection.id, organisation_id=objection.enterprise_id, role=Role.ADMIN, region_code=region_code, park_id=park_id,
        submitted_by=objection.objected_by_id, due_at=due_after(tx.ctx.now, REVIEW_WORKING_DAYS),
        data={"not_by": [await tx.value(APPROVER, filing.id)]},
    )
    await _tell_filers(tx, filing, ObjectionState.OPEN)


async def _tell_filers(tx: Transaction, filing: Any, finding: ObjectionState) -> None:
    """That it is looked at again, or that it stays as it is; the reason is the reviewer's. A revocation says so itself."""
    await tell(tx, filing, "filing_objected", title=filing.enterprise_name, finding=finding)


# --- what counts already --------------------------------------------------------------------------------------------------------


async def decide_objection(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, _data: Mapping[str, Any]
) -> None:
    """异议成立: the filing is revoked, the enterprise having asked and an official agreed. 不成立: it counts as before.

    Called by `approvals.decide`, which has locked filing and objection. Raises DecisionNotOffered, OwnCase.
    """
    if decision is Decision.RETURN:
        raise DecisionNotOffered
    objection = await tx.row("SELECT * FROM filing_objections WHERE id = $1", approval.subject_id)
    filing = await tx.row("SELECT * FROM filings WHERE id = $1", objection.filing_id)
    if await tx.value(PARTY, ctx.person_id, [filing.institution_id, filing.enterprise_id]):
        raise OwnCase
    if decision is Decision.REJECT:
        await objections.answer(tx, filing, objection, ObjectionState.DISMISSED, reason)
        await _tell_filers(tx, filing, ObjectionState.DISMISSED)
        return
    await objections.answer(tx, filing, objection, ObjectionState.UPHELD, reason)
    finding = reason or FINDING
    await revoke(
        tx, filing, finding, revoke_reason=finding, revoke_proposed_by_id=objection.objected_by_id,
        revoke_proposed_at=objection.objected_at,
    )


async def reopen(tx: Transaction, was: Any) -> int | None:
    """The institution's appeal was right: it counts as before, and the objection is before another reviewer. Returns the working days.

    None where the order has been filed anew.
    """
    await tx.row(LOCK_FILING, was.subject_id)
    filing = await tx.row("SELECT f.* FROM filings f JOIN filing_objections j ON j.filing_id = f.id WHERE j.id = $1", was.subject_id)
    if not await restore(tx, filing):
        return None
    await objections.reopen_upheld(tx, filing.id)
    await _tell_filers(tx, filing, ObjectionState.OPEN)
    return REVIEW_WORKING_DAYS


async def _facts(ctx: Context, approval: Any) -> dict[str, Any]:
    """What was filed, what was odd about it when it was let through, and what the enterprise says."""
    found = await row("SELECT filing_id, reason, objected_at FROM filing_objections WHERE id = $1", approval.subject_id)
    return {"objection": {"reason": found.reason, "objected_at": found.objected_at}, **await case_of(ctx, found.filing_id)}


approvals.DECIDERS[ApprovalKind.OBJECTION] = decide_objection
approvals.DETAILS[ApprovalKind.OBJECTION] = _facts
approvals.SUBJECTS["filing_objection"] = "filing_objections"
approvals.LOCKED_BEFORE["filing_objection"] = LOCK_FILING
appeal_decisions.REOPEN[ApprovalKind.OBJECTION] = reopen
appeal_decisions.OTHER_SIDE["filing_objection"] = "SELECT enterprise_id FROM filing_objections WHERE id = $1"


def _naming(ctx: Context, filing: Any) -> NamingFilingView:
    objection: ObjectionView | None = None
    if filing.objection_state is not None:
        objection = {
            "state": ObjectionState(filing.objection_state), "reason": filing.objection_reason, "objected_at": filing.objected_at,
            "decided_at": filing.objection_decided_at, "answer": filing.answer,
        }
    may_object = (
        objection is None and filing.is_certified and may(ctx, STEPS, "object", filing.state) and filing.object_by is not None
        and ctx.now <= filing.object_by
    )
    return {
        "id": filing.id, "institution_id": filing.institution_id, "institution": filing.institution,
        "state": FilingState(filing.state), "happened_on": filing.happened_on, "amount_fen": filing.amount_fen,
        "product": filing.product, "order_id": filing.order_id, "submitted_at": filing.submitted_at, "object_by": filing.object_by,
        "counts": filing.counts, "objection": objection, "allowed_actions": ["object"] if may_object else [],
    }
