"""What enterprises and institutions write in demands is read by others when it has passed, and the days count from then (D14-D16)."""

from typing import Any

import pytest

from handlers import content_checks
from handlers.content_checks import check_due
from handlers.demands import expire_due, offer_alternatives, remind_unviewed, spread_due
from handlers.demands.rules import OPEN_FOR, UNCHECKED
from handlers.notices import open_events
from models.accounts import Role
from tests.applications import file
from tests.market import DEMAND, Market, open_market
from tests.test_content_checks import DOUBTFUL, RISKY, judge, world
from tests.test_demand_timers import end_of
from tests.world import World

__all__ = ["judge", "world"]  # fixtures: the checks are on
OTHER = {**DEMAND, "title": "年度与专项审计", "text": "另需专项审计。"}


@pytest.fixture
async def market(world: World) -> Market:
    return await open_market(world)


async def released(market: Market, **changes: Any) -> int:
    demand = await market.posted(**changes)
    assert await market.world.sweep(check_due) == 1
    return demand


async def change(market: Market, demand: int, **changes: Any) -> Any:
    version = (await market.mine(demand))["version"]
    status, body = await market.world.put(f"/demands/{demand}", {**OTHER, **changes, "version": version}, by=market.buyer)
    assert status == 200, body
    return body


async def withdraw(market: Market, demand: int) -> Any:
    status, body = await market.world.post(f"/demands/{demand}/withdrawal", by=market.buyer)
    assert status == 200, body
    return body


async def everything_told(world: World) -> str:
    """All that was told, and all that institutions were given."""
    await world.sweep(open_events)
    return "".join([
        await world.value(f"SELECT coalesce(string_agg(t::text, ''), '') FROM {table} t") for table in ("events", "notices")
    ])


# --- posting ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["institution", "open"])
async def test_a_demand_is_the_enterprises_alone_until_its_words_have_passed(market, world, judge, target):
    demand = await market.posted(target=target, target_id=None if target == "open" else market.seller.organisation_id)
    mine = await market.mine(demand)
    assert (mine["state"], mine["text_state"], mine["title"], mine["text"], mine["told"], mine["allowed_actions"]) == (
        "held", "pending", DEMAND["title"], DEMAND["text"], 0, ["edit", "withdraw"])
    assert (await world.sweep(spread_due), (await world.get("/institution/demands", by=market.seller))[1]["items"]) == (0, [])
    assert (await market.act(market.seller, demand, "taking"))[0] == 404
    assert await market.told("demand_posted") == []
    assert await world.sweep(check_due) == 1
    assert judge.asked == [(market.buyer.open_id, 2, f"{DEMAND['title']}\n{DEMAND['text']}")]
    await world.sweep(spread_due)
    mine = await market.mine(demand)
    assert (mine["state"], mine["text_state"], mine["told"]) == ("open", "passed", 1)
    assert [one for one, _, _ in await market.told("demand_posted")] == [market.seller.organisation_id]


async def test_the_days_count_from_when_it_was_spread(market, world):
    addressed, opened = await market.posted(), await market.posted(target="open")
    world.clock.advance(days=3)  # from Monday to Thursday
    now = world.clock.now()
    assert [await world.sweep(sweep) for sweep in (remind_unviewed, offer_alternatives, spread_due)] == [0, 0, 0]
    await world.sweep(check_due)
    rows = {row["id"]: row for row in await world.owner.fetch(
        "SELECT d.id, d.released_at, d.expires_at, d.spread_at, d.alternatives_at, r.notified_at, r.remind_at"
        " FROM demands d LEFT JOIN demand_responses r ON r.demand_id = d.id")}
    day = now.date()
    reminded, offered = end_of(day.replace(day=day.day + 4)), end_of(day.replace(day=day.day + 6))
    assert tuple(rows[addressed])[1:] == (now, now + OPEN_FOR, None, offered, now, reminded)
    assert tuple(rows[opened])[1:] == (now, now + OPEN_FOR, now, offered, None, None)


