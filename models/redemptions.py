"""兑付: an institution claims what it was paid in vouchers, and finance pays it out (K1-K6)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Sealed, Table, chars, fen, moment, reference, state
from models.states import Graph


class RedemptionState(StrEnum):
    IN_REVIEW = "in_review"        # 兑付审核中
    RETURNED = "returned"          # 退回修改
    REJECTED = "rejected"          # 兑付审核拒绝
    PRE_REDEEMED = "pre_redeemed"  # 预兑付: approved, waiting for the treasury
    IN_BATCH = "in_batch"
    REDEEMED = "redeemed"          # 已兑付


E = RedemptionState
REDEMPTION_GRAPH = Graph("redemption", "redemptions", RedemptionState, {
    (E.IN_REVIEW, E.RETURNED): "redemption.returned",
    (E.IN_REVIEW, E.REJECTED): "redemption.rejected",
    (E.IN_REVIEW, E.PRE_REDEEMED): "redemption.approved",
    (E.RETURNED, E.IN_REVIEW): "redemption.resubmitted",
    (E.REJECTED, E.IN_REVIEW): "redemption.reopened",  # an appeal was right (F10)
    (E.PRE_REDEEMED, E.IN_BATCH): "redemption.batched",
    (E.IN_BATCH, E.PRE_REDEEMED): "redemption.unbatched",
    (E.IN_BATCH, E.REDEEMED): "redemption.paid_out",
})


class Redemption(Table):
    """`payable_fen` = min(voucher paid, floor(ratio x actual amount)); the rest of the vouchers is the shortfall (C39).

    The formula's parts are stored, so that the decision can be computed again. `prepared_by` checked the papers; somebody
    else approves (K4).
    """

    number = chars(24)
    order = reference("Order")
    programme = reference("Programme")
    policy = reference("Policy")
    institution = reference("Organisation")
    state = state(RedemptionState)
    voucher_fen = fen()
    actual_fen = fen()
    ratio_ppm = fields.IntField()  # parts per million: 600000 is 60 %
    payable_fen = fen()
    shortfall_fen = fen()
    summary = chars(500)
    reason = chars(500, null=True)
    applied_by = reference("Person")
    submitted_at = moment()
    prepared_by = reference("Person", null=True)
    prepared_at = moment(null=True)
    preparation: fields.Field[dict[str, object]] = fields.JSONField(default=dict)
    decided_at = moment(null=True)
    paid_at = moment(null=True)
    version = fields.IntField(default=1)

    class Meta:
        table = "redemptions"
        indexes = (
            ("order_id",), ("institution_id", "id"), ("programme_id", "state"), ("policy_id",), ("applied_by_id",), ("prepared_by_id",),
        )
        constraints = (
            UniqueConstraint(fields=("number",), name="redemptions_number_once"),
            UniqueConstraint(fields=("order_id",), name="redemptions_one_alive", condition="state <> 'rejected'"),
            CheckConstraint(
                check="payable_fen + shortfall_fen = voucher_fen AND payable_fen >= 0 AND shortfall_fen >= 0 AND actual_fen > 0",
                name="redemptions_add_up",
            ),
            CheckConstraint(check="ratio_ppm BETWEEN 1 AND 1000000", name="redemptions_ratio_in_range"),
            CheckConstraint(check="payable_fen <= actual_fen", name="redemptions_within_actual"),
            CheckConstraint(check="state NOT IN ('returned','rejected') OR reason IS NOT NULL", name="redemptions_refused_with_reason"),
        )


class Invoice(Table):
    """An invoice pays one claim in the whole system, ever; a rejected claim lets it go."""

    redemption = reference("Redemption")
    code = chars(20, default="")  # empty for fully digital invoices, whose number has 20 digits
    number = chars(20)
    buyer_name = chars(200)
    seller_name = chars(200)
    amount_fen = fen()
    issued_on = fields.DateField()
    attachment = reference("Attachment")
    released_at = moment(null=True)

    class Meta:
        table = "invoices"
        indexes = (("redemption_id",), ("attachment_id",))
        constraints = (
            UniqueConstraint(fields=("code", "number"), name="invoices_used_once", condition="released_at IS NULL"),
            CheckConstraint(check="amount_fen > 0", name="invoices_positive"),
        )


class RedemptionFile(Table):
    """Evidence of the service (服务过程性材料, C41)."""

    redemption = reference("Redemption")
    attachment = reference("Attachment")

    class Meta:
        table = "redemption_files"
        unique_together = (("redemption_id", "attachment_id"),)
        indexes = (("attachment_id",),)


class BatchState(StrEnum):
    DRAFT = "draft"          # made by one payout officer
    CONFIRMED = "confirmed"  # checked by another; the bank file may be taken
    SETTLED = "settled"      # the bank answered for every line
    CANCELLED = "cancelled"


B = BatchState
BATCH_GRAPH = Graph("payout_batch", "payout_batches", BatchState, {
    (B.DRAFT, B.CONFIRMED): "payout_batch.confirmed",
    (B.DRAFT, B.CANCELLED): "payout_batch.cancelled",
    (B.CONFIRMED, B.SETTLED): "payout_batch.settled",
})


class PayoutBatch(Table):
    number = chars(24)
    programme = reference("Programme")
    state = state(BatchState)
    lines = fields.IntField()
    total_fen = fen()
    made_by = reference("Person")
    checked_by = reference("Person", null=True)
    file_digest = chars(64, null=True)  # SHA-256 of the lines as given to the bank
    made_at = moment()
    confirmed_at = moment(null=True)
    settled_at = moment(null=True)

    class Meta:
        table = "payout_batches"
        indexes = (("programme_id",), ("made_by_id",), ("checked_by_id",))
        constraints = (
            UniqueConstraint(fields=("number",), name="payout_batches_number_once"),
            CheckConstraint(check="checked_by_id IS DISTINCT FROM made_by_id", name="payout_batches_four_eyes"),
        )


class LineState(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    BOUNCED = "bounced"      # 银行退回
    CANCELLED = "cancelled"  # the batch was


L = LineState
LINE_GRAPH = Graph("payout_line", "payout_lines", LineState, {
    (L.PENDING, L.PAID): "payout_line.paid",
    (L.PENDING, L.BOUNCED): "payout_line.bounced",
    (L.PENDING, L.CANCELLED): "payout_line.cancelled",
})


class PayoutLine(Table):
    """One transfer; the account is the one that the institution had when the batch was made."""

    batch = reference("PayoutBatch")
    redemption = reference("Redemption")
    fen = fen()
    account_name = chars(200)
    bank_branch = chars(200)
    bank_account = Sealed(null=True)  # until its ten years are over (handlers/retention.py)
    state = state(LineState)
    bank_reference = chars(64, null=True)
    reason = chars(200, null=True)
    answered_at = moment(null=True)

    class Meta:
        table = "payout_lines"
        indexes = (("batch_id", "id"), ("redemption_id",))
        constraints = (
            UniqueConstraint(fields=("redemption_id",), name="payout_lines_one_alive", condition="state IN ('pending','paid')"),
            CheckConstraint(check="fen > 0", name="payout_lines_positive"),
            CheckConstraint(check="state <> 'pending' OR bank_account IS NOT NULL", name="payout_lines_go_somewhere"),
        )
