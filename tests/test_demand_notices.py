"""What was told of a demand is taken back when it asks for nothing any more: answered, full, withdrawn, closed (5.2, D15)."""

from typing import Any

import pytest

from handlers.deliveries import deliver_due
from handlers.demands import expire_due, offer_alternatives, remind_unviewed, spread_due
from handlers.demands.rules import OPEN_FOR
from handlers.notices import open_events
from handlers.ports import Outcome, SendResult
from handlers.recalls import recall_due
from tests.market import Market, open_market
from tests.test_recalls import DingTalk, dingtalk
from tests.world import Member, World

__all__ = ["dingtalk"]  # fixture


@pytest.fixture
async def market(world: World) -> Market:
    return await open_market(world)


async def superseded(world: World) -> dict[tuple[int, str], bool]:
    """(organisation, kind) -> whether what it was told is pointless, after all that has happened is told."""
    await world.sweep(open_events)
    found = await world.owner.fetch(
        "SELECT organisation_id, kind, bool_and(superseded_at IS NOT NULL) AS over FROM notices"
        " WHERE kind IN ('demand_posted', 'demand_reminder', 'demand_alternatives') GROUP BY 1, 2")
    return {(row["organisation_id"], row["kind"]): row["over"] for row in found}


async def of(world: World, *members: Member) -> list[bool]:
    found = await superseded(world)
    return [found[(member.organisation_id, "demand_posted")] for member in members]


async def withdraw(market: Market, demand: int) -> None:
    assert (await market.world.post(f"/demands/{demand}/withdrawal", by=market.buyer))[0] == 200


async def test_a_withdrawn_demand_asks_nobody_any_more_neither_the_institution_nor_its_consultant(market, world):
    consultant_id, consultant = await world.consultant(market.seller)
    demand = await market.posted(target="consultant", target_id=consultant_id)
    world.clock.advance(days=3)
    await world.sweep(remind_unviewed)
    me = market.seller.organisation_id
    assert await superseded(world) == {(me, "demand_posted"): False, (me, "demand_reminder"): False}
    await withdraw(market, demand)
    assert await superseded(world) == {(me, "demand_posted"): True, (me, "demand_reminder"): True}
    _, inbox = await world.get("/notices", by=consultant)
    assert [(each["kind"], each["is_superseded"]) for each in inbox["items"]] == [
        ("demand_closed", False), ("demand_reminder", True), ("demand_posted", True)]


async def test_who_only_had_the_notice_of_an_open_demand_loses_it_when_it_is_withdrawn(market, world):
    rival = await market.rival()
    demand = await market.opened()
    assert await of(world, market.seller, rival) == [False, False]
    await withdraw(market, demand)
    assert await of(world, market.seller, rival) == [True, True]
    assert await market.told("demand_closed") == []


@pytest.mark.parametrize("noun", ["taking", "passing"])
async def test_who_has_answered_is_asked_no_more_and_the_others_are(market, world, noun):
    rival = await market.rival()
    demand = await market.opened()
    await market.ok(market.seller, demand, noun)
    assert await of(world, market.seller, rival) == [True, False]


async def test_when_the_last_place_is_taken_the_notices_of_the_others_are_pointless_but_not_of_who_was_chosen(market, world):
    rivals = [await market.rival() for _ in range(3)]
    chosen = await market.rival()
    demand = await market.opened()
    await world.owner.execute(
        "UPDATE demand_responses SET is_chosen = true WHERE demand_id = $1 AND institution_id = $2", demand, chosen.organisation_id)
    for number, taker in enumerate(rivals):
        assert await of(world, market.seller, chosen) == [False, False]
        await market.ok(taker, demand, "taking")
        assert (await of(world, *rivals))[:number + 1] == [True] * (number + 1)
    assert await of(world, market.seller, chosen) == [True, False]


async def test_alternatives_are_pointless_when_somebody_has_taken_it_up(market, world):
    await market.rival()
    demand = await market.posted()
    world.clock.advance(days=7)
    await world.sweep(offer_alternatives)
    key = (market.buyer.organisation_id, "demand_alternatives")
    assert (await superseded(world))[key] is False
    await market.ok(market.seller, demand, "taking")
    assert (await superseded(world))[key] is True


async def test_what_is_over_by_itself_or_closed_asks_nobody_either(market, world):
    rival = await market.rival()
    await market.posted()
    closed = await market.opened()
    await market.ok(rival, closed, "taking")
    assert await of(world, market.seller, rival) == [False, True]
    assert (await world.post(f"/demands/{closed}/closing", by=market.buyer))[0] == 200
    world.clock.advance(days=OPEN_FOR.days)
    await world.sweep(expire_due)
    assert await of(world, market.seller, rival) == [True, True]


async def test_a_notice_of_another_demand_stays(market, world):
    demand, other = await market.posted(), await market.posted(title="另一项需求")
    await withdraw(market, demand)
    await world.sweep(open_events)
    found: list[Any] = await world.owner.fetch(
        "SELECT (data->>'subject_id')::bigint AS id, superseded_at IS NULL AS alive FROM notices WHERE kind = 'demand_posted' ORDER BY id")
    assert [tuple(row) for row in found] == [(demand, False), (other, True)]


async def test_what_dingtalk_has_delivered_is_asked_back(market, world, dingtalk: DingTalk):
    await world.owner.execute(
        "UPDATE identities SET platform = 'dingtalk', app_id = 'ding-test' WHERE id = $1", market.seller.identity_id)
    demand = await market.posted(target="open")
    await world.sweep(spread_due)
    await world.sweep(open_events)
    dingtalk.answers = [SendResult(Outcome.ACCEPTED, provider_id="9001")]
    assert await world.sweep(deliver_due) == 1
    await withdraw(market, demand)
    await world.sweep(open_events)
    assert (await world.sweep(recall_due), dingtalk.recalled) == (1, ["9001"])
