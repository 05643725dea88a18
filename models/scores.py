"""What counts for an institution's and a consultant's activity and score (A07, D18, D21, F27)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference


class ScoreKind(StrEnum):
    TRANSACTION_FILED = "transaction_filed"  # 交易备案通过
    ACTIVITY_FILED = "activity_filed"        # 活动备案通过
    ORDER_COMPLETED = "order_completed"      # 订单完成
    REVIEW_RECEIVED = "review_received"      # 收到企业评价; never the system's
    DEMAND_ANSWERED = "demand_answered"      # 需求已对接


class ScoreEvent(Table):
    """One thing that counts, once. Append-only in meaning: what turns out not to count is marked with `revoked_at`."""

    kind = chars(32)
    institution = reference("Organisation")
    consultant = reference("Consultant", null=True)
    enterprise = reference("Organisation", null=True)
    subject = chars(32)
    subject_id = fields.BigIntField()
    facts: fields.Field[dict[str, object]] = fields.JSONField(default=dict)  # what the formula needs: grade, fen, minutes
    happened_at = moment()
    revoked_at = moment(null=True)

    class Meta:
        table = "score_events"
        indexes = (("institution_id", "id"), ("consultant_id",), ("enterprise_id",))
        constraints = (
            UniqueConstraint(fields=("kind", "subject", "subject_id"), name="score_events_once"),
            CheckConstraint(
                check="kind IN ('transaction_filed','activity_filed','order_completed','review_received','demand_answered')",
                name="score_events_kind_known",
            ),
        )
