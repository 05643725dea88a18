"""The draw over HTTP and with its sweeps: committed, drawn once, verifiable by a stranger (F01, E18)."""

import asyncio
import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import verify_draw
from bot.templates import TEMPLATES, fill
from handlers import draw_rules, draws
from handlers.draw_rules import Ticket, choose, parse_line
from handlers.draws import close_due_rounds, draw_due_rounds
from handlers.notices import open_events
from handlers.rounds import open_due_rounds
from models.accounts import Role
from tests.books import expect_broken
from tests.lottery import NORMALISED, SOURCE, TYPED, Lottery, announced, drawn, officials, opened
from tests.races import without
from tests.world import World

OFFICER, WITNESS = "11" * 32, "22" * 32


async def bundle_of(lottery: Lottery) -> dict[str, Any]:
    status, body = await lottery.world.get(f"/rounds/{lottery.id}/draw/bundle")
    assert status == 200
    found: dict[str, Any] = body
    return found


def verify(folder: Path, bundle: dict[str, Any], *arguments: str) -> int:
    path = folder / "bundle.json"
    path.write_text(json.dumps(bundle), encoding="utf-8")
    return verify_draw.main([str(path), *arguments])


async def test_a_stranger_verifies_the_served_bundle_and_the_own_receipt(world: World, tmp_path: Path) -> None:
    lottery = await opened(world, quota=2, alternates=1)
    receipts = await lottery.enter(5) + await lottery.enter(2, lottery.programme.general)
    await lottery.close()
    assert verify(tmp_path, await bundle_of(lottery), "--sealed") == 0
    digest = (await world.get(f"/rounds/{lottery.id}/draw"))[1]["commitment"]["commitment_digest"]
    await lottery.type_values()
    await lottery.draw()
    await lottery.publicise()
    bundle = await bundle_of(lottery)
    credit_code = await world.value("SELECT credit_code FROM organisations WHERE id = $1", lottery.players[0].organisation_id)
    receipt = ("--ticket", receipts[0]["ticket_no"], "--credit-code", credit_code, "--salt", receipts[0]["salt"])
    assert verify(tmp_path, bundle, "--digest", digest, *receipt) == 0
    assert bundle["reveal"]["public_value"] == NORMALISED
    assert [len(bundle["reveal"]["results"][code]["winners"]) for code in ("AUDIT", "GENERAL")] == [2, 2]
    forged = json.loads(json.dumps(bundle))
    forged["reveal"]["results"]["AUDIT"]["winners"].reverse()
    assert verify(tmp_path, forged) == 1
    forged = json.loads(json.dumps(bundle))
    forged["commitment"]["tickets"].pop()
    assert verify(tmp_path, forged) == 1


async def test_what_is_committed_is_what_the_rules_build_from_the_lines(world: World) -> None:
    lottery = await opened(world, cap=2)
    receipts = await lottery.enter(3)
    await lottery.close()
    part = (await bundle_of(lottery))["commitment"]
    assert [parse_line(line) for line in part["tickets"]] == [
        Ticket(receipt["ticket_no"], "AUDIT", receipt["entry_digest"], 2) for receipt in receipts
    ]
    assert part == draw_rules.build_commitment(
        round_no="202603", lines=part["tickets"], quotas={"AUDIT": 1, "GENERAL": 1}, alternates={"AUDIT": 1, "GENERAL": 1},
        officer_commitment=part["officer_commitment"], witness_commitment=part["witness_commitment"], sources=part["sources"],
        committed_at=world.clock.now(),
    )


