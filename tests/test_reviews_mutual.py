"""Where the policy lets both sides review: blind until both are in or the window ends, replies, and nothing of it elsewhere."""

from datetime import timedelta
from typing import Any

import pytest

from handlers import reviews, reviews_mutual
from models.accounts import Role
from models.reviews import Grade
from tests.races import without
from tests.referee import COMMIT, Referee
from tests.shop import Shop, open_shop
from tests.world import Member, World

MINE = {"grade": "bad", "text": "交付拖延两周", "platform_stars": 3, "platform_text": "尚可"}
THEIRS = {"grade": "medium", "text": "资料提供不及时"}
INSTANT = timedelta(microseconds=1)


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world, mutual_review=True)


async def items(shop: Shop, path: str, by: Member | None = None) -> list[Any]:
    status, page = await shop.world.get(path, by=by)
    assert status == 200, page
    return list(page["items"])


async def public(shop: Shop) -> tuple[list[Any], int]:
    """What anybody sees: the reviews of the institution, and how many count."""
    _, score = await shop.world.get(f"/institutions/{shop.seller.organisation_id}/score")
    return await items(shop, f"/institutions/{shop.seller.organisation_id}/reviews"), score["good"] + score["medium"] + score["bad"]


async def counted(shop: Shop) -> int:
    return int(await shop.world.value("SELECT count(*) FROM score_events WHERE kind = 'review_received'"))


async def test_the_institution_finds_what_waits_reviews_it_once_and_keeps_it_in_its_history(shop):
    order_id = await shop.completed()
    [waiting] = await items(shop, "/institution/reviews/waiting", shop.seller)
    assert (waiting["order_id"], waiting["product_name"]) == (order_id, "年度财务审计")
    assert waiting["closes_at"] == shop.world.at(days=14).isoformat()
    _, order = await shop.world.get(f"/orders/{order_id}", by=shop.seller)
    assert order["allowed_actions"] == ["review_enterprise"]
    review = await shop.ok(shop.seller, order_id, "enterprise-review", THEIRS)
    assert (review["grade"], review["text"], review["is_blind"], review["reply"]) == ("medium", THEIRS["text"], True, None)
    assert await items(shop, "/institution/reviews/waiting", shop.seller) == []
    assert await items(shop, "/institution/reviews/given", shop.seller) == [review]
    before = await shop.world.snapshot("enterprise_reviews", "orders", "events")
    status, body = await shop.act(shop.seller, order_id, "enterprise-review", THEIRS)
    assert (status, body["code"], body["data"]["reason"]) == (409, "enterprise_not_reviewable", "reviewed")
    assert await shop.world.snapshot("enterprise_reviews", "orders", "events") == before


@pytest.mark.parametrize("first", ["enterprise", "institution"])
async def test_neither_side_nor_the_public_reads_a_word_before_both_are_in(shop, first):
    order_id = await shop.completed()
    steps = {"enterprise": (shop.buyer, "review", MINE), "institution": (shop.seller, "enterprise-review", THEIRS)}
    second = "institution" if first == "enterprise" else "enterprise"
    await shop.ok(steps[first][0], order_id, *steps[first][1:])
    assert await public(shop) == ([], 0)
    assert await items(shop, "/institution/reviews/received", shop.seller) == []
    assert await items(shop, "/enterprise/reviews/received", shop.buyer) == []
    _, product = await shop.world.get(f"/products/{shop.product_id}")
    assert (product["reviews"], await counted(shop)) == ({"good": 0, "medium": 0, "bad": 0, "system": 0}, 0)
    await shop.ok(steps[second][0], order_id, *steps[second][1:])
    [seen], real = await public(shop)
    assert (seen["text"], seen["platform_text"], seen["is_blind"], real) == (MINE["text"], None, False, 1)
    [received] = await items(shop, "/institution/reviews/received", shop.seller)
    assert (received["review"]["text"], received["product_name"]) == (MINE["text"], "年度财务审计")
    [received] = await items(shop, "/enterprise/reviews/received", shop.buyer)
    assert (received["text"], received["grade"]) == (THEIRS["text"], "medium")
    assert await counted(shop) == 1
    told = await shop.world.owner.fetch("SELECT organisation_id FROM events WHERE kind = 'review_revealed' ORDER BY 1")
    assert [each["organisation_id"] for each in told] == sorted((shop.buyer.organisation_id, shop.seller.organisation_id))


