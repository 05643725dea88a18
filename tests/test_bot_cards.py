"""Everybody's card is brought up to date wherever its case is decided (rule 1 of decision 0191; decision 0210)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bot.conversation import converse
from handlers.bot_cards import settle_cards
from handlers.personal import seal
from models.accounts import Role
from tests.applications import applicant, submitted_certification
from tests.chats import Chats
from tests.races import meet_after, without
from tests.world import Member

NAME = "UPDATE persons SET name = $2 WHERE id = $1"
UPDATES = "*/v1.0/card/instances"


async def queue(chats: Chats, *names: str) -> tuple[Member, int, list[Member], list[str]]:
    """An applicant, a case, and reviewers who all have its card in their chat."""
    chats.worker._converse = converse
    owner = await applicant(chats.world)
    approval = await submitted_certification(chats.world, owner)
    reviewers, phones = [], []
    for name in names:
        member = await chats.world.official(Role.ADMIN)
        await chats.world.owner.execute(NAME, member.person_id, seal(chats.settings, "李四"))
        key = await chats.bound(member, name, "dingtalk")
        await chats.say(key, f"待审 #{approval}")
        reviewers.append(member)
        phones.append(key)
    return owner, approval, reviewers, phones


async def card(chats: Chats, key: str) -> dict[str, Any]:
    found: dict[str, Any] = [each for each in await chats.messages(key) if each["kind"] == "card"][-1]
    return found


async def shown(chats: Chats, key: str) -> tuple[str, list[str], str]:
    """(state, buttons, last line) of the card in somebody's chat."""
    found = await card(chats, key)
    return found["raw"]["state"], [button["title"] for button in found["raw"]["buttons"]], found["fields"][0][1].splitlines()[-1]


async def test_a_decision_in_the_mini_program_takes_the_buttons_off_everybodys_card(chats: Chats):
    _, approval, (first, _), phones = await queue(chats, "甲", "乙")
    for key in phones:
        assert (await shown(chats, key))[:2] == ("open", ["通过", "退回补正", "驳回"])
    assert await chats.world.sweep(settle_cards) == 0  # nothing is decided yet
    status, _ = await chats.world.post(f"/approvals/{approval}/rejection", {"reason": "营业执照看不清楚"}, by=first)
    assert status == 200
    assert await chats.world.sweep(settle_cards) == 2
    for key in phones:
        assert await shown(chats, key) == ("settled", [], "已由 李* 09:00 驳回")
    asked = len(await chats.calls(UPDATES))
    assert await chats.world.sweep(settle_cards) == 0
    assert len(await chats.calls(UPDATES)) == asked  # each card once


async def test_a_withdrawal_takes_the_buttons_off_too(chats: Chats):
    owner, _, _, (key,) = await queue(chats, "甲")
    status, answer = await chats.world.post("/certification/withdrawal", by=owner)
    assert status == 200, answer
    assert await chats.world.sweep(settle_cards) == 1
    assert await shown(chats, key) == ("settled", [], "已于 09:00 撤回")


async def test_a_decision_by_another_reviewers_tap_needs_no_sweep(chats: Chats):
    _, _, _, (first, second) = await queue(chats, "甲", "乙")
    tapped = (await card(chats, first))["raw"]
    await chats.do(f"chat/{first}/tap-card", track_id=tapped["track_id"], action=tapped["buttons"][0]["action"])
    await chats.work()
    assert (await shown(chats, first))[0] == (await shown(chats, second))[0] == "settled"
    assert await chats.world.sweep(settle_cards) == 0


async def test_a_card_that_the_tap_could_not_reach_is_settled_by_the_sweep(chats: Chats):
    _, _, _, (first, second) = await queue(chats, "甲", "乙")
    tapped = (await card(chats, first))["raw"]
    await chats.befall(UPDATES, status=500, json={"code": "system.error", "message": "no"})
    await chats.do(f"chat/{first}/tap-card", track_id=tapped["track_id"], action=tapped["buttons"][0]["action"])
    await chats.work()
    assert (await shown(chats, first))[0] == "settled"
    assert (await shown(chats, second))[0] == "open"
    assert await chats.world.sweep(settle_cards) == 1
    assert (await shown(chats, second))[0] == "settled"


