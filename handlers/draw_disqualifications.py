"""取消中签资格: a published win that should not be one, proposed by one official and confirmed by another (docs/decisions/0244).

The proposal stands in the one queue of reviewers and holds the vouchers up; confirmed, the win no longer counts, the next alternate
moves up, and the enterprise hears why and may appeal. Programme and round are locked before the ticket.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from handlers import appeal_decisions, approvals, round_voiding, wins
from handlers.approvals import Decision, DecisionNotOffered, OwnCase
from handlers.context import Context
from handlers.draw_rules import ticket_number
from handlers.draws import BLOCKED
from handlers.moves import move
from handlers.programmes import manages
from handlers.refusals import ChangedMeanwhile, Kind, NotFound, Refusal
from handlers.risks import PARTY
from handlers.rounds import LOCK, YEAR, RoundStateWrong, lock_round
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind, ApprovalState
from models.reservations import RESERVATION_GRAPH, ReservationState, RoundState

REVIEW_WORKING_DAYS = 5


class DrawWinUnknown(Refusal):
    kind, code, title = Kind.INVALID, "draw_win_unknown", "该票号不是本批次的中签票号"


class DisqualificationProposed(Refusal):
    kind, code, title = Kind.CONFLICT, "disqualification_proposed", "已提出取消该中签资格，请由另一位工作人员确认"


class DisqualificationView(TypedDict):
    """`state`: of its place in the queue; `answer`: why it was decided so."""

    approval_id: int
    ticket_no: str
    state: ApprovalState
    reason: str
    proposed_at: datetime
    decided_at: datetime | None
    answer: str | None


class DisqualificationsView(TypedDict):
    items: list[DisqualificationView]


LOCK_TICKET = f"SELECT * FROM reservations WHERE id = $1 AND round_id = $2 AND state = 'won' {LOCK}"
OPEN = "SELECT 1 FROM approvals WHERE subject = 'reservation' AND subject_id = $1 AND state = 'open'"
OPEN_IN_ROUND = """
SELECT a.subject_id FROM approvals a JOIN reservations v ON v.id = a.subject_id
WHERE a.subject = 'reservation' AND a.state = 'open' AND v.round_id = $1 ORDER BY a.subject_id
"""
LOCK_BEFORE = f"""
SELECT p.id FROM programmes p JOIN rounds r ON r.programme_id = p.id JOIN reservations v ON v.round_id = r.id WHERE v.id = $1 {LOCK} OF p;
SELECT r.id FROM rounds r JOIN reservations v ON v.round_id = r.id WHERE v.id = $1 {LOCK} OF r
"""
SHOWN = """
SELECT a.*, r.number FROM approvals a JOIN reservations v ON v.id = a.subject_id JOIN rounds r ON r.id = v.round_id
WHERE a.subject = 'reservation' AND v.round_id = $1 ORDER BY a.id DESC LIMIT 100
"""
REGION = "SELECT p.region_code FROM programmes p JOIN rounds r ON r.programme_id = p.id WHERE r.id = $1"
# Its number of the year, if its place and the yearly cap still have room for it; none while another list is committed or unseen.
PLACE = f"""
SELECT {YEAR.format(round="r")} AS year, (SELECT min(n) FROM generate_series(1, 1 + w.wins) AS n WHERE n <> ALL (w.taken)) AS nth
FROM reservations v JOIN rounds r ON r.id = v.round_id JOIN voucher_types t ON t.id = v.voucher_type_id
JOIN round_quotas q ON q.round_id = v.round_id AND q.voucher_type_id = v.voucher_type_id
CROSS JOIN LATERAL (
  SELECT count(*) AS wins, coalesce(array_agg(o.win_nth), '{{}}') AS taken FROM reservations o
  WHERE o.organisation_id = v.organisation_id AND o.voucher_type_id = v.voucher_type_id AND o.win_year = {YEAR.format(round="r")}
    AND o.win_nth IS NOT NULL) w
WHERE v.id = $1 AND v.state = 'disqualified' AND r.state = 'publicity' AND (t.annual_win_cap IS NULL OR w.wins < t.annual_win_cap AND $2)
  AND q.quota > (SELECT count(*) FROM reservations o WHERE o.round_id = v.round_id AND o.voucher_type_id = v.voucher_type_id
    AND o.rank IS NOT NULL AND o.state = 'won')
"""


# --- who proposes ----------------------------------------------------------------------------------------------------


async def propose_disqualification(ctx: Context, round_id: int, ticket_no: str, reason: str) -> DisqualificationsView:
    """From the publicity to the issue. Raises NotFound, RoundStateWrong, DrawWinUnknown, DisqualificationProposed."""
    async with transaction(ctx) as tx:
        found = await lock_round(ctx, tx, round_id)
        if found.state != RoundState.PUBLICITY:
            raise RoundStateWrong(state=found.state)
        if not await propose(tx, found, ticket_of(found, ticket_no), reason):
            raise DisqualificationProposed
        return tx.reply(_views(await tx.rows(SHOWN, round_id)), 201)


async def list_disqualifications(ctx: Context, round_id: int) -> DisqualificationsView:
    """Of a round in the official's jurisdiction, newest first. Raises NotFound."""
    found = await row(REGION, round_id)
    if found is None or not manages(ctx, found.region_code):
        raise NotFound
    return _views(await rows(SHOWN, round_id))


