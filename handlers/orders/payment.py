"""Paying an order with vouchers, and calling it off before that (O3, O11; E29-E32)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict

from handlers import payment_passwords, wallet
from handlers.context import Context
from handlers.moves import move
from handlers.orders.contracts import GivenContract, take_contract
from handlers.orders.payment_reviews import submit_payment
from handlers.orders.policy import direction_of, learn, rules_known, rules_of_order
from handlers.orders.uses import require_use_left, use_of_payment
from handlers.orders.views import (
    NO_TERMINATION,
    OrderNotFound,
    OrderView,
    lock_own_order,
    may,
    read_own_order,
    refuse_both,
    view,
    why_not_paid,
)
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, transaction
from handlers.working_days import due_after
from models.orders import ORDER_GRAPH, CloseReason, OrderState


class OrderNotPayable(Refusal):
    """`data.overdue_since`: when its time to be paid was over."""

    kind, code, title = Kind.CONFLICT, "order_not_payable", "订单当前不能支付"


class OrderNotCancellable(Refusal):
    kind, code, title = Kind.CONFLICT, "order_not_cancellable", "订单当前不能取消"


class OrderClaimed(Refusal):
    """Its vouchers are on their way to the institution's account: they come back behind a claim that was rejected, or not at all."""

    kind, code, title = Kind.CONFLICT, "order_claimed", "订单已申请兑付，兑付申请被拒绝后方可退回服务券"


class DeductionTooHigh(Refusal):
    kind, code, title = Kind.INVALID, "deduction_too_high", "用券额度超过该产品的抵扣上限"


class SpendsDiffer(Refusal):
    """`data.asked_fen`, and what the picks come to: `data.picked_fen`."""

    kind, code, title = Kind.INVALID, "spends_differ", "所选各券金额之和与用券额度不符"


class PaymentPasswordNeeded(Refusal):
    kind, code, title = Kind.INVALID, "payment_password_needed", "请输入支付密码"


class PreviewView(TypedDict):
    """What a payment would use now: "lot A 600, lot B 400"."""

    order_id: int
    voucher_fen: int
    offline_fen: int
    spends: list[wallet.SpendView]


async def pay_order(
    ctx: Context, order_id: int, password: str | None, fen: int, picks: Sequence[wallet.Spend] = (),
    contract: GivenContract | None = None,
) -> OrderView:
    """Pay `fen` with vouchers: the lots that were picked, else earliest expiry first. The rest is settled offline (E30).

    The password goes first and on its own: a wrong guess must be counted although nothing is paid.
    Raises OrderNotFound, RelatedParties, OrderNotPayable, ProductUseCapReached, DeductionTooHigh, SpendsDiffer, LotNotUsable,
    NotEnoughVouchers, PaymentPasswordNeeded, what `verify` raises and what `take_contract` raises.
    """
    if password is not None:
        await payment_passwords.verify(ctx, password)
    elif await _asks_password(ctx, order_id):
        raise PaymentPasswordNeeded
    return await pay_verified(ctx, order_id, fen, picks, contract)


async def _asks_password(ctx: Context, order_id: int) -> bool:
    order = await row("SELECT policy_id FROM orders WHERE id = $1 AND enterprise_id = $2", order_id, ctx.organisation_id)
    if order is None:
        raise OrderNotFound
    await learn([order.policy_id])
    return rules_known(order.policy_id).pay_auth != "none"


async def pay_verified(
    ctx: Context, order_id: int, fen: int, picks: Sequence[wallet.Spend] = (), contract: GivenContract | None = None
) -> OrderView:
    """The payment itself, for a caller who has proved the password. Raises as `pay_order`."""
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        refuse_both(order)
        if not may(ctx, order, "pay"):
            raise OrderNotPayable(**why_not_paid(ctx, order))
        rules = await rules_of_order(tx, order.policy_id)
        use = await use_of_payment(tx, order, rules.product_use_cap_per_year)
        lots = await wallet.lock_lots(
            tx, order.enterprise_id, order.programme_id, [int(key) for key in order.deductions], direction_of(order, rules)
        )
        spends = choose(order, lots, fen, picks, ctx)
        kept = await take_contract(tx, order, rules, contract, spends)
        if rules.payment_review == "none":
            paid = await _pay_at_once(tx, order, fen, spends, use, due_after(ctx.now, rules.accept_working_days))
        else:
            paid = await submit_payment(tx, order, rules, fen, spends, kept, use)
        return tx.reply(view(ctx, with_names(paid, order)))


async def _pay_at_once(
    tx: Transaction, order: Any, fen: int, spends: list[wallet.Spend], use: dict[str, int], accept_by: datetime
) -> Any:
    await wallet.spend(tx, order.id, order.institution_id, spends)
    paid = await move(
        tx, ORDER_GRAPH, order, OrderState.PAID, note={"voucher_fen": fen}, voucher_fen=fen, paid_at=tx.ctx.now,
        due_at=accept_by, reminded=0, **use,
    )
    tx.announce(
        "order_paid", "order", order.id, organisation_id=order.institution_id,
        number=order.number, service=order.product_name, voucher_fen=fen, at=tx.ctx.now.isoformat(),
    )
    return paid


def choose(order: Any, lots: list[Any], fen: int, picks: Sequence[wallet.Spend], ctx: Context) -> list[wallet.Spend]:
    """Which lots pay: one function for the payment and for its dry run. Raises as `pay_order`."""
    if fen > order.max_voucher_fen:
        raise DeductionTooHigh(asked_fen=fen, limit_fen=order.max_voucher_fen)
    if picks:
        picked = sum(pick.fen for pick in picks)
        if picked != fen:
            raise SpendsDiffer(asked_fen=fen, picked_fen=picked)
        return wallet.check_picks(lots, order.deductions, picks, ctx.now)
    return wallet.choose_lots(lots, order.deductions, fen, ctx.now)


