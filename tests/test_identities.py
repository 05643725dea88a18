"""切换身份 in a chat: the list, the choice from the next sentence on, and nobody else's organisation."""

from handlers.context import Context
from handlers.speakers import actor_of
from models.accounts import OrganisationKind, Platform, Role
from tests.talking import Speaker
from tests.world import Member, World


async def somebody_with_two(world: World) -> tuple[Member, Member]:
    """The same person at an enterprise and at an institution."""
    first = await world.enterprise()
    person = (first.person_id, first.identity_id, first.open_id)
    return first, await world.member(await world.organisation(OrganisationKind.INSTITUTION), Role.HANDLER, person=person)


async def acting(world: World, member: Member) -> int | None:
    return (await actor_of(member.identity_id)).membership_id


async def test_the_list_says_who_one_may_be_and_a_number_switches_from_the_next_sentence_on(world: World):
    first, second = await somebody_with_two(world)
    names = [await world.value("SELECT name FROM organisations WHERE id = $1", one.organisation_id) for one in (first, second)]
    speaker = Speaker(world, first, Platform.WECHAT_OA)
    assert await acting(world, first) is None  # of two, none was chosen yet
    assert await speaker.say("切换身份") == (
        f"您可以使用的身份：\n1. {names[0]}（负责人）\n2. {names[1]}（经办人）\n回复「切换身份 编号」即可切换。"
    )
    assert await speaker.tap("切换身份 2") == f"已切换为「{names[1]}」（经办人），之后在本对话中以此身份办理。"
    assert await acting(world, first) == second.membership_id
    assert f"2. {names[1]}（经办人） 当前" in await speaker.say("换个身份")
    assert await speaker.say("切换身份 1") == f"已切换为「{names[0]}」（负责人），之后在本对话中以此身份办理。"
    assert await acting(world, first) == first.membership_id


async def test_a_number_that_is_not_on_the_list_switches_nothing(world: World):
    first, second = await somebody_with_two(world)
    speaker = Speaker(world, second)
    for typed in ("切换身份 3", f"切换身份 {first.membership_id + 1_000}"):
        assert (await speaker.say(typed)).startswith("您可以使用的身份")
    assert await acting(world, first) is None


async def test_an_ended_membership_is_offered_no_more_and_falls_back(world: World):
    first, second = await somebody_with_two(world)
    speaker = Speaker(world, first)
    await speaker.say("切换身份 2")
    await world.owner.execute(
        "UPDATE memberships SET state = 'ended', ended_at = $2 WHERE id = $1", second.membership_id, world.clock.now()
    )
    assert await acting(world, first) == first.membership_id
    assert "2." not in await speaker.say("切换身份")


async def test_somebody_without_an_organisation_is_told_so(world: World):
    person_id, identity_id, _ = await world.person()
    member = Member(person_id, identity_id, 0, 0, Role.VIEWER, "")
    speaker = Speaker(world, member)
    assert isinstance(await speaker.context(), Context)
    assert await speaker.say("切换身份") == "您还没有加入任何单位，请在小程序中登记单位或请负责人添加您。"