async def test_refused_words_are_spread_to_nobody_and_the_enterprise_hears_why(market, world, judge):
    colleague = await world.member(market.buyer.organisation_id, Role.OWNER)
    judge.verdicts.append(RISKY)
    demand = await released(market, text="代开发票，包过审计")
    mine = await market.mine(demand)
    assert (mine["state"], mine["text_state"], mine["text_reason"], mine["allowed_actions"]) == (
        "held", "hidden", "内容安全检测未通过", ["edit", "withdraw"])
    await world.sweep(open_events)
    told = await world.owner.fetch("SELECT person_id, body, page FROM notices ORDER BY person_id")
    assert [tuple(row) for row in told] == [
        (person, "您发表的「服务需求」未通过审核，不会公布，原因：内容安全检测未通过。", f"pages/demands/show?id={demand}")
        for person in sorted((market.buyer.person_id, colleague.person_id))]
    assert (await market.act(market.seller, demand, "view"))[0] == 404
    assert (await withdraw(market, demand))["close_reason"] == "withdrawn"
    assert await world.value("SELECT count(*) FROM demand_responses") == 0


async def test_other_words_after_a_refusal_are_checked_and_spread(market, world, judge):
    judge.verdicts.append(RISKY)
    demand = await released(market)
    assert (await change(market, demand, title=DEMAND["title"], text=DEMAND["text"]))["text_state"] == "hidden"  # the same again
    assert (await world.sweep(check_due), (await market.mine(demand))["state"]) == (0, "held")
    assert (await change(market, demand))["text_state"] == "pending"
    assert await world.sweep(check_due) == 1
    assert [(one, data["title"]) for one, _, data in await market.told("demand_posted")] == [
        (market.seller.organisation_id, OTHER["title"])]


async def test_a_doubtful_demand_is_decided_by_a_human_of_neither_party(market, world, judge):
    judge.verdicts.append(DOUBTFUL)
    demand = await released(market)
    approval = await world.value("SELECT id FROM approvals WHERE state = 'open'")
    admin = await world.official(Role.ADMIN)
    _, case = await world.get(f"/approvals/{approval}", by=admin)
    assert (case["facts"]["subject_title"], case["facts"]["text"]) == ("服务需求", f"{DEMAND['title']}\n{DEMAND['text']}")
    await world.member(market.seller.organisation_id, Role.VIEWER, person=(admin.person_id, admin.identity_id, admin.open_id))
    assert (await world.post(f"/approvals/{approval}/approval", {}, by=admin))[1]["code"] == "own_case"
    assert (await market.mine(demand))["text_state"] == "pending"
    other = await world.official(Role.ADMIN)
    assert (await world.post(f"/approvals/{approval}/approval", {}, by=other))[0] == 200
    assert ((await market.mine(demand))["state"], len(await market.told("demand_posted"))) == ("open", 1)


async def test_withdrawn_while_a_human_judges_it_nobody_has_to_judge_it_any_more(market, world, judge):
    judge.verdicts.append(DOUBTFUL)
    demand = await released(market)
    assert (await withdraw(market, demand))["text_state"] == "withdrawn"
    assert await world.value("SELECT state FROM approvals") == "withdrawn"
    assert await market.told("demand_posted") == []


async def test_withdrawn_before_the_platform_was_asked_it_is_never_asked(market, world, judge):
    await withdraw(market, await market.posted())
    assert (await world.sweep(check_due), judge.asked) == (0, [])


async def test_words_that_nobody_passed_in_thirty_days_are_over(market, world, judge):
    judge.verdicts.append(RISKY)
    demand = await released(market)
    for advance, closed in ((OPEN_FOR.total_seconds() * 1_000_000 - 1, 0), (1, 1)):
        world.clock.advance(microseconds=advance)
        assert await world.sweep(expire_due) == closed
    assert (await market.mine(demand))["close_reason"] == "expired"
    assert [one for one, _, _ in await market.told("demand_closed")] == [market.buyer.organisation_id]


