"""When 未完成 was said too often: a reviewer of the enterprise's region rules how much goes back (O12)."""

from collections.abc import Mapping
from typing import Any

from handlers import approvals
from handlers.approvals import Decision, DecisionIncomplete, DecisionNotOffered
from handlers.context import Context
from handlers.orders.completing import complete
from handlers.orders.handovers import handover_view
from handlers.orders.payment import refund
from handlers.orders.payment_reviews import OrderFrozen
from handlers.orders.policy import learn
from handlers.orders.views import SELECT, require_outsider, view
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, rows
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.orders import CloseReason

RULING_WORKING_DAYS = 10


class RulingAmountWrong(Refusal):
    kind, code, title = Kind.INVALID, "ruling_amount_wrong", "退回金额不能超过用券支付金额"


async def open_dispute(ctx: Context, tx: Transaction, order: Any, reason: str) -> Any:
    """The order stays delivered under the overlay `disputed_at`: nobody but the reviewer can move it. Returns the order."""
    await tx.run("INSERT INTO disputes (order_id, reason, opened_at) VALUES ($1,$2,$3)", order.id, reason, ctx.now)
    disputed = await tx.row("UPDATE orders SET disputed_at = $2 WHERE id = $1 RETURNING *", order.id, ctx.now)
    tx.record("order.disputed", "order", order.id, before=order.state, after=order.state, reason=reason)
    await approvals.open_approval(
        tx, kind=ApprovalKind.DISPUTE, title=f"订单争议裁定：{order.product_name}"[:100], subject="order", subject_id=order.id,
        organisation_id=order.enterprise_id, role=Role.REVIEWER,
        region_code=await tx.value("SELECT region_code FROM organisations WHERE id = $1", order.enterprise_id), park_id=None,
        submitted_by=ctx.person_id, due_at=due_after(ctx.now, RULING_WORKING_DAYS),
    )
    tx.announce("order_sent_back", "order", order.id, organisation_id=order.institution_id, number=order.number,
                service=order.product_name, reason=reason, disputed=True)
    return disputed


async def rule(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, data: Mapping[str, Any]
) -> None:
    """裁定: `data.returned_fen` goes back to the enterprise; with nothing returned the order counts as completed.

    Called by `approvals.decide`, which knows jurisdiction and the enterprise's own people; the institution's are refused here.
    Raises DecisionNotOffered, DecisionIncomplete, OwnCase, OrderFrozen, RulingAmountWrong.
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
        await refund(ctx, tx, order, CloseReason.RULED, returned_fen, tell=order.institution_id)
    else:
        await complete(tx, order, {"ruling": reason})
    for party in (order.enterprise_id, order.institution_id):
        tx.announce("approval_result", "order", order.id, organisation_id=party, title=f"订单争议 {order.number}",
                    result="approved", reason=reason)


async def dispute_facts(ctx: Context, approval: Any) -> dict[str, Any]:
    """What a reviewer needs: the order, and every turn of delivery and 未完成."""
    order = await row(f"{SELECT} WHERE o.id = $1", approval.subject_id)
    await learn([order.policy_id])
    turns = await rows("SELECT * FROM handovers WHERE order_id = $1 ORDER BY id LIMIT 100", approval.subject_id)
    return {"order": view(ctx, order), "handovers": [handover_view(each) for each in turns]}


approvals.DECIDERS[ApprovalKind.DISPUTE] = rule
approvals.DETAILS[ApprovalKind.DISPUTE] = dispute_facts
