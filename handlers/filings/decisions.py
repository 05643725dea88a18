"""The administrator's side of filings: approval after every flag was seen, and the revocation of what was found false (D17, D18, D21).

What is approved counts in the same commit, for the institution and the consultant, once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from handlers import appeal_decisions, approvals, scores
from handlers.approvals import REACH, Decision, DecisionIncomplete, OwnCase, reach_of
from handlers.context import Context
from handlers.filings import flags, objections
from handlers.filings.views import SHOWN, FiledCaseView, FilingView, flag_view, flags_of, view, view_of
from handlers.filings.writing import REVIEW_WORKING_DAYS, TITLES, FilingStateWrong, acting, link_enterprise
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, NotFound, Refusal, SecondPersonNeeded
from handlers.risks import PARTY
from handlers.transactions import Transaction, row, rows, transaction
from models.approvals import ApprovalKind
from models.filings import FILING_GRAPH, FilingKind, FilingState, FlagKind, ObjectionState
from models.scores import ScoreKind

FOUND = {Decision.APPROVE: ObjectionState.DISMISSED, Decision.REJECT: ObjectionState.UPHELD}
COUNTS = {FilingKind.TRANSACTION: ScoreKind.TRANSACTION_FILED, FilingKind.ACTIVITY: ScoreKind.ACTIVITY_FILED}


class NotProposed(Refusal):
    kind, code, title = Kind.CONFLICT, "revocation_not_proposed", "尚未提出撤销该备案"


class AlreadyProposed(Refusal):
    kind, code, title = Kind.CONFLICT, "revocation_proposed", "已提出撤销该备案，请由另一位管理员确认"


class CreditsView(TypedDict):
    """加分情况: what counts now. A consultant sees the own part."""

    transactions: int
    transactions_fen: int
    activities: int
    participants: int


FILED_ANEW = """
SELECT true FROM filings WHERE order_id = $1 AND id <> $2 AND state NOT IN ('rejected', 'withdrawn', 'revoked')
"""
CONSULTANT_PERSON = "SELECT person_id FROM consultants WHERE id = $1"
# $1-$3 of REACH: whoever was asked to decide on it, or a colleague.
WITHIN = f"EXISTS (SELECT 1 FROM approvals a WHERE a.subject = 'filing' AND a.subject_id = f.id AND {REACH})"
LIST = f"{SHOWN} WHERE {WITHIN} AND ($4::text IS NULL OR f.state = $4) AND f.state <> 'draft' AND f.id < $5 ORDER BY f.id DESC LIMIT $6"
LOCK = f"SELECT f.* FROM filings f WHERE {WITHIN} AND f.id = $4 FOR UPDATE"
PROPOSE = """
UPDATE filings SET revoke_reason = $2, revoke_proposed_by_id = $3, revoke_proposed_at = $4, updated_at = $4 WHERE id = $1
"""
DROP = """
UPDATE filings SET revoke_reason = NULL, revoke_proposed_by_id = NULL, revoke_proposed_at = NULL, updated_at = $2 WHERE id = $1
"""
CREDITS = """
SELECT count(*) FILTER (WHERE f.kind = 'transaction') AS transactions, coalesce(sum(f.amount_fen), 0)::bigint AS transactions_fen,
  count(*) FILTER (WHERE f.kind = 'activity') AS activities, coalesce(sum(f.participants), 0)::bigint AS participants
FROM filings f JOIN score_events s ON s.subject = 'filing' AND s.subject_id = f.id AND s.revoked_at IS NULL
WHERE f.institution_id = $1 AND ($2::bigint IS NULL OR f.consultant_id = $2)
"""


# --- the review -----------------------------------------------------------------------------------------------------------------


async def approve_filing(
    ctx: Context, approval_id: int, *, remark: str | None, acknowledged: Sequence[FlagKind]
) -> approvals.ApprovalView:
    """审核通过, having seen the flags. Raises NotFound for a case of another kind, and what approvals.decide raises."""
    found = await row("SELECT kind FROM approvals WHERE id = $1", approval_id)
    if found is None or found.kind != ApprovalKind.FILING:
        raise NotFound
    return await approvals.decide(
        ctx, approval_id, Decision.APPROVE, reason=remark, data={"acknowledged": [str(kind) for kind in acknowledged]}
    )


async def decide_filing(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, data: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Called by `approvals.decide`, which has locked the filing. Raises OwnCase, DecisionIncomplete."""
    await link_enterprise(tx, approval.subject_id)
    filing = await tx.row("SELECT * FROM filings WHERE id = $1", approval.subject_id)
    if filing.enterprise_id is not None and await tx.value(PARTY, ctx.person_id, [filing.enterprise_id]):
        raise OwnCase
    kept: dict[str, Any] = {}
    if decision is Decision.APPROVE:
        kept["acknowledged"] = await _acknowledge(tx, filing, data.get("acknowledged") or [])
    elif data.get("items"):
        kept["items"] = _return_items(data["items"])
    decided = await move(tx, FILING_GRAPH, filing, FilingState(decision), reason=reason, decided_at=ctx.now, updated_at=ctx.now)
    if decision is Decision.APPROVE:
        await _count(tx, decided)
        if filing.object_by is None:  # the enterprise has come to the platform since: it may still say that it was not so
            await objections.tell_named(tx, decided)
    if decision in FOUND:
        await objections.settle(tx, decided, FOUND[decision], reason)
    await tell(tx, decided, "approval_result", title=approval.title, result=decision.value, reason=reason)
    return kept


