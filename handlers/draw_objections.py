"""异议: an enterprise with a ticket says within the publicity time that a win, or the draw, is not right (docs/decisions/0244).

It stands in the one queue of reviewers, before an official of the programme's jurisdiction who has not made, committed or drawn the
round; until it is decided no voucher is issued. Whoever changes an objection has locked its round.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from handlers import approvals, draw_disqualifications, round_voiding
from handlers.approvals import Decision, DecisionIncomplete, DecisionNotOffered, OwnCase, QueueView, queue_place
from handlers.context import Context
from handlers.draw_disqualifications import DrawWinUnknown
from handlers.draw_rules import ticket_number
from handlers.moves import move
from handlers.refusals import Kind, NotFound, Refusal
from handlers.risks import PARTY
from handlers.rounds import LOCK
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.draw_objections import DRAW_OBJECTION_GRAPH, DrawObjectionState
from models.reservations import RoundState

REVIEW_WORKING_DAYS = 5
REASON_MAX, FILES_MAX = 500, 10


class DrawObjectionClosed(Refusal):
    """Not published yet, or its publicity is over; `data` says from when until when."""

    kind, code, title = Kind.CONFLICT, "draw_objection_closed", "不在公示期内，不能提出异议"


class DrawObjectionWithoutTicket(Refusal):
    kind, code, title = Kind.FORBIDDEN, "draw_objection_without_ticket", "只有参加该批次预约的企业可以提出异议"


class DrawObjectionOpen(Refusal):
    kind, code, title = Kind.CONFLICT, "draw_objection_open", "本企业对该批次的异议正在办理，办结后方可再次提出"


class DrawObjectionView(TypedDict):
    """`ticket_no`: the win it is about; null for the draw itself. `answer`: why it was decided so."""

    id: int
    round_id: int
    ticket_no: str | None
    state: DrawObjectionState
    reason: str
    attachment_ids: list[int]
    objected_at: datetime
    decided_at: datetime | None
    answer: str | None
    queue: QueueView | None


class DrawObjectionsView(TypedDict):
    items: list[DrawObjectionView]


# Shared: objections come together, and whoever takes the round a step on waits for them.
LOCK_PUBLIC = """
SELECT r.*, p.region_code, EXISTS (
  SELECT FROM reservations v WHERE v.round_id = r.id AND v.organisation_id = $2 AND v.state <> 'withdrawn') AS has_ticket
FROM rounds r JOIN programmes p ON p.id = r.programme_id WHERE r.id = $1 AND r.state <> 'draft' FOR SHARE OF r
"""
WON = "SELECT id FROM reservations WHERE id = $1 AND round_id = $2 AND state = 'won'"
INSERT = """
INSERT INTO draw_objections (round_id, organisation_id, reservation_id, state, reason, objected_by_id, objected_at)
VALUES ($1, $2, $3, 'open', $4, $5, $6) ON CONFLICT DO NOTHING RETURNING *
"""
OWN_FILES = """
SELECT id FROM attachments WHERE id = ANY($1::bigint[]) AND organisation_id = $2 AND slot = 'appeal' AND state = 'stored'
ORDER BY id FOR SHARE
"""
KEEP_FILES = "INSERT INTO draw_objection_files (draw_objection_id, attachment_id) SELECT $1, unnest($2::bigint[])"
# Who made, confirmed, committed to or drew the round does not judge it.
TOOK_PART = """
SELECT person_id FROM draw_secrets WHERE round_id = $1 UNION SELECT person_id FROM public_values WHERE round_id = $1
UNION SELECT unnest(array_remove(ARRAY[made_by_id, confirmed_by_id], NULL)) FROM rounds WHERE id = $1
"""
SHOWN = """
SELECT j.*, r.number, r.name AS round, v.organisation_id AS winner_id,
  ARRAY(SELECT f.attachment_id FROM draw_objection_files f WHERE f.draw_objection_id = j.id ORDER BY f.attachment_id) AS attachment_ids,
  (SELECT t.id FROM reservations t WHERE t.round_id = j.round_id AND t.organisation_id = j.organisation_id) AS own_id