async def preview_payment(ctx: Context, order_id: int, fen: int, picks: Sequence[wallet.Spend] = ()) -> PreviewView:
    """The dry run: what `pay_order` would use at this moment, or the refusal it would give."""
    order = await read_own_order(ctx, order_id)
    refuse_both(order)
    if not may(ctx, order, "pay"):
        raise OrderNotPayable(**why_not_paid(ctx, order))
    rules = rules_known(order.policy_id)
    await require_use_left(ctx, order, rules.product_use_cap_per_year)
    direction = direction_of(order, rules)
    lots = await wallet.find_lots(order.enterprise_id, order.programme_id, [int(key) for key in order.deductions], direction)
    by_id = {lot.id: lot for lot in lots}
    spends = choose(order, lots, fen, picks, ctx)
    return {
        "order_id": order.id, "voucher_fen": fen, "offline_fen": order.order_fen - fen,
        "spends": [
            {"lot_id": spend.lot_id, "voucher_type": by_id[spend.lot_id].voucher_type, "fen": spend.fen,
             "valid_until": by_id[spend.lot_id].valid_until} for spend in spends
        ],
    }


async def cancel_order(ctx: Context, order_id: int) -> OrderView:
    """Call an unpaid order off (取消订单). Raises OrderNotFound, OrderNotCancellable."""
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        if not may(ctx, order, "cancel"):
            raise OrderNotCancellable(state=order.state)
        return tx.reply(view(ctx, await close(tx, order, CloseReason.CANCELLED, tell=[order.institution_id])))


async def take_back_order(ctx: Context, order_id: int) -> OrderView:
    """The institution did not accept in five working days: the vouchers come back whole.

    Raises as `cancel_order`, and OrderClaimed.
    """
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        if not may(ctx, order, "take_back"):
            raise OrderNotCancellable(state=order.state, possible_from=order.due_at if order.state == OrderState.PAID else None)
        return tx.reply(view(ctx, await refund(ctx, tx, order, CloseReason.NOT_ACCEPTED, order.voucher_fen, tell=[order.institution_id])))


async def close(tx: Transaction, order: Any, reason: CloseReason, *, tell: Sequence[int]) -> Any:
    """Close an order whose vouchers are not (or no longer) spent, and tell the others. Its use of the yearly cap is given back."""
    closed = await move(
        tx, ORDER_GRAPH, order, OrderState.CLOSED, note={"reason": reason.value}, close_reason=reason.value, closed_at=tx.ctx.now,
        due_at=None, use_nth=None, use_year=None, disputed_at=None,
    )
    for party in tell:
        tx.announce(
            "order_closed", "order", order.id, organisation_id=party, number=order.number, service=order.product_name, reason=reason.value
        )
    return with_names(closed, order)


# Asked behind the order's lock, which a claim takes too: the row that was locked still says what its claim was before the wait.
LIVE_CLAIM = "SELECT 1 FROM redemptions WHERE order_id = $1 AND state <> 'rejected' LIMIT 1"


async def refund(ctx: Context, tx: Transaction, order: Any, reason: CloseReason, fen: int, *, tell: Sequence[int]) -> Any:
    """Close a paid order and give `fen` of it back; only a wholly returned order leaves the yearly cap (decision 0006).

    The order must be locked. Raises OrderClaimed.
    """
    if await tx.value(LIVE_CLAIM, order.id):
        raise OrderClaimed
    rules = await rules_of_order(tx, order.policy_id)
    if fen:
        await wallet.reverse(tx, order.id, order.institution_id, fen, rules.release_grace_days)
    whole = fen == order.voucher_fen
    closed = await move(
        tx, ORDER_GRAPH, order, OrderState.CLOSED, note={"reason": reason.value, "returned_fen": fen}, close_reason=reason.value,
        closed_at=ctx.now, due_at=None, returned_fen=fen, disputed_at=None,
        use_nth=None if whole else order.use_nth, use_year=None if whole else order.use_year, **NO_TERMINATION,
    )
    for party in tell:
        tx.announce(
            "order_closed", "order", order.id, organisation_id=party, number=order.number, service=order.product_name,
            reason=reason.value, returned_fen=fen,
        )
    return with_names(closed, order)


JOINED = frozenset({"enterprise_name", "institution_name", "redemption_state", "redemption_reason", "is_of_both"})


class Named:
    """A moved row with what its lock had joined: the parties' names, the redemption, whether both sides are the reader's."""

    __slots__ = ("_names", "_row")

    def __init__(self, row: Any, names: Any) -> None:
        self._row, self._names = row, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._names if name in JOINED else self._row, name)


def with_names(moved: Any, locked: Any) -> Any:
    return Named(moved, locked)


async def close_unpaid(ctx: Context, limit: int = 500) -> int:
    """Close what was not paid in time (`unpaid_timeout`), and tell both sides (O11). Returns how many."""
    async with transaction(ctx) as tx:
        due = await tx.rows(
            "SELECT o.*, '' AS enterprise_name, '' AS institution_name FROM orders o"
            " WHERE state IN ('awaiting_price','unpaid','pay_rejected') AND due_at <= $1 AND frozen_at IS NULL"
            " ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED", ctx.now, limit,
        )
        for order in due:
            await close(tx, order, CloseReason.TIMEOUT, tell=[order.enterprise_id, order.institution_id])
        return len(due)