async def _acknowledge(tx: Transaction, filing: Any, acknowledged: Sequence[str]) -> list[str]:
    """What stands now, also what came up since the submission. Raises DecisionIncomplete."""
    found = await flags.look_at(tx, filing)
    if unseen := sorted(found.keys() - set(acknowledged)):
        raise DecisionIncomplete(items=[flag_view(kind, found[kind], is_acknowledged=False) for kind in unseen])
    await flags.keep(tx, filing.id, found, tx.ctx.person_id)
    return sorted(found)


async def _count(tx: Transaction, filing: Any) -> None:
    """D18: for the institution and the consultant."""
    facts = (
        {"fen": filing.amount_fen} if filing.kind == FilingKind.TRANSACTION
        else {"participants": filing.participants, "part": filing.part}
    )
    await scores.count(
        tx, COUNTS[FilingKind(filing.kind)], "filing", filing.id, institution_id=filing.institution_id,
        consultant_id=filing.consultant_id, enterprise_id=filing.enterprise_id, **facts,
    )


def _return_items(given: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    if not all(item["field"] in TITLES for item in given):
        raise DecisionIncomplete(fields=sorted(TITLES))
    return [{"field": item["field"], "title": TITLES[item["field"]], "problem": item["problem"]} for item in given]


async def tell(tx: Transaction, filing: Any, kind: str, **facts: Any) -> None:
    """The institution's people, and the consultant whom it concerns."""
    tx.announce(kind, "filing", filing.id, organisation_id=filing.institution_id, **facts)
    if filing.consultant_id is not None:
        tx.announce(kind, "filing", filing.id, person_id=await tx.value(CONSULTANT_PERSON, filing.consultant_id), **facts)


async def _facts(ctx: Context, approval: Any) -> dict[str, Any]:
    return dict(await case_of(ctx, approval.subject_id))


async def case_of(ctx: Context, filing_id: int) -> FiledCaseView:
    return {"filing": await view_of(ctx, filing_id), "flags": await flags_of(filing_id)}


async def reopen(tx: Transaction, was: Any) -> int | None:
    """An appeal was right: before another reviewer, unless the order has been filed anew. Returns the working days."""
    filing = await tx.row("SELECT * FROM filings WHERE id = $1 FOR UPDATE", was.subject_id)
    if filing.state != FilingState.REJECTED or await _filed_anew(tx, filing):
        return None
    await move(tx, FILING_GRAPH, filing, FilingState.IN_REVIEW, reason=None, decided_at=None, updated_at=tx.ctx.now)
    await objections.reopen_upheld(tx, filing.id)
    return REVIEW_WORKING_DAYS


async def _filed_anew(tx: Transaction, filing: Any) -> bool:
    return bool(await tx.value(FILED_ANEW, filing.order_id, filing.id))


approvals.DECIDERS[ApprovalKind.FILING] = decide_filing
approvals.DETAILS[ApprovalKind.FILING] = _facts
approvals.SUBJECTS["filing"] = "filings"
appeal_decisions.SUBJECTS[ApprovalKind.FILING] = "filing"
appeal_decisions.REOPEN[ApprovalKind.FILING] = reopen
appeal_decisions.OTHER_SIDE["filing"] = "SELECT enterprise_id FROM filings WHERE id = $1"


# --- what was found false ---------------------------------------------------------------------------------------------------------


async def propose_revocation(ctx: Context, filing_id: int, reason: str) -> FilingView:
    """It counts until a second person agrees. Raises NotFound, OwnCase, FilingStateWrong, AlreadyProposed."""
    async with transaction(ctx) as tx:
        filing = await _lock_approved(ctx, tx, filing_id)
        if filing.revoke_proposed_at is not None:
            raise AlreadyProposed
        await tx.run(PROPOSE, filing.id, reason, ctx.person_id, ctx.now)
        tx.record("filing.revocation_proposed", "filing", filing.id, reason=reason)
        return tx.reply(await view_of(ctx, filing.id))


async def confirm_revocation(ctx: Context, filing_id: int) -> FilingView:
    """By another person than who proposed it: from now on it counts no more.

    Raises NotFound, OwnCase, FilingStateWrong, NotProposed, SecondPersonNeeded.
    """
    async with transaction(ctx) as tx:
        filing = await _lock_proposed(ctx, tx, filing_id)
        if filing.revoke_proposed_by_id == ctx.person_id:
            raise SecondPersonNeeded
        await revoke(tx, filing, filing.revoke_reason)
        await objections.settle(tx, filing, ObjectionState.UPHELD, filing.revoke_reason)
        return tx.reply(await view_of(ctx, filing.id))


async def revoke(tx: Transaction, filing: Any, reason: str, **changes: object) -> None:
    """A locked filing counts no more, from this commit; its institution and consultant hear why."""
    revoked = await move(
        tx, FILING_GRAPH, filing, FilingState.REVOKED, note={"reason": reason}, revoked_by_id=tx.ctx.person_id, revoked_at=tx.ctx.now,
        updated_at=tx.ctx.now, **changes,
    )
    await scores.revoke(tx, COUNTS[FilingKind(filing.kind)], "filing", filing.id)
    await tell(tx, revoked, "filing_revoked", title=filing.enterprise_name or filing.title, reason=reason)


async def restore(tx: Transaction, filing: Any) -> bool:
    """Undo the revocation of a locked filing: what it counted, it counts again. False where the order has been filed anew since."""
    if filing.state != FilingState.REVOKED or await _filed_anew(tx, filing):
        return False
    await move(
        tx, FILING_GRAPH, filing, FilingState.APPROVED, revoke_reason=None, revoke_proposed_by_id=None, revoke_proposed_at=None,
        revoked_by_id=None, revoked_at=None, updated_at=tx.ctx.now,
    )
    await scores.restore(tx, COUNTS[FilingKind(filing.kind)], "filing", filing.id)
    return True


async def drop_revocation(ctx: Context, filing_id: int) -> FilingView:
    """It was not false after all. Raises NotFound, OwnCase, FilingStateWrong, NotProposed."""
    async with transaction(ctx) as tx:
        filing = await _lock_proposed(ctx, tx, filing_id)
        await tx.run(DROP, filing.id, ctx.now)
        tx.record("filing.revocation_dropped", "filing", filing.id, reason=filing.revoke_reason)
        return tx.reply(await view_of(ctx, filing.id))


async def _lock_approved(ctx: Context, tx: Transaction, filing_id: int) -> Any:
    filing = await tx.row(LOCK, *reach_of(ctx.actor), filing_id)
    if filing is None:
        raise NotFound
    if await tx.value(PARTY, ctx.person_id, [filing.institution_id, filing.enterprise_id]):
        raise OwnCase
    if filing.state != FilingState.APPROVED:
        raise FilingStateWrong(state=filing.state)
    return filing


async def _lock_proposed(ctx: Context, tx: Transaction, filing_id: int) -> Any:
    filing = await _lock_approved(ctx, tx, filing_id)
    if filing.revoke_proposed_at is None:
        raise NotProposed
    return filing


# --- looking ------------------------------------------------------------------------------------------------------------------------


async def list_filed(ctx: Context, state: FilingState | None, page: Page) -> PageView[FilingView]:
    """What was submitted in the official's jurisdiction, newest first."""
    before = (page.key() or [2**63 - 1])[0]
    found = await rows(LIST, *reach_of(ctx.actor), state, before, page.limit + 1)
    return page_of(found, page, view, lambda filing: [filing.id])


async def open_filed(ctx: Context, filing_id: int) -> FiledCaseView:
    """Raises NotFound, also for what is outside the jurisdiction."""
    if await row(f"SELECT f.id FROM filings f WHERE {WITHIN} AND f.id = $4", *reach_of(ctx.actor), filing_id) is None:
        raise NotFound
    return await case_of(ctx, filing_id)


async def credits_of(ctx: Context) -> CreditsView:
    """The acting institution's, or the acting consultant's part of it."""
    found = await row(CREDITS, ctx.organisation_id, await acting(ctx))
    return {
        "transactions": found.transactions, "transactions_fen": found.transactions_fen, "activities": found.activities,
        "participants": found.participants,
    }
