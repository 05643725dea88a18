"""Reserving: window, rules, one ticket, change and withdrawal, results in their time, and its races (E13-E18, F02, F04)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from handlers import reservations
from handlers.draw_rules import entry_digest
from handlers.draws import close_due_rounds
from handlers.notices import open_events
from models.accounts import Role
from models.engine import client
from tests.books import expect_broken
from tests.lottery import Lottery, announced, drawn, opened, qualified, reserve
from tests.races import meet_after, without
from tests.referee import COMMIT, Referee, waits_or_ends
from tests.world import Member, World

TABLES = ("reservations", "audit_entries", "events")


async def test_a_reservation_is_a_receipt_that_can_be_checked(world: World) -> None:
    lottery = await opened(world)
    member = await qualified(world, lottery.programme)
    status, body = await reserve(lottery, member, lottery.programme.audit)
    credit_code = await world.value("SELECT credit_code FROM organisations WHERE id = $1", member.organisation_id)
    assert status == 201
    assert body["ticket_no"] == f"R202603-{body['id']:08d}"
    assert body["entry_digest"] == entry_digest(body["ticket_no"], credit_code, bytes.fromhex(body["salt"]))
    assert (body["state"], body["state_title"], body["can_change"], body["rank"]) == ("reserved", "已预约", True, None)
    assert (await world.get(f"/reservations/{body['id']}", by=member))[1] == body
    assert (await world.get("/reservations", by=member))[1] == {"items": [body], "next": None}
    event = await world.one("SELECT * FROM events")
    assert (event["kind"], event["organisation_id"]) == ("reservation_received", member.organisation_id)
    assert await world.value("SELECT action FROM audit_entries WHERE subject = 'reservation'") == "reservation.submitted"


async def test_the_window_is_exact_to_the_microsecond(world: World) -> None:
    lottery = await announced(world)
    member = await qualified(world, lottery.programme)
    codes = []
    for column, microseconds in (("opens_at", -1), ("closes_at", 0), ("closes_at", 1)):
        lottery.set(column, microseconds)
        codes.append((await reserve(lottery, member, lottery.programme.audit))[1]["code"])
    assert codes == ["round_not_open"] * 3
    assert await world.value("SELECT count(*) FROM reservations") == 0
    for column, microseconds in (("opens_at", 0), ("opens_at", 1), ("closes_at", -1)):
        lottery.set(column, microseconds)
        assert (await reserve(lottery, await qualified(world, lottery.programme), lottery.programme.audit))[0] == 201


async def test_a_withdrawn_ticket_is_the_same_ticket_when_taken_again(world: World) -> None:
    lottery = await opened(world)
    first, = await lottery.enter(1)
    member = lottery.players[0]
    status, gone = await world.delete(f"/rounds/{lottery.id}/reservation", by=member)
    assert (status, gone["state"], gone["can_change"]) == (200, "withdrawn", False)
    before = await world.snapshot(*TABLES)
    assert (await world.delete(f"/rounds/{lottery.id}/reservation", by=member))[1]["code"] == "nothing_reserved"
    path, choice = f"/rounds/{lottery.id}/reservation", {"voucher_type_id": lottery.programme.general}
    assert (await world.put(path, choice, by=member))[1]["code"] == "nothing_reserved"
    assert await world.snapshot(*TABLES) == before
    status, again = await reserve(lottery, member, lottery.programme.general)
    assert (status, again["state"], again["voucher_type"]) == (201, "reserved", "服务通用券")
    assert (again["ticket_no"], again["salt"]) == (first["ticket_no"], first["salt"])


async def test_the_choice_may_be_changed_as_long_as_the_window_is_open(world: World) -> None:
    lottery = await opened(world)
    receipt, = await lottery.enter(1)
    member, path = lottery.players[0], f"/rounds/{lottery.id}/reservation"
    lottery.set("closes_at", -1)
    status, changed = await world.put(path, {"voucher_type_id": lottery.programme.general}, by=member)
    assert (status, changed["voucher_type"], changed["entry_digest"]) == (200, "服务通用券", receipt["entry_digest"])
    lottery.set("closes_at")
    before = await world.snapshot(*TABLES)
    assert (await world.put(path, {"voucher_type_id": lottery.programme.audit}, by=member))[1]["code"] == "round_not_open"
    assert (await world.delete(path, by=member))[1]["code"] == "round_not_open"
    assert await world.snapshot(*TABLES) == before


async def test_a_colleague_cannot_take_a_second_ticket(world: World) -> None:
    lottery = await opened(world)
    await lottery.enter(1)
    colleague = await world.member(lottery.players[0].organisation_id, Role.HANDLER)
    before = await world.snapshot(*TABLES)
    status, body = await reserve(lottery, colleague, lottery.programme.general)
    assert (status, body["code"]) == (409, "already_reserved")
    assert await world.snapshot(*TABLES) == before


async def test_who_only_looks_or_pays_cannot_reserve(world: World) -> None:
    lottery = await opened(world)
    await lottery.enter(1)
    for role in (Role.VIEWER, Role.FINANCE):
        member = await world.member(lottery.players[0].organisation_id, role)
        assert (await reserve(lottery, member, lottery.programme.audit))[1]["code"] == "not_your_role"


async def test_another_enterprise_finds_nothing(world: World) -> None:
    lottery = await opened(world)
    receipt, = await lottery.enter(1)
    other = await qualified(world, lottery.programme)
    assert (await world.get(f"/reservations/{receipt['id']}", by=other))[0] == 404
    assert (await world.put(f"/reservations/{receipt['id']}/declination", by=other))[0] == 404
    assert (await world.get("/reservations", by=other))[1]["items"] == []


# --- the rules, each with a failing case, shown and guarding alike ---------------------------------------------------


async def uncertified(world: World, lottery: Lottery) -> Member:
    member = await qualified(world, lottery.programme)
    await world.owner.execute("UPDATE organisations SET certified_at = NULL WHERE id = $1", member.organisation_id)
    return member


async def suspended(world: World, lottery: Lottery) -> Member:
    member = await qualified(world, lottery.programme)
    await world.owner.execute("UPDATE organisations SET suspended_at = $2 WHERE id = $1", member.organisation_id, world.clock.now())
    return member


async def unqualified(world: World, _lottery: Lottery) -> Member:
    return await world.enterprise()


async def outdated(world: World, lottery: Lottery) -> Member:
    member = await qualified(world, lottery.programme)
    await world.owner.execute("UPDATE applications SET form = '{}', form_version = 1")
    return member


async def amending(world: World, lottery: Lottery) -> Member:
    member = await qualified(world, lottery.programme)
    await world.owner.execute("UPDATE applications SET state = 'returned', reason = '请补正'")
    return member


@pytest.mark.parametrize(("make", "rule", "code"), [
    (uncertified, "certified", "not_certified"), (suspended, "not_suspended", "enterprise_suspended"),
    (unqualified, "qualified", "qualification_missing"), (amending, "qualified", "qualification_missing"),
    (outdated, "qualification_complete", "qualification_outdated"),
])
async def test_the_rule_that_refuses_is_the_rule_that_is_shown(world: World, make: Any, rule: str, code: str) -> None:
    lottery = await opened(world)
    member = await make(world, lottery)
    _, shown = await world.get(f"/rounds/{lottery.id}/eligibility", by=member)
    failing = [each for each in shown["rules"] if each["verdict"] == "fail"]
    assert shown["verdict"] == "fail"
    assert [each["code"] for each in failing] == [rule]
    assert failing[0]["fix"]
    before = await world.snapshot(*TABLES)
    _, body = await reserve(lottery, member, lottery.programme.audit)
    assert body["code"] == code
    assert body["data"]["rules"] == [each for each in shown["rules"] if each["verdict"] != "pass"]
    assert await world.snapshot(*TABLES) == before


async def test_who_may_reserve_is_told_so_with_the_notes_the_first_time(world: World) -> None:
    lottery = await opened(world)
    member = await qualified(world, lottery.programme)
    _, shown = await world.get(f"/rounds/{lottery.id}/eligibility", by=member)
    assert (shown["verdict"], shown["notes"], shown["show_notes"]) == ("pass", "每家企业限约一种", True)
    assert [(each["name"], each["enabled"], each["tooltip"]) for each in shown["voucher_types"]] == [
        ("审计服务专用券", True, None), ("服务通用券", True, None),
    ]
    _, made = await reserve(lottery, member, lottery.programme.audit)
    _, shown = await world.get(f"/rounds/{lottery.id}/eligibility", by=member)
    assert (shown["verdict"], shown["show_notes"], shown["reservation_id"]) == ("pass", False, made["id"])


async def test_a_capped_type_is_greyed_out_with_the_words_of_the_manual(world: World) -> None:
    lottery, _ = await drawn(world, tickets=1, cap=1)
    await lottery.publicise()
    winner = lottery.players[0]
    second = await opened(world, programme=lottery.programme, people=lottery.people, number="202604")
    _, shown = await world.get(f"/rounds/{second.id}/eligibility", by=winner)
    assert [(each["enabled"], each["tooltip"]) for each in shown["voucher_types"]] == [(False, "当前服务券已达年度上限"), (True, None)]
    assert shown["voucher_types"][0]["rules"][0]["expected"] == 1
    assert shown["voucher_types"][0]["rules"][0]["actual"] == 1
    before = await world.snapshot(*TABLES)
    status, body = await reserve(second, winner, lottery.programme.audit)
    assert (status, body["code"], body["title"]) == (409, "voucher_type_capped", "当前服务券已达年度上限")
    assert await world.snapshot(*TABLES) == before
    assert (await reserve(second, winner, lottery.programme.general))[0] == 201
    path = f"/rounds/{second.id}/reservation"
    assert (await world.put(path, {"voucher_type_id": lottery.programme.audit}, by=winner))[1]["code"] == "voucher_type_capped"


async def test_a_win_of_another_year_does_not_count(world: World) -> None:
    lottery, _ = await drawn(world, tickets=1, cap=1)
    await world.owner.execute("UPDATE reservations SET win_year = 2025")
    second = await opened(world, programme=lottery.programme, people=lottery.people, number="202604")
    assert (await reserve(second, lottery.players[0], lottery.programme.audit))[0] == 201


async def test_a_type_of_another_programme_is_refused(world: World) -> None:
    lottery = await opened(world)
    member = await qualified(world, lottery.programme)
    other = await world.programme()
    assert (await reserve(lottery, member, other.audit))[1]["code"] == "voucher_type_not_in_round"
    assert (await world.get(f"/rounds/{2**40}/eligibility", by=member))[0] == 404
    assert (await world.post(f"/rounds/{2**40}/reservation", {"voucher_type_id": 1}, by=member))[0] == 404


# --- results and giving up -------------------------------------------------------------------------------------------


async def by_state(lottery: Lottery, receipts: list[dict[str, Any]]) -> dict[str, tuple[Member, dict[str, Any]]]:
    found = {}
    for receipt, member in zip(receipts, lottery.players, strict=True):
        _, body = await lottery.world.get(f"/reservations/{receipt['id']}", by=member)
        found[body["state"]] = (member, body)
    return found


async def test_a_declined_win_goes_to_the_next_alternate_and_does_not_count(world: World) -> None:
    lottery, receipts = await drawn(world, tickets=3, cap=1)
    winner = await world.one("SELECT id, organisation_id FROM reservations WHERE state = 'won'")
    member = next(each for each in lottery.players if each.organisation_id == winner["organisation_id"])
    path = f"/reservations/{winner['id']}/declination"
    before = await world.snapshot(*TABLES)
    assert (await world.put(path, by=member))[1]["code"] == "nothing_to_decline"
    assert await world.snapshot(*TABLES) == before
    await lottery.publicise()
    moved_up = (await by_state(lottery, receipts))["alternate"][1]
    status, body = await world.put(path, by=member)
    assert (status, body["state"], body["can_decline"]) == (200, "declined", False)
    assert (await world.put(path, by=member))[1]["code"] == "nothing_to_decline"
    shown = await by_state(lottery, receipts)
    assert (shown["won"][1]["id"], shown["won"][1]["rank"]) == (moved_up["id"], 2)
    assert await world.value("SELECT win_nth FROM reservations WHERE id = $1", winner["id"]) is None
    assert await world.value("SELECT data->>'result' FROM events ORDER BY id DESC LIMIT 1") == "won"


async def test_everybody_is_told_the_own_result_once(world: World) -> None:
    lottery, receipts = await drawn(world, tickets=3)
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'draw_result'") == 0
    await lottery.publicise()
    told = await world.owner.fetch("SELECT subject_id, data->>'result' AS result FROM events WHERE kind = 'draw_result' ORDER BY id")
    assert [row["subject_id"] for row in told] == [receipt["id"] for receipt in receipts]
    assert sorted(row["result"] for row in told) == ["alternate", "lost", "won"]


async def test_an_alternate_without_a_place_is_shown_and_told_so_once_the_vouchers_are_issued(world: World) -> None:
    lottery, receipts = await drawn(world, tickets=4, alternates=2)
    await lottery.publicise()
    member = next(by for state, (by, _) in (await by_state(lottery, receipts)).items() if state == "won")
    ids = [row["id"] for row in await world.owner.fetch("SELECT id FROM reservations WHERE state = 'alternate' ORDER BY rank")]
    won = await world.value("SELECT id FROM reservations WHERE state = 'won'")
    assert (await world.put(f"/reservations/{won}/declination", by=member))[0] == 200
    await lottery.finalise()
    shown = await by_state(lottery, receipts)
    assert {state: body["id"] for state, (_, body) in shown.items() if state != "lost"} == {
        "declined": won, "issued": ids[0], "lapsed": ids[1]}
    by, lapsed = shown["lapsed"]
    assert (lapsed["state_title"], lapsed["rank"], lapsed["can_decline"]) == ("未递补", 2, False)
    while await world.sweep(open_events):
        pass
    _, inbox = await world.get("/notices", by=by)
    told = [each for each in inbox["items"] if each["title"] == "摇号结果：未递补"]
    assert [(each["subject_id"], each["body"]) for each in told] == [
        (ids[1], f"「2026年第一批」摇号结果：未递补，券种：审计服务专用券，票号 {lapsed['ticket_no']}。")]
    assert await world.value("SELECT count(*) FROM events WHERE data->>'result' = 'lapsed'") == 1


# --- races -----------------------------------------------------------------------------------------------------------

ROUNDS = 50


async def double_reserve(world: World, lottery: Lottery) -> list[int]:
    member = await qualified(world, lottery.programme)
    colleague = await world.member(member.organisation_id, Role.HANDLER)
    answers = await asyncio.gather(*(reserve(lottery, by, lottery.programme.audit) for by in (member, colleague)))
    return sorted(status for status, _ in answers)


async def test_two_colleagues_reserving_at_once_get_one_ticket(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lottery = await opened(world)
    meet_after(world.owner, monkeypatch, "handlers.reservations.first_facts")
    for number in range(ROUNDS):
        assert await double_reserve(world, lottery) == [201, 409], number
    assert await world.value("SELECT count(*) FROM reservations") == ROUNDS


async def test_without_its_guard_the_double_reservation_happens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lottery = await opened(world)
    await world.owner.execute("ALTER TABLE reservations DROP CONSTRAINT reservations_one_ticket")
    try:
        without(monkeypatch, "handlers.reservations.TAKE", "ON CONFLICT (round_id, organisation_id) DO NOTHING", "")
        meet_after(world.owner, monkeypatch, "handlers.reservations.first_facts")
        assert await double_reserve(world, lottery) == [201, 201]
    finally:
        await world.owner.execute("DELETE FROM reservations")
        await world.owner.execute("ALTER TABLE reservations ADD CONSTRAINT reservations_one_ticket UNIQUE (round_id, organisation_id)")


async def reserve_against_close(
    world: World, lottery: Lottery, monkeypatch: pytest.MonkeyPatch, *, closing_first: bool, hold: str = ""
) -> tuple[str, bool]:
    """(what became of a reservation of the last microsecond, whether its ticket is on the list that closing made meanwhile)."""
    member = await qualified(world, lottery.programme)
    reserving = reserving_late(world, lottery, member)
    referee = Referee(world.owner, monkeypatch)
    referee.hold_after("handlers.reservations.first_facts")
    contenders: list[Any] = [lambda: close_due_rounds(world.context().at(lottery.set("closes_at"))), reserving]
    direction = 1 if closing_first else -1
    closed, ticket = (await referee.race(*contenders[::direction], hold=(hold,), in_turn=True))[::direction]
    assert closed == 1
    return await became(world, lottery, ticket)


def reserving_late(world: World, lottery: Lottery, member: Member) -> Callable[[], Awaitable[Any]]:
    ctx = world.context(member).at(lottery.set("closes_at", -1))
    return lambda: reservations.reserve(ctx, lottery.id, lottery.programme.audit)


async def became(world: World, lottery: Lottery, ticket: Any) -> tuple[str, bool]:
    listed = await world.value("SELECT string_agg(lines, '|') FROM draw_lists WHERE round_id = $1", lottery.id)
    if isinstance(ticket, BaseException):
        return type(ticket).__name__, False
    return ticket["state"], ticket["ticket_no"] in (listed or "")


async def test_a_list_that_was_closed_after_the_facts_were_read_takes_no_ticket(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = await reserve_against_close(
        world, await opened(world), monkeypatch, closing_first=False, hold="handlers.reservations.first_facts"
    )
    assert outcome == ("RoundNotOpen", False)
    assert await world.value("SELECT count(*) FROM reservations") == 0
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'reservation_received'") == 0
    assert await world.value("SELECT count(*) FROM audit_entries WHERE subject = 'reservation'") == 0


async def test_a_ticket_that_waited_for_the_closing_meets_a_closed_round(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = await reserve_against_close(world, await opened(world), monkeypatch, closing_first=True, hold=COMMIT)
    assert outcome == ("RoundNotOpen", False)
    assert await world.value("SELECT count(*) FROM reservations") == 0


async def test_unless_it_looks_at_the_round_again_it_is_neither_listed_nor_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "handlers.reservations.TAKE", " FOR SHARE", "")
    outcome = await reserve_against_close(world, await opened(world), monkeypatch, closing_first=True, hold=COMMIT)
    assert outcome == ("reserved", False)
    expect_broken("draws_count_the_tickets")


async def close_while_a_ticket_is_written(world: World, lottery: Lottery) -> tuple[str, bool]:
    """The ticket's statement has passed all its checks and waits for its enterprise, which somebody holds; then the list is closed."""
    member = await qualified(world, lottery.programme)
    async with client().acquire_connection() as holder:
        await holder.execute("BEGIN")
        await holder.execute("SELECT FROM organisations WHERE id = $1 FOR UPDATE", member.organisation_id)
        reserving = asyncio.ensure_future(reserving_late(world, lottery, member)())
        await waits_or_ends(world.owner, reserving)
        closing = asyncio.ensure_future(close_due_rounds(world.context().at(lottery.set("closes_at"))))
        await waits_or_ends(world.owner, reserving, closing)
        await holder.execute("ROLLBACK")
    assert await closing == 1
    return await became(world, lottery, await reserving)


async def test_closing_waits_for_a_ticket_that_is_being_written(world: World) -> None:
    assert await close_while_a_ticket_is_written(world, await opened(world)) == ("reserved", True)


async def test_without_the_lock_it_does_not_wait_and_the_ticket_is_not_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lottery = await opened(world)
    without(monkeypatch, "handlers.reservations.TAKE", "pg_advisory_xact_lock_shared", "concat")
    without(monkeypatch, "handlers.reservations.TAKE", " FOR SHARE", "")
    assert await close_while_a_ticket_is_written(world, lottery) == ("reserved", False)
    expect_broken("draws_count_the_tickets")


async def test_who_comes_after_the_close_began_is_refused(world: World) -> None:
    lottery = await opened(world)
    await lottery.close()
    lottery.set("closes_at", -1)  # a machine whose clock is behind
    assert (await reserve(lottery, await qualified(world, lottery.programme), lottery.programme.audit))[1]["code"] == "round_not_open"
