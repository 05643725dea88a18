"""Template messages of the Official Account in the notices' chain, their results, and consents that WeChat pushes (traps 20-23, 44)."""

import pytest

from bot.oa_gateway import SAYS
from bot.transport import PlatformError
from handlers.deliveries import deliver_due
from handlers.notices import open_events
from handlers.ports import Outcome
from handlers.transactions import transaction
from tests.chats import Chats, until

SEND = "*/message/template/send"


async def told(chats, member):
    """A notice to the member, whose first channel has no consent: the next one has it."""
    ctx = chats.world.context(member)
    async with transaction(ctx) as tx:
        tx.announce("bot_answer", "binding", 1, person_id=member.person_id, answer="请查看<结果>\n第二行")
    await chats.world.sweep(open_events)
    await chats.world.sweep(deliver_due)
    await chats.world.sweep(deliver_due)


async def chain(chats):
    rows = await chats.world.owner.fetch(
        "SELECT channel, d.state, provider_id IS NOT NULL AS has_id FROM deliveries d JOIN notices n ON n.id = d.notice_id"
        " WHERE n.body LIKE '请查看%' ORDER BY step")
    return [tuple(row) for row in rows]


@pytest.fixture
async def follower(chats: Chats):
    """(member, openid) of somebody with a mini-program and the Official Account."""
    member = await chats.world.enterprise()
    key = await chats.bound(member)
    await chats.world.sweep(open_events)  # of the binding itself
    await chats.world.owner.execute("DELETE FROM deliveries")
    await chats.phone("王小明", "wechat")
    return member, key


async def test_who_has_not_agreed_to_a_subscribe_message_gets_a_template_message_at_once(chats, follower):
    member, key = follower
    await told(chats, member)
    assert await chain(chats) == [("wechat_subscribe", "failed", False), ("wechat_oa_template", "accepted", True)]
    shown = next(each for each in await chats.messages(key) if each["kind"] == "oa_template")
    assert shown["fields"] == [["答复内容", "请查看<结果> 第二行"], ["时间", "2026年3月2日 09:00"], ["温馨提示", "请打开小程序查看"]]
    body = (await chats.calls(SEND))[-1]["body"]
    # The rules of 2023: typed keywords and nothing else.
    assert set(body["data"]) == {"thing1", "time2", "thing3"}
    assert all(set(each) == {"value"} for each in body["data"].values())
    assert body["miniprogram"] == {"appid": chats.settings.wechat_appid, "pagepath": "pages/index/index"}
    notice = await chats.world.value("SELECT id FROM notices WHERE body LIKE '请查看%'")
    assert body["client_msg_id"] == f"N{notice}"


@pytest.mark.parametrize(("status", "state"), [
    ("success", "delivered"), ("failed:user block", "failed"), ("failed: system failed", "failed"), ("failed:system failed", "failed"),
])
async def test_what_became_of_it_is_pushed(chats, follower, status, state):
    member, _ = follower
    await chats.do("pushes", job_status=status)
    await told(chats, member)
    await arrived(chats)
    await chats.work()
    assert (await chain(chats))[-1][1] == state


async def arrived(chats):
    """The platform's result has been pushed, after its answer to our call."""
    await until(lambda: chats.world.value("SELECT count(*) FROM inbound_messages WHERE state = 'received'"))


async def test_a_result_that_is_faster_than_our_own_note_waits_for_it(chats, follower):
    member, key = follower
    await chats.do(f"chat/{key}/event", MsgType="event", Event="TEMPLATESENDJOBFINISH", MsgID=200_000_777, Status="success")
    await chats.work()
    assert (await chats.states())[-1] == "received"
    await chats.befall(SEND, status=200, json={"errcode": 0, "errmsg": "ok", "msgid": 200_000_777})
    await told(chats, member)
    chats.advance(seconds=1)
    await chats.work()
    assert (await chain(chats))[-1][:2] == ("wechat_oa_template", "delivered")


async def test_a_result_of_a_message_that_is_not_ours_is_let_go(chats, follower):
    _, key = follower
    await chats.do(f"chat/{key}/event", MsgType="event", Event="TEMPLATESENDJOBFINISH", MsgID=1, Status="success")
    for _ in range(5):
        await chats.work()
        chats.advance(seconds=64)
    assert (await chats.states())[-1] == "done"


async def test_who_does_not_follow_any_more_has_the_next_channel(chats, follower):
    member, _ = follower
    await chats.befall(SEND, errcode=43004)
    await told(chats, member)
    assert (await chain(chats))[-1] == ("wechat_oa_template", "no_consent", False)


@pytest.mark.parametrize(("code", "outcome"), [
    (43004, Outcome.NO_CONSENT), (43019, Outcome.NO_CONSENT), (43101, Outcome.NO_CONSENT), (43116, Outcome.REFUSED),
    (40003, Outcome.REFUSED), (40037, Outcome.REFUSED), (47003, Outcome.REFUSED), (40241, Outcome.DELIVERED), (43117, Outcome.RETRY),
    (-1, Outcome.RETRY), (45009, Outcome.RETRY), (48001, Outcome.RETRY), ("timeout", Outcome.RETRY),
])
def test_each_answer_of_the_platform_has_its_class(code, outcome):
    assert SAYS.outcome_of(PlatformError(code, "x", retryable=True), "bot_answer").outcome is outcome


