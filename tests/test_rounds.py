"""Rounds from draft to vouchers: four eyes, times, caps across rounds, voiding (2.5, E17, F15)."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from handlers.draws import close_due_rounds, draw_due_rounds
from handlers.rounds import open_due_rounds, publicise_due_rounds
from models.accounts import Role
from tests.books import expect_broken
from tests.lottery import TYPED, Lottery, Officials, announced, drawn, officials, opened, plan, qualified, reserve
from tests.races import without
from tests.world import World


async def test_a_round_goes_from_draft_to_vouchers_in_the_wallet(world: World) -> None:
    lottery, _ = await drawn(world, tickets=3, quota=2)
    await lottery.publicise()
    await lottery.finalise()
    _, shown = await world.get(f"/rounds/{lottery.id}", by=lottery.players[0])
    assert (shown["state"], shown["ticket_count"], shown["finalised_by_id"]) == ("final", 3, lottery.people.second.person_id)
    assert sorted(await lottery.states()) == ["alternate", "issued", "issued"]
    lots = await world.owner.fetch("SELECT * FROM lots ORDER BY id")
    winners = await world.owner.fetch("SELECT id, organisation_id FROM reservations WHERE state = 'issued' ORDER BY id")
    assert [(lot["reservation_id"], lot["organisation_id"], lot["available_fen"]) for lot in lots] == [
        (winner["id"], winner["organisation_id"], 100_000) for winner in winners
    ]
    assert await world.value("SELECT count(*) FROM ledger_entries WHERE kind = 'issue'") == 2
    told = await world.owner.fetch("SELECT * FROM events WHERE kind = 'voucher_issued' ORDER BY id")
    assert [row["organisation_id"] for row in told] == [winner["organisation_id"] for winner in winners]
    assert '"amount_fen": 100000' in told[0]["data"]
    actions = [row["action"] for row in await world.owner.fetch(
        "SELECT action FROM audit_entries WHERE subject = 'round' AND before IS NOT NULL ORDER BY id")]
    assert actions == [f"round.{word}" for word in ("announced", "opened", "closed", "committed", "drawn", "publicised", "finalised")]
    changes = await world.value("SELECT count(*) FROM audit_entries WHERE subject = 'reservation' AND before IS NOT NULL")
    assert changes == 2 + 1 + 2  # won, alternate, issued


async def test_the_maker_neither_confirms_nor_issues(world: World) -> None:
    people, programme = await officials(world), await world.programme()
    _, drafted = await world.post(f"/programmes/{programme.id}/rounds", plan(world, programme), by=people.maker)
    before = await world.snapshot("rounds", "audit_entries")
    status, body = await world.put(f"/rounds/{drafted['id']}/confirmation", by=people.maker)
    assert (status, body["code"]) == (403, "second_person_needed")
    assert await world.snapshot("rounds", "audit_entries") == before
    lottery, _ = await drawn(world, programme=programme, people=people, number="202604")
    await lottery.publicise()
    lottery.set("publicity_until", -1)
    before = await world.snapshot("rounds", "reservations", "lots")
    status, body = await world.put(f"/rounds/{lottery.id}/finalisation", by=people.second)
    assert (status, body["code"]) == (409, "publicity_not_over")
    lottery.set("publicity_until")
    status, body = await world.put(f"/rounds/{lottery.id}/finalisation", by=people.maker)
    assert (status, body["code"]) == (403, "second_person_needed")
    assert await world.snapshot("rounds", "reservations", "lots") == before
    await lottery.finalise()
    assert (await world.put(f"/rounds/{lottery.id}/finalisation", by=people.second))[1]["code"] == "round_state_wrong"


async def test_who_edits_a_draft_becomes_its_maker(world: World) -> None:
    people, programme = await officials(world), await world.programme()
    _, drafted = await world.post(f"/programmes/{programme.id}/rounds", plan(world, programme), by=people.maker)
    path = f"/rounds/{drafted['id']}"
    status, edited = await world.put(path, plan(world, programme, quota=5), by=people.second)
    assert (status, edited["made_by_id"], edited["quotas"][0]["quota"]) == (200, people.second.person_id, 5)
    assert (await world.put(f"{path}/confirmation", by=people.second))[1]["code"] == "second_person_needed"
    assert (await world.put(f"{path}/confirmation", by=people.maker))[0] == 200
    assert (await world.put(path, plan(world, programme), by=people.second))[1]["code"] == "round_state_wrong"


@pytest.mark.parametrize(("changes", "problem"), [
    ({"closes_at": 0.5}, "times"), ({"closes_at": 1}, "times"), ({"draw_at": 1.5}, "times"), ({"publicity_at": 3.5}, "times"),
    ({"publicity_until": 4.5}, "times"), ({"opens_at": -2, "closes_at": -1}, "past"), ({"valid_until": "2026-03-02"}, "valid_until"),
    ({"randomness": 2}, "sources"), ({"randomness": 4.001}, "sources"),
])
async def test_a_plan_that_cannot_be_is_refused(world: World, changes: dict[str, Any], problem: str) -> None:
    people, programme = await officials(world), await world.programme()
    asked = plan(world, programme)
    for name, value in changes.items():
        at = value if isinstance(value, str) else world.at(hours=value).isoformat()
        if name == "randomness":
            asked["randomness"][0]["at"] = at
        else:
            asked[name] = at
    status, body = await world.post(f"/programmes/{programme.id}/rounds", asked, by=people.maker)
    assert (status, body["code"], body["data"]) == (422, "round_plan_wrong", {"problem": problem})
    assert await world.value("SELECT count(*) FROM rounds") == 0


async def test_quotas_are_of_the_programme_and_once_each(world: World) -> None:
    people, programme, other = await officials(world), await world.programme(), await world.programme()
    for types in ([other.audit], [programme.audit, programme.audit]):
        quotas = [{"voucher_type_id": each, "quota": 1} for each in types]
        _, body = await world.post(f"/programmes/{programme.id}/rounds", plan(world, programme, quotas=quotas), by=people.maker)
        assert (body["code"], body["data"]) == ("round_plan_wrong", {"problem": "voucher_types"})
    assert await world.value("SELECT count(*) FROM rounds") == 0


async def test_a_round_number_is_used_once(world: World) -> None:
    lottery = await announced(world)
    _, body = await world.post(
        f"/programmes/{lottery.programme.id}/rounds", plan(world, lottery.programme), by=lottery.people.maker
    )
    assert body["code"] == "round_number_taken"
    assert await world.value("SELECT count(*) FROM rounds") == 1


async def test_a_programme_that_allocates_otherwise_has_no_round(world: World) -> None:
    programme = await world.programme(allocation="approved_amount")
    maker = await world.official(Role.PROGRAMME_MANAGER)
    assert (await world.post(f"/programmes/{programme.id}/rounds", plan(world, programme), by=maker))[1]["code"] == "programme_without_draw"


async def test_drafts_are_seen_by_the_officials_of_the_region_only(world: World) -> None:
    people, programme, enterprise = await officials(world), await world.programme(), await world.enterprise()
    elsewhere = await world.official(Role.PROGRAMME_MANAGER, region_code="370200")
    _, drafted = await world.post(f"/programmes/{programme.id}/rounds", plan(world, programme), by=people.maker)
    for member, status, shown in ((people.second, 200, 1), (elsewhere, 404, 0), (enterprise, 404, 0)):
        assert (await world.get(f"/rounds/{drafted['id']}", by=member))[0] == status
        assert len((await world.get("/rounds", by=member))[1]["items"]) == shown
    assert (await world.get(f"/rounds/{drafted['id']}/draw"))[0] == 404
    assert (await world.put(f"/rounds/{drafted['id']}/confirmation", by=elsewhere))[0] == 404


async def test_the_home_page_asks_for_what_is_open_now(world: World) -> None:
    lottery = await announced(world)
    member = await world.enterprise()
    seen = []
    for column, microseconds in (("opens_at", -1), ("opens_at", 0), ("closes_at", -1), ("closes_at", 0)):
        lottery.set(column, microseconds)
        seen.append(len((await world.get("/rounds?open_only=true", by=member))[1]["items"]))
    assert seen == [0, 1, 1, 0]


# --- in their time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "before", "after", "sweep"), [
    ("opens_at", "announced", "open", open_due_rounds), ("closes_at", "open", "committed", close_due_rounds),
    ("draw_at", "committed", "drawn", draw_due_rounds), ("publicity_at", "drawn", "publicity", publicise_due_rounds),
])
async def test_every_timer_is_exact_and_works_once(world: World, column: str, before: str, after: str, sweep: Any) -> None:
    lottery = await announced(world)
    await lottery.secrets()
    steps = {"announced": lottery.open, "open": lottery.close, "committed": lottery.draw, "drawn": lottery.publicise}
    for state, step in steps.items():
        if state == before:
            break
        await step()
        if await lottery.state() == "committed":
            await lottery.type_values()
    lottery.set(column, -1)
    assert (await world.sweep(sweep), await lottery.state()) == (0, before)
    lottery.set(column)
    assert (await world.sweep(sweep), await lottery.state()) == (1, after)
    lottery.set(column, 1)
    assert (await world.sweep(sweep), await lottery.state()) == (0, after)


async def test_after_days_of_downtime_everything_due_is_caught_up_once(world: World) -> None:
    lottery = await announced(world)
    await lottery.secrets()
    lottery.set("closes_at", 1)
    done = [await world.sweep(sweep) for sweep in (open_due_rounds, close_due_rounds, open_due_rounds, close_due_rounds)]
    assert (done, await lottery.state()) == ([1, 1, 0, 0], "committed")


# --- voiding ---------------------------------------------------------------------------------------------------------


async def void(lottery: Lottery, reason: str) -> tuple[int, Any]:
    """Proposed by one manager, confirmed by the other."""
    path = f"/rounds/{lottery.id}/voiding"
    assert (await lottery.world.post(path, {"reason": reason}, by=lottery.people.maker))[0] == 201
    return await lottery.world.post(f"{path}/confirmation", by=lottery.people.second)


async def test_a_voided_round_says_why_and_its_wins_do_not_count(world: World) -> None:
    lottery, receipts = await drawn(world, tickets=2, cap=1)
    await lottery.publicise()
    status, body = await void(lottery, "名单有误")
    assert (status, body["state"], body["void_reason"]) == (200, "voided", "名单有误")
    assert await lottery.states() == ["disqualified", "disqualified"]
    assert await world.value("SELECT count(*) FROM reservations WHERE win_nth IS NOT NULL") == 0
    assert (await world.get(f"/reservations/{receipts[0]['id']}", by=lottery.players[0]))[1]["state"] == "voided"
    assert await world.value("SELECT count(*) FROM audit_entries WHERE action = 'reservation.disqualified'") == 2
    assert (await world.put(f"/rounds/{lottery.id}/finalisation", by=lottery.people.second))[1]["code"] == "round_state_wrong"


async def test_issued_vouchers_cannot_be_voided_with_the_round(world: World) -> None:
    lottery, _ = await drawn(world, tickets=1)
    await lottery.publicise()
    await lottery.finalise()
    before = await world.snapshot("rounds", "reservations")
    for method in (world.put, world.post):
        _, body = await method(f"/rounds/{lottery.id}/voiding", {"reason": "x"}, by=lottery.people.second)
        assert body["code"] == "round_state_wrong"
    assert await world.snapshot("rounds", "reservations") == before


@pytest.mark.parametrize("state", ["committed", "drawn", "publicity"])
async def test_from_the_commitment_on_a_round_is_stopped_by_two_and_every_holder_hears_why(world: World, state: str) -> None:
    lottery = await opened(world, cap=1)
    await lottery.enter(3)
    await lottery.close()
    if state != "committed":
        await lottery.type_values()
        await lottery.draw()
    if state == "publicity":
        await lottery.publicise()
    path, one, other = f"/rounds/{lottery.id}/voiding", lottery.people.maker, lottery.people.second
    before = await world.snapshot("rounds", "reservations", "audit_entries", "events")
    assert (await world.put(path, {"reason": "名单有误"}, by=one))[1]["code"] == "second_person_needed"
    assert (await world.post(f"{path}/confirmation", by=other))[1]["code"] == "voiding_not_proposed"
    assert (await world.get(path, by=other))[0] == 404
    assert await world.snapshot("rounds", "reservations", "audit_entries", "events") == before
    assert (await world.post(path, {"reason": "名单有误"}, by=one))[0] == 201
    assert (await world.get(path, by=other))[1]["reason"] == "名单有误"
    assert (await world.post(path, {"reason": "x"}, by=other))[1]["code"] == "voiding_proposed"
    assert (await world.post(f"{path}/confirmation", by=one))[1]["code"] == "second_person_needed"
    elsewhere = await world.official(Role.PROGRAMME_MANAGER, region_code="370200")
    assert (await world.post(f"{path}/confirmation", by=elsewhere))[0] == (await world.get(path, by=elsewhere))[0] == 404
    assert await lottery.state() == state
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'reservation_voided'") == 0
    status, body = await world.post(f"{path}/confirmation", by=other)
    assert (status, body["state"], body["void_reason"]) == (200, "voided", "名单有误")
    told = await world.owner.fetch(
        "SELECT organisation_id, data->>'reason' AS reason FROM events WHERE kind = 'reservation_voided' ORDER BY id")
    assert [tuple(row) for row in told] == [(each.organisation_id, "名单有误") for each in lottery.players]
    assert await world.value("SELECT count(*) FROM reservations WHERE win_nth IS NOT NULL") == 0


async def test_a_voiding_that_is_dropped_lets_the_round_go_on(world: World) -> None:
    lottery, _ = await drawn(world, tickets=1)
    await lottery.publicise()
    path, one, other = f"/rounds/{lottery.id}/voiding", lottery.people.maker, lottery.people.second
    assert (await world.post(path, {"reason": "名单有误"}, by=one))[0] == 201
    lottery.set("publicity_until")
    before = await world.snapshot("rounds", "reservations", "lots")
    _, body = await world.put(f"/rounds/{lottery.id}/finalisation", by=other)
    assert (body["code"], body["data"]) == ("round_contested", {"objections": 0, "disqualifications": 0, "voiding": True})
    assert await world.snapshot("rounds", "reservations", "lots") == before
    assert (await world.delete(path, by=other))[0] == 200
    assert (await world.delete(path, by=other))[1]["code"] == "voiding_not_proposed"
    await lottery.finalise()


async def test_before_the_commitment_one_person_stops_a_round_and_its_holders_hear_why(world: World) -> None:
    lottery = await opened(world)
    await lottery.enter(1)
    assert (await world.post(f"/rounds/{lottery.id}/voiding", {"reason": "资金调整"}, by=lottery.people.maker))[1]["code"] == (
        "round_state_wrong")
    assert (await world.put(f"/rounds/{lottery.id}/voiding", {"reason": "资金调整"}, by=lottery.people.maker))[0] == 200
    assert await world.value("SELECT organisation_id FROM events WHERE kind = 'reservation_voided'") == lottery.players[0].organisation_id


# --- the cap against two draws ---------------------------------------------------------------------------------------


async def two_rounds(world: World, start: datetime, numbers: tuple[str, str], people: Officials | None = None) -> list[Lottery]:
    """Two open rounds of one programme with a cap of one win, and the same enterprise in both: everybody wins.

    Their times would be refused; the cap is put in afterwards, so that a draw that came late is not needed to make them meet.
    """
    world.clock.set(start)
    one = await announced(world, number=numbers[0], people=people)
    two = await announced(world, programme=one.programme, people=one.people, number=numbers[1])
    await world.owner.execute("UPDATE voucher_types SET annual_win_cap = 1 WHERE id = $1", one.programme.audit)
    await one.secrets()
    await two.secrets()
    one.set("opens_at")
    await world.sweep(open_due_rounds)
    member = await qualified(world, one.programme)
    for lottery in (one, two):
        assert (await reserve(lottery, member, one.programme.audit))[0] == 201
    return [one, two]


async def close_and_draw_both(world: World, pair: list[Lottery]) -> None:
    """Two machines, whatever they find due, twice: the second round waits for the first, and for its result to be public."""
    for last in (False, True):
        pair[0].set("closes_at")
        await asyncio.gather(world.sweep(close_due_rounds), world.sweep(close_due_rounds))
        for lottery in pair:
            if await lottery.state() == "committed":
                await lottery.type_values(TYPED, TYPED)
        pair[0].set("draw_at")
        await asyncio.gather(world.sweep(draw_due_rounds), world.sweep(draw_due_rounds))
        if not last:
            pair[0].set("publicity_at")
            await world.sweep(publicise_due_rounds)


async def test_two_draws_never_give_a_win_above_the_cap(world: World) -> None:
    start, people = world.clock.now(), await officials(world)
    for number in range(50):
        pair = await two_rounds(world, start, (f"1{number:03d}", f"2{number:03d}"), people)
        await close_and_draw_both(world, pair)
        assert sorted([await lottery.state() for lottery in pair]) == ["drawn", "publicity"]
        assert sorted(await pair[0].states() + await pair[1].states()) == ["submitted", "won"], number
    assert await world.value("SELECT max(win_nth) FROM reservations") == 1


async def test_the_second_list_says_that_nothing_is_left_to_win(world: World) -> None:
    pair = await two_rounds(world, world.clock.now(), ("1", "2"))
    pair[0].set("closes_at")
    assert await world.sweep(close_due_rounds) == 2
    assert sorted([await lottery.state() for lottery in pair]) == ["closed", "committed"]
    await close_and_draw_both(world, pair)
    lines = [row["lines"] for row in await world.owner.fetch("SELECT lines FROM draw_lists ORDER BY id")]
    assert [line[-2:] for line in lines] == ["|1", "|0"]


async def test_without_waiting_the_second_draw_would_break_the_cap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.draws.BLOCKED", "o.state IN ('committed', 'drawn')", "false")
    without(monkeypatch, "handlers.draws.DRAW", "v.win_nth > c.annual_win_cap", "false")
    pair = await two_rounds(world, world.clock.now(), ("1", "2"))
    await close_and_draw_both(world, pair)
    assert [await lottery.states() for lottery in pair] == [["won"], ["won"]]
    expect_broken("wins_within_the_yearly_cap")


async def test_two_rounds_that_would_need_each_others_result_are_not_announced(world: World) -> None:
    first = await announced(world, cap=1, number="1")
    _, drafted = await world.post(
        f"/programmes/{first.programme.id}/rounds", plan(world, first.programme, number="2"), by=first.people.maker
    )
    before = await world.snapshot("rounds")
    _, body = await world.put(f"/rounds/{drafted['id']}/confirmation", by=first.people.second)
    assert (body["code"], body["data"]) == ("round_plan_wrong", {"problem": "overlaps"})
    assert await world.snapshot("rounds") == before


async def test_two_rounds_of_different_years_do_not_wait(world: World) -> None:
    pair = await two_rounds(world, world.clock.now(), ("1", "2"))
    await world.owner.execute(
        "UPDATE rounds SET draw_at = draw_at + $2::interval, publicity_at = publicity_at + $2, publicity_until = publicity_until + $2"
        " WHERE id = $1", pair[1].id, timedelta(days=365))
    pair[0].set("closes_at")
    await world.sweep(close_due_rounds)
    assert [await lottery.state() for lottery in pair] == ["committed", "committed"]


async def test_an_alternate_does_not_use_up_what_another_committed_list_says_is_left(world: World) -> None:
    lottery, _ = await drawn(world, tickets=2, cap=1)
    await lottery.publicise()
    winner = await world.one("SELECT id, organisation_id FROM reservations WHERE state = 'won'")
    alternate, member = sorted(lottery.players, key=lambda each: each.organisation_id == winner["organisation_id"])
    world.clock.set(datetime.fromisoformat(lottery.round["publicity_at"]))
    second = await opened(world, programme=lottery.programme, people=lottery.people, number="2")
    assert (await reserve(second, alternate, lottery.programme.audit))[0] == 201
    await second.close()
    assert (await world.put(f"/reservations/{winner['id']}/declination", by=member))[0] == 200
    assert await world.value("SELECT count(*) FROM reservations WHERE round_id = $1 AND state = 'won'", lottery.id) == 0
    lottery.set("publicity_until")
    before = await world.snapshot("rounds", "reservations", "lots")
    _, body = await world.put(f"/rounds/{lottery.id}/finalisation", by=lottery.people.second)
    assert body["code"] == "round_waits_for_other"
    assert await world.snapshot("rounds", "reservations", "lots") == before
    world.clock.set(datetime.fromisoformat(second.round["randomness"][0]["at"]))
    await second.type_values()
    await second.draw()
    lottery.set("publicity_until")
    assert (await world.put(f"/rounds/{lottery.id}/finalisation", by=lottery.people.second))[1]["code"] == "round_waits_for_other"
    await second.publicise()
    await lottery.finalise()
    assert await world.value("SELECT count(*) FROM reservations WHERE round_id = $1 AND state = 'issued'", lottery.id) == 0
    assert await world.value("SELECT max(win_nth) FROM reservations") == 1
