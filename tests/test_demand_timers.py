"""When a demand's clocks are due, by the calendar of the State Council, and what each of them does."""

from datetime import UTC, date, datetime, time

import pytest

from handlers.demands import expire_due, forget_contacts, offer_alternatives, remind_unviewed
from handlers.demands.rules import OPEN_FOR
from handlers.notices import open_events
from handlers.working_days import SHANGHAI
from models.personal import kept_for
from settings import ROOT
from tests.market import Market, open_market
from tests.world import World


@pytest.fixture
async def market(world: World) -> Market:
    return await open_market(world)


def end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59, 999_999, SHANGHAI)).astimezone(UTC)


# Posted on, reminded at the end of, alternatives at the end of.
CALENDAR = {
    "in an ordinary week": (date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 6)),
    "over a weekend": (date(2026, 3, 5), date(2026, 3, 9), date(2026, 3, 11)),
    "on a Saturday": (date(2026, 3, 7), date(2026, 3, 10), date(2026, 3, 12)),
    "over the week of National Day": (date(2026, 9, 30), date(2026, 10, 9), date(2026, 10, 12)),  # Saturday 10 October is worked
    "over Labour Day": (date(2026, 4, 30), date(2026, 5, 7), date(2026, 5, 9)),                   # and Saturday 9 May
}


@pytest.mark.parametrize("name", CALENDAR)
async def test_the_days_are_working_days_and_end_with_the_day(world, name):
    posted, reminded, offered = CALENDAR[name]
    world.clock.set(datetime.combine(posted, time(16, 30, tzinfo=SHANGHAI)))
    market = await open_market(world)
    await market.posted()
    row = await world.one("SELECT r.remind_at, d.alternatives_at, d.expires_at - d.posted_at AS open_for"
                          " FROM demands d JOIN demand_responses r ON r.demand_id = d.id")
    assert tuple(row) == (end_of(reminded), end_of(offered), OPEN_FOR)


async def test_who_has_not_looked_is_reminded_once_with_their_consultant(market, world):
    consultant_id, consultant = await world.consultant(market.seller)
    demand = await market.posted(target="consultant", target_id=consultant_id)
    looked = await market.posted()
    await market.ok(market.seller, looked, "view")
    world.clock.advance(days=3)
    assert [await world.sweep(remind_unviewed) for _ in range(2)] == [1, 0]
    assert [(one, person, data["title"], data["category"]) for one, person, data in await market.told("demand_reminder")] == [
        (market.seller.organisation_id, consultant.person_id, "年度财务审计", "审计服务")]
    await world.sweep(open_events)
    pages = await world.owner.fetch("SELECT person_id, page FROM notices WHERE kind = 'demand_reminder'")
    assert {tuple(row) for row in pages} == {
        (person, f"pages/demands/show?id={demand}") for person in (market.seller.person_id, consultant.person_id)}


async def test_nobody_is_reminded_of_an_open_demand_or_of_one_that_is_over(market, world):
    await market.opened()
    over = await market.posted()
    await world.post(f"/demands/{over}/withdrawal", by=market.buyer)
    world.clock.advance(days=9)
    assert await world.sweep(remind_unviewed) == 0


async def test_what_was_looked_at_and_left_lying_is_offered_to_others_too(market, world):
    rival = await market.rival()
    demand = await market.posted()
    await market.ok(market.seller, demand, "view")
    taken = await market.taken()
    world.clock.advance(days=7)
    assert [await world.sweep(offer_alternatives) for _ in range(2)] == [1, 0]
    assert [each["institution_id"] for each in (await market.mine(demand))["alternatives"]] == [rival.organisation_id]
    assert (await market.mine(taken))["alternatives"] == []


async def test_where_there_is_nobody_else_nothing_is_said(market, world):
    await market.posted()
    world.clock.advance(days=7)
    assert await world.sweep(offer_alternatives) == 1
    assert await market.told("demand_alternatives") == []


async def test_after_thirty_days_without_a_taker_a_demand_is_over_and_both_sides_hear_of_it(market, world):
    demand, taken = await market.posted(), await market.taken()
    world.clock.advance(days=30)
    assert [await world.sweep(expire_due) for _ in range(2)] == [1, 0]
    mine = await market.mine(demand)
    assert (mine["state"], mine["close_reason"]) == ("closed", "expired")
    assert (await market.mine(taken))["state"] == "taken"
    assert {(one, data["closing"]) for one, _, data in await market.told("demand_closed")} == {
        (market.seller.organisation_id, "expired"), (market.buyer.organisation_id, "expired")}
    await world.sweep(open_events)
    bodies = await world.owner.fetch("SELECT DISTINCT body FROM notices WHERE kind = 'demand_closed'")
    assert [row["body"] for row in bodies] == ["需求「年度财务审计」已关闭（到期关闭）。"]


async def test_the_places_of_an_open_demand_are_given_away_for_thirty_days_only(market, world):
    rival = await market.rival()
    demand = await market.opened()
    await market.ok(market.seller, demand, "taking")
    world.clock.advance(days=30)
    status, body = await market.act(rival, demand, "taking")
    assert (status, body["code"], body["data"]) == (409, "demand_closed", {"reason": "expired"})
    assert (await market.mine(demand))["state"] == "taken"


async def test_the_contact_is_forgotten_as_long_after_the_closing_as_was_promised(market, world):
    alive, closed = await market.posted(), await market.taken()
    settled = {"institution_id": market.seller.organisation_id}
    assert (await world.post(f"/demands/{closed}/closing", settled, by=market.buyer))[0] == 200
    days = kept_for("demands", "contact_phone")
    assert (days.days, kept_for("demands", "contact_name")) == (180, days)
    assert "自需求关闭之日起保存一百八十天" in (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    forgotten = []
    for advance in (days.total_seconds() * 1_000_000 - 1, 1, 1):
        world.clock.advance(microseconds=advance)
        forgotten.append(await world.sweep(forget_contacts))
        mine = await market.mine(closed)
        assert (mine["contact_name"], mine["contact_phone"]) == ((None, None) if sum(forgotten) else ("李**", "138****2345"))
        status, _ = await world.get(f"/institution/demands/{closed}/contact", by=market.seller)
        assert status == (403 if sum(forgotten) else 200)
    assert forgotten == [0, 1, 0]
    kept = await world.owner.fetch("SELECT id FROM demands WHERE contact_name IS NOT NULL OR contact_phone IS NOT NULL")
    assert [row["id"] for row in kept] == [alive]
    assert await world.value("SELECT subject_id FROM audit_entries WHERE action = 'demand.contact_forgotten'") == closed