async def test_a_message_that_is_sent_again_after_a_lost_answer_arrives_once(chats, follower):
    member, key = follower
    await chats.befall(SEND, drop_answer=True)
    await told(chats, member)
    chats.advance(seconds=10)
    await chats.world.sweep(deliver_due)
    assert [each["kind"] for each in await chats.messages(key)].count("oa_template") == 1
    assert len(await chats.calls(SEND)) == 2
    assert (await chain(chats))[-1][1] == "accepted"


# --- consents -----------------------------------------------------------------------------------------------------------

TEMPLATES = ("tmpl_draw_result", "tmpl_voucher_issued")


async def reader(chats):
    key = await chats.phone("王小明", "wechat")
    code = (await chats.do(f"phones/{key}/login-code"))["code"]
    _, found = await chats.world.post("/sessions", {"platform": "wechat", "code": code})
    return key, {"Authorization": f"Bearer {found['token']}"}


async def popup(chats, key, *answers, event="subscribe_msg_popup_event", scene="0"):
    """As WeChat sends it: `List` is an object for one, an array for several; numbers are strings in JSON."""
    items = [{"TemplateId": template, "SubscribeStatusString": answer, "PopupScene": scene} for template, answer in answers]
    content = {"List": items if len(items) > 1 else items[0]}
    state = await chats.do("pushes")
    wrapper = {"subscribe_msg_popup_event": "SubscribeMsgPopupEvent", "subscribe_msg_change_event": "SubscribeMsgChangeEvent"}[event]
    fields = content if state["json"] else {wrapper: content}
    assert (await chats.do(f"chat/{key}/event", MsgType="event", Event=event, **fields))["body"] == "success"
    await chats.work()


async def remaining(chats):
    return {row["template"]: row["remaining"] for row in await chats.world.owner.fetch("SELECT template, remaining FROM subscriptions")}


async def report(chats, headers, nonce, *answers):
    body = {"nonce": nonce, "answers": [{"template": template, "answer": answer} for template, answer in answers]}
    status, found = await chats.world.call("POST", "/notices/consents", body, headers=headers)
    assert status == 200, found


@pytest.mark.parametrize("as_json", [False, True])
async def test_one_item_and_several_are_both_read(chats, as_json):
    """Trap 21: the two samples of the platform's documentation, and XML with its wrapper."""
    key, _ = await reader(chats)
    await chats.do("pushes", json=as_json)
    await popup(chats, key, (TEMPLATES[0], "accept"))
    chats.advance(seconds=1)
    await popup(chats, key, (TEMPLATES[0], "accept"), (TEMPLATES[1], "reject"))
    assert await remaining(chats) == {"draw_result": 2, "voucher_issued": 0}


async def test_a_popup_that_is_pushed_three_times_and_reported_by_the_phone_counts_once(chats):
    """Trap 20, whichever comes first."""
    key, headers = await reader(chats)
    await report(chats, headers, "popup-0001", (TEMPLATES[0], "accept"))
    for _ in range(3):
        await popup(chats, key, (TEMPLATES[0], "accept"))
    assert await remaining(chats) == {"draw_result": 1}
    chats.advance(minutes=11)
    await popup(chats, key, (TEMPLATES[0], "accept"))
    for _ in range(2):
        await report(chats, headers, "popup-0002", (TEMPLATES[0], "accept"))
    assert await remaining(chats) == {"draw_result": 2}


async def test_two_popups_in_a_row_count_twice_with_both_reports(chats):
    key, headers = await reader(chats)
    await report(chats, headers, "popup-0001", (TEMPLATES[0], "accept"))
    await popup(chats, key, (TEMPLATES[0], "accept"))
    chats.advance(seconds=1)
    await popup(chats, key, (TEMPLATES[0], "accept"))
    await report(chats, headers, "popup-0002", (TEMPLATES[0], "accept"))
    assert await remaining(chats) == {"draw_result": 2}


async def test_two_templates_in_one_second_are_two(chats):
    """Trap 22: two events of the same second, each with a template of its own."""
    key, _ = await reader(chats)
    for template in TEMPLATES:
        await popup(chats, key, (template, "accept"))
    assert await remaining(chats) == {"draw_result": 1, "voucher_issued": 1}


async def test_switching_a_template_off_in_the_settings_leaves_nothing(chats):
    """Trap 23."""
    key, _ = await reader(chats)
    for _ in range(3):
        await popup(chats, key, (TEMPLATES[0], "accept"))
        chats.advance(seconds=1)
    await popup(chats, key, (TEMPLATES[0], "reject"), event="subscribe_msg_change_event")
    assert await remaining(chats) == {"draw_result": 0}


async def test_a_message_that_was_taken_and_then_refused_shows_that_no_consent_is_left(chats):
    key, _ = await reader(chats)
    await popup(chats, key, (TEMPLATES[0], "accept"))
    item = {"TemplateId": TEMPLATES[0], "MsgID": "1", "ErrorCode": "43101", "ErrorStatus": "user refuse to accept the msg"}
    for event in (item | {"MsgID": "2", "ErrorCode": "0", "ErrorStatus": "success"}, item):
        await chats.do(f"chat/{key}/event", MsgType="event", Event="subscribe_msg_sent_event", SubscribeMsgSentEvent={"List": event})
        await chats.work()
        assert await remaining(chats) == {"draw_result": 1 if event["ErrorCode"] == "0" else 0}


async def test_unknown_templates_answers_and_people_count_nothing(chats):
    key, _ = await reader(chats)
    stranger = await chats.phone("陌生人", "wechat")
    await popup(chats, key, ("tmpl_of_somebody_else", "accept"), (TEMPLATES[0], "maybe"))
    await popup(chats, stranger, (TEMPLATES[0], "accept"))
    assert await remaining(chats) == {}
