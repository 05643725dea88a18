"""What is said in each role, written down: docs/conversations is made by these tests (`make conversations`) and is current."""

import os
import re
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta, timezone

import pytest

from handlers.personal import seal
from models.accounts import Role
from settings import ROOT
from tests.applications import applicant, submitted_certification
from tests.lottery import opened
from tests.shop import PASSWORD, open_shop
from tests.talking import Speaker
from tests.test_redemptions import Treasury, treasury  # noqa: F401 - a fixture
from tests.world import Member, World

Line = tuple[str, str, tuple[str, ...]]  # who, text, buttons
FOLDER = ROOT / "docs" / "conversations"
SHANGHAI = timezone(timedelta(hours=8))
# What differs from run to run, as if it did not.
STEADY = (
    (re.compile(r"(/statement-links/|/b/)\S+"), r"\1……"), (re.compile(r"http://[\d.:]+"), "https://qifuquan.example"),
    (re.compile(r"(R\d+-)\d{8}"), r"\g<1>00001234"),
    (re.compile(r"(?<!\d)(DF)?2026\d{18,20}"), r"\g<1>20260302090000……"), (re.compile(r"测试\d+号"), "测试单位"),
)


def written(title: str, intro: str, heard: list[Line]) -> str:
    numbers: dict[str, str] = {}  # one for each case, in the order in which they are spoken of
    lines = [f"# {title}", "", intro, "", "Written by `tests/test_conversations.py`; `make conversations` renews it.", ""]
    for who, text, buttons in heard:
        shown = re.sub(r"#\d+", lambda case: numbers.setdefault(case[0], f"#{1287 + len(numbers)}"), text)
        for pattern, instead in STEADY:
            shown = pattern.sub(instead, shown)
        if who == "me":
            lines += [f"**我**：{shown}", ""]
        else:
            lines += [f"> {line}  " for line in shown.splitlines()]
            lines += [">", "> " + " ".join(f"`{button}`" for button in buttons)] if buttons else []
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


async def named(world: World, member: Member, name: str) -> None:
    await world.owner.execute("UPDATE organisations SET name = $2 WHERE id = $1", member.organisation_id, name)
    await world.owner.execute("UPDATE products SET institution_name = $2 WHERE organisation_id = $1", member.organisation_id, name)


async def numbered(world: World, order_id: int, number: int) -> None:
    await world.owner.execute("UPDATE orders SET number = $2 WHERE id = $1", order_id, f"20260302090000{number:010d}")


async def enterprise(world: World) -> Speaker:
    lottery = await opened(world, cap=2)
    shop = await open_shop(world)
    await named(world, shop.buyer, "济南精工机械有限公司")
    await named(world, shop.seller, "济南正明会计师事务所")
    await world.qualify(shop.buyer, lottery.programme)
    done, coming = await shop.delivered(), await shop.order()
    await numbered(world, done, 8137)
    await numbered(world, coming, 5521)
    await shop.lot(100_000, valid_until=date(2026, 3, 8))
    speaker = Speaker(world, shop.buyer)
    for text in ("我還有多少券", "能不能约审计券", "预约审计券", "确认", "改成 通用券", "好的", "中签了吗", "审计 哪家能用券", "我的订单",
                 "订单 5521 到哪了", PASSWORD, "确认完成 8137", "让我想想", "确认", "好评 很专业", "5星", "余额账单", "账单 2月",
                 "申诉", "有什么待办", "今天天气怎么样", "帮助"):
        await speaker.say(text)
    return speaker


async def institution(world: World) -> Speaker:
    shop = await open_shop(world, claim={"requires": "paid", "ratio": "0.60"})
    await named(world, shop.buyer, "济南精工机械有限公司")
    await named(world, shop.seller, "济南正明会计师事务所")
    first, second = await shop.paid(), await shop.paid()
    await numbered(world, first, 8137)
    await numbered(world, second, 5521)
    speaker = Speaker(world, shop.seller)
    for text in ("有什么待办", "接单", "1", "确认", "拒单 8137 本月排期已满", "取消", "提交完成 5521 审计报告已交付", "确认", "兑付到哪了",
                 "核价 8137 30000元", "邀请顾问 张三 13853112345", "我的评分为什么降了", "余额", "帮助"):
        await speaker.say(text)
    return speaker


