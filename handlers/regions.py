"""Administrative divisions, the parks below them, and what an official's jurisdiction reaches (C36)."""

import json
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import models
from handlers.context import Actor, Context
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, rows, transaction

DIVISIONS = Path(models.__file__).parent / "data" / "divisions.json"

# What the package still has is brought up to date; a division that was abolished stays, for those who registered in it.
LOAD = """
INSERT INTO regions (code, name, level, parent_code)
SELECT d->>0, d->>1, d->>2, d->>3 FROM jsonb_array_elements($1::jsonb) d
ON CONFLICT (code) DO UPDATE SET name = EXCLUDED.name, level = EXCLUDED.level, parent_code = EXCLUDED.parent_code
WHERE (regions.name, regions.level, regions.parent_code) IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.level, EXCLUDED.parent_code)
RETURNING code
"""
CHILDREN = """
SELECT r.code, r.name, r.level, r.parent_code, EXISTS (SELECT FROM regions b WHERE b.parent_code = r.code) AS has_children
FROM regions r WHERE r.parent_code IS NOT DISTINCT FROM $1 ORDER BY r.code
"""
PATH = """
WITH RECURSIVE up AS (
  SELECT code, name, level, parent_code, 1 AS height FROM regions WHERE code = $1
  UNION ALL SELECT r.code, r.name, r.level, r.parent_code, up.height + 1 FROM regions r JOIN up ON r.code = up.parent_code
)
SELECT bottom.*, EXISTS (SELECT FROM regions b WHERE b.parent_code = bottom.code) AS has_children,
       (SELECT string_agg(name, '' ORDER BY height DESC) FROM up) AS full_name
FROM up bottom WHERE height = 1
"""
PARKS = "SELECT id, name, county_code FROM parks WHERE county_code = $1 AND id > $2 ORDER BY id LIMIT $3"


class RegionUnknown(Refusal):
    kind, code, title = Kind.INVALID, "region_unknown", "没有该行政区划"


class RegionTooWide(Refusal):
    """A place is a county or district; where a city has none (东莞、中山、儋州、嘉峪关), the city."""

    kind, code, title = Kind.INVALID, "region_too_wide", "请选择到区县一级"


class ParkUnknown(Refusal):
    kind, code, title = Kind.INVALID, "park_unknown", "所选区县没有该园区"


class ParkExists(Refusal):
    kind, code, title = Kind.CONFLICT, "park_exists", "该区县已有同名园区"


class OutsideJurisdiction(Refusal):
    kind, code, title = Kind.FORBIDDEN, "outside_jurisdiction", "超出您的管辖范围"


class RegionView(TypedDict):
    """`level` is province, city or county; municipalities have counties right below the province."""

    code: str
    name: str
    level: str
    parent_code: str | None
    has_children: bool


class RegionsView(TypedDict):
    """All of them: no division has more than a few dozen below it."""

    items: list[RegionView]


class RegionPathView(RegionView):
    """`full_name` is what people write: 山东省济南市历下区."""

    full_name: str


class ParkView(TypedDict):
    id: int
    name: str
    county_code: str


def prefix_of(region_code: str) -> str:
    """What the codes of a division and of all below it begin with: 37, 3701 or 370102. For `LIKE prefix || '%'`."""
    if region_code.endswith("0000"):
        return region_code[:2]
    # 469000 and its like are headings of the national tables over counties that the province governs itself. Were one given as
    # a jurisdiction it would reach nothing.
    if region_code.endswith("00") and region_code[2:4] != "90":
        return region_code[:4]
    return region_code


def covers(official_code: str, region_code: str) -> bool:
    """Whether a division is another one or lies in it: province XX0000, city XXXX00, otherwise the county alone."""
    return region_code.startswith(prefix_of(official_code))


def reaches(actor: Actor, region_code: str | None, park_id: int | None = None) -> bool:
    """Whether an official's jurisdiction reaches a division or park. Whoever has neither is responsible for the whole platform.

    `region_code` None is the whole platform itself.
    """
    if actor.park_id is not None:
        return actor.park_id == park_id
    if actor.region_code is None:
        return True
    return region_code is not None and covers(actor.region_code, region_code)


@cache
def _divisions() -> list[list[str | None]]:
    found: list[list[str | None]] = json.loads(DIVISIONS.read_text(encoding="utf-8"))["divisions"]
    return found


async def load_regions() -> int:
    """Bring the table up to the edition that came with this version; the number of rows that changed. Safe to repeat."""
    return len(await rows(LOAD, _divisions()))


async def list_regions(parent: str | None) -> RegionsView:
    """The divisions right below `parent`, or the provinces. Raises RegionUnknown."""
    found = await rows(CHILDREN, parent)
    if not found and parent is not None:
        await get_region(parent)  # nothing below is an answer, nowhere is not
    return {"items": [_view(one) for one in found]}


async def get_region(code: str) -> RegionPathView:
    """One division with its full name. Raises RegionUnknown."""
    found = await row(PATH, code)
    if found is None:
        raise RegionUnknown
    return {**_view(found), "full_name": found.full_name}


async def list_parks(county_code: str, page: Page) -> PageView[ParkView]:
    key = page.key() or [0]
    return page_of(await rows(PARKS, county_code, key[0], page.limit + 1), page, _park, lambda one: [one.id])


async def create_park(ctx: Context, name: str, county_code: str) -> ParkView:
    """A park below a county of one's own. Raises RegionUnknown, RegionTooWide, OutsideJurisdiction, ParkExists."""
    async with transaction(ctx) as tx:
        await require_place(tx, county_code)
        if not reaches(ctx.actor, county_code):
            raise OutsideJurisdiction
        made = await tx.row(
            "INSERT INTO parks (name, county_code, created_at) VALUES ($1, $2, $3)"
            " ON CONFLICT (county_code, name) DO NOTHING RETURNING id, name, county_code", name, county_code, ctx.now,
        )
        if made is None:
            raise ParkExists
        tx.record("park.created", "park", made.id, name=name, county_code=county_code)
        return tx.reply(_park(made), 201)


async def require_region(tx: Transaction, code: str) -> None:
    """Raises RegionUnknown."""
    if not await tx.value("SELECT true FROM regions WHERE code = $1", code):
        raise RegionUnknown


async def require_place(tx: Transaction, code: str, park_id: int | None = None) -> None:
    """A division with none below it, and a park in it. Raises RegionUnknown, RegionTooWide, ParkUnknown."""
    found = await tx.row(
        "SELECT EXISTS (SELECT FROM regions b WHERE b.parent_code = r.code) AS has_children,"
        " $2::bigint IS NULL OR EXISTS (SELECT FROM parks p WHERE p.id = $2 AND p.county_code = r.code) AS park_is_here"
        " FROM regions r WHERE r.code = $1", code, park_id,
    )
    if found is None:
        raise RegionUnknown
    if found.has_children:
        raise RegionTooWide
    if not found.park_is_here:
        raise ParkUnknown


def _view(found: Any) -> RegionView:
    return {
        "code": found.code, "name": found.name, "level": found.level, "parent_code": found.parent_code,
        "has_children": found.has_children,
    }


def _park(found: Any) -> ParkView:
    return {"id": found.id, "name": found.name, "county_code": found.county_code}
