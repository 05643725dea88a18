"""Invitations: a link with 144 random bits, of which only the SHA-256 is kept, for seven days and one use (D08, D11).

The token is shown once, in the answer that makes it. A lost link is a new invitation, and the old one is dead with it.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, TypedDict

from handlers.accounts.consents import privacy
from handlers.consultants.managing import end_live_invitation, lock_own, shown_in
from handlers.consultants.refusals import ConsultantStateWrong, InvitationExpired, InvitationUsed
from handlers.consultants.telling import send_invitation, tell_institution
from handlers.consultants.views import STEPS, ConsultantView, SpecialityView, specialities_of
from handlers.context import Context
from handlers.institutions import require_open_shop
from handlers.moves import move
from handlers.refusals import NotFound
from handlers.steps import may
from handlers.transactions import Transaction, row, rows, transaction
from models.categories import CATEGORIES
from models.consultants import CONSULTANT_GRAPH, INVITATION_GRAPH, ConsultantState, InvitationState

TOKEN_BYTES = 18  # 144 bits, 24 characters: with "i." before it, it still fits into a mini-program code
VALID = timedelta(days=7)
# What the form makes public, and what not, in the words of the page.
BECOMES_PUBLIC = ("公开称呼", "职称或职务", "擅长的服务类型", "个人简介", "照片（如上传）", "所代表的服务机构")
STAYS_PRIVATE = ("姓名（打码显示）", "手机号", "邮箱")

INSERT = """
INSERT INTO invitations (consultant_id, token_hash, phone_index, state, invited_by_id, created_at, expires_at)
VALUES ($1, $2, $3, 'live', $4, $5, $6) RETURNING *
"""
# Looked up by the hash, in an index: how long it takes tells nothing of how near a guess was.
FIND = """
SELECT i.*, c.person_id, c.state AS consultant_state, c.institution_id, c.display_name, c.specialities, o.name AS institution_name,
  o.region_code, s.introduction, s.address, s.website, s.landline, s.category
FROM invitations i JOIN consultants c ON c.id = i.consultant_id JOIN organisations o ON o.id = c.institution_id
LEFT JOIN institutions s ON s.organisation_id = o.id WHERE i.token_hash = $1
"""
LOCK_CONSULTANT = "SELECT * FROM consultants WHERE id = $1 FOR UPDATE"
DUE = "SELECT id, consultant_id FROM invitations WHERE state = 'live' AND expires_at <= $1 ORDER BY expires_at LIMIT $2"
LOCK_DUE = "SELECT * FROM consultants WHERE id = $1 FOR UPDATE SKIP LOCKED"
STILL_DUE = "SELECT * FROM invitations WHERE id = $1 AND state = 'live'"
ASK_AGAIN = """
UPDATE invitations i SET renewal_asked_at = $2 WHERE i.id = $1 AND i.renewal_asked_at IS NULL
  AND NOT EXISTS (SELECT FROM invitations newer WHERE newer.consultant_id = i.consultant_id AND newer.id > i.id) RETURNING i.id
"""


class InvitedView(TypedDict):
    """`link` is there this one time; when the same request is repeated it is null, and a lost link is a new invitation."""

    consultant: ConsultantView
    link: str | None
    token: str | None


class InviterView(TypedDict):
    """Public facts of the institution that invites."""

    id: int
    name: str
    introduction: str
    address: str
    website: str
    landline: str
    category: str | None


class InvitationView(TypedDict):
    """What the holder of a link is shown. `state`: live, expired, or accepted; then `consultancy_id` where it was the reader's own.

    `phone_named`: only the phone that the institution named may accept. `privacy_version`: of the text to agree to.
    """

    state: InvitationState
    institution: InviterView
    display_name: str
    specialities: list[SpecialityView]
    becomes_public: list[str]
    stays_private: list[str]
    phone_named: bool
    expires_at: Any
    privacy_version: str
    consultancy_id: int | None


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def link_of(ctx: Context, token: str) -> str:
    return f"{ctx.settings.public_url.rstrip('/')}/i/{token}"


# --- the institution -------------------------------------------------------------------------------------------------------------


async def invite(ctx: Context, consultant_id: int) -> InvitedView:
    """邀请, or 再次邀请: sent by SMS and e-mail where these are known. An earlier link that still lives is revoked.

    Raises NotFound, ConsultantStateWrong, InstitutionNotCertified, InstitutionSuspended.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    async with transaction(ctx) as tx:
        await require_open_shop(tx, ctx.organisation_id)
        consultant = await lock_own(tx, consultant_id)
        if not may(ctx, STEPS, "invite", consultant.state):
            raise ConsultantStateWrong(state=consultant.state)
        await end_live_invitation(tx, consultant.id, InvitationState.REVOKED)
        if consultant.state != ConsultantState.INVITED:
            consultant = await move(tx, CONSULTANT_GRAPH, consultant, ConsultantState.INVITED, updated_at=ctx.now, ended_at=None)
        made = await tx.row(
            INSERT, consultant.id, token_hash(token), consultant.phone_index, ctx.person_id, ctx.now, ctx.now + VALID,
        )
        tx.record("invitation.made", "invitation", made.id, after=InvitationState.LIVE, consultant_id=consultant.id)
        institution = await tx.value("SELECT name FROM organisations WHERE id = $1", ctx.organisation_id)
        send_invitation(tx, consultant, made, institution, link_of(ctx, token))
        # What is kept for a repeated request has no token in it: a copy of the database opens no invitation.
        kept = tx.reply(InvitedView(consultant=await shown_in(tx, consultant.id), link=None, token=None), status=201)
    return {**kept, "link": link_of(ctx, token), "token": token}


