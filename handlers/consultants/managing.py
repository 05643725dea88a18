"""The institution's side: who is on its list of consultants, and the end of a consultancy by either side (D07, D10)."""

from collections.abc import Sequence
from typing import Any

from handlers.accounts.people import refusing_twice
from handlers.approvals import withdraw_approval
from handlers.consultants.refusals import ConsultantExists, ConsultantStateWrong, ContactNeeded, SpecialityUnknown
from handlers.consultants.telling import tell_institution, tell_person
from handlers.consultants.views import (
    SHOWN,
    STEPS,
    ConsultancyView,
    ConsultantView,
    PublicConsultantView,
    consultancy_view,
    consultant_view,
    public_view,
)
from handlers.context import Context
from handlers.demands import reassign_of_consultant
from handlers.institutions import require_open_shop
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.personal import blind_index, normalise, seal
from handlers.refusals import NotFound
from handlers.steps import may
from handlers.transactions import Transaction, row, rows, transaction
from models.accounts import MEMBERSHIP_GRAPH, MembershipState
from models.categories import CATEGORIES
from models.consultants import CONSULTANT_GRAPH, INVITATION_GRAPH, ConsultantState, InvitationState

INSERT = """
INSERT INTO consultants (institution_id, display_name, name, phone, phone_index, email, specialities, state, version, created_at,
  updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'added', 1, $8, $8) RETURNING id
"""
CHANGE = """
UPDATE consultants SET display_name = $2, name = $3, phone = $4, phone_index = $5, email = $6, specialities = $7, updated_at = $8,
  version = version + 1 WHERE id = $1
"""
LOCK_OWN = "SELECT * FROM consultants WHERE id = $1 AND institution_id = $2 FOR UPDATE"
LOCK_MINE = "SELECT * FROM consultants WHERE id = $1 AND person_id = $2 FOR UPDATE"
LIVE = "SELECT * FROM invitations WHERE consultant_id = $1 AND state = 'live'"
PUBLIC = """
SELECT c.* FROM consultants c JOIN organisations o ON o.id = c.institution_id
WHERE c.institution_id = $1 AND c.state = 'active' AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL AND c.id > $2
ORDER BY c.id LIMIT $3
"""
OPEN_SHOP = "SELECT FROM organisations WHERE id = $1 AND kind = 'institution' AND certified_at IS NOT NULL AND suspended_at IS NULL"


async def add_consultant(
    ctx: Context, *, name: str, display_name: str | None, phone: str | None, email: str | None, specialities: Sequence[str]
) -> ConsultantView:
    """添加顾问. Raises ContactNeeded, SpecialityUnknown, ConsultantExists, InstitutionNotCertified, InstitutionSuspended."""
    facts = _facts(ctx, name, display_name, phone, email, specialities)
    with refusing_twice("consultants_phone_once", ConsultantExists):
        async with transaction(ctx) as tx:
            await require_open_shop(tx, ctx.organisation_id)
            made = await tx.value(INSERT, ctx.organisation_id, *facts, ctx.now)
            tx.record("consultant.added", "consultant", made, after=ConsultantState.ADDED)
            return tx.reply(await shown_in(tx, made))


async def change_consultant(
    ctx: Context, consultant_id: int, *, name: str, display_name: str | None, phone: str | None, email: str | None,
    specialities: Sequence[str],
) -> ConsultantView:
    """Correct what the institution wrote, while nobody has been asked with it.

    Raises NotFound, ConsultantStateWrong, ContactNeeded, SpecialityUnknown, ConsultantExists.
    """
    facts = _facts(ctx, name, display_name, phone, email, specialities)
    with refusing_twice("consultants_phone_once", ConsultantExists):
        async with transaction(ctx) as tx:
            consultant = await lock_own(tx, consultant_id)
            if not may(ctx, STEPS, "change", consultant.state):
                raise ConsultantStateWrong(state=consultant.state)
            await tx.run(CHANGE, consultant.id, *facts, ctx.now)
            tx.record("consultant.changed", "consultant", consultant.id)
            return tx.reply(await shown_in(tx, consultant.id))


def _facts(
    ctx: Context, name: str, display_name: str | None, phone: str | None, email: str | None, specialities: Sequence[str]
) -> tuple[object, ...]:
    """The columns of INSERT and CHANGE."""
    if not phone and not email:
        raise ContactNeeded
    if any(code not in CATEGORIES for code in specialities):
        raise SpecialityUnknown
    number = normalise(phone) if phone else None
    return (
        display_name or f"{name[:1]}顾问", seal(ctx.settings, name), seal(ctx.settings, number) if number else None,
        blind_index(ctx.settings, number) if number else None, seal(ctx.settings, email) if email else None,
        list(dict.fromkeys(specialities)),
    )


