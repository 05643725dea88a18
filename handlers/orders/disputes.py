"""When 未完成 was said too often, or nothing is delivered: a reviewer of the enterprise's region rules how much goes back (O12)."""

from collections.abc import Mapping
from typing import Any

from handlers import approvals
from handlers.approvals import Decision, DecisionIncomplete, DecisionNotOffered
from handlers.context import Context
from handlers.orders.completing import complete
from handlers.orders.handovers import handover_view
from handlers.orders.payment import refund, with_names
from handlers.orders.payment_reviews import OrderFrozen
from handlers.orders.policy import learn, rules_of_order
from handlers.orders.views import NO_TERMINATION, SELECT, OrderView, lock_own_order, may, require_outsider, view
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.orders import CloseReason, OrderState

RULING_WORKING_DAYS = 10


class RulingAmountWrong(Refusal):
    kind, code, title = Kind.INVALID, "ruling_amount_wrong", "退回金额不能超过用券支付金额"


class OrderNotDisputable(Refusal):
    """`data.possible_from`: from when on, for an order in service; null in another state, or once its vouchers are claimed."""

    kind, code, title = Kind.CONFLICT, "order_not_disputable", "订单当前不能申请争议裁定"


async def dispute_order(ctx: Context, order_id: int, reason: str) -> OrderView:
    """申请争议裁定: nothing was delivered within the policy's `deliver_working_days`. Raises OrderNotFound, OrderNotDisputable."""
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        if not may(ctx, order, "dispute"):
            raise OrderNotDisputable(state=order.state, possible_from=_possible_from(ctx, order))
        disputed = await open_dispute(ctx, tx, order, reason)
        tx.announce("order_undelivered", "order", order.id, organisation_id=order.institution_id, number=order.number,
                    service=order.product_name, reason="disputed", said=reason)
        return tx.reply(view(ctx, with_names(disputed, order)))


def _possible_from(ctx: Context, order: Any) -> str | None:
    waits = order.state == OrderState.ACCEPTED and order.due_at is not None and order.due_at > ctx.now
    return order.due_at.isoformat() if waits else None


# What was proposed between the two is over: a reviewer rules.
DISPUTE = f"UPDATE orders SET disputed_at = $2, {', '.join(f'{name} = NULL' for name in NO_TERMINATION)} WHERE id = $1 RETURNING *"


async def open_dispute(ctx: Context, tx: Transaction, order: Any, reason: str) -> Any:
    """The order stays where it is under the overlay `disputed_at`: nobody but the reviewer can move it. Returns the order."""
    await tx.run("INSERT INTO disputes (order_id, reason, opened_at) VALUES ($1,$2,$3)", order.id, reason, ctx.now)
    disputed = await tx.row(DISPUTE, order.id, ctx.now)
    tx.record("order.disputed", "order", order.id, before=order.state, after=order.state, reason=reason)
    await approvals.open_approval(
        tx, kind=ApprovalKind.DISPUTE, title=f"订单争议裁定：{order.product_name}"[:100], subject="order", subject_id=order.id,
        organisation_id=order.enterprise_id, role=Role.REVIEWER,
        region_code=await tx.value("SELECT region_code FROM organisations WHERE id = $1", order.enterprise_id), park_id=None,
        submitted_by=ctx.person_id, due_at=due_after(ctx.now, RULING_WORKING_DAYS),
    )
    return disputed


async def rule(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, data: Mapping[str, Any]
) -> None:
    """裁定: `data.returned_fen` goes back to the enterprise; with nothing returned a delivered order counts as completed, and one that
    nothing was delivered of goes on, with its time to be delivered anew.

    Called by `approvals.decide`, which knows jurisdiction and the enterprise's own people; the institution's are refused here.
    Raises DecisionNotOffered, DecisionIncomplete, OwnCase, OrderFrozen, RulingAmountWrong, OrderClaimed.
    """
    returned_fen = data.get("returned_fen")
    if decision is not Decision.APPROVE:
        raise DecisionNotOffered
    if not isinstance(returned_fen, int) or isinstance(returned_fen, bool) or not reason:
        raise DecisionIncomplete(items=["returned_fen", "reason"])
    order = await tx.row(f"{SELECT} WHERE o.id = $1 FOR UPDATE OF o", approval.subject_id)
    await require_outsider(ctx, tx, order)
    if order.frozen_at is not None:
        raise OrderFrozen
    if not 0 <= returned_fen <= order.voucher_fen:
        raise RulingAmountWrong(limit_fen=order.voucher_fen)
    ruling = "none" if not returned_fen else "full" if returned_fen == order.voucher_fen else "partial"
    await tx.run(
        "UPDATE disputes SET ruling = $2, returned_fen = $3, ruled_by_id = $4, ruled_at = $5 WHERE order_id = $1 AND ruled_at IS NULL",
        order.id, ruling, returned_fen, ctx.person_id, ctx.now,
    )
    if returned_fen:
        await refund(ctx, tx, order, CloseReason.RULED, returned_fen, tell=[order.institution_id])
    elif order.state == OrderState.ACCEPTED:
        await _go_on(tx, order, reason)
    else:
        await complete(tx, order, {"ruling": reason})
    for party in (order.enterprise_id, order.institution_id):
        tx.announce("approval_result", "order", order.id, organisation_id=party, title=f"订单争议 {order.number}",
                    result="approved", reason=reason)


async def _go_on(tx: Transaction, order: Any, reason: str) -> None:
    rules = await rules_of_order(tx, order.policy_id)
    await tx.run("UPDATE orders SET disputed_at = NULL, due_at = $2, reminded = 0 WHERE id = $1", order.id,
                 due_after(tx.ctx.now, rules.deliver_working_days))
    tx.record("order.dispute_dismissed", "order", order.id, before=order.state, after=order.state, ruling=reason)


async def dispute_facts(ctx: Context, approval: Any) -> dict[str, Any]:
    """What a reviewer needs: the order, and every turn of delivery and 未完成."""
    order = await row(f"{SELECT} WHERE o.id = $1", approval.subject_id)
    await learn([order.policy_id])
    turns = await rows("SELECT * FROM handovers WHERE order_id = $1 ORDER BY id LIMIT 100", approval.subject_id)
    return {"order": view(ctx, order), "handovers": [handover_view(each) for each in turns]}


approvals.DECIDERS[ApprovalKind.DISPUTE] = rule
approvals.DETAILS[ApprovalKind.DISPUTE] = dispute_facts
