"""Files that an institution sends in a chat are results of a service, bound to one order by a dialogue (O8, decision 0212)."""

import base64
import io
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from bot.conversation import converse
from bot.transport import PlatformError, Transport
from handlers.inbound import release_expired
from handlers.refusals import StorageAway
from tests.chats import Chats
from tests.fakes import MemoryStorage
from tests.shop import Shop, open_shop

PLATFORMS = ("wechat_oa", "wechat", "dingtalk")
PDF = b"%PDF-1.7\n" + b"x" * 200
TABLES = ("orders", "handovers", "dialogues", "attachments", "events")


def picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, "PNG")
    return made.getvalue()


async def selling(chats: Chats, platform: str = "dingtalk", orders: int = 1) -> tuple[Shop, list[int], str]:
    """An institution in its chat, with accepted orders."""
    chats.worker._converse = converse
    shop = await open_shop(chats.world)
    found = [await shop.accepted() for _ in range(orders)]
    return shop, found, await chats.bound(shop.seller, platform=platform)


async def send(chats: Chats, key: str, content: bytes, name: str = "") -> list[str]:
    """Send a file, let it be answered, and read everything that came since."""
    before = len(await chats.received(key))
    assert (await chats.do(f"chat/{key}/send-file", content=base64.b64encode(content).decode(), name=name))["status"] == 200
    await chats.work()
    return (await chats.received(key))[before:]


async def handover(chats: Chats, order_id: int) -> Any:
    return await chats.world.one(
        "SELECT h.summary, f.display_name, f.media_type, f.slot, f.size, f.storage_key FROM handovers h"
        " LEFT JOIN attachments f ON f.id = h.attachment_id WHERE h.order_id = $1", order_id,
    )


def stored(chats: Chats) -> dict[str, bytes]:
    assert isinstance(chats.world.ports.storage, MemoryStorage)
    return chats.world.ports.storage.files


async def tail(chats: Chats, order_id: int) -> str:
    return str(await chats.world.value("SELECT right(number, 4) FROM orders WHERE id = $1", order_id))


# --- bound to an order ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_picture_becomes_the_result_of_the_only_order_that_is_being_served(chats: Chats, platform: str):
    shop, (order_id,), key = await selling(chats, platform)
    asked, = await send(chats, key, picture())
    assert "已收到文件「聊天图片0302090000.png」" in asked
    assert await tail(chats, order_id) in asked
    assert "成果文件：聊天图片0302090000.png。" in (await chats.say(key, "审计报告已出具"))[0]
    assert await chats.world.value("SELECT count(*) FROM handovers") == 0  # not before it is confirmed
    assert "附文件「聊天图片0302090000.png」" in (await chats.say(key, "确认"))[0]
    found = await handover(chats, order_id)
    assert tuple(found)[:4] == ("审计报告已出具", "聊天图片0302090000.png", "image/png", "handover")
    status, shown = await chats.world.get(f"/orders/{order_id}/handovers", by=shop.buyer)
    assert (status, len(shown["items"])) == (200, 1)
    attachment = shown["items"][0]["attachment_id"]
    async with chats.world.client.get(
        f"/api/v1/attachments/{attachment}", headers={"Authorization": f"Bearer {shop.buyer.token}"},
    ) as response:
        assert (response.status, await response.read()) == (200, picture())  # the enterprise reads what was sent


async def test_with_several_orders_it_is_asked_which_one(chats: Chats):
    _, orders, key = await selling(chats, orders=2)
    asked, = await send(chats, key, PDF, "审计报告.pdf")
    assert "有多笔订单，请回复序号" in asked
    chosen = 1 if await tail(chats, orders[0]) in asked.split("2. ")[0] else 2
    assert "已收到文件「审计报告.pdf」" in (await chats.say(key, str(chosen)))[0]
    await chats.say(key, "已完成")
    await chats.say(key, "确认")
    assert (await handover(chats, orders[0]))["display_name"] == "审计报告.pdf"
    assert await handover(chats, orders[1]) is None


async def test_a_file_in_the_middle_of_submitting_joins_it_and_another_takes_its_place(chats: Chats):
    _, (order_id,), key = await selling(chats)
    await chats.say(key, f"提交完成 {await tail(chats, order_id)} 报告已出具")
    assert "成果文件：初稿.pdf" in (await send(chats, key, PDF, "初稿.pdf"))[0]
    assert "成果文件：终稿.pdf" in (await send(chats, key, PDF + b"!", "终稿.pdf"))[0]
    assert "附文件「终稿.pdf」" in (await chats.say(key, "确认"))[0]
    found = await handover(chats, order_id)
    assert (found["summary"], found["display_name"], found["size"]) == ("报告已出具", "终稿.pdf", len(PDF) + 1)


