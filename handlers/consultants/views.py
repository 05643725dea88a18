"""How a consultancy is shown: to its institution, to the person, to everybody. What is personal is masked, or not there."""

from datetime import datetime
from typing import Any, TypedDict

from handlers.application_forms import ProblemView
from handlers.context import Context
from handlers.personal import mask_email, mask_name, mask_phone, open_sealed
from handlers.steps import Steps, offered
from models.categories import CATEGORIES
from models.consultants import ConsultantState, InvitationState

CHANGEABLE = frozenset({ConsultantState.ADDED, ConsultantState.REJECTED, ConsultantState.ENDED})
FILLABLE = frozenset({ConsultantState.FILLING, ConsultantState.RETURNED})
STEPS: Steps = {  # of the institution
    "invite": CHANGEABLE | {ConsultantState.INVITED}, "change": CHANGEABLE, "revoke": frozenset({ConsultantState.INVITED}),
    "end": frozenset(ConsultantState) - {ConsultantState.ENDED},
}
OWN_STEPS: Steps = {  # of the person, whatever role they have anywhere
    "submit": FILLABLE, "end": FILLABLE | {ConsultantState.IN_REVIEW, ConsultantState.ACTIVE},
}
# The newest invitation and the newest review, with the person who accepted.
SHOWN = """
SELECT c.*, o.name AS institution_name, p.name AS person_name, p.phone AS person_phone, i.id AS invitation_id,
  i.state AS invitation_state, i.created_at AS invited_at, i.expires_at, i.renewal_asked_at, a.reason, a.data AS review
FROM consultants c JOIN organisations o ON o.id = c.institution_id LEFT JOIN persons p ON p.id = c.person_id
LEFT JOIN LATERAL (SELECT * FROM invitations WHERE consultant_id = c.id ORDER BY id DESC LIMIT 1) i ON true
LEFT JOIN LATERAL (
  SELECT reason, data FROM approvals WHERE subject = 'consultant' AND subject_id = c.id ORDER BY id DESC LIMIT 1
) a ON true
"""


class SpecialityView(TypedDict):
    code: str
    title: str


class InvitationStandingView(TypedDict):
    """The newest invitation. `renewal_asked_at`: its reader found it expired and asks for another one."""

    id: int
    state: InvitationState
    is_expired: bool
    created_at: datetime
    expires_at: datetime
    renewal_asked_at: datetime | None


class ConsultantView(TypedDict):
    """What the institution sees. `accepted_by`: name and phone of who accepted, masked: with a shared code that may be anybody."""

    id: int
    display_name: str
    name: str | None
    phone: str | None
    email: str | None
    specialities: list[SpecialityView]
    title: str
    introduction: str
    photo_id: int | None
    state: ConsultantState
    accepted_by: str | None
    accepted_phone: str | None
    invitation: InvitationStandingView | None
    reason: str | None
    items: list[ProblemView]
    submitted_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    allowed_actions: list[str]


class ConsultancyView(TypedDict):
    """What the consultant sees of the own case. `reason` and `items`: of a return or a rejection."""

    id: int
    institution_id: int
    institution_name: str
    display_name: str
    name: str | None
    specialities: list[SpecialityView]
    title: str
    introduction: str
    photo_id: int | None
    state: ConsultantState
    reason: str | None
    items: list[ProblemView]
    submitted_at: datetime | None
    ended_at: datetime | None
    allowed_actions: list[str]


class PublicConsultantView(TypedDict):
    """What everybody sees of an active consultant: what the person agreed to publish, and nothing else."""

    id: int
    display_name: str
    title: str
    specialities: list[SpecialityView]
    introduction: str
    picture_id: int | None


def consultant_view(ctx: Context, found: Any) -> ConsultantView:
    """`found`: a row of SHOWN."""
    state = ConsultantState(found.state)
    accepted = found.person_id is not None
    return {
        "id": found.id, "display_name": found.display_name, "name": masked_name(ctx, found.name), "phone": _phone(ctx, found.phone),
        "email": mask_email(open_sealed(ctx.settings, found.email)) if found.email else None,
        "specialities": specialities_of(found.specialities), "title": found.title, "introduction": found.introduction,
        "photo_id": found.photo_id, "state": state, "accepted_by": masked_name(ctx, found.person_name) if accepted else None,
        "accepted_phone": _phone(ctx, found.person_phone) if accepted else None, "invitation": _invitation(ctx, found),
        **_decided(found, state), "submitted_at": found.submitted_at, "ended_at": found.ended_at,  # type: ignore[typeddict-item]
        "created_at": found.created_at, "allowed_actions": offered(ctx, STEPS, state),
    }


def consultancy_view(ctx: Context, found: Any) -> ConsultancyView:
    """`found`: a row of SHOWN, of the person who asks."""
    state = ConsultantState(found.state)
    return {
        "id": found.id, "institution_id": found.institution_id, "institution_name": found.institution_name,
        "display_name": found.display_name, "name": masked_name(ctx, found.name), "specialities": specialities_of(found.specialities),
        "title": found.title, "introduction": found.introduction, "photo_id": found.photo_id, "state": state,
        **_decided(found, state), "submitted_at": found.submitted_at, "ended_at": found.ended_at,  # type: ignore[typeddict-item]
        "allowed_actions": [verb for verb, states in OWN_STEPS.items() if state in states],
    }


def public_view(found: Any) -> PublicConsultantView:
    return {
        "id": found.id, "display_name": found.display_name, "title": found.title, "specialities": specialities_of(found.specialities),
        "introduction": found.introduction, "picture_id": found.photo_id,
    }


def specialities_of(codes: list[str]) -> list[SpecialityView]:
    return [{"code": code, "title": CATEGORIES.get(code, code)} for code in codes]


def masked_name(ctx: Context, sealed: bytes | None) -> str | None:
    return mask_name(open_sealed(ctx.settings, sealed)) if sealed else None


def _phone(ctx: Context, sealed: bytes | None) -> str | None:
    return mask_phone(open_sealed(ctx.settings, sealed)) if sealed else None


def _invitation(ctx: Context, found: Any) -> InvitationStandingView | None:
    if found.invitation_id is None:
        return None
    state = InvitationState(found.invitation_state)
    over = state is InvitationState.EXPIRED or (state is InvitationState.LIVE and ctx.now >= found.expires_at)
    return {
        "id": found.invitation_id, "state": state, "is_expired": over, "created_at": found.invited_at, "expires_at": found.expires_at,
        "renewal_asked_at": found.renewal_asked_at,
    }


def _decided(found: Any, state: ConsultantState) -> dict[str, Any]:
    """Why it came back; an earlier turn's words are not shown beside a new one."""
    if state not in {ConsultantState.RETURNED, ConsultantState.REJECTED}:
        return {"reason": None, "items": []}
    return {"reason": found.reason, "items": (found.review or {}).get("items", [])}
