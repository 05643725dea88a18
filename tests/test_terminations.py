"""协商终止 (O12): either side proposes to end an order in service, the other agrees, refuses or lets it pass."""

from datetime import timedelta

import pytest

from handlers import orders
from handlers.notices import open_events
from models.accounts import Role
from tests.shop import Shop, open_shop
from tests.world import World

PROPOSAL = {"returned_fen": 150_000, "reason": "双方商定不再继续"}
INSTANT = timedelta(microseconds=1)


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def proposed(shop: Shop, side: str = "buyer", reached: str = "accepted") -> int:
    order_id: int = await getattr(shop, reached)()
    await shop.ok(getattr(shop, side), order_id, "termination", PROPOSAL)
    return order_id


def other(side: str) -> str:
    return "seller" if side == "buyer" else "buyer"


async def actions(shop: Shop, side: str, order_id: int) -> set[str]:
    _, order = await shop.world.get(f"/orders/{order_id}", by=getattr(shop, side))
    return {action for action in order["allowed_actions"] if "terminat" in action}


@pytest.mark.parametrize("reached", ["accepted", "delivered"])
@pytest.mark.parametrize("side", ["buyer", "seller"])
async def test_what_one_proposes_the_other_agrees_to_and_the_amount_goes_back(shop, side, reached):
    order_id = await proposed(shop, side, reached)
    assert await actions(shop, side, order_id) == {"withdraw_termination"}
    assert await actions(shop, other(side), order_id) == {"agree_termination", "refuse_termination"}
    _, order = await shop.world.get(f"/orders/{order_id}", by=getattr(shop, other(side)))
    assert order["termination"] == {
        "side": "enterprise" if side == "buyer" else "institution", "returned_fen": 150_000, "reason": PROPOSAL["reason"],
        "until": shop.world.at(days=7).isoformat(),
    }
    closed = await shop.ok(getattr(shop, other(side)), order_id, "termination/agreement", {"returned_fen": 150_000})
    assert (closed["state"], closed["close_reason"], closed["returned_fen"], closed["remark"]) == (
        "closed", "refunded", 150_000, "双方协商退款")
    assert (closed["termination"], closed["allowed_actions"]) == (None, [])
    assert tuple(await shop.world.one("SELECT available_fen, spent_fen FROM lots")) == (150_000, 50_000)
    entries = await shop.world.owner.fetch("SELECT kind, fen FROM ledger_entries WHERE order_id = $1 ORDER BY id", order_id)
    assert [tuple(entry) for entry in entries] == [("hold", 200_000), ("commit", 200_000), ("reverse", 150_000)]


async def test_both_hear_of_the_end_and_the_audit_trail_says_who_proposed_and_who_agreed(shop):
    order_id = await proposed(shop)
    await shop.ok(shop.seller, order_id, "termination/agreement", {"returned_fen": 150_000})
    told = await shop.world.owner.fetch(
        "SELECT kind, organisation_id FROM events WHERE kind IN ('order_termination', 'order_closed') ORDER BY id"
    )
    buyer, seller = shop.buyer.organisation_id, shop.seller.organisation_id
    assert [tuple(event) for event in told] == [("order_termination", seller), ("order_closed", buyer), ("order_closed", seller)]
    rows = await shop.world.owner.fetch(
        "SELECT action, person_id FROM audit_entries WHERE subject = 'order' AND subject_id = $1 ORDER BY id DESC LIMIT 2", order_id
    )
    assert [tuple(row) for row in rows] == [
        ("order.closed", shop.seller.person_id), ("order.termination_proposed", shop.buyer.person_id)]


async def test_what_goes_back_whole_is_no_use_of_the_year_and_a_part_is_one(shop):
    order_id = await proposed(shop)
    await shop.ok(shop.seller, order_id, "termination/agreement", {"returned_fen": 150_000})
    whole = await shop.accepted()
    await shop.ok(shop.seller, whole, "termination", {**PROPOSAL, "returned_fen": 200_000})
    await shop.ok(shop.buyer, whole, "termination/agreement", {"returned_fen": 200_000})
    uses = await shop.world.owner.fetch("SELECT use_nth IS NOT NULL AS counts FROM orders ORDER BY id")
    assert [use["counts"] for use in uses] == [True, False]


SERVED_AT_ONCE = {"provider_accept": False, "completion": "none"}


@pytest.mark.parametrize("side", ["buyer", "seller"])
async def test_where_nobody_accepts_a_paid_order_is_in_service_and_both_may_end_it(world, side):
    shop = await open_shop(world, **SERVED_AT_ONCE)
    order_id = await proposed(shop, side, "paid")
    assert await actions(shop, other(side), order_id) == {"agree_termination", "refuse_termination"}
    closed = await shop.ok(getattr(shop, other(side)), order_id, "termination/agreement", {"returned_fen": 150_000})
    assert (closed["state"], closed["close_reason"], closed["returned_fen"]) == ("closed", "refunded", 150_000)
    assert tuple(await world.one("SELECT available_fen, spent_fen FROM lots")) == (150_000, 50_000)


async def test_where_nobody_confirms_what_is_served_is_not_ended(world):
    shop = await open_shop(world, **SERVED_AT_ONCE)
    order_id = await shop.paid()
    await shop.ok(shop.seller, order_id, "handovers", {"summary": "审计报告已交付"})
    assert (await actions(shop, "buyer", order_id), await actions(shop, "seller", order_id)) == (set(), set())
    before = await shop.unchanged()
    status, body = await shop.act(shop.seller, order_id, "termination", PROPOSAL)
    assert (status, body["code"]) == (409, "order_not_terminable")
    assert await shop.unchanged() == before


