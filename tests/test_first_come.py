"""First come, first served: a voucher at once while the quota lasts, to the last one and not one more; and its door."""

import asyncio
from typing import Any

import pytest

from handlers.first_come import end_due_rounds
from models.accounts import Role
from tests.lottery import WITHOUT_DRAW, Lottery, giving, officials, plan, qualified, reserve, take
from tests.talking import Speaker
from tests.world import World

TABLES = ("reservations", "lots", "ledger_entries", "round_shares", "audit_entries", "events")


async def left(giving: Lottery) -> int:
    _, body = await giving.world.get(f"/rounds/{giving.id}", by=giving.people.maker)
    [quota] = [each for each in body["quotas"] if each["voucher_type_id"] == giving.programme.audit]
    found: int = quota["left"]
    return found


# --- taking ------------------------------------------------------------------------------------------------------------


async def test_who_comes_has_the_voucher_at_once(world: World) -> None:
    giving_out = await giving(world, quota=3)
    member = await qualified(world, giving_out.programme)
    status, receipt = await take(giving_out, member)
    assert (status, receipt["state"], receipt["state_title"], receipt["allocation"]) == (201, "issued", "已发券", "first_come")
    assert (receipt["can_change"], receipt["can_decline"], receipt["rank"]) == (False, False, None)
    assert (await world.get(f"/reservations/{receipt['id']}", by=member))[1] == receipt
    _, wallet = await world.get("/wallet/lots", by=member)
    assert [(lot["voucher_type"], lot["available_fen"], lot["valid_until"]) for lot in wallet["items"]] == [
        (receipt["voucher_type"], 100_000, "2026-06-30")
    ]
    told = await world.one("SELECT kind, subject_id, data FROM events WHERE organisation_id = $1", member.organisation_id)
    assert (told["kind"], told["subject_id"]) == ("voucher_issued", receipt["id"])
    assert await world.value("SELECT action FROM audit_entries WHERE subject = 'reservation'") == "reservation.issued"
    ticket = await world.one("SELECT rank, win_year, win_nth FROM reservations")
    assert (tuple(ticket), await left(giving_out)) == ((1, 2026, 1), 2)


@pytest.mark.parametrize(("quota", "parts"), [(1, 1), (5, 5), (32, 32), (100, 32)])
async def test_every_place_of_the_quota_is_in_one_part(world: World, quota: int, parts: int) -> None:
    await giving(world, quota=quota)
    shares = await world.owner.fetch(
        "SELECT first_place, size, remaining FROM round_shares WHERE voucher_type_id = (SELECT min(voucher_type_id) FROM round_shares)"
        " ORDER BY first_place")
    assert (len(shares), sum(share["size"] for share in shares)) == (parts, quota)
    assert [share["first_place"] for share in shares] == [1 + sum(each["size"] for each in shares[:at]) for at in range(parts)]
    assert all(share["remaining"] == share["size"] >= 1 for share in shares)


async def test_the_quota_is_given_out_to_the_last_and_not_one_more(world: World) -> None:
    giving_out = await giving(world, quota=40)
    members = [await qualified(world, giving_out.programme) for _ in range(45)]
    answers = await asyncio.gather(*(take(giving_out, member) for member in members))
    refused = [body["code"] for status, body in answers if status != 201]
    assert refused == ["voucher_type_taken"] * 5
    places = await world.owner.fetch("SELECT rank FROM reservations ORDER BY rank")
    assert [row["rank"] for row in places] == list(range(1, 41))
    assert await left(giving_out) == 0


async def test_what_is_taken_up_is_greyed_out_with_its_reason_and_refused(world: World) -> None:
    giving_out = await giving(world, quota=1)
    assert (await take(giving_out))[0] == 201
    late = await qualified(world, giving_out.programme)
    _, page = await world.get(f"/rounds/{giving_out.id}/eligibility", by=late)
    choices = {each["voucher_type_id"]: (each["left"], each["enabled"], each["tooltip"]) for each in page["voucher_types"]}
    assert choices == {giving_out.programme.audit: (0, False, "该券种已被领完"), giving_out.programme.general: (1, True, None)}
    before = await world.snapshot(*TABLES)
    status, body = await take(giving_out, late)
    assert (status, body["code"]) == (409, "voucher_type_taken")
    assert await world.snapshot(*TABLES) == before


async def test_the_window_is_exact_to_the_microsecond(world: World) -> None:
    giving_out, seen = await giving(world, opened=False, quota=9), []
    for column, microseconds in (("opens_at", -1), ("opens_at", 0), ("closes_at", -1), ("closes_at", 0)):
        giving_out.set(column, microseconds)
        status, body = await take(giving_out)
        seen.append((status, body.get("code")))
    assert seen == [(409, "round_not_open"), (201, None), (201, None), (409, "round_not_open")]


