"""Between a draw and its publicity (公示时间) nothing that anybody may read tells the result (E18)."""

import re
from typing import Any

import pytest

from bot.menus import EVERYBODY
from handlers.draws import close_due_rounds, draw_due_rounds
from handlers.rounds import publicise_due_rounds
from miniapp_api.apis import APIS
from miniapp_api.routing import Operation
from models.accounts import OrganisationKind, Role
from tests.lottery import SOURCE, Lottery, announced, opened, plan, reserve
from tests.races import without
from tests.talking import Speaker
from tests.world import Member, World

GETS = [operation for api in APIS for operation in api.operations if operation.method == "GET"]
# In the gap of the first round: it opens before the draw and closes after the publicity.
SECOND = {"opens_at": 3, "closes_at": 6, "draw_at": 8, "publicity_at": 9, "publicity_until": 30}
AS_ENTERPRISE = "SELECT id FROM {table} WHERE {owner} = $1 ORDER BY id DESC LIMIT 1"
OWN = {
    "reservation_id": ("reservations", "organisation_id"), "application_id": ("applications", "organisation_id"),
    "notice_id": ("notices", "organisation_id"), "enterprise_id": ("organisations", "id"), "organisation_id": ("organisations", "id"),
}
QUERIES = {"list_rounds": "?open_only=true", "list_draw_tickets": "?limit=100"}


def second_round(world: World) -> dict[str, Any]:
    times = {name: world.at(hours=hours).isoformat() for name, hours in SECOND.items()}
    return times | {"number": "2", "randomness": [{"name": SOURCE, "at": world.at(hours=7).isoformat(), "format": "ssq"}]}


async def gap(world: World) -> tuple[Lottery, Lottery]:
    """Three tickets for one win and one alternate, everything ready for the draw; a second round of the same types is open."""
    later = second_round(world)
    first = await opened(world, cap=1)
    second = await announced(world, programme=first.programme, people=first.people, cap=1, **later)
    await second.secrets()
    await first.enter(3)
    await first.close()
    await first.type_values()
    await second.open()
    first.set("draw_at")
    return first, second


def paths(operation: Operation, ids: dict[str, list[int]]) -> list[tuple[str, str]]:
    """(what two enterprises call it alike, the path) for each thing it may be asked of."""
    found = [(f"{operation.name} {operation.path}", operation.path + QUERIES.get(operation.name, ""))]
    for parameter in operation.parameters:
        place, values = "{" + parameter.name + "}", ids.get(parameter.name, [1])
        found = [(label.replace(place, str(value)) if len(values) > 1 else label, path.replace(place, str(value)))
                 for label, path in found for value in values]
    return found


async def ids_of(world: World, member: Member, rounds: tuple[Lottery, ...]) -> dict[str, list[int]]:
    own = {}
    for name, (table, owner) in OWN.items():
        own[name] = [await world.value(AS_ENTERPRISE.format(table=table, owner=owner), member.organisation_id) or 1]
    return own | {"round_id": [each.id for each in rounds], "programme_id": [rounds[0].programme.id]}


async def everything(world: World, member: Member, rounds: tuple[Lottery, ...]) -> dict[str, Any]:
    """Whatever an owner of an enterprise may ask, leaf by leaf, and what the bot says to each entry of its menu."""
    ids = await ids_of(world, member, rounds)
    seen: dict[str, Any] = {}
    for operation in GETS:
        if operation.who.anonymous or not operation.who.roles or OrganisationKind.ENTERPRISE in operation.who.kinds:
            for name, path in paths(operation, ids):
                async with world.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {member.token}"}) as response:
                    seen |= leaves(name, await response.json() if "json" in response.content_type else await response.read())
                    seen[f"{name} status"] = response.status
    speaker = Speaker(world, member)
    for key in [key for _, entries in EVERYBODY for _, key in entries if key != "human"]:  # answers with a number of its own
        seen[f"bot {key}"] = re.sub(r"R\d+-\d{8}|https?://\S+", "", await speaker.menu(key))  # the own number, a link for one
    return {name: value for name, value in seen.items() if not name.endswith(".request_id")}


def leaves(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict | list):
        inside = list(value.items() if isinstance(value, dict) else enumerate(value))
        return {f"{name} #": len(value)} | {key: leaf for at, each in inside for key, leaf in leaves(f"{name}.{at}", each).items()}
    return {name: value}


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: (before.get(name), after.get(name)) for name in before | after if before.get(name) != after.get(name)}


async def seen_by_each(world: World) -> tuple[tuple[Lottery, Lottery], dict[str, dict[str, Any]]]:
    """What the draw changed for the eyes of the winner, of the alternate and of who has lost."""
    rounds = await gap(world)
    before = [await everything(world, member, rounds) for member in rounds[0].players]
    assert await world.sweep(draw_due_rounds) == 1
    rounds[0].set("publicity_at", -1)
    states = await rounds[0].states()
    assert sorted(states) == ["alternate", "submitted", "won"]
    after = [await everything(world, member, rounds) for member in rounds[0].players]
    return rounds, {state: changed(*seen) for state, *seen in zip(states, before, after, strict=True)}


async def test_winner_alternate_and_loser_see_the_same_until_the_publicity(world: World) -> None:
    (first, second), seen = await seen_by_each(world)
    assert seen["won"] == seen["alternate"] == seen["submitted"]
    assert seen["won"][f"get_round /rounds/{first.id}.state"] == ("committed", "drawn")
    names = {name.split()[0] for name in await everything(world, first.players[0], (first, second))}
    assert {"explain_reservation", "list_reservations", "get_reservation", "get_draw", "list_lots", "list_todos", "list_notices"} <= names
    first.set("publicity_at")
    assert await world.sweep(publicise_due_rounds) == 1
    assert sorted([(await world.get("/reservations", by=each))[1]["items"][0]["state"] for each in first.players]) == [
        "alternate", "lost", "won"]