FROM draw_objections j JOIN rounds r ON r.id = j.round_id LEFT JOIN reservations v ON v.id = j.reservation_id
"""
LOCK_ROUND = f"SELECT r.id FROM rounds r JOIN draw_objections j ON j.round_id = r.id WHERE j.id = $1 {LOCK} OF r"
OPEN_OF_ROUND = "SELECT * FROM draw_objections WHERE round_id = $1 AND state = 'open' ORDER BY id FOR UPDATE"


# --- the enterprise --------------------------------------------------------------------------------------------------


async def object_to_draw(
    ctx: Context, round_id: int, ticket_no: str | None, reason: str, attachment_ids: Sequence[int]
) -> DrawObjectionView:
    """提出异议 to a win or, without a ticket number, to the draw.

    Raises NotFound, DrawObjectionWithoutTicket, DrawObjectionClosed, DrawWinUnknown, DrawObjectionOpen.
    """
    async with transaction(ctx) as tx:
        round_ = await tx.row(LOCK_PUBLIC, round_id, ctx.organisation_id)
        if round_ is None:
            raise NotFound
        if not round_.has_ticket:
            raise DrawObjectionWithoutTicket
        if round_.state != RoundState.PUBLICITY or ctx.now >= round_.publicity_until:
            raise DrawObjectionClosed(
                publicity_at=round_.publicity_at.isoformat(), publicity_until=round_.publicity_until.isoformat()
            )
        objected = await _win(tx, round_, ticket_no) if ticket_no else None
        objection = await tx.row(INSERT, round_id, ctx.organisation_id, objected, reason, ctx.person_id, ctx.now)
        if objection is None:
            raise DrawObjectionOpen
        tx.record("draw_objection.made", "draw_objection", objection.id, after=objection.state, round_id=round_id)
        files = await _keep_files(tx, objection, attachment_ids)
        await _queue(tx, round_, objection, files)
        shown = await tx.row(f"{SHOWN} WHERE j.id = $1", objection.id)
        return tx.reply(_view(shown, await queue_place(ctx.now, "draw_objection", objection.id)), 201)


async def list_own(ctx: Context, round_id: int) -> DrawObjectionsView:
    """The acting enterprise's objections to a round, newest first. Raises NotFound."""
    if await row("SELECT id FROM rounds WHERE id = $1 AND state <> 'draft'", round_id) is None:
        raise NotFound
    found = await rows(
        f"{SHOWN} WHERE j.round_id = $1 AND j.organisation_id = $2 ORDER BY j.id DESC LIMIT 100", round_id, ctx.organisation_id
    )
    places = [await queue_place(ctx.now, "draw_objection", each.id) if each.state == "open" else None for each in found]
    return {"items": [_view(each, place) for each, place in zip(found, places, strict=True)]}


async def _win(tx: Transaction, round_: Any, ticket_no: str) -> int:
    """Winning ticket numbers are public since the publicity time. Raises DrawWinUnknown."""
    found = await tx.value(WON, draw_disqualifications.ticket_of(round_, ticket_no), round_.id)
    if found is None:
        raise DrawWinUnknown
    return int(found)


async def _keep_files(tx: Transaction, objection: Any, attachment_ids: Sequence[int]) -> list[int]:
    wanted = sorted(set(attachment_ids))
    if [each.id for each in await tx.rows(OWN_FILES, wanted, objection.organisation_id)] != wanted:
        raise NotFound(slot="appeal")
    await tx.run(KEEP_FILES, objection.id, wanted)
    return wanted


async def _queue(tx: Transaction, round_: Any, objection: Any, files: list[int]) -> None:
    await approvals.open_approval(
        tx, kind=ApprovalKind.DRAW_OBJECTION, title=f"摇号异议：{round_.name}"[:100], subject="draw_objection", subject_id=objection.id,
        organisation_id=objection.organisation_id, role=Role.ADMIN, region_code=round_.region_code, park_id=None,
        submitted_by=objection.objected_by_id, due_at=due_after(tx.ctx.now, REVIEW_WORKING_DAYS), data={
            "not_by": sorted(each.person_id for each in await tx.rows(TOOK_PART, round_.id)), "attachment_ids": files,
        },
    )


