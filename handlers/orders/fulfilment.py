"""From acceptance to 确认完成: the institution works, the enterprise agrees or sends it back (O6-O10; E31-E33)."""

from datetime import datetime, timedelta
from typing import Any

from handlers.context import Context
from handlers.moves import move
from handlers.orders import disputes
from handlers.orders.completing import complete
from handlers.orders.payment import refund, with_names
from handlers.orders.policy import rules_known, rules_of_order
from handlers.orders.telling import tell
from handlers.orders.views import OrderView, is_due, lock_own_order, may, refuse_both, view
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import Transaction, transaction
from handlers.working_days import due_after
from models.orders import ORDER_GRAPH, CloseReason, OrderState


class OrderNotAcceptable(Refusal):
    kind, code, title = Kind.CONFLICT, "order_not_acceptable", "订单当前不能接单或拒单"


class OrderNotDeliverable(Refusal):
    kind, code, title = Kind.CONFLICT, "order_not_deliverable", "订单当前不能提交完成"


class HandoverSaysTooLittle(Refusal):
    """O8: what was handed over is attached, or said in a sentence that the enterprise can confirm and a reviewer can judge.

    `data.characters_min`: letters and digits, where there is no file.
    """

    kind, code, title = Kind.INVALID, "handover_says_too_little", "请说明交付了什么（不少于五个字），或附上成果文件"


class OrderNotConfirmable(Refusal):
    kind, code, title = Kind.CONFLICT, "order_not_confirmable", "订单当前不能确认"


async def accept_order(ctx: Context, order_id: int) -> OrderView:
    """接单 (O6). Raises OrderNotFound, RelatedParties, OrderNotAcceptable."""
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        refuse_both(order)
        if not may(ctx, order, "accept"):
            raise OrderNotAcceptable(state=order.state)
        accepted = await move(tx, ORDER_GRAPH, order, OrderState.ACCEPTED, accepted_at=ctx.now, due_at=_deliver_by(ctx, order), reminded=0)
        tell(tx, "order_accepted", order, order.enterprise_id)
        return tx.reply(view(ctx, with_names(accepted, order)))


def _deliver_by(ctx: Context, order: Any) -> datetime:
    return due_after(ctx.now, rules_known(order.policy_id).deliver_working_days)


async def decline_order(ctx: Context, order_id: int, reason: str) -> OrderView:
    """拒单 (O7): the vouchers go back to the lots that they came from. Raises OrderNotFound, OrderNotAcceptable, OrderClaimed."""
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        if not may(ctx, order, "decline"):
            raise OrderNotAcceptable(state=order.state)
        tell(tx, "order_declined", order, order.enterprise_id, reason=reason)
        closed = await refund(ctx, tx, order, CloseReason.DECLINED, order.voucher_fen, tell=[order.institution_id])
        return tx.reply(view(ctx, closed))


async def deliver_order(ctx: Context, order_id: int, summary: str, attachment_id: int | None = None) -> OrderView:
    """提交完成 (O8), with what was handed over.

    Raises OrderNotFound, RelatedParties, OrderNotDeliverable, HandoverSaysTooLittle, NotFound (attachment).
    """
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        refuse_both(order)
        if not may(ctx, order, "deliver"):
            raise OrderNotDeliverable(state=order.state)
        await _hand_over(ctx, tx, order, summary, attachment_id)
        asks = rules_known(order.policy_id).completion == "buyer_confirm"
        delivered = await move(
            tx, ORDER_GRAPH, order, OrderState.DELIVERED, delivered_at=ctx.now, due_at=None, reminded=0 if asks else len(REMIND_AFTER_DAYS)
        )
        tell(tx, "order_delivered", order, order.enterprise_id, reason=None if asks else "for_information")
        return tx.reply(view(ctx, with_names(delivered, order)))


SUMMARY_CHARACTERS_MIN = 5


def says_enough(summary: str) -> bool:
    """Whether words alone can stand for a deliverable: five letters or digits, as in 报告已交付."""
    return sum(each.isalnum() for each in summary) >= SUMMARY_CHARACTERS_MIN


async def _hand_over(ctx: Context, tx: Transaction, order: Any, summary: str, attachment_id: int | None) -> None:
    if attachment_id is None and not says_enough(summary):
        raise HandoverSaysTooLittle(characters_min=SUMMARY_CHARACTERS_MIN)
    if attachment_id is not None and not await tx.value(
        "SELECT id FROM attachments WHERE id = $1 AND organisation_id = $2 AND state = 'stored' FOR SHARE",
        attachment_id, ctx.organisation_id,
    ):
        raise NotFound(attachment_id=attachment_id)
    await tx.run(
        "INSERT INTO handovers (order_id, summary, attachment_id, delivered_by_id, delivered_at) VALUES ($1,$2,$3,$4,$5)",
        order.id, summary, attachment_id, ctx.person_id, ctx.now,
    )


