"""Reviewers decide by cards and by text, under the eight rules of decision 0191; nobody else decides anything."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.actions import LIVES
from bot.conversation import converse
from bot.talk import Said
from handlers.personal import seal
from models.accounts import Platform, Role
from models.states import IllegalMoveError
from tests.applications import applicant, submitted_certification, submitted_qualification
from tests.races import without
from tests.referee import Referee
from tests.shop import open_shop
from tests.talking import Speaker
from tests.world import JINAN, Member, World
from tests.zhengzhou import open_contract_shop

TABLES = ("approvals", "applications", "organisations", "orders", "events", "audit_entries", "idempotency_keys")
INSTANT = timedelta(microseconds=1)


async def reviewer(world: World, name: str = "李四") -> Speaker:
    member = await world.official(Role.ADMIN)
    await world.owner.execute("UPDATE persons SET name = $2 WHERE id = $1", member.person_id, seal(world.settings, name))
    return Speaker(world, member)


async def waiting(world: World) -> tuple[Member, int]:
    """An enterprise's certification in the queue of the administrators."""
    owner = await applicant(world)
    return owner, await submitted_certification(world, owner)


async def state(world: World, approval: int) -> tuple[str, str | None]:
    found = await world.one("SELECT state, reason FROM approvals WHERE id = $1", approval)
    return found["state"], found["reason"]


# --- cards ------------------------------------------------------------------------------------------------------------------------


async def test_the_queue_comes_as_cards_with_facts_and_buttons(world: World):
    owner, approval = await waiting(world)
    speaker = await reviewer(world)
    answer = await speaker.say("待审")
    name = await world.value("SELECT name FROM organisations WHERE id = $1", owner.organisation_id)
    assert answer == (
        f"共有 1 项待办：\n· 待审事项 1 项，最早期限 3月5日 23:59\n- 企业实名认证 #{approval}，3月5日 23:59 前\n"
        f"企业实名认证\n申请方：{name}\n提交：3月2日 09:00，期限：3月5日 23:59\n附件 1 个，请在页面查看"
    )
    card = speaker.last[1]
    assert (card.title, card.card_key) == (f"待审事项 #{approval}", f"approval:{approval}")
    assert card.page == f"pages/approvals/show?id={approval}"
    assert [button.title for button in card.buttons] == ["通过", "退回补正", "驳回"]
    assert [button.phrase for button in card.buttons] == [f"通过 #{approval}", f"退回补正 #{approval}", f"驳回 #{approval}"]


async def test_a_tap_approves_and_everybodys_card_says_so(world: World):
    owner, approval = await waiting(world)
    speaker = await reviewer(world)
    await speaker.say("待审")
    world.clock.set(datetime(2026, 3, 2, 2, 31, tzinfo=UTC))
    answer = await speaker.tap("通过")
    assert "已由 李* 10:31 通过" in answer
    assert [(reply.card_key, reply.buttons, reply.private) for reply in speaker.last] == [(f"approval:{approval}", (), False)]
    assert await state(world, approval) == ("approved", None)
    assert await world.value("SELECT certified_at IS NOT NULL FROM organisations WHERE id = $1", owner.organisation_id)
    told = await world.one("SELECT organisation_id, kind FROM events WHERE kind = 'approval_result'")
    assert tuple(told) == (owner.organisation_id, "approval_result")  # the applicant hears it where notices go


async def test_a_rejection_needs_a_reason_and_asks_for_it(world: World):
    _, approval = await waiting(world)
    speaker = await reviewer(world)
    await speaker.say("待审")
    before = await world.snapshot(*TABLES)
    assert "请说明" in await speaker.tap("驳回")
    assert await world.snapshot(*TABLES) == before
    answer = await speaker.say("营业执照看不清楚")
    assert f"#{approval} 已由 李* 09:00 驳回。结果会通知申请人。" in answer
    assert await state(world, approval) == ("rejected", "营业执照看不清楚")


async def test_a_reason_typed_into_the_card_is_taken_with_the_tap(world: World):
    _, approval = await waiting(world)
    speaker = await reviewer(world)
    await speaker.say("待审")
    await speaker.tap("退回补正", reason="缺法人签字")
    assert await state(world, approval) == ("returned", "缺法人签字")


@pytest.mark.parametrize(("text", "expected"), [
    ("通过 #{}", ("approved", None)), ("通过{}", ("approved", None)), ("同意 {}", ("approved", None)), ("通過　＃{}", ("approved", None)),
    ("驳回 {} 缺合同日期", ("rejected", "缺合同日期")), ("不通过 #{}，材料不全", ("rejected", "材料不全")),
    ("退回 {} 请补法人签字", ("returned", "请补法人签字")), ("通过 {} 材料齐全", ("approved", "材料齐全")),
])
async def test_text_decides_too_for_phones_without_cards(world: World, text, expected):
    _, approval = await waiting(world)
    await (await reviewer(world)).say(text.format(approval))
    assert await state(world, approval) == expected


