"""Reviews: a person's, or the system's after seven days, which never counts (E34-E36, F18)."""

import json
from datetime import datetime, timedelta

import pytest

from handlers import reviews
from handlers.notices import open_events
from handlers.working_days import SHANGHAI
from models.accounts import Role
from tests.shop import Shop, open_shop
from tests.world import World

REVIEW = {"grade": "good", "text": "专业、及时", "platform_stars": 5, "platform_text": "方便"}


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def test_a_completed_order_is_reviewed_once(shop):
    order_id = await shop.completed()
    review = await shop.ok(shop.buyer, order_id, "review", REVIEW)
    assert (review["grade"], review["is_system"], review["platform_stars"]) == ("good", False, 5)
    _, order = await shop.world.get(f"/orders/{order_id}", by=shop.buyer)
    assert (order["label"], order["allowed_actions"]) == ("已评价", [])
    before = await shop.unchanged()
    status, body = await shop.act(shop.buyer, order_id, "review", REVIEW)
    assert (status, body["code"], body["data"]["reason"]) == (409, "order_not_reviewable", "reviewed")
    assert await shop.unchanged() == before


async def test_an_order_that_is_not_completed_cannot_be_reviewed(shop):
    order_id = await shop.delivered()
    status, body = await shop.act(shop.buyer, order_id, "review", REVIEW)
    assert (status, body["code"], body["data"]["reason"]) == (409, "order_not_reviewable", "not_completed")


@pytest.mark.parametrize("bad", [
    {**REVIEW, "grade": "great"}, {**REVIEW, "platform_stars": 6}, {**REVIEW, "platform_stars": -1}, {**REVIEW, "text": "好" * 501},
    {key: value for key, value in REVIEW.items() if key != "platform_stars"},
])
async def test_a_review_outside_the_form_is_refused(shop, bad):
    order_id = await shop.completed()
    status, body = await shop.act(shop.buyer, order_id, "review", bad)
    assert (status, body["code"]) == (422, "invalid_input")
    assert await shop.world.value("SELECT count(*) FROM reviews") == 0


async def test_five_hundred_characters_are_allowed(shop):
    order_id = await shop.completed()
    await shop.ok(shop.buyer, order_id, "review", {**REVIEW, "text": "好" * 500})


async def test_the_system_reviews_exactly_seven_days_after_completion(shop):
    order_id = await shop.completed()
    due = shop.world.at(days=7)
    shop.world.clock.set(due - timedelta(microseconds=1))
    assert await shop.world.sweep(reviews.review_due) == 0
    shop.world.clock.set(due)
    assert await shop.world.sweep(reviews.review_due) == 1
    assert await shop.world.sweep(reviews.review_due) == 0
    review = await shop.world.one("SELECT is_system, grade, text, platform_stars FROM reviews WHERE order_id = $1", order_id)
    assert tuple(review) == (True, "good", "系统默认评价", None)
    assert await shop.world.value("SELECT count(*) FROM events WHERE kind = 'system_review_made'") == 1


async def test_the_systems_review_never_counts(shop):
    for review in ({**REVIEW, "grade": "bad"}, None, None):
        order_id = await shop.completed()
        if review:
            await shop.ok(shop.buyer, order_id, "review", review)
    before = (await shop.world.get(f"/institutions/{shop.seller.organisation_id}/score"))[1]
    shop.world.clock.advance(days=7)
    assert await shop.world.sweep(reviews.review_due) == 2
    after = (await shop.world.get(f"/institutions/{shop.seller.organisation_id}/score"))[1]
    assert (before["good"], before["bad"], before["system"]) == (0, 1, 0)
    assert after == {**before, "system": 2}


async def test_the_systems_review_may_be_replaced_for_thirty_days(shop):
    order_id = await shop.completed()
    shop.world.clock.advance(days=7)
    await shop.world.sweep(reviews.review_due)
    shop.world.clock.advance(days=30, microseconds=-1)
    review = await shop.ok(shop.buyer, order_id, "review", {**REVIEW, "grade": "medium"})
    assert (review["is_system"], review["grade"]) == (False, "medium")
    assert await shop.world.value("SELECT count(*) FROM reviews") == 1


