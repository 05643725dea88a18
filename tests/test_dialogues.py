"""Conversations of several steps: reserve, change, confirm, send back, price, accept, review; they survive, expire, and act once."""

from datetime import timedelta

import pytest

from handlers.dialogues import LIVES, forget_dialogues
from models.accounts import Role
from tests.lottery import Lottery, announced, drawn, opened, qualified
from tests.shop import open_shop
from tests.talking import Speaker
from tests.world import World
from tests.zhengzhou import open_contract_shop

INSTANT = timedelta(microseconds=1)
EFFECTS = ("orders", "reservations", "reviews", "price_changes", "handovers", "events", "audit_entries", "idempotency_keys")


async def lottery_with(world: World) -> tuple[Lottery, Speaker]:
    lottery = await announced(world, cap=2)
    member = await qualified(world, lottery.programme)
    await lottery.open()
    return lottery, Speaker(world, member)


# --- reservations -------------------------------------------------------------------------------------------------------------------


async def test_a_reservation_is_made_in_two_steps_with_window_and_count(world: World):
    lottery, speaker = await lottery_with(world)
    before = await world.snapshot(*EFFECTS)
    assert await speaker.say("預約審計券") == (
        "请确认预约：\n· 批次：2026年第一批\n· 券种：审计服务专用券，面值 1,000 元\n· 预约时间：3月2日 10:00 至 3月2日 11:00\n"
        "· 本批次该券种 1 张\n· 本年度该券种已中签 0/2\n回复「确认」提交，回复「取消」放弃。"
    )
    assert await world.snapshot(*EFFECTS) == before
    assert [button.title for button in speaker.last[0].buttons] == ["确认", "取消"]
    answer = await speaker.tap("确认")
    ticket = await world.one("SELECT id, state, voucher_type_id FROM reservations")
    assert answer == f"预约成功：「2026年第一批」审计服务专用券，票号 R202603-{ticket['id']:08d}，结果将于 3月2日 14:00 公示。"
    assert (ticket["state"], ticket["voucher_type_id"]) == ("submitted", lottery.programme.audit)
    assert "贵单位在「2026年第一批」已预约" in await speaker.say("预约")


async def test_the_voucher_type_is_asked_for_where_it_was_not_said(world: World):
    lottery, speaker = await lottery_with(world)
    assert await speaker.say("我要预约") == "请选择要预约的券种。"
    assert [button.title for button in speaker.last[0].buttons] == ["审计服务专用券", "服务通用券"]
    assert await speaker.say("随便") == "请选择要预约的券种。"
    assert "服务通用券，面值" in await speaker.say("通用")
    assert "预约成功" in await speaker.say("确认")
    assert await world.value("SELECT voucher_type_id FROM reservations") == lottery.programme.general


async def test_a_choice_is_changed_and_a_ticket_withdrawn(world: World):
    lottery, speaker = await lottery_with(world)
    await speaker.say("预约审计券")
    await speaker.say("确认")
    assert "请确认改约" in await speaker.say("改成 通用券")
    assert "票号" in await speaker.say("确认")
    assert await world.value("SELECT voucher_type_id FROM reservations") == lottery.programme.general
    assert "确认撤回「2026年第一批」的预约吗" in await speaker.say("取消预约")
    assert "已撤回" in await speaker.say("确认")
    assert await world.value("SELECT state FROM reservations") == "withdrawn"
    assert "没有有效的预约" in await speaker.say("取消预约")


async def test_a_capped_type_is_refused_in_the_words_of_the_page(world: World):
    first, _ = await drawn(world, tickets=1, cap=1)
    await first.publicise()
    await opened(world, programme=first.programme, people=first.people, number="202604")
    speaker = Speaker(world, first.players[0])
    assert await speaker.say("预约审计券") == (
        "「审计服务专用券」：当前服务券已达年度上限（本年度中签 1/1），2027-01-01 起可约。请选择其他券种。"
    )
    answer = await speaker.say("为什么审计券是灰的")
    assert "· 审计服务专用券：当前服务券已达年度上限（本年度中签 1/1），2027-01-01 起可约" in answer
    assert "服务通用券" not in answer
    assert "· 服务通用券：可约" in await speaker.say("为什么置灰")
    assert await world.value("SELECT count(*) FROM reservations") == 1