async def test_without_a_number_nothing_is_decided(world: World):
    _, approval = await waiting(world)
    speaker = await reviewer(world)
    before = await world.snapshot(*TABLES)
    for text in ("通过", "驳回", "不通过 材料不全"):
        assert "请写明编号" in await speaker.say(text)
        assert speaker.last[1].card_key == f"approval:{approval}"
    assert "没有找到" in await speaker.say("通过 #999999999")
    assert await world.snapshot(*TABLES) == before


# --- two at once --------------------------------------------------------------------------------------------------------------------


async def test_the_second_clicker_sees_who_decided_and_when(world: World):
    _, approval = await waiting(world)
    first, second = await reviewer(world), await reviewer(world, "王五")
    await first.say("待审")
    await second.say("待审")
    world.clock.set(datetime(2026, 3, 2, 2, 31, tzinfo=UTC))
    await first.tap("驳回", reason="缺合同日期")
    before = await world.snapshot(*TABLES)
    assert f"#{approval} 已由 李* 10:31 驳回，您的操作没有生效。" in await second.tap("通过")
    assert [bool(reply.card_key) for reply in second.last] == [False, True]
    assert second.last[0].private and second.last[1].buttons == ()
    assert f"#{approval} 已由 李* 10:31 驳回" in await second.say(f"通过 {approval}")
    assert await world.snapshot(*TABLES) == before


async def both_tap(world: World, referee: Referee) -> tuple[list[Any], int]:
    _, approval = await waiting(world)
    speakers = [await reviewer(world), await reviewer(world, "王五")]
    contenders = []
    for speaker, title in zip(speakers, ("通过", "驳回"), strict=True):
        await speaker.say("待审")
        saying = speaker.saying(speaker.button(title).action, Said.CARD, reason="" if title == "通过" else "缺合同日期")
        context = await speaker.context()
        contenders.append(lambda context=context, saying=saying: converse(context, saying))
    return await referee.race(*contenders, hold=("handlers.chat_approvals.read_case",)), approval


async def test_two_reviewers_who_tap_at_once_make_one_decision(world: World, monkeypatch):
    referee = Referee(world.owner, monkeypatch)
    referee.hold_after("handlers.chat_approvals.read_case")
    for _ in range(20):
        outcomes, approval = await both_tap(world, referee)
        told = ["".join(reply.text for reply in outcome) for outcome in outcomes]
        assert sorted("您的操作没有生效" in text for text in told) == [False, True], told
        loser = next(number for number, text in enumerate(told) if "您的操作没有生效" in text)
        decided, _ = await state(world, approval)
        assert decided == ("rejected" if loser == 0 else "approved")
        made = "SELECT count(*) FROM audit_entries WHERE subject = 'approval' AND subject_id = $1 AND after <> 'open'"
        assert await world.value(made, approval) == 1


async def test_without_the_lock_and_the_guard_the_second_decides_on_what_is_decided(world: World, monkeypatch, owner, tables):
    from tests.conftest import empty

    without(monkeypatch, "handlers.approvals.LOCK", " FOR UPDATE", "")
    without(monkeypatch, "handlers.moves.MOVE", " AND state = $2", " AND $2::text IS NOT NULL")
    referee = Referee(world.owner, monkeypatch)
    referee.hold_after("handlers.approvals._decidable")
    _, approval = await waiting(world)
    speakers = [await reviewer(world), await reviewer(world, "王五")]
    contenders = []
    for speaker, text in zip(speakers, (f"驳回 {approval} 材料不全", f"驳回 {approval} 缺合同日期"), strict=True):
        context, saying = await speaker.context(), speaker.saying(text)
        contenders.append(lambda context=context, saying=saying: converse(context, saying))
    outcomes = await referee.race(*contenders, hold=("handlers.approvals._decidable",))
    broken = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [type(error) for error in broken] == [IllegalMoveError]  # decided on what was decided: nobody hears by whom
    await empty(owner, tables)


async def test_a_frame_that_is_delivered_again_decides_once(world: World):
    """Trap 56: the same message twice; the platform's word for who tapped is the reviewer who is asked about."""
    _, approval = await waiting(world)
    speaker = await reviewer(world)
    await speaker.say("待审")
    button = speaker.button("通过")
    first = await speaker.tap_button(button, message_id="frame-1")
    before = await world.snapshot(*TABLES)
    assert await speaker.tap_button(button, message_id="frame-1") == first
    assert "您的操作没有生效" in await speaker.tap_button(button, message_id="frame-2")
    assert await world.snapshot(*TABLES) == before
    assert await state(world, approval) == ("approved", None)