async def test_the_rules_of_a_reservation_hold(world: World) -> None:
    giving_out = await giving(world, quota=9)
    member, nobody = await qualified(world, giving_out.programme), await world.enterprise()
    viewer = await world.member(member.organisation_id, Role.VIEWER)
    assert (await take(giving_out, member))[0] == 201
    before = await world.snapshot(*TABLES)
    colleague = await world.member(member.organisation_id, Role.HANDLER)
    codes = [(await take(giving_out, by))[1]["code"] for by in (member, colleague, viewer, nobody)]
    assert codes == ["already_reserved", "already_reserved", "not_your_role", "qualification_missing"]
    other = (await world.programme()).audit
    assert (await reserve(giving_out, await qualified(world, giving_out.programme), other))[1]["code"] == "voucher_type_not_in_round"
    after = await world.snapshot(*TABLES)
    assert after["lots"] == before["lots"]
    assert after["round_shares"] == before["round_shares"]


async def test_the_yearly_cap_counts_what_was_taken(world: World) -> None:
    first = await giving(world, cap=1, quota=9, closes_at=world.at(hours=3).isoformat())
    member = await qualified(world, first.programme)
    assert (await take(first, member))[0] == 201
    second = await giving(world, opened=False, programme=first.programme, people=first.people, number="202604", quota=9,
                          opens_at=world.at(hours=0).isoformat())
    before = await world.snapshot("reservations", "lots", "round_shares")
    assert (await take(second, member))[1]["code"] == "voucher_type_capped"
    assert await world.snapshot("reservations", "lots", "round_shares") == before


async def test_a_win_takes_the_lowest_number_of_the_year_that_is_free(world: World) -> None:
    """After a win that was given up in a draw there is a gap: counting on from the highest would refuse the third of three."""
    first = await giving(world, cap=3, quota=9, closes_at=world.at(hours=3).isoformat())
    member = await qualified(world, first.programme)
    assert (await take(first, member))[0] == 201
    await world.owner.execute("UPDATE reservations SET win_nth = 2")  # as if the first of the year were gone
    for number, nth in (("202604", 1), ("202605", 3)):
        following = await giving(world, opened=False, programme=first.programme, people=first.people, number=number, quota=9,
                                 opens_at=world.at(hours=0).isoformat())
        status, receipt = await take(following, member)
        assert (status, await world.value("SELECT win_nth FROM reservations WHERE id = $1", receipt["id"])) == (201, nth)


async def test_what_was_taken_is_neither_changed_nor_withdrawn_nor_declined(world: World) -> None:
    giving_out = await giving(world, quota=9)
    member = await qualified(world, giving_out.programme)
    _, receipt = await take(giving_out, member)
    before = await world.snapshot(*TABLES)
    path = f"/rounds/{giving_out.id}/reservation"
    answers = [
        await world.put(path, {"voucher_type_id": giving_out.programme.general}, by=member), await world.delete(path, by=member),
        await world.put(f"/reservations/{receipt['id']}/declination", by=member),
    ]
    assert [body["code"] for _, body in answers] == ["nothing_reserved", "nothing_reserved", "nothing_to_decline"]
    assert await world.snapshot(*TABLES) == before


async def test_a_request_that_comes_twice_takes_once(world: World) -> None:
    giving_out = await giving(world, quota=9)
    member = await qualified(world, giving_out.programme)
    assert await take(giving_out, member, "once") == await take(giving_out, member, "once")
    assert await left(giving_out) == 8


async def test_the_bot_says_what_is_left_and_that_the_voucher_is_there(world: World) -> None:
    giving_out = await giving(world, quota=1)
    speaker = Speaker(world, await qualified(world, giving_out.programme))
    assert await speaker.say("预约审计券") == (
        "请确认领取（先到先得，确认后立即到账）：\n· 批次：2026年第一批\n· 券种：审计服务专用券，面值 1,000 元\n"
        "· 领取时间：3月2日 10:00 至 3月2日 11:00\n· 尚余 1 张\n回复「确认」领取，回复「取消」放弃。"
    )
    answer = await speaker.tap("确认")
    number = await world.value("SELECT id FROM reservations")
    assert answer == (
        f"领取成功：「2026年第一批」审计服务专用券 1,000 元已到账，有效期至 2026年6月30日（含当日），凭证号 R202603-{number:08d}。"
    )
    assert await speaker.say("预约") == "贵单位在「2026年第一批」已领取服务券，每家企业每批次限领一次。"
    assert await speaker.say("查中签") == f"「2026年第一批」审计服务专用券，凭证号 R202603-{number:08d}：已发券。该批次先到先得，没有摇号。"
    late = Speaker(world, await qualified(world, giving_out.programme))
    assert await late.say("预约审计券") == "「审计服务专用券」已被领完。请选择其他券种。"
    assert "审计服务专用券：已被领完\n· 服务通用券：可约" in await late.say("为什么不能约")
    assert "2026年第一批：预约中，预约 3月2日 10:00 至 3月2日 11:00" in (await late.say("公示公告")).splitlines()[-1]


