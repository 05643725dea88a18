"""备案: transactions and public-benefit activities that institutions file, and what is odd about them (D17, D18, D21)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, fen, moment, reference, state
from models.states import Graph


class FilingKind(StrEnum):
    TRANSACTION = "transaction"  # 交易备案
    ACTIVITY = "activity"        # 活动备案


class FilingState(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"  # 审核中
    RETURNED = "returned"    # 退回补正
    APPROVED = "approved"    # 备案通过: it counts
    REJECTED = "rejected"    # 审核拒绝
    WITHDRAWN = "withdrawn"  # 已撤回
    REVOKED = "revoked"      # 已撤销: it was found false and counts no more


class ActivityPart(StrEnum):
    """The institution's part in an activity with a government department."""

    HOST = "host"          # 主办
    ORGANISER = "organiser"  # 承办
    SUPPORTER = "supporter"  # 协办


class FlagKind(StrEnum):
    """What a reviewer must have seen before a filing counts."""

    PAIR_OFTEN = "pair_often"                      # 同一企业与机构三十天内备案过多
    SELF_DEALING = "self_dealing"                  # 双方有同一人员、电话、地址、账户或设备
    SAME_AMOUNT_AND_DATE = "same_amount_and_date"  # 同日同金额已备案
    SAME_EVIDENCE = "same_evidence"                # 证明材料与其他备案相同
    SAME_ACTIVITY = "same_activity"                # 同日同名活动已备案
    OBJECTED = "objected"                          # 企业提出异议


F = FilingState
FILING_GRAPH = Graph("filing", "filings", FilingState, {
    (F.DRAFT, F.IN_REVIEW): "filing.submitted",
    (F.DRAFT, F.WITHDRAWN): "filing.discarded",
    (F.IN_REVIEW, F.RETURNED): "filing.returned",
    (F.IN_REVIEW, F.APPROVED): "filing.approved",
    (F.IN_REVIEW, F.REJECTED): "filing.rejected",
    (F.IN_REVIEW, F.WITHDRAWN): "filing.withdrawn",
    (F.RETURNED, F.IN_REVIEW): "filing.resubmitted",
    (F.RETURNED, F.WITHDRAWN): "filing.withdrawn",
    (F.REJECTED, F.IN_REVIEW): "filing.reopened",  # an appeal was right (F10)
    (F.APPROVED, F.REVOKED): "filing.revoked",
    (F.REVOKED, F.APPROVED): "filing.restored",  # an appeal against the finding of an objection was right
})


class ObjectionState(StrEnum):
    OPEN = "open"            # 待核实
    UPHELD = "upheld"        # 异议成立: the filing does not count
    DISMISSED = "dismissed"  # 异议不成立
    LAPSED = "lapsed"        # 无须处理: the filing was withdrawn, or names somebody else by now


J = ObjectionState
OBJECTION_GRAPH = Graph("filing_objection", "filing_objections", ObjectionState, {
    (J.OPEN, J.UPHELD): "filing_objection.upheld",
    (J.OPEN, J.DISMISSED): "filing_objection.dismissed",
    (J.OPEN, J.LAPSED): "filing_objection.lapsed",
    (J.UPHELD, J.OPEN): "filing_objection.reopened",  # when an appeal of the institution was right (F10)
})