# --- who may not ----------------------------------------------------------------------------------------------------------------------


async def test_who_is_no_reviewer_of_it_hears_a_private_refusal_and_changes_nothing(world: World):
    owner, approval = await waiting(world)
    speaker = await reviewer(world)
    await speaker.say("待审")
    button = speaker.button("通过")
    elsewhere = await world.official(Role.ADMIN, region_code="410100")
    others = [
        Speaker(world, owner), Speaker(world, await world.enterprise()), Speaker(world, elsewhere),
        Speaker(world, await world.official(Role.PAYOUT_OFFICER)), Speaker(world, await world.official(Role.REVIEWER)),
        Speaker(world, await world.official(Role.ADMIN)), Speaker(world, None),
    ]
    before = await world.snapshot(*TABLES)
    for other in others:
        for in_group in (False, True):
            other.in_group = in_group
            answer = await other.tap_button(button)
            assert all(reply.private and not reply.card_key for reply in other.last), answer
            name = await world.value("SELECT name FROM organisations WHERE id = $1", owner.organisation_id)
            assert name not in answer
    for other in (others[0], others[2], others[4]):
        other.in_group = False
        answer = await other.say(f"通过 {approval}")
        assert "没有听懂" in answer or "没有找到" in answer
    assert await world.snapshot(*TABLES) == before


async def test_nobody_decides_on_the_own_organisation(world: World):
    owner, approval = await waiting(world)
    office = await world.official(Role.ADMIN)
    person = (owner.person_id, owner.identity_id, owner.open_id)
    both = await world.member(office.organisation_id, Role.ADMIN, region_code=JINAN, person=person)
    before = await world.snapshot(*TABLES)
    assert await Speaker(world, both).say(f"通过 {approval}") == "不能审核本人或本单位的申请。"
    assert await world.snapshot(*TABLES) == before


async def test_a_forged_a_changed_and_another_ones_token_decide_nothing(world: World):
    _, approval = await waiting(world)
    speaker, other = await reviewer(world), await reviewer(world, "王五")
    await speaker.say("待审")
    button = speaker.button("通过")
    token = button.action.removeprefix("a.")
    before = await world.snapshot(*TABLES)
    for forged in (token[:-1] + ("A" if token[-1] != "A" else "B"), "B" + token[1:], token[:-4], token + "AAAA", "", "é", "A" * 52):
        assert "失效" in await speaker.tap_button(replace(button, action=f"a.{forged}")), forged
    assert await other.tap_button(button) == "这张卡片不是发给您的，请发送「待审」查看您的事项。"
    assert await world.snapshot(*TABLES) == before
    assert await state(world, approval) == ("open", None)


# --- stale ------------------------------------------------------------------------------------------------------------------------------


async def test_a_card_is_good_for_a_day_to_the_second_and_then_shown_anew(world: World):
    _, approval = await waiting(world)
    speaker = await reviewer(world)
    start = world.clock.now()
    await speaker.say("待审")
    button = speaker.button("通过")
    world.clock.set(start + LIVES)
    before = await world.snapshot(*TABLES)
    assert "这张卡片已过期" in await speaker.tap_button(button)
    assert [reply.card_key for reply in speaker.last] == ["", f"approval:{approval}"]
    assert await world.snapshot(*TABLES) == before
    fresh = speaker.button("通过")
    world.clock.set(start + LIVES - INSTANT)
    await speaker.tap_button(button)
    assert await state(world, approval) == ("approved", None)
    assert fresh.action != button.action


async def test_a_case_that_has_changed_is_refused_and_shown_as_it_is(world: World):
    _, approval = await waiting(world)
    speaker, other = await reviewer(world), await reviewer(world, "王五")
    await speaker.say("待审")
    button = speaker.button("通过")
    assert "已登记回避" in await other.say(f"回避 {approval} 与申请单位有利害关系")
    before = await world.snapshot(*TABLES)
    assert f"#{approval} 已有变化" in await speaker.tap_button(button)
    assert speaker.last[1].card_key == f"approval:{approval}" and len(speaker.last[1].buttons) == 3
    assert await world.snapshot(*TABLES) == before
    await speaker.tap("通过")
    assert await state(world, approval) == ("approved", None)


