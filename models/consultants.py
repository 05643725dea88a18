"""Consultants: people who represent an institution without being of its staff, and how they get there (D07-D11)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference, state
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
    (C.INVITED, C.ADDED): "consultant.declined",
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


class Consultant(Table):
    """One person for one institution. `membership` is the right to represent it, there while `state` is active."""

    institution = reference("Organisation")
    person = reference("Person", null=True)
    membership = reference("Membership", null=True)
    display_name = chars(50)  # what the institution publishes: 张顾问
    state = state(ConsultantState)
    version = fields.IntField(default=1)
    created_at = moment()
    updated_at = moment()
    ended_at = moment(null=True)

    class Meta:
        table = "consultants"
        indexes = (("institution_id", "id"), ("person_id",), ("membership_id",))
        constraints = (
            UniqueConstraint(
                fields=("institution_id", "person_id"), name="consultants_person_once", condition="person_id IS NOT NULL",
            ),
            CheckConstraint(
                check="(state = 'active') = (membership_id IS NOT NULL)", name="consultants_active_may_represent",
            ),
            CheckConstraint(
                check="state IN ('added','invited','ended','rejected') OR person_id IS NOT NULL", name="consultants_accepted_is_somebody",
            ),
        )
