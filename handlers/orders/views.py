"""What the parties see of an order: its state in the manual's words, and what each of them may do next."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, TypedDict

from handlers.approvals import OwnCase, QueueView, queue_place
from handlers.context import Context
from handlers.orders.labels import Tab, label, remark, states_of, tab_of
from handlers.orders.policy import learn, rules_known, rules_of_order, settles_prices
from handlers.paging import Page, PageView, page_of
from handlers.programmes import Claim, Rules
from handlers.refusals import Kind, Refusal
from handlers.steps import ACTORS
from handlers.transactions import Transaction, row, rows
from models.accounts import OrganisationKind, Role
from models.categories import CATEGORIES
from models.orders import OrderState


class OrderNotFound(Refusal):
    kind, code, title = Kind.NOT_FOUND, "order_not_found", "订单不存在"


class RelatedParties(Refusal):
    kind, code, title = Kind.FORBIDDEN, "related_parties", "同一人不能办理本人任职或关联单位之间的订单"


class OrderView(TypedDict):
    """Amounts in fen: 产品价格 >= 订单金额 >= 用券支付金额; `offline_fen` is settled between the parties (E30).

    `label` is the word of the programme's manual, `tab` where the list of C27 has it, `remark` its 备注; `category_title` and
    `content` are 服务大类 and 服务小类 (C28). `queue`: where its payment review or dispute stands (F11), when one order is looked at.
    """

    id: int
    number: str
    programme_id: int
    state: str
    label: str
    tab: Tab
    remark: str | None
    close_reason: str | None
    enterprise: str
    institution: str
    institution_id: int
    product_id: int
    demand_id: int | None
    product_name: str
    category: str
    category_title: str
    content: str
    list_price_fen: int
    offered_fen: int | None
    order_fen: int
    max_voucher_fen: int
    voucher_fen: int
    returned_fen: int
    offline_fen: int
    message: str
    rework_count: int
    in_dispute: bool
    termination: "TerminationView | None"
    is_frozen: bool
    reviewed: bool
    placed_at: datetime
    paid_at: datetime | None
    accepted_at: datetime | None
    delivered_at: datetime | None
    completed_at: datetime | None
    closed_at: datetime | None
    due_at: datetime | None
    queue: QueueView | None
    allowed_actions: list[str]


class AcceptedVoucherView(TypedDict):
    """适用服务券: `max_fen` is the most of this type that the order takes."""

    voucher_type_id: int
    voucher_type: str
    max_fen: int


class OrderPageView(OrderView):
    """One order with what its pay page chooses from (E29); the lots themselves are the wallet's of the same programme and types."""

    programme: str
    vouchers: list[AcceptedVoucherView]


class TerminationView(TypedDict):
    """协商终止 that waits for an answer. `side`: who proposed it; `returned_fen`: what would go back to the enterprise."""

    side: OrganisationKind
    returned_fen: int
    reason: str
    until: datetime


