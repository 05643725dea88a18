"""The chat window of the simulator, in a real browser: a newcomer binds, asks, taps and reads (after `make run`)."""

import asyncio

import pytest
from aiohttp.test_utils import TestServer

from bot.menus import bring_up_to_date
from bot.talk import Button, Reply
from tests.chats import open_chats


@pytest.fixture
async def window(database, clock, settings, servers, tmp_path, phone):
    """The page, a worker that works by itself, and the simulator's hands."""
    def quick(ours):
        return ours.model_copy(update={"talk_poll_seconds": 0.02})

    async with open_chats(database, clock, settings, servers.redis_url, tmp_path, quick) as chats:
        stop = asyncio.Event()
        working = asyncio.create_task(chats.worker.run(stop))
        await phone.goto(str(chats.simulator.make_url("/chat")))
        chats.page = phone
        yield chats
        await phone.goto("about:blank")  # it would go on asking a server that is not there any more
        stop.set()
        await working


async def enter(chats, name, platform):
    await chats.page.get_by_label("平台").select_option(platform)
    await chats.page.get_by_label("人员").fill(name)
    await chats.page.get_by_role("button", name="进入").click()


async def say(chats, text):
    await chats.page.get_by_label("消息内容").fill(text)
    await chats.page.get_by_role("button", name="发送").click()


async def reads(chats, text):
    await chats.page.get_by_label("消息", exact=True).get_by_text(text).last.wait_for()


async def test_a_newcomer_follows_binds_and_asks(window):
    await bring_up_to_date(window.gateways.oa)
    await window.phone("王小明", "wechat", unionid=None)
    await window.phone("王小明", "wechat_oa", unionid=None)
    await enter(window, "王小明", "wechat_oa")
    await window.page.get_by_role("button", name="关注服务号").click()
    await reads(window, "您还没有绑定账号")
    await window.page.get_by_role("button", name="在小程序中绑定").click()
    await reads(window, "绑定成功")
    await say(window, "我还有多少券 <b>x</b>")
    await reads(window, "收到：我还有多少券 ＜b＞x＜/b＞")
    await window.page.get_by_role("button", name="我的券包").click()
    await reads(window, "收到：wallet")
    window.listener.answers = [[Reply("共 1 个订单", page="pages/orders/show?id=7")]]
    await say(window, "我的订单")
    link = window.page.get_by_role("link", name="点击查看")
    await link.wait_for()
    assert await link.get_attribute("href") == "https://quan.example.cn/go/pages/orders/show?id=7"
    await window.page.get_by_role("button", name="取消关注").click()
    await window.page.get_by_role("button", name="关注服务号").wait_for()


async def test_who_does_not_follow_yet_is_told_to_and_keeps_what_was_typed(window):
    await window.phone("王小明", "wechat_oa", unionid=None)
    await enter(window, "王小明", "wechat_oa")
    await window.page.get_by_text("还没有关注服务号，关注后才能对话：").wait_for()
    await say(window, "我还有多少券")
    await window.page.get_by_role("alert").get_by_text("请先点「关注服务号」，再发送消息").wait_for()
    assert await window.page.get_by_label("消息内容").input_value() == "我还有多少券"
    assert window.listener.heard == []
    await window.page.get_by_role("button", name="关注服务号").click()
    await reads(window, "您还没有绑定账号")
    assert await window.page.get_by_text("关注后才能对话").count() == 0
    await window.page.get_by_role("button", name="发送").click()
    await reads(window, "我还有多少券")


async def test_a_card_of_the_robot_is_tapped(window):
    await enter(window, "审核员 郑晓", "dingtalk")
    await window.page.get_by_role("button", name="在小程序中绑定").click()
    await reads(window, "绑定成功")
    asked = Reply("企业认证", "待审核", buttons=(Button("通过", "a.1"), Button("驳回", "a.2")), card_key="approval.7")
    window.listener.answers = [[asked], [Reply("已由 郑* 驳回", "待审核", card_key="approval.7")]]
    await say(window, "待审")
    window.page.on("dialog", lambda dialog: dialog.accept("缺合同日期"))
    await window.page.get_by_role("button", name="驳回").click()
    await reads(window, "已由 郑* 驳回")
    assert window.listener.heard[-1][1].values == {"reason": "缺合同日期"}
    assert await window.page.get_by_role("button", name="通过").count() == 0


async def test_the_window_fits_a_phone_and_can_be_used_without_a_mouse(window):
    await enter(window, "王小明", "wechat_oa")
    await window.page.get_by_role("button", name="关注服务号").click()
    await reads(window, "您还没有绑定账号")
    assert await window.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await window.page.get_by_label("消息内容").focus()
    await window.page.keyboard.type("AAAAAA")
    await window.page.keyboard.press("Enter")
    await reads(window, "绑定码无效或已过期")
    unnamed = await window.page.evaluate(
        "[...document.querySelectorAll('button,input,select')].filter(each => !(each.textContent || each.ariaLabel)).length"
    )
    assert unnamed == 0


async def test_when_the_project_does_not_answer_the_window_says_so(phone, tmp_path):
    from bot.links import PUBLISHED_PAGES
    from simulator import create_app

    app = create_app(
        clock_file=tmp_path / "clock", wechat_appid="wx", wechat_secret="s", dingtalk_appkey="d", dingtalk_appsecret="s", agent_id=1,
        templates=[], pages=PUBLISHED_PAGES, people=["王小明"],
    )
    async with TestServer(app) as server:
        await phone.goto(str(server.make_url("/chat")))
        await phone.get_by_label("平台").select_option("dingtalk")
        await phone.get_by_label("人员").fill("王小明")
        await phone.get_by_role("button", name="进入").click()
        await phone.get_by_label("消息内容").fill("余额")
        await phone.get_by_role("button", name="发送").click()
        await phone.get_by_role("alert").get_by_text("系统没有接收这条消息").wait_for()
        await phone.goto("about:blank")


async def test_an_account_that_nobody_follows_hears_nothing(chats):
    """As in WeChat, where there is no field to write in: what the project gets in its tests is what it gets on a phone."""
    key = await chats.phone("王小明", "wechat_oa", unionid=None)
    for act, body in (("say", {"text": "余额"}), ("send-file", {"content": "QUJD"}), ("tap-menu", {"key": "wallet"})):
        async with chats.simulator.post(f"/control/chat/{key}/{act}", json=body) as answer:
            assert (answer.status, (await answer.json())["code"]) == (409, "not_following")
    assert await chats.states() == []
    assert await chats.messages(key) == []


async def test_the_page_is_not_an_open_door(chats):
    async with chats.simulator.get("/chat") as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
    # A page of another site can send a form, and not JSON.
    async with chats.simulator.post("/control/phones", data={"name": "x"}) as answer:
        assert answer.status == 415