async def suspend(market: Market, at: Any) -> None:
    await market.world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", market.seller.organisation_id, at)


async def test_who_was_suspended_while_it_was_held_does_not_get_it_and_others_are_offered_at_once(market, world):
    rival = await market.rival()
    demand = await market.posted()
    await suspend(market, world.clock.now())
    assert await world.sweep(check_due) == 1
    assert (await market.mine(demand))["told"] == 0
    assert [await market.told(kind) for kind in ("demand_posted", "demand_reminder")] == [[], []]
    assert (await world.get("/institution/demands", by=market.seller))[1]["items"] == []
    assert (await market.act(market.seller, demand, "view"))[0] == 404
    assert await world.sweep(offer_alternatives) == 1
    assert [each["institution_id"] for each in (await market.mine(demand))["alternatives"]] == [rival.organisation_id]
    status, _ = await world.post(f"/demands/{demand}/forwarding", {"institution_ids": [rival.organisation_id]}, by=market.buyer)
    assert status == 200
    await market.ok(rival, demand, "taking")
    await world.sweep(open_events)
    name = await world.value("SELECT name FROM organisations WHERE id = $1", market.seller.organisation_id)
    notice = await world.one("SELECT person_id, title, body FROM notices WHERE kind = 'demand_undelivered'")
    assert tuple(notice) == (market.buyer.person_id, "需求未送达", (
        f"您的需求「{DEMAND['title']}」未送达「{name}」：该机构目前不能接收需求。平台正为您推荐同类机构，也可撤回后另行提交。"))


async def test_back_at_work_it_gets_the_demand_with_the_next_words_that_pass(market, world):
    demand = await market.posted()
    await suspend(market, world.clock.now())
    await world.sweep(check_due)
    await suspend(market, None)
    assert await market.told("demand_posted") == []
    await change(market, demand)
    assert await world.sweep(check_due) == 1
    assert [(one, data.get("reason")) for one, _, data in await market.told("demand_posted")] == [(market.seller.organisation_id, None)]
    await market.ok(market.seller, demand, "taking")


async def test_who_got_it_before_a_suspension_goes_on_with_it_after_a_change_too(market, world):
    demand = await released(market)
    await market.ok(market.seller, demand, "view")
    await change(market, demand)
    await suspend(market, world.clock.now())
    assert await world.sweep(check_due) == 1
    assert [data.get("reason") for _, _, data in await market.told("demand_posted")] == [None, "changed"]
    assert await market.told("demand_undelivered") == []


# --- changes ---------------------------------------------------------------------------------------------------------------------


async def test_changed_words_wait_as_well_and_who_knows_the_demand_sees_none_of_them(market, world, judge):
    sheet = await file(world, market.buyer, "demand")
    demand = await released(market)
    await market.ok(market.seller, demand, "view")
    judge.verdicts.append(RISKY)
    assert (await change(market, demand, attachment_ids=[sheet]))["state"] == "held"
    for _ in range(2):  # while it waits, and after it was refused
        seen = await market.received(demand)
        assert (seen["title"], seen["text"], seen["attachment_ids"], seen["demand_state"]) == (UNCHECKED, None, [], "held")
        async with world.client.get(
            f"/api/v1/attachments/{sheet}", headers={"Authorization": f"Bearer {market.seller.token}"}
        ) as response:
            assert response.status == 404
        for noun in ("taking", "passing"):
            before = await market.unchanged()
            status, body = await market.act(market.seller, demand, noun)
            assert (status, body["code"]) == (409, "demand_held")
            assert await market.unchanged() == before
        await world.sweep(check_due)
    await withdraw(market, demand)
    assert (await market.received(demand))["title"] == UNCHECKED
    assert [data["title"] for _, _, data in await market.told("demand_closed")] == [UNCHECKED]
    assert OTHER["title"] not in await everything_told(world)


