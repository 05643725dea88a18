"""One queue of whatever waits for a reviewer; the only place where reviewers decide (F10-F12, G4-G8).

Another feature opens an entry with `open_approval`, registers in `DECIDERS` what a decision does, in `SUBJECTS` the table of its
subject, and in `LOCKED_BEFORE` what comes before it in the order of docs/locking.md. The subject's row is locked before its
approval's, here and everywhere: so a withdrawal and a decision meet in one queue instead of in a deadlock.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import SimpleNamespace
from typing import Any, TypedDict

from handlers.application_forms import ProblemView
from handlers.context import Actor, Context
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.personal import mask_name, open_sealed
from handlers.refusals import Kind, NotFound, Refusal
from handlers.regions import prefix_of
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import working_days_left
from models.accounts import Role
from models.approvals import APPROVAL_GRAPH, ApprovalKind, ApprovalState

REASON_MAX = 500


class OwnCase(Refusal):
    """F12: who submitted it, or is or was a member of the organisation it is about, does not decide."""

    kind, code, title = Kind.FORBIDDEN, "own_case", "不能审核本人或本单位的申请"


class OriginalReviewer(Refusal):
    """F10: what somebody decided is looked at again by somebody else. `data.not_by` of the approval names them."""

    kind, code, title = Kind.FORBIDDEN, "original_reviewer", "须由原审核人以外的人员办理"


class Recused(Refusal):
    """Somebody who has stepped aside (handlers/recusals.py) stays aside."""

    kind, code, title = Kind.FORBIDDEN, "recused", "您已回避该事项"


class AlreadyDecided(Refusal):
    kind, code, title = Kind.CONFLICT, "already_decided", "该事项已办结"


class ReasonNeeded(Refusal):
    kind, code, title = Kind.INVALID, "reason_needed", "请填写原因（500 字以内）"


class DecisionNotOffered(Refusal):
    """This kind of case does not know the decision: a dispute is ruled on, never sent back."""

    kind, code, title = Kind.INVALID, "decision_not_offered", "该事项不支持此审核操作"


class DecisionIncomplete(Refusal):
    """A decision that needs more than a reason; `data.items` says what."""

    kind, code, title = Kind.INVALID, "decision_incomplete", "审核意见不完整"


class Decision(StrEnum):
    APPROVE = "approved"
    RETURN = "returned"
    REJECT = "rejected"


class QueueView(TypedDict):
    """第 `position` 位, 预计 `working_days_left` 个工作日 (F11)."""

    position: int
    working_days_left: int
    due_at: datetime


class ApprovalView(TypedDict):
    id: int
    kind: ApprovalKind
    title: str
    subject: str
    subject_id: int
    organisation_id: int
    organisation_name: str
    region_code: str | None
    park_id: int | None
    state: ApprovalState
    submitted_at: datetime
    due_at: datetime
    is_late: bool
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None
    items: list[ProblemView]


class HistoryView(TypedDict):
    """An earlier turn of the same case."""

    state: ApprovalState
    submitted_at: datetime
    decided_at: datetime | None
    reason: str | None
    items: list[ProblemView]


class CaseView(TypedDict):
    """`facts` is what the subject's feature shows to a reviewer (DETAILS)."""

    approval: ApprovalView
    facts: dict[str, Any]
    history: list[HistoryView]