async def test_a_file_in_the_middle_of_something_else_gives_that_up_aloud(chats: Chats):
    shop, _, key = await selling(chats)
    declining = await shop.paid()
    await chats.say(key, f"拒单 {await tail(chats, declining)}")
    answers = await send(chats, key, PDF, "报告.pdf")
    assert "已收到文件「报告.pdf」" in answers[0]
    assert answers[-1].startswith("刚才的「不接单」没有办完")
    assert await chats.world.value("SELECT state FROM orders WHERE id = $1", declining) == "paid"


async def test_cancelled_nothing_is_handed_over_and_the_file_stays_unused(chats: Chats):
    _, (order_id,), key = await selling(chats)
    await send(chats, key, PDF, "报告.pdf")
    assert "已取消「提交完成」" in (await chats.say(key, "取消"))[0]
    assert await handover(chats, order_id) is None
    assert await chats.world.value("SELECT state FROM attachments") == "stored"
    assert "没有正在办理" in (await chats.say(key, "取消"))[0]


async def test_the_name_of_a_file_stands_nowhere_in_clear_while_it_is_talked_about(chats: Chats):
    _, _, key = await selling(chats)
    await send(chats, key, PDF, "张三的报告.pdf")
    rows = await chats.world.owner.fetch("SELECT d::text AS row FROM dialogues d UNION ALL SELECT m::text FROM inbound_messages m")
    assert not any("张三" in row["row"] for row in rows)


# --- refused --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("安装.exe", b"MZ" + b"x" * 200, "文件类型不符合要求"),
    ("报告.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 200, "文件类型不符合要求"),
    ("假的.pdf", picture(), "与扩展名不一致"), ("空.pdf", b"", "文件是空的"), ("坏的.png", picture()[:40], "图片已损坏"),
], ids=["exe", "doc", "disguised", "empty", "broken"])
async def test_a_file_of_the_wrong_kind_is_refused_with_the_reason_and_leaves_nothing(chats: Chats, name: str, content: bytes, reason: str):
    _, _, key = await selling(chats)
    before = await chats.world.snapshot("orders", "handovers", "dialogues")
    answer, = await send(chats, key, content, name)
    assert f"文件「{name}」没有收下" in answer
    assert reason in answer
    assert "pdf" in answer and "20 MB" in answer
    assert await chats.world.snapshot("orders", "handovers", "dialogues") == before
    assert await chats.world.value("SELECT count(*) FROM attachments WHERE state = 'stored'") == 0
    assert stored(chats) == {}


async def test_a_file_that_is_too_large_is_refused_before_it_is_all_read(chats: Chats, monkeypatch: pytest.MonkeyPatch):
    from handlers import file_types

    small = file_types.FileSlot("handover", "服务成果", file_types.DOCUMENTS, 100_000)
    monkeypatch.setitem(file_types.SLOTS, "handover", small)
    _, _, key = await selling(chats)
    answer, = await send(chats, key, b"%PDF-" + b"x" * 100_000, "大.pdf")
    assert "没有收下：文件过大" in answer
    assert stored(chats) == {}
    assert "已收到文件" in (await send(chats, key, b"%PDF-" + b"x" * 99_995, "刚好.pdf"))[0]


async def test_without_an_order_to_finish_it_is_said_so(chats: Chats):
    _, _, key = await selling(chats, orders=0)
    assert "当前没有可以「提交完成」的订单。" in (await send(chats, key, PDF, "报告.pdf"))[0]


async def test_nobody_else_hands_anything_in_and_nothing_is_fetched(chats: Chats):
    chats.worker._converse = converse
    shop = await open_shop(chats.world)
    buyer, stranger = await chats.bound(shop.buyer, "甲", "dingtalk"), await chats.phone("乙", "dingtalk")
    before = await chats.world.snapshot(*TABLES)
    assert (await send(chats, buyer, PDF, "报告.pdf"))[0].startswith("暂时只能看懂文字")
    assert (await send(chats, stranger, PDF, "报告.pdf"))[0].startswith("您还没有绑定账号")
    assert await chats.calls("*/messageFiles/download") == []
    assert await chats.world.snapshot(*TABLES) == before


async def test_in_a_group_nothing_is_fetched_and_the_sender_is_told_alone(chats: Chats):
    _, _, key = await selling(chats)
    other = await chats.phone("旁人", "dingtalk")
    before = len(await chats.received(key))
    file = {"msgtype": "picture", "content": {"downloadCode": "x"}}
    await chats.push(key, "［图片］", group=[other], **file)
    await chats.work()
    assert (await chats.received(key))[before:][0].startswith("「提交完成」涉及本单位信息")
    assert await chats.received(other) == []
    assert await chats.calls("*/messageFiles/download") == []


