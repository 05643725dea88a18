"""申诉 (F10): against a rejection, a revocation or a freeze, decided by somebody else; a right one gets a new review, never a yes.

An appeal waits in the one queue of reviewers. Its row is locked before that of what was decided, whose own steps never lock appeals.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict

from handlers import appeal_decisions, approvals
from handlers.appeal_decisions import Decided
from handlers.approvals import Decision, DecisionIncomplete, QueueView, queue_place
from handlers.context import Context
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import due_after, working_days_left
from models.appeals import APPEAL_GRAPH, AppealKind, AppealState
from models.approvals import ApprovalKind

# 《政府采购法》第五十五条 gives a supplier fifteen working days to complain of an answer; nobody has less here.
FILING_WORKING_DAYS = 15
REVIEW_WORKING_DAYS = 10
STATEMENT_MAX, FILES_MAX = 1000, 10


class Against(StrEnum):
    """What `subject_id` is: an application, a product, a filing, or an order of which the payment, the redemption or a freeze is meant.

    Of a filing the rejection is meant, or with `objection` the revocation that an objection brought.
    """

    APPLICATION = "application"
    PRODUCT = "product"
    PAYMENT = "payment"        # an order's id
    REDEMPTION = "redemption"
    FILING = "filing"
    OBJECTION = "objection"    # a filing's id
    DISQUALIFICATION = "disqualification"  # a reservation's id
    FREEZE = "freeze"          # an order's id


class NotAppealable(Refusal):
    """The newest decision of it is no rejection, and there is no freeze and no revocation for an objection."""

    kind, code, title = Kind.CONFLICT, "not_appealable", "没有可以申诉的决定"


class AppealTooLate(Refusal):
    """`data.until`: the last moment."""

    kind, code, title = Kind.CONFLICT, "appeal_too_late", "已超过申诉期限"


class AlreadyAppealed(Refusal):
    kind, code, title = Kind.CONFLICT, "already_appealed", "该决定已提出过申诉"


class AppealNotReturned(Refusal):
    kind, code, title = Kind.CONFLICT, "appeal_not_returned", "只有退回补充的申诉可以补充材料"


REFUSALS = (NotFound, NotAppealable, AppealTooLate, AlreadyAppealed)


class AppealView(TypedDict):
    """`reason`: what to supplement, or why it was decided so. `reopened`: what was decided waits for a new review (or is unfrozen)."""

    id: int
    kind: AppealKind
    state: AppealState
    title: str
    statement: str
    attachment_ids: list[int]
    original_reason: str | None
    filed_at: datetime
    decided_at: datetime | None
    reason: str | None
    reopened: bool
    queue: QueueView | None


class CountView(TypedDict):
    kind: AppealKind
    filed: int
    waiting: int
    upheld: int
    overturned: int


class StatisticsView(TypedDict):
    items: list[CountView]


# What is a decision against the organisation without being the rejection of its own case.
NO_REJECTION = {
    Against.FREEZE: appeal_decisions.frozen, Against.OBJECTION: appeal_decisions.revoked,
    Against.DISQUALIFICATION: appeal_decisions.disqualified,
}
INSERT = """
INSERT INTO appeals (kind, organisation_id, approval_id, freeze_id, state, statement, filed_by_id, filed_at)
VALUES ($1,$2,$3,$4,'in_review',$5,$6,$7) ON CONFLICT DO NOTHING RETURNING *
"""
OWN_FILES = """
SELECT count(*) FROM attachments WHERE id = ANY($1::bigint[]) AND organisation_id = $2 AND slot = 'appeal' AND state = 'stored'
"""
KEEP_FILES = "INSERT INTO appeal_files (appeal_id, attachment_id) SELECT $1, unnest($2::bigint[]) ON CONFLICT DO NOTHING"
# A freeze's reason is for officers; whoever appeals against it knows that the order is being checked.
SHOWN = """
SELECT p.*, coalesce(a.title, '订单核实：' || o.product_name) AS title, a.reason AS original_reason,
  ARRAY(SELECT f.attachment_id FROM appeal_files f WHERE f.appeal_id = p.id ORDER BY f.attachment_id) AS attachment_ids
