"""区外企业 are no enterprise users of a supermarket: its institutions are not for them to ask, nor they for those to answer (D02, D22)."""

from typing import Any

import pytest

from handlers.demands import offer_alternatives, spread_due
from models.accounts import Role
from tests.library import admitted
from tests.market import Market, open_market
from tests.supermarket import SIP, Supermarket, open_supermarket
from tests.world import SHIZHONG, Member, World

ZONE = {"zone": [SIP]}


@pytest.fixture
async def market(world: World) -> Market:
    """Its buyer sits in Jinan; its seller was certified by no supermarket."""
    return await open_market(world)


@pytest.fixture
async def supermarket(world: World, market: Market) -> Supermarket:
    return await open_supermarket(world)


@pytest.fixture
async def firm(market: Market, supermarket: Supermarket) -> Member:
    """An institution of the supermarket, with a product of the category audit in the district of the market."""
    found = await supermarket.certified()
    await market.world.product(found, market.shop.programme)
    return found


async def moves(market: Market, region_code: str) -> None:
    await market.world.owner.execute("UPDATE organisations SET region_code = $2 WHERE id = $1", market.buyer.organisation_id, region_code)


async def told(market: Market) -> set[int | None]:
    return {one for one, _, _ in await market.told("demand_posted")}


@pytest.mark.parametrize("target", ["institution", "consultant", "product"])
async def test_whoever_is_outside_asks_nobody_of_the_supermarket_and_inside_does(market, world, firm, target):
    consultant_id, _ = await world.consultant(firm)
    product = await world.value("SELECT id FROM products WHERE organisation_id = $1", firm.organisation_id)
    ids = {"institution": firm.organisation_id, "consultant": consultant_id, "product": product}
    before = await market.unchanged()
    status, body = await market.ask(target=target, target_id=ids[target])
    assert (status, body["code"], body["data"]) == (409, "outside_zone", ZONE)
    assert await market.unchanged() == before
    assert (await market.ask(target="institution", target_id=market.seller.organisation_id))[0] == 201
    await moves(market, SIP)
    assert (await market.ask(target=target, target_id=ids[target]))[0] == 201


async def test_an_open_demand_from_outside_is_not_told_to_the_supermarkets_institutions(market, world, firm):
    await world.owner.execute("UPDATE organisations SET region_code = (SELECT region_code FROM organisations WHERE id = $2) WHERE id = $1",
                              firm.organisation_id, market.seller.organisation_id)
    await market.opened()
    assert await told(market) == {market.seller.organisation_id}
    await moves(market, SIP)
    await market.opened()
    assert await told(market) == {market.seller.organisation_id, firm.organisation_id}


async def test_who_has_left_the_zone_meanwhile_is_answered_by_nobody_there(market, world, firm):
    await moves(market, SIP)
    demand: Any = await market.posted(target_id=firm.organisation_id, target="institution")
    await moves(market, "310115")
    before = await market.unchanged()
    status, body = await market.act(firm, demand, "taking")
    assert (status, body["code"], body["data"]) == (409, "outside_zone", ZONE)
    assert await market.unchanged() == before
    await market.ok(firm, demand, "passing")


async def test_nobody_of_the_supermarket_is_offered_as_an_alternative_to_whoever_is_outside(market, world, supermarket):
    firm, other = await supermarket.certified(region_code=SIP), await supermarket.certified(region_code=SIP)
    for each in (firm, other):
        await world.product(each, market.shop.programme)
    await moves(market, SIP)
    demand = await market.posted(region_code=SIP)
    outside = await market.posted(region_code=SIP)
    world.clock.advance(days=7)
    await world.owner.execute("UPDATE demands SET alternatives_at = NULL WHERE id = $1", outside)
    assert await world.sweep(offer_alternatives) == 1
    assert [each["institution_id"] for each in (await market.mine(demand))["alternatives"]] == [firm.organisation_id, other.organisation_id]
    await moves(market, "310115")
    await world.owner.execute("UPDATE demands SET alternatives_at = $2 WHERE id = $1", outside, world.clock.now())
    assert await world.sweep(offer_alternatives) == 1
    assert (await market.mine(outside))["alternatives"] == []
    before = await market.unchanged()
    status, body = await world.post(f"/demands/{demand}/forwarding", {"institution_ids": [firm.organisation_id]}, by=market.buyer)
    assert (status, body["code"]) == (409, "outside_zone")
    assert await market.unchanged() == before


async def test_whom_another_library_has_admitted_too_is_there_for_everybody(market, world, supermarket):
    both = await admitted(world, await world.official(Role.CENTRE_REVIEWER))
    await supermarket.decide(await supermarket.submitted(both, region_code=SHIZHONG), "approval")
    demand = await market.posted(target="institution", target_id=both.organisation_id)
    await market.ok(both, demand, "taking")


async def test_a_supermarket_that_has_ended_closes_itself_to_nobody(market, world, supermarket, firm):
    await world.owner.execute("UPDATE programmes SET state = 'ended' WHERE id = $1", supermarket.id)
    assert (await market.ask(target="institution", target_id=firm.organisation_id))[0] == 201
    assert await world.sweep(spread_due) == 0
