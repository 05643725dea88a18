"""The shop front that everybody may read, kept for moments, and the institution's own overview (A05, A06, D22)."""

import asyncio
from typing import Any

import pytest

from handlers import institutions_shop
from handlers.scores import count_events
from tests.market import open_market
from tests.shop import Shop, open_shop
from tests.test_reviews import REVIEW
from tests.world import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


def path(shop: Shop) -> str:
    return f"/institutions/{shop.seller.organisation_id}/shop"


async def front(shop: Shop) -> Any:
    status, body = await shop.world.get(path(shop))
    assert status == 200, body
    return body


async def test_everybody_sees_products_consultants_score_and_reviews_at_once(shop):
    consultant, _ = await shop.world.consultant(shop.seller)
    await shop.world.owner.execute("UPDATE consultants SET title = '高级审计师', specialities = '[\"audit\"]'")
    await shop.ok(shop.buyer, await shop.completed(), "review", REVIEW)
    await shop.world.sweep(count_events)
    page = await front(shop)
    assert page["institution"]["id"] == shop.seller.organisation_id
    assert [(each["id"], each["price_fen"]) for each in page["products"]["items"]] == [(shop.product_id, 400_000)]
    assert page["consultants"] == [{
        "id": consultant, "display_name": "张顾问", "title": "高级审计师", "specialities": [{"code": "audit", "title": "审计服务"}]}]
    assert [(each["text"], each["platform_text"]) for each in page["reviews"]["items"]] == [("专业、及时", None)]
    _, score = await shop.world.get(f"/institutions/{shop.seller.organisation_id}/score")
    assert (page["score"], score["total_hundredths"], score["good"]) == (score, 3_000 + 120, 1)


async def test_everybody_sees_how_an_institution_answers_demands(world: World):
    market = await open_market(world)
    shop = market.shop
    assert (await front(shop))["answers"]["take_minutes"] is None
    demand = await market.posted()
    shop.world.clock.advance(minutes=7)
    await market.ok(shop.seller, demand, "taking")
    answers = (await front(shop))["answers"]
    assert (answers["addressed"], answers["addressed_taken"], answers["taken"], answers["take_minutes"]) == (1, 1, 1, 7)
    assert (await shop.world.get(f"/institutions/{shop.seller.organisation_id}/demand-figures"))[1] == answers


async def test_only_consultants_who_represent_it_now_and_products_that_are_listed_are_shown(shop):
    gone, _ = await shop.world.consultant(shop.seller)
    assert (await shop.world.delete(f"/institution/consultants/{gone}", by=shop.seller))[0] == 200
    await shop.world.owner.execute("UPDATE products SET state = 'approved', listed_at = NULL")
    page = await front(shop)
    assert (page["consultants"], page["products"]["items"]) == ([], [])


async def test_a_change_is_seen_after_two_seconds_and_not_a_microsecond_later(shop):
    before = await front(shop)
    await shop.world.owner.execute("UPDATE institutions SET introduction = '新的简介'")
    shop.world.clock.advance(seconds=2, microseconds=-1)
    assert await front(shop) == before
    shop.world.clock.advance(microseconds=1)
    assert (await front(shop))["institution"]["introduction"] == "新的简介"


async def test_a_suspended_institution_has_no_shop_and_a_clock_that_goes_back_keeps_nothing(shop):
    await front(shop)
    await shop.world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", shop.seller.organisation_id,
                                   shop.world.clock.now())
    shop.world.clock.advance(seconds=-1)
    status, body = await shop.world.get(path(shop))
    assert (status, body["code"]) == (404, "not_found")


async def test_a_page_is_read_once_for_many_readers(shop, monkeypatch):
    read, original = [], institutions_shop._read

    async def counted(*args: Any) -> Any:
        read.append(args[1])
        return await original(*args)

    monkeypatch.setattr(institutions_shop, "_read", counted)
    pages = await asyncio.gather(*(front(shop) for _ in range(10)))
    assert (read, len({str(page) for page in pages})) == ([shop.seller.organisation_id], 1)


async def test_pages_that_are_kept_are_bounded(shop, monkeypatch):
    monkeypatch.setattr(institutions_shop, "KEPT_MAX", 2)
    institutions_shop._kept.clear()
    for _ in range(3):
        other = await shop.world.institution()
        assert (await shop.world.get(f"/institutions/{other.organisation_id}/shop"))[0] == 200
    assert len(institutions_shop._kept) == 2


async def test_who_has_the_same_bytes_already_gets_none(shop):
    url = f"/api/v1{path(shop)}"
    async with shop.world.client.get(url) as first:
        tag, body = first.headers["ETag"], await first.read()
        assert (first.status, first.headers["Cache-Control"]) == (200, "public, max-age=5")
    async with shop.world.client.get(url, headers={"If-None-Match": tag}) as again:
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
    async with shop.world.client.get(url, headers={"If-None-Match": '"another"'}) as other:
        assert (other.status, await other.read()) == (200, body)
    async with shop.world.client.get(f"/api/v1/institutions/{shop.seller.organisation_id}") as plain:
        assert (plain.headers["Cache-Control"], plain.headers.get("ETag")) == ("no-store", None)


async def test_further_products_follow_on_their_own_pages(shop):
    ids = [shop.product_id] + [await shop.world.product(shop.seller, shop.programme, name=f"产品{number}") for number in range(21)]
    first = (await front(shop))["products"]
    assert [each["id"] for each in first["items"]] == ids[:1:-1]
    _, second = await shop.world.get(f"/institutions/{shop.seller.organisation_id}/products?after={first['next']}")
    assert ([each["id"] for each in second["items"]], second["next"]) == ([ids[1], ids[0]], None)


# --- the overview -------------------------------------------------------------------------------------------------------


async def test_an_institution_sees_its_own_figures_as_they_are_now(shop):
    await shop.order()
    await shop.paid()
    await shop.completed()
    await shop.world.consultant(shop.seller)
    status, body = await shop.world.get("/institution/overview", by=shop.seller)
    assert status == 200
    assert {each["state"]: each["orders"] for each in body["orders"] if each["orders"]} == {"unpaid": 1, "paid": 1, "completed": 1}
    assert (body["taken_fen"], body["redeemed_fen"], body["products_listed"], body["consultants"]) == (400_000, 0, 1, 1)
    assert body["score"]["institution_id"] == shop.seller.organisation_id


async def test_what_was_given_back_is_not_taken(shop):
    order_id = await shop.paid()
    await shop.ok(shop.seller, order_id, "refusal", {"reason": "人手不足"})
    _, body = await shop.world.get("/institution/overview", by=shop.seller)
    assert body["taken_fen"] == 0


async def test_the_overview_is_the_institutions_alone(shop):
    status, body = await shop.world.get("/institution/overview", by=shop.buyer)
    assert (status, body["code"]) == (403, "not_your_role")
    rival = await shop.world.institution()
    await shop.paid()
    _, body = await shop.world.get("/institution/overview", by=rival)
    assert (body["taken_fen"], sum(each["orders"] for each in body["orders"])) == (0, 0)