FROM appeals p LEFT JOIN approvals a ON a.id = p.approval_id
LEFT JOIN freezes z ON z.id = p.freeze_id LEFT JOIN orders o ON o.id = z.order_id
"""
LOCK_OWN = "SELECT * FROM appeals WHERE id = $1 AND organisation_id = $2 FOR UPDATE"
COUNTS = """
SELECT kind, count(*) AS filed, count(*) FILTER (WHERE state IN ('in_review', 'returned')) AS waiting,
  count(*) FILTER (WHERE state = 'upheld') AS upheld, count(*) FILTER (WHERE state = 'overturned') AS overturned
FROM appeals GROUP BY kind
"""


# --- who appeals -----------------------------------------------------------------------------------------------------------------


async def file_appeal(
    ctx: Context, against: Against, subject_id: int, statement: str, attachment_ids: Sequence[int]
) -> AppealView:
    """提出申诉 against the newest decision of an own case, once, within fifteen working days. Raises REFUSALS."""
    async with transaction(ctx) as tx:
        decided = await (
            NO_REJECTION[against](ctx, tx, subject_id) if against in NO_REJECTION
            else appeal_decisions.rejected(ctx, tx, ApprovalKind(against), subject_id)
        )
        if decided is None:
            raise NotAppealable
        if ctx.now > (until := due_after(decided.at, FILING_WORKING_DAYS)):
            raise AppealTooLate(until=until.isoformat())
        appeal = await tx.row(
            INSERT, decided.kind, ctx.organisation_id, decided.approval and decided.approval.id, decided.freeze and decided.freeze.id,
            statement, ctx.person_id, ctx.now,
        )
        if appeal is None:
            raise AlreadyAppealed
        tx.record("appeal.filed", "appeal", appeal.id, after=appeal.state, kind=decided.kind)
        await _keep_files(tx, appeal, attachment_ids)
        await _queue(tx, appeal, decided, due_after(ctx.now, REVIEW_WORKING_DAYS))
        return tx.reply(await _view_in(ctx, tx, appeal.id))


async def supplement_appeal(ctx: Context, appeal_id: int, statement: str, attachment_ids: Sequence[int]) -> AppealView:
    """补充: a new statement and more evidence; the reviewers' clock goes on where it stopped. Raises NotFound, AppealNotReturned."""
    async with transaction(ctx) as tx:
        appeal = await tx.row(LOCK_OWN, appeal_id, ctx.organisation_id)
        if appeal is None:
            raise NotFound
        if appeal.state != AppealState.RETURNED:
            raise AppealNotReturned(state=appeal.state)
        due_at = due_after(ctx.now, max(appeal.days_left, 1))
        appeal = await move(tx, APPEAL_GRAPH, appeal, AppealState.IN_REVIEW, statement=statement, days_left=None, reason=None)
        await _keep_files(tx, appeal, attachment_ids)
        await _queue(tx, appeal, await appeal_decisions.of_appeal(tx, appeal), due_at)
        return tx.reply(await _view_in(ctx, tx, appeal.id))


async def list_appeals(ctx: Context, page: Page) -> PageView[AppealView]:
    """The organisation's own, newest first."""
    before = (page.key() or [2**63 - 1])[0]
    found = await rows(
        f"{SHOWN} WHERE p.organisation_id = $1 AND p.id < $2 ORDER BY p.id DESC LIMIT $3", ctx.organisation_id, before, page.limit + 1
    )
    return page_of(found, page, lambda appeal: _view(appeal, None), lambda appeal: [appeal.id])


async def get_appeal(ctx: Context, appeal_id: int) -> AppealView:
    """One's own, with its place in the queue. Raises NotFound."""
    found = await row(f"{SHOWN} WHERE p.id = $1 AND p.organisation_id = $2", appeal_id, ctx.organisation_id)
    if found is None:
        raise NotFound
    return _view(found, await queue_place(ctx.now, "appeal", appeal_id))


async def statistics(_ctx: Context) -> StatisticsView:
    """Published: how many appeals there were against what, and what became of them."""
    counted = {count.kind: count for count in await rows(COUNTS)}
    return {"items": [_count(kind, counted.get(kind)) for kind in AppealKind]}


# --- the reviewer ----------------------------------------------------------------------------------------------------------------