async def confirm_completion(ctx: Context, order_id: int) -> OrderView:
    """确认完成 (O9): from now on it can be reviewed, and the system reviews it in seven days.

    Raises RelatedParties, OrderNotConfirmable.
    """
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        refuse_both(order)
        if not may(ctx, order, "confirm"):
            raise OrderNotConfirmable(state=order.state)
        tell(tx, "order_completed", order, order.institution_id)
        return tx.reply(view(ctx, with_names(await complete(tx, order), order)))


async def send_back(ctx: Context, order_id: int, reason: str) -> OrderView:
    """未完成 (O10): the institution does it again; beyond the policy's `rework_max` a reviewer rules. Raises OrderNotConfirmable."""
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        if not may(ctx, order, "send_back"):
            raise OrderNotConfirmable(state=order.state)
        await tx.run(
            "UPDATE handovers SET sent_back_reason = $2, sent_back_at = $3 WHERE order_id = $1 AND sent_back_at IS NULL",
            order.id, reason, ctx.now,
        )
        rules = await rules_of_order(tx, order.policy_id)
        if rules.rework_max is not None and order.rework_count >= rules.rework_max:
            tell(tx, "order_sent_back", order, order.institution_id, reason=reason, disputed=True)
            return tx.reply(view(ctx, with_names(await disputes.open_dispute(ctx, tx, order, reason), order)))
        again = await move(
            tx, ORDER_GRAPH, order, OrderState.ACCEPTED, note={"reason": reason}, rework_count=order.rework_count + 1, delivered_at=None,
            due_at=_deliver_by(ctx, order), reminded=0,
        )
        tell(tx, "order_sent_back", order, order.institution_id, reason=reason)
        return tx.reply(view(ctx, with_names(again, order)))


REMIND_AFTER_DAYS = (3, 7)  # after `delivered`; never an automatic confirmation


async def remind_unconfirmed(ctx: Context, limit: int = 500) -> int:
    """请确认完成, three and seven days after delivery. A reminder that was missed is not caught up twice."""
    async with transaction(ctx) as tx:
        due = await tx.rows(
            "SELECT * FROM orders WHERE state = 'delivered' AND disputed_at IS NULL AND frozen_at IS NULL AND"
            " (reminded < 1 AND greatest(delivered_at, clock_from) <= $1::timestamptz - make_interval(days => $2)"
            "  OR reminded < 2 AND greatest(delivered_at, clock_from) <= $1::timestamptz - make_interval(days => $3))"
            " ORDER BY delivered_at LIMIT $4 FOR UPDATE SKIP LOCKED", ctx.now, *REMIND_AFTER_DAYS, limit,
        )
        for order in due:
            days = (ctx.now - max(order.delivered_at, order.clock_from or order.delivered_at)).days
            await tx.run("UPDATE orders SET reminded = $2 WHERE id = $1", order.id, 2 if days >= REMIND_AFTER_DAYS[1] else 1)
            tell(tx, "order_delivered", order, order.enterprise_id, days=days)
        return len(due)


async def remind_unaccepted(ctx: Context, limit: int = 500) -> int:
    """Five working days without 接单: the institution is reminded, the enterprise hears that it may take its vouchers back."""
    async with transaction(ctx) as tx:
        due = await tx.rows(
            "SELECT * FROM orders WHERE state = 'paid' AND reminded = 0 AND due_at <= $1 AND frozen_at IS NULL"
            " ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED", ctx.now, limit,
        )
        for order in due:
            await tx.run("UPDATE orders SET reminded = 1 WHERE id = $1", order.id)
            tell(tx, "order_paid", order, order.institution_id, overdue=True)
            tell(tx, "order_closed", order, order.enterprise_id, reason="may_take_back")
        return len(due)


REMIND_UNDELIVERED_BEFORE = timedelta(days=3)


async def remind_undelivered(ctx: Context, limit: int = 500) -> int:
    """The institution hears three days before its time to deliver is over and when it is; the enterprise then, that a reviewer may rule."""
    async with transaction(ctx) as tx:
        due = await tx.rows(
            "SELECT * FROM orders WHERE state = 'accepted' AND disputed_at IS NULL AND frozen_at IS NULL"
            " AND (reminded < 1 AND due_at <= $1::timestamptz + $2 OR reminded < 2 AND due_at <= $1)"
            " ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED", ctx.now, REMIND_UNDELIVERED_BEFORE, limit,
        )
        for order in due:
            is_late = is_due(ctx, order)
            await tx.run("UPDATE orders SET reminded = $2 WHERE id = $1", order.id, 2 if is_late else 1)
            said = {"deliver_by": order.due_at.isoformat()}
            tell(tx, "order_undelivered", order, order.institution_id, reason="overdue" if is_late else None, **said)
            if is_late:
                tell(tx, "order_undelivered", order, order.enterprise_id, reason="may_dispute", **said)
        return len(due)
