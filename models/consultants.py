"""Consultants: people who represent an institution without being of its staff, and how they get there (D07-D11)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import BlindIndex, Sealed, Table, chars, moment, reference, state
from models.states import Graph


class ConsultantState(StrEnum):
    ADDED = "added"          # 已添加, nobody has been asked yet
    INVITED = "invited"      # 已邀请
    FILLING = "filling"      # 填写中: accepted, the form is not complete
    IN_REVIEW = "in_review"  # 审核中
    RETURNED = "returned"    # 退回补正
    REJECTED = "rejected"    # 审核拒绝
    ACTIVE = "active"        # 已认证: represents the institution
    ENDED = "ended"          # 已解除


C = ConsultantState
CONSULTANT_GRAPH = Graph("consultant", "consultants", ConsultantState, {
    (C.ADDED, C.INVITED): "consultant.invited",
    (C.ADDED, C.ENDED): "consultant.removed",
    (C.INVITED, C.ADDED): "consultant.invitation_over",  # declined, revoked by the institution, or seven days old
    (C.INVITED, C.FILLING): "consultant.accepted",
    (C.INVITED, C.ENDED): "consultant.ended",
    (C.FILLING, C.IN_REVIEW): "consultant.submitted",
    (C.FILLING, C.ENDED): "consultant.ended",
    (C.IN_REVIEW, C.ACTIVE): "consultant.approved",
    (C.IN_REVIEW, C.RETURNED): "consultant.returned",
    (C.IN_REVIEW, C.REJECTED): "consultant.rejected",
    (C.IN_REVIEW, C.ENDED): "consultant.ended",
    (C.RETURNED, C.IN_REVIEW): "consultant.resubmitted",
    (C.RETURNED, C.ENDED): "consultant.ended",
    (C.REJECTED, C.INVITED): "consultant.invited_again",
    (C.REJECTED, C.ENDED): "consultant.ended",
    (C.ACTIVE, C.ENDED): "consultant.ended",
    (C.ENDED, C.INVITED): "consultant.invited_again",  # D11: only by a new invitation
})


class InvitationState(StrEnum):
    LIVE = "live"          # 有效
    ACCEPTED = "accepted"  # 已接受
    DECLINED = "declined"  # 已谢绝
    REVOKED = "revoked"    # 已撤销: by the institution, or by a newer one
    EXPIRED = "expired"    # 已过期


I = InvitationState  # noqa: E741 - as the other graphs
INVITATION_GRAPH = Graph("invitation", "invitations", InvitationState, {
    (I.LIVE, I.ACCEPTED): "invitation.accepted",
    (I.LIVE, I.DECLINED): "invitation.declined",
    (I.LIVE, I.REVOKED): "invitation.revoked",
    (I.LIVE, I.EXPIRED): "invitation.expired",
})


class Consultant(Table):
    """One person for one institution. `membership` is the right to represent it, there while `state` is active.

    `name`, `phone` and `email` are what the institution knows of whom it invites; with the form, `name` is the person's own word.
    """

    institution = reference("Organisation")
    person = reference("Person", null=True)
    membership = reference("Membership", null=True)
    display_name = chars(50)  # what the institution publishes: 张顾问
    name = Sealed(null=True)
    phone = Sealed(null=True)
    phone_index = BlindIndex(null=True)
    email = Sealed(null=True)
    specialities: fields.Field[list[str]] = fields.JSONField(default=list, db_default="[]")  # codes of models/categories.py
    title = chars(50, default="", db_default="")  # 职称、职务
    introduction = fields.TextField(default="", db_default="")
    photo = reference("Attachment", null=True)
    state = state(ConsultantState)
    version = fields.IntField(default=1)
    created_at = moment()
    updated_at = moment()
    submitted_at = moment(null=True)
    ended_at = moment(null=True)

    class Meta:
        table = "consultants"
        indexes = (("institution_id", "id"), ("person_id",), ("membership_id",), ("photo_id",))
        constraints = (
            UniqueConstraint(
                fields=("institution_id", "person_id"), name="consultants_person_once", condition="person_id IS NOT NULL",
            ),
            UniqueConstraint(
                fields=("institution_id", "phone_index"), name="consultants_phone_once", condition="phone_index IS NOT NULL",
            ),
            CheckConstraint(check="(phone IS NULL) = (phone_index IS NULL)", name="consultants_phone_with_its_index"),
            CheckConstraint(
                check="(state = 'active') = (membership_id IS NOT NULL)", name="consultants_active_may_represent",
            ),
            CheckConstraint(
                check="state IN ('added','invited','ended','rejected') OR person_id IS NOT NULL", name="consultants_accepted_is_somebody",
            ),
        )


class Invitation(Table):
    """A link that was handed out. Of its token only the SHA-256 is kept: whoever reads this table accepts nothing.

    `phone_index`: whom it is for, where the institution said so. `renewal_asked_at`: its reader found it expired and asked for another.
    """

    consultant = reference("Consultant")
    token_hash = fields.BinaryField()
    phone_index = BlindIndex(null=True)
    state = state(InvitationState)
    invited_by = reference("Person")
    created_at = moment()
    expires_at = moment()
    ended_at = moment(null=True)
    renewal_asked_at = moment(null=True)

    class Meta:
        table = "invitations"
        indexes = (("consultant_id", "id"), ("invited_by_id",))
        constraints = (
            UniqueConstraint(fields=("token_hash",), name="invitations_token_once"),
            UniqueConstraint(fields=("consultant_id",), name="invitations_one_live", condition="state = 'live'"),
            CheckConstraint(check="octet_length(token_hash) = 32", name="invitations_keep_only_hashes"),
            CheckConstraint(check="(state = 'live') = (ended_at IS NULL)", name="invitations_ended_have_their_moment"),
            CheckConstraint(check="expires_at = created_at + interval '7 days'", name="invitations_last_seven_days"),
        )


class PhoneCode(Table):
    """A code sent to somebody who opens an invitation and has no account; what they agreed to is written here before anything else."""

    invitation = reference("Invitation")
    phone_index = BlindIndex()
    code_hash = fields.BinaryField()  # keyed: six digits are no secret to whoever holds a plain hash of them
    tries = fields.SmallIntField(default=0)
    consent_version = chars(32)
    agreed_at = moment()
    expires_at = moment()
    used_at = moment(null=True)

    class Meta:
        table = "phone_codes"
        indexes = (("invitation_id", "id"), ("phone_index", "agreed_at"), ("agreed_at",))
        constraints = (CheckConstraint(check="tries BETWEEN 0 AND 5", name="phone_codes_five_tries"),)
