"""Stopping a round, in public and with a reason: by one person before its list is committed, by two afterwards (docs/decisions/0243).

Whoever could stop a drawn round alone could draw until the result pleases.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypedDict

from handlers.context import Context
from handlers.moves import move
from handlers.programmes import manages
from handlers.refusals import Kind, NotFound, Refusal, SecondPersonNeeded
from handlers.rounds import LONG_SECONDS, SHUT, RoundStateWrong, RoundView, allow_long_statements, lock_round, view_in
from handlers.transactions import Transaction, row, transaction
from models.accounts import Role
from models.reservations import ROUND_GRAPH, RoundState

BY_ONE = frozenset({RoundState.DRAFT, RoundState.ANNOUNCED, RoundState.OPEN, RoundState.CLOSED})
BY_TWO = frozenset({RoundState.COMMITTED, RoundState.DRAWN, RoundState.PUBLICITY})


class VoidingProposed(Refusal):
    kind, code, title = Kind.CONFLICT, "voiding_proposed", "已提出作废该批次，请由另一位项目管理员确认"


class VoidingNotProposed(Refusal):
    kind, code, title = Kind.CONFLICT, "voiding_not_proposed", "尚未提出作废该批次"


class VoidingView(TypedDict):
    """What waits for a second person."""

    round_id: int
    reason: str
    proposed_by_id: int
    proposed_at: datetime


# What has waited for a decision about a round, and needs none when it is voided.
ON_VOIDED: list[Callable[[Transaction, Any], Awaitable[None]]] = []
VOID_RESERVATIONS = """
WITH chosen AS (
  SELECT id, state AS before FROM reservations WHERE round_id = $1 AND rank IS NOT NULL AND state IN ('won', 'alternate')
  ORDER BY id FOR NO KEY UPDATE
), gone AS (
  UPDATE reservations v SET state = 'disqualified', win_year = NULL, win_nth = NULL, changed_at = $2 FROM chosen
  WHERE v.id = chosen.id RETURNING v.id, chosen.before
)
INSERT INTO audit_entries (at, person_id, role, action, subject, subject_id, before, after, data, request_id)
SELECT $2, $3, $4, 'reservation.disqualified', 'reservation', id, before, 'disqualified', '{"round": "voided"}', $5 FROM gone
"""
TELL_VOIDED = """
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'reservation_voided', v.organisation_id, 'reservation', v.id, jsonb_build_object(
  'round', r.name, 'ticket_no', 'R' || r.number || '-' || lpad(v.id::text, 8, '0'), 'reason', r.void_reason), $2
