"""The seed may be repeated, and adds what an earlier one did not know."""

from typing import NoReturn

import pytest

from demo import people
from demo.planter import Planter
from demo.seed import count, grown, plant_jinan, plant_zhengzhou, seed
from handlers.regions import load_regions
from models.accounts import Role
from simulator.state import person_id
from tests.talking import Speaker
from tests.world import Member, World

TABLES = (
    "persons", "identities", "consents", "organisations", "memberships", "parks", "programmes", "policies", "voucher_types",
    "institutions", "products", "deductions", "approvals", "applications", "attachments", "grants", "lots", "audit_entries",
)


@pytest.fixture
async def country(world: World) -> World:
    await load_regions()
    return world


async def planted(world: World) -> dict[str, object]:
    """What there is of each city, in words."""
    programmes = await world.owner.fetch(
        "SELECT p.name, p.region_code, p.state, y.rules ->> 'payment_review' AS review,"
        " (SELECT array_agg(code ORDER BY id) FROM voucher_types WHERE programme_id = p.id) AS types"
        " FROM programmes p JOIN policies y ON y.programme_id = p.id AND y.state = 'confirmed' ORDER BY p.id"
    )
    roles = await world.owner.fetch(
        "SELECT m.role, m.region_code, k.name AS park, count(*)::int AS officials FROM memberships m LEFT JOIN parks k ON k.id = m.park_id"
        " WHERE m.role <> 'owner' GROUP BY 1, 2, 3 ORDER BY 2 NULLS FIRST, 3 NULLS FIRST, 1"
    )
    products = await world.value("SELECT count(*) FROM products WHERE state = 'listed'")
    return {"programmes": [tuple(row) for row in programmes], "roles": [tuple(row) for row in roles], "products": products}


PLANTED = {
    "programmes": [
        (people.PROGRAMME, "370100", "published", "none", ["AUDIT", "CERT", "GENERAL"]),
        (people.ZHENGZHOU_PROGRAMME, "410100", "published", "park", ["INNOVATION"]),
        (people.SUZHOU_PROGRAMME, "320571", "published", "none", None),
        (people.SUZHOU_VOUCHERS, "320571", "published", "none", ["SERVICE"]),
    ],
    "roles": [
        ("admin", None, None, 1), ("reviewer", None, people.PARK, 1),
        ("admin", "320571", None, 2), ("centre_reviewer", "320571", None, 1), ("programme_manager", "320571", None, 2),
        ("reviewer", "320571", None, 1),
        ("centre_reviewer", "370100", None, 1), ("draw_officer", "370100", None, 1), ("programme_manager", "370100", None, 2),
        ("reviewer", "370100", None, 1), ("witness", "370100", None, 1),
        ("centre_reviewer", "410100", None, 2), ("payout_officer", "410100", None, 2), ("programme_manager", "410100", None, 2),
        ("reviewer", "410100", None, 1), ("risk_officer", "410100", None, 2),
    ],
    "products": 5,
}


async def test_an_empty_database_gets_all_three_cities(country: World) -> None:
    assert await seed(country.settings, country.clock, country.ports)
    assert await planted(country) == PLANTED


async def test_a_second_seed_changes_nothing(country: World) -> None:
    await seed(country.settings, country.clock, country.ports)
    before = await country.snapshot(*TABLES)
    assert await seed(country.settings, country.clock, country.ports)
    assert await country.snapshot(*TABLES) == before


async def test_who_seeds_is_told_what_there_is_now_and_what_is_new(country: World) -> None:
    empty = await count()
    await seed(country.settings, country.clock, country.ports)
    once = await count()
    assert grown(empty, once) == "项目 4（新增 4）、单位 5（新增 5）、人员 25（新增 25）、服务产品 5（新增 5）、订单 0（新增 0）"
    await seed(country.settings, country.clock, country.ports)
    assert grown(once, await count()) == "项目 4（新增 0）、单位 5（新增 0）、人员 25（新增 0）、服务产品 5（新增 0）、订单 0（新增 0）"


async def the_buyer(world: World) -> Speaker:
    found = await world.one(
        "SELECT i.person_id, i.id AS identity_id, m.id AS membership_id, m.organisation_id FROM identities i"
        " JOIN memberships m ON m.person_id = i.person_id WHERE i.open_id = $1",
        person_id("wechat", world.settings.wechat_appid, people.BUYER),
    )
    return Speaker(world, Member(**found, role=Role.OWNER, token=""))


async def test_somebody_has_vouchers_and_gets_the_answers_that_the_readme_promises(country: World) -> None:
    await seed(country.settings, country.clock, country.ports)
    buyer = await the_buyer(country)
    assert await buyer.say("我还有多少券") == (
        "可用服务券共 20,000 元：\n· 科技创新专业服务券 20,000 元，最早 2028年3月1日（含当日）到期"
    )
    assert "没有听懂" not in await buyer.say("待办") + await buyer.say("帮助")


async def test_a_seed_that_was_broken_off_before_a_decision_is_brought_to_its_end(country: World) -> None:
    async def power_cut(*_: object, **__: object) -> NoReturn:
        raise ConnectionAbortedError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(ConnectionAbortedError):
        patch.setattr("handlers.approvals.decide", power_cut)
        await plant_zhengzhou(Planter(country.settings, country.clock, country.ports))
    assert await country.value("SELECT count(*) FROM approvals WHERE state = 'open'") == 1
    await seed(country.settings, country.clock, country.ports)
    assert await country.value("SELECT count(*) FROM approvals WHERE state = 'open'") == 0
    assert await country.value("SELECT count(*) FROM grants") == 1


async def test_a_database_that_knew_only_jinan_gets_the_others(country: World) -> None:
    await plant_jinan(Planter(country.settings, country.clock, country.ports))
    jinan = await country.snapshot("products", "institutions")
    assert (await planted(country))["programmes"] == PLANTED["programmes"][:1]  # type: ignore[index]
    await seed(country.settings, country.clock, country.ports)
    assert await planted(country) == PLANTED
    assert await country.snapshot("products", "institutions") == jinan


async def test_a_platform_with_an_administrator_of_its_own_is_left_alone(country: World) -> None:
    await country.official(Role.ADMIN, region_code=None)
    before = await country.snapshot(*TABLES)
    assert not await seed(country.settings, country.clock, country.ports)
    assert await country.snapshot(*TABLES) == before
