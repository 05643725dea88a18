"""Objections (异议) to a published draw, or to one of its wins, within the publicity time (docs/draw.md, docs/decisions/0244)."""

from enum import StrEnum

from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from models.fields import Table, chars, moment, reference, state
from models.states import Graph


class DrawObjectionState(StrEnum):
    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"
    LAPSED = "lapsed"  # the round was voided: nothing is left to decide


J = DrawObjectionState
DRAW_OBJECTION_GRAPH = Graph("draw_objection", "draw_objections", DrawObjectionState, {
    (J.OPEN, J.UPHELD): "draw_objection.upheld",
    (J.OPEN, J.DISMISSED): "draw_objection.dismissed",
    (J.OPEN, J.LAPSED): "draw_objection.lapsed",
})


class DrawObjection(Table):
    """Of an enterprise with a ticket of the round, one open at a time. `reservation`: the win it is about; null for the draw itself."""

    round = reference("Round")
    organisation = reference("Organisation")
    reservation = reference("Reservation", null=True)
    state = state(DrawObjectionState)
    reason = chars(500)
    objected_by = reference("Person")
    objected_at = moment()
    decided_by = reference("Person", null=True)
    decided_at = moment(null=True)
    answer = chars(500, null=True)

    class Meta:
        table = "draw_objections"
        indexes = (("round_id", "organisation_id"), ("organisation_id",), ("reservation_id",), ("objected_by_id",), ("decided_by_id",))
        constraints = (
            UniqueConstraint(fields=("round_id", "organisation_id"), name="draw_objections_one_open", condition="state = 'open'"),
            CheckConstraint(check="(state = 'open') = (decided_at IS NULL)", name="draw_objections_decided_once"),
            CheckConstraint(
                check="(state IN ('upheld','dismissed')) = (decided_by_id IS NOT NULL AND answer IS NOT NULL)",
                name="draw_objections_answered_by_somebody",
            ),
            CheckConstraint(check="decided_by_id IS DISTINCT FROM objected_by_id", name="draw_objections_not_by_the_objector"),
        )


class DrawObjectionFile(Table):
    """Evidence (slot `appeal`)."""

    draw_objection = reference("DrawObjection")
    attachment = reference("Attachment")

    class Meta:
        table = "draw_objection_files"
        unique_together = (("draw_objection_id", "attachment_id"),)
        indexes = (("attachment_id",),)
