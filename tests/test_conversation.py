"""What an enterprise hears when it asks the bot; that strangers hear nothing; that a payment password leaves no trace."""

import logging
import re
from datetime import date

import pytest

from bot.binding_talk import HOW_TO
from bot.talk import Said
from models.accounts import MEMBER_ROLES, Role
from tests.lottery import announced
from tests.shop import PASSWORD, open_shop
from tests.talking import Speaker, everything_said
from tests.world import Member, World

TABLES = ("orders", "reservations", "lots", "ledger_entries", "reviews", "events", "audit_entries", "dialogues", "idempotency_keys",
          "statement_links", "approvals")


# --- who is spoken to -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["余额", "订单 8137 到哪了", "待审", "通过 1287", "帮助", "你好"])
async def test_who_is_not_bound_hears_how_to_bind_and_nothing_else(world: World, text):
    shop = await open_shop(world)
    await shop.lot(200_000)
    stranger = Speaker(world, None)
    before = await world.snapshot(*TABLES)
    answer = await stranger.say(text)
    assert "2,000" not in answer and "审计" not in answer
    assert stranger.last == [HOW_TO]
    assert await world.snapshot(*TABLES) == before


async def test_who_has_left_the_organisation_is_nobody_for_it(world: World):
    shop = await open_shop(world)
    await shop.lot(200_000)
    speaker = Speaker(world, shop.buyer)
    assert "2,000" in await speaker.say("余额")
    await world.owner.execute(
        "UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1", shop.buyer.membership_id, world.clock.now()
    )
    assert "没有听懂" in await speaker.say("余额")
    assert "不能办理「我的券包」" in await speaker.menu("wallet")


async def test_a_menu_entry_of_another_role_is_refused_without_a_word_of_data(world: World):
    shop = await open_shop(world)
    speaker = Speaker(world, shop.buyer)
    for key in ("todo", "help", "announcements", "human", "switch_identity"):
        assert "不能办理" not in await speaker.menu(key)
    for key in ("price", "claim", "consultants", "approve", "reject", "payouts", "budget", "spot_check", "badge", "no-such-key"):
        answer = await speaker.menu(key)
        assert "不能办理" in answer or "没有听懂" in answer
    viewer = Speaker(world, await world.member(shop.buyer.organisation_id, Role.VIEWER))
    assert "不能办理「预约服务券」" in await viewer.say("预约审计券")
    assert "券包里没有可以使用的服务券" in await viewer.say("余额")


async def test_in_a_group_nothing_of_an_organisation_is_said(world: World):
    shop = await open_shop(world)
    await shop.lot(200_000)
    speaker = Speaker(world, shop.buyer, in_group=True)
    for text in ("余额", "我的订单", "预约审计券", "账单6月"):
        answer = await speaker.say(text)
        assert "单独聊天" in answer
        assert all(reply.private for reply in speaker.last)
        assert "2,000" not in answer
    assert await world.value("SELECT count(*) FROM dialogues") == 0


# --- the payment password ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [PASSWORD, f"支付密码 {PASSWORD}", f"我的密码是{PASSWORD}，帮我支付", "２７４９０６", "2 7 4 9 0 6"])
async def test_a_payment_password_is_refused_not_echoed_and_nowhere_afterwards(world: World, caplog, capfd, text):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("未完成")  # a dialogue that takes any words
    before = await world.snapshot(*TABLES)
    with caplog.at_level(logging.DEBUG):
        answer = await speaker.say(text)
    assert "不要在聊天中发送支付密码" in answer
    assert await world.snapshot(*TABLES) == before
    assert await shop.state(order_id) == "delivered"
    said, printed = await everything_said(world), capfd.readouterr()
    for form in (PASSWORD, text, "２７４９０６", "2 7 4 9 0 6"):
        assert form not in answer
        assert form not in said
        assert form not in caplog.text
        assert form not in printed.out + printed.err


async def test_a_password_typed_beside_a_button_is_refused_too(world: World):
    shop = await open_shop(world)
    await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    before = await world.snapshot(*TABLES)
    assert "不要在聊天中发送支付密码" in await speaker.tap("确认", reason=PASSWORD)
    assert await world.snapshot(*TABLES) == before