# --- the official ----------------------------------------------------------------------------------------------------


async def decide_objection(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, _data: Mapping[str, Any]
) -> None:
    """异议成立 or 不成立, with a reason that the objector reads. Upheld, it is a proposal to void the round or to disqualify the win.

    Called by `approvals.decide`, which has locked round and objection. Raises DecisionNotOffered, DecisionIncomplete, OwnCase.
    """
    if decision is Decision.RETURN:
        raise DecisionNotOffered
    if not reason:
        raise DecisionIncomplete(items=["reason"])
    objection = await tx.row(f"{SHOWN} WHERE j.id = $1", approval.subject_id)
    if await tx.value(PARTY, ctx.person_id, [objection.winner_id]):
        raise OwnCase
    state = DrawObjectionState.UPHELD if decision is Decision.APPROVE else DrawObjectionState.DISMISSED
    await _answer(tx, objection, state, reason, ctx.person_id)
    if state is DrawObjectionState.UPHELD:
        await _propose(tx, objection, f"异议成立：{reason}")


async def _propose(tx: Transaction, objection: Any, reason: str) -> None:
    """What follows from an objection that is right waits for a second official."""
    round_ = await tx.row("SELECT * FROM rounds WHERE id = $1", objection.round_id)
    if objection.reservation_id is None:
        await round_voiding.propose(tx, round_, reason[:200])
    elif await tx.value(WON, objection.reservation_id, round_.id):
        await draw_disqualifications.propose(tx, round_, objection.reservation_id, reason[:500], objection.organisation_id)


async def lapse_of_voided(tx: Transaction, round_: Any) -> None:
    for objection in await tx.rows(OPEN_OF_ROUND, round_.id):
        await approvals.withdraw_approval(tx, "draw_objection", objection.id)
        await _answer(tx, await tx.row(f"{SHOWN} WHERE j.id = $1", objection.id), DrawObjectionState.LAPSED, None, None)


async def _answer(tx: Transaction, objection: Any, state: DrawObjectionState, answer: str | None, decider: int | None) -> None:
    await move(tx, DRAW_OBJECTION_GRAPH, objection, state, decided_at=tx.ctx.now, answer=answer, decided_by_id=decider)
    tx.announce(
        "draw_objection_result", "reservation", objection.own_id, organisation_id=objection.organisation_id, round=objection.round,
        finding=state, reason=answer,
    )


async def _facts(_ctx: Context, approval: Any) -> dict[str, Any]:
    """What is objected to, and where the round stands; who holds the ticket is the reviewer's to see."""
    found = await row(f"{SHOWN} WHERE j.id = $1", approval.subject_id)
    winner = await row("SELECT name FROM organisations WHERE id = $1", found.winner_id)
    return {
        "objection": _view(found, None), "round": {"id": found.round_id, "number": found.number, "name": found.round},
        "winner": winner and {"organisation_id": found.winner_id, "name": winner.name}, "attachment_ids": found.attachment_ids,
    }


approvals.DECIDERS[ApprovalKind.DRAW_OBJECTION] = decide_objection
approvals.DETAILS[ApprovalKind.DRAW_OBJECTION] = _facts
approvals.SUBJECTS["draw_objection"] = "draw_objections"
approvals.LOCKED_BEFORE["draw_objection"] = LOCK_ROUND
round_voiding.ON_VOIDED.append(lapse_of_voided)


def _view(found: Any, queue: QueueView | None) -> DrawObjectionView:
    return {
        "id": found.id, "round_id": found.round_id,
        "ticket_no": ticket_number(found.number, found.reservation_id) if found.reservation_id else None,
        "state": DrawObjectionState(found.state), "reason": found.reason, "attachment_ids": found.attachment_ids,
        "objected_at": found.objected_at, "decided_at": found.decided_at, "answer": found.answer, "queue": queue,
    }