async def test_a_count_of_unpublished_wins_would_tell_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.reservations.FACTS", "d.state = 'drawn'", "false")
    (first, second), seen = await seen_by_each(world)
    differs = {name for name in seen["won"] if seen["won"][name] != seen["submitted"].get(name)}
    assert {name.split(".")[0] for name in differs if not name.startswith("bot")} == {
        f"explain_reservation /rounds/{each.id}/eligibility" for each in (first, second)}


async def test_everybody_reserves_and_changes_alike_in_the_gap_and_nobody_gives_up(world: World) -> None:
    first, second = await gap(world)
    assert await world.sweep(draw_due_rounds) == 1
    tickets = [row["id"] for row in await world.owner.fetch("SELECT id FROM reservations ORDER BY id")]
    for member, ticket in zip(first.players, tickets, strict=True):
        assert (await reserve(second, member, first.programme.audit))[0] == 201
        for kind in (first.programme.general, first.programme.audit):
            changed = await world.put(f"/rounds/{second.id}/reservation", {"voucher_type_id": kind}, by=member)
            assert changed[0] == 200
        assert (await world.delete(f"/rounds/{second.id}/reservation", by=member))[0] == 200
        assert (await reserve(second, member, first.programme.audit))[0] == 201
        status, body = await world.put(f"/reservations/{ticket}/declination", by=member)
        assert (status, body["code"]) == (409, "nothing_to_decline")
    first.set("publicity_at")
    await world.sweep(publicise_due_rounds)
    shown = [(await world.get(f"/rounds/{second.id}/eligibility", by=each))[1]["voucher_types"][0]["rules"][0]["actual"]
             for each in first.players]
    assert sorted(shown) == [0, 0, 1]


async def test_the_audit_trail_names_the_chosen_after_the_publicity(world: World) -> None:
    first, _ = await gap(world)
    await world.sweep(draw_due_rounds)
    admin = await world.official(Role.ADMIN, region_code=None)
    ids = [row["id"] for row in await world.owner.fetch("SELECT id FROM reservations ORDER BY id")]

    async def actions() -> list[list[str]]:
        pages = [await world.get(f"/audit?subject=reservation&subject_id={each}", by=admin) for each in ids]
        return sorted([entry["action"] for entry in page["items"]] for _, page in pages)

    assert await actions() == [["reservation.submitted"]] * 3
    _, trail = await world.get(f"/audit?subject=round&subject_id={first.id}", by=admin)
    assert (trail["items"][0]["action"], trail["items"][0]["data"]) == ("round.drawn", {"winners": 1})
    first.set("publicity_at")
    await world.sweep(publicise_due_rounds)
    assert await actions() == [
        ["reservation.alternate", "reservation.submitted"], ["reservation.submitted"], ["reservation.won", "reservation.submitted"]]
    _, trail = await world.get(f"/audit?subject=round&subject_id={first.id}", by=admin)
    assert (await world.get(f"/rounds/{first.id}/draw"))[1]["reveal"]["seed"] == trail["items"][0]["data"]["seed"]


# --- the list of another round ---------------------------------------------------------------------------------------


async def late(world: World) -> tuple[Lottery, Lottery]:
    """The first round is drawn late, so that the second closes before the first is public."""
    first, second = await gap(world)
    for member in first.players:
        await reserve(second, member, first.programme.audit)
    second.set("closes_at")
    assert await world.sweep(draw_due_rounds) == 1
    return first, second


async def test_a_list_is_not_committed_before_the_result_that_it_would_tell_is_public(world: World) -> None:
    _, second = await late(world)
    await world.sweep(close_due_rounds)
    assert await second.state() == "closed"
    assert (await world.get(f"/rounds/{second.id}/draw"))[1]["commitment"] is None
    await world.sweep(publicise_due_rounds)
    assert await world.sweep(close_due_rounds) == 1
    _, listed = await world.get(f"/rounds/{second.id}/draw/tickets")
    assert sorted(item["line"][-2:] for item in listed["items"]) == ["|0", "|1", "|1"]


async def test_a_list_that_did_not_wait_would_tell_the_winner(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.draws.BLOCKED", "('committed', 'drawn')", "('committed')")
    first, second = await late(world)
    await world.sweep(close_due_rounds)
    assert (await first.state(), await second.state()) == ("drawn", "committed")
    _, listed = await world.get(f"/rounds/{second.id}/draw/tickets")
    assert sorted(item["line"][-2:] for item in listed["items"]) == ["|0", "|1", "|1"]


@pytest.mark.parametrize(("closes", "status"), [(5, 422), (5.01, 200)])
async def test_a_round_that_closes_before_the_result_of_another_is_public_is_not_announced(
    world: World, closes: float, status: int
) -> None:
    times = second_round(world) | {"closes_at": world.at(hours=closes).isoformat()}
    first = await opened(world, cap=1)
    _, drafted = await world.post(
        f"/programmes/{first.programme.id}/rounds", plan(world, first.programme) | times, by=first.people.maker
    )
    found, body = await world.put(f"/rounds/{drafted['id']}/confirmation", by=first.people.second)
    assert (found, body.get("data")) == (status, {"problem": "overlaps"} if status == 422 else None)
