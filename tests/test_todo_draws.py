"""待办 of those who make the draw and of the managers of a programme: what only a second person may do, and until when."""

from datetime import datetime
from typing import Any

from bot.links import PUBLISHED_PAGES
from handlers.draws import close_due_rounds
from handlers.todo import KINDS
from models.accounts import Role
from tests.lottery import SOURCE, TYPED, Lottery, announced, drawn, giving, officials, opened, plan
from tests.test_todo import INSTANT, of, same
from tests.world import World


def when(lottery: Lottery, column: str) -> datetime:
    return datetime.fromisoformat(lottery.round[column])


def published_at(lottery: Lottery) -> datetime:
    return datetime.fromisoformat(lottery.round["randomness"][0]["at"])


async def type_value(lottery: Lottery, by: Any, value: str = TYPED) -> None:
    status, body = await lottery.world.put(
        f"/rounds/{lottery.id}/public-values", {"values": [{"source": SOURCE, "value": value}]}, by=by
    )
    assert status == 200, body


async def test_each_of_the_two_is_asked_for_a_secret_until_it_is_there(world: World) -> None:
    lottery = await announced(world)
    officer, witness = lottery.people.officer, lottery.people.witness
    waits: dict[str, Any] = {"secret_to_commit": (1, 0, when(lottery, "closes_at"))}
    for member in (officer, witness, await world.official(Role.WITNESS), await world.official(Role.WITNESS, region_code=None)):
        assert same(await of(world, member), waits)
    assert await of(world, await world.official(Role.WITNESS, region_code="410100")) == {}
    _, body = await world.get("/todo", by=officer)
    [task] = body["items"][0]["items"]
    assert (task["title"], task["page"]) == ("2026年第一批", f"pages/rounds/show?id={lottery.id}")
    assert (await world.put(f"/rounds/{lottery.id}/draw-secret", {}, by=officer))[0] == 200
    # The role is taken: neither who took it nor a colleague has anything to do.
    assert await of(world, officer) == await of(world, await world.official(Role.DRAW_OFFICER)) == {}
    assert same(await of(world, witness), waits)
    assert (await world.put(f"/rounds/{lottery.id}/draw-secret", {}, by=witness))[0] == 200
    assert await of(world, witness) == {}


async def test_who_has_one_secret_of_a_round_is_not_asked_for_the_other(world: World) -> None:
    lottery = await announced(world)
    officer = lottery.people.officer
    assert (await world.put(f"/rounds/{lottery.id}/draw-secret", {}, by=officer))[0] == 200
    await world.owner.execute("UPDATE memberships SET role = 'witness' WHERE id = $1", officer.membership_id)
    assert await of(world, officer) == {}


async def test_a_closed_round_waits_late_for_its_secrets_until_a_value_is_published_then_it_must_be_voided(world: World) -> None:
    lottery = await announced(world)
    manager, witness = lottery.people.maker, lottery.people.witness
    await lottery.open()
    closes = when(lottery, "closes_at")
    for moment, late in ((closes - INSTANT, 0), (closes, 1)):
        world.clock.set(moment)
        assert same(await of(world, witness), {"secret_to_commit": (1, late, closes)})
    await lottery.close()
    world.clock.set(published_at(lottery) - INSTANT)
    assert same(await of(world, witness), {"secret_to_commit": (1, 1, closes)})
    assert await of(world, manager) == {}
    world.clock.set(published_at(lottery))
    assert await of(world, witness) == {}
    assert await of(world, manager) == {"round_to_void": (1, 0, None)}
    assert (await world.put(f"/rounds/{lottery.id}/voiding", {"reason": "错过公开数"}, by=manager))[0] == 200
    assert await of(world, manager) == {}


async def test_a_public_value_is_asked_of_both_from_its_instant_on(world: World) -> None:
    lottery = await opened(world)
    officer, witness = lottery.people.officer, lottery.people.witness
    await lottery.close()
    draws = when(lottery, "draw_at")
    waits: dict[str, Any] = {"value_to_type": (1, 0, draws)}
    for moment, shown in ((published_at(lottery) - INSTANT, {}), (published_at(lottery), waits)):
        world.clock.set(moment)
        assert same(await of(world, officer), shown)
        assert same(await of(world, witness), shown)
    await type_value(lottery, officer)
    assert await of(world, officer) == await of(world, await world.official(Role.DRAW_OFFICER)) == {}
    lottery.set("draw_at")
    assert same(await of(world, witness), {"value_to_type": (1, 1, draws)})
    assert await of(world, await world.official(Role.WITNESS, region_code="410100")) == {}
    await type_value(lottery, witness)
    assert await of(world, witness) == {}


