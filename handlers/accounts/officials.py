"""Offices and the officials in them. Administrators grant and end, never for themselves (F12); the first one comes from the CLI."""

from datetime import datetime
from typing import Any, TypedDict

from handlers.accounts.members import AlreadyMember, EndedView, require_still
from handlers.accounts.organisations import PersonUnknown, add_membership, lock_person
from handlers.accounts.people import masked, person_of_phone
from handlers.context import Context
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, NotFound, Refusal, SecondPersonNeeded
from handlers.regions import OutsideJurisdiction, ParkUnknown, prefix_of, reaches, require_region
from handlers.transactions import Transaction, rows, transaction
from models.accounts import MEMBERSHIP_GRAPH, MembershipState, OrganisationKind, Role
from settings import Settings

# No two of one pair in one pair of hands, in whatever office: officer and witness commit to the same draw, and who hands out
# roles holds no other (三员分立).
SEPARATE = (
    (frozenset({Role.DRAW_OFFICER}), frozenset({Role.WITNESS})),
    (frozenset({Role.ADMIN}), frozenset({
        Role.REVIEWER, Role.CENTRE_REVIEWER, Role.PROGRAMME_MANAGER, Role.DRAW_OFFICER, Role.WITNESS, Role.RISK_OFFICER,
    })),
)
FIRST_ADMIN_LOCK = 0x51464144  # "QFAD"

OFFICES = "SELECT id, name, region_code FROM organisations WHERE kind = 'office' AND id > $1 ORDER BY id LIMIT $2"
OFFICIAL_COLUMNS = """
SELECT m.*, o.name AS office_name, p.name, p.phone
FROM memberships m JOIN organisations o ON o.id = m.organisation_id AND o.kind = 'office' JOIN persons p ON p.id = m.person_id
LEFT JOIN parks k ON k.id = m.park_id
WHERE m.state = 'active'
  AND ($1::text IS NULL OR coalesce(m.region_code, k.county_code) LIKE $1 || '%') AND ($2::bigint IS NULL OR m.park_id = $2)
"""
OFFICIALS = f"{OFFICIAL_COLUMNS} AND m.id > $3 ORDER BY m.id LIMIT $4"
OFFICIAL = f"{OFFICIAL_COLUMNS} AND m.id = $3"
LOCK_MEMBERSHIPS = "SELECT FROM memberships WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
ROLES_HELD = """
SELECT m.role FROM memberships m JOIN organisations o ON o.id = m.organisation_id
WHERE m.person_id = $1 AND m.state = 'active' AND o.kind = 'office'
"""


class OfficeUnknown(Refusal):
    kind, code, title = Kind.INVALID, "office_unknown", "没有该部门"


class JurisdictionNeeded(Refusal):
    """A reviewer has a division or a park; everybody has at most one of them."""

    kind, code, title = Kind.INVALID, "jurisdiction_needed", "请指定管辖区划或园区（二者选一）"


class RolesNotSeparate(Refusal):
    """`data.role`: the role that the person holds already."""

    kind, code, title = Kind.CONFLICT, "roles_not_separate", "对方已担任不相容的岗位，不能兼任"


class AdminExists(Refusal):
    kind, code, title = Kind.CONFLICT, "admin_exists", "已有系统管理员，请由其添加工作人员"


class OfficeView(TypedDict):
    id: int
    name: str
    region_code: str | None


class OfficialView(TypedDict):
    """`id` is the membership's. Without region and park the official is responsible for the whole platform."""

    id: int
    person_id: int
    name: str | None
    phone: str | None
    role: Role
    office_id: int
    office_name: str
    region_code: str | None
    park_id: int | None
    created_at: datetime


async def create_office(ctx: Context, name: str, region_code: str | None) -> OfficeView:
    """Raises RegionUnknown, OutsideJurisdiction."""
    async with transaction(ctx) as tx:
        if region_code is not None:
            await require_region(tx, region_code)
        if not reaches(ctx.actor, region_code):
            raise OutsideJurisdiction
        office_id = await _make_office(tx, name, region_code)
        return tx.reply(OfficeView(id=office_id, name=name, region_code=region_code))


async def list_offices(page: Page) -> PageView[OfficeView]:
    key = page.key() or [0]
    found = await rows(OFFICES, key[0], page.limit + 1)
    return page_of(
        found, page, lambda one: OfficeView(id=one.id, name=one.name, region_code=one.region_code), lambda one: [one.id]
    )


async def list_officials(ctx: Context, page: Page) -> PageView[OfficialView]:
    """Those in one's own jurisdiction."""
    key = page.key() or [0]
    found = await rows(OFFICIALS, *_reach(ctx), key[0], page.limit + 1)
    return page_of(found, page, lambda one: _official(ctx.settings, one), lambda one: [one.id])


