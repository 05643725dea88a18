"""Divisions, parks, and what a jurisdiction reaches."""

import pytest

from handlers import regions
from handlers.context import Actor
from models.accounts import Role
from tests.world import World


@pytest.fixture
async def town(world: World) -> World:
    """A world with divisions."""
    await regions.load_regions()
    return world


@pytest.mark.parametrize(("official", "place", "reached"), [
    ("370000", "370103", True),    # 山东省 over 济南市市中区
    ("370000", "370000", True),
    ("370000", "330102", False),
    ("370100", "370103", True),
    ("370100", "370100", True),
    ("370100", "370203", False),
    ("370100", "370000", False),   # a city is not over its province
    ("370103", "370103", True),
    ("370103", "370102", False),
    ("370103", "370100", False),
    ("110000", "110105", True),    # 北京市 over 朝阳区: no city between
    ("500000", "500229", True),    # 重庆市 over 城口县
    ("110105", "110106", False),
    ("420000", "429004", True),    # 湖北省 over 仙桃市, which it governs itself
    ("420100", "429004", False),   # 武汉市 does not
    ("429004", "429005", False),   # nor does 仙桃 reach 潜江
    ("429000", "429004", False),   # a heading of the tables governs nothing
    ("469000", "469001", False),
    ("460000", "469001", True),
    ("441900", "441900", True),    # 东莞市 has no counties
    ("440000", "441900", True),
    ("320500", "320571", True),    # 苏州市 over 苏州工业园区
    ("320571", "320505", False),
])
def test_a_division_covers_itself_and_what_lies_in_it(official, place, reached):
    assert regions.covers(official, place) is reached


def test_an_officials_reach_is_their_park_their_division_or_everything():
    park = Actor(role=Role.REVIEWER, park_id=7)
    assert regions.reaches(park, "370103", 7)
    assert not regions.reaches(park, "370103", 8)
    assert not regions.reaches(park, "370103")
    county = Actor(role=Role.REVIEWER, region_code="370103")
    assert regions.reaches(county, "370103", 7)  # the parks of a county are in it
    assert not regions.reaches(county, "370102", 7)
    assert not regions.reaches(county, None)
    assert regions.reaches(Actor(role=Role.ADMIN), None)
    assert regions.reaches(Actor(role=Role.ADMIN), "370103", 7)


async def test_loading_twice_changes_nothing_and_loading_again_repairs(database, owner):
    await regions.load_regions()
    assert await regions.load_regions() == 0
    assert [tuple(one) for one in await owner.fetch("SELECT level, count(*) FROM regions GROUP BY level ORDER BY level")] == [
        ("city", 333), ("county", 3030), ("province", 34),
    ]
    await owner.execute("UPDATE regions SET name = '错' WHERE code = '370103'")
    assert await regions.load_regions() == 1
    assert await owner.fetchval("SELECT name FROM regions WHERE code = '370103'") == "市中区"


async def test_a_division_that_was_abolished_stays_for_those_who_registered_in_it(database, owner):
    await regions.load_regions()
    await owner.execute("INSERT INTO regions VALUES ('370199', '旧区', 'county', '370100')")
    assert await regions.load_regions() == 0
    assert await owner.fetchval("SELECT name FROM regions WHERE code = '370199'") == "旧区"
    await owner.execute("DELETE FROM regions WHERE code = '370199'")


async def test_every_division_hangs_below_one_of_a_higher_level(database, owner):
    await regions.load_regions()
    assert await owner.fetch(
        "SELECT r.code FROM regions r LEFT JOIN regions p ON p.code = r.parent_code"
        " WHERE (r.level = 'province') <> (r.parent_code IS NULL) OR (r.parent_code IS NOT NULL AND p.code IS NULL)"
        " OR (r.level = 'city' AND p.level <> 'province') OR (r.level = 'county' AND p.level = 'county')"
        " OR (p.level = 'city' AND left(r.code, 4) <> left(p.code, 4)) OR left(r.code, 2) <> left(coalesce(p.code, r.code), 2)"
    ) == []