async def consultant(world: World) -> Speaker:
    shop = await open_shop(world)
    _, member = await world.consultant(shop.seller)
    speaker = Speaker(world, member)
    for text in ("我的机构", "出示证件", "新需求", "有什么待办", "退出机构", "取消", "帮助"):
        await speaker.say(text)
    return speaker


async def reviewer(world: World) -> Speaker:
    member = await world.official(Role.ADMIN)
    await world.owner.execute("UPDATE persons SET name = $2 WHERE id = $1", member.person_id, seal(world.settings, "李四"))
    cases = []
    for name in ("济南精工机械有限公司", "济南云帆软件有限公司", "济南百草生物有限公司"):
        owner = await applicant(world)
        await named(world, owner, name)
        cases.append(await submitted_certification(world, owner))
    speaker = Speaker(world, member)
    await speaker.say("待审")
    await speaker.tap("通过")
    await speaker.say(f"驳回 #{cases[1]}")
    await speaker.say("营业执照看不清楚")
    await speaker.say(f"通过 #{cases[1]}")
    await speaker.say(f"我要回避 #{cases[2]} 与申请单位有利害关系")
    await speaker.say(f"通过 #{cases[2]}")
    await speaker.say("报表")
    await speaker.say("帮助")
    return speaker


async def finance(treasury: Treasury) -> Speaker:  # noqa: F811
    world = treasury.world
    await treasury.approved()
    await treasury.batch()
    await treasury.approved()
    await world.owner.execute("UPDATE programmes SET name = '2026年中小企业服务券'")
    speaker = Speaker(world, treasury.checker)
    for text in ("有什么待办", "本月兑付", "预算还剩多少", "导出批次", "转人工", "帮助"):
        await speaker.say(text)
    return speaker


ROLES: dict[str, tuple[str, str, Callable[[World], Awaitable[Speaker]]]] = {
    "enterprise": ("企业", "An enterprise asks, reserves, confirms and reviews; a payment password is refused.", enterprise),
    "institution": ("服务机构", "An institution accepts, declines and hands over.", institution),
    "consultant": ("服务顾问", "A consultant is led to the pages.", consultant),
    "reviewer": ("审核员", "A reviewer decides by a tap and by text, and steps aside.", reviewer),
}


def held(name: str, text: str) -> None:
    path = FOLDER / f"{name}.md"
    if os.environ.get("WRITE_CONVERSATIONS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"docs/conversations/{name}.md is not current: make conversations"


@pytest.mark.parametrize("name", ROLES)
async def test_the_conversation_of_a_role_is_as_it_is_written(world: World, name):
    title, intro, talk = ROLES[name]
    speaker = await talk(world)
    text = written(title, intro, speaker.heard)
    assert PASSWORD not in text.replace(f"**我**：{PASSWORD}", "")
    held(name, text.replace(PASSWORD, "（六位支付密码）"))


async def test_what_a_stranger_hears_is_as_it_is_written(chats):
    key = await chats.follower("陌生人")
    heard: list[Line] = []
    for text in ("余额", "你好"):
        heard += [("me", text, ()), *(("bot", answer, ()) for answer in await chats.say(key, text))]
    held("unbound", written("还没有绑定的人", "Whoever is not bound hears how to bind, and nothing else.", heard))


async def test_the_conversation_of_finance_is_as_it_is_written(treasury: Treasury):  # noqa: F811
    treasury.world.clock.set(datetime(2026, 3, 2, 9, 0, tzinfo=SHANGHAI))
    speaker = await finance(treasury)
    held("finance", written("财政", "Finance hears totals; nothing of money is decided in a chat.", speaker.heard))