async def test_the_author_sees_the_own_blind_review(shop):
    order_id = await shop.completed()
    written = await shop.ok(shop.buyer, order_id, "review", MINE)
    assert (written["text"], written["is_blind"], written["platform_stars"]) == (MINE["text"], True, 3)
    assert await items(shop, "/enterprise/reviews/given", shop.buyer) == [written]


@pytest.mark.parametrize("side", ["enterprise", "institution"])
async def test_one_review_alone_is_revealed_when_the_window_ends_and_not_a_microsecond_before(shop, side):
    order_id = await shop.completed()
    due = shop.world.at(days=14)
    shop.world.clock.advance(days=2)
    if side == "enterprise":
        await shop.ok(shop.buyer, order_id, "review", MINE)
    else:
        await shop.ok(shop.seller, order_id, "enterprise-review", THEIRS)
    done = []
    for at in (due - INSTANT, due, due, due + INSTANT):
        shop.world.clock.set(at)
        done.append(await shop.world.sweep(reviews_mutual.reveal_due))
    assert done == [0, 1, 0, 0]
    assert (len((await public(shop))[0]), await counted(shop)) == ((1, 1) if side == "enterprise" else (0, 0))
    assert len(await items(shop, "/enterprise/reviews/received", shop.buyer)) == (side == "institution")


async def test_the_systems_review_reveals_nothing_and_counts_nothing(shop):
    order_id = await shop.completed()
    await shop.ok(shop.seller, order_id, "enterprise-review", THEIRS)
    shop.world.clock.advance(days=7)
    assert await shop.world.sweep(reviews.review_due) == 1
    assert await items(shop, "/enterprise/reviews/received", shop.buyer) == []
    [shown], real = await public(shop)
    assert (shown["is_system"], real, await counted(shop)) == (True, 0, 0)
    await shop.ok(shop.buyer, order_id, "review", MINE)  # the person's words replace it while the window is open, and reveal both
    [shown], real = await public(shop)
    assert (shown["is_system"], shown["text"], real, await counted(shop)) == (False, MINE["text"], 1, 1)
    assert len(await items(shop, "/enterprise/reviews/received", shop.buyer)) == 1


@pytest.mark.parametrize("early", [True, False])
async def test_nobody_writes_after_the_window_not_even_over_the_systems_review(shop, early):
    order_id = await shop.completed()
    end = shop.world.at(days=14)
    shop.world.clock.advance(days=7)
    await shop.world.sweep(reviews.review_due)
    shop.world.clock.set(end - INSTANT * early)
    status, body = await shop.act(shop.buyer, order_id, "review", MINE)
    assert status == (201 if early else 409)
    assert early or body["data"]["reason"] == "window_closed"
    status, body = await shop.act(shop.seller, order_id, "enterprise-review", THEIRS)
    assert status == (201 if early else 409)
    assert early or body["data"]["reason"] == "window_closed"


async def test_frozen_days_do_not_count_for_the_window(shop):
    order_id = await shop.completed()
    await shop.ok(shop.seller, order_id, "enterprise-review", THEIRS)
    shop.world.clock.advance(days=10)
    await shop.world.owner.execute("UPDATE orders SET frozen_at = $1", shop.world.clock.now())
    shop.world.clock.advance(days=30)
    assert await shop.world.sweep(reviews_mutual.reveal_due) == 0
    await shop.world.owner.execute("UPDATE orders SET frozen_at = NULL, clock_from = completed_at + interval '30 days'")
    assert await shop.world.sweep(reviews_mutual.reveal_due) == 0
    shop.world.clock.advance(days=4)
    assert await shop.world.sweep(reviews_mutual.reveal_due) == 1


async def test_only_completed_orders_of_a_mutual_policy_and_only_by_the_institution(shop):
    order_id = await shop.delivered()
    status, body = await shop.act(shop.seller, order_id, "enterprise-review", THEIRS)
    assert (status, body["data"]["reason"]) == (409, "not_completed")
    rival = await shop.world.institution()
    status, body = await shop.act(rival, order_id, "enterprise-review", THEIRS)
    assert (status, body["code"]) == (404, "order_not_found")
    status, body = await shop.act(shop.buyer, order_id, "enterprise-review", THEIRS)
    assert (status, body["code"]) == (403, "not_your_role")
    assert await shop.world.value("SELECT count(*) FROM enterprise_reviews") == 0