async def test_after_a_change_has_passed_the_days_of_answering_begin_anew_and_who_looked_hears_of_it(market, world):
    rival = await market.rival()
    demand = await released(market)
    expires_at = (await market.mine(demand))["expires_at"]
    world.clock.advance(days=1)
    await change(market, demand)
    world.clock.advance(days=8)
    assert [await world.sweep(sweep) for sweep in (remind_unviewed, offer_alternatives)] == [0, 0]
    status, body = await market.act(market.seller, demand, "view")
    assert (status, body["code"]) == (409, "demand_held")
    assert await world.sweep(check_due) == 1
    assert [(one, data.get("reason"), data["title"]) for one, _, data in await market.told("demand_posted")][1:] == [
        (market.seller.organisation_id, "changed", OTHER["title"])]
    assert [await world.sweep(sweep) for sweep in (remind_unviewed, offer_alternatives)] == [0, 0]
    world.clock.advance(days=7)
    assert [await world.sweep(sweep) for sweep in (remind_unviewed, offer_alternatives)] == [1, 1]
    mine = await market.mine(demand)
    assert (mine["expires_at"], [each["institution_id"] for each in mine["alternatives"]]) == (expires_at, [rival.organisation_id])


async def test_nothing_is_forwarded_while_changed_words_wait(market, world):
    rival = await market.rival()
    demand = await released(market)
    world.clock.advance(days=7)
    await world.sweep(offer_alternatives)
    await change(market, demand)
    assert (await market.mine(demand))["allowed_actions"] == ["edit", "withdraw"]
    before = await market.unchanged()
    status, body = await world.post(f"/demands/{demand}/forwarding", {"institution_ids": [rival.organisation_id]}, by=market.buyer)
    assert (status, body["code"]) == (409, "demand_held")
    assert (await world.post(f"/demands/{demand}/closing", {}, by=market.buyer))[1]["code"] == "demand_not_taken"
    assert await market.unchanged() == before


async def test_a_change_of_anything_but_the_words_is_not_checked(market, world, judge):
    demand = await released(market)
    await market.ok(market.seller, demand, "view")
    body = await change(market, demand, title=DEMAND["title"], text=DEMAND["text"], budget_fen=900_000)
    assert (body["state"], await world.sweep(check_due), len(judge.asked)) == ("open", 0, 1)
    assert (await market.received(demand))["budget_fen"] == 900_000


# --- what institutions write -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verdict", "shown"), [(None, ("已签合同，加微信详谈", "passed")), (RISKY, (None, "hidden"))])
async def test_a_remark_reaches_the_enterprise_when_it_has_passed(market, world, judge, verdict, shown):
    demand = await released(market)
    await market.ok(market.seller, demand, "taking")
    done = await market.ok(market.seller, demand, "outcome", {"outcome": "signed", "remark": "已签合同，加微信详谈"})
    assert (done["remark"], done["remark_state"], done["state"]) == ("已签合同，加微信详谈", "pending", "signed")
    answer = (await market.mine(demand))["answers"][0]
    assert (answer["state"], answer["remark"], answer["remark_state"]) == ("signed", None, "pending")
    judge.verdicts += [verdict] if verdict else []
    assert await world.sweep(check_due) == 1
    answer = (await market.mine(demand))["answers"][0]
    assert (answer["remark"], answer["remark_state"]) == shown
    assert (await market.received(demand))["remark"] == "已签合同，加微信详谈"
    told = await market.told("text_hidden")
    assert [(person, data["title"]) for _, person, data in told] == (
        [(market.seller.person_id, "需求答复备注")] if verdict else [])


async def test_who_passes_with_a_remark_has_it_checked_and_without_one_nothing_is(market, world, judge):
    rival = await market.rival()
    demand = await released(market, target="open", target_id=None)
    await world.sweep(spread_due)
    await market.ok(market.seller, demand, "passing", {"remark": "近期人手不足"})
    await market.ok(rival, demand, "passing")
    assert await world.sweep(check_due) == 1
    assert [text for _, _, text in judge.asked[1:]] == ["近期人手不足"]
    assert content_checks.SUBJECTS["demand_response"].title == "需求答复备注"
