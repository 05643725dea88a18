"""What the parties see of an order: its state in the manual's words, and what each of them may do next."""

from datetime import datetime
from typing import Any, TypedDict

from handlers.context import Context
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, rows
from models.accounts import OrganisationKind, Role
from models.orders import OrderState


class OrderNotFound(Refusal):
    kind, code, title = Kind.NOT_FOUND, "order_not_found", "订单不存在"


class OrderView(TypedDict):
    """Amounts in fen: 产品价格 >= 订单金额 >= 用券支付金额; `offline_fen` is settled between the parties (E30)."""

    id: int
    number: str
    state: str
    label: str
    close_reason: str | None
    enterprise: str
    institution: str
    institution_id: int
    product_id: int
    product_name: str
    category: str
    list_price_fen: int
    order_fen: int
    max_voucher_fen: int
    voucher_fen: int
    returned_fen: int
    offline_fen: int
    message: str
    rework_count: int
    in_dispute: bool
    is_frozen: bool
    reviewed: bool
    placed_at: datetime
    paid_at: datetime | None
    accepted_at: datetime | None
    delivered_at: datetime | None
    completed_at: datetime | None
    closed_at: datetime | None
    due_at: datetime | None
    allowed_actions: list[str]


LABELS = {
    OrderState.AWAITING_PRICE: "待核价",
    OrderState.UNPAID: "待支付",
    OrderState.PAY_REVIEW: "支付审核中",
    OrderState.PAY_REJECTED: "支付审核拒绝",
    OrderState.PAID: "待服务商确认",
    OrderState.ACCEPTED: "服务中",
    OrderState.DELIVERED: "待确认",
    OrderState.CLOSED: "已关闭",
}


def label(order: Any) -> str:
    """The manual's word for where an order is (section 2.3, projection for Jinan)."""
    if order.state == OrderState.COMPLETED:
        return "待评价" if order.reviewed_at is None else "已评价"
    if order.disputed_at is not None and order.state == OrderState.DELIVERED:
        return "争议处理中"
    return LABELS[OrderState(order.state)]


# verb -> (side, roles, states). The use-cases ask the same table, so what a phone offers is what the server takes.
PAYERS = frozenset({Role.OWNER, Role.FINANCE})
ACTORS = frozenset({Role.OWNER, Role.HANDLER})
BUYER, SELLER = OrganisationKind.ENTERPRISE, OrganisationKind.INSTITUTION
ACTIONS: dict[str, tuple[OrganisationKind, frozenset[Role], frozenset[OrderState]]] = {
    "pay": (BUYER, PAYERS, frozenset({OrderState.UNPAID, OrderState.PAY_REJECTED})),
    "cancel": (BUYER, ACTORS, frozenset({OrderState.AWAITING_PRICE, OrderState.UNPAID, OrderState.PAY_REJECTED})),
    "take_back": (BUYER, ACTORS, frozenset({OrderState.PAID})),
    "confirm": (BUYER, ACTORS, frozenset({OrderState.DELIVERED})),
    "send_back": (BUYER, ACTORS, frozenset({OrderState.DELIVERED})),
    "review": (BUYER, ACTORS, frozenset({OrderState.COMPLETED})),
    "accept": (SELLER, ACTORS, frozenset({OrderState.PAID})),
    "decline": (SELLER, ACTORS, frozenset({OrderState.PAID})),
    "deliver": (SELLER, ACTORS, frozenset({OrderState.ACCEPTED})),
}
FREE_WHILE_FROZEN = frozenset({"review"})


def may(ctx: Context, order: Any, verb: str) -> bool:
    """Guard and offer in one: whether this actor may do `verb` with the order as it is now."""
    side, roles, states = ACTIONS[verb]
    if ctx.actor.role not in roles or order.state not in states:
        return False
    if ctx.organisation_id != (order.enterprise_id if side is BUYER else order.institution_id):
        return False
    if (order.disputed_at is not None or order.frozen_at is not None) and verb not in FREE_WHILE_FROZEN:
        return False
    if verb == "review":
        return order.reviewed_at is None
    if verb == "take_back":
        return order.due_at is not None and order.due_at <= ctx.now  # the institution had its working days
    return True


def view(ctx: Context, order: Any) -> OrderView:
    return {
        "id": order.id, "number": order.number, "state": order.state, "label": label(order), "close_reason": order.close_reason,
        "enterprise": order.enterprise_name, "institution": order.institution_name, "institution_id": order.institution_id,
        "product_id": order.product_id, "product_name": order.product_name, "category": order.category,
        "list_price_fen": order.list_price_fen, "order_fen": order.order_fen, "max_voucher_fen": order.max_voucher_fen,
        "voucher_fen": order.voucher_fen, "returned_fen": order.returned_fen, "offline_fen": order.order_fen - order.voucher_fen,
        "message": order.message, "rework_count": order.rework_count, "in_dispute": order.disputed_at is not None,
        "is_frozen": order.frozen_at is not None, "reviewed": order.reviewed_at is not None, "placed_at": order.placed_at,
        "paid_at": order.paid_at, "accepted_at": order.accepted_at, "delivered_at": order.delivered_at,
        "completed_at": order.completed_at, "closed_at": order.closed_at, "due_at": order.due_at,
        "allowed_actions": [verb for verb in ACTIONS if may(ctx, order, verb)],
    }


SELECT = """
SELECT o.*, e.name AS enterprise_name, i.name AS institution_name FROM orders o
JOIN organisations e ON e.id = o.enterprise_id JOIN organisations i ON i.id = o.institution_id
"""
SIDES = {OrganisationKind.ENTERPRISE: "o.enterprise_id", OrganisationKind.INSTITUTION: "o.institution_id"}


def side_of(ctx: Context) -> str:
    """The column that makes an order one's own. Somebody who is neither side finds nothing."""
    return SIDES.get(ctx.actor.organisation_kind or OrganisationKind.OFFICE, "o.enterprise_id")


LOCK_OWN = f"{SELECT} WHERE o.id = $1 AND (o.enterprise_id = $2 OR o.institution_id = $2) FOR UPDATE OF o"


async def lock_own_order(ctx: Context, tx: Transaction, order_id: int) -> Any:
    """The order, locked, if it is one's own: orders before lots, everywhere. Raises OrderNotFound."""
    order = await tx.row(LOCK_OWN, order_id, ctx.organisation_id)
    if order is None:
        raise OrderNotFound
    return order


async def get_order(ctx: Context, order_id: int) -> OrderView:
    order = await row(f"{SELECT} WHERE o.id = $1 AND {side_of(ctx)} = $2", order_id, ctx.organisation_id)
    if order is None:
        raise OrderNotFound
    return view(ctx, order)


async def list_orders(ctx: Context, state: OrderState | None, page: Page) -> PageView[OrderView]:
    """One's own orders, newest first."""
    after = page.key()
    found = await rows(
        f"{SELECT} WHERE {side_of(ctx)} = $1 AND ($2::varchar IS NULL OR o.state = $2) AND o.id < $3 ORDER BY o.id DESC LIMIT $4",
        ctx.organisation_id, state, after[0] if after else 2**63 - 1, page.limit + 1,
    )
    return page_of(found, page, lambda order: view(ctx, order), lambda order: [order.id])