Decide = Callable[[Context, Transaction, Any, Decision, str | None, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]
Detail = Callable[[Context, Any], Awaitable[dict[str, Any]]]

# What a decision does to its subject, in the same transaction; what it returns is kept in the approval's `data`. May refuse with
# DecisionNotOffered, DecisionIncomplete, ChangedMeanwhile; the approval's own move is made here.
DECIDERS: dict[ApprovalKind, Decide] = {}
# What a reviewer sees of the subject; without an entry, nothing but the approval itself.
DETAILS: dict[ApprovalKind, Detail] = {}
# The table of each subject, to lock it first.
SUBJECTS = {"application": "applications", "order": "orders"}
# What whoever changes the subject has locked before it: a statement with the subject's id as $1.
LOCKED_BEFORE: dict[str, str] = {}

# $1 role, $2 what the codes of the official's division begin with, $3 the official's park (reach_of). handlers/regions.py says
# who is responsible for what; here it is said once more in SQL.
REACH = """
  a.role = $1 AND CASE WHEN $3::bigint IS NOT NULL THEN a.park_id = $3 ELSE $2::text IS NULL OR starts_with(a.region_code, $2) END
"""
SHOWN = """
SELECT a.*, o.name AS organisation_name, p.name AS decider_name
FROM approvals a JOIN organisations o ON o.id = a.organisation_id LEFT JOIN persons p ON p.id = a.decided_by_id
"""
LIST = f"{SHOWN} WHERE {REACH} AND a.state = $4 AND ($5::text IS NULL OR a.kind = $5) AND a.id > $6 ORDER BY a.id LIMIT $7"
ONE = f"{SHOWN} WHERE {REACH} AND a.id = $4"
HISTORY = "SELECT * FROM approvals WHERE subject = $1 AND subject_id = $2 AND id < $3 ORDER BY id DESC LIMIT 50"
# $5 who decides: nobody does so on a case of their own, or of a company that they belong to.
DECIDABLE = ONE.replace("SELECT a.*", """SELECT a.*, a.submitted_by_id = $5 OR EXISTS (
  SELECT 1 FROM memberships m WHERE m.organisation_id = a.organisation_id AND m.person_id = $5) AS is_own,
  (SELECT name FROM persons WHERE id = $5) AS own_name""", 1)
SUBJECT_OF = f"SELECT a.subject, a.subject_id FROM approvals a WHERE {REACH} AND a.id = $4"
OPEN = """
INSERT INTO approvals (kind, title, subject, subject_id, organisation_id, role, region_code, park_id, state, submitted_by_id,
                       submitted_at, due_at, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10, $11, $12)
RETURNING id, (SELECT name FROM organisations WHERE id = organisation_id) AS applicant
"""
LOCK = "SELECT id FROM {} WHERE id = $1 FOR UPDATE"
OPEN_OF = "SELECT * FROM approvals WHERE subject = $1 AND subject_id = $2 AND state = 'open' FOR UPDATE"
# Its own queue: the same kind for the same reviewers.
POSITION = """
SELECT a.due_at, (
  SELECT count(*) FROM approvals b
  WHERE b.state = 'open' AND b.role = a.role AND b.kind = a.kind AND b.id <= a.id
    AND b.region_code IS NOT DISTINCT FROM a.region_code AND b.park_id IS NOT DISTINCT FROM a.park_id
) AS position
FROM approvals a WHERE a.subject = $1 AND a.subject_id = $2 AND a.state = 'open'
"""


def reach_of(actor: Actor) -> tuple[str | None, str | None, int | None]:
    """The parameters $1, $2, $3 of REACH."""
    return actor.role, actor.region_code and prefix_of(actor.region_code), actor.park_id


async def open_approval(
    tx: Transaction, *, kind: ApprovalKind, title: str, subject: str, subject_id: int, organisation_id: int, role: Role,
    region_code: str | None, park_id: int | None, submitted_by: int, due_at: datetime, data: Mapping[str, Any] | None = None,
) -> int:
    """Put a case into the queue and tell its reviewers. Returns its id. The subject's row must be locked."""
    approval = await tx.row(
        OPEN, kind, title, subject, subject_id, organisation_id, role, region_code, park_id, submitted_by, tx.ctx.now, due_at,
        data or {},
    )
    tx.record("approval.opened", "approval", approval.id, after="open", kind=kind)
    tx.announce(
        "approval_waiting", "approval", approval.id, role=role, region_code=region_code, park_id=park_id,
        approval_kind=kind, title=title, applicant=approval.applicant, due_at=due_at.isoformat(),
    )
    return int(approval.id)


async def withdraw_approval(tx: Transaction, subject: str, subject_id: int) -> None:
    """Take the open case of a subject out of the queue, if there is one. The subject's row must be locked."""
    found = await tx.row(OPEN_OF, subject, subject_id)
    if found is not None:
        await move(tx, APPROVAL_GRAPH, found, ApprovalState.WITHDRAWN, decided_at=tx.ctx.now)
        tx.announce("approval_closed", "approval", found.id)


async def queue_place(now: datetime, subject: str, subject_id: int) -> QueueView | None:
    """Where the subject's open case stands; None when nothing of it waits."""
    found = await row(POSITION, subject, subject_id)
    if found is None:
        return None
    return {"position": found.position, "working_days_left": working_days_left(now, found.due_at), "due_at": found.due_at}


async def list_approvals(ctx: Context, state: ApprovalState, kind: ApprovalKind | None, page: Page) -> PageView[ApprovalView]:
    """The queue of the official's role and jurisdiction, oldest first."""
    after = (page.key() or [0])[0]
    found = await rows(LIST, *reach_of(ctx.actor), state, kind, after, page.limit + 1)
    return page_of(found, page, lambda approval: view(ctx, SimpleNamespace(**approval)), lambda approval: [approval.id])


async def open_case(ctx: Context, approval_id: int) -> CaseView:
    """Everything a reviewer needs to decide. Raises NotFound, also for what is outside the jurisdiction."""
    approval = await row(ONE, *reach_of(ctx.actor), approval_id)
    if approval is None:
        raise NotFound
    detail = DETAILS.get(ApprovalKind(approval.kind))
    return {
        "approval": view(ctx, approval),
        "facts": await detail(ctx, approval) if detail else {},
        "history": [history_view(past) for past in await rows(HISTORY, approval.subject, approval.subject_id, approval.id)],
    }


async def decide(
    ctx: Context, approval_id: int, decision: Decision, *, reason: str | None = None, data: Mapping[str, Any] | None = None
) -> ApprovalView:
    """Decide an open case, once. Raises NotFound, OwnCase, OriginalReviewer, Recused, AlreadyDecided, ReasonNeeded,
    and what the kind's decider refuses.
    """
    reason, given = _reason(decision, reason), data or {}
    found = await row(SUBJECT_OF, *reach_of(ctx.actor), approval_id)
    if found is None:
        raise NotFound
    locks = "; ".join((*_locks(found.subject, found.subject_id), _on(LOCK.format("approvals"), approval_id)))
    async with transaction(ctx, f"BEGIN; {locks}") as tx:
        approval = await _decidable(ctx, tx, approval_id)
        kept = await DECIDERS[ApprovalKind(approval.kind)](ctx, tx, approval, decision, reason, given) or {}
        decided = await move(
            tx, APPROVAL_GRAPH, approval, ApprovalState(decision), decided_by_id=ctx.person_id, decided_at=ctx.now, reason=reason,
            data={**approval.data, **kept},
        )
        tx.announce("approval_closed", "approval", approval_id)
        return tx.reply(view(ctx, SimpleNamespace(**{**approval, **decided, "decider_name": approval.own_name})))


async def lock_subject(tx: Transaction, subject: str, subject_id: int) -> None:
    """The row that cases are about, behind what stands before it in the order of locks."""
    await tx.connection.execute("; ".join(_locks(subject, subject_id)))


def _locks(subject: str, subject_id: int) -> list[str]:
    before = [LOCKED_BEFORE[subject]] if subject in LOCKED_BEFORE else []
    return [_on(each, subject_id) for each in (*before, LOCK.format(SUBJECTS[subject]))]


def _on(statement: str, number: int) -> str:
    """A script has no parameters, and takes one round trip whatever it locks."""
    return statement.replace("$1", str(int(number)))


async def _decidable(ctx: Context, tx: Transaction, approval_id: int) -> Any:
    """The case as it is now that nobody else can change it."""
    approval = await tx.row(DECIDABLE, *reach_of(ctx.actor), approval_id, ctx.person_id)
    if approval is None:
        raise NotFound
    if approval.is_own:
        raise OwnCase
    if ctx.person_id in approval.data.get("not_by", ()):
        raise OriginalReviewer
    if ctx.person_id in approval.data.get("recused", ()):
        raise Recused
    if approval.state != ApprovalState.OPEN:
        raise AlreadyDecided(state=approval.state, by=_decider(ctx, approval), at=approval.decided_at.isoformat())
    return approval


def _reason(decision: Decision, reason: str | None) -> str | None:
    text = (reason or "").strip()
    if len(text) > REASON_MAX or (decision is not Decision.APPROVE and not text):
        raise ReasonNeeded(max=REASON_MAX)
    return text or None


def _decider(ctx: Context, approval: Any) -> str | None:
    return mask_name(open_sealed(ctx.settings, approval.decider_name)) if approval.decider_name else None


def view(ctx: Context, approval: Any) -> ApprovalView:
    """`approval`: a row of SHOWN."""
    return {
        "id": approval.id, "kind": ApprovalKind(approval.kind), "title": approval.title, "subject": approval.subject,
        "subject_id": approval.subject_id, "organisation_id": approval.organisation_id,
        "organisation_name": approval.organisation_name, "region_code": approval.region_code, "park_id": approval.park_id,
        "state": ApprovalState(approval.state), "submitted_at": approval.submitted_at, "due_at": approval.due_at,
        "is_late": (approval.decided_at or ctx.now) > approval.due_at, "decided_at": approval.decided_at,
        "decided_by": _decider(ctx, approval), "reason": approval.reason, "items": approval.data.get("items", []),
    }


def history_view(past: Any) -> HistoryView:
    return {
        "state": ApprovalState(past.state), "submitted_at": past.submitted_at, "decided_at": past.decided_at,
        "reason": past.reason, "items": past.data.get("items", []),
    }