# verb -> (side, None for either; roles; states). The use-cases ask the same table, so what a phone offers is what the server takes.
PAYERS = frozenset({Role.OWNER, Role.FINANCE})
BUYER, SELLER = OrganisationKind.ENTERPRISE, OrganisationKind.INSTITUTION
IN_SERVICE = frozenset({OrderState.PAID, OrderState.ACCEPTED, OrderState.DELIVERED})
ACTIONS: dict[str, tuple[OrganisationKind | None, frozenset[Role], frozenset[OrderState]]] = {
    "pay": (BUYER, PAYERS, frozenset({OrderState.UNPAID, OrderState.PAY_REJECTED})),
    "cancel": (BUYER, ACTORS, frozenset({OrderState.AWAITING_PRICE, OrderState.UNPAID, OrderState.PAY_REJECTED})),
    "take_back": (BUYER, ACTORS, frozenset({OrderState.PAID})),
    "confirm": (BUYER, ACTORS, frozenset({OrderState.DELIVERED})),
    "send_back": (BUYER, ACTORS, frozenset({OrderState.DELIVERED})),
    "dispute": (BUYER, ACTORS, frozenset({OrderState.ACCEPTED})),
    "review": (BUYER, ACTORS, frozenset({OrderState.COMPLETED})),
    "settle_price": (SELLER, ACTORS, frozenset({OrderState.AWAITING_PRICE, OrderState.UNPAID, OrderState.PAY_REJECTED})),
    "accept": (SELLER, ACTORS, frozenset({OrderState.PAID})),
    "decline": (SELLER, ACTORS, frozenset({OrderState.PAID})),
    "deliver": (SELLER, ACTORS, frozenset({OrderState.ACCEPTED, OrderState.PAID})),
    "review_enterprise": (SELLER, ACTORS, frozenset({OrderState.COMPLETED})),
    "terminate": (None, ACTORS, IN_SERVICE),
    "agree_termination": (None, ACTORS, IN_SERVICE),
    "refuse_termination": (None, ACTORS, IN_SERVICE),
    "withdraw_termination": (None, ACTORS, IN_SERVICE),
    "claim": (SELLER, ACTORS, frozenset({
        OrderState.PAID, OrderState.ACCEPTED, OrderState.DELIVERED, OrderState.COMPLETED, OrderState.CLOSED})),
}
# 申请兑付 by what a programme's policy requires (C40); `handlers/redemptions` asks the same table.
CLAIMABLE = {
    "paid": frozenset({OrderState.PAID, OrderState.ACCEPTED, OrderState.DELIVERED, OrderState.COMPLETED}),
    "completed": frozenset({OrderState.COMPLETED}),
}


def is_unclaimed(_: Rules, order: Any) -> bool:
    """`order` with its `redemption_state`. What is on its way to the institution's account does not come back behind the claim."""
    return order.redemption_state in (None, "rejected")


def is_claimable(claim: Claim, order: Any) -> bool:
    """Also what both agreed on, or a reviewer ruled, that the institution keeps of an order that was ended."""
    kept = order.state == OrderState.CLOSED and order.paid_at is not None and order.returned_fen < order.voucher_fen
    return kept or order.state in CLAIMABLE[claim.requires]


def may_be_claimed(rules: Rules, order: Any) -> bool:
    """A rejected claim may be made again."""
    return rules.claim is not None and is_claimable(rules.claim, order) and is_unclaimed(rules, order)


def is_in_service(rules: Rules, order: Any) -> bool:
    """Somebody has taken it on, and it is not over: where nobody accepts from the payment on, where nobody confirms until it is served."""
    if order.state == OrderState.PAID:
        return not rules.provider_accept
    return order.state == OrderState.ACCEPTED or rules.completion == "buyer_confirm"


# What the policy of the order adds: where nobody accepts, a paid order is served at once; where nobody confirms, served is the end.
KNOWN_TO: dict[str, Callable[[Rules, Any], bool]] = {
    "claim": may_be_claimed,
    "settle_price": lambda rules, _: settles_prices(rules),
    "accept": lambda rules, _: rules.provider_accept,
    "decline": lambda rules, order: rules.provider_accept and is_unclaimed(rules, order),
    "take_back": is_unclaimed,
    "deliver": lambda rules, order: order.state == (OrderState.ACCEPTED if rules.provider_accept else OrderState.PAID),
    "confirm": lambda rules, _: rules.completion == "buyer_confirm",
    "send_back": lambda rules, _: rules.completion == "buyer_confirm",
    "dispute": is_unclaimed,
    "terminate": lambda rules, order: is_unclaimed(rules, order) and is_in_service(rules, order),
    "agree_termination": is_unclaimed,
    "review_enterprise": lambda rules, _: rules.mutual_review,
}
# By whose side one is and whose proposal to end the order waits for an answer.
TALKS: dict[str, Callable[[str, str | None], bool]] = {
    "terminate": lambda _, proposer: proposer is None,
    "agree_termination": lambda side, proposer: proposer not in (None, side),
    "refuse_termination": lambda side, proposer: proposer not in (None, side),
    "withdraw_termination": lambda side, proposer: proposer == side,
}
NO_TERMINATION: dict[str, None] = dict.fromkeys(("termination_side", "termination_fen", "termination_reason", "termination_until"))
ONCE_DUE = frozenset({"take_back", "dispute"})  # the institution had its working days to accept, or to deliver
UNTIL_DUE = frozenset({"pay", "settle_price"})  # an unpaid order ends at its instant, whether or not the sweep has come by
FREE_WHILE_FROZEN = frozenset({"review", "review_enterprise"})
# What takes an order towards the money or a score takes two people (F08). What calls it off or sends it back takes one.
NEEDS_TWO = frozenset({"pay", "settle_price", "accept", "deliver", "confirm", "claim", "review", "review_enterprise"})
MUTUAL_WINDOW = timedelta(days=14)  # of both sides, after completion; then what is in is revealed (docs/decisions/0170)


