"""核定价格: the institution settles what the contract says, before the enterprise pays (O2; C29-C34)."""

from datetime import timedelta
from typing import Any

from handlers.context import Context
from handlers.moves import move
from handlers.orders.payment import with_names
from handlers.orders.policy import rules_known
from handlers.orders.views import OrderView, lock_own_order, may, refuse_both, view, why_not_paid
from handlers.refusals import Kind, Refusal
from handlers.transactions import transaction
from models.orders import ORDER_GRAPH, OrderState


class OrderNotPriceable(Refusal):
    """Paid or in review: nobody changes the price under a reviewer; or the programme has fixed prices.

    `data.overdue_since`: when its time to be paid was over.
    """

    kind, code, title = Kind.CONFLICT, "order_not_priceable", "订单当前不能核定价格"


class PriceAboveList(Refusal):
    """`data.limit_fen`: 产品价格 when the order was placed (C34)."""

    kind, code, title = Kind.INVALID, "price_above_list", "核定金额不能大于产品价格，建议发布新产品"


class PriceAboveOffer(Refusal):
    """`data.limit_fen`: what the institution offered on the demand that the order came from (D16)."""

    kind, code, title = Kind.INVALID, "price_above_offer", "核定金额不能大于对接需求时的报价"


async def settle_price(ctx: Context, order_id: int, amount_fen: int) -> OrderView:
    """Set 订单金额 to the contract's total, 0 < amount <= 产品价格; every time is kept. 产品价格 itself never changes (C31).

    What was offered on a demand binds. Raises OrderNotFound, RelatedParties, OrderNotPriceable, PriceAboveList, PriceAboveOffer.
    """
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        refuse_both(order)
        if not may(ctx, order, "settle_price"):
            raise OrderNotPriceable(**why_not_paid(ctx, order))
        if amount_fen > order.list_price_fen:
            raise PriceAboveList(limit_fen=order.list_price_fen, hint="建议发布新产品")
        if order.offered_fen is not None and amount_fen > order.offered_fen:
            raise PriceAboveOffer(limit_fen=order.offered_fen)
        await tx.run(
            "INSERT INTO price_changes (order_id, from_fen, to_fen, settled_by_id, settled_at) VALUES ($1,$2,$3,$4,$5)",
            order.id, order.order_fen, amount_fen, ctx.person_id, ctx.now,
        )
        settled = await move(
            tx, ORDER_GRAPH, order, OrderState.UNPAID, note={"from_fen": order.order_fen, "to_fen": amount_fen}, order_fen=amount_fen,
            max_voucher_fen=min(max(order.deductions.values()), amount_fen), remark=None, due_at=_due_at(ctx, order),
        )
        tx.announce(
            "price_confirmed", "order", order.id, organisation_id=order.enterprise_id, number=order.number, service=order.product_name,
            order_fen=amount_fen,
        )
        return tx.reply(view(ctx, with_names(settled, order)))


def _due_at(ctx: Context, order: Any) -> object:
    """Nobody could pay before there was a price: from there the enterprise has its whole time. A later price gives no new time."""
    if order.state != OrderState.AWAITING_PRICE:
        return order.due_at
    return ctx.now + timedelta(days=rules_known(order.policy_id).unpaid_timeout_days)
