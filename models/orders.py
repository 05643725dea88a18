"""Orders: an enterprise buys a service and pays part of it with vouchers (O1-O13)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, fen, moment, reference, state
from models.states import Graph


class OrderState(StrEnum):
    AWAITING_PRICE = "awaiting_price"
    UNPAID = "unpaid"              # 待支付
    PAY_REVIEW = "pay_review"      # 支付审核中
    PAY_REJECTED = "pay_rejected"  # 支付审核拒绝
    PAID = "paid"                  # 待服务商确认
    ACCEPTED = "accepted"          # 服务中
    DELIVERED = "delivered"        # 待确认
    COMPLETED = "completed"        # 待评价 / 已评价
    CLOSED = "closed"              # 已关闭


class CloseReason(StrEnum):
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    DECLINED = "declined"
    NOT_ACCEPTED = "not_accepted"
    REFUNDED = "refunded"
    RULED = "ruled"


O = OrderState  # noqa: E741 - the graph reads better
ORDER_GRAPH = Graph("order", "orders", OrderState, {
    (O.AWAITING_PRICE, O.UNPAID): "order.priced",
    (O.UNPAID, O.UNPAID): "order.repriced",
    (O.PAY_REJECTED, O.UNPAID): "order.repriced",
    (O.UNPAID, O.PAY_REVIEW): "order.payment_submitted",
    (O.PAY_REJECTED, O.PAY_REVIEW): "order.payment_submitted",
    (O.UNPAID, O.PAID): "order.paid",
    (O.PAY_REVIEW, O.PAID): "order.paid",
    (O.PAY_REVIEW, O.PAY_REJECTED): "order.payment_rejected",
    (O.PAID, O.ACCEPTED): "order.accepted",
    (O.PAID, O.CLOSED): "order.closed",
    (O.ACCEPTED, O.DELIVERED): "order.delivered",
    (O.PAID, O.DELIVERED): "order.delivered",
    (O.DELIVERED, O.COMPLETED): "order.completed",
    (O.DELIVERED, O.ACCEPTED): "order.sent_back",
    (O.AWAITING_PRICE, O.CLOSED): "order.closed",
    (O.UNPAID, O.CLOSED): "order.closed",
    (O.PAY_REJECTED, O.CLOSED): "order.closed",
    (O.ACCEPTED, O.CLOSED): "order.closed",
    (O.DELIVERED, O.CLOSED): "order.closed",
})


class Order(Table):
    """Snapshots of the product keep the order's meaning when the product changes. Overlays: `frozen_at`, `disputed_at`.

    `list_price_fen` 产品价格 >= `order_fen` 订单金额 >= `voucher_fen` 用券支付金额 (C30); the rest is paid offline (E30).
    """

    number = chars(24)
    programme = reference("Programme")
    policy = reference("Policy")
    enterprise = reference("Organisation")
    institution = reference("Organisation")
    product = reference("Product")
    product_name = chars(100)
    product_version = fields.IntField()
    category = chars(32)
    content = chars(64, default="", db_default="")  # 服务小类
    deductions: fields.Field[dict[str, int]] = fields.JSONField()  # voucher type id -> most fen, when it was placed
    list_price_fen = fen()
    order_fen = fen()
    max_voucher_fen = fen()
    voucher_fen = fields.BigIntField(default=0)
    returned_fen = fields.BigIntField(default=0)
    state = state(OrderState)
    close_reason = chars(16, null=True)
    message = chars(500, default="")
    remark = chars(500, null=True)  # 备注: why the payment was refused (C37); gone with the next step
    agreement_version = chars(16)
    rework_count = fields.SmallIntField(default=0)
    use_year = fields.SmallIntField(null=True)
    use_nth = fields.SmallIntField(null=True)  # the n-th use of this product in that year: UNIQUE keeps the yearly cap (E28)
    demand = reference("Demand", null=True)  # the demand that it came from (D16)
    offered_fen = fen(null=True)             # what the institution offered on that demand: the order never costs more
    placed_by = reference("Person")
    placed_at = moment()
    paid_at = moment(null=True)
    accepted_at = moment(null=True)
    delivered_at = moment(null=True)
    completed_at = moment(null=True)
    closed_at = moment(null=True)
    reviewed_at = moment(null=True)
    enterprise_reviewed_at = moment(null=True)  # when the institution reviewed the enterprise (D19)
    due_at = moment(null=True)        # the next deadline of whoever must act
    reminded = fields.SmallIntField(default=0)
    frozen_at = moment(null=True)
    clock_from = moment(null=True)    # since an unfreezing: where the days of the order's state count from, the frozen ones left out
    scanned_state = chars(24, null=True)  # what it was when it was last looked at for signals (handlers/risk_signals.py)
    scanned_at = moment(null=True)
    disputed_at = moment(null=True)
    termination_side = chars(16, null=True)    # enterprise or institution: who proposes to end the order in service (O12)
    termination_fen = fen(null=True)           # what would go back
    termination_reason = chars(500, null=True)
    termination_until = moment(null=True)      # until when the other side may answer
    version = fields.IntField(default=1)

    class Meta:
        table = "orders"
        indexes = (
            ("enterprise_id", "id"), ("institution_id", "id"), ("product_id",), ("programme_id",), ("policy_id",), ("placed_by_id",),
            ("demand_id",),
        )
        constraints = (
            UniqueConstraint(fields=("number",), name="orders_number_once"),
            UniqueConstraint(
                fields=("enterprise_id", "product_id", "use_year", "use_nth"),
                name="orders_yearly_uses_counted", condition="use_nth IS NOT NULL",
            ),
            CheckConstraint(
                check="list_price_fen >= order_fen AND order_fen >= voucher_fen AND voucher_fen >= returned_fen AND returned_fen >= 0"
                      " AND order_fen > 0",
                name="orders_price_chain",
            ),
            CheckConstraint(check="voucher_fen <= max_voucher_fen", name="orders_within_deduction"),
            CheckConstraint(check="order_fen <= offered_fen", name="orders_within_the_offer"),
            CheckConstraint(check="state <> 'pay_review' OR voucher_fen > 0", name="orders_in_review_hold_something"),
            CheckConstraint(
                check="state <> 'pay_rejected' OR (voucher_fen = 0 AND remark IS NOT NULL)", name="orders_refused_show_nothing_paid"
            ),
            CheckConstraint(check="enterprise_id <> institution_id", name="orders_two_parties"),
            CheckConstraint(
                check="num_nulls(termination_side, termination_fen, termination_reason, termination_until) IN (0, 4) AND"
                      " (termination_side IS NULL OR termination_side IN ('enterprise','institution')"
                      " AND state IN ('paid','accepted','delivered')"
                      " AND termination_fen BETWEEN 1 AND voucher_fen)",
                name="orders_terminations_are_whole",
            ),
            CheckConstraint(check="(state = 'closed') = (close_reason IS NOT NULL)", name="orders_closed_for_a_reason"),
            CheckConstraint(
                check="state NOT IN ('paid','accepted','delivered','completed') OR (voucher_fen > 0 AND paid_at IS NOT NULL)",
                name="orders_paid_is_paid",
            ),
        )


class PriceChange(Table):
    """核定价格: each time the institution settled what the contract says (C29, O2)."""

    order = reference("Order")
    from_fen = fen()
    to_fen = fen()
    settled_by = reference("Person")
    settled_at = moment()

    class Meta:
        table = "price_changes"
        indexes = (("order_id",), ("settled_by_id",))
        constraints = (CheckConstraint(check="to_fen > 0", name="price_changes_positive"),)


class Contract(Table):
    """The service contract that came with a payment (C35): one row for each submission, so that a reviewer sees what was put right."""

    order = reference("Order")
    attachment = reference("Attachment")
    total_fen = fen()
    signed_on = fields.DateField()
    awarded_on = fields.DateField(null=True)  # the latest award among the vouchers used; null where the policy does not ask (C44)
    given_by = reference("Person")
    given_at = moment()

    class Meta:
        table = "contracts"
        indexes = (("order_id",), ("attachment_id",), ("given_by_id",))
        constraints = (
            CheckConstraint(check="total_fen > 0", name="contracts_positive"),
            CheckConstraint(check="awarded_on IS NULL OR signed_on >= awarded_on", name="contracts_after_the_award"),
        )


class Handover(Table):
    """What the institution handed over: one row per 提交完成, with its evidence, and what the enterprise said to it."""

    order = reference("Order")
    summary = chars(500)
    attachment = reference("Attachment", null=True)
    delivered_by = reference("Person")
    delivered_at = moment()
    sent_back_reason = chars(500, null=True)
    sent_back_at = moment(null=True)

    class Meta:
        table = "handovers"
        indexes = (("order_id",), ("attachment_id",), ("delivered_by_id",))


class Dispute(Table):
    """Opened when the rework limit is passed; a reviewer rules how much of the vouchers goes back (O12)."""

    order = reference("Order")
    reason = chars(500)
    opened_at = moment()
    ruling = chars(16, null=True)  # full, partial, none
    returned_fen = fen(null=True)
    ruled_by = reference("Person", null=True)
    ruled_at = moment(null=True)

    class Meta:
        table = "disputes"
        indexes = (("order_id",), ("ruled_by_id",))
        constraints = (UniqueConstraint(fields=("order_id",), name="disputes_one_open", condition="ruled_at IS NULL"),)
