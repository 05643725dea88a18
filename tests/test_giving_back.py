"""An unused voucher is given back: whole, in its days, once; and the win does not count any more (E17, F06)."""

import asyncio
from datetime import date, timedelta
from typing import Any

import orjson
import pytest

from handlers import orders, wallet
from models.accounts import Role
from tests.lottery import Lottery, giving, opened, qualified, take
from tests.races import without
from tests.referee import COMMIT, Referee
from tests.shop import Shop, open_shop
from tests.world import Member, World

TABLES = ("reservations", "lots", "ledger_entries", "audit_entries", "events")


async def issued(world: World, **changes: Any) -> tuple[Lottery, Member, dict[str, Any]]:
    """A round of first come, first served, who took of it, and the lot as its wallet shows it."""
    round_ = await giving(world, quota=9, **changes)
    member = await qualified(world, round_.programme)
    assert (await take(round_, member))[0] == 201
    return round_, member, await only_lot(world, member)


async def only_lot(world: World, member: Member, tab: str = "usable") -> dict[str, Any]:
    _, page = await world.get(f"/wallet/lots?tab={tab}", by=member)
    [lot] = page["items"]
    found: dict[str, Any] = lot
    return found


async def give_back(world: World, member: Member, lot_id: int) -> tuple[int, Any]:
    return await world.post(f"/wallet/lots/{lot_id}/return", by=member)


async def test_an_unused_voucher_is_given_back_whole_and_the_win_does_not_count(world: World) -> None:
    first, member, lot = await issued(world, cap=1, closes_at=world.at(hours=3).isoformat())
    assert lot["give_back_until"] == world.at(days=10).date().isoformat()
    status, given = await give_back(world, member, lot["id"])
    assert (status, given["state"], given["available_fen"], given["give_back_until"]) == (200, "given_back", 0, None)
    assert await only_lot(world, member, "expired") == given
    assert (await world.get("/wallet/lots", by=member))[1]["items"] == []
    assert (await world.get("/wallet/lots?tab=used", by=member))[1]["items"] == []
    _, bills = await world.get("/wallet/bills", by=member)
    assert [(bill["remark"], bill["amount_fen"], bill["expires_on"]) for bill in bills["items"]] == [
        ("放弃", -100_000, None), ("发放", 100_000, "2026-06-30"),
    ]
    _, tickets = await world.get("/reservations", by=member)
    assert [(ticket["state"], ticket["state_title"]) for ticket in tickets["items"]] == [("given_back", "已放弃")]
    assert await world.value("SELECT before || ' ' || after FROM audit_entries WHERE action = 'reservation.given_back'") == \
        "issued given_back"
    told = orjson.loads(await world.value("SELECT data FROM events WHERE kind = 'voucher_given_back'"))
    assert told == {"voucher_type": lot["voucher_type"], "amount_fen": 100_000}
    second = await giving(world, opened=False, programme=first.programme, people=first.people, number="202604", quota=9,
                          opens_at=world.at(hours=0).isoformat())
    assert (await take(second, member))[0] == 201  # with a cap of one win


async def test_it_is_not_given_out_again(world: World) -> None:
    round_, member, lot = await issued(world)
    assert (await give_back(world, member, lot["id"]))[0] == 200
    assert await world.value("SELECT sum(remaining) FROM round_shares WHERE voucher_type_id = $1", round_.programme.audit) == 8
    assert (await take(round_, member))[1]["code"] == "already_reserved"


async def test_a_win_of_a_draw_is_given_back_too(world: World) -> None:
    lottery = await opened(world, quota=1, alternates=0)
    await lottery.enter(1)
    await lottery.close()
    await lottery.type_values()
    await lottery.draw()
    await lottery.publicise()
    await lottery.finalise()
    [winner] = lottery.players
    lot = await only_lot(world, winner)
    assert (await give_back(world, winner, lot["id"]))[0] == 200
    assert await lottery.states() == ["given_back"]
    [ticket] = (await world.get("/reservations", by=winner))[1]["items"]
    assert (ticket["state_title"], ticket["rank"]) == ("已放弃", 1)


@pytest.mark.parametrize(("microseconds", "expected"), [(-1, 200), (0, 409)])
async def test_the_last_day_counts_to_its_end_in_shanghai(world: World, microseconds: int, expected: int) -> None:
    _, member, lot = await issued(world)
    over = wallet.first_unusable_instant(date.fromisoformat(lot["give_back_until"]))
    world.clock.set(over + timedelta(microseconds=microseconds))
    before = await world.snapshot(*TABLES)
    status, body = await give_back(world, member, lot["id"])
    assert status == expected, body
    if status != 200:
        assert (body["code"], body["data"]) == ("cannot_give_back", {"give_back_until": lot["give_back_until"]})
        assert await world.snapshot(*TABLES) == before