class Filing(Table):
    """`enterprise_code` names the other side whether or not it is on the platform; `enterprise` is who has it, if somebody has.

    A revocation is proposed by one official and made by another; until then the filing counts. `object_by`: until when its
    enterprise may object; null while nobody was told.
    """

    kind = chars(16)
    institution = reference("Organisation")
    consultant = reference("Consultant", null=True)
    state = state(FilingState)
    happened_on = fields.DateField()  # in Shanghai
    summary = chars(500, default="")
    # A transaction.
    enterprise = reference("Organisation", null=True)
    enterprise_code = chars(18, null=True)
    enterprise_name = chars(200, null=True)
    product = reference("Product", null=True)
    order = reference("Order", null=True)
    amount_fen = fen(null=True)
    # An activity.
    title = chars(100, null=True)
    place = chars(200, null=True)
    partner = chars(200, null=True)  # the government department
    part = chars(16, null=True)
    participants = fields.IntField(null=True)
    is_public_benefit = fields.BooleanField(null=True)  # declared: 纯公益性
    filed_by = reference("Person")
    version = fields.IntField(default=1)
    created_at = moment()
    updated_at = moment()
    submitted_at = moment(null=True)
    object_by = moment(null=True)
    decided_at = moment(null=True)
    reason = chars(500, null=True)
    revoke_reason = chars(500, null=True)
    revoke_proposed_by = reference("Person", null=True)
    revoke_proposed_at = moment(null=True)
    revoked_by = reference("Person", null=True)
    revoked_at = moment(null=True)

    class Meta:
        table = "filings"
        indexes = (
            ("institution_id", "id"), ("consultant_id",), ("enterprise_id",), ("product_id",), ("order_id",), ("filed_by_id",),
            ("revoke_proposed_by_id",), ("revoked_by_id",), ("institution_id", "happened_on"), ("enterprise_code",),
        )
        constraints = (
            UniqueConstraint(
                fields=("order_id",), name="filings_order_once",
                condition="order_id IS NOT NULL AND state NOT IN ('rejected','withdrawn','revoked')",
            ),
            CheckConstraint(check="kind IN ('transaction','activity')", name="filings_kind_known"),
            CheckConstraint(
                check="(kind = 'transaction') = (enterprise_code IS NOT NULL AND enterprise_name IS NOT NULL AND amount_fen IS NOT NULL)",
                name="filings_transaction_is_whole",
            ),
            CheckConstraint(
                check="(kind = 'activity') = (title IS NOT NULL AND place IS NOT NULL AND partner IS NOT NULL AND part IS NOT NULL"
                " AND participants IS NOT NULL AND is_public_benefit IS NOT NULL)",
                name="filings_activity_is_whole",
            ),
            CheckConstraint(check="amount_fen IS NULL OR amount_fen > 0", name="filings_amount_positive"),
            CheckConstraint(check="participants IS NULL OR participants > 0", name="filings_participants_positive"),
            CheckConstraint(check="object_by IS NULL OR enterprise_id IS NOT NULL", name="filings_objected_to_by_somebody"),
            CheckConstraint(check="part IS NULL OR part IN ('host','organiser','supporter')", name="filings_part_known"),
            CheckConstraint(check="state NOT IN ('returned','rejected') OR reason IS NOT NULL", name="filings_refused_with_reason"),
            CheckConstraint(
                check="(revoke_reason IS NULL) = (revoke_proposed_at IS NULL)"
                " AND (revoke_reason IS NULL) = (revoke_proposed_by_id IS NULL)",
                name="filings_revocation_has_reason",
            ),
            CheckConstraint(
                check="(state = 'revoked') = (revoked_at IS NOT NULL AND revoked_by_id IS NOT NULL AND revoke_reason IS NOT NULL)",
                name="filings_revoked_by_somebody",
            ),
            CheckConstraint(
                check="revoked_by_id IS NULL OR revoked_by_id IS DISTINCT FROM revoke_proposed_by_id", name="filings_four_eyes",
            ),
        )


class FilingFile(Table):
    """Evidence (slot `filing_evidence`). Its SHA-256 again, because here it is indexed: the same paper proves one thing, once."""

    filing = reference("Filing")
    attachment = reference("Attachment")
    sha256 = fields.BinaryField()

    class Meta:
        table = "filing_files"
        unique_together = (("filing_id", "attachment_id"),)
        indexes = (("attachment_id",), ("sha256",))


class FilingFlag(Table):
    """`facts`: [{who, what, value, at}], personal values masked. Whoever approves has acknowledged each."""

    filing = reference("Filing")
    kind = chars(24)
    facts: fields.Field[list[dict[str, object]]] = fields.JSONField()
    found_at = moment()
    acknowledged_by = reference("Person", null=True)

    class Meta:
        table = "filing_flags"
        unique_together = (("filing_id", "kind"),)
        indexes = (("acknowledged_by_id",),)


class FilingObjection(Table):
    """The enterprise that a filing names says that it was not so (异议). `answer`: what the official said who decided."""

    filing = reference("Filing")
    enterprise = reference("Organisation")
    reason = chars(500)
    state = state(ObjectionState)
    objected_by = reference("Person")
    objected_at = moment()
    decided_by = reference("Person", null=True)
    decided_at = moment(null=True)
    answer = chars(500, null=True)

    class Meta:
        table = "filing_objections"
        indexes = (("filing_id",), ("enterprise_id",), ("objected_by_id",), ("decided_by_id",))
        constraints = (
            UniqueConstraint(fields=("filing_id", "enterprise_id"), name="filing_objections_once", condition="state <> 'lapsed'"),
            CheckConstraint(check="state IN ('open','upheld','dismissed','lapsed')", name="filing_objections_state_known"),
            CheckConstraint(check="(state = 'open') = (decided_at IS NULL)", name="filing_objections_decided_once"),
            CheckConstraint(
                check="(state IN ('upheld','dismissed')) = (decided_by_id IS NOT NULL)", name="filing_objections_decided_by_somebody",
            ),
        )