async def test_people_walk_from_the_provinces_down_to_a_county(town):
    status, provinces = await town.get("/regions")
    assert status == 200
    assert len(provinces["items"]) == 34
    assert provinces["items"][0] == {
        "code": "110000", "name": "北京市", "level": "province", "parent_code": None, "has_children": True,
    }
    status, cities = await town.get("/regions?parent=370000")
    assert (status, cities["items"][0]) == (
        200, {"code": "370100", "name": "济南市", "level": "city", "parent_code": "370000", "has_children": True},
    )
    status, counties = await town.get("/regions?parent=370100")
    assert {"code": "370103", "name": "市中区", "level": "county", "parent_code": "370100", "has_children": False} in counties["items"]
    assert await town.get("/regions?parent=370103") == (200, {"items": []})


async def test_municipalities_and_counties_under_a_province_have_no_city_between(town):
    _, beijing = await town.get("/regions?parent=110000")
    assert {"code": "110105", "name": "朝阳区", "level": "county", "parent_code": "110000", "has_children": False} in beijing["items"]
    status, xiantao = await town.get("/regions/429004")
    assert (status, xiantao["parent_code"], xiantao["full_name"]) == (200, "420000", "湖北省仙桃市")
    assert (await town.get("/regions/429000"))[0] == 422


async def test_a_division_tells_its_full_name(town):
    assert await town.get("/regions/370103") == (200, {
        "code": "370103", "name": "市中区", "level": "county", "parent_code": "370100", "has_children": False,
        "full_name": "山东省济南市市中区",
    })
    assert (await town.get("/regions/320571"))[1]["full_name"] == "江苏省苏州市苏州工业园区"


@pytest.mark.parametrize("path", ["/regions/379999", "/regions?parent=379999"])
async def test_an_unknown_division_is_refused(town, path):
    status, body = await town.get(path)
    assert (status, body["code"], body["title"]) == (422, "region_unknown", "没有该行政区划")


@pytest.mark.parametrize("code", ["37010", "3701033", "07 103", "abcdef", "000000"])
async def test_what_is_no_code_is_not_looked_up(town, code):
    assert (await town.get(f"/regions?parent={code}"))[0] == 422


async def test_an_administrator_adds_parks_and_everybody_sees_them_page_by_page(town):
    admin = await town.official(Role.ADMIN, region_code="370100")
    made = []
    for name in ("高新园", "科创园", "软件园"):
        status, body = await town.post("/parks", {"name": name, "county_code": "370103"}, by=admin)
        assert (status, body) == (201, {"id": body["id"], "name": name, "county_code": "370103"})
        made.append(body)
    status, page = await town.get("/parks?county=370103&limit=2")
    assert (status, page["items"]) == (200, made[:2])
    assert await town.get(f"/parks?county=370103&limit=2&after={page['next']}") == (200, {"items": made[2:], "next": None})
    assert await town.get("/parks?county=370102") == (200, {"items": [], "next": None})
    assert [tuple(one) for one in await town.owner.fetch(
        "SELECT action, subject, subject_id, person_id FROM audit_entries ORDER BY id"
    )] == [("park.created", "park", one["id"], admin.person_id) for one in made]


@pytest.mark.parametrize(("name", "county", "status", "code"), [
    ("高新园", "370103", 409, "park_exists"),
    ("新园", "370100", 422, "region_too_wide"),
    ("新园", "370000", 422, "region_too_wide"),
    ("新园", "379999", 422, "region_unknown"),
    ("新园", "330106", 403, "outside_jurisdiction"),
    ("园", "370103", 422, "invalid_input"),
    ("新\n园", "370103", 422, "invalid_input"),
])
async def test_a_park_that_cannot_be_is_refused(town, name, county, status, code):
    admin = await town.official(Role.ADMIN, region_code="370100")
    await town.post("/parks", {"name": "高新园", "county_code": "370103"}, by=admin)
    before = await town.snapshot("parks", "audit_entries")
    refused, body = await town.post("/parks", {"name": name, "county_code": county}, by=admin)
    assert (refused, body["code"]) == (status, code)
    assert await town.snapshot("parks", "audit_entries") == before


async def test_only_an_administrator_adds_parks(town):
    reviewer, owner = await town.official(Role.REVIEWER), await town.enterprise()
    for member in (reviewer, owner):
        status, body = await town.post("/parks", {"name": "高新园", "county_code": "370103"}, by=member)
        assert (status, body["code"]) == (403, "not_your_role")
    assert (await town.post("/parks", {"name": "高新园", "county_code": "370103"}))[0] == 401
    assert await town.value("SELECT count(*) FROM parks") == 0
