"""转人工: a place in the queue of the division, with the last lines of the conversation, scrubbed; answered once (decision 0213)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.answering import say
from handlers.help_requests import LINES_MAX, ask_for_help, forget_lines, scrubbed
from handlers.notices import open_events
from models.accounts import Role
from models.categories import CATEGORIES
from tests.races import meet_after, without
from tests.shop import open_shop
from tests.talking import Speaker, everything_said, group
from tests.world import JINAN, Member, World

TABLES = ("help_requests", "talk_lines", "events", "audit_entries")


async def waiting(world: World, by: Member) -> list[dict[str, Any]]:
    status, body = await world.get("/help-requests", by=by)
    assert status == 200, body
    items: list[dict[str, Any]] = body["items"]
    return items


async def inbox(world: World, member: Member) -> list[tuple[str, str]]:
    await world.sweep(open_events)
    _, body = await world.get("/notices", by=member)
    return [(each["title"], each["body"]) for each in body["items"]]


# --- asking ---------------------------------------------------------------------------------------------------------------


async def test_who_asks_for_a_human_waits_in_the_queue_of_the_division_with_what_was_said(world: World):
    shop = await open_shop(world)
    speaker = Speaker(world, shop.buyer)
    await speaker.say("余额")
    await speaker.say("我的电话13853112345，邮箱 zhang@example.com，订单 202107041234567890128137 呢")
    world.clock.set(datetime(2026, 3, 2, 1, 0, tzinfo=UTC))
    answer = await speaker.say("转人工")
    request = await world.value("SELECT id FROM help_requests")
    assert answer == (
        f"已为您转人工（编号 #{request}），工作人员会在 3月3日 23:59 前答复，答复发到您的消息中心。\n"
        "人工服务热线 0531-12345678，工作日 9:00-17:00。"
    )
    admin, elsewhere = await world.official(Role.ADMIN), await world.official(Role.ADMIN, region_code="410100")
    shown, = await waiting(world, admin)
    assert shown["lines"] == ["余额", "我的电话****2345,邮箱 z****@example.com,订单 ****8137 呢", "转人工"]
    assert (shown["id"], shown["is_late"]) == (request, False)
    assert shown["organisation_name"] == await world.value("SELECT name FROM organisations WHERE id = $1", shop.buyer.organisation_id)
    assert await waiting(world, elsewhere) == []
    assert (await world.get("/help-requests", by=await world.official(Role.REVIEWER)))[0] == 403
    assert ("收到新的申请", f"收到「人工咨询 #{request}」，申请方：{shown['organisation_name']}。") in await inbox(world, admin)
    assert await inbox(world, elsewhere) == []


async def test_asked_again_it_is_the_same_request(world: World):
    speaker = Speaker(world, (await open_shop(world)).buyer)
    await speaker.say("转人工")
    told = await world.value("SELECT count(*) FROM events WHERE subject = 'help_request'")
    assert (await speaker.say("找人工")).startswith("您已有等待答复的人工咨询。已为您转人工（编号 #")
    assert await world.value("SELECT count(*) FROM help_requests") == 1
    assert await world.value("SELECT count(*) FROM events WHERE subject = 'help_request'") == told == 1


async def test_a_message_that_is_delivered_again_asks_once_and_is_answered_alike(world: World):
    speaker = Speaker(world, (await open_shop(world)).buyer)
    assert await speaker.say("转人工", message_id="m1") == await speaker.say("转人工", message_id="m1")
    assert await world.value("SELECT count(*) FROM audit_entries WHERE action = 'help_request.asked'") == 1


async def test_only_the_last_lines_of_half_an_hour_go_along(world: World):
    shop = await open_shop(world)
    speaker = Speaker(world, shop.buyer)
    for number in range(LINES_MAX + 2):
        await speaker.say(f"余额 {number}")
    await speaker.say("转人工")
    admin = await world.official(Role.ADMIN)
    assert (await waiting(world, admin))[0]["lines"] == [*(f"余额 {number}" for number in range(3, 7)), "转人工"]
    other = Speaker(world, shop.seller)
    await other.say("我的订单")
    world.clock.advance(minutes=30)
    await other.say("转人工")
    assert (await waiting(world, admin))[1]["lines"] == ["转人工"]


async def test_what_was_said_is_forgotten_after_half_an_hour(world: World):
    await Speaker(world, (await open_shop(world)).buyer).say("余额")
    world.clock.advance(minutes=30, microseconds=-1)
    assert await world.sweep(forget_lines) == 0
    world.clock.advance(microseconds=1)
    assert await world.sweep(forget_lines) == 1


async def test_what_is_secret_or_personal_in_a_dialogue_is_not_among_the_lines(world: World):
    shop = await open_shop(world)
    speaker = Speaker(world, shop.buyer)
    await speaker.say("274906")  # a payment password
    for text in ("发需求", "年度审计", "需要一家审计机构", next(iter(CATEGORIES.values())), "李大明", "13853112345"):
        await speaker.say(text)
    assert speaker.last[0].text.startswith("请确认")  # both were taken
    await speaker.say("取消")
    await speaker.say("转人工")
    lines = (await waiting(world, await world.official(Role.ADMIN)))[0]["lines"]
    assert not any("274906" in line or "李大明" in line or "2345" in line for line in lines)
    assert lines[-1] == "转人工"
    assert "余额" not in await everything_said(world)  # sealed


async def test_outside_of_the_hours_it_is_said_so(world: World):
    speaker = Speaker(world, await world.official(Role.REVIEWER))
    for moment, closed in (
        (datetime(2026, 3, 2, 0, 59, tzinfo=UTC), True), (datetime(2026, 3, 2, 1, 0, tzinfo=UTC), False),
        (datetime(2026, 3, 2, 8, 59, tzinfo=UTC), False), (datetime(2026, 3, 2, 9, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 7, 3, 0, tzinfo=UTC), True),  # a Saturday
    ):
        world.clock.set(moment)
        assert ("现在是非工作时间" in await speaker.say("转人工")) is closed, moment


def test_nothing_is_said_of_a_hotline_where_there_is_none():
    assert say("general.human", hotline="", closed=True, number=7, due="3月3日") == (
        "已为您转人工（编号 #7），工作人员会在 3月3日 前答复，答复发到您的消息中心。\n现在是非工作时间。"
    )


async def test_officials_and_groups_hear_the_hotline_and_nobody_waits(world: World):
    shop = await open_shop(world)
    before = await world.snapshot("help_requests", "events")
    for speaker in (Speaker(world, await world.official(Role.ADMIN)), group(Speaker(world, shop.buyer))):
        answer = await speaker.say("转人工")
        assert "0531-12345678" in answer and "编号" not in answer
    assert await world.snapshot("help_requests", "events") == before


async def test_somebody_without_an_organisation_waits_for_those_of_the_whole_platform(world: World):
    other = await world.enterprise()
    await world.owner.execute("UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1", other.membership_id, world.clock.now())
    await Speaker(world, other).say("转人工")
    everywhere = await world.official(Role.ADMIN, region_code=None)
    assert [each["organisation_name"] for each in await waiting(world, everywhere)] == [None]
    assert await waiting(world, await world.official(Role.ADMIN)) == []


@pytest.mark.parametrize(("said", "kept"), [
    ("１３８５３１１２３４５", "****2345"), ("370102 19900101 1234", "****1234"), ("6222-0200-0000-8888", "****8888"), ("123456", "****"),
    ("12345", "12345"), ("30000元", "30000元"), ("a@b.cn", "****@b.cn"), ("第一行\n第二行", "第一行 第二行"), ("长" * 300, "长" * 200),
])
def test_numbers_and_addresses_are_scrubbed(said: str, kept: str):
    assert scrubbed(said) == kept


# --- answering --------------------------------------------------------------------------------------------------------------


async def one_asked(world: World) -> tuple[Member, Member, int]:
    shop = await open_shop(world)
    await Speaker(world, shop.buyer).say("转人工")
    return shop.buyer, await world.official(Role.ADMIN), await world.value("SELECT id FROM help_requests")


async def test_an_answer_reaches_the_person_and_the_words_are_gone(world: World):
    person, admin, request = await one_asked(world)
    status, body = await world.post(f"/help-requests/{request}/answer", {"answer": " 请携带执照到窗口办理 "}, by=admin)
    assert (status, body["id"], datetime.fromisoformat(body["answered_at"])) == (200, request, world.clock.now())
    assert ("对话答复", "请携带执照到窗口办理") in await inbox(world, person)
    found = await world.one("SELECT answer, answered_by_id, lines FROM help_requests")
    assert tuple(found) == ("请携带执照到窗口办理", admin.person_id, None)
    assert await waiting(world, admin) == []
    await Speaker(world, person).say("转人工")  # a new one, now that the first is over
    assert [each["id"] for each in await waiting(world, admin)] == [await world.value("SELECT max(id) FROM help_requests")]


async def test_who_waits_too_long_is_late_and_in_the_administrators_todo(world: World):
    _, admin, request = await one_asked(world)
    due = await world.value("SELECT due_at FROM help_requests")
    for moment, late in ((due, False), (due + timedelta(microseconds=1), True)):
        world.clock.set(moment)
        assert (await waiting(world, admin))[0]["is_late"] is late
    _, body = await world.get("/todo", by=admin)
    item, = body["items"]
    assert (item["kind"], item["title"], item["count"], item["late"]) == ("to_help", "待答复的人工咨询", 1, 1)
    assert item["items"][0]["title"].endswith(f" #{request}")
    for other in (await world.official(Role.REVIEWER), await world.official(Role.ADMIN, region_code="410100")):
        assert (await world.get("/todo", by=other))[1]["items"] == []


@pytest.mark.parametrize("case", ["elsewhere", "answered", "own"])
async def test_an_answer_is_refused_and_changes_nothing(world: World, case: str):
    person, admin, request = await one_asked(world)
    code = {"elsewhere": (404, "not_found"), "answered": (409, "help_answered"), "own": (403, "own_help_request")}[case]
    if case == "elsewhere":
        admin = await world.official(Role.ADMIN, region_code="410100")
    if case == "answered":
        await world.post(f"/help-requests/{request}/answer", {"answer": "一"}, by=admin)
    if case == "own":
        office = await world.value("SELECT organisation_id FROM memberships WHERE id = $1", admin.membership_id)
        admin = await world.member(office, Role.ADMIN, region_code=JINAN, person=(person.person_id, person.identity_id, person.open_id))
    before = await world.snapshot(*TABLES)
    status, body = await world.post(f"/help-requests/{request}/answer", {"answer": "二"}, by=admin)
    assert (status, body["code"]) == code
    assert await world.snapshot(*TABLES) == before


@pytest.mark.parametrize("protected", [True, False])
async def test_two_answers_at_once_are_one(world: World, monkeypatch: pytest.MonkeyPatch, protected: bool):
    _, first, request = await one_asked(world)
    second = await world.official(Role.ADMIN)
    meet_after(world.owner, monkeypatch, "handlers.help_requests._lock")
    if not protected:  # the control
        without(monkeypatch, "handlers.help_requests.LOCK", " FOR UPDATE", "")
    answers = await asyncio.gather(*(
        world.post(f"/help-requests/{request}/answer", {"answer": text}, by=by) for text, by in (("一", first), ("二", second))
    ))
    assert sorted(status for status, _ in answers) == ([200, 409] if protected else [200, 200])
    told = await world.value("SELECT count(*) FROM events WHERE kind = 'bot_answer' AND subject = 'help_request'")
    assert (told == 1) is protected


@pytest.mark.parametrize("protected", [True, False])
async def test_two_cries_for_help_at_once_are_one_request(world: World, monkeypatch: pytest.MonkeyPatch, protected: bool):
    shop = await open_shop(world)
    meet_after(world.owner, monkeypatch, "handlers.help_requests._lines")
    if not protected:  # the control
        without(monkeypatch, "handlers.help_requests.ASK", "ON CONFLICT (person_id) WHERE answered_at IS NULL DO NOTHING", "")
    ctx = world.context(shop.buyer)
    answers = await asyncio.gather(*(ask_for_help(ctx) for _ in range(2)), return_exceptions=True)
    assert await world.value("SELECT count(*) FROM help_requests") == 1
    asked = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert (len(asked) == 2) is protected
    if protected:
        assert sorted(answer["is_new"] for answer in asked) == [False, True]
        assert len({answer["id"] for answer in asked}) == 1