def mutual_closes_at(order: Any) -> datetime:
    """When both sides have had their time to review. Frozen days do not count."""
    closes_at: datetime = max(order.completed_at, order.clock_from or order.completed_at) + MUTUAL_WINDOW
    return closes_at


def is_window_over(ctx: Context, order: Any) -> bool:
    """Whoever could still write after the reveal would have read the other's words."""
    mutual = rules_known(order.policy_id).mutual_review
    return mutual and order.completed_at is not None and mutual_closes_at(order) <= (order.frozen_at or ctx.now)


def may(ctx: Context, order: Any, verb: str) -> bool:
    """Guard and offer in one: whether this actor may do `verb` with the order as it is now."""
    side, roles, states = ACTIONS[verb]
    if ctx.actor.role not in roles or order.state not in states:
        return False
    own = own_side(ctx, order)
    if own is None or side not in (None, own):
        return False
    if (order.disputed_at is not None or order.frozen_at is not None) and verb not in FREE_WHILE_FROZEN:
        return False
    if order.is_of_both and verb in NEEDS_TWO:
        return False
    if verb in KNOWN_TO and not KNOWN_TO[verb](rules_known(order.policy_id), order):
        return False
    if verb == "review":
        return order.reviewed_at is None and not is_window_over(ctx, order)
    if verb == "review_enterprise":
        return order.enterprise_reviewed_at is None and not is_window_over(ctx, order)
    if verb in TALKS:
        return TALKS[verb](own, proposer_of(ctx, order))
    if verb in ONCE_DUE:
        return is_due(ctx, order)
    return not (verb in UNTIL_DUE and is_due(ctx, order))


def own_side(ctx: Context, order: Any) -> OrganisationKind | None:
    """None for who is neither."""
    return {order.enterprise_id: BUYER, order.institution_id: SELLER}.get(ctx.organisation_id)


def proposer_of(ctx: Context, order: Any) -> str | None:
    """Whose proposal to end the order may still be answered, whether or not the sweep has come by."""
    return None if order.termination_until is None or order.termination_until <= ctx.now else order.termination_side


def termination_view(ctx: Context, order: Any) -> TerminationView | None:
    if proposer_of(ctx, order) is None:
        return None
    return {
        "side": order.termination_side, "returned_fen": order.termination_fen, "reason": order.termination_reason,
        "until": order.termination_until,
    }


def is_due(ctx: Context, order: Any) -> bool:
    return order.due_at is not None and order.due_at <= ctx.now


def why_not_paid(ctx: Context, order: Any) -> dict[str, object]:
    """The data of a refusal: its state, and `overdue_since` where only the sweep has not closed it yet."""
    late = order.state in ACTIONS["settle_price"][2] and is_due(ctx, order)
    return {"state": order.state} | ({"overdue_since": order.due_at.isoformat()} if late else {})


