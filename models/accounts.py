"""Persons, the platforms they come from, the organisations they act for, and their sessions (F08)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import BlindIndex, Sealed, Table, chars, moment, reference, state
from models.states import Graph


class Platform(StrEnum):
    WECHAT = "wechat"      # the mini-program; openid
    DINGTALK = "dingtalk"  # the mini-program inside DingTalk, and its robot; userid of one corporation
    WECHAT_OA = "wechat_oa"  # the Official Account; openid of a follower, another one than the mini-program's


class OrganisationKind(StrEnum):
    ENTERPRISE = "enterprise"    # 企业
    INSTITUTION = "institution"  # 服务机构
    OFFICE = "office"            # 审核、管理、财政部门


class Role(StrEnum):
    OWNER = "owner"                          # 负责人
    HANDLER = "handler"                      # 经办人
    FINANCE = "finance"                      # 财务
    VIEWER = "viewer"                        # 只读
    CONSULTANT = "consultant"                # 服务顾问: represents an institution, is none of its staff (D07-D11)
    REVIEWER = "reviewer"                    # 审核员 (jurisdiction: park, county, city or province)
    CENTRE_REVIEWER = "centre_reviewer"      # 创新协同中心审核员: institutions and their products (C17, C22)
    PAYOUT_OFFICER = "payout_officer"        # 财政兑付员
    PROGRAMME_MANAGER = "programme_manager"  # 项目管理员
    DRAW_OFFICER = "draw_officer"            # 摇号员
    WITNESS = "witness"                      # 见证人
    RISK_OFFICER = "risk_officer"            # 风控员
    ADMIN = "admin"                          # 系统管理员
    SYSTEM = "system"                        # jobs; nobody holds a membership with it


MEMBER_ROLES = frozenset({Role.OWNER, Role.HANDLER, Role.FINANCE, Role.VIEWER})


class MembershipState(StrEnum):
    ACTIVE = "active"
    ENDED = "ended"


MEMBERSHIP_GRAPH = Graph("membership", "memberships", MembershipState, {
    (MembershipState.ACTIVE, MembershipState.ENDED): "membership.ended",
})


class Person(Table):
    name = Sealed(null=True)
    phone = Sealed(null=True)
    phone_index = BlindIndex(null=True)
    email = Sealed(null=True)
    email_index = BlindIndex(null=True)
    created_at = moment()
    closed_at = moment(null=True)  # the account: what is left is an id that the audit trail and the books refer to

    class Meta:
        table = "persons"
        constraints = (
            UniqueConstraint(fields=("phone_index",), name="persons_phone_once"),
            CheckConstraint(check="(email IS NULL) = (email_index IS NULL)", name="persons_email_with_its_index"),
            CheckConstraint(
                check="closed_at IS NULL OR num_nonnulls(name, phone, phone_index, email, email_index) = 0",
                name="persons_closed_are_nobody",
            ),
        )


class Identity(Table):
    """Who a platform says this is. One person may have many; equal openids of two apps are two people."""

    person = reference("Person")
    platform = chars(16)
    app_id = chars(64)
    open_id = chars(128)
    union_id = chars(128, null=True)
    created_at = moment()

    class Meta:
        table = "identities"
        unique_together = (("platform", "app_id", "open_id"),)
        indexes = (("person_id",), ("union_id",))


class Organisation(Table):
    kind = chars(16)
    name = chars(200)
    credit_code = chars(18, null=True)
    region_code = chars(6, null=True)
    park = reference("Park", null=True)
    certified_at = moment(null=True)
    suspended_at = moment(null=True)
    created_at = moment()

    class Meta:
        table = "organisations"
        indexes = (("park_id",), ("region_code",))
        constraints = (
            # One company may be an enterprise and an institution, never twice the same.
            UniqueConstraint(fields=("kind", "credit_code"), name="organisations_credit_code_once"),
            CheckConstraint(check="kind IN ('enterprise','institution','office')", name="organisations_kind_known"),
        )


class Membership(Table):
    person = reference("Person")
    organisation = reference("Organisation")
    role = chars(24)
    region_code = chars(6, null=True)  # a reviewer's jurisdiction: this division and all below it
    park = reference("Park", null=True)  # ... or this park alone
    state = state(MembershipState)
    created_at = moment()
    ended_at = moment(null=True)

    class Meta:
        table = "memberships"
        indexes = (("person_id",), ("organisation_id",), ("park_id",))
        constraints = (
            UniqueConstraint(fields=("person_id", "organisation_id", "role"), name="memberships_once", condition="state = 'active'"),
            CheckConstraint(check="region_code IS NULL OR park_id IS NULL", name="memberships_one_jurisdiction"),
        )


class Session(Table):
    """A signed-in phone. Only the SHA-256 of the token is kept, so a stolen dump opens nothing."""

    token_hash = fields.BinaryField()
    person = reference("Person")
    identity = reference("Identity")
    membership = reference("Membership", null=True)
    device_index = BlindIndex(null=True)  # of what the app calls the phone, where it says so (F03)
    created_at = moment()
    expires_at = moment()
    revoked_at = moment(null=True)

    class Meta:
        table = "sessions"
        indexes = (("person_id",), ("identity_id",), ("membership_id",), ("expires_at",))
        constraints = (UniqueConstraint(fields=("token_hash",), name="sessions_token_once"),)


class Consent(Table):
    """The privacy text somebody agreed to; recorded before the first personal field of theirs is stored."""

    person = reference("Person")
    document = chars(32)
    version = chars(32)
    agreed_at = moment()

    class Meta:
        table = "consents"
        unique_together = (("person_id", "document", "version"),)