async def test_the_statement_chooses_whom_the_reference_chooses(world: World) -> None:
    lottery = await announced(world, quota=3, alternates=2)
    await lottery.secrets(OFFICER, WITNESS)
    await lottery.open()
    await lottery.enter(9)
    await lottery.close()
    await lottery.type_values()
    await lottery.draw()
    await lottery.publicise()
    bundle = await bundle_of(lottery)
    seed = draw_rules.seed(bundle["commitment"], bytes.fromhex(OFFICER), bytes.fromhex(WITNESS), NORMALISED)
    tickets = [parse_line(line) for line in bundle["commitment"]["tickets"]]
    assert bundle["reveal"]["seed"] == seed.hex()
    assert bundle["reveal"]["results"] == choose(seed, tickets, bundle["commitment"]["quotas"], bundle["commitment"]["alternates"])
    stored = await world.owner.fetch("SELECT id, state FROM reservations WHERE rank IS NOT NULL ORDER BY state DESC, rank")
    results = bundle["reveal"]["results"]["AUDIT"]
    assert [f"R202603-{row['id']:08d}" for row in stored] == results["winners"] + results["alternates"]
    assert [row["state"] for row in stored] == ["won"] * 3 + ["alternate"] * 2


async def test_a_list_of_several_pieces_is_paged_and_bundled_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.draws.WRITE_LIST", "/ 1000 AS piece", "/ 3 AS piece")
    monkeypatch.setattr("handlers.draw_bundles.PIECES_AT_ONCE", 2)
    lottery = await opened(world)
    receipts = await lottery.enter(8)
    await lottery.close()
    lines = (await bundle_of(lottery))["commitment"]["tickets"]
    assert [line.split("|")[0] for line in lines] == [receipt["ticket_no"] for receipt in receipts]
    paged, after = [], ""
    while after is not None:
        _, page = await world.get(f"/rounds/{lottery.id}/draw/tickets?limit=2" + (f"&after={after}" if after else ""))
        paged += [item["line"] for item in page["items"]]
        after = page["next"]
    assert paged == lines
    assert await world.value("SELECT count(*) FROM draw_lists") == 3


async def test_a_round_without_tickets_is_committed_and_drawn(world: World, tmp_path: Path) -> None:
    lottery, _ = await drawn(world, tickets=0)
    await lottery.publicise()
    bundle = await bundle_of(lottery)
    assert verify(tmp_path, bundle) == 0
    assert bundle["commitment"]["list_digest"] == hashlib.sha256(b"").hexdigest()


async def test_every_holder_is_sent_the_digest_in_the_commit_of_the_commitment(world: World, tmp_path: Path) -> None:
    lottery = await opened(world)
    receipts = await lottery.enter(3)
    assert (await world.delete(f"/rounds/{lottery.id}/reservation", by=lottery.players[2]))[0] == 200
    await lottery.close()
    digest = (await world.get(f"/rounds/{lottery.id}/draw"))[1]["commitment"]["commitment_digest"]
    while await world.sweep(open_events):
        pass
    for member, receipt in zip(lottery.players[:2], receipts, strict=False):
        _, inbox = await world.get("/notices", by=member)
        [told] = [notice for notice in inbox["items"] if notice["kind"] == "draw_committed"]
        assert told["page"] == f"pages/reservations/show?id={receipt['id']}"
        assert all(said in told["body"] for said in (digest, receipt["ticket_no"], SOURCE, "3月2日 13:00"))
        fields = json.loads(await world.value("SELECT data FROM notices WHERE id = $1", told["id"]))["fields"]
        message = {key: each["value"] for key, each in fill(TEMPLATES["draw_committed"], fields).items()}
        assert message["character_string2"] + message["character_string3"] == digest
        assert (message["character_string1"], message["time4"]) == (receipt["ticket_no"], "2026年3月2日 13:00")
    _, inbox = await world.get("/notices", by=lottery.players[2])
    assert "draw_committed" not in [notice["kind"] for notice in inbox["items"]]
    replaced = await bundle_of(lottery)
    assert verify(tmp_path, replaced, "--sealed", "--digest", digest) == 0
    assert verify(tmp_path, replaced, "--sealed", "--digest", hashlib.sha256(b"").hexdigest()) == 1


