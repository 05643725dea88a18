"""What can still be done is said in time (F05): a window that closes, a form that was left unfinished. Vouchers: tests/test_wallet.py."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers import reminders
from handlers.draws import draw_due_rounds
from handlers.notices import open_events
from handlers.reservation_rules import HIDDEN
from models.accounts import Role
from tests.applications import applicant, qualification, submitted_qualification
from tests.conftest import START
from tests.lottery import SOURCE, Lottery, announced, drawn, giving, opened, qualified, take
from tests.races import without
from tests.test_unpublished import gap
from tests.world import Member, World

INSTANT = timedelta(microseconds=1)
HOURS = {"closes_at": 80, "draw_at": 82, "publicity_at": 83, "publicity_until": 107}  # closes on Thursday at 17:00
DUE = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)  # on Wednesday at nine in the morning


def wide(world: World, **hours: int) -> dict[str, Any]:
    """The times of a round with days to reserve in."""
    return {name: world.at(hours=at).isoformat() for name, at in (HOURS | hours).items()} | {
        "randomness": [{"name": SOURCE, "at": world.at(hours=81).isoformat(), "format": "ssq"}]}


async def told(world: World) -> list[int]:
    return [row["organisation_id"] for row in await world.owner.fetch("SELECT organisation_id FROM events WHERE kind = 'round_closing'")]


async def closing(world: World) -> Lottery:
    lottery = await opened(world, cap=1, **wide(world))
    await world.owner.execute("DELETE FROM round_quotas WHERE voucher_type_id = $1", lottery.programme.general)
    return lottery


async def test_who_has_not_reserved_hears_once_on_the_morning_before_the_window_closes(world: World) -> None:
    lottery = await closing(world)
    await lottery.enter(1)
    waiting = await qualified(world, lottery.programme)
    await world.enterprise()  # not qualified
    world.clock.set(DUE - INSTANT)
    assert await world.sweep(reminders.remind_closing) == 0
    world.clock.set(DUE)
    assert [await world.sweep(reminders.remind_closing) for _ in range(2)] == [1, 0]
    assert await told(world) == [waiting.organisation_id]
    while await world.sweep(open_events):
        pass
    notice = await world.one("SELECT title, body, page FROM notices WHERE kind = 'round_closing'")
    assert tuple(notice) == (
        "预约即将截止", "「2026年第一批」将于 3月5日 17:00 截止预约，贵企业尚未预约，请在截止前预约。",
        f"pages/rounds/show?id={lottery.id}",
    )


async def test_two_machines_tell_everybody_once(world: World) -> None:
    lottery = await closing(world)
    waiting = await qualified(world, lottery.programme)
    world.clock.set(DUE)
    assert sum(await asyncio.gather(*(world.sweep(reminders.remind_closing) for _ in range(4)))) == 1
    assert await told(world) == [waiting.organisation_id]


async def suspended(lottery: Lottery, member: Member) -> None:
    await lottery.world.owner.execute("UPDATE organisations SET suspended_at = now() WHERE id = $1", member.organisation_id)


async def no_longer_qualified(lottery: Lottery, member: Member) -> None:
    await lottery.world.owner.execute(
        "UPDATE applications SET state = 'withdrawn' WHERE organisation_id = $1 AND kind = 'qualification'", member.organisation_id
    )


async def taken_back(lottery: Lottery, member: Member) -> None:
    status, body = await take(lottery, member)
    assert status == 201, body
    status, body = await lottery.world.delete(f"/rounds/{lottery.id}/reservation", by=member)
    assert status == 200, body


@pytest.mark.parametrize("so", [suspended, no_longer_qualified, taken_back])
async def test_who_could_not_reserve_or_would_not_hears_nothing(world: World, so: Any) -> None:
    lottery = await closing(world)
    await so(lottery, await qualified(world, lottery.programme))
    world.clock.set(DUE)
    assert await world.sweep(reminders.remind_closing) == 1
    assert await told(world) == []


async def test_who_has_won_all_that_a_year_allows_hears_nothing(world: World) -> None:
    first, _ = await drawn(world, tickets=2, cap=1)
    await first.publicise()
    await first.finalise()
    other = await world.value("SELECT organisation_id FROM reservations WHERE state <> 'issued'")
    second = await announced(world, programme=first.programme, people=first.people, number="2", **wide(world, opens_at=1))
    await world.owner.execute("DELETE FROM round_quotas WHERE round_id = $1 AND voucher_type_id = $2", second.id, second.programme.general)
    await second.open()
    second.set("closes_at", -6 * 3_600_000_000)
    assert await world.sweep(reminders.remind_closing) == 1
    assert await told(world) == [other]


@pytest.mark.parametrize(("quota", "hear"), [(1, 0), (2, 1)])
async def test_where_all_is_taken_nobody_is_sent_there(world: World, quota: int, hear: int) -> None:
    first_come = await giving(world, quota=quota, closes_at=world.at(hours=80).isoformat())
    await world.owner.execute("DELETE FROM round_shares WHERE voucher_type_id = $1", first_come.programme.general)
    await world.owner.execute("DELETE FROM round_quotas WHERE voucher_type_id = $1", first_come.programme.general)
    assert (await take(first_come))[0] == 201
    await qualified(world, first_come.programme)
    world.clock.set(DUE)
    assert await world.sweep(reminders.remind_closing) == 1
    assert len(await told(world)) == hear


async def test_by_night_nobody_is_told_and_in_the_morning_everybody(world: World) -> None:
    await closing(world)
    world.clock.set(DUE + timedelta(hours=12))  # 21:00
    assert await world.sweep(reminders.remind_closing) == 0
    world.clock.set(DUE + timedelta(hours=24) - INSTANT)
    assert await world.sweep(reminders.remind_closing) == 0
    world.clock.set(DUE + timedelta(hours=24))
    assert await world.sweep(reminders.remind_closing) == 1


async def test_what_is_over_before_the_morning_is_not_said(world: World) -> None:
    lottery = await opened(world, **wide(world, opens_at=61, closes_at=72))  # from 22:00 to nine in the morning
    lottery.set("closes_at", -1)
    assert await world.sweep(reminders.remind_closing) == 0
    lottery.set("closes_at")
    assert await world.sweep(reminders.remind_closing) == 0


@pytest.mark.parametrize("is_hidden", [True, False])
async def test_who_hears_tells_no_result_that_is_not_public_yet(world: World, monkeypatch: pytest.MonkeyPatch, is_hidden: bool) -> None:
    first, _ = await gap(world)
    await world.owner.execute("DELETE FROM round_quotas WHERE round_id <> $1 AND voucher_type_id = $2", first.id, first.programme.general)
    assert await world.sweep(draw_due_rounds) == 1
    if not is_hidden:
        without(monkeypatch, "handlers.reminders.TELL_CLOSING", f" AND NOT ({HIDDEN})", "")
    assert await world.sweep(reminders.remind_closing) == 1
    assert len(await told(world)) == (3 if is_hidden else 2)


# --- unfinished forms ------------------------------------------------------------------------------------------------


SAVED, RETURNED = "您填写的「服务券资格申请」已保存三天以上", "您的「服务券资格申请」退回补正已三天以上"


async def save(world: World, owner: Member, programme_id: int, **changes: object) -> None:
    status, body = await world.put(
        f"/programmes/{programme_id}/qualification", await qualification(world, owner, **changes), by=owner
    )
    assert status == 200, body


async def unfinished(world: World) -> tuple[Member, int]:
    """(enterprise, programme) with a draft that was saved on Monday at nine."""
    programme, owner = await world.programme(), await applicant(world, certified=True)
    await save(world, owner, programme.id)
    return owner, programme.id


async def reminded(world: World, **after: float) -> list[str]:
    """What has been said when the jobs run so long after Monday at nine."""
    world.clock.set(START + timedelta(**after))
    await world.sweep(reminders.remind_unfinished)
    assert await world.sweep(reminders.remind_unfinished) == 0
    while await world.sweep(open_events):
        pass
    found = await world.owner.fetch("SELECT body FROM notices WHERE kind = 'application_unfinished' ORDER BY id")
    return [row["body"] for row in found]


async def test_a_form_that_rests_for_three_days_is_remembered_once_for_each_rest(world: World) -> None:
    owner, programme_id = await unfinished(world)
    assert await reminded(world, days=3, microseconds=-1) == []
    first, = await reminded(world, days=3)
    assert first.startswith(SAVED)
    assert await reminded(world, days=20) == [first]
    await save(world, owner, programme_id, employees=43)
    assert await reminded(world, days=23, microseconds=-1) == [first]
    assert await reminded(world, days=23) == [first, first]


async def test_what_was_returned_is_remembered_and_what_was_submitted_is_not(world: World) -> None:
    programme, owner = await world.programme(), await applicant(world, certified=True)
    approval = await submitted_qualification(world, owner, programme.id)
    assert await reminded(world, days=5) == []
    reviewer = await world.official(Role.REVIEWER)
    status, body = await world.post(f"/approvals/{approval}/return", {
        "reason": "请更换清晰的营业执照", "items": [{"field": "files.business_licence", "problem": "看不清"}]}, by=reviewer)
    assert status == 200, body
    found, = await reminded(world, days=8)
    assert found.startswith(RETURNED)


async def test_by_night_no_form_is_remembered_and_after_a_month_none_any_more(world: World) -> None:
    await unfinished(world)
    assert await reminded(world, days=3, hours=12) == []
    assert await reminded(world, days=4, microseconds=-1) == []
    assert await reminded(world, days=30, microseconds=1) == []
    assert len(await reminded(world, days=30)) == 1


async def test_two_machines_remember_a_form_once(world: World) -> None:
    await unfinished(world)
    world.clock.set(world.at(days=3))
    assert sum(await asyncio.gather(*(world.sweep(reminders.remind_unfinished) for _ in range(4)))) == 1