@cache
def _thinkable(role: Role | None, state: str) -> tuple[str, ...]:
    """What `may` is worth asking for: most verbs are of other roles or states, and a page asks for twenty orders."""
    return tuple(verb for verb, (_, roles, states) in ACTIONS.items() if role in roles and state in states)


def view(ctx: Context, order: Any) -> OrderView:
    return {
        "id": order.id, "number": order.number, "programme_id": order.programme_id, "state": order.state,
        "label": label(order, rules_known(order.policy_id), order.redemption_state),
        "tab": tab_of(order.state, order.redemption_state), "remark": remark(order), "close_reason": order.close_reason,
        "enterprise": order.enterprise_name, "institution": order.institution_name, "institution_id": order.institution_id,
        "product_id": order.product_id, "demand_id": order.demand_id, "product_name": order.product_name, "category": order.category,
        "category_title": CATEGORIES.get(order.category, order.category), "content": order.content,
        "list_price_fen": order.list_price_fen, "offered_fen": order.offered_fen, "order_fen": order.order_fen,
        "max_voucher_fen": order.max_voucher_fen, "voucher_fen": order.voucher_fen, "returned_fen": order.returned_fen,
        "offline_fen": order.order_fen - order.voucher_fen, "message": order.message, "rework_count": order.rework_count,
        "in_dispute": order.disputed_at is not None, "termination": termination_view(ctx, order),
        "is_frozen": order.frozen_at is not None, "reviewed": order.reviewed_at is not None, "placed_at": order.placed_at,
        "paid_at": order.paid_at, "accepted_at": order.accepted_at, "delivered_at": order.delivered_at,
        "completed_at": order.completed_at, "closed_at": order.closed_at, "due_at": order.due_at, "queue": None,
        "allowed_actions": [verb for verb in _thinkable(ctx.actor.role, order.state) if may(ctx, order, verb)],
    }


# The living redemption is the one that counts, else the newest: a rejected one may be followed by another, and come back by an appeal.
_SELECT = """
SELECT o.*, e.name AS enterprise_name, i.name AS institution_name, c.state AS redemption_state, c.reason AS redemption_reason,
  {is_of_both} AS is_of_both
FROM orders o JOIN organisations e ON e.id = o.enterprise_id JOIN organisations i ON i.id = o.institution_id
LEFT JOIN LATERAL (
  SELECT state, reason FROM redemptions WHERE order_id = o.id ORDER BY state = 'rejected', id DESC LIMIT 1) c ON true
"""
SELECT = _SELECT.format(is_of_both="false")  # for who is of neither side, and for an order whose rules have just been asked


def _of_own(organisation: str, person: str) -> str:
    """For a party: whether the acting person is a member of the other one, too. The memberships are read once for a whole page."""
    other = f"CASE WHEN o.enterprise_id = {organisation} THEN o.institution_id ELSE o.enterprise_id END"
    own = f"SELECT m.organisation_id FROM memberships m WHERE m.person_id = {person} AND m.state = 'active'"
    return _SELECT.format(is_of_both=f"({other}) = ANY(ARRAY({own}))")


SIDES = {OrganisationKind.ENTERPRISE: "o.enterprise_id", OrganisationKind.INSTITUTION: "o.institution_id"}


def side_of(ctx: Context) -> str:
    """The column that makes an order one's own. Somebody who is neither side finds nothing."""
    return SIDES.get(ctx.actor.organisation_kind or OrganisationKind.OFFICE, "o.enterprise_id")


OWN = f"{_of_own('$2', '$3')} WHERE o.id = $1"
LOCK_OWN = f"{OWN} AND (o.enterprise_id = $2 OR o.institution_id = $2) FOR UPDATE OF o"


async def lock_own_order(ctx: Context, tx: Transaction, order_id: int) -> Any:
    """The order, locked, if it is one's own: orders before lots, everywhere. Raises OrderNotFound."""
    order = await tx.row(LOCK_OWN, order_id, ctx.organisation_id, ctx.actor.person_id)
    if order is None:
        raise OrderNotFound
    await rules_of_order(tx, order.policy_id)
    return order