async def test_results_stay_hidden_until_the_publicity_time(world: World) -> None:
    lottery, receipts = await drawn(world)
    lottery.set("publicity_at", -1)
    member = lottery.players[0]
    assert (await bundle_of(lottery))["reveal"] is None
    assert (await world.get(f"/rounds/{lottery.id}/draw"))[1]["reveal"] is None
    assert (await world.get(f"/reservations/{receipts[0]['id']}", by=member))[1]["state"] == "awaiting"
    lottery.set("publicity_at")
    assert (await bundle_of(lottery))["reveal"] is not None
    shown = [(await world.get(f"/reservations/{receipt['id']}", by=by))[1]["state"]
             for receipt, by in zip(receipts, lottery.players, strict=True)]
    assert sorted(shown) == ["alternate", "lost", "lost", "won"]


# --- the secrets -----------------------------------------------------------------------------------------------------


async def test_a_secret_is_sealed_and_its_commitment_is_shown(world: World) -> None:
    lottery = await announced(world)
    status, body = await world.put(f"/rounds/{lottery.id}/draw-secret", {"secret": OFFICER}, by=lottery.people.officer)
    expected = hashlib.sha256(f"qifuquan-draw-commit/1|202603|officer|{OFFICER}".encode()).hexdigest()
    assert (status, body) == (200, {"round_id": lottery.id, "role": "draw_officer", "commitment": expected, "both_there": False})
    stored = await world.one("SELECT * FROM draw_secrets")
    assert OFFICER.encode() not in stored["secret"]
    assert bytes.fromhex(OFFICER) not in stored["secret"]


async def test_the_two_roles_are_two_people_and_each_role_is_one(world: World) -> None:
    lottery = await announced(world)
    await world.put(f"/rounds/{lottery.id}/draw-secret", {}, by=lottery.people.officer)
    before = await world.snapshot("draw_secrets")
    status, body = await world.put(f"/rounds/{lottery.id}/draw-secret", {}, by=await world.official(Role.DRAW_OFFICER))
    assert (status, body["code"]) == (409, "draw_role_taken")
    officer = lottery.people.officer
    person = (officer.person_id, officer.identity_id, officer.open_id)
    both = await world.member(officer.organisation_id, Role.WITNESS, person=person, region_code="370100")
    status, body = await world.put(f"/rounds/{lottery.id}/draw-secret", {}, by=both)
    assert (status, body["code"]) == (403, "second_person_needed")
    elsewhere = await world.official(Role.WITNESS, region_code="370200")
    assert (await world.put(f"/rounds/{lottery.id}/draw-secret", {}, by=elsewhere))[0] == 404
    assert await world.snapshot("draw_secrets") == before


async def test_after_the_commitment_no_secret_changes(world: World) -> None:
    lottery = await opened(world)
    await lottery.close()
    before = await world.snapshot("draw_secrets", "draws", "draw_lists")
    status, body = await world.put(f"/rounds/{lottery.id}/draw-secret", {}, by=lottery.people.officer)
    assert (status, body["code"], body["data"]) == (409, "round_state_wrong", {"state": "committed"})
    assert await world.snapshot("draw_secrets", "draws", "draw_lists") == before


async def test_a_round_without_both_secrets_closes_and_waits(world: World) -> None:
    lottery = await announced(world)
    await lottery.open()
    await lottery.enter(1)
    await lottery.close()
    assert await lottery.state() == "closed"
    assert await world.sweep(close_due_rounds) == 0
    await lottery.secrets()
    assert await world.sweep(close_due_rounds) == 1
    assert await lottery.state() == "committed"


async def test_a_round_whose_source_has_passed_is_never_committed(world: World) -> None:
    lottery = await announced(world)
    await lottery.open()
    await lottery.close()
    await lottery.secrets()
    world.clock.set(datetime.fromisoformat(lottery.round["randomness"][0]["at"]))
    assert await world.sweep(close_due_rounds) == 1
    assert await lottery.state() == "closed"
    assert await world.value("SELECT count(*) FROM draws") == 0