async def list_consultants(ctx: Context, state: ConsultantState | None, page: Page) -> PageView[ConsultantView]:
    """The institution's own, newest first."""
    before = (page.key() or [2**63 - 1])[0]
    found = await rows(
        f"{SHOWN} WHERE c.institution_id = $1 AND ($2::text IS NULL OR c.state = $2) AND c.id < $3 ORDER BY c.id DESC LIMIT $4",
        ctx.organisation_id, state, before, page.limit + 1,
    )
    return page_of(found, page, lambda one: consultant_view(ctx, one), lambda one: [one.id])


async def get_consultant(ctx: Context, consultant_id: int) -> ConsultantView:
    found = await row(f"{SHOWN} WHERE c.id = $1 AND c.institution_id = $2", consultant_id, ctx.organisation_id)
    if found is None:
        raise NotFound
    return consultant_view(ctx, found)


async def list_public(institution_id: int, page: Page) -> PageView[PublicConsultantView]:
    """The active consultants of an institution that is open. Raises NotFound for one that is not."""
    if await row(OPEN_SHOP, institution_id) is None:
        raise NotFound
    after = (page.key() or [0])[0]
    found = await rows(PUBLIC, institution_id, after, page.limit + 1)
    return page_of(found, page, public_view, lambda one: [one.id])


# --- the end ---------------------------------------------------------------------------------------------------------------------


async def unlink(ctx: Context, consultant_id: int) -> ConsultantView:
    """解除关联 by the institution: at once, whatever it was (D10). Raises NotFound, ConsultantStateWrong."""
    async with transaction(ctx) as tx:
        consultant = await end_link(tx, await lock_own(tx, consultant_id))
        if consultant.person_id is not None:
            await tell_person(tx, consultant, "unlinked")
        return tx.reply(await shown_in(tx, consultant.id))


async def leave(ctx: Context, consultant_id: int) -> ConsultancyView:
    """解除关联 by the consultant. Raises NotFound, ConsultantStateWrong."""
    async with transaction(ctx) as tx:
        consultant = await end_link(tx, await lock_mine(tx, consultant_id))
        tell_institution(tx, consultant, "unlinked")
        return tx.reply(consultancy_view(ctx, await tx.row(f"{SHOWN} WHERE c.id = $1", consultant.id)))


async def end_link(tx: Transaction, consultant: Any) -> Any:
    """Everything that hangs on it ends in the same commit: the link, the place in the queue, the right to represent.

    What enterprises asked of the consultant is the institution's from now on.
    """
    if consultant.state == ConsultantState.ENDED:
        raise ConsultantStateWrong(state=consultant.state)
    await end_live_invitation(tx, consultant.id, InvitationState.REVOKED)
    await withdraw_approval(tx, "consultant", consultant.id)
    if consultant.membership_id is not None:
        membership = await tx.row("SELECT * FROM memberships WHERE id = $1", consultant.membership_id)
        await move(tx, MEMBERSHIP_GRAPH, membership, MembershipState.ENDED, ended_at=tx.ctx.now)
    ended = await move(
        tx, CONSULTANT_GRAPH, consultant, ConsultantState.ENDED, membership_id=None, ended_at=tx.ctx.now, updated_at=tx.ctx.now,
    )
    await reassign_of_consultant(tx, ended.id)
    return ended


# --- steps -----------------------------------------------------------------------------------------------------------------------


async def lock_own(tx: Transaction, consultant_id: int) -> Any:
    """Before anything of the consultancy changes: its invitations, its approval and its membership change behind this lock only."""
    found = await tx.row(LOCK_OWN, consultant_id, tx.ctx.organisation_id)
    if found is None:
        raise NotFound
    return found


async def lock_mine(tx: Transaction, consultant_id: int) -> Any:
    found = await tx.row(LOCK_MINE, consultant_id, tx.ctx.person_id)
    if found is None:
        raise NotFound
    return found


async def end_live_invitation(tx: Transaction, consultant_id: int, to: InvitationState) -> bool:
    """Whether there was one."""
    live = await tx.row(LIVE, consultant_id)
    if live is not None:
        await move(tx, INVITATION_GRAPH, live, to, ended_at=tx.ctx.now)
    return live is not None


async def shown_in(tx: Transaction, consultant_id: int) -> ConsultantView:
    return consultant_view(tx.ctx, await tx.row(f"{SHOWN} WHERE c.id = $1", consultant_id))