# --- the round ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "problem"), [
    ({"draw_at": 4}, "draw"), ({"publicity_at": 4}, "draw"), ({"publicity_until": 4}, "draw"), ({"alternates": 1}, "draw"),
    ({"closes_at": 1}, "times"), ({"valid_until": "2026-03-01"}, "valid_until"), ({"closes_at": 24 * 305}, "years"),
])
async def test_a_plan_has_nothing_of_a_draw(world: World, changes: dict[str, Any], problem: str) -> None:
    programme, people = await world.programme(allocation="first_come"), await officials(world)
    asked = {name: world.at(hours=value).isoformat() if name.endswith("_at") or name == "publicity_until" else value
             for name, value in changes.items()}
    body = plan(world, programme, **WITHOUT_DRAW | {"valid_until": "2027-06-30"} | asked)
    status, answer = await world.post(f"/programmes/{programme.id}/rounds", body, by=people.maker)
    assert (status, answer["code"], answer["data"]) == (422, "round_plan_wrong", {"problem": problem})
    assert await world.value("SELECT count(*) FROM rounds") == 0


async def test_a_draft_follows_the_policy_and_a_draw_needs_its_times(world: World) -> None:
    programme, people = await world.programme(), await officials(world)
    body = plan(world, programme, **WITHOUT_DRAW)
    _, answer = await world.post(f"/programmes/{programme.id}/rounds", body, by=people.maker)
    assert (answer["code"], answer["data"]) == ("round_plan_wrong", {"problem": "times"})
    _, drafted = await world.post(f"/programmes/{programme.id}/rounds", plan(world, programme), by=people.maker)
    await world.owner.execute("UPDATE policies SET rules = jsonb_set(rules, '{allocation}', '\"first_come\"')")
    status, again = await world.put(f"/rounds/{drafted['id']}", body, by=people.maker)
    assert (status, drafted["allocation"], again["allocation"], again["randomness"]) == (200, "lottery", "first_come", [])


async def test_nobody_draws_it(world: World) -> None:
    giving_out = await giving(world, quota=1)
    before = await world.snapshot("draw_secrets", "audit_entries")
    assert (await world.put(f"/rounds/{giving_out.id}/draw-secret", {}, by=giving_out.people.officer))[1]["code"] == "round_without_draw"
    assert await world.snapshot("draw_secrets", "audit_entries") == before
    assert (await world.get(f"/rounds/{giving_out.id}/draw"))[0] == 404


async def test_it_ends_in_its_time_with_what_is_left_and_gives_out_no_more(world: World) -> None:
    giving_out = await giving(world, quota=2)
    assert (await take(giving_out))[0] == 201
    giving_out.set("closes_at", -1)
    assert await world.sweep(end_due_rounds) == 0
    giving_out.set("closes_at")
    assert [await world.sweep(end_due_rounds) for _ in range(2)] == [1, 0]
    assert (await giving_out.state(), await left(giving_out)) == ("final", 1)
    giving_out.set("closes_at", -1)  # a machine whose clock is behind
    assert (await take(giving_out))[1]["code"] == "round_not_open"


async def test_what_was_taken_stays_when_the_round_is_stopped(world: World) -> None:
    giving_out = await giving(world, quota=2)
    member = await qualified(world, giving_out.programme)
    _, receipt = await take(giving_out, member)
    assert (await world.put(f"/rounds/{giving_out.id}/voiding", {"reason": "资金调整"}, by=giving_out.people.second))[0] == 200
    assert (await world.get(f"/reservations/{receipt['id']}", by=member))[1]["state"] == "issued"
    assert (await world.get("/wallet/lots", by=member))[1]["items"][0]["available_fen"] == 100_000
    assert (await take(giving_out))[1]["code"] == "round_not_open"


@pytest.mark.parametrize(("allocation", "cap", "refused"), [("lottery", 1, True), ("lottery", None, False), ("first_come", 1, False)])
async def test_no_draw_of_a_capped_type_waits_beside_it(world: World, allocation: str, cap: int | None, refused: bool) -> None:
    """A committed list promises the wins that were left; who comes first could use them up meanwhile."""
    waiting = await giving(world, opened=False, cap=cap)
    await world.owner.execute("UPDATE policies SET rules = jsonb_set(rules, '{allocation}', to_jsonb($1::text))", allocation)
    changes = {} if allocation == "lottery" else WITHOUT_DRAW
    body = plan(world, waiting.programme, number="202604", **changes)
    _, drafted = await world.post(f"/programmes/{waiting.programme.id}/rounds", body, by=waiting.people.maker)
    status, answer = await world.put(f"/rounds/{drafted['id']}/confirmation", by=waiting.people.second)
    assert (status, answer.get("data")) == ((422, {"problem": "overlaps"}) if refused else (200, None))