async def test_the_managers_hear_once_that_a_round_missed_its_public_value(world: World) -> None:
    lottery = await announced(world)
    await lottery.open()
    await lottery.close()
    lottery.world.clock.set(datetime.fromisoformat(lottery.round["randomness"][0]["at"]) - timedelta(microseconds=1))
    assert await world.sweep(close_due_rounds) == 0
    world.clock.advance(microseconds=1)
    assert [await world.sweep(close_due_rounds) for _ in range(3)] == [1, 0, 0]
    elsewhere = await world.official(Role.PROGRAMME_MANAGER, region_code="370200")
    while await world.sweep(open_events):
        pass
    for member, count in ((lottery.people.maker, 1), (lottery.people.second, 1), (elsewhere, 0)):
        _, inbox = await world.get("/notices", by=member)
        told = [notice for notice in inbox["items"] if notice["kind"] == "approval_waiting"]
        assert [(each["title"], each["page"]) for each in told] == [
            ("批次错过公开数，须作废", f"pages/rounds/show?id={lottery.id}")] * count
    assert (await world.put(f"/rounds/{lottery.id}/voiding", {"reason": "错过公开数"}, by=lottery.people.maker))[0] == 200
    await world.sweep(open_events)
    _, inbox = await world.get("/notices", by=lottery.people.second)
    assert [each["is_superseded"] for each in inbox["items"] if each["kind"] == "approval_waiting"] == [True]


async def closing_behind_twenty(world: World) -> tuple[Lottery, int]:
    """Twenty rounds that missed their public value, and one behind them that can be closed: how many of it the second tick does."""
    people, programme = await officials(world), await world.programme()
    rounds = [await announced(world, programme=programme, people=people, number=f"1{number:02d}") for number in range(20)]
    for column, sweep in (("opens_at", open_due_rounds), ("closes_at", close_due_rounds)):
        rounds[0].set(column)
        assert await world.sweep(sweep) == 20
    for missed in rounds:
        await missed.secrets()
    world.clock.set(datetime.fromisoformat(rounds[0].round["randomness"][0]["at"]))
    behind = await opened(world, programme=programme, people=people, number="200")
    behind.set("closes_at")
    await world.sweep(close_due_rounds)
    return behind, await world.sweep(close_due_rounds)


async def test_rounds_that_cannot_go_on_do_not_hold_up_the_others(world: World) -> None:
    behind, done = await closing_behind_twenty(world)
    assert (done, await behind.state()) == (1, "committed")


async def test_rounds_that_cannot_go_on_would_be_found_before_all_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "handlers.draws.CLOSING", "THEN missed_at IS NULL", "THEN true")
    behind, done = await closing_behind_twenty(world)
    assert (done, await behind.state()) == (0, "open")


# --- the public values -----------------------------------------------------------------------------------------------


async def type_value(lottery: Lottery, by: str, value: str, source: str = SOURCE) -> tuple[int, Any]:
    return await lottery.world.put(
        f"/rounds/{lottery.id}/public-values", {"values": [{"source": source, "value": value}]}, by=getattr(lottery.people, by)
    )


async def test_public_values_count_when_both_agree_in_any_spelling(world: World) -> None:
    lottery = await opened(world)
    await lottery.close()
    world.clock.set(datetime.fromisoformat(lottery.round["randomness"][0]["at"]) - timedelta(microseconds=1))
    assert (await type_value(lottery, "officer", TYPED))[1]["code"] == "public_value_too_early"
    world.clock.advance(microseconds=1)
    assert (await type_value(lottery, "officer", "1 2 3"))[1]["code"] == "public_value_wrong"
    assert (await type_value(lottery, "officer", TYPED, "别的来源"))[1]["code"] == "public_value_unknown_source"
    assert await world.value("SELECT count(*) FROM public_values") == 0
    assert (await type_value(lottery, "officer", "01 02 03 04 05 06+07"))[0] == 200
    assert (await type_value(lottery, "witness", TYPED))[1]["code"] == "public_values_differ"
    assert await world.value("SELECT array_agg(role) FROM public_values") == ["draw_officer"]
    assert (await type_value(lottery, "officer", TYPED))[1]["values"] == [{"source": SOURCE, "value": NORMALISED, "agreed": False}]
    assert (await type_value(lottery, "witness", NORMALISED))[1]["values"][0]["agreed"] is True
    assert (await type_value(lottery, "officer", TYPED))[1]["code"] == "public_value_agreed"