async def appoint_official(
    ctx: Context, phone: str, role: Role, office_id: int, *, region_code: str | None = None, park_id: int | None = None
) -> OfficialView:
    """Raises JurisdictionNeeded, RegionUnknown, ParkUnknown, OutsideJurisdiction, OfficeUnknown, PersonUnknown,
    SecondPersonNeeded, NotYourRole, RolesNotSeparate, AlreadyMember.
    """
    _require_jurisdiction(role, region_code, park_id)
    async with transaction(ctx) as tx:
        await _require_in_reach(tx, region_code, park_id)
        if not await tx.value("SELECT true FROM organisations WHERE id = $1 AND kind = 'office'", office_id):
            raise OfficeUnknown
        person_id = await person_of_phone(tx, phone)
        if person_id is None:
            raise PersonUnknown
        if person_id == ctx.person_id:
            raise SecondPersonNeeded
        await lock_person(tx, person_id)
        await require_still(tx, Role.ADMIN)
        await _refuse_mixed_roles(tx, person_id, role)
        if await tx.value(
            "SELECT true FROM memberships WHERE person_id = $1 AND organisation_id = $2 AND role = $3 AND state = 'active'",
            person_id, office_id, role,
        ):
            raise AlreadyMember
        made = await add_membership(tx, person_id, office_id, role, region_code=region_code, park_id=park_id)
        return tx.reply(_official(ctx.settings, await tx.row(OFFICIAL, None, None, made)))


async def end_official(ctx: Context, membership_id: int) -> EndedView:
    """Nobody ends themselves, so the last administrator stays. Raises NotFound, SecondPersonNeeded, NotYourRole."""
    if membership_id == ctx.membership_id:
        raise SecondPersonNeeded
    async with transaction(ctx) as tx:
        await lock_memberships(tx, ctx.membership_id, membership_id)
        await require_still(tx, Role.ADMIN)
        official = await tx.row(OFFICIAL, *_reach(ctx), membership_id)
        if official is None:
            raise NotFound
        if official.person_id == ctx.person_id:
            raise SecondPersonNeeded
        ended = await move(tx, MEMBERSHIP_GRAPH, official, MembershipState.ENDED, ended_at=ctx.now)
        return tx.reply(EndedView(id=ended.id, state=MembershipState(ended.state)))


async def appoint_first_admin(ctx: Context, phone: str, office_name: str) -> OfficialView:
    """For `python -m app` and the seed only: the platform's first administrator, who has signed in and bound a phone.

    Raises AdminExists, PersonUnknown.
    """
    async with transaction(ctx) as tx:
        await tx.value("SELECT pg_advisory_xact_lock($1)", FIRST_ADMIN_LOCK)
        if await tx.value("SELECT true FROM memberships WHERE role = 'admin' AND state = 'active' LIMIT 1"):
            raise AdminExists
        person_id = await person_of_phone(tx, phone)
        if person_id is None:
            raise PersonUnknown
        made = await add_membership(tx, person_id, await _make_office(tx, office_name, None), Role.ADMIN)
        return tx.reply(_official(ctx.settings, await tx.row(OFFICIAL, None, None, made)))


async def lock_memberships(tx: Transaction, *ids: int) -> None:
    """In the order of their ids, so that two administrators who end each other do not deadlock: the second one is none any more."""
    await tx.run(LOCK_MEMBERSHIPS, list(ids))


def _require_jurisdiction(role: Role, region_code: str | None, park_id: int | None) -> None:
    both = region_code is not None and park_id is not None
    neither = region_code is None and park_id is None
    if both or (neither and role in {Role.REVIEWER, Role.CENTRE_REVIEWER}):
        raise JurisdictionNeeded


async def _require_in_reach(tx: Transaction, region_code: str | None, park_id: int | None) -> None:
    if park_id is not None:
        region_code = await tx.value("SELECT county_code FROM parks WHERE id = $1", park_id)
        if region_code is None:
            raise ParkUnknown
    elif region_code is not None:
        await require_region(tx, region_code)
    if not reaches(tx.ctx.actor, region_code, park_id):
        raise OutsideJurisdiction


async def _refuse_mixed_roles(tx: Transaction, person_id: int, role: Role) -> None:
    held = {Role(one.role) for one in await tx.rows(ROLES_HELD, person_id)}
    for one, other in SEPARATE:
        for mine, theirs in ((one, other), (other, one)):
            if role in mine and (clash := held & theirs):
                raise RolesNotSeparate(role=min(clash))


async def _make_office(tx: Transaction, name: str, region_code: str | None) -> int:
    made: int = await tx.value(
        "INSERT INTO organisations (kind, name, region_code, created_at) VALUES ($1, $2, $3, $4) RETURNING id",
        OrganisationKind.OFFICE, name, region_code, tx.ctx.now,
    )
    tx.record("office.created", "organisation", made, name=name, region_code=region_code)
    return made


def _reach(ctx: Context) -> tuple[str | None, int | None]:
    code = ctx.actor.region_code
    return (prefix_of(code) if code is not None else None, ctx.actor.park_id)


def _official(settings: Settings, found: Any) -> OfficialView:
    name, phone = masked(settings, found.name, found.phone)
    return {
        "id": found.id, "person_id": found.person_id, "name": name, "phone": phone, "role": Role(found.role),
        "office_id": found.organisation_id, "office_name": found.office_name, "region_code": found.region_code,
        "park_id": found.park_id, "created_at": found.created_at,
    }