# --- the platforms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_file_that_the_platform_has_forgotten_is_asked_for_again(chats: Chats, platform: str):
    _, _, key = await selling(chats, platform)
    assert (await chats.do(f"chat/{key}/send-file", content=base64.b64encode(picture()).decode()))["status"] == 200
    before = len(await chats.received(key))
    chats.advance(days=3)
    await chats.work()
    told = (await chats.received(key))[before:] or [(await chats.open_notices())[-1]]  # after two days a window is over, of DingTalk none
    assert "已无法从聊天平台取回，请重新发送" in told[0]


@pytest.mark.parametrize(("platform", "path"), [
    ("wechat_oa", "*/media/get"), ("wechat", "*/media/get"), ("dingtalk", "*/messageFiles/download"), ("dingtalk", "*/files/*"),
])
@pytest.mark.parametrize("answer", [{"status": 503, "body": "busy"}, {"html": True}, {"ban": True}])
async def test_a_platform_that_is_away_is_asked_again(chats: Chats, platform: str, path: str, answer: Any):
    _, _, key = await selling(chats, platform)
    await chats.befall(path, **answer)
    assert await send(chats, key, picture()) == []
    chats.advance(seconds=1)
    before = len(await chats.received(key))
    await chats.work()
    assert "已收到文件" in (await chats.received(key))[before]
    assert await chats.world.value("SELECT count(*) FROM attachments WHERE state = 'stored'") == 1


async def test_a_storage_that_is_away_is_waited_for(chats: Chats, monkeypatch: pytest.MonkeyPatch):
    async def away(*_: object) -> None:
        raise StorageAway

    _, _, key = await selling(chats)
    with monkeypatch.context() as broken:
        broken.setattr(MemoryStorage, "put", away)
        assert await send(chats, key, PDF, "报告.pdf") == []
    chats.advance(seconds=1)
    before = len(await chats.received(key))
    await chats.work()
    assert "已收到文件「报告.pdf」" in (await chats.received(key))[before]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_token_that_was_thrown_away_is_fetched_anew(chats: Chats, platform: str):
    _, _, key = await selling(chats, platform)
    await chats.do("expire-tokens")
    assert "已收到文件" in (await send(chats, key, picture()))[0]


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:22/x", "https://evil.cn/x", "https://aliyuncs.com.evil.cn/x", "https://evil.cn/?x=.aliyuncs.com/",
    "https://user@evil.cn#.dingtalk.com/", "file:///etc/passwd", "",
])
async def test_no_address_but_of_dingtalks_storage_is_ever_fetched(chats: Chats, url: str):
    _, _, key = await selling(chats)
    await chats.befall("*/messageFiles/download", status=200, json={"downloadUrl": url})
    assert "已无法从聊天平台取回" in (await send(chats, key, PDF, "报告.pdf"))[0]
    assert await chats.calls("*/files/*") == []


async def test_a_message_that_is_handled_again_keeps_its_one_file(chats: Chats, monkeypatch: pytest.MonkeyPatch):
    """Killed after the file was taken in and before anything was answered."""
    from handlers import inbound

    _, _, key = await selling(chats)
    monkeypatch.setattr(inbound, "answer_once", _killed)
    with pytest.raises(Killed):
        await send(chats, key, PDF, "报告.pdf")
    monkeypatch.undo()
    chats.advance(seconds=60)
    await chats.world.sweep(release_expired)
    before = len(await chats.received(key))
    await chats.work()
    assert "已收到文件「报告.pdf」" in (await chats.received(key))[before]
    assert await chats.world.value("SELECT count(*) FROM attachments") == 1
    assert len(await chats.calls("*/files/*")) == 1


class Killed(BaseException):
    """No `except Exception` sees it, as none sees a kill."""


async def _killed(*_: object) -> None:
    raise Killed


async def test_an_answer_without_end_in_the_place_of_a_file_is_left_off():
    written = 0

    async def babble(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with suppress(ConnectionError):
            for written in range(2_000):  # noqa: B007 - how far it came is asked below
                await response.write(b" " * 65_536)
        return response

    app = web.Application()
    app.router.add_get("/", babble)
    async with TestServer(app) as server, Transport(5) as transport:
        with pytest.raises(PlatformError) as caught:
            async with transport.download(str(server.make_url("/"))) as found:
                await found.refusal()
    assert caught.value.code == "malformed"
    assert written < 1_000  # what the sockets hold besides is the system's
