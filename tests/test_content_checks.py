"""Texts for others wait for the platform's check or a human; nobody but their author reads them meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer

from handlers import content_checks
from handlers.content_checks import PER_MINUTE_MAX, check_due
from handlers.ports import NoContentCheck, Suggest, Verdict
from handlers.transactions import transaction
from miniapp_api.apis import APIS
from miniapp_api.application import create_app
from models.accounts import Role
from models.content_checks import CheckState
from settings import Settings
from tests.conftest import UNLIMITED
from tests.fakes import Clock, Judge, ports
from tests.races import PATIENCE_SECONDS, meet_after, without
from tests.shop import Shop, open_shop
from tests.test_reviews_mutual import items
from tests.world import World

REVIEW = {"grade": "good", "text": "专业、及时", "platform_stars": 5, "platform_text": "方便"}
RISKY = Verdict(Suggest.RISKY, 20006, "trace-risky")
DOUBTFUL = Verdict(Suggest.REVIEW, 10001, "trace-review")
AWAY = Verdict(Suggest.UNKNOWN, error="61010 code is expired")
INSTANT = timedelta(microseconds=1)


@pytest.fixture
async def world(database: asyncpg.Connection, clock: Clock, settings: Settings) -> AsyncIterator[World]:
    """As everywhere, and with the checks on."""
    checking, gateways = settings.model_copy(update={"content_check": True}), ports()
    app = create_app(
        settings=checking, clock=clock, ports=gateways, apis=APIS, redis_url=None, strict_refusals=True, policies=UNLIMITED
    )
    async with TestClient(TestServer(app)) as client:
        yield World(client, database, clock, checking, gateways)


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


@pytest.fixture
def judge(world: World) -> Judge:
    assert isinstance(world.ports.content_check, Judge)
    return world.ports.content_check


async def reviewed(shop: Shop, **changes: Any) -> Any:
    return await shop.ok(shop.buyer, await shop.completed(), "review", REVIEW | changes)


async def seen(shop: Shop) -> list[tuple[str, str, str]]:
    """(grade, text, its state) of each review, as anybody sees it."""
    found = await items(shop, f"/institutions/{shop.seller.organisation_id}/reviews")
    return [(each["grade"], each["text"], each["text_state"]) for each in found]


async def own(shop: Shop) -> list[tuple[str, str, str | None]]:
    found = await items(shop, "/enterprise/reviews/given", shop.buyer)
    return [(each["text"], each["text_state"], each["text_reason"]) for each in found]


async def state(shop: Shop) -> str:
    return str(await shop.world.value("SELECT state FROM content_checks"))


async def waiting(shop: Shop) -> list[int]:
    return [each["id"] for each in await shop.world.owner.fetch("SELECT id FROM approvals WHERE state = 'open' AND kind = 'review'")]


# --- verdicts -----------------------------------------------------------------------------------------------------------


async def test_a_text_is_its_authors_alone_until_it_has_passed(shop, judge):
    written = await reviewed(shop)
    assert (written["text"], written["text_state"]) == ("专业、及时", "pending")
    assert (await seen(shop), await own(shop)) == ([("good", "", "pending")], [("专业、及时", "pending", None)])
    assert [await shop.world.sweep(check_due) for _ in range(2)] == [1, 0]
    assert judge.asked == [(shop.buyer.open_id, 2, "专业、及时")]
    assert (await seen(shop), await own(shop)) == ([("good", "专业、及时", "passed")], [("专业、及时", "passed", None)])
    kept = await shop.world.one("SELECT suggest, label, trace_id FROM content_checks")
    assert tuple(kept) == ("pass", 100, "trace-1")


async def test_a_risky_text_stays_hidden_and_its_author_hears_why_while_the_grade_counts(shop, judge):
    judge.verdicts.append(RISKY)
    await reviewed(shop, text="代开发票")
    await shop.world.sweep(check_due)
    assert (await seen(shop), await own(shop)) == ([("good", "", "hidden")], [("代开发票", "hidden", "内容安全检测未通过")])
    told = await shop.world.one("SELECT person_id, data->>'title', data->>'reason' FROM events WHERE kind = 'text_hidden'")
    assert tuple(told) == (shop.buyer.person_id, "对服务机构的评价", "内容安全检测未通过")
    assert (await shop.world.get(f"/institutions/{shop.seller.organisation_id}/score"))[1]["good"] == 1


@pytest.mark.parametrize(("noun", "body", "shown"), [
    ("approval", {}, ("good", "加微信详谈", "passed")), ("rejection", {"reason": "含联系方式"}, ("good", "", "hidden")),
])
async def test_a_doubtful_text_is_decided_by_a_human_who_sees_what_the_platform_said(shop, judge, noun, body, shown):
    judge.verdicts.append(DOUBTFUL)
    await reviewed(shop, text="加微信详谈")
    await shop.world.sweep(check_due)
    assert (await state(shop), await seen(shop)) == ("in_review", [("good", "", "pending")])
    admin = await shop.world.official(Role.ADMIN)
    [approval] = await waiting(shop)
    status, case = await shop.world.get(f"/approvals/{approval}", by=admin)
    assert status == 200
    assert {name: case["facts"][name] for name in ("subject", "text", "suggest", "label", "trace_id")} == {
        "subject": "review", "text": "加微信详谈", "suggest": "review", "label": 10001, "trace_id": "trace-review"}
    status, _ = await shop.world.post(f"/approvals/{approval}/{noun}", body, by=admin)
    assert (status, await seen(shop)) == (200, [shown])
    assert await own(shop) == [("加微信详谈", shown[2], body.get("reason"))]


async def test_a_text_cannot_be_returned_for_correction_nor_decided_by_people_of_either_party(shop, judge):
    judge.verdicts.append(DOUBTFUL)
    await reviewed(shop)
    await shop.world.sweep(check_due)
    [approval] = await waiting(shop)
    admin = await shop.world.official(Role.ADMIN)
    status, body = await shop.world.post(f"/approvals/{approval}/return", {"reason": "请修改"}, by=admin)
    assert (status, body["code"]) == (422, "decision_not_offered")
    both = await shop.world.person()
    await shop.world.member(shop.seller.organisation_id, Role.VIEWER, person=both)
    office = await shop.world.official(Role.ADMIN)
    partial = await shop.world.member(office.organisation_id, Role.ADMIN, person=both, region_code="370100")
    status, body = await shop.world.post(f"/approvals/{approval}/approval", {}, by=partial)
    assert (status, body["code"]) == (403, "own_case")
    assert await state(shop) == "in_review"


async def test_without_a_verdict_it_is_asked_again_and_then_a_human_is(shop, judge):
    judge.verdicts += [AWAY] * 4
    await reviewed(shop)
    done = [await shop.world.sweep(check_due)]
    for wait in content_checks.RETRY_AFTER:
        shop.world.clock.advance(microseconds=wait / INSTANT - 1)
        done.append(await shop.world.sweep(check_due))
        shop.world.clock.advance(microseconds=1)
        done.append(await shop.world.sweep(check_due))
    assert done == [1, 0, 1, 0, 1, 0, 1]
    assert (len(judge.asked), await state(shop), len(await waiting(shop))) == (4, "in_review", 1)
    shop.world.clock.advance(days=1)
    assert await shop.world.sweep(check_due) == 0


async def test_a_verdict_after_an_outage_is_as_good_as_the_first(shop, judge):
    judge.verdicts.append(AWAY)
    await reviewed(shop)
    await shop.world.sweep(check_due)
    assert (await state(shop), await seen(shop)) == ("pending", [("good", "", "pending")])
    shop.world.clock.advance(minutes=1)
    await shop.world.sweep(check_due)
    assert await seen(shop) == [("good", "专业、及时", "passed")]


# --- who and what is not asked about ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " \n "])
async def test_an_empty_text_needs_no_check(shop, judge, text):
    assert (await reviewed(shop, text=text))["text_state"] == "passed"
    assert await shop.world.value("SELECT count(*) FROM content_checks") == 0
    assert (await shop.world.sweep(check_due), judge.asked) == (0, [])


async def test_a_text_from_dingtalk_goes_to_a_human_at_once(world, judge):
    shop = await open_shop(world)
    colleague = await world.member(shop.buyer.organisation_id, Role.HANDLER, platform="dingtalk")
    written = await shop.ok(colleague, await shop.completed(), "review", REVIEW)
    assert (written["text_state"], await state(shop), len(await waiting(shop))) == ("pending", "in_review", 1)
    assert (await world.sweep(check_due), judge.asked) == (0, [])


async def test_where_no_platform_judges_there_is_never_a_pass():
    assert (await NoContentCheck().check("o", 2, "文字")).suggest is Suggest.UNKNOWN


async def test_a_reply_and_the_word_that_there_is_one_wait_as_well(world, judge):
    shop = await open_shop(world, mutual_review=True)
    order_id = await shop.completed()
    review = await shop.ok(shop.buyer, order_id, "review", REVIEW)
    await shop.ok(shop.seller, order_id, "enterprise-review", {"grade": "good"})
    status, body = await world.post(f"/reviews/{review['id']}/reply", {"text": "谢谢"}, by=shop.seller)
    assert (status, body["text"], body["reply"]["text_state"]) == (201, "", "pending")
    [public] = await items(shop, f"/institutions/{shop.seller.organisation_id}/reviews")
    assert public["reply"] is None
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'review_replied'") == 0
    assert await world.sweep(check_due) == 2
    [public] = await items(shop, f"/institutions/{shop.seller.organisation_id}/reviews")
    assert (public["text"], public["reply"]["text"]) == ("专业、及时", "谢谢")
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'review_replied'") == 1
    assert {text for _, _, text in judge.asked} == {"专业、及时", "谢谢"}


# --- workers, changes, quotas -------------------------------------------------------------------------------------------


async def test_a_worker_that_died_while_it_asked_is_followed_by_another_one(shop, judge):
    await reviewed(shop)

    async def dies(*_: object) -> Verdict:
        raise RuntimeError("killed")

    judge.check, asks = dies, judge.check
    with pytest.raises(RuntimeError, match="killed"):
        await shop.world.sweep(check_due)
    judge.check = asks
    shop.world.clock.advance(microseconds=content_checks.LEASE / INSTANT - 1)
    assert await shop.world.sweep(check_due) == 0
    shop.world.clock.advance(microseconds=1)
    assert [await shop.world.sweep(check_due), await state(shop)] == [1, "passed"]


async def test_a_verdict_on_a_text_that_has_changed_meanwhile_is_dropped(shop, judge):
    review = await reviewed(shop)

    async def changed(_open_id: str, _scene: int, text: str) -> Verdict:
        if text == "专业、及时":
            async with transaction(shop.world.context(shop.buyer)) as tx:
                await content_checks.ask(tx, "review", review["id"], "另一段文字")
        return Verdict(Suggest.PASS, 100) if text == "专业、及时" else RISKY

    judge.check = changed
    await shop.world.sweep(check_due)
    assert await state(shop) == "pending"
    await shop.world.sweep(check_due)
    assert tuple(await shop.world.one("SELECT state, text FROM content_checks")) == ("hidden", "另一段文字")


@pytest.mark.parametrize("before", [Suggest.PASS, Suggest.RISKY, Suggest.REVIEW])
async def test_a_newer_text_is_checked_anew_whatever_was_said_of_the_one_before(shop, judge, before):
    judge.verdicts.append(Verdict(before))
    review = await reviewed(shop)
    await shop.world.sweep(check_due)
    async with transaction(shop.world.context(shop.buyer)) as tx:
        assert await content_checks.ask(tx, "review", review["id"], "另一段文字") is CheckState.PENDING
    assert (await waiting(shop), await shop.world.sweep(check_due), await state(shop)) == ([], 1, "passed")
    async with transaction(shop.world.context(shop.buyer)) as tx:
        assert await content_checks.ask(tx, "review", review["id"], "") is CheckState.PASSED


async def test_no_more_is_asked_in_a_minute_than_the_platform_takes(shop, judge, monkeypatch):
    monkeypatch.setattr(content_checks, "PER_MINUTE_MAX", 2)
    for _ in range(3):
        await reviewed(shop)
    assert [await shop.world.sweep(check_due) for _ in range(2)] == [2, 0]
    shop.world.clock.advance(minutes=1)
    assert [await shop.world.sweep(check_due), len(judge.asked)] == [1, 3]
    assert PER_MINUTE_MAX < 4_000


async def two_at_once(shop: Shop, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> int:
    """Two sweeps at the same time over one text; how often the platform was asked."""
    await reviewed(shop)
    meet_after(shop.world.owner, monkeypatch, "handlers.content_checks._claim")
    asks, both = judge.check, asyncio.Event()

    async def slow(*args: Any) -> Verdict:
        """The platform answers when both have asked, or after a moment."""
        verdict = await asks(*args)
        if len(judge.asked) > 1:
            both.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await both.wait()
        return verdict

    monkeypatch.setattr(judge, "check", slow)
    await asyncio.gather(*(shop.world.sweep(check_due) for _ in range(2)))
    return len(judge.asked)


async def test_two_sweeps_at_once_ask_once(shop, judge, monkeypatch):
    assert await two_at_once(shop, judge, monkeypatch) == 1


async def test_without_the_lock_they_would_ask_twice(shop, judge, monkeypatch):
    without(monkeypatch, "handlers.content_checks.CLAIM", " FOR UPDATE SKIP LOCKED", "")
    assert await two_at_once(shop, judge, monkeypatch) == 2


async def test_the_words_of_somebody_who_closed_the_account_are_judged_by_a_human(shop: Shop, judge: Judge) -> None:
    await reviewed(shop)
    status, answer = await shop.world.post("/me/closure", {"confirmation": "注销账号"}, by=shop.buyer)
    assert status == 200, answer
    assert [await shop.world.sweep(check_due) for _ in range(2)] == [1, 0]
    assert (await state(shop), judge.asked) == ("in_review", [])
    assert await shop.world.value("SELECT count(*) FROM approvals WHERE subject = 'content_check' AND state = 'open'") == 1