async def test_a_draw_needs_its_time_and_both_values(world: World) -> None:
    lottery = await opened(world)
    await lottery.enter(2)
    await lottery.close()
    lottery.set("draw_at")
    assert await world.sweep(draw_due_rounds) == 0
    await lottery.type_values()
    lottery.set("draw_at", -1)
    assert await world.sweep(draw_due_rounds) == 0
    lottery.set("draw_at")
    assert await world.sweep(draw_due_rounds) == 1
    lottery.set("draw_at", 1)
    assert await world.sweep(draw_due_rounds) == 0
    assert (await type_value(lottery, "officer", TYPED))[1]["code"] == "round_state_wrong"


# --- once, or not at all ---------------------------------------------------------------------------------------------

TABLES = ("rounds", "reservations", "draws", "audit_entries", "events")


async def ready(world: World, tickets: int = 4) -> Lottery:
    lottery = await opened(world)
    await lottery.enter(tickets)
    await lottery.close()
    await lottery.type_values()
    lottery.set("draw_at")
    return lottery


async def test_a_crash_in_the_middle_of_a_draw_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await ready(world)
    before = await world.snapshot(*TABLES)
    original = draws.write_results

    async def crash(*args: object) -> object:
        await original(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(draws, "write_results", crash)
    with pytest.raises(KeyboardInterrupt):
        await world.sweep(draw_due_rounds)
    assert await world.snapshot(*TABLES) == before
    monkeypatch.setattr(draws, "write_results", original)
    assert await world.sweep(draw_due_rounds) == 1


async def test_two_machines_draw_once(world: World) -> None:
    lottery = await ready(world)
    done = await asyncio.gather(*(world.sweep(draw_due_rounds) for _ in range(4)))
    assert sorted(done) == [0, 0, 0, 1]
    assert sorted(await lottery.states()) == ["alternate", "submitted", "submitted", "won"]
    assert await world.value("SELECT count(*) FROM audit_entries WHERE action = 'round.drawn'") == 1


async def test_a_changed_list_is_not_drawn_from(world: World) -> None:
    await ready(world)
    await world.owner.execute("UPDATE draw_lists SET lines = replace(lines, '|-', '|0')")
    expect_broken("draws_keep_the_published_list")
    before = await world.snapshot(*TABLES)
    with pytest.raises(ExceptionGroup) as raised:
        await world.sweep(draw_due_rounds)
    assert isinstance(raised.value.exceptions[0], draws.DrawContradictionError)
    assert await world.snapshot(*TABLES) == before


async def test_a_ticket_that_changed_after_the_commitment_stops_the_draw(world: World) -> None:
    await ready(world, tickets=1)
    await world.owner.execute("UPDATE reservations SET state = 'withdrawn'")
    expect_broken("draws_count_the_tickets")
    before = await world.snapshot(*TABLES)
    with pytest.raises(ExceptionGroup):
        await world.sweep(draw_due_rounds)
    assert await world.snapshot(*TABLES) == before


async def test_one_round_that_cannot_be_drawn_does_not_hold_up_another(world: World) -> None:
    first = await announced(world, number="1")
    second = await announced(world, programme=await world.programme(), people=first.people, number="2")
    for lottery in (first, second):
        await lottery.secrets()
    from handlers.rounds import open_due_rounds

    first.set("opens_at")
    assert await world.sweep(open_due_rounds) == 2
    first.set("closes_at")
    assert await world.sweep(close_due_rounds) == 2
    await first.type_values()
    await second.type_values()
    await world.owner.execute("UPDATE draws SET commitment = jsonb_set(commitment, '{list_digest}', '\"0\"') WHERE round_id = $1", first.id)
    first.set("draw_at")
    with pytest.raises(ExceptionGroup):
        await world.sweep(draw_due_rounds)
    assert (await first.state(), await second.state()) == ("committed", "drawn")
