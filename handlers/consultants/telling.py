"""What people hear of a consultancy: the only place that sends an invitation or a code, and that tells both sides (D08-D11)."""

from typing import Any

from handlers.approvals import Decision
from handlers.outside import tell_outside
from handlers.personal import open_sealed
from handlers.transactions import Transaction

CODE_MINUTES = 5


def send_invitation(tx: Transaction, consultant: Any, invitation: Any, institution: str, link: str) -> None:
    """By SMS, by e-mail, by both, as the institution knows the person. The link is sealed until it is sent."""
    settings = tx.ctx.settings
    tell_outside(
        tx, "consultant_invited", phone=consultant.phone and open_sealed(settings, consultant.phone),
        email=consultant.email and open_sealed(settings, consultant.email), subject="invitation", subject_id=invitation.id,
        secrets={"link": link}, institution=institution, until=invitation.expires_at.isoformat(),
    )


def send_code(tx: Transaction, phone: str, invitation_id: int, code: str) -> None:
    tell_outside(
        tx, "phone_code", phone=phone, subject="invitation", subject_id=invitation_id, secrets={"code": code}, minutes=CODE_MINUTES,
    )


def tell_institution(tx: Transaction, consultant: Any, step: str) -> None:
    """`step`: a key of notice_words.STEPS."""
    tx.announce(
        "consultant_progress", "consultant", consultant.id, organisation_id=consultant.institution_id, consultant=consultant.display_name,
        step=step,
    )


async def tell_person(tx: Transaction, consultant: Any, step: str) -> None:
    institution = await tx.value("SELECT name FROM organisations WHERE id = $1", consultant.institution_id)
    tx.announce(
        "consultant_progress", "consultant", consultant.id, person_id=consultant.person_id, consultant=consultant.display_name,
        institution=institution, step=step,
    )


async def tell_decision(tx: Transaction, consultant: Any, title: str, decision: Decision, reason: str | None) -> None:
    """To both sides; by SMS as well where the person has no platform of ours to be told on."""
    facts: dict[str, Any] = {"title": title, "result": str(decision), "reason": reason}
    tx.announce("approval_result", "consultant", consultant.id, organisation_id=consultant.institution_id, **facts)
    tx.announce("approval_result", "consultant", consultant.id, person_id=consultant.person_id, **facts)
    person = await tx.row(
        "SELECT phone FROM persons p WHERE id = $1 AND NOT EXISTS (SELECT FROM identities i WHERE i.person_id = p.id)",
        consultant.person_id,
    )
    if person is not None and person.phone is not None:
        tell_outside(
            tx, "consultant_decided", phone=open_sealed(tx.ctx.settings, person.phone), subject="consultant", subject_id=consultant.id,
            **facts,
        )