async def test_what_is_over_is_not_given_back_before_the_sweep_takes_it(world: World) -> None:
    _, member, lot = await issued(world, valid_until=world.at(days=2).date().isoformat())
    world.clock.advance(days=3)
    before = await world.snapshot(*TABLES)
    assert (await give_back(world, member, lot["id"]))[1]["code"] == "cannot_give_back"
    assert await world.snapshot(*TABLES) == before


async def test_a_policy_may_allow_no_days(world: World) -> None:
    programme = await world.programme(allocation="first_come", give_back_days=0)
    _, member, lot = await issued(world, programme=programme)
    assert lot["give_back_until"] is None
    assert (await give_back(world, member, lot["id"]))[1]["code"] == "cannot_give_back"


async def test_only_the_owner_of_the_enterprise_gives_it_back_and_once(world: World) -> None:
    _, member, lot = await issued(world)
    handler = await world.member(member.organisation_id, Role.HANDLER)
    stranger = await world.enterprise()
    codes = [(await give_back(world, by, lot["id"]))[1]["code"] for by in (handler, stranger)]
    assert codes == ["not_your_role", "not_found"]
    assert (await give_back(world, member, lot["id"]))[0] == 200
    before = await world.snapshot(*TABLES)
    assert (await give_back(world, member, lot["id"]))[1]["code"] == "cannot_give_back"
    assert await world.snapshot(*TABLES) == before


async def won(world: World) -> tuple[Shop, int]:
    """A shop whose buyer has a voucher of a win in the wallet."""
    shop = await open_shop(world, allocation="first_come")
    assert (await take(await giving(world, programme=shop.programme, quota=9), shop.buyer))[0] == 201
    return shop, (await only_lot(world, shop.buyer))["id"]


async def test_a_voucher_that_paid_once_is_used_even_if_all_of_it_came_back(world: World) -> None:
    shop, lot_id = await won(world)
    await shop.password()
    order_id = await shop.order()
    assert (await shop.pay(order_id, 100))[0] == 200
    await shop.ok(shop.seller, order_id, "refusal", {"reason": "排期已满"})
    lot = await only_lot(world, shop.buyer)
    assert (lot["available_fen"], lot["give_back_until"]) == (100_000, None)
    assert (await give_back(world, shop.buyer, lot_id))[1]["code"] == "cannot_give_back"


# --- at the same moment -------------------------------------------------------------------------------------------------


async def test_two_at_once_give_back_once(world: World) -> None:
    _, member, lot = await issued(world)
    answers = await asyncio.gather(*(give_back(world, member, lot["id"]) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] + [409] * 7
    assert await world.value("SELECT count(*) FROM ledger_entries WHERE kind = 'give_back'") == 1


async def against_a_payment(world: World, monkeypatch: pytest.MonkeyPatch, *, first: str) -> list[str]:
    """What became of the payment and of the giving back, of which one begins first and is held before it commits."""
    shop, lot_id = await won(world)
    order_id, ctx = await shop.order(), world.context(shop.buyer)
    contenders = {
        "pay": lambda: orders.pay_verified(ctx, order_id, 100),
        "give_back": lambda: wallet.give_back_lot(ctx, lot_id),
    }
    names = sorted(contenders, key=lambda name: name != first)
    outcomes = await Referee(world.owner, monkeypatch).race(*(contenders[name] for name in names), hold=(COMMIT,), in_turn=True)
    return [f"{name}: {'done' if isinstance(outcome, dict) else getattr(outcome, 'code', type(outcome).__name__)}"
            for name, outcome in zip(names, outcomes, strict=True)]


@pytest.mark.parametrize(("first", "outcome"), [
    ("pay", ["pay: done", "give_back: cannot_give_back"]), ("give_back", ["give_back: done", "pay: not_enough_vouchers"]),
])
async def test_a_voucher_is_spent_or_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch, first: str, outcome: list[str]
) -> None:
    assert await against_a_payment(world, monkeypatch, first=first) == outcome


async def test_unless_its_amount_is_looked_at_a_spent_voucher_is_stopped_by_the_database_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = "available_fen = face_fen AND give_back_until >= $3"
    without(monkeypatch, "handlers.wallet.giving_back.GIVE_BACK", guard, "$3::date IS NOT NULL")
    assert await against_a_payment(world, monkeypatch, first="pay") == ["pay: done", "give_back: CheckViolationError"]
