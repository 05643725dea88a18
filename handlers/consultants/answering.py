"""Yes or no to an invitation: by somebody signed in, or by somebody who proves a phone on the page and is a person from then on (D08)."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from handlers.accounts.consents import PRIVACY, ConsentNeeded, ConsentOutdated, privacy, require_consent
from handlers.accounts.people import refusing_twice
from handlers.accounts.phones import lock_phone
from handlers.consultants.inviting import InvitationView, lock_by_token, open_invitation, require_live
from handlers.consultants.refusals import (
    AlreadyConsultant,
    CodeExpired,
    CodesTooMany,
    CodeWrong,
    InvitationUsed,
    InvitedOther,
    PhoneMalformed,
    PhoneNeeded,
)
from handlers.consultants.telling import CODE_MINUTES, send_code, tell_institution
from handlers.consultants.views import SHOWN, ConsultancyView, consultancy_view
from handlers.context import Context
from handlers.moves import move
from handlers.outside import is_mobile
from handlers.personal import blind_index, normalise, seal
from handlers.signatures import signature
from handlers.transactions import Transaction, transaction
from models.consultants import CONSULTANT_GRAPH, INVITATION_GRAPH, ConsultantState, InvitationState

TRIES_MAX = 5          # of a million: with five codes a day, one guess in forty thousand
CODES_PER_DAY = 5      # for one phone, and for one invitation: an SMS costs money and patience
CODE_PAUSE = timedelta(seconds=60)
CODE_VALID = timedelta(minutes=CODE_MINUTES)
DAY = timedelta(days=1)

RECENT = """
SELECT count(*) FILTER (WHERE invitation_id = $1) AS of_invitation, count(*) FILTER (WHERE phone_index = $2) AS of_phone,
  min(agreed_at) AS first, max(agreed_at) AS last