async def test_paying_leads_to_the_mini_program(world: World):
    shop = await open_shop(world)
    await shop.lot(200_000)
    order_id = await shop.order()
    speaker = Speaker(world, shop.buyer)
    assert "支付请在小程序的订单页面完成" in await speaker.say("我的订单") + await speaker.say(f"订单 {await tail(world, order_id)}")
    assert speaker.last[0].page == f"pages/orders/show?id={order_id}"
    assert await shop.state(order_id) == "unpaid"


async def tail(world: World, order_id: int) -> str:
    return str(await world.value("SELECT right(number, 4) FROM orders WHERE id = $1", order_id))


# --- what an enterprise asks --------------------------------------------------------------------------------------------------------


async def test_the_wallet_says_what_there_is_and_what_ends_soon(world: World):
    shop = await open_shop(world)
    speaker = Speaker(world, shop.buyer)
    assert await speaker.say("余额") == "券包里没有可以使用的服务券。"
    await shop.lot(100_000, valid_until=date(2026, 3, 9))
    await shop.lot(150_050, voucher_type_id=shop.programme.general, valid_until=date(2026, 3, 31))
    assert await speaker.say("我還有多少券") == (
        "可用服务券共 2,500.50 元，其中 7 天内到期 1,000 元，请尽快使用：\n"
        "· 审计服务专用券 1,000 元，最早 2026年3月9日（含当日）到期\n· 服务通用券 1,500.50 元，最早 2026年3月31日（含当日）到期"
    )
    assert speaker.last[0].page == "pages/wallet/index"


async def test_nobody_hears_of_another_enterprise(world: World):
    shop, other = await open_shop(world), await open_shop(world)
    order_id = await shop.delivered()
    stranger = Speaker(world, other.buyer)
    number = await tail(world, order_id)
    before = await world.snapshot(*TABLES)
    assert await stranger.say("余额") == "券包里没有可以使用的服务券。"
    assert await stranger.say(f"订单 {number} 到哪了") == f"没有找到尾号 {number} 的订单。"
    assert "没有找到" in await stranger.say(f"确认完成 {number}")
    assert await stranger.say("预约记录") == "还没有预约记录。"
    assert await world.snapshot(*TABLES) == before


async def test_an_order_is_found_by_its_last_four_digits_or_whole(world: World):
    shop = await open_shop(world)
    order_id = await shop.accepted()
    number = await world.value("SELECT number FROM orders WHERE id = $1", order_id)
    speaker = Speaker(world, shop.buyer)
    expected = f"订单 {number[:4]}…{number[-4:]}「年度财务审计」：服务中"
    for text in (f"订单 {number[-4:]} 到哪了", f"订单{number}", number, number[-4:], f"定单 {number[-4:]}"):
        assert (await speaker.say(text)).startswith(expected), text
    assert "金额 4,000 元，用券 2,000 元" in await speaker.say(number)


async def test_two_orders_with_the_same_last_digits_are_asked_apart(world: World):
    shop = await open_shop(world)
    first, second = await shop.delivered(), await shop.delivered()
    for place, order_id in enumerate((first, second), start=1):
        await world.owner.execute("UPDATE orders SET number = $2 WHERE id = $1", order_id, f"2026030209000000000{place}8137")
    speaker = Speaker(world, shop.buyer)
    answer = await speaker.say("确认完成 8137")
    assert "有多笔订单，请回复序号" in answer
    assert answer.count("2026…8137") == 2
    assert "机构提交的成果" in await speaker.say("2")  # newest first: the second in the list is the older one
    assert "已确认完成" in await speaker.say("确认")
    assert (await shop.state(first), await shop.state(second)) == ("completed", "delivered")


async def test_services_are_found_by_word_and_district(world: World):
    from handlers.regions import load_regions

    await load_regions()
    shop = await open_shop(world)
    await shop.completed()
    speaker = Speaker(world, shop.buyer)
    name = await world.value("SELECT name FROM organisations WHERE id = $1", shop.seller.organisation_id)
    line = f"1. 年度财务审计（{name}）：价格 4,000 元，券抵 2,000 元，另付 2,000 元；多在 1 天内完成"
    assert await speaker.say("审计 哪家能用券") == f"能用券的服务共 1 项：\n{line}"
    assert await speaker.say("市中区 审计") == f"市中区能用券的服务共 1 项：\n{line}"
    assert "没有找到能用券的「潜水」服务" in await speaker.say("找潜水")
    assert await speaker.say("历下区审计") == "历下区没有找到能用券的「审计」服务。您可以发布需求，让机构来联系您。"