async def test_without_the_switch_nothing_changes(world):
    shop = await open_shop(world)
    order_id = await shop.completed()
    status, body = await shop.act(shop.seller, order_id, "enterprise-review", THEIRS)
    assert (status, body["data"]["reason"]) == (409, "not_mutual")
    _, order = await world.get(f"/orders/{order_id}", by=shop.seller)
    assert order["allowed_actions"] == []
    assert await items(shop, "/institution/reviews/waiting", shop.seller) == []
    written = await shop.ok(shop.buyer, order_id, "review", MINE)
    [seen], real = await public(shop)
    assert (written["is_blind"], seen["text"], real, await counted(shop)) == (False, MINE["text"], 1, 1)


async def test_lists_page_by_what_was_seen_last(shop):
    for _ in range(3):
        await shop.ok(shop.seller, await shop.completed(), "enterprise-review", THEIRS)
    _, first = await shop.world.get("/institution/reviews/given?limit=2", by=shop.seller)
    _, second = await shop.world.get(f"/institution/reviews/given?limit=2&after={first['next']}", by=shop.seller)
    ids = [each["id"] for each in (*first["items"], *second["items"])]
    assert (ids, len(ids), second["next"]) == (sorted(ids, reverse=True), 3, None)


# --- replies ------------------------------------------------------------------------------------------------------------


async def revealed(shop: Shop) -> tuple[int, int]:
    """(id of the review, id of the enterprise's review) of one order, both revealed."""
    order_id = await shop.completed()
    mine = await shop.ok(shop.buyer, order_id, "review", MINE)
    theirs = await shop.ok(shop.seller, order_id, "enterprise-review", THEIRS)
    return mine["id"], theirs["id"]


async def test_whoever_was_reviewed_replies_once(shop):
    review_id, enterprise_review_id = await revealed(shop)
    status, body = await shop.world.post(f"/reviews/{review_id}/reply", {"text": "已改进"}, by=shop.seller)
    assert (status, body["reply"]["text"], body["platform_text"]) == (201, "已改进", None)
    status, body = await shop.world.post(f"/enterprise-reviews/{enterprise_review_id}/reply", {"text": "下次注意"}, by=shop.buyer)
    assert (status, body["reply"]["text"]) == (201, "下次注意")
    [seen], _ = await public(shop)
    assert seen["reply"]["text"] == "已改进"
    [seen] = await items(shop, "/institution/reviews/given", shop.seller)
    assert seen["reply"]["text"] == "下次注意"
    told = await shop.world.owner.fetch("SELECT organisation_id FROM events WHERE kind = 'review_replied' ORDER BY id")
    assert [each["organisation_id"] for each in told] == [shop.buyer.organisation_id, shop.seller.organisation_id]
    before = await shop.world.snapshot("review_replies")
    for path, by in ((f"/reviews/{review_id}/reply", shop.seller), (f"/enterprise-reviews/{enterprise_review_id}/reply", shop.buyer)):
        status, body = await shop.world.post(path, {"text": "再说一句"}, by=by)
        assert (status, body["code"], body["data"]["reason"]) == (409, "review_not_repliable", "replied")
    assert await shop.world.snapshot("review_replies") == before


@pytest.mark.parametrize("early", [True, False])
async def test_a_reply_comes_within_thirty_days_of_the_reveal(shop, early):
    review_id, _ = await revealed(shop)
    shop.world.clock.advance(days=30, microseconds=-int(early))
    status, body = await shop.world.post(f"/reviews/{review_id}/reply", {"text": "已改进"}, by=shop.seller)
    assert status == (201 if early else 409)
    assert early or body["data"]["reason"] == "too_late"


async def test_what_is_blind_or_somebody_elses_is_not_there_to_be_replied_to(shop):
    order_id = await shop.completed()
    review = await shop.ok(shop.buyer, order_id, "review", MINE)
    rival = await shop.world.institution()
    for by in (shop.seller, rival):
        status, body = await shop.world.post(f"/reviews/{review['id']}/reply", {"text": "已改进"}, by=by)
        assert (status, body["code"]) == (404, "not_found")
    assert await shop.world.value("SELECT count(*) FROM review_replies") == 0


