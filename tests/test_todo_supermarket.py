"""待办 of the supermarket: demands with their clocks, filings that came back, revocations, answerable reviews; each role's own."""

from datetime import timedelta
from typing import Any

from handlers.reviews_replies import REPLY_WITHIN
from models.accounts import Role
from tests.market import open_market
from tests.shop import open_shop
from tests.test_filings import Office, office  # noqa: F401 - a fixture
from tests.test_reviews_mutual import MINE, THEIRS
from tests.test_todo import INSTANT, of, same
from tests.world import Member, World


async def titles(world: World, member: Member, kind: str) -> list[str]:
    _, body = await world.get("/todo", by=member)
    return [item["title"] for one in body["items"] if one["kind"] == kind for item in one["items"]]


async def test_a_demand_is_taken_then_contacted_then_reported_on(world: World):
    market = await open_market(world)
    demand = await market.posted()
    ends = await world.value("SELECT expires_at FROM demands")
    assert same(await of(world, market.seller), {"demand_to_take": (1, 0, ends)})
    _, body = await world.get("/todo", by=market.seller)
    assert body["items"][0]["items"][0]["page"] == f"pages/demands/show?id={demand}"
    await market.ok(market.seller, demand, "view")
    assert set(await of(world, market.seller)) == {"demand_to_take"}  # looking is no answer
    await market.ok(market.seller, demand, "taking")
    assert same(await of(world, market.seller), {"demand_to_contact": (1, 0, None)})
    await market.ok(market.seller, demand, "contacting")
    assert same(await of(world, market.seller), {"demand_to_report": (1, 0, None)})
    await market.ok(market.seller, demand, "outcome", {"outcome": "declined", "remark": "价格未谈拢"})
    assert await of(world, market.seller) == {}


async def test_a_demand_that_is_passed_withdrawn_or_over_waits_for_nobody(world: World):
    market = await open_market(world)
    first = await market.posted()
    await market.ok(market.seller, first, "passing", {"remark": "近期人手不足"})
    assert await of(world, market.seller) == {}
    second = await market.posted()
    assert set(await of(world, market.seller)) == {"demand_to_take"}
    assert (await world.post(f"/demands/{second}/withdrawal", by=market.buyer))[0] == 200
    assert await of(world, market.seller) == {}
    await market.posted()
    ends = await world.value("SELECT expires_at FROM demands WHERE state = 'open' AND id = (SELECT max(id) FROM demands)")
    for moment, shown in ((ends - INSTANT, True), (ends, False)):
        world.clock.set(moment)
        assert ("demand_to_take" in await of(world, market.seller)) is shown


async def test_an_open_demand_with_three_takers_waits_for_no_fourth(world: World):
    market = await open_market(world)
    rivals = [await market.rival() for _ in range(3)]
    demand = await market.opened()
    for number, rival in enumerate(rivals, start=1):
        assert set(await of(world, market.seller)) == {"demand_to_take"}, number
        await market.ok(rival, demand, "taking")
    assert await of(world, market.seller) == {}
    assert set(await of(world, rivals[0])) == {"demand_to_contact"}


async def test_an_offer_waits_for_the_enterprise(world: World):
    market = await open_market(world)
    demand = await market.taken()
    assert await of(world, market.buyer) == {}
    assert (await market.offer(demand))[0] == 200
    assert same(await of(world, market.buyer), {"demand_offered": (1, 0, None)})
    assert await titles(world, market.buyer, "demand_offered") == [await world.value("SELECT title FROM demands")]
    assert await of(world, await world.enterprise()) == {}


async def test_a_consultant_has_what_is_addressed_to_them_and_nothing_else(world: World):
    market = await open_market(world)
    consultant_id, consultant = await world.consultant(market.seller)
    _, other = await world.consultant(market.seller)
    await market.posted()
    demand = await market.posted(target="consultant", target_id=consultant_id)
    assert (await of(world, market.seller))["demand_to_take"][0] == 2
    assert (await of(world, consultant))["demand_to_take"][0] == 1
    assert await of(world, other) == {}
    await market.ok(consultant, demand, "taking")
    assert set(await of(world, consultant)) == {"demand_to_contact"}


async def test_a_filing_that_came_back_waits_for_who_filed_it(world: World, office: Office):  # noqa: F811
    filing = await office.submitted()
    assert set(await of(world, office.admins[0])) == {"to_decide"}
    assert (await office.decide(filing, "return", reason="补合同"))[0] == 200
    assert await of(world, office.institution) == {"filing_returned": (1, 0, None)}
    assert await of(world, office.consultant) == {}
    assert await titles(world, office.institution, "filing_returned") == ["济南示例制造有限公司"]
    theirs = await office.submitted(by=office.consultant, amount_fen=4_000_000)
    assert (await office.decide(theirs, "return", reason="补合同"))[0] == 200
    assert (await of(world, office.institution))["filing_returned"][0] == 2
    assert await of(world, office.consultant) == {"filing_returned": (1, 0, None)}


async def test_a_proposed_revocation_waits_for_a_second_administrator(world: World, office: Office):  # noqa: F811
    filing = await office.approved()
    first, second = office.admins
    assert (await world.post(f"/filings/{filing}/revocation", {"reason": "材料不实"}, by=first))[0] == 200
    assert await of(world, second) == {"revocation_to_confirm": (1, 0, None)}
    for member in (first, await world.official(Role.ADMIN, region_code="410100"), await world.official(Role.REVIEWER)):
        assert await of(world, member) == {}
    assert (await world.post(f"/filings/{filing}/revocation/confirmation", by=second))[0] == 200
    assert await of(world, second) == {}


async def test_reviews_may_be_answered_for_thirty_days(world: World):
    shop = await open_shop(world, mutual_review=True)
    order_id = await shop.completed()
    await shop.ok(shop.seller, order_id, "enterprise-review", THEIRS)
    assert "review_to_answer" not in await of(world, shop.buyer)  # blind: nobody has read it
    await shop.ok(shop.buyer, order_id, "review", MINE)
    revealed = await world.value("SELECT revealed_at FROM enterprise_reviews")
    expected: dict[str, Any] = {"review_to_answer": (1, 0, revealed + REPLY_WITHIN)}
    assert same(await of(world, shop.buyer), expected)
    assert same(await of(world, shop.seller), expected)
    review = await world.value("SELECT id FROM reviews")
    assert (await world.post(f"/reviews/{review}/reply", {"text": "感谢反馈"}, by=shop.seller))[0] == 201
    assert await of(world, shop.seller) == {}
    for moment, shown in ((revealed + REPLY_WITHIN - INSTANT, True), (revealed + REPLY_WITHIN, False)):
        world.clock.set(moment)
        assert ("review_to_answer" in await of(world, shop.buyer)) is shown


async def test_the_systems_own_review_is_answered_by_nobody(world: World):
    from handlers import reviews

    shop = await open_shop(world)
    await shop.completed()
    world.clock.advance(days=7)
    assert await world.sweep(reviews.review_due) == 1
    assert timedelta(days=7) < REPLY_WITHIN
    assert "review_to_answer" not in await of(world, shop.seller)
