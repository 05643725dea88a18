"""取消中签资格: a published win is taken away by two officials, the next alternate moves up, and the enterprise may appeal."""

from typing import Any

from handlers.notices import open_events
from models.accounts import Role
from tests.lottery import Lottery, drawn
from tests.world import Member, World

REASON = "经核实已注销"
TABLES = ("approvals", "rounds", "reservations", "events", "audit_entries", "lots")


async def publicised(world: World, **changes: Any) -> tuple[Lottery, Member, dict[str, Any]]:
    """A round whose result is public, who has won it, and with which receipt."""
    lottery, receipts = await drawn(world, tickets=3, **changes)
    await lottery.publicise()
    won = (await lottery.states()).index("won")
    return lottery, lottery.players[won], receipts[won]


async def proposes(lottery: Lottery, ticket_no: str, by: Member | None = None) -> tuple[int, Any]:
    return await lottery.world.post(
        f"/rounds/{lottery.id}/disqualifications", {"ticket_no": ticket_no, "reason": REASON}, by=by or lottery.people.maker
    )


async def decide(world: World, by: Member, verb: str, kind: str = "disqualification", **body: Any) -> tuple[int, Any]:
    waiting = await world.value("SELECT id FROM approvals WHERE kind = $1 AND state = 'open'", kind)
    return await world.post(f"/approvals/{waiting}/{verb}", body, by=by)


async def shown(world: World, by: Member, reservation_id: int) -> str:
    found: str = (await world.get(f"/reservations/{reservation_id}", by=by))[1]["state"]
    return found


async def taken_away(world: World, **changes: Any) -> tuple[Lottery, Member, dict[str, Any]]:
    lottery, winner, receipt = await publicised(world, **changes)
    assert (await proposes(lottery, receipt["ticket_no"]))[0] == 201
    assert (await decide(world, await world.official(Role.ADMIN), "approval"))[0] == 200
    return lottery, winner, receipt


async def test_a_win_is_taken_away_by_two_and_the_next_alternate_moves_up(world: World) -> None:
    lottery, winner, receipt = await publicised(world, cap=1)
    status, body = await proposes(lottery, receipt["ticket_no"])
    assert (status, [(each["ticket_no"], each["state"], each["reason"]) for each in body["items"]]) == (
        201, [(receipt["ticket_no"], "open", REASON)])
    assert (await proposes(lottery, receipt["ticket_no"]))[1]["code"] == "disqualification_proposed"
    assert await shown(world, winner, receipt["id"]) == "won"
    lottery.set("publicity_until")
    before = await world.snapshot(*TABLES)
    _, body = await world.put(f"/rounds/{lottery.id}/finalisation", by=lottery.people.second)
    assert (body["code"], body["data"]) == ("round_contested", {"objections": 0, "disqualifications": 1, "voiding": False})
    maker = lottery.people.maker
    same = await world.member(
        maker.organisation_id, Role.ADMIN, person=(maker.person_id, maker.identity_id, maker.open_id), region_code="370100")
    assert (await decide(world, same, "approval"))[0] == 403
    assert await world.snapshot(*TABLES) == before
    assert (await decide(world, await world.official(Role.ADMIN), "approval"))[0] == 200
    assert await shown(world, winner, receipt["id"]) == "disqualified"
    assert sorted(await lottery.states()) == ["disqualified", "submitted", "won"]
    assert await world.value("SELECT count(*) FROM reservations WHERE win_nth IS NOT NULL") == 1
    while await world.sweep(open_events):
        pass
    _, inbox = await world.get("/notices", by=winner)
    told = next(each for each in inbox["items"] if each["kind"] == "reservation_disqualified")
    assert told["body"] == (
        f"贵企业在「2026年第一批」的中签（票号 {receipt['ticket_no']}）已取消，原因：{REASON}。如有异议，可在 15 个工作日内申诉。")
    await lottery.finalise()
    assert await world.value("SELECT count(*) FROM lots") == 1


async def test_what_is_not_confirmed_stays_a_win(world: World) -> None:
    lottery, winner, receipt = await publicised(world)
    await proposes(lottery, receipt["ticket_no"])
    assert (await decide(world, await world.official(Role.ADMIN), "rejection", reason="查无实据"))[0] == 200
    _, body = await world.get(f"/rounds/{lottery.id}/disqualifications", by=lottery.people.second)
    assert [(each["state"], each["answer"]) for each in body["items"]] == [("rejected", "查无实据")]
    assert await shown(world, winner, receipt["id"]) == "won"
    await lottery.finalise()