async def test_who_typed_a_value_in_one_role_is_not_asked_for_it_in_the_other(world: World) -> None:
    lottery = await opened(world)
    officer = lottery.people.officer
    await lottery.close()
    world.clock.set(published_at(lottery))
    await type_value(lottery, officer)
    await world.owner.execute("UPDATE memberships SET role = 'witness' WHERE id = $1", officer.membership_id)
    assert await of(world, officer) == {}


async def test_a_round_of_first_come_has_no_draw_to_wait_for(world: World) -> None:
    lottery = await giving(world, opened=False)
    assert await of(world, lottery.people.officer) == {}
    await lottery.open()
    assert await of(world, lottery.people.witness) == {}


async def test_a_round_is_issued_by_a_second_manager_when_the_publicity_is_over(world: World) -> None:
    lottery, _ = await drawn(world)
    maker, second = lottery.people.maker, lottery.people.second
    await lottery.publicise()
    lottery.set("publicity_until", -1)
    assert await of(world, second) == {}
    lottery.set("publicity_until")
    everywhere = await world.official(Role.PROGRAMME_MANAGER, region_code=None)
    assert await of(world, second) == await of(world, everywhere) == {"round_to_finish": (1, 0, None)}
    assert await of(world, maker) == {}
    await lottery.finalise()
    assert await of(world, second) == {}


async def test_a_proposed_voiding_waits_for_another_manager(world: World) -> None:
    lottery, _ = await drawn(world)
    maker, second = lottery.people.maker, lottery.people.second
    assert (await world.post(f"/rounds/{lottery.id}/voiding", {"reason": "名单有误"}, by=maker))[0] == 201
    assert await of(world, maker) == {}
    assert await of(world, second) == {"voiding_to_confirm": (1, 0, None)}
    assert (await world.delete(f"/rounds/{lottery.id}/voiding", by=maker))[0] == 200
    assert await of(world, second) == {}


async def test_a_drafted_policy_waits_for_a_second_manager(world: World) -> None:
    people, programme = await officials(world), await world.programme()
    status, policy = await world.post(f"/programmes/{programme.id}/policies", {"rules": {}}, by=people.maker)
    assert status == 201, policy
    assert await of(world, people.second) == {"policy_to_confirm": (1, 0, None)}
    for member in (people.maker, await world.official(Role.PROGRAMME_MANAGER, region_code="410100")):
        assert await of(world, member) == {}
    _, body = await world.get("/todo", by=people.second)
    name = await world.value("SELECT name FROM programmes WHERE id = $1", programme.id)
    [task] = body["items"][0]["items"]
    assert (task["id"], task["title"]) == (policy["id"], f"{name} 第{policy['number']}版")
    assert (await world.put(f"/programmes/{programme.id}/policies/{policy['id']}/confirmation", by=people.second))[0] == 200
    assert await of(world, people.second) == {}


async def test_a_drafted_round_waits_until_it_opens(world: World) -> None:
    people, programme = await officials(world), await world.programme()
    status, drafted = await world.post(f"/programmes/{programme.id}/rounds", plan(world, programme), by=people.maker)
    assert status == 201, drafted
    opens = datetime.fromisoformat(drafted["opens_at"])
    for moment, late in ((opens - INSTANT, 0), (opens, 1)):
        world.clock.set(moment)
        assert same(await of(world, people.second), {"round_to_confirm": (1, late, opens)})


async def test_a_committed_round_asks_the_managers_nothing(world: World) -> None:
    lottery = await opened(world)
    lottery.set("closes_at")
    assert await world.sweep(close_due_rounds) == 1
    world.clock.set(published_at(lottery))
    assert await of(world, lottery.people.maker) == await of(world, lottery.people.second) == {}


def test_every_page_of_the_todo_is_one_of_the_mini_program() -> None:
    assert {page.partition("?")[0] for _, *pages in KINDS.values() for page in pages} <= PUBLISHED_PAGES