async def decide_appeal(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, _data: Mapping[str, Any]
) -> None:
    """Called by `approvals.decide`, which has locked the appeal and refused the original reviewer.

    Raises OwnCase for the other party's people, DecisionIncomplete without a reason, and what a reopening raises.
    """
    if not reason:
        raise DecisionIncomplete(items=["reason"])
    appeal = await tx.row("SELECT * FROM appeals WHERE id = $1", approval.subject_id)
    decided = await appeal_decisions.of_appeal(tx, appeal)
    await appeal_decisions.refuse_parties(ctx, tx, decided)
    if decision is Decision.RETURN:
        left = working_days_left(ctx.now, approval.due_at)
        await move(tx, APPEAL_GRAPH, appeal, AppealState.RETURNED, reason=reason, days_left=left)
    elif decision is Decision.REJECT:
        await _decide(tx, appeal, AppealState.UPHELD, reason)
    else:
        reopened = await appeal_decisions.reopen(tx, decided, reason)
        await _decide(tx, appeal, AppealState.OVERTURNED, reason, reopened_id=reopened)
    outcome = {Decision.RETURN: AppealState.RETURNED, Decision.REJECT: AppealState.UPHELD, Decision.APPROVE: AppealState.OVERTURNED}
    tx.announce(
        "appeal_result", "appeal", appeal.id, organisation_id=appeal.organisation_id, title=approval.title, outcome=outcome[decision],
        reason=reason,
    )


async def _decide(tx: Transaction, appeal: Any, to: AppealState, reason: str, **changes: object) -> None:
    await move(
        tx, APPEAL_GRAPH, appeal, to, note={"reason": reason}, reason=reason, decided_by_id=tx.ctx.person_id, decided_at=tx.ctx.now,
        **changes,
    )


async def appeal_facts(ctx: Context, approval: Any) -> dict[str, Any]:
    """The statement as it was submitted, its evidence, and the decision with all earlier turns of the same case."""
    appeal = await row(f"{SHOWN} WHERE p.id = $1", approval.subject_id)
    return {
        "appeal": _view(appeal, None) | {"statement": approval.data["statement"]}, "attachment_ids": approval.data["attachment_ids"],
        "decision": await appeal_decisions.decision_facts(ctx, appeal),
    }


approvals.DECIDERS[ApprovalKind.APPEAL] = decide_appeal
approvals.DETAILS[ApprovalKind.APPEAL] = appeal_facts
approvals.SUBJECTS["appeal"] = "appeals"


# --- steps -------------------------------------------------------------------------------------------------------------------------


async def _keep_files(tx: Transaction, appeal: Any, attachment_ids: Sequence[int]) -> None:
    wanted = sorted(set(attachment_ids))
    if await tx.value(OWN_FILES, wanted, appeal.organisation_id) != len(wanted):
        raise NotFound(slot="appeal")
    await tx.run(KEEP_FILES, appeal.id, wanted)


async def _queue(tx: Transaction, appeal: Any, decided: Decided, due_at: datetime) -> None:
    files = await tx.rows("SELECT attachment_id FROM appeal_files WHERE appeal_id = $1 ORDER BY attachment_id", appeal.id)
    await approvals.open_approval(
        tx, kind=ApprovalKind.APPEAL, title=f"申诉：{decided.title}"[:100], subject="appeal", subject_id=appeal.id,
        organisation_id=appeal.organisation_id, role=decided.role, region_code=decided.region_code, park_id=decided.park_id,
        submitted_by=tx.ctx.person_id, due_at=due_at, data={
            "not_by": sorted(decided.deciders), "statement": appeal.statement, "attachment_ids": [file.attachment_id for file in files],
        },
    )


async def _view_in(ctx: Context, tx: Transaction, appeal_id: int) -> AppealView:
    return _view(await tx.row(f"{SHOWN} WHERE p.id = $1", appeal_id), await queue_place(ctx.now, "appeal", appeal_id))


def _view(appeal: Any, queue: QueueView | None) -> AppealView:
    """`appeal`: a row of SHOWN."""
    unfrozen = appeal.state == AppealState.OVERTURNED and appeal.freeze_id is not None
    return {
        "id": appeal.id, "kind": AppealKind(appeal.kind), "state": AppealState(appeal.state), "title": appeal.title,
        "statement": appeal.statement, "attachment_ids": appeal.attachment_ids, "original_reason": appeal.original_reason,
        "filed_at": appeal.filed_at, "decided_at": appeal.decided_at, "reason": appeal.reason,
        "reopened": unfrozen or appeal.reopened_id is not None, "queue": queue,
    }


def _count(kind: AppealKind, count: Any) -> CountView:
    return {
        "kind": kind, "filed": count.filed if count else 0, "waiting": count.waiting if count else 0,
        "upheld": count.upheld if count else 0, "overturned": count.overturned if count else 0,
    }
