"""What the public sees of a service institution (E25, C07-C10); its admission is an application."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Sealed, Table, chars, moment, reference, state
from models.states import Graph


class InstitutionState(StrEnum):
    APPLYING = "applying"    # 未入库
    ADMITTED = "admitted"    # 已入库
    SUSPENDED = "suspended"  # 已暂停, by an administrator, until a day
    EXPIRED = "expired"      # 已到期


S = InstitutionState
INSTITUTION_GRAPH = Graph("institution", "institutions", InstitutionState, {
    (S.APPLYING, S.ADMITTED): "institution.admitted",
    (S.ADMITTED, S.SUSPENDED): "institution.suspended",
    (S.ADMITTED, S.EXPIRED): "institution.expired",
    (S.SUSPENDED, S.ADMITTED): "institution.resumed",
    (S.SUSPENDED, S.EXPIRED): "institution.expired",
    (S.EXPIRED, S.ADMITTED): "institution.renewed",
})


class Institution(Table):
    """Facts that are in force. What an amendment says waits in its application until it is approved (C15).

    Whether it may trade is one bit for everybody, `organisations.suspended_at`; `state` says why not.
    """

    organisation = reference("Organisation")
    introduction = fields.TextField(default="")
    address = chars(200, default="")
    website = chars(200, default="")
    landline = chars(32, default="")  # public; the mobile is not (C09)
    email = chars(100, default="")
    contact_name = Sealed(null=True)
    contact_phone = Sealed(null=True)
    bank_account_name = chars(200, null=True)
    bank_branch = chars(200, null=True)
    bank_account = Sealed(null=True)
    latitude = fields.DecimalField(max_digits=9, decimal_places=6, null=True)
    longitude = fields.DecimalField(max_digits=9, decimal_places=6, null=True)
    state = state(InstitutionState, db_default="applying")
    application = reference("Application", null=True)  # the admission that is in force; null where a programme admitted it otherwise
    category = chars(32, null=True)
    valid_until = fields.DateField(null=True)  # the last day, in Shanghai
    suspended_until = moment(null=True)
    suspension_reason = chars(500, null=True)
    updated_at = moment()

    class Meta:
        table = "institutions"
        indexes = (("application_id",),)
        constraints = (
            UniqueConstraint(fields=("organisation_id",), name="institutions_once"),
            CheckConstraint(
                check="(state = 'suspended') = (suspended_until IS NOT NULL AND suspension_reason IS NOT NULL)",
                name="institutions_suspended_with_reason_and_end",
            ),
        )


class InstitutionScope(Table):
    """A line of the approved 可用券产品申请表 (C19): only such products may be published."""

    organisation = reference("Organisation")
    category = chars(32)
    content = chars(64)

    class Meta:
        table = "institution_scopes"
        unique_together = (("organisation_id", "category", "content"),)