async def test_only_a_published_win_of_the_jurisdiction_is_proposed(world: World) -> None:
    lottery, receipts = await drawn(world, tickets=3)
    before = await world.snapshot(*TABLES)
    assert (await proposes(lottery, receipts[0]["ticket_no"]))[1]["code"] == "round_state_wrong"
    assert await world.snapshot(*TABLES) == before
    await lottery.publicise()
    lost = receipts[(await lottery.states()).index("submitted")]["ticket_no"]
    elsewhere = await world.official(Role.PROGRAMME_MANAGER, region_code="370200")
    before = await world.snapshot(*TABLES)
    for ticket in (lost, "R1-00000001"):
        assert (await proposes(lottery, ticket))[1]["code"] == "draw_win_unknown"
    assert (await proposes(lottery, lost, elsewhere))[0] == 404
    assert (await world.get(f"/rounds/{lottery.id}/disqualifications", by=elsewhere))[0] == 404
    assert await world.snapshot(*TABLES) == before


async def test_who_gives_up_or_whose_round_is_voided_needs_no_decision(world: World) -> None:
    lottery, winner, receipt = await publicised(world)
    await proposes(lottery, receipt["ticket_no"])
    assert (await world.put(f"/reservations/{receipt['id']}/declination", by=winner))[0] == 200
    assert await world.value("SELECT state FROM approvals WHERE kind = 'disqualification'") == "withdrawn"
    moved_up = await world.value("SELECT id FROM reservations WHERE state = 'won'")
    await proposes(lottery, f"R202603-{moved_up:08d}")
    path = f"/rounds/{lottery.id}/voiding"
    await world.post(path, {"reason": "名单有误"}, by=lottery.people.maker)
    assert (await world.post(f"{path}/confirmation", by=lottery.people.second))[0] == 200
    assert await world.value("SELECT count(*) FROM approvals WHERE state = 'open'") == 0


async def test_an_objection_that_is_right_is_the_proposal_of_who_upheld_it(world: World) -> None:
    lottery, winner, receipt = await publicised(world)
    loser = lottery.players[(await lottery.states()).index("submitted")]
    body = {"reason": "该企业已注销", "ticket_no": receipt["ticket_no"]}
    assert (await world.post(f"/rounds/{lottery.id}/objections", body, by=loser))[0] == 201
    first, second = await world.official(Role.ADMIN), await world.official(Role.ADMIN)
    assert (await decide(world, first, "approval", "draw_objection", remark=REASON))[0] == 200
    assert (await decide(world, first, "approval"))[0] == 403
    assert await shown(world, winner, receipt["id"]) == "won"
    assert (await decide(world, second, "approval"))[0] == 200
    assert await shown(world, winner, receipt["id"]) == "disqualified"


# --- the appeal ------------------------------------------------------------------------------------------------------


async def appeals(world: World, by: Member, reservation_id: int) -> tuple[int, Any]:
    return await world.post("/appeals", {"against": "disqualification", "subject_id": reservation_id, "statement": "并未注销"}, by=by)


async def test_a_right_appeal_brings_the_win_back_into_a_free_place_and_before_another_official(world: World) -> None:
    lottery, winner, receipt = await taken_away(world, alternates=0, cap=1)
    status, body = await appeals(world, winner, receipt["id"])
    assert (status, body["title"], body["kind"]) == (201, "取消中签资格：2026年第一批", "disqualification")
    reviewer = await world.official(Role.ADMIN)
    assert (await decide(world, reviewer, "approval", "appeal", remark="营业执照有效"))[0] == 200
    assert await shown(world, winner, receipt["id"]) == "won"
    _, mine = await world.get(f"/appeals/{body['id']}", by=winner)
    assert (mine["state"], mine["reopened"]) == ("overturned", True)
    lottery.set("publicity_until")
    _, refused = await world.put(f"/rounds/{lottery.id}/finalisation", by=lottery.people.second)
    assert refused["data"]["disqualifications"] == 1
    third = await world.official(Role.ADMIN)
    assert (await decide(world, third, "rejection", reason="营业执照有效"))[0] == 200
    await lottery.finalise()
    assert await shown(world, winner, receipt["id"]) == "issued"


async def test_where_an_alternate_has_the_place_there_is_nothing_to_go_back_to(world: World) -> None:
    _, winner, receipt = await taken_away(world)
    _, body = await appeals(world, winner, receipt["id"])
    assert (await decide(world, await world.official(Role.ADMIN), "approval", "appeal", remark="营业执照有效"))[0] == 200
    assert (await world.get(f"/appeals/{body['id']}", by=winner))[1]["reopened"] is False
    assert await shown(world, winner, receipt["id"]) == "disqualified"


async def test_what_was_not_taken_away_by_itself_is_not_appealed(world: World) -> None:
    lottery, winner, receipt = await publicised(world)
    other = next(each for each in lottery.players if each is not winner)
    assert (await appeals(world, winner, receipt["id"]))[1]["code"] == "not_appealable"
    assert (await appeals(world, other, receipt["id"]))[0] == 404
    path = f"/rounds/{lottery.id}/voiding"
    await world.post(path, {"reason": "名单有误"}, by=lottery.people.maker)
    await world.post(f"{path}/confirmation", by=lottery.people.second)
    assert (await appeals(world, winner, receipt["id"]))[1]["code"] == "not_appealable"