async def read_own_order(ctx: Context, order_id: int) -> Any:
    """The order as `lock_own_order` finds it, for looking. Raises OrderNotFound."""
    order = await row(f"{OWN} AND {side_of(ctx)} = $2", order_id, ctx.organisation_id, ctx.actor.person_id)
    if order is None:
        raise OrderNotFound
    await learn([order.policy_id])
    return order


def refuse_both(order: Any) -> None:
    """Before a verb of NEEDS_TWO, for who has come to be a member of both sides since the order was placed. Raises RelatedParties."""
    if order.is_of_both:
        raise RelatedParties


async def require_outsider(ctx: Context, tx: Transaction, order: Any) -> None:
    """A reviewer is nobody's: `approvals.decide` refuses the enterprise's people, here are the institution's. Raises OwnCase."""
    if await tx.value(
        "SELECT 1 FROM memberships WHERE person_id = $1 AND organisation_id = $2 LIMIT 1", ctx.person_id, order.institution_id
    ):
        raise OwnCase


# The order keeps what was accepted when it was placed; here are only the names.
NAMES = """
SELECT g.name AS programme, t.id AS voucher_type_id, t.name AS voucher_type
FROM programmes g LEFT JOIN voucher_types t ON t.id = ANY($2::bigint[]) WHERE g.id = $1 ORDER BY t.id
"""


async def get_order(ctx: Context, order_id: int) -> OrderPageView:
    order = await read_own_order(ctx, order_id)
    waits = order.state == OrderState.PAY_REVIEW or order.disputed_at is not None
    named = await rows(NAMES, order.programme_id, [int(key) for key in order.deductions])
    vouchers: list[AcceptedVoucherView] = [
        {"voucher_type_id": one.voucher_type_id, "voucher_type": one.voucher_type,
         "max_fen": min(order.deductions[str(one.voucher_type_id)], order.max_voucher_fen)} for one in named if one.voucher_type_id
    ]
    return {
        **view(ctx, order), "queue": await queue_place(ctx.now, "order", order_id) if waits else None,
        "programme": named[0].programme, "vouchers": vouchers,
    }


LIST_OWN = _of_own("$1", "$3")
# $4, $5: what a tab shows (states_of); $6: 搜索, in the number, the product and the parties.
IN_TAB = """
 AND ($4::text[] IS NULL OR o.state = ANY($4) AND coalesce(c.state, '') = ANY($5))
 AND ($6::text IS NULL OR strpos(lower(concat_ws(' ', o.number, o.product_name, e.name, i.name)), lower($6)) > 0)
"""


async def list_orders(
    ctx: Context, state: OrderState | None, page: Page, tab: Tab | None = None, text: str | None = None
) -> PageView[OrderView]:
    """One's own orders, newest first; of one state, one tab of C27, or with a text in number, product or party."""
    after = page.key()
    asked: tuple[object, ...] = (ctx.organisation_id, after[0] if after else 2**63 - 1, ctx.actor.person_id)
    in_state = f" AND o.state = '{state.value}'" if state else ""
    # State and limit are our own words and stand in the text: as parameters they would cost a new plan for each page. What is looked
    # for may be rare, and a plan of its own pays.
    narrowed, limit = "", str(page.limit + 1)
    if (tab, text) != (None, None):
        asked, narrowed, limit = (*asked, *(states_of(tab) if tab else (None, None)), text, page.limit + 1), IN_TAB, "$7"
    found = await rows(f"{LIST_OWN} WHERE {side_of(ctx)} = $1 AND o.id < $2{in_state}{narrowed} ORDER BY o.id DESC LIMIT {limit}", *asked)
    await learn({order.policy_id for order in found})
    # An attribute of a row is looked up in Python, and a view asks for a hundred: those of a namespace are free.
    return page_of(found, page, lambda order: view(ctx, SimpleNamespace(**order)), lambda order: [order.id])