async def revoke(ctx: Context, consultant_id: int) -> ConsultantView:
    """撤销邀请: the link is as unknown as one that never was. Raises NotFound, ConsultantStateWrong."""
    async with transaction(ctx) as tx:
        consultant = await lock_own(tx, consultant_id)
        if not may(ctx, STEPS, "revoke", consultant.state) or not await end_live_invitation(tx, consultant.id, InvitationState.REVOKED):
            raise ConsultantStateWrong(state=consultant.state)
        await move(tx, CONSULTANT_GRAPH, consultant, ConsultantState.ADDED, updated_at=ctx.now, note={"reason": "revoked"})
        return tx.reply(await shown_in(tx, consultant.id))


async def lapse_due(ctx: Context, limit: int = 100) -> int:
    """Sweep: end the invitations whose seven days are over, and say so to their institutions. Returns how many."""
    lapsed = 0
    for due in await rows(DUE, ctx.now, limit):
        async with transaction(ctx) as tx:
            consultant = await tx.row(LOCK_DUE, due.consultant_id)
            invitation = consultant and await tx.row(STILL_DUE, due.id)
            if invitation:
                await move(tx, INVITATION_GRAPH, invitation, InvitationState.EXPIRED, ended_at=ctx.now)
                await move(tx, CONSULTANT_GRAPH, consultant, ConsultantState.ADDED, updated_at=ctx.now, note={"reason": "expired"})
                tell_institution(tx, consultant, "expired")
                lapsed += 1
    return lapsed


# --- whoever holds the link --------------------------------------------------------------------------------------------------------


async def open_invitation(ctx: Context, token: str) -> InvitationView:
    """Raises NotFound for a token that never was, was revoked or declined, and for one that somebody else accepted."""
    found = await row(FIND, token_hash(token))
    if found is None or found.state in {InvitationState.REVOKED, InvitationState.DECLINED}:
        raise NotFound
    mine = found.state == InvitationState.ACCEPTED and found.person_id == ctx.actor.person_id
    if found.state == InvitationState.ACCEPTED and not mine and ctx.actor.person_id is not None:
        raise NotFound
    return _view(found, _state(ctx, found), found.consultant_id if mine else None)


async def ask_renewal(ctx: Context, token: str) -> InvitationView:
    """Whoever finds the link expired asks the institution for a new one; once. Raises NotFound, ConsultantStateWrong."""
    async with transaction(ctx) as tx:
        found, consultant = await lock_by_token(tx, token)
        if _state(ctx, found) is not InvitationState.EXPIRED:
            raise ConsultantStateWrong(state=consultant.state)
        if await tx.value(ASK_AGAIN, found.id, ctx.now):
            tx.record("invitation.renewal_asked", "invitation", found.id)
            tell_institution(tx, consultant, "renewal_asked")
        return tx.reply(_view(found, InvitationState.EXPIRED, None))


async def lock_by_token(tx: Transaction, token: str) -> tuple[Any, Any]:
    """(invitation, consultant) as they are behind the consultant's lock. Raises NotFound as `open_invitation` does."""
    found = await tx.row(FIND, token_hash(token))
    if found is None:
        raise NotFound
    consultant = await tx.row(LOCK_CONSULTANT, found.consultant_id)
    found = await tx.row(FIND, token_hash(token))
    if found.state in {InvitationState.REVOKED, InvitationState.DECLINED}:
        raise NotFound
    return found, consultant


def require_live(ctx: Context, invitation: Any) -> None:
    """Raises InvitationExpired at the very instant, InvitationUsed."""
    state = _state(ctx, invitation)
    if state is InvitationState.EXPIRED:
        raise InvitationExpired
    if state is not InvitationState.LIVE:
        raise InvitationUsed


async def require_own_token(ctx: Context, token: str) -> Any:
    """A live invitation of the institution that asks. Raises NotFound."""
    found = await row(FIND, token_hash(token))
    if found is None or found.institution_id != ctx.organisation_id or _state(ctx, found) is not InvitationState.LIVE:
        raise NotFound
    return found


def _state(ctx: Context, invitation: Any) -> InvitationState:
    """An invitation is over when its time is, not when the sweep has come by."""
    over = invitation.state == InvitationState.LIVE and ctx.now >= invitation.expires_at
    return InvitationState.EXPIRED if over else InvitationState(invitation.state)


def _view(found: Any, state: InvitationState, consultancy_id: int | None) -> InvitationView:
    category = CATEGORIES.get(found.category, found.category) if found.category else None
    return {
        "state": state, "display_name": found.display_name, "specialities": specialities_of(found.specialities),
        "institution": {
            "id": found.institution_id, "name": found.institution_name, "introduction": found.introduction or "",
            "address": found.address or "", "website": found.website or "", "landline": found.landline or "", "category": category,
        },
        "becomes_public": list(BECOMES_PUBLIC), "stays_private": list(STAYS_PRIVATE), "phone_named": found.phone_index is not None,
        "expires_at": found.expires_at, "privacy_version": privacy()["version"], "consultancy_id": consultancy_id,
    }
