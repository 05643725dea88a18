"""The manuals' words for where an order is: Jinan's, and the nine tabs of Zhengzhou's list (C27, decision 0081)."""

from enum import StrEnum
from typing import Any

from handlers.programmes import Rules
from models.orders import OrderState

O = OrderState  # noqa: E741 - the tables read better


class Tab(StrEnum):
    """全部 is no tab: it is the list without one."""

    UNPAID = "unpaid"
    PAY_REVIEW = "pay_review"
    PAY_REJECTED = "pay_rejected"
    PAID = "paid"
    CLAIM_REVIEW = "claim_review"
    PRE_REDEEMED = "pre_redeemed"
    REDEEMED = "redeemed"
    CLAIM_REJECTED = "claim_rejected"
    CLOSED = "closed"


TAB_TITLES = {
    Tab.UNPAID: "未支付", Tab.PAY_REVIEW: "支付审核中", Tab.PAY_REJECTED: "支付审核拒绝", Tab.PAID: "已支付",
    Tab.CLAIM_REVIEW: "兑付审核中", Tab.PRE_REDEEMED: "预兑付", Tab.REDEEMED: "已兑付", Tab.CLAIM_REJECTED: "兑付审核拒绝",
    Tab.CLOSED: "已关闭",
}
BY_ORDER = {
    O.AWAITING_PRICE: Tab.UNPAID, O.UNPAID: Tab.UNPAID, O.PAY_REVIEW: Tab.PAY_REVIEW, O.PAY_REJECTED: Tab.PAY_REJECTED,
    O.PAID: Tab.PAID, O.ACCEPTED: Tab.PAID, O.DELIVERED: Tab.PAID, O.COMPLETED: Tab.PAID, O.CLOSED: Tab.CLOSED,
}
# What was paid out and is asked back was paid out: the list has no tenth word, the remark says more.
BY_REDEMPTION = {
    "in_review": Tab.CLAIM_REVIEW, "returned": Tab.CLAIM_REVIEW, "rejected": Tab.CLAIM_REJECTED, "pre_redeemed": Tab.PRE_REDEEMED,
    "in_batch": Tab.PRE_REDEEMED, "redeemed": Tab.REDEEMED, "clawback": Tab.REDEEMED,
}


def tab_of(order_state: str, redemption_state: str | None) -> Tab:
    """The newest redemption of the order, then the order itself; of a closed one a claim to what is kept of it, if it lives."""
    tab = BY_ORDER[OrderState(order_state)]
    if redemption_state is None or (tab is Tab.CLOSED and redemption_state == "rejected"):
        return tab
    return BY_REDEMPTION.get(redemption_state, tab)


def states_of(tab: Tab) -> tuple[list[str], list[str]]:
    """The same for a query: the order's states, and the redemption's ("" for none)."""
    if tab is Tab.CLOSED:
        return [O.CLOSED], ["", "rejected"]
    redemptions = [state for state, its in BY_REDEMPTION.items() if its is tab]
    if redemptions:
        return [state for state in OrderState if state is not O.CLOSED or tab is not Tab.CLAIM_REJECTED], redemptions
    return [state for state, its in BY_ORDER.items() if its is tab], [""]


JINAN = {
    O.AWAITING_PRICE: "待核价", O.UNPAID: "待支付", O.PAY_REVIEW: "支付审核中", O.PAY_REJECTED: "支付审核拒绝", O.PAID: "待服务商确认",
    O.ACCEPTED: "服务中", O.DELIVERED: "待确认", O.CLOSED: "已关闭",
}


def label(order: Any, rules: Rules, redemption_state: str | None) -> str:
    """In the words of the manual whose policy the order was placed under."""
    if rules.pricing == "contract":
        return TAB_TITLES[tab_of(order.state, redemption_state)]
    if order.state == O.COMPLETED:
        return "待评价" if order.reviewed_at is None else "已评价"
    if order.disputed_at is not None:
        return "争议处理中"
    return JINAN[OrderState(order.state)]


REMARKS = {
    "cancelled": "企业取消订单", "timeout": "超时未支付", "declined": "服务机构拒单", "not_accepted": "服务机构超时未接单",
    "refunded": "双方协商退款", "ruled": "争议裁定退款",
}


def remark(order: Any) -> str | None:
    """备注: why it was closed, or why its payment or its redemption was refused."""
    if order.close_reason:
        return REMARKS[order.close_reason]
    said: str | None = order.redemption_reason if order.redemption_state in {"returned", "rejected"} else order.remark
    return said