async def test_before_publicity_the_time_is_told_and_afterwards_the_result(world: World):
    lottery = await opened(world)
    speaker = Speaker(world, await qualified(world, lottery.programme))
    await speaker.say("预约审计券")
    await speaker.say("确认")
    ticket = f"R202603-{await world.value('SELECT id FROM reservations'):08d}"
    assert await speaker.say("中签了吗") == f"「2026年第一批」审计服务专用券，票号 {ticket}：结果将于 3月2日 14:00 公示，还有 4小时0分。"
    assert await speaker.say(f"查签 {ticket}") == await speaker.say("查中签")
    assert await speaker.say("查签 R202603-99999999") == "没有找到票号 R202603-99999999 的预约记录。"
    await lottery.close()
    await lottery.type_values()
    await lottery.draw()
    lottery.set("publicity_at", -1)
    assert "公示，还有 0小时0分" in await speaker.say("中签了吗")
    await lottery.publicise()
    assert await speaker.say("中签了吗") == f"「2026年第一批」审计服务专用券，票号 {ticket}：中签，位次 1。点开页面可以自己验证本次摇号。"
    assert speaker.last[0].page == f"pages/draws/show?id={lottery.id}"


async def test_without_an_open_round_the_next_one_is_named(world: World):
    lottery = await announced(world)
    speaker = Speaker(world, await qualified(world, lottery.programme))
    assert await speaker.say("预约") == "当前没有开放的预约批次。下一批「2026年第一批」3月2日 10:00 开放，3月2日 11:00 截止。"


# --- orders -------------------------------------------------------------------------------------------------------------------------