@pytest.mark.parametrize(("by", "noun", "body", "consent"), [
    ("seller", "termination/refusal", {"reason": "服务已基本完成"}, "refused"), ("buyer", "termination/withdrawal", None, "withdrawn"),
])
async def test_what_is_refused_or_withdrawn_leaves_the_order_as_it_was(shop, by, noun, body, consent):
    order_id = await proposed(shop)
    order = await shop.ok(getattr(shop, by), order_id, noun, body)
    assert (order["state"], order["termination"]) == ("accepted", None)
    event = await shop.world.one("SELECT organisation_id, data->>'consent' AS consent FROM events ORDER BY id DESC LIMIT 1")
    assert tuple(event) == (getattr(shop, other(by)).organisation_id, consent)
    assert await actions(shop, "seller", order_id) == await actions(shop, "buyer", order_id) == {"terminate"}


WRONG = {
    "before acceptance": ("paid", "buyer", "termination", PROPOSAL, 409, "order_not_terminable"),
    "after completion": ("completed", "seller", "termination", PROPOSAL, 409, "order_not_terminable"),
    "more than was paid": ("accepted", "buyer", "termination", {**PROPOSAL, "returned_fen": 200_001}, 422, "termination_amount_wrong"),
    "nothing to agree to": ("accepted", "buyer", "termination/agreement", {"returned_fen": 1}, 409, "order_not_terminable"),
    "nothing to withdraw": ("accepted", "buyer", "termination/withdrawal", None, 409, "order_not_terminable"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_cannot_be_ended_is_refused_and_nothing_changes(shop, name):
    reached, side, noun, body, status, code = WRONG[name]
    order_id = await getattr(shop, reached)()
    before = await shop.unchanged()
    answer = await shop.act(getattr(shop, side), order_id, noun, body)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert await shop.unchanged() == before


async def test_nobody_agrees_to_an_own_proposal_or_to_another_amount_than_was_shown(shop):
    order_id = await proposed(shop)
    before = await shop.unchanged()
    status, body = await shop.act(shop.buyer, order_id, "termination/agreement", {"returned_fen": 150_000})
    assert (status, body["code"]) == (409, "order_not_terminable")
    status, body = await shop.act(shop.seller, order_id, "termination/agreement", {"returned_fen": 100_000})
    assert (status, body["code"], body["data"]) == (409, "termination_changed", {"returned_fen": 150_000})
    status, body = await shop.act(shop.seller, order_id, "termination", PROPOSAL)
    assert (status, body["code"]) == (409, "order_not_terminable")
    stranger = await shop.world.enterprise()
    assert (await shop.act(stranger, order_id, "termination/agreement", {"returned_fen": 150_000}))[0] == 404
    assert await shop.unchanged() == before


async def test_a_proposal_can_be_answered_for_seven_days_and_then_both_hear_that_it_is_over(shop):
    order_id = await proposed(shop)
    until = shop.world.at(days=7)
    shop.world.clock.set(until - INSTANT)
    assert await shop.world.sweep(orders.expire_terminations) == 0
    assert "agree_termination" in await actions(shop, "seller", order_id)
    shop.world.clock.set(until)
    status, body = await shop.act(shop.seller, order_id, "termination/agreement", {"returned_fen": 150_000})
    assert (status, body["code"]) == (409, "order_not_terminable")
    assert [await shop.world.sweep(orders.expire_terminations) for _ in range(2)] == [1, 0]
    told = await shop.world.owner.fetch("SELECT organisation_id FROM events WHERE data->>'consent' = 'expired' ORDER BY id")
    assert [event["organisation_id"] for event in told] == [shop.buyer.organisation_id, shop.seller.organisation_id]
    assert await actions(shop, "buyer", order_id) == {"terminate"}


async def test_a_confirmation_or_a_dispute_ends_what_was_proposed(shop):
    confirmed = await proposed(shop, "seller", "delivered")
    order = await shop.ok(shop.buyer, confirmed, "completion")
    assert (order["state"], order["termination"]) == ("completed", None)
    disputed = await shop.accepted()
    shop.world.clock.set(await shop.world.value("SELECT due_at FROM orders WHERE id = $1", disputed))
    await shop.ok(shop.seller, disputed, "termination", PROPOSAL)
    order = await shop.ok(shop.buyer, disputed, "dispute", {"reason": "一直没有开展服务"})
    assert (order["in_dispute"], order["termination"], order["allowed_actions"]) == (True, None, [])


async def test_a_frozen_order_is_not_ended_and_its_proposal_waits(shop):
    order_id = await proposed(shop)
    await shop.world.owner.execute("UPDATE orders SET frozen_at = $1", shop.world.clock.now())
    before = await shop.unchanged()
    status, body = await shop.act(shop.seller, order_id, "termination/agreement", {"returned_fen": 150_000})
    assert (status, body["code"]) == (409, "order_not_terminable")
    shop.world.clock.advance(days=8)
    assert await shop.world.sweep(orders.expire_terminations) == 0
    assert await shop.unchanged() == before


async def test_the_other_side_reads_what_is_proposed_and_finds_it_among_what_waits(shop):
    await proposed(shop)
    while await shop.world.sweep(open_events):
        pass
    body = await shop.world.value("SELECT body FROM notices WHERE kind = 'order_termination'")
    assert "对方提出协商终止，拟退回服务券 1500.00 元，说明：双方商定不再继续，请于 3月9日 09:00 前答复。" in body
    viewer = await shop.world.member(shop.buyer.organisation_id, Role.VIEWER)
    assert (await shop.act(viewer, 1, "termination", PROPOSAL))[0] == 403
