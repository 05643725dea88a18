"""Appeals (申诉) against rejections and freezes: decided by somebody else than the decision was (F10)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference, state
from models.states import Graph


class AppealKind(StrEnum):
    """What was decided."""

    CERTIFICATION = "enterprise_certification"
    QUALIFICATION = "qualification"
    ADMISSION = "institution_admission"
    APPROVED_AMOUNT = "approved_amount"
    PRODUCT = "product"
    PAYMENT = "payment"
    REDEMPTION = "redemption"
    SUPERMARKET_CERTIFICATION = "supermarket_certification"
    ASSOCIATION_MEMBERSHIP = "association_membership"
    FILING = "filing"
    OBJECTION = "objection"  # upheld against a filing that counted, which was revoked
    DISQUALIFICATION = "disqualification"  # of a win
    FREEZE = "freeze"


class AppealState(StrEnum):
    IN_REVIEW = "in_review"
    RETURNED = "returned"      # 待补充: the reviewers' clock stands still
    UPHELD = "upheld"          # 维持原决定
    OVERTURNED = "overturned"  # 撤销原决定


A = AppealState
APPEAL_GRAPH = Graph("appeal", "appeals", AppealState, {
    (A.IN_REVIEW, A.RETURNED): "appeal.returned",
    (A.RETURNED, A.IN_REVIEW): "appeal.supplemented",
    (A.IN_REVIEW, A.UPHELD): "appeal.upheld",
    (A.IN_REVIEW, A.OVERTURNED): "appeal.overturned",
})


class Appeal(Table):
    """Against exactly one decision: a rejected approval, or a freeze. `days_left`: of the reviewers' working days, while returned.

    `reopened` is the new place in the queue that an overturned rejection got; null where the subject had gone on meanwhile.
    """

    kind = chars(32)
    organisation = reference("Organisation")
    approval = reference("Approval", null=True)
    freeze = reference("Freeze", null=True)
    state = state(AppealState)
    statement = chars(1000)
    days_left = fields.SmallIntField(null=True)
    filed_by = reference("Person")
    filed_at = moment()
    decided_by = reference("Person", null=True)
    decided_at = moment(null=True)
    reason = chars(500, null=True)
    reopened = reference("Approval", null=True)

    class Meta:
        table = "appeals"
        indexes = (("organisation_id", "id"), ("filed_by_id",), ("decided_by_id",), ("reopened_id",), ("freeze_id",), ("approval_id",))
        constraints = (
            UniqueConstraint(fields=("approval_id",), name="appeals_one_of_a_decision", condition="approval_id IS NOT NULL"),
            UniqueConstraint(
                fields=("freeze_id", "organisation_id"), name="appeals_one_of_a_freeze", condition="freeze_id IS NOT NULL"
            ),
            CheckConstraint(check="(approval_id IS NULL) <> (freeze_id IS NULL)", name="appeals_against_one_decision"),
            CheckConstraint(check="(freeze_id IS NOT NULL) = (kind = 'freeze')", name="appeals_kind_is_of_its_decision"),
            CheckConstraint(check="state = 'in_review' OR reason IS NOT NULL", name="appeals_answered_with_reason"),
            CheckConstraint(check="(state = 'returned') = (days_left IS NOT NULL)", name="appeals_clock_stops_while_returned"),
            CheckConstraint(
                check="(state IN ('upheld','overturned')) = (decided_at IS NOT NULL AND decided_by_id IS NOT NULL)",
                name="appeals_decided_by_somebody",
            ),
        )


class AppealFile(Table):
    """Evidence (slot `appeal`)."""

    appeal = reference("Appeal")
    attachment = reference("Attachment")

    class Meta:
        table = "appeal_files"
        unique_together = (("appeal_id", "attachment_id"),)
        indexes = (("attachment_id",),)