async def test_the_systems_review_says_nothing_that_could_be_replied_to(shop):
    await shop.completed()
    shop.world.clock.advance(days=7)
    await shop.world.sweep(reviews.review_due)
    review_id = await shop.world.value("SELECT id FROM reviews")
    status, body = await shop.world.post(f"/reviews/{review_id}/reply", {"text": "谢谢"}, by=shop.seller)
    assert (status, body["data"]["reason"]) == (409, "system")


@pytest.mark.parametrize("text", ["", "  ", "好" * 501])
async def test_a_reply_has_one_to_five_hundred_characters(shop, text):
    review_id, _ = await revealed(shop)
    status, body = await shop.world.post(f"/reviews/{review_id}/reply", {"text": text}, by=shop.seller)
    assert (status, body["code"]) == (422, "invalid_input")


async def test_a_viewer_of_the_institution_reads_and_does_not_write(shop):
    review_id, _ = await revealed(shop)
    viewer = await shop.world.member(shop.seller.organisation_id, Role.VIEWER)
    assert len(await items(shop, "/institution/reviews/received", viewer)) == 1
    status, body = await shop.world.post(f"/reviews/{review_id}/reply", {"text": "已改进"}, by=viewer)
    assert (status, body["code"]) == (403, "not_your_role")


# --- at the same instant ------------------------------------------------------------------------------------------------


async def both_at_once(shop: Shop, referee: Referee) -> tuple[int, int, int]:
    """Both sides review at the same instant; how many of the two are shown, how much counts, and how many are told."""
    order_id, world = await shop.completed(), shop.world
    await referee.race(
        lambda: reviews.review_order(world.context(shop.buyer), order_id, Grade.BAD, "慢", 0, ""),
        lambda: reviews_mutual.review_enterprise(world.context(shop.seller), order_id, Grade.GOOD, "好"),
        hold=("handlers.reviews.lock_own_order", "handlers.reviews_mutual.lock_own_order", COMMIT),
    )
    found = await world.one(
        "SELECT (SELECT count(*) FROM reviews WHERE order_id = $1 AND NOT is_blind)"
        " + (SELECT count(*) FROM enterprise_reviews WHERE order_id = $1 AND NOT is_blind),"
        " (SELECT count(*) FROM score_events e JOIN reviews r ON e.subject = 'review' AND r.id = e.subject_id WHERE r.order_id = $1),"
        " (SELECT count(*) FROM events WHERE kind = 'review_revealed' AND subject_id = $1)", order_id,
    )
    return found[0], found[1], found[2]


@pytest.fixture
def referee(world: World, monkeypatch: pytest.MonkeyPatch) -> Referee:
    found = Referee(world.owner, monkeypatch)
    for module in ("reviews", "reviews_mutual"):
        found.hold_after(f"handlers.{module}.lock_own_order")
    return found


async def test_two_reviews_at_the_same_instant_reveal_each_other_once(shop, referee):
    for number in range(20):
        assert await both_at_once(shop, referee) == (2, 1, 2), number


async def test_without_the_lock_neither_would_see_the_other(shop, referee, monkeypatch):
    without(monkeypatch, "handlers.orders.views.LOCK_OWN", " FOR UPDATE OF o", "")
    without(monkeypatch, "handlers.reviews_mutual.MARK", "WHERE id = $1", "WHERE id = $1 AND false")
    assert await both_at_once(shop, referee) == (0, 0, 0)
    await shop.world.owner.execute("DELETE FROM enterprise_reviews")


async def test_a_review_that_began_before_the_end_and_came_after_the_reveal_is_too_late(shop):
    order_id = await shop.completed()
    await shop.ok(shop.seller, order_id, "enterprise-review", THEIRS)
    shop.world.clock.advance(days=14)
    assert await shop.world.sweep(reviews_mutual.reveal_due) == 1
    shop.world.clock.advance(microseconds=-1)
    before = await shop.unchanged()
    status, body = await shop.act(shop.buyer, order_id, "review", MINE)
    assert (status, body["data"]["reason"]) == (409, "window_closed")
    assert await shop.unchanged() == before
