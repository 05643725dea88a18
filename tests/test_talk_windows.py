"""How many answers a platform takes, counted so that none is tried in vain; what is over goes to the inbox (sections 5.1, 5.7)."""

from datetime import timedelta

import pytest

from bot.talk import Button, Reply
from handlers import talk_windows
from handlers.talk_windows import Opened

CHAT = ("wechat_oa", "oa", "o1")


async def window(chats, opened=Opened.MESSAGE):
    await talk_windows.open_window(chats.world.context(), *CHAT, opened, chats.world.clock.now())


@pytest.mark.parametrize(("opened", "count", "lasts"), [
    (Opened.MESSAGE, 5, timedelta(hours=48)), (Opened.TAP, 3, timedelta(minutes=1)), (Opened.ENTER, 2, timedelta(minutes=1)),
])
async def test_a_window_has_its_number_and_its_end(chats, opened, count, lasts):
    opened_at = chats.world.clock.now()
    await window(chats, opened)
    ctx = chats.world.context()
    assert await talk_windows.left(ctx.at(opened_at + lasts - timedelta(microseconds=1)), *CHAT) == count
    assert await talk_windows.left(ctx.at(opened_at + lasts), *CHAT) == 0
    assert not await talk_windows.spend(ctx.at(opened_at + lasts), *CHAT)
    assert [await talk_windows.spend(ctx, *CHAT) for _ in range(count + 1)] == [True] * count + [False]


async def test_the_short_window_is_used_up_first(chats):
    await window(chats)
    await window(chats, Opened.TAP)
    ctx = chats.world.context()
    for _ in range(4):
        assert await talk_windows.spend(ctx, *CHAT)
    row = await chats.world.one("SELECT message_left, tap_left FROM talk_windows")
    assert tuple(row) == (4, 0)


async def test_a_message_that_arrives_late_does_not_shorten_what_a_later_one_opened(chats):
    now, ctx = chats.world.clock.now(), chats.world.context()
    await talk_windows.open_window(ctx, *CHAT, Opened.MESSAGE, now)
    await talk_windows.spend(ctx, *CHAT)
    await talk_windows.open_window(ctx, *CHAT, Opened.MESSAGE, now - timedelta(hours=1))
    assert await talk_windows.left(ctx, *CHAT) == 4
    assert await talk_windows.left(ctx.at(now + timedelta(hours=47, minutes=59)), *CHAT) == 4


async def test_an_answer_after_the_window_goes_to_the_inbox_without_a_call(chats):
    key = await chats.bound(await chats.world.enterprise())
    await chats.push(key, "余额")
    before = len(await chats.calls("*/message/custom/send"))
    chats.advance(hours=48)
    await chats.work()
    assert len(await chats.calls("*/message/custom/send")) == before
    assert (await chats.open_notices())[-1] == "收到：余额"
    assert (await chats.states())[-1] == "done"


@pytest.mark.parametrize("code", [45015, 45047])
async def test_when_the_platform_counts_otherwise_it_is_right(chats, code):
    key = await chats.bound(await chats.world.enterprise())
    await chats.befall("*/message/custom/send", errcode=code)
    await chats.say(key, "余额")
    assert (await chats.open_notices())[-1] == "收到：余额"
    chat = ("wechat_oa", chats.settings.wechat_oa_appid, key)
    assert await talk_windows.left(chats.world.context(), *chat) == 0
    assert await chats.say(key, "订单") == ["收到：订单"]  # a new message opens a new one


async def test_many_answers_are_bundled_into_one_message(chats):
    key = await chats.bound(await chats.world.enterprise())
    chats.listener.answers = [[Reply(f"第{number}条") for number in range(1, 8)]]
    assert await chats.say(key, "余额") == ["\n\n".join(f"第{number}条" for number in range(1, 8))]
    assert len((await chats.calls("*/message/custom/send"))[-1]["body"]["text"]["content"].encode()) <= 2_048


async def test_what_is_longer_than_the_window_goes_on_in_the_inbox(chats):
    key = await chats.bound(await chats.world.enterprise())
    chats.listener.answers = [[Reply("".join(letter * 682 for letter in "甲乙丙丁戊己"))]]
    chats.advance(minutes=2)  # the follow's minute is over
    assert await chats.say(key, "报表") == [letter * 682 for letter in "甲乙丙丁戊"]
    assert (await chats.open_notices())[-1] == "己" * 480


async def test_a_minute_after_a_tap_three_answers_are_over(chats):
    key = await chats.bound(await chats.world.enterprise())
    chats.advance(hours=48)
    await chats.do(f"chat/{key}/tap-menu", key="wallet")
    await chats.work()
    assert (await chats.received(key))[-1] == "收到：wallet"
    assert (await chats.world.one("SELECT tap_left FROM talk_windows"))["tap_left"] == 2


async def test_an_answer_says_what_to_type_where_there_are_no_buttons_and_leads_to_the_page(chats):
    key = await chats.bound(await chats.world.enterprise())
    page = "pages/orders/show?id=7&tab=2"
    chats.listener.answers = [[Reply("请确认 <b>订单</b>", "确认完成", page, (Button("确认", "a", "确认"),))]]
    answer, = await chats.say(key, "确认完成")
    assert answer.splitlines() == [
        "确认完成", "请确认 ＜b＞订单＜/b＞", "· 回复「确认」：确认",
        f'<a href="https://quan.example.cn/go/{page}" data-miniprogram-appid="{chats.settings.wechat_appid}"'  # noqa: ISC004
        f' data-miniprogram-path="{page}">点击查看</a>',
    ]


async def test_a_refusal_is_told_in_its_own_words(chats):
    from handlers.refusals import NotYourRole

    key = await chats.bound(await chats.world.enterprise())
    chats.listener.answers = [NotYourRole()]
    assert await chats.say(key, "待审") == ["当前身份不能进行此操作。"]
