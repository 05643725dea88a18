"""异议: within the publicity time an enterprise with a ticket objects to a win or to the draw; nothing is issued before the answer."""

from typing import Any

import pytest

from handlers.notices import open_events
from models.accounts import Role
from tests.applications import file
from tests.books import expect_broken
from tests.lottery import Lottery, drawn, giving, qualified
from tests.races import without
from tests.world import Member, World

REASON = "该企业已被列入失信名单"
TABLES = ("draw_objections", "draw_objection_files", "approvals", "rounds", "reservations", "events", "audit_entries")


async def publicised(world: World, tickets: int = 3) -> tuple[Lottery, Member, str]:
    """A round whose result is public, somebody who has lost, and the winning ticket's number."""
    lottery, receipts = await drawn(world, tickets=tickets)
    await lottery.publicise()
    lost = (await lottery.states()).index("submitted")
    won = (await lottery.states()).index("won")
    return lottery, lottery.players[lost], receipts[won]["ticket_no"]


async def objects(lottery: Lottery, by: Member, **body: Any) -> tuple[int, Any]:
    return await lottery.world.post(f"/rounds/{lottery.id}/objections", {"reason": REASON, **body}, by=by)


async def waiting(world: World) -> int:
    found: int = await world.value("SELECT id FROM approvals WHERE kind = 'draw_objection' AND state = 'open'")
    return found


async def decide(world: World, by: Member, verb: str, **body: Any) -> tuple[int, Any]:
    return await world.post(f"/approvals/{await waiting(world)}/{verb}", body, by=by)


async def own(lottery: Lottery, by: Member) -> list[Any]:
    status, body = await lottery.world.get(f"/rounds/{lottery.id}/objections", by=by)
    assert status == 200
    found: list[Any] = body["items"]
    return found


async def test_an_objection_to_a_win_holds_the_vouchers_up_until_it_is_answered(world: World) -> None:
    lottery, loser, ticket = await publicised(world)
    evidence = await file(world, loser, "appeal")
    status, made = await objects(lottery, loser, ticket_no=ticket, attachment_ids=[evidence])
    assert (status, made["state"], made["ticket_no"], made["attachment_ids"]) == (201, "open", ticket, [evidence])
    assert made["queue"]["position"] == 1
    admin = await world.official(Role.ADMIN)
    _, case = await world.get(f"/approvals/{await waiting(world)}", by=admin)
    assert (case["approval"]["title"], case["facts"]["objection"]["reason"]) == ("摇号异议：2026年第一批", REASON)
    async with world.client.get(f"/api/v1/attachments/{evidence}", headers={"Authorization": f"Bearer {admin.token}"}) as response:
        assert response.status == 200
    lottery.set("publicity_until")
    before = await world.snapshot(*TABLES, "lots")
    status, body = await world.put(f"/rounds/{lottery.id}/finalisation", by=lottery.people.second)
    assert (status, body["code"], body["data"]) == (409, "round_contested", {"objections": 1, "disqualifications": 0, "voiding": False})
    assert await world.snapshot(*TABLES, "lots") == before
    assert (await decide(world, admin, "rejection", reason="经核实未列入名单"))[0] == 200
    [answered] = await own(lottery, loser)
    assert (answered["state"], answered["answer"], answered["queue"]) == ("dismissed", "经核实未列入名单", None)
    while await world.sweep(open_events):
        pass
    _, inbox = await world.get("/notices", by=loser)
    told = next(each for each in inbox["items"] if each["kind"] == "draw_objection_result")
    assert (told["title"], told["body"]) == (
        "摇号异议：异议不成立", "贵企业对「2026年第一批」的异议：异议不成立，说明：经核实未列入名单。")
    await lottery.finalise()


async def test_an_objection_to_the_draw_that_is_right_proposes_to_void_the_round(world: World) -> None:
    lottery, loser, _ = await publicised(world)
    assert (await objects(lottery, loser))[1]["ticket_no"] is None
    admin = await world.official(Role.ADMIN)
    assert (await decide(world, admin, "approval", remark="清单有误"))[0] == 200
    assert (await own(lottery, loser))[0]["state"] == "upheld"
    lottery.set("publicity_until")
    _, body = await world.put(f"/rounds/{lottery.id}/finalisation", by=lottery.people.second)
    assert (body["code"], body["data"]) == ("round_contested", {"objections": 0, "disqualifications": 0, "voiding": True})
    status, body = await world.post(f"/rounds/{lottery.id}/voiding/confirmation", by=lottery.people.maker)
    assert (status, body["void_reason"]) == (200, "异议成立：清单有误")


