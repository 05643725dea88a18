"""区内、区外 (D02): who may be an enterprise user of a programme. Outside its zone a company's people are ordinary users, who look.

A zone is a list of divisions in the programme's policy; a programme without one is open to enterprises of everywhere. Institutions
are bound by no zone (D22).
"""

from typing import Any, TypedDict

from handlers.context import Context
from handlers.programmes import rules_of
from handlers.refusals import Kind, NotFound, Refusal
from handlers.regions import covers
from handlers.transactions import Transaction, row, rows
from models.accounts import OrganisationKind


class OutsideZone(Refusal):
    """D02. `data.zone`: the divisions whose companies may be enterprise users."""

    kind, code, title = Kind.CONFLICT, "outside_zone", "区外企业不能成为该平台的企业用户，可以普通用户身份浏览"


class DivisionView(TypedDict):
    code: str
    name: str


class ZoneView(TypedDict):
    """`zone` empty: everywhere. `is_inside`: of the acting enterprise; null for whoever acts for none."""

    programme_id: int
    zone: list[DivisionView]
    is_inside: bool | None


PUBLISHED = """
SELECT p.*, (SELECT rules FROM policies WHERE programme_id = p.id AND state = 'confirmed' ORDER BY number DESC LIMIT 1) AS rules
FROM programmes p WHERE p.id = $1 AND p.state = 'published'
"""


EVERY_ZONE = """
SELECT p.id, (SELECT rules FROM policies WHERE programme_id = p.id AND state = 'confirmed' ORDER BY number DESC LIMIT 1) AS rules
FROM programmes p WHERE p.state = 'published' ORDER BY p.id
"""


async def published(programme_id: int) -> Any:
    """The programme with the `rules` of its policy in force, inside a transaction or out of one. Raises NotFound."""
    found = await row(PUBLISHED, programme_id)
    if found is None:
        raise NotFound
    return found


async def require_inside(tx: Transaction, programme_id: int, region_code: str | None) -> None:
    """Raises NotFound, OutsideZone."""
    programme = await tx.row(PUBLISHED, programme_id)
    if programme is None:
        raise NotFound
    zone = rules_of(programme).zone
    if not is_inside(zone, region_code):
        raise OutsideZone(zone=list(zone))


async def closed_to(tx: Transaction, region_code: str | None) -> list[int]:
    """The published programmes whose zone does not hold a company of that place."""
    return [one.id for one in await tx.rows(EVERY_ZONE) if one.rules is not None and not is_inside(rules_of(one).zone, region_code)]


def is_inside(zone: tuple[str, ...], region_code: str | None) -> bool:
    return not zone or (region_code is not None and any(covers(code, region_code) for code in zone))


async def get_zone(ctx: Context, programme_id: int) -> ZoneView:
    """Raises NotFound."""
    zone = rules_of(await published(programme_id)).zone
    inside = None
    if ctx.actor.organisation_kind is OrganisationKind.ENTERPRISE:
        own = await row("SELECT region_code FROM organisations WHERE id = $1", ctx.organisation_id)
        inside = is_inside(zone, own.region_code)
    named = await rows("SELECT code, name FROM regions WHERE code = ANY($1::text[]) ORDER BY code", zone)
    return {"programme_id": programme_id, "zone": [{"code": one.code, "name": one.name} for one in named], "is_inside": inside}
