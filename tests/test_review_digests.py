"""The reviewers' daily digest: at nine on working days, once a day and person, caught up once (F11)."""

from datetime import datetime, timedelta, timezone

import pytest

from handlers.notices import open_events
from handlers.review_digests import send_digests
from models.accounts import Role
from tests.applications import applicant, submitted_certification
from tests.world import JINAN, Member, World

SHANGHAI = timezone(timedelta(hours=8))
INSTANT = timedelta(microseconds=1)
MONDAY_NIGHT = datetime(2026, 3, 2, 20, 0, tzinfo=SHANGHAI)
NINE = datetime(2026, 3, 3, 9, 0, tzinfo=SHANGHAI)


async def queue(world: World, submitted: datetime = MONDAY_NIGHT) -> int:
    world.clock.set(submitted)
    return await submitted_certification(world, await applicant(world))


async def told(world: World) -> list[tuple[int, int, int]]:
    return [(row["person_id"], row["waiting"], row["late"]) for row in await world.owner.fetch(
        "SELECT person_id, waiting, late FROM review_digests ORDER BY id")]


async def test_it_goes_out_at_nine_not_a_microsecond_before_and_once(world: World):
    admin = await world.official(Role.ADMIN)
    await queue(world)
    for moment, sent in ((NINE - INSTANT, 0), (NINE, 1), (NINE + INSTANT, 0), (NINE + timedelta(hours=5), 0)):
        world.clock.set(moment)
        assert await world.sweep(send_digests) == sent
    assert await told(world) == [(admin.person_id, 1, 0)]
    world.clock.set(NINE + timedelta(days=1))
    assert await world.sweep(send_digests) == 1


async def test_its_words(world: World):
    admin = await world.official(Role.ADMIN)
    await queue(world)
    await queue(world, MONDAY_NIGHT + timedelta(hours=1))
    world.clock.set(NINE)
    await world.sweep(send_digests)
    await world.sweep(open_events)
    notice = await world.one("SELECT title, body, page FROM notices WHERE kind = 'review_digest' AND person_id = $1", admin.person_id)
    assert tuple(notice) == ("待审日报", "您有 2 项待审，最早提交于 3月2日 20:00。请及时办理。", "pages/todo/index")


async def test_what_is_late_is_counted(world: World):
    await world.official(Role.ADMIN)
    approval = await queue(world)
    due = await world.value("SELECT due_at FROM approvals WHERE id = $1", approval)
    for day, late in ((due.astimezone(SHANGHAI).date(), 0), ((due + timedelta(days=1)).astimezone(SHANGHAI).date(), 1)):
        world.clock.set(datetime(day.year, day.month, day.day, 9, tzinfo=SHANGHAI))
        await world.sweep(send_digests)
        assert (await told(world))[-1][2] == late


@pytest.mark.parametrize(("day", "sent"), [
    (datetime(2026, 3, 7, 9, tzinfo=SHANGHAI), 0),   # Saturday
    (datetime(2026, 10, 1, 9, tzinfo=SHANGHAI), 0),  # 国庆节, a Thursday
    (datetime(2026, 2, 28, 9, tzinfo=SHANGHAI), 1),  # a Saturday that is worked for the Spring Festival
])
async def test_it_keeps_to_the_working_days_of_the_state_council(world: World, day, sent):
    await world.official(Role.ADMIN)
    await queue(world, day - timedelta(days=1))
    world.clock.set(day)
    assert await world.sweep(send_digests) == sent


async def test_after_a_downtime_it_is_caught_up_once_and_days_that_were_missed_are_not(world: World):
    await world.official(Role.ADMIN)
    await queue(world)
    world.clock.set(NINE + timedelta(days=2, hours=4))  # nothing ran on Tuesday and Wednesday, nor this morning
    assert [await world.sweep(send_digests) for _ in range(2)] == [1, 0]


async def test_what_came_after_nine_is_no_part_of_it(world: World):
    await world.official(Role.ADMIN)
    await queue(world, NINE + INSTANT)
    world.clock.set(NINE + timedelta(hours=1))
    assert await world.sweep(send_digests) == 0
    await queue(world, NINE)
    world.clock.set(NINE + timedelta(hours=1))
    assert await world.sweep(send_digests) == 1


async def test_who_reviews_for_two_offices_gets_one(world: World):
    admin = await world.official(Role.ADMIN)
    office = await world.official(Role.ADMIN, region_code="370103")
    await world.member(admin.organisation_id, Role.ADMIN, region_code=JINAN, person=of(office))
    await queue(world)
    world.clock.set(NINE)
    assert await world.sweep(send_digests) == 2
    assert await told(world) == [(admin.person_id, 1, 0), (office.person_id, 1, 0)]


def of(member: Member) -> tuple[int, int, str]:
    return member.person_id, member.identity_id, member.open_id


async def test_nobody_hears_of_a_queue_that_is_not_theirs(world: World):
    await world.official(Role.ADMIN, region_code="410100")
    await world.official(Role.REVIEWER)
    await world.official(Role.PAYOUT_OFFICER)
    gone = await world.official(Role.ADMIN)
    await world.owner.execute("UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1", gone.membership_id, MONDAY_NIGHT)
    await queue(world)
    world.clock.set(NINE)
    assert await world.sweep(send_digests) == 0
    assert await told(world) == []


async def test_two_leaders_at_once_send_one(world: World):
    import asyncio

    await world.official(Role.ADMIN)
    await queue(world)
    world.clock.set(NINE)
    sent = await asyncio.gather(*(world.sweep(send_digests) for _ in range(4)))
    assert sum(sent) == 1
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'review_digest'") == 1