async def test_a_card_that_was_on_its_way_when_the_case_was_decided_is_settled_all_the_same(chats: Chats):
    """Understood while the case was open, delivered after its end: no event of the end would find this card."""
    _, approval, (member,), (key,) = await queue(chats, "甲")
    await chats.befall("*/card/instances", status=500, json={"code": "system.error", "message": "no"})
    await chats.say(key, f"待审 #{approval}")  # put off, with the answer kept
    await chats.world.post(f"/approvals/{approval}/approval", {}, by=member)
    assert await chats.world.sweep(settle_cards) == 1
    chats.advance(seconds=1)
    await chats.work()
    assert (await shown(chats, key))[0] == "open"  # what was on its way
    assert await chats.world.sweep(settle_cards) == 1
    assert (await shown(chats, key))[0] == "settled"


@pytest.mark.parametrize(("answer", "again"), [
    ({"status": 500, "json": {"code": "system.error", "message": "no"}}, True),
    ({"status": 400, "json": {"code": "param.cardNotExist", "message": "no"}}, False),
    ({"status": 400, "json": {"code": "param.contentUnsafe", "message": "no"}}, False),
])
async def test_a_platform_that_is_away_is_asked_again_and_a_card_that_is_gone_is_not(chats: Chats, answer: Any, again: bool):
    _, approval, (member,), (key,) = await queue(chats, "甲")
    await chats.world.post(f"/approvals/{approval}/approval", {}, by=member)
    await chats.befall(UPDATES, **answer)
    assert await chats.world.sweep(settle_cards) == 1
    assert (await shown(chats, key))[0] == "open"
    assert await chats.world.sweep(settle_cards) == 0  # not at once
    chats.advance(seconds=6)
    assert await chats.world.sweep(settle_cards) == (1 if again else 0)
    assert (await shown(chats, key))[0] == ("settled" if again else "open")


async def test_a_name_that_does_not_open_takes_no_other_card_with_it(chats: Chats):
    owner, approval, (member,), (key,) = await queue(chats, "甲")
    assert (await chats.world.post(f"/approvals/{approval}/rejection", {"reason": "营业执照看不清楚"}, by=member))[0] == 200
    assert owner.person_id != member.person_id
    await chats.world.owner.execute("UPDATE persons SET name = '\\x00' WHERE id = $1", member.person_id)
    assert await chats.world.sweep(settle_cards) == 1
    assert await shown(chats, key) == ("settled", [], "已于 09:00 驳回")


async def test_a_sweep_that_died_with_its_cards_is_made_up_for_after_its_lease(chats: Chats, monkeypatch: pytest.MonkeyPatch):
    _, approval, (member,), (key,) = await queue(chats, "甲")
    await chats.world.post(f"/approvals/{approval}/approval", {}, by=member)

    async def dies(*_: object) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as broken:
        broken.setattr("handlers.bot_cards._settle", dies)
        with pytest.raises(ConnectionAbortedError):
            await chats.world.sweep(settle_cards)
    chats.advance(seconds=59)
    assert await chats.world.sweep(settle_cards) == 0
    chats.advance(seconds=1)
    assert await chats.world.sweep(settle_cards) == 1
    assert (await shown(chats, key))[0] == "settled"


@pytest.mark.parametrize("protected", [True, False])
async def test_two_sweeps_at_once_settle_a_card_once(chats: Chats, monkeypatch: pytest.MonkeyPatch, protected: bool):
    _, approval, (member,), _ = await queue(chats, "甲")
    await chats.world.post(f"/approvals/{approval}/approval", {}, by=member)
    if not protected:  # the control
        without(monkeypatch, "handlers.bot_cards.TAKE", "w.due_at <= $1 AND ", "(w.due_at <= $1 OR true) AND ")
        without(monkeypatch, "handlers.bot_cards.TAKE", "FOR UPDATE OF w SKIP LOCKED", "")
    meet_after(chats.world.owner, monkeypatch, "handlers.bot_cards._settle")
    before = len(await chats.calls(UPDATES))
    done = await asyncio.gather(*(settle_cards(chats.world.context()) for _ in range(2)))
    assert (sum(done) == 1) is protected
    assert (len(await chats.calls(UPDATES)) - before == 1) is protected


async def test_a_card_that_is_shown_again_waits_anew(chats: Chats):
    _, approval, _, (key,) = await queue(chats, "甲")
    waits = "SELECT due_at FROM bot_cards"
    first = await chats.world.value(waits)
    chats.advance(seconds=30)
    await chats.say(key, f"待审 #{approval}")
    assert await chats.world.value(waits) - first >= timedelta(seconds=30)