FROM reservations v JOIN rounds r ON r.id = v.round_id
WHERE v.round_id = $1 AND v.state IN ('submitted', 'won', 'alternate') ORDER BY v.id
"""
PROPOSE = "UPDATE rounds SET void_proposal = $2, void_proposed_by_id = $3, void_proposed_at = $4 WHERE id = $1"
PROPOSED = """
SELECT r.id, r.void_proposal, r.void_proposed_by_id, r.void_proposed_at, p.region_code
FROM rounds r JOIN programmes p ON p.id = r.programme_id WHERE r.id = $1
"""
REGION = "SELECT region_code FROM programmes WHERE id = $1"


async def void_round(ctx: Context, round_id: int, reason: str) -> RoundView:
    """Before its list is committed: nobody knows or can choose a result yet.

    First come, first served: what was taken is issued, and stays; nobody takes any more. Raises RoundStateWrong, SecondPersonNeeded
    from the commitment on.
    """
    async with transaction(ctx) as tx:
        found = await lock_round(ctx, tx, round_id)
        if found.state in BY_TWO:
            raise SecondPersonNeeded
        if found.state not in BY_ONE:
            raise RoundStateWrong(state=found.state)
        await _void(tx, found, reason)
        return tx.reply(await view_in(tx, round_id))


async def propose_voiding(ctx: Context, round_id: int, reason: str) -> VoidingView:
    """From the commitment to the issue of vouchers; the round goes on until a second person agrees.

    Raises NotFound, RoundStateWrong, VoidingProposed.
    """
    async with transaction(ctx) as tx:
        found = await _lock_committed(ctx, tx, round_id)
        if not await propose(tx, found, reason):
            raise VoidingProposed
        return tx.reply(_view(await tx.row(PROPOSED, round_id)), 201)


async def propose(tx: Transaction, round_: Any, reason: str) -> bool:
    """On a locked round; False where somebody has already."""
    if round_.void_proposal is not None:
        return False
    await tx.run(PROPOSE, round_.id, reason, tx.ctx.person_id, tx.ctx.now)
    tx.record("round.voiding_proposed", "round", round_.id, reason=reason)
    tx.announce(
        "approval_waiting", "round", round_.id, role=Role.PROGRAMME_MANAGER,
        region_code=await tx.value(REGION, round_.programme_id), title=f"作废批次：{round_.name}"[:50],
    )
    return True


async def confirm_voiding(ctx: Context, round_id: int) -> RoundView:
    """By another person than who proposed it; its wins no longer count, and every holder hears why.

    Raises NotFound, RoundStateWrong, VoidingNotProposed, SecondPersonNeeded.
    """
    async with transaction(ctx) as tx:
        found = await _lock_proposed(ctx, tx, round_id)
        if found.void_proposed_by_id == ctx.person_id:
            raise SecondPersonNeeded
        await _void(tx, found, found.void_proposal)
        return tx.reply(await view_in(tx, round_id))


async def drop_voiding(ctx: Context, round_id: int) -> RoundView:
    """The round goes on. Raises NotFound, RoundStateWrong, VoidingNotProposed."""
    async with transaction(ctx) as tx:
        found = await _lock_proposed(ctx, tx, round_id)
        await tx.run(PROPOSE, round_id, None, None, None)
        tx.record("round.voiding_dropped", "round", round_id, reason=found.void_proposal)
        tx.announce("approval_closed", "round", round_id)
        return tx.reply(await view_in(tx, round_id))


async def get_voiding(ctx: Context, round_id: int) -> VoidingView:
    """Raises NotFound, also where none is proposed."""
    found = await row(PROPOSED, round_id)
    if found is None or found.void_proposal is None or not manages(ctx, found.region_code):
        raise NotFound
    return _view(found)


async def _void(tx: Transaction, round_: Any, reason: str) -> None:
    ctx = tx.ctx
    await move(
        tx, ROUND_GRAPH, round_, RoundState.VOIDED, note={"reason": reason}, void_reason=reason, voided_by_id=ctx.person_id,
    )
    await tx.run(SHUT, round_.id)
    await allow_long_statements(tx)
    await tx.connection.execute(TELL_VOIDED, round_.id, ctx.now, timeout=LONG_SECONDS)
    await tx.connection.execute(
        VOID_RESERVATIONS, round_.id, ctx.now, ctx.person_id, ctx.actor.role, ctx.request_id, timeout=LONG_SECONDS
    )
    tx.announce("approval_closed", "round", round_.id)
    for ended in ON_VOIDED:
        await ended(tx, round_)


async def _lock_committed(ctx: Context, tx: Transaction, round_id: int) -> Any:
    found = await lock_round(ctx, tx, round_id)
    if found.state not in BY_TWO:
        raise RoundStateWrong(state=found.state)
    return found


async def _lock_proposed(ctx: Context, tx: Transaction, round_id: int) -> Any:
    found = await _lock_committed(ctx, tx, round_id)
    if found.void_proposal is None:
        raise VoidingNotProposed
    return found


def _view(found: Any) -> VoidingView:
    return {
        "round_id": found.id, "reason": found.void_proposal, "proposed_by_id": found.void_proposed_by_id,
        "proposed_at": found.void_proposed_at,
    }