def ticket_of(round_: Any, ticket_no: str) -> int:
    """Raises DrawWinUnknown."""
    digits = re.fullmatch(rf"R{round_.number}-([0-9]{{8}})", ticket_no)
    if digits is None:
        raise DrawWinUnknown
    return int(digits[1])


async def propose(tx: Transaction, round_: Any, reservation_id: int, reason: str, objector_id: int | None = None) -> bool:
    """On a locked round; False where somebody has already. Raises DrawWinUnknown."""
    ticket = await tx.row(LOCK_TICKET, reservation_id, round_.id)
    if ticket is None:
        raise DrawWinUnknown
    if await tx.value(OPEN, ticket.id):
        return False
    await approvals.open_approval(
        tx, kind=ApprovalKind.DISQUALIFICATION, title=f"取消中签资格：{round_.name}"[:100], subject="reservation", subject_id=ticket.id,
        organisation_id=ticket.organisation_id, role=Role.ADMIN, region_code=await tx.value(REGION, round_.id), park_id=None,
        submitted_by=tx.ctx.person_id, due_at=due_after(tx.ctx.now, REVIEW_WORKING_DAYS),
        data={"reason": reason, "not_by": [tx.ctx.person_id], "objector_id": objector_id},
    )
    return True


# --- who confirms ----------------------------------------------------------------------------------------------------


async def decide_disqualification(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, _reason: str | None, _data: Mapping[str, Any]
) -> None:
    """Confirmed: the win is over, and the next alternate moves up. Rejected: it stays one.

    Called by `approvals.decide`, which has locked programme, round and ticket. Raises DecisionNotOffered, OwnCase, ChangedMeanwhile.
    """
    if decision is Decision.RETURN:
        raise DecisionNotOffered
    if await tx.value(PARTY, ctx.person_id, [approval.data.get("objector_id")]):
        raise OwnCase
    if decision is Decision.REJECT:
        return
    ticket = await tx.row("SELECT * FROM reservations WHERE id = $1", approval.subject_id)
    round_ = await tx.row("SELECT * FROM rounds WHERE id = $1", ticket.round_id)
    if ticket.state != ReservationState.WON or round_.state != RoundState.PUBLICITY:
        raise ChangedMeanwhile
    reason = approval.data["reason"]
    await move(
        tx, RESERVATION_GRAPH, ticket, ReservationState.DISQUALIFIED, note={"reason": reason}, win_year=None, win_nth=None,
        changed_at=ctx.now,
    )
    await wins.fill_vacancies(tx, round_)
    tx.announce(
        "reservation_disqualified", "reservation", ticket.id, organisation_id=ticket.organisation_id, round=round_.name,
        ticket_no=ticket_number(round_.number, ticket.id), reason=reason,
    )


async def reopen(tx: Transaction, was: Any) -> int | None:
    """The appeal was right: the win is back where its place is still free, and looked at again. Returns the working days."""
    await approvals.lock_subject(tx, "reservation", was.subject_id)
    ticket = await tx.row("SELECT * FROM reservations WHERE id = $1", was.subject_id)
    place = await tx.row(PLACE, ticket.id, not await tx.value(BLOCKED, ticket.round_id))
    if place is None:
        return None
    await move(
        tx, RESERVATION_GRAPH, ticket, ReservationState.WON, win_year=place.year, win_nth=place.nth, changed_at=tx.ctx.now,
    )
    return REVIEW_WORKING_DAYS


async def end_of_voided(tx: Transaction, round_: Any) -> None:
    for proposed in await tx.rows(OPEN_IN_ROUND, round_.id):
        await approvals.withdraw_approval(tx, "reservation", proposed.subject_id)


async def _facts(_ctx: Context, approval: Any) -> dict[str, Any]:
    found = await row(
        "SELECT v.*, r.number, r.name FROM reservations v JOIN rounds r ON r.id = v.round_id WHERE v.id = $1", approval.subject_id
    )
    return {
        "reason": approval.data["reason"], "ticket_no": ticket_number(found.number, found.id), "state": found.state,
        "round": {"id": found.round_id, "number": found.number, "name": found.name},
    }


approvals.DECIDERS[ApprovalKind.DISQUALIFICATION] = decide_disqualification
approvals.DETAILS[ApprovalKind.DISQUALIFICATION] = _facts
approvals.SUBJECTS["reservation"] = "reservations"
approvals.LOCKED_BEFORE["reservation"] = LOCK_BEFORE
appeal_decisions.REOPEN[ApprovalKind.DISQUALIFICATION] = reopen
round_voiding.ON_VOIDED.append(end_of_voided)


def _views(found: Any) -> DisqualificationsView:
    return {"items": [{
        "approval_id": each.id, "ticket_no": ticket_number(each.number, each.subject_id), "state": ApprovalState(each.state),
        "reason": each.data["reason"], "proposed_at": each.submitted_at, "decided_at": each.decided_at, "answer": each.reason,
    } for each in found]}