async def test_completion_shows_what_was_handed_over_and_is_confirmed(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    answer = await speaker.say("确认完成")
    assert "审计报告已交付（3月2日 09:00）" in answer
    assert [button.title for button in speaker.last[0].buttons] == ["确认", "取消", "未完成"]
    assert await shop.state(order_id) == "delivered"
    assert "已确认完成" in await speaker.tap("确认")
    assert await shop.state(order_id) == "completed"


async def test_unfinished_needs_a_reason_and_goes_back_with_it(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    assert "请说明未完成的原因" in await speaker.tap("未完成")
    assert await shop.state(order_id) == "delivered"
    assert "第 1 次返工" in await speaker.say("报告缺少附注，请补上")
    assert await shop.state(order_id) == "accepted"
    assert await world.value("SELECT sent_back_reason FROM handovers") == "报告缺少附注，请补上"


async def test_a_reason_behind_the_number_is_taken_at_once(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    number = await world.value("SELECT right(number, 4) FROM orders WHERE id = $1", order_id)
    assert "第 1 次返工" in await Speaker(world, shop.buyer).say(f"未完成 {number} 报告缺页")
    assert await world.value("SELECT sent_back_reason FROM handovers") == "报告缺页"


async def test_a_review_keeps_its_words_and_asks_for_the_stars_of_the_platform(world: World):
    shop = await open_shop(world)
    order_id = await shop.completed()
    speaker = Speaker(world, shop.buyer)
    assert await speaker.say("好评 很专业，報告也及時！") == "最后，给平台打几星？（0 到 5 星）"
    assert await world.value("SELECT count(*) FROM reviews") == 0
    assert "已评价订单" in await speaker.tap("4星")
    review = await world.one("SELECT order_id, grade, text, platform_stars, is_system FROM reviews")
    assert tuple(review.values()) == (order_id, "good", "很专业，報告也及時！", 4, False)
    assert "没有可以「评价」的订单" in await speaker.say("好评")


async def test_a_review_longer_than_five_hundred_letters_is_not_cut(world: World):
    shop = await open_shop(world)
    await shop.completed()
    speaker = Speaker(world, shop.buyer)
    assert "500 字以内" in await speaker.say("好评 " + "好" * 501)
    assert await speaker.say("好" * 500) == "最后，给平台打几星？（0 到 5 星）"
    await speaker.say("5")
    assert await world.value("SELECT length(text) FROM reviews") == 500


async def test_a_price_is_at_most_the_products_and_shown_before_it_is_settled(world: World):
    shop = await open_contract_shop(world)
    await shop.granted(400_000)
    order_id = await shop.order()
    number = await world.value("SELECT right(number, 4) FROM orders WHERE id = $1", order_id)
    price = await world.value("SELECT list_price_fen FROM orders WHERE id = $1", order_id)
    seller = Speaker(world, shop.seller)
    assert "高于产品价格" in await seller.say(f"核价 {number} {price // 100 + 1}元")
    assert "请确认核价" in await seller.say("五百元")
    assert await world.value("SELECT count(*) FROM price_changes") == 0
    assert "已核价 500 元" in await seller.say("确认")
    assert await world.value("SELECT order_fen FROM orders WHERE id = $1", order_id) == 50_000


async def test_an_institution_accepts_declines_and_hands_over(world: World):
    shop = await open_shop(world)
    first, second = await shop.paid(), await shop.paid()
    numbers = [await world.value("SELECT right(number, 4) FROM orders WHERE id = $1", each) for each in (first, second)]
    await world.owner.execute("UPDATE orders SET number = left(number, 20) || '0001' WHERE id = $1", first)
    await world.owner.execute("UPDATE orders SET number = left(number, 20) || '0002' WHERE id = $1", second)
    seller = Speaker(world, shop.seller)
    assert len(numbers) == 2
    assert "请确认接单" in await seller.say("接单 0001")
    assert await shop.state(first) == "paid"
    assert "已接单" in await seller.say("确认")
    assert await shop.state(first) == "accepted"
    assert "请说明不接单的原因" in await seller.say("拒单 0002")
    assert "2,000 元服务券将全部退回" in await seller.say("本月排期已满")
    assert "已拒单" in await seller.say("确认")
    assert await world.one("SELECT state, close_reason FROM orders WHERE id = $1", second) == ("closed", "declined")
    assert "请用一句话说明完成了什么" in await seller.say("提交完成")
    assert "不少于五个字" in await seller.say("好了")
    assert "成果说明：审计报告已交付" in await seller.say("审计报告已交付")
    assert "等待企业确认" in await seller.say("确认")
    assert await world.value("SELECT summary FROM handovers") == "审计报告已交付"


# --- what every dialogue keeps to -------------------------------------------------------------------------------------------------------


async def test_it_survives_a_restart_and_expires_to_the_microsecond(world: World):
    """Nothing of it is in the process: each message reads it anew."""
    shop = await open_shop(world)
    order_id = await shop.delivered()
    for ahead, state in ((LIVES, "delivered"), (LIVES + INSTANT, "delivered"), (LIVES - INSTANT, "completed")):
        start = world.clock.now()
        speaker = Speaker(world, shop.buyer)
        await speaker.say("确认完成")
        world.clock.set(start + ahead)
        answer = await Speaker(world, shop.buyer).say("确认")
        assert ("已确认完成" in answer) is (state == "completed")
        assert await shop.state(order_id) == state


async def test_expired_dialogues_are_forgotten_after_a_day(world: World):
    shop = await open_shop(world)
    await shop.delivered()
    start = world.clock.now()
    await Speaker(world, shop.buyer).say("确认完成")
    for ahead, left in ((LIVES + timedelta(days=1) - INSTANT, 1), (LIVES + timedelta(days=1), 0)):
        world.clock.set(start + ahead)
        assert await world.sweep(forget_dialogues) == 1 - left
        assert await world.value("SELECT count(*) FROM dialogues") == left


@pytest.mark.parametrize("word", ["取消", "算了", "退出", "不", "取肖", "no"])
async def test_it_is_given_up_with_a_word(world: World, word):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    assert await speaker.say(word) == "已取消「确认完成」，没有做任何更改。"
    assert await speaker.say(word) == "当前没有正在办理的事项。"
    assert "已确认完成" not in await speaker.say("确认")
    assert await shop.state(order_id) == "delivered"


async def test_something_else_in_the_middle_is_done_and_the_first_given_up_aloud(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    answer = await speaker.say("我还有多少券")
    assert answer.startswith("券包里没有") and "刚才的「确认完成」没有办完，已放弃" in answer
    await speaker.say("确认")
    assert await shop.state(order_id) == "delivered"
    await speaker.say("未完成")
    assert "第 1 次返工" in await speaker.say("我还有多少券这类问题也没写进报告")  # not a bare phrase: it is the reason


async def test_neither_yes_nor_no_is_asked_again(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    assert await speaker.say("让我想想") == "请回复「确认」办理「确认完成」，或回复「取消」。"
    assert await shop.state(order_id) == "delivered"
    assert "已确认完成" in await speaker.say("好的")


async def test_a_button_of_an_earlier_question_confirms_nothing_later(world: World):
    shop = await open_shop(world)
    first = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    old = speaker.button("确认")
    await speaker.say("取消")
    second = await shop.delivered()
    await speaker.say(f"确认完成 {await world.value('SELECT number FROM orders WHERE id = $1', second)}")
    assert await speaker.tap_button(old) == "这个按钮已失效，请重新发送您要办理的事项。"
    assert (await shop.state(first), await shop.state(second)) == ("delivered", "delivered")


async def test_a_message_that_is_delivered_three_times_has_one_effect_and_one_answer(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    questions = [await speaker.say("确认完成", message_id="same-1") for _ in range(3)]
    assert len(set(questions)) == 1
    before = await world.value("SELECT count(*) FROM audit_entries")
    answers = [await speaker.say("确认", message_id="same-2") for _ in range(3)]
    assert len(set(answers)) == 1 and "已确认完成" in answers[0]
    assert await shop.state(order_id) == "completed"
    assert await world.value("SELECT count(*) FROM audit_entries") == before + 1
    assert "没有可以" in await speaker.say("确认完成", message_id="other")


async def test_a_reservation_said_twice_is_one_ticket_and_one_receipt(world: World):
    _, speaker = await lottery_with(world)
    await speaker.say("预约审计券")
    first = await speaker.say("确认", message_id="same")
    events = await world.value("SELECT count(*) FROM events")
    assert await speaker.say("确认", message_id="same") == first
    assert await world.value("SELECT count(*) FROM reservations") == 1
    assert await world.value("SELECT count(*) FROM events") == events


async def test_another_membership_of_the_same_person_does_not_continue_it(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    other = await world.member((await world.enterprise()).organisation_id, Role.OWNER, person=(
        shop.buyer.person_id, shop.buyer.identity_id, shop.buyer.open_id))
    elsewhere = Speaker(world, other)
    assert "已确认完成" not in await elsewhere.say("确认")
    assert await shop.state(order_id) == "delivered"


async def test_whoever_loses_the_role_in_the_middle_changes_nothing(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    await world.owner.execute("UPDATE memberships SET role = 'viewer' WHERE id = $1", shop.buyer.membership_id)
    assert "不能办理「确认完成」" in await speaker.say("确认")
    assert await shop.state(order_id) == "delivered"


async def test_a_refusal_in_the_middle_is_told_in_words_and_ends_it(world: World):
    shop = await open_shop(world)
    order_id = await shop.delivered()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("确认完成")
    await shop.ok(shop.buyer, order_id, "completion")  # on another phone
    assert await speaker.say("确认") == "订单当前不能确认。"
    assert "已确认完成" not in await speaker.say("确认")
    assert await world.value("SELECT count(*) FROM dialogues WHERE finished_at IS NULL") == 0


async def test_what_is_kept_between_two_messages_is_no_secret(world: World):
    shop = await open_shop(world)
    await shop.completed()
    speaker = Speaker(world, shop.buyer)
    await speaker.say("好评 很专业")
    kept = await world.one("SELECT intent, step, slots, private FROM dialogues")
    assert kept["intent"] == "review" and kept["step"] == "stars" and kept["private"] is None
    assert "很专业" in kept["slots"]