async def test_after_thirty_days_the_systems_review_stays(shop):
    order_id = await shop.completed()
    shop.world.clock.advance(days=7)
    await shop.world.sweep(reviews.review_due)
    shop.world.clock.advance(days=30)
    status, body = await shop.act(shop.buyer, order_id, "review", REVIEW)
    assert (status, body["data"]["reason"]) == (409, "reviewed")


async def test_the_reminder_comes_a_day_before_the_system_does_it(shop):
    await shop.completed()
    shop.world.clock.advance(days=6, microseconds=-1)
    assert await shop.world.sweep(reviews.remind_unreviewed) == 0
    shop.world.clock.advance(microseconds=1)
    assert [await shop.world.sweep(reviews.remind_unreviewed) for _ in range(2)] == [1, 0]


async def reminders_of(shop: Shop) -> list[tuple[str, datetime]]:
    """What each 请评价 says in the inbox, and its 系统评价时间 on WeChat."""
    while await shop.world.sweep(open_events):
        pass
    found = await shop.world.owner.fetch("SELECT body, data::text AS data FROM notices WHERE kind = 'review_reminder' ORDER BY id")
    return [(notice["body"], datetime.fromisoformat(json.loads(notice["data"])["fields"]["time"])) for notice in found]


async def test_both_reminders_say_when_the_system_reviews(shop):
    await shop.completed()  # 2 March, 9:00
    due = shop.world.at(days=7)
    shop.world.clock.advance(days=6)
    assert await shop.world.sweep(reviews.remind_unreviewed) == 1
    said = await reminders_of(shop)
    assert [at for _, at in said] == [due, due]
    assert all("3月9日 09:00 前未评价的，由系统自动评价" in body for body, _ in said)


async def test_the_days_that_an_order_was_frozen_are_left_out_of_the_reminder(shop):
    await shop.completed()
    thawed = shop.world.at(days=3)
    await shop.world.owner.execute("UPDATE orders SET clock_from = $1", thawed)
    shop.world.clock.set(thawed + timedelta(days=6))
    assert await shop.world.sweep(reviews.remind_unreviewed) == 1
    assert (await reminders_of(shop))[-1][1] == thawed + timedelta(days=7)


async def test_where_no_system_reviews_nothing_is_said_of_it(world):
    shop = await open_shop(world, auto_review_after_days=None)
    await shop.completed()
    assert await reminders_of(shop) == []


async def test_who_has_reviewed_is_not_asked_to_in_the_morning(shop):
    order_id = await shop.delivered()
    await shop.world.member(shop.buyer.organisation_id, Role.HANDLER)
    shop.world.clock.set(datetime(2026, 3, 2, 22, tzinfo=SHANGHAI))  # in the quiet hours of the colleague
    await shop.ok(shop.buyer, order_id, "completion")
    await reminders_of(shop)
    states = "SELECT d.state FROM deliveries d JOIN notices n ON n.id = d.notice_id WHERE n.kind = 'review_reminder' ORDER BY d.state"
    assert [row["state"] for row in await shop.world.owner.fetch(states)] == ["held", "planned"]
    await shop.ok(shop.buyer, order_id, "review", REVIEW)
    await reminders_of(shop)
    assert [row["state"] for row in await shop.world.owner.fetch(states)] == ["superseded", "superseded"]
    assert await shop.world.value("SELECT count(*) FROM notices WHERE kind = 'order_reviewed'") == 0


async def test_three_days_of_downtime_are_caught_up_once(shop):
    for _ in range(3):
        await shop.completed()
    shop.world.clock.advance(days=10)
    assert [await shop.world.sweep(reviews.review_due) for _ in range(2)] == [3, 0]


async def test_public_reviews_do_not_show_what_was_said_to_the_platform(shop):
    order_id = await shop.completed()
    await shop.ok(shop.buyer, order_id, "review", REVIEW)
    _, page = await shop.world.get(f"/institutions/{shop.seller.organisation_id}/reviews")
    assert [(review["text"], review["platform_stars"], review["platform_text"]) for review in page["items"]] == [("专业、及时", None, None)]


async def test_nobody_else_reviews_an_order(shop):
    order_id = await shop.completed()
    stranger = await shop.world.enterprise()
    status, body = await shop.act(stranger, order_id, "review", REVIEW)
    assert (status, body["code"]) == (404, "order_not_found")
    status, body = await shop.act(shop.seller, order_id, "review", REVIEW)
    assert (status, body["code"]) == (403, "not_your_role")
