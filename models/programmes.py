"""Programmes, their versioned policies and voucher types (F25, decision 0041)."""

from enum import StrEnum

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, fen, moment, reference, state
from models.states import Graph


class ProgrammeState(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    ENDED = "ended"


PROGRAMME_GRAPH = Graph("programme", "programmes", ProgrammeState, {
    (ProgrammeState.DRAFT, ProgrammeState.PUBLISHED): "programme.published",
    (ProgrammeState.PUBLISHED, ProgrammeState.ENDED): "programme.ended",
})


class Programme(Table):
    name = chars(100)
    region_code = chars(6)
    state = state(ProgrammeState)
    made_by = reference("Person")
    budget_fen = fen(null=True)                    # of the newest confirmed policy; null: no limit
    granted_fen = fields.BigIntField(default=0, db_default=0)  # the sum of its grants, here so that a CHECK can keep it within the budget
    created_at = moment()

    class Meta:
        table = "programmes"
        unique_together = (("region_code", "name"),)
        indexes = (("made_by_id",),)
        constraints = (
            CheckConstraint(
                check="granted_fen >= 0 AND (budget_fen IS NULL OR granted_fen <= budget_fen)", name="programmes_within_budget",
            ),
        )


class PolicyState(StrEnum):
    DRAFT = "draft"
    CONFIRMED = "confirmed"
    DISCARDED = "discarded"


POLICY_GRAPH = Graph("policy", "policies", PolicyState, {
    (PolicyState.DRAFT, PolicyState.CONFIRMED): "policy.confirmed",
    (PolicyState.DRAFT, PolicyState.DISCARDED): "policy.discarded",
})


class Policy(Table):
    """One version of a programme's rules. Confirmed by a second person, it never changes; the next version follows it."""

    programme = reference("Programme")
    number = fields.IntField()
    rules: fields.Field[dict[str, object]] = fields.JSONField()
    state = state(PolicyState)
    made_by = reference("Person")
    confirmed_by = reference("Person", null=True)
    confirmed_at = moment(null=True)
    created_at = moment()

    class Meta:
        table = "policies"
        unique_together = (("programme_id", "number"),)
        indexes = (("made_by_id",), ("confirmed_by_id",))
        constraints = (
            CheckConstraint(check="confirmed_by_id IS DISTINCT FROM made_by_id", name="policies_four_eyes"),
            CheckConstraint(check="(state = 'confirmed') = (confirmed_by_id IS NOT NULL)", name="policies_confirmed_by_someone"),
        )


class VoucherType(Table):
    """审计服务专用券, 服务通用券 … A universal type has no categories: it pays for any product that takes the programme's vouchers."""

    programme = reference("Programme")
    code = chars(16)
    name = chars(50)
    is_universal = fields.BooleanField()
    categories: fields.Field[list[str]] = fields.JSONField(default=list)
    face_fen = fen()
    annual_win_cap = fields.IntField(null=True)
    created_at = moment()

    class Meta:
        table = "voucher_types"
        constraints = (
            UniqueConstraint(fields=("programme_id", "code"), name="voucher_types_code_once"),
            CheckConstraint(check="face_fen > 0", name="voucher_types_face_positive"),
            CheckConstraint(check="annual_win_cap IS NULL OR annual_win_cap > 0", name="voucher_types_cap_positive"),
        )