async def test_who_had_a_part_in_the_round_or_is_the_winners_does_not_decide(world: World) -> None:
    lottery, loser, ticket = await publicised(world)
    await objects(lottery, loser, ticket_no=ticket)
    admin = await world.official(Role.ADMIN)
    winner = next(each for each, state in zip(lottery.players, await lottery.states(), strict=True) if state == "won")
    of_winner = await world.official(Role.ADMIN)
    await world.owner.execute(
        "INSERT INTO memberships (person_id, organisation_id, role, state, created_at) VALUES ($1, $2, 'viewer', 'active', now())",
        of_winner.person_id, winner.organisation_id)
    people = lottery.people
    for one in (people.maker, people.second, people.officer, people.witness):
        person = (one.person_id, one.identity_id, one.open_id)
        other = await world.member(one.organisation_id, Role.ADMIN, person=person, region_code="370100")
        assert (await decide(world, other, "rejection", reason="x"))[1]["code"] == "original_reviewer"
    assert (await decide(world, of_winner, "rejection", reason="x"))[1]["code"] == "own_case"
    elsewhere = await world.official(Role.ADMIN, region_code="370200")
    assert (await decide(world, elsewhere, "rejection", reason="x"))[0] == 404
    assert (await decide(world, admin, "return", reason="x", items=[]))[0] in {404, 422}
    assert (await decide(world, admin, "approval"))[1]["code"] == "decision_incomplete"
    assert (await own(lottery, loser))[0]["state"] == "open"


@pytest.mark.parametrize(("column", "microseconds", "code"), [
    ("publicity_at", -1, "draw_objection_closed"), ("publicity_until", -1, None), ("publicity_until", 0, "draw_objection_closed"),
])
async def test_an_objection_is_made_within_the_publicity_time(
    world: World, column: str, microseconds: int, code: str | None
) -> None:
    lottery, _ = await drawn(world, tickets=1)
    if column == "publicity_until":
        await lottery.publicise()
    lottery.set(column, microseconds)
    before = await world.snapshot(*TABLES)
    status, body = await objects(lottery, lottery.players[0])
    assert (status, body.get("code")) == ((409, code) if code else (201, None))
    assert (await world.snapshot(*TABLES) == before) is (code is not None)


async def test_what_is_no_objection_changes_nothing(world: World) -> None:
    lottery, loser, ticket = await publicised(world)
    stranger = await qualified(world, lottery.programme)
    theirs = await file(world, lottery.players[0], "appeal")
    other = lottery.players[1] if loser is lottery.players[0] else loser
    own_id = await world.value("SELECT id FROM reservations WHERE organisation_id = $1", loser.organisation_id)
    before = await world.snapshot(*TABLES)
    for by, body, code in (
        (stranger, {}, "draw_objection_without_ticket"), (loser, {"ticket_no": "R1-00000001"}, "draw_win_unknown"),
        (loser, {"ticket_no": f"R202603-{own_id:08d}"}, "draw_win_unknown"), (other, {"attachment_ids": [theirs]}, "not_found"),
        (loser, {"reason": " "}, "invalid"), (loser, {"reason": "字" * 501}, "invalid"),
    ):
        status, answer = await objects(lottery, by, **body)
        assert (status in {403, 404, 422}, answer["code"] == code or answer["code"].startswith(code)) == (True, True), (body, answer)
    assert await world.snapshot(*TABLES) == before
    assert (await objects(lottery, loser))[0] == 201
    assert (await objects(lottery, loser, ticket_no=ticket))[1]["code"] == "draw_objection_open"
    assert (await decide(world, await world.official(Role.ADMIN), "rejection", reason="不成立"))[0] == 200
    assert (await objects(lottery, loser, ticket_no=ticket))[0] == 201
    assert await own(lottery, other if other is not loser else stranger) == []


async def test_with_the_round_its_open_objections_are_over(world: World) -> None:
    lottery, loser, ticket = await publicised(world)
    await objects(lottery, loser, ticket_no=ticket)
    path = f"/rounds/{lottery.id}/voiding"
    assert (await world.post(path, {"reason": "名单有误"}, by=lottery.people.maker))[0] == 201
    assert (await world.post(f"{path}/confirmation", by=lottery.people.second))[0] == 200
    assert [(each["state"], each["answer"]) for each in await own(lottery, loser)] == [("lapsed", None)]
    assert await world.value("SELECT state FROM approvals WHERE kind = 'draw_objection'") == "withdrawn"


async def test_a_round_without_a_draw_has_no_publicity_to_object_in(world: World) -> None:
    giving_out = await giving(world)
    member = await qualified(world, giving_out.programme)
    await world.post(f"/rounds/{giving_out.id}/reservation", {"voucher_type_id": giving_out.programme.audit}, by=member)
    assert (await objects(giving_out, member))[1]["code"] == "draw_objection_closed"


async def test_without_the_look_at_objections_vouchers_would_be_issued_under_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.wins.OPEN_OBJECTIONS", "state = 'open'", "false")
    lottery, loser, _ = await publicised(world)
    await objects(lottery, loser)
    await lottery.finalise()
    expect_broken("draw_objections_open_are_looked_at")