async def test_nothing_asked_makes_a_dialogue_or_an_audit_row(world: World):
    shop = await open_shop(world)
    await shop.delivered()
    await announced(world)
    speaker = Speaker(world, shop.buyer)
    before = await world.snapshot(*TABLES)
    for text in ("余额", "我的订单", "预约记录", "中签了吗", "为什么不能约", "资格申请", "进度查询", "申诉", "待办", "公告", "帮助",
                 "找审计", "今天天气怎么样", "余额账单"):
        assert await speaker.say(text)
    assert await world.snapshot(*TABLES) == before


async def test_what_is_not_understood_is_answered_with_what_can_be_said(world: World):
    shop = await open_shop(world)
    answer = await Speaker(world, shop.buyer).say("今天天气怎么样")
    assert "「我的券包」" in answer and "「预约服务券」" in answer and "发送「帮助」查看全部" in answer
    assert "「核价」" not in answer and "「通过」" not in answer
    seller = Speaker(world, shop.seller)
    assert "「接需求」" in await seller.say("今天天气怎么样")
    assert "「核价」" in await seller.say("帮助")


EXAMPLE = re.compile("「([^」]+)」")


async def everybody_with_a_role(world: World) -> list[Member]:
    shop = await open_shop(world)
    firms = [shop.buyer, shop.seller]
    helpers = [await world.member(firm.organisation_id, role) for firm in firms for role in MEMBER_ROLES - {Role.OWNER}]
    officials = [await world.official(role) for role in Role if role not in MEMBER_ROLES | {Role.CONSULTANT, Role.SYSTEM}]
    return [*firms, *helpers, (await world.consultant(shop.seller))[1], *officials]


async def test_each_example_of_the_help_is_understood_in_the_role_that_it_is_shown_to(world: World):
    for member in await everybody_with_a_role(world):
        speaker = Speaker(world, member)
        answer = await speaker.say("帮助")
        shown = EXAMPLE.findall(answer.partition("例如")[2].partition("办理到一半")[0])
        assert shown, (member.role, answer)
        for example in shown:
            said = await speaker.say(example)
            assert "没有听懂" not in said and "不能办理" not in said and "您是想办理" not in said, (member.role, example, said)
            await speaker.say("取消")


async def test_only_who_pays_is_warned_of_the_payment_password(world: World):
    shop = await open_shop(world)
    assert "支付只在小程序中进行" in await Speaker(world, shop.buyer).say("帮助")
    assert "支付" not in await Speaker(world, await world.official(Role.REVIEWER)).say("帮助")


async def test_between_two_intents_it_is_asked_and_a_button_answers(world: World):
    shop = await open_shop(world)
    await shop.lot(100_000)
    speaker = Speaker(world, shop.buyer)
    assert await speaker.say("余额账单") == "您是想办理 「我的券包」、「账单」 中的哪一项？"
    assert "可用服务券共 1,000 元" in await speaker.tap("我的券包")


async def test_a_button_shown_to_another_membership_is_stale(world: World):
    shop = await open_shop(world)
    await shop.lot(100_000)
    speaker = Speaker(world, shop.buyer)
    await speaker.say("余额账单")
    button = speaker.button("我的券包")
    other = await world.member((await world.enterprise()).organisation_id, Role.OWNER, person=(
        shop.buyer.person_id, shop.buyer.identity_id, shop.buyer.open_id))
    speaker.member = other
    assert await speaker.tap_button(button) == "这个按钮已失效，请重新发送您要办理的事项。"
    for action in ("", "x", "s.", "d.1.", "a.zzz", "s.1", "d.x.确认", "a." + "A" * 60):
        replies = await speaker.hears(speaker.saying(action, Said.CARD))
        assert "失效" in replies[0].text or "不能办理" in replies[0].text