async def test_a_withdrawn_case_takes_no_decision(world: World):
    owner, _ = await waiting(world)
    speaker = await reviewer(world)
    await speaker.say("待审")
    button = speaker.button("通过")
    status, _ = await world.post("/certification/withdrawal", by=owner)
    assert status == 200
    before = await world.snapshot(*TABLES)
    assert "撤回，您的操作没有生效" in await speaker.tap_button(button)
    assert await world.snapshot(*TABLES) == before


# --- money ------------------------------------------------------------------------------------------------------------------------------


async def test_money_is_decided_in_the_mini_program_only(world: World):
    """支付审核 and 服务券金额: a card without buttons, and words that change nothing (rule 7)."""
    shop = await open_contract_shop(world)
    amount = await shop.applied()
    officer = Speaker(world, shop.officer)
    await officer.say("待审")
    card = officer.last[-1]
    assert card.buttons == () and "请在小程序中办理" in card.text
    before = await world.snapshot(*TABLES)
    for text in (f"通过 {amount}", f"驳回 {amount} 不符合", f"退回 {amount} 请补充"):
        assert "请在小程序中办理" in await officer.say(text)
        assert officer.last[0].page == f"pages/approvals/show?id={amount}"
        assert officer.last[0].private
    assert "请在小程序中办理" in await officer.say(f"驳回 {amount}")
    assert await world.snapshot(*TABLES) == before


# --- groups, recusal --------------------------------------------------------------------------------------------------------------


async def test_in_a_group_everything_is_masked(world: World):
    owner, approval = await waiting(world)
    await world.owner.execute("UPDATE organisations SET name = '山东某某科技有限公司' WHERE id = $1", owner.organisation_id)
    speaker = await reviewer(world)
    speaker.in_group = True
    answer = await speaker.say("待审")
    assert "申请方：山东***" in answer
    assert "某某科技" not in answer and "附件" not in answer
    await speaker.tap("通过")
    assert await state(world, approval) == ("approved", None)
    assert all("某某科技" not in reply.text and not reply.private for reply in speaker.last)


async def test_who_steps_aside_decides_nothing_any_more_and_others_are_told(world: World):
    _, approval = await waiting(world)
    speaker, other = await reviewer(world), await reviewer(world, "王五")
    told = await world.value("SELECT count(*) FROM events WHERE kind = 'approval_waiting'")
    assert "请说明回避" in await speaker.say(f"我要回避 {approval}")
    assert "已登记回避" in await speaker.say("与申请单位有利害关系")
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'approval_waiting'") == told + 1
    before = await world.snapshot(*TABLES)
    assert await speaker.say(f"通过 {approval}") == "您已回避该事项。"
    assert (await world.post(f"/approvals/{approval}/approval", by=speaker.member))[1]["code"] == "recused"
    assert (await world.post(f"/approvals/{approval}/recusal", {"reason": "再次"}, by=speaker.member))[1]["code"] == "recused"
    assert await world.snapshot(*TABLES) == before
    await other.say(f"通过 {approval}")
    assert await state(world, approval) == ("approved", None)
    assert (await world.post(f"/approvals/{approval}/recusal", {"reason": "晚了"}, by=speaker.member))[1]["code"] == "already_decided"


async def test_a_case_is_shown_by_its_number_and_a_decided_one_with_who_decided(world: World):
    programme = await world.programme()
    approval = await submitted_qualification(world, await applicant(world, certified=True), programme.id)
    member = await world.official(Role.REVIEWER)
    speaker = Speaker(world, member, Platform.WECHAT_OA)
    assert "服务券资格申请" in await speaker.say(f"#{approval}")
    await speaker.say(f"驳回 {approval} 税额不符")
    assert "已由 09:00 驳回" not in await speaker.say(f"查看 {approval}")
    assert "09:00 驳回" in await speaker.say(f"查看 {approval}")


async def test_a_consultant_who_has_been_unlinked_does_nothing_with_an_open_card(world: World):
    shop = await open_shop(world)
    _, member = await world.consultant(shop.seller)
    speaker = Speaker(world, member)
    await speaker.say("新需求评分明细")  # two things at once: it is asked which, with buttons
    button = speaker.last[0].buttons[0]
    await world.owner.execute("UPDATE consultants SET state = 'ended', membership_id = NULL, ended_at = $1", world.clock.now())
    ended = "UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1"
    await world.owner.execute(ended, member.membership_id, world.clock.now())
    before = await world.snapshot("consultants", "memberships", "events", "audit_entries", "dialogues")
    assert await speaker.tap_button(button) == "这个按钮已失效，请重新发送您要办理的事项。"
    assert "不能办理「出示证件」" in await speaker.menu("badge")
    assert await world.snapshot("consultants", "memberships", "events", "audit_entries", "dialogues") == before
