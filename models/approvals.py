"""Applications and the one queue of whatever waits for a reviewer (F10-F12, G1-G9)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Sealed, Table, chars, moment, reference, state
from models.states import Graph


class ApplicationKind(StrEnum):
    ENTERPRISE_CERTIFICATION = "enterprise_certification"    # 企业实名认证 E02-E04
    QUALIFICATION = "qualification"                          # 服务券资格 E05-E14
    INSTITUTION_ADMISSION = "institution_admission"          # 服务机构入库 C05-C17
    APPROVED_AMOUNT = "approved_amount"                      # 服务券金额及使用方向 C24
    SUPERMARKET_CERTIFICATION = "supermarket_certification"  # 认证成为超市平台的服务机构 D03
    ASSOCIATION_MEMBERSHIP = "association_membership"        # 企业发展服务促进会会员 D04


class ApplicationState(StrEnum):
    DRAFT = "draft"          # 暂存
    SUBMITTED = "submitted"  # 审核中
    RETURNED = "returned"    # 退回补正
    APPROVED = "approved"    # 审核通过
    REJECTED = "rejected"    # 审核拒绝
    WITHDRAWN = "withdrawn"  # 已撤回


A = ApplicationState
APPLICATION_GRAPH = Graph("application", "applications", ApplicationState, {
    (A.DRAFT, A.SUBMITTED): "application.submitted",
    (A.DRAFT, A.WITHDRAWN): "application.discarded",
    (A.SUBMITTED, A.WITHDRAWN): "application.withdrawn",
    (A.SUBMITTED, A.RETURNED): "application.returned",
    (A.SUBMITTED, A.APPROVED): "application.approved",
    (A.SUBMITTED, A.REJECTED): "application.rejected",
    (A.RETURNED, A.SUBMITTED): "application.resubmitted",
    (A.RETURNED, A.WITHDRAWN): "application.withdrawn",
    (A.APPROVED, A.SUBMITTED): "application.amended",
    (A.REJECTED, A.SUBMITTED): "application.reopened",  # an appeal was right (F10)
})


class Application(Table):
    """A form somebody fills and somebody else decides on. What differs by kind is in handlers/application_kinds.py.

    `form` holds the public fields; the personal ones are sealed in their own columns.
    """

    kind = chars(32)
    organisation = reference("Organisation")
    programme = reference("Programme", null=True)
    state = state(ApplicationState)
    form_version = fields.SmallIntField()
    form: fields.Field[dict[str, object]] = fields.JSONField(default=dict)
    contact_name = Sealed(null=True)
    contact_phone = Sealed(null=True)
    contact_email = Sealed(null=True)
    legal_person_name = Sealed(null=True)
    legal_person_id_number = Sealed(null=True)
    bank_account = Sealed(null=True)
    applied_by = reference("Person")
    submitted_at = moment(null=True)
    decided_at = moment(null=True)
    reason = chars(500, null=True)
    version = fields.IntField(default=1)
    created_at = moment()
    updated_at = moment()
    reminded_at = moment(null=True)  # when the applicant was last told that it is unfinished (F05)

    class Meta:
        table = "applications"
        indexes = (("organisation_id", "kind"), ("programme_id",), ("applied_by_id",))
        constraints = (
            # One alive for each kind, and for each programme where the kind belongs to one.
            UniqueConstraint(
                fields=("organisation_id", "kind"), name="applications_one_alive",
                condition="programme_id IS NULL AND state NOT IN ('rejected','withdrawn')",
            ),
            UniqueConstraint(
                fields=("organisation_id", "kind", "programme_id"), name="applications_one_alive_in_programme",
                condition="state NOT IN ('rejected','withdrawn')",
            ),
            CheckConstraint(check="state <> 'rejected' OR reason IS NOT NULL", name="applications_rejected_with_reason"),
        )


class ApprovalKind(StrEnum):
    APPLICATION = "application"
    DISPUTE = "dispute"
    PRODUCT = "product"        # 服务产品审核
    PAYMENT = "payment"        # 支付审核 C35-C38
    REDEMPTION = "redemption"  # 兑付审核 C39-C42
    APPEAL = "appeal"          # 申诉
    CONSULTANT = "consultant"  # 顾问认证审核 D09
    FILING = "filing"          # 备案审核 D18, D21
    REVIEW = "review"          # 评价内容审核, where the platform's check gave no verdict
    OBJECTION = "objection"    # 备案异议复核 of what counts already
    DRAW_OBJECTION = "draw_objection"  # 摇号异议 within the publicity time
    DISQUALIFICATION = "disqualification"  # 取消中签资格


class ApprovalState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    RETURNED = "returned"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


P = ApprovalState
APPROVAL_GRAPH = Graph("approval", "approvals", ApprovalState, {
    (P.OPEN, P.APPROVED): "approval.approved",
    (P.OPEN, P.RETURNED): "approval.returned",
    (P.OPEN, P.REJECTED): "approval.rejected",
    (P.OPEN, P.WITHDRAWN): "approval.withdrawn",
})


class Approval(Table):
    """A place in the queue. `role` with `region_code` or `park` says who may decide; the applicant never may (F12).

    `data` keeps what was submitted (so that the next version can be compared with it) and, once decided, the items to correct.
    """

    kind = chars(24)
    title = chars(100)
    subject = chars(32)
    subject_id = fields.BigIntField()
    organisation = reference("Organisation")
    role = chars(24)
    region_code = chars(6, null=True)
    park = reference("Park", null=True)
    state = state(ApprovalState)
    submitted_by = reference("Person")
    submitted_at = moment()
    due_at = moment()
    decided_by = reference("Person", null=True)
    decided_at = moment(null=True)
    reason = chars(500, null=True)
    data: fields.Field[dict[str, object]] = fields.JSONField(default=dict)

    class Meta:
        table = "approvals"
        indexes = (("state", "role", "id"), ("organisation_id",), ("park_id",), ("submitted_by_id",), ("decided_by_id",))
        constraints = (
            UniqueConstraint(fields=("subject", "subject_id"), name="approvals_one_open", condition="state = 'open'"),
            CheckConstraint(check="decided_by_id IS DISTINCT FROM submitted_by_id", name="approvals_not_by_the_applicant"),
            CheckConstraint(
                check="state NOT IN ('returned','rejected') OR reason IS NOT NULL", name="approvals_refused_with_reason"
            ),
        )
