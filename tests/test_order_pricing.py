"""核定价格 under the Zhengzhou policy (C29-C34): 0 < 订单金额 <= 产品价格, before the payment, every time kept."""

import asyncpg
import pytest

from models.accounts import Role
from tests.world import World
from tests.zhengzhou import ContractShop, open_contract_shop


@pytest.fixture
async def shop(world: World) -> ContractShop:
    shop = await open_contract_shop(world)
    await shop.granted()
    return shop


async def test_an_order_begins_unpaid_at_the_list_price_and_asks_the_institution_for_the_contract_price(shop):
    order = await shop.show(await shop.order())
    assert (order["state"], order["label"], order["remark"]) == ("unpaid", "未支付", None)
    assert (order["list_price_fen"], order["order_fen"], order["max_voucher_fen"], order["voucher_fen"]) == (60_000, 60_000, 60_000, 0)
    assert order["allowed_actions"] == ["settle_price"]
    assert (await shop.show(order["id"], by=shop.buyer))["allowed_actions"] == ["pay", "cancel"]
    assert await shop.world.value("SELECT organisation_id FROM events WHERE kind = 'price_requested'") == shop.seller.organisation_id


async def test_the_institution_settles_the_contract_price_and_the_enterprise_is_asked_to_pay(shop):
    order_id = await shop.order()
    status, order = await shop.settle(order_id, 3_000)
    assert status == 200, order
    assert (order["list_price_fen"], order["order_fen"], order["max_voucher_fen"]) == (60_000, 3_000, 3_000)
    event = await shop.world.one("SELECT organisation_id, data FROM events WHERE kind = 'price_confirmed'")
    assert event["organisation_id"] == shop.buyer.organisation_id
    assert await shop.world.value("SELECT data->>'order_fen' FROM events WHERE kind = 'price_confirmed'") == "3000"


async def test_every_price_is_kept_with_who_settled_it(shop):
    order_id = await shop.order()
    for fen in (50_000, 55_000):
        assert (await shop.settle(order_id, fen))[0] == 200
    kept = await shop.world.owner.fetch("SELECT from_fen, to_fen, settled_by_id FROM price_changes ORDER BY id")
    assert [tuple(each) for each in kept] == [(60_000, 50_000, shop.seller.person_id), (50_000, 55_000, shop.seller.person_id)]


async def test_a_price_above_the_product_is_refused_with_the_hint_to_publish_a_new_product(shop):
    order_id = await shop.order()
    before = await shop.unchanged()
    status, body = await shop.settle(order_id, 60_001)
    assert (status, body["code"]) == (422, "price_above_list")
    assert body["data"] == {"limit_fen": 60_000, "hint": "建议发布新产品"}
    assert await shop.unchanged() == before
    assert (await shop.settle(order_id, 60_000))[0] == 200


@pytest.mark.parametrize("fen", [0, -1, "500", 1.5, None])
async def test_a_price_that_is_no_amount_is_refused(shop, fen):
    order_id = await shop.order()
    before = await shop.unchanged()
    assert (await shop.settle(order_id, fen))[0] == 422
    assert await shop.unchanged() == before


@pytest.mark.parametrize("state", ["pay_review", "paid", "closed"])
async def test_a_price_is_settled_only_before_the_payment(shop, state):
    if state == "closed":
        order_id = await shop.order()
        await shop.ok(shop.buyer, order_id, "cancellation")
    else:
        order_id = await shop.in_review()
        if state == "paid":
            assert (await shop.decide(order_id, "approval"))[0] == 200
    before = await shop.unchanged()
    status, body = await shop.settle(order_id, 400)
    assert (status, body["code"], body["data"]["state"]) == (409, "order_not_priceable", state)
    assert await shop.unchanged() == before


async def test_nobody_else_settles_the_price(shop):
    order_id = await shop.order()
    stranger = await shop.world.institution()
    finance = await shop.world.member(shop.seller.organisation_id, Role.FINANCE)
    before = await shop.unchanged()
    assert [(await shop.settle(order_id, 400, by=by))[0] for by in (shop.buyer, stranger, finance)] == [403, 404, 403]
    assert await shop.unchanged() == before


async def test_who_is_on_both_sides_settles_no_price(shop):
    order_id = await shop.order()
    buyer = shop.buyer
    both = await shop.world.member(
        shop.seller.organisation_id, Role.HANDLER, person=(buyer.person_id, buyer.identity_id, buyer.open_id)
    )
    before = await shop.unchanged()
    status, body = await shop.world.put(f"/orders/{order_id}/price", {"amount_fen": 3_000}, by=both)
    assert (status, body["code"]) == (403, "related_parties")
    assert await shop.unchanged() == before
    assert (await shop.show(order_id, by=both))["allowed_actions"] == []


async def test_a_frozen_order_is_not_priced(shop):
    order_id = await shop.order()
    await shop.world.owner.execute("UPDATE orders SET frozen_at = placed_at")
    before = await shop.unchanged()
    assert (await shop.settle(order_id, 400))[1]["code"] == "order_not_priceable"
    assert await shop.unchanged() == before


async def test_with_fixed_prices_there_is_nothing_to_settle(world):
    shop = await open_contract_shop(world, pricing="fixed", price_confirm="never")
    await shop.granted()
    order_id = await shop.order()
    status, body = await shop.settle(order_id, 400)
    assert (status, body["code"]) == (409, "order_not_priceable")
    assert await world.value("SELECT count(*) FROM events WHERE kind = 'order_placed'") == 1


async def test_without_a_difference_no_price_is_settled_and_the_enterprise_pays_at_once(shop):
    order_id = await shop.order()
    await shop.submit(order_id, 60_000)
    assert (await shop.show(order_id))["voucher_fen"] == 60_000


async def test_where_every_price_is_confirmed_an_order_waits_for_it_with_its_whole_time(world):
    shop = await open_contract_shop(world, price_confirm="always")
    await shop.granted()
    await shop.password()
    order_id, contract = await shop.order(), await shop.contract(60_000)
    before = await shop.unchanged()
    status, body = await shop.pay(order_id, 60_000, contract=contract)
    assert (status, body["code"], body["data"]["state"]) == (409, "order_not_payable", "awaiting_price")
    assert await shop.unchanged() == before
    assert (await shop.show(order_id))["label"] == "未支付"
    world.clock.advance(days=10)
    _, order = await shop.settle(order_id, 60_000)
    assert (order["state"], order["due_at"]) == ("unpaid", "2026-03-27T01:00:00+00:00")
    world.clock.advance(days=1)
    assert (await shop.settle(order_id, 50_000))[1]["due_at"] == "2026-03-27T01:00:00+00:00"


@pytest.mark.parametrize("change", [
    "order_fen = list_price_fen + 1", "voucher_fen = order_fen + 1, max_voucher_fen = order_fen + 1", "order_fen = 0",
    "voucher_fen = max_voucher_fen + 1", "state = 'pay_review'", "state = 'pay_rejected'",
])
async def test_the_database_keeps_the_chain_of_prices_whoever_writes(shop, change):
    await shop.settled(500)
    with pytest.raises(asyncpg.CheckViolationError):
        await shop.world.owner.execute(f"UPDATE orders SET {change}")