FROM phone_codes WHERE (invitation_id = $1 OR phone_index = $2) AND agreed_at > $3
"""
INSERT_CODE = """
INSERT INTO phone_codes (invitation_id, phone_index, code_hash, tries, consent_version, agreed_at, expires_at)
VALUES ($1, $2, $3, 0, $4, $5, $6)
"""
NEWEST = "SELECT * FROM phone_codes WHERE invitation_id = $1 AND phone_index = $2 ORDER BY id DESC LIMIT 1 FOR UPDATE"
COUNT_TRY = "UPDATE phone_codes SET tries = tries + 1 WHERE id = $1"
USE = "UPDATE phone_codes SET used_at = $2 WHERE id = $1"
FORGET = "DELETE FROM phone_codes WHERE id IN (SELECT id FROM phone_codes WHERE agreed_at <= $1 ORDER BY agreed_at LIMIT $2)"
PERSON_PHONE = "SELECT phone_index FROM persons WHERE id = $1"
MAKE_PERSON = "INSERT INTO persons (created_at) VALUES ($1) RETURNING id"
CONSENT = """
INSERT INTO consents (person_id, document, version, agreed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (person_id, document, version) DO NOTHING RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Identified:
    """Who proved a phone on the page of an invitation, and the consultancy that is theirs now."""

    person_id: int
    consultant_id: int


# --- signed in -----------------------------------------------------------------------------------------------------------------------


async def accept(ctx: Context, token: str) -> ConsultancyView:
    """接受邀请 with an account. Raises NotFound, InvitationExpired, InvitationUsed, ConsentNeeded, PhoneNeeded, InvitedOther,
    AlreadyConsultant.
    """
    with refusing_twice("consultants_person_once", AlreadyConsultant):
        async with transaction(ctx) as tx:
            invitation, consultant = await lock_by_token(tx, token)
            require_live(ctx, invitation)
            await require_consent(tx)
            phone_index = await tx.value(PERSON_PHONE, ctx.person_id)
            if phone_index is None:
                raise PhoneNeeded
            await _take(tx, invitation, consultant, ctx.person_id, phone_index)
            return tx.reply(consultancy_view(ctx, await tx.row(f"{SHOWN} WHERE c.id = $1", consultant.id)))


async def decline(ctx: Context, token: str) -> InvitationView:
    """谢绝邀请: by whoever holds the link. Who is signed in with another phone than the one named does not decide for its owner.

    Raises NotFound, InvitationExpired, InvitationUsed, InvitedOther.
    """
    view = await open_invitation(ctx, token)
    async with transaction(ctx) as tx:
        invitation, consultant = await lock_by_token(tx, token)
        require_live(ctx, invitation)
        if ctx.actor.person_id is not None:
            _require_addressee(invitation, consultant, ctx.person_id, await tx.value(PERSON_PHONE, ctx.person_id))
        await move(tx, INVITATION_GRAPH, invitation, InvitationState.DECLINED, ended_at=ctx.now)
        await move(tx, CONSULTANT_GRAPH, consultant, ConsultantState.ADDED, updated_at=ctx.now, note={"reason": "declined"})
        tell_institution(tx, consultant, "declined")
        view["state"] = InvitationState.DECLINED
        return tx.reply(view)


# --- on the page ---------------------------------------------------------------------------------------------------------------------


async def send_phone_code(ctx: Context, token: str, phone: str, consent_version: str | None) -> None:
    """A code to the phone of somebody who reads the invitation, or of who accepted it and comes back. What they agreed to is kept first.

    Raises NotFound, InvitationExpired, InvitedOther, PhoneMalformed, ConsentNeeded, ConsentOutdated, CodesTooMany.
    """
    number = normalise(phone)
    if not is_mobile(number):
        raise PhoneMalformed
    _require_version(consent_version)
    index = blind_index(ctx.settings, number)
    code = f"{secrets.randbelow(10**6):06d}"
    async with transaction(ctx) as tx:
        await lock_phone(tx, index)
        invitation, consultant = await lock_by_token(tx, token)
        await _require_reader(tx, invitation, consultant, index)
        await _require_few_codes(tx, invitation.id, index)
        await tx.run(
            INSERT_CODE, invitation.id, index, _code_hash(ctx, invitation.id, index, code), consent_version, ctx.now, ctx.now + CODE_VALID
        )
        tx.record("phone_code.sent", "invitation", invitation.id)
        send_code(tx, number, invitation.id, code)


async def identify(ctx: Context, token: str, phone: str, code: str) -> Identified:
    """The right code makes the person, with the consent before the phone, and accepts; for who accepted before, it opens the case again.

    A wrong guess is counted although nothing else happens. Raises NotFound, InvitationExpired, InvitationUsed, InvitedOther,
    AlreadyConsultant, CodeWrong, CodeExpired.
    """
    index = blind_index(ctx.settings, normalise(phone))
    with refusing_twice("consultants_person_once", AlreadyConsultant):
        async with transaction(ctx) as tx:
            await lock_phone(tx, index)
            invitation, consultant = await lock_by_token(tx, token)
            sent = await tx.row(NEWEST, invitation.id, index)
            if sent is None or sent.used_at is not None or sent.tries >= TRIES_MAX or ctx.now >= sent.expires_at:
                raise CodeExpired
            right = hmac.compare_digest(sent.code_hash, _code_hash(ctx, invitation.id, index, code))
            if right:
                await tx.run(USE, sent.id, ctx.now)
                person_id = await _person(tx, normalise(phone), index, sent)
                await _open_case(tx, invitation, consultant, person_id, index)
            else:
                await tx.run(COUNT_TRY, sent.id)
    if not right:
        raise CodeWrong(tries_left=TRIES_MAX - sent.tries - 1)
    return Identified(person_id, consultant.id)


async def forget_codes(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: codes are of no use after minutes, and count against their phone for a day. Returns how many went."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - DAY, limit)


# --- steps ---------------------------------------------------------------------------------------------------------------------------


async def _open_case(tx: Transaction, invitation: Any, consultant: Any, person_id: int, index: bytes) -> None:
    if invitation.state == InvitationState.ACCEPTED:
        if consultant.person_id != person_id:
            raise InvitationUsed
        return
    require_live(tx.ctx, invitation)
    await _take(tx, invitation, consultant, person_id, index)


async def _take(tx: Transaction, invitation: Any, consultant: Any, person_id: int, index: bytes) -> None:
    _require_addressee(invitation, consultant, person_id, index)
    await move(tx, INVITATION_GRAPH, invitation, InvitationState.ACCEPTED, ended_at=tx.ctx.now, note={"person_id": person_id})
    accepted = await move(
        tx, CONSULTANT_GRAPH, consultant, ConsultantState.FILLING, person_id=person_id, updated_at=tx.ctx.now,
        note={"person_id": person_id},
    )
    tell_institution(tx, accepted, "accepted")


def _require_addressee(invitation: Any, consultant: Any, person_id: int, index: bytes | None) -> None:
    """The phone that was named, and who had accepted before (D11). Raises InvitedOther."""
    if invitation.phone_index is not None and invitation.phone_index != index:
        raise InvitedOther
    if consultant.person_id is not None and consultant.person_id != person_id:
        raise InvitedOther


async def _require_reader(tx: Transaction, invitation: Any, consultant: Any, index: bytes) -> None:
    """Nobody gets an SMS who could not go on with its code."""
    if invitation.state != InvitationState.ACCEPTED:
        require_live(tx.ctx, invitation)
    named = invitation.phone_index
    if consultant.person_id is not None:
        named = await tx.value(PERSON_PHONE, consultant.person_id)
    if named is not None and named != index:
        raise InvitedOther


def _require_version(agreed: str | None) -> None:
    current = privacy()
    if not agreed:
        raise ConsentNeeded(document=current["document"], version=current["version"])
    if agreed != current["version"]:
        raise ConsentOutdated(document=current["document"], version=current["version"])


async def _require_few_codes(tx: Transaction, invitation_id: int, index: bytes) -> None:
    now = tx.ctx.now
    recent = await tx.row(RECENT, invitation_id, index, now - DAY)
    if recent.last is not None and now - recent.last < CODE_PAUSE:
        raise CodesTooMany(retry_after_seconds=int((recent.last + CODE_PAUSE - now).total_seconds()) + 1)
    if max(recent.of_invitation, recent.of_phone) >= CODES_PER_DAY:
        raise CodesTooMany(retry_after_seconds=int((recent.first + DAY - now).total_seconds()) + 1)


def _code_hash(ctx: Context, invitation_id: int, index: bytes, code: str) -> bytes:
    return signature(ctx.settings, "phone code", b"%d|%b|%b" % (invitation_id, index, code.encode()))


async def _person(tx: Transaction, number: str, index: bytes, sent: Any) -> int:
    """Who has this phone already, or a new person: agreed first, then known by the phone."""
    found = await tx.value("SELECT id FROM persons WHERE phone_index = $1", index)
    person_id: int = found or await tx.value(MAKE_PERSON, tx.ctx.now)
    if found is None:
        tx.record("person.created", "person", person_id, by="invitation")
    consent = await tx.value(CONSENT, person_id, PRIVACY, sent.consent_version, sent.agreed_at)
    if consent is not None:
        tx.record("consent.given", "consent", consent, document=PRIVACY, version=sent.consent_version, person_id=person_id)
    if found is None:
        await tx.run("UPDATE persons SET phone = $2, phone_index = $3 WHERE id = $1", person_id, seal(tx.ctx.settings, number), index)
        tx.record("person.phone_bound", "person", person_id)
    return person_id
