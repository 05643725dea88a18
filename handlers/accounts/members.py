"""Who works for a company or institution, and as what. Only owners change it, and one of them always stays (F08)."""

from datetime import datetime
from typing import Any, TypedDict

from handlers.accounts.organisations import PersonUnknown, add_membership
from handlers.accounts.people import masked, person_of_phone
from handlers.context import Context
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, NotFound, NotYourRole, Refusal
from handlers.transactions import Transaction, rows, transaction
from models.accounts import MEMBERSHIP_GRAPH, MembershipState, Role
from settings import Settings

# Consultants are no members: what they may ends with their consultancy (handlers/consultants).
MEMBERS = """
SELECT m.id, m.person_id, m.role, m.created_at, p.name, p.phone FROM memberships m JOIN persons p ON p.id = m.person_id
WHERE m.organisation_id = $1 AND m.state = 'active' AND m.role <> 'consultant' AND m.id > $2 ORDER BY m.id LIMIT $3
"""
MEMBER = """
SELECT m.*, p.name, p.phone FROM memberships m JOIN persons p ON p.id = m.person_id
WHERE m.organisation_id = $1 AND m.id = $2 AND m.state = 'active' AND m.role <> 'consultant'
"""
# Not FOR UPDATE: that would make everybody wait who only refers to the organisation.
LOCK_ORGANISATION = "SELECT FROM organisations WHERE id = $1 FOR NO KEY UPDATE"


class AlreadyMember(Refusal):
    kind, code, title = Kind.CONFLICT, "already_member", "对方已是本单位成员，可直接调整其角色"


class LastOwner(Refusal):
    kind, code, title = Kind.CONFLICT, "last_owner", "单位至少须有一名负责人，请先指定另一名负责人"


class MemberView(TypedDict):
    """`id` is the membership's. Name and phone are masked; null if the person has not given them."""

    id: int
    person_id: int
    name: str | None
    phone: str | None
    role: Role
    created_at: datetime
    is_me: bool


class EndedView(TypedDict):
    id: int
    state: MembershipState


async def list_members(ctx: Context, page: Page) -> PageView[MemberView]:
    key = page.key() or [0]
    found = await rows(MEMBERS, ctx.organisation_id, key[0], page.limit + 1)
    return page_of(found, page, lambda one: _member(ctx, one), lambda one: [one.id])


async def invite_member(ctx: Context, phone: str, role: Role) -> MemberView:
    """Raises NotYourRole, PersonUnknown, AlreadyMember."""
    async with transaction(ctx) as tx:
        await lock_own_organisation(tx)
        await require_still(tx, Role.OWNER)
        person_id = await person_of_phone(tx, phone)
        if person_id is None:
            raise PersonUnknown
        if await tx.value(
            "SELECT true FROM memberships WHERE organisation_id = $1 AND person_id = $2 AND state = 'active' AND role <> 'consultant'",
            ctx.organisation_id, person_id,
        ):
            raise AlreadyMember
        made = await add_membership(tx, person_id, ctx.organisation_id, role)
        return tx.reply(_member(ctx, await _own_member(tx, made)))


async def change_member_role(ctx: Context, membership_id: int, role: Role) -> MemberView:
    """Also to owner: that is how a company is handed over. Raises NotFound, NotYourRole, LastOwner, AlreadyMember."""
    async with transaction(ctx) as tx:
        await lock_own_organisation(tx)
        await require_still(tx, Role.OWNER)
        member = await _own_member(tx, membership_id)
        if member.role != role:
            await _refuse_last_owner(tx, member)
            if await tx.value(
                "SELECT true FROM memberships WHERE organisation_id = $1 AND person_id = $2 AND role = $3 AND state = 'active'",
                ctx.organisation_id, member.person_id, role,
            ):
                raise AlreadyMember
            await tx.run("UPDATE memberships SET role = $2 WHERE id = $1", membership_id, role)
            tx.record("membership.role_changed", "membership", membership_id, role_before=member.role, role_after=role)
        return tx.reply(_member(ctx, await _own_member(tx, membership_id)))


async def end_membership(ctx: Context, membership_id: int) -> EndedView:
    """An owner ends anybody's, anybody ends their own; it stops working with the next request.

    Raises NotFound, NotYourRole, LastOwner.
    """
    async with transaction(ctx) as tx:
        await lock_own_organisation(tx)
        if membership_id != ctx.membership_id:
            await require_still(tx, Role.OWNER)
        member = await _own_member(tx, membership_id)
        await _refuse_last_owner(tx, member)
        ended = await move(tx, MEMBERSHIP_GRAPH, member, MembershipState.ENDED, ended_at=ctx.now)
        return tx.reply(EndedView(id=ended.id, state=MembershipState(ended.state)))


async def lock_own_organisation(tx: Transaction) -> None:
    await tx.run(LOCK_ORGANISATION, tx.ctx.organisation_id)


async def require_still(tx: Transaction, role: Role) -> None:
    """Somebody may have ended our membership while we waited for the lock. Raises NotYourRole."""
    if await tx.value("SELECT role FROM memberships WHERE id = $1 AND state = 'active'", tx.ctx.membership_id) != role:
        raise NotYourRole


async def _own_member(tx: Transaction, membership_id: int) -> Any:
    found = await tx.row(MEMBER, tx.ctx.organisation_id, membership_id)
    if found is None:
        raise NotFound
    return found


async def _refuse_last_owner(tx: Transaction, member: Any) -> None:
    if member.role == Role.OWNER and not await tx.value(
        "SELECT true FROM memberships WHERE organisation_id = $1 AND role = 'owner' AND state = 'active' AND id <> $2 LIMIT 1",
        tx.ctx.organisation_id, member.id,
    ):
        raise LastOwner


def _member(ctx: Context, found: Any) -> MemberView:
    return member_view(ctx.settings, found, ctx.person_id)


def member_view(settings: Settings, found: Any, person_id: int) -> MemberView:
    name, phone = masked(settings, found.name, found.phone)
    return {
        "id": found.id, "person_id": found.person_id, "name": name, "phone": phone, "role": Role(found.role),
        "created_at": found.created_at, "is_me": found.person_id == person_id,
    }
