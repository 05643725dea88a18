"""协商终止: after acceptance both sides may end an order together, and say how much of the vouchers goes back (O12)."""

from datetime import timedelta
from typing import Any

from handlers.context import Context
from handlers.orders.payment import refund, with_names
from handlers.orders.views import BUYER, NO_TERMINATION, OrderView, lock_own_order, may, own_side, view
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, transaction
from models.orders import CloseReason

ANSWER_WITHIN = timedelta(days=7)


class OrderNotTerminable(Refusal):
    """There is nothing to propose, or nothing to answer."""

    kind, code, title = Kind.CONFLICT, "order_not_terminable", "订单当前不能协商终止，或没有待答复的终止提议"


class TerminationAmountWrong(Refusal):
    """`data.limit_fen`: what was paid with vouchers."""

    kind, code, title = Kind.INVALID, "termination_amount_wrong", "退回金额不能超过用券支付金额"


class TerminationChanged(Refusal):
    """`data.returned_fen`: what is proposed by now; nobody agrees to an amount that they have not seen."""

    kind, code, title = Kind.CONFLICT, "termination_changed", "终止提议已变更，请重新查看"


PROPOSE = """
UPDATE orders SET termination_side = $2, termination_fen = $3, termination_reason = $4, termination_until = $5 WHERE id = $1 RETURNING *
"""
DROP = f"UPDATE orders SET {', '.join(f'{name} = NULL' for name in NO_TERMINATION)} WHERE id = $1 RETURNING *"
OVER = """
SELECT * FROM orders WHERE termination_until <= $1 AND frozen_at IS NULL ORDER BY termination_until LIMIT $2 FOR UPDATE SKIP LOCKED
"""


async def propose_termination(ctx: Context, order_id: int, returned_fen: int, reason: str) -> OrderView:
    """提出终止, by either side. Raises OrderNotFound, OrderNotTerminable, TerminationAmountWrong."""
    async with transaction(ctx) as tx:
        order = await _lock(ctx, tx, order_id, "terminate")
        if not 0 < returned_fen <= order.voucher_fen:
            raise TerminationAmountWrong(limit_fen=order.voucher_fen)
        until = ctx.now + ANSWER_WITHIN
        proposed = await tx.row(PROPOSE, order.id, str(own_side(ctx, order)), returned_fen, reason, until)
        _record(tx, order, "proposed", returned_fen=returned_fen, reason=reason)
        _tell(tx, order, _other(ctx, order), "proposed", returned_fen=returned_fen, said=reason, until=until.isoformat())
        return tx.reply(view(ctx, with_names(proposed, order)))


async def agree_termination(ctx: Context, order_id: int, returned_fen: int) -> OrderView:
    """同意终止: what was proposed goes back to its lots, the rest stays the institution's. `returned_fen`: as it was shown.

    Raises OrderNotFound, OrderNotTerminable, TerminationChanged, OrderClaimed.
    """
    async with transaction(ctx) as tx:
        order = await _lock(ctx, tx, order_id, "agree_termination")
        if order.termination_fen != returned_fen:
            raise TerminationChanged(returned_fen=order.termination_fen)
        both = [order.enterprise_id, order.institution_id]
        return tx.reply(view(ctx, await refund(ctx, tx, order, CloseReason.REFUNDED, returned_fen, tell=both)))


async def refuse_termination(ctx: Context, order_id: int, reason: str) -> OrderView:
    """不同意终止: the order goes on. Raises OrderNotFound, OrderNotTerminable."""
    return await _drop(ctx, order_id, "refuse_termination", "refused", reason)


async def withdraw_termination(ctx: Context, order_id: int) -> OrderView:
    """撤回提议, by who made it. Raises OrderNotFound, OrderNotTerminable."""
    return await _drop(ctx, order_id, "withdraw_termination", "withdrawn", None)


async def _drop(ctx: Context, order_id: int, verb: str, consent: str, reason: str | None) -> OrderView:
    async with transaction(ctx) as tx:
        order = await _lock(ctx, tx, order_id, verb)
        dropped = await tx.row(DROP, order.id)
        _record(tx, order, consent, reason=reason)
        _tell(tx, order, _other(ctx, order), consent, said=reason)
        return tx.reply(view(ctx, with_names(dropped, order)))


async def expire_terminations(ctx: Context, limit: int = 500) -> int:
    """What nobody answered in its days is over; both hear it. Returns how many."""
    async with transaction(ctx) as tx:
        over = await tx.rows(OVER, ctx.now, limit)
        for order in over:
            await tx.run(DROP, order.id)
            _record(tx, order, "expired")
            for party in (order.enterprise_id, order.institution_id):
                _tell(tx, order, party, "expired")
        return len(over)


async def _lock(ctx: Context, tx: Transaction, order_id: int, verb: str) -> Any:
    order = await lock_own_order(ctx, tx, order_id)
    if not may(ctx, order, verb):
        raise OrderNotTerminable(state=order.state)
    return order


def _other(ctx: Context, order: Any) -> int:
    found: int = order.institution_id if own_side(ctx, order) is BUYER else order.enterprise_id
    return found


def _record(tx: Transaction, order: Any, consent: str, **note: Any) -> None:
    tx.record(f"order.termination_{consent}", "order", order.id, before=order.state, after=order.state, **note)


def _tell(tx: Transaction, order: Any, organisation_id: int, consent: str, **data: Any) -> None:
    tx.announce(
        "order_termination", "order", order.id, organisation_id=organisation_id, number=order.number, service=order.product_name,
        consent=consent, at=tx.ctx.now.isoformat(), **data,
    )
