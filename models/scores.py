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
    counted = fields.BooleanField(default=False, db_default=False)  # it is in `score_months`; handlers/scores.py turns it

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


class ScoreMonth(Table):
    """How much of each kind counted in one month, for an institution or one of its consultants: what a score is computed from.

    `month` is year * 12 + month - 1 in Shanghai. `points` in hundredths, without decay and limits: 活跃度. Integers only.
    """

    institution = reference("Organisation")
    consultant = reference("Consultant", null=True)
    month = fields.IntField()
    orders = fields.IntField(default=0)
    transactions = fields.IntField(default=0)
    activities = fields.IntField(default=0)
    answers = fields.IntField(default=0)
    reviews = fields.IntField(default=0)
    review_value = fields.IntField(default=0)  # 100 for 好评, 50 for 中评, 0 for 差评
    points = fields.IntField(default=0)

    class Meta:
        table = "score_months"
        indexes = (("institution_id",), ("consultant_id",))
        constraints = (
            CheckConstraint(
                check="least(orders, transactions, activities, answers, reviews, review_value, points) >= 0"
                      " AND review_value <= reviews * 100",
                name="score_months_never_negative",
            ),
        )


class Score(Table):
    """The score of an institution or a consultant as of a month: the sum of its parts, all in hundredths of a point.

    `activity` is the undecayed sum of twelve months; it ranks and is no part of the score.
    """

    institution = reference("Organisation")
    consultant = reference("Consultant", null=True)
    formula_version = fields.IntField()
    month = fields.IntField()
    reviews = fields.IntField()
    transactions = fields.IntField()
    activities = fields.IntField()
    answers = fields.IntField()
    total = fields.IntField()
    activity = fields.IntField()
    updated_at = moment()

    class Meta:
        table = "scores"
        indexes = (("institution_id",), ("consultant_id",), ("month",))
        constraints = (
            CheckConstraint(check="total = reviews + transactions + activities + answers", name="scores_are_their_parts"),
            CheckConstraint(check="least(reviews, transactions, activities, answers, activity) >= 0", name="scores_never_negative"),
        )


class ScoreChange(Table):
    """One part of a score that became another, and why: `facts` holds how many events of each kind were counted or taken back."""

    institution = reference("Organisation")
    consultant = reference("Consultant", null=True)
    at = moment()
    component = chars(16)
    before = fields.IntField()
    after = fields.IntField()
    cause = chars(16)
    facts: fields.Field[dict[str, int]] = fields.JSONField(default=dict)

    class Meta:
        table = "score_changes"
        indexes = (("institution_id", "id"), ("consultant_id", "id"))
        constraints = (
            CheckConstraint(check="before <> after", name="score_changes_change"),
            CheckConstraint(check="component IN ('reviews','transactions','activities','answers')", name="score_changes_component_known"),
            CheckConstraint(check="cause IN ('events','decay','formula','recomputed')", name="score_changes_cause_known"),
        )
