"""The nine tabs of C27 and the columns of C28, against the rows of the manual's own pictures."""

from itertools import product

import pytest

from handlers.orders.labels import BY_REDEMPTION, TAB_TITLES, Tab, states_of, tab_of
from models.orders import OrderState
from models.redemptions import RedemptionState
from tests.world import World
from tests.zhengzhou import ContractShop, open_contract_shop

TABLE = [
    ("awaiting_price", None, "未支付"), ("unpaid", None, "未支付"), ("pay_review", None, "支付审核中"),
    ("pay_rejected", None, "支付审核拒绝"),
    ("paid", None, "已支付"), ("accepted", None, "已支付"), ("delivered", None, "已支付"), ("completed", None, "已支付"),
    ("paid", "in_review", "兑付审核中"), ("delivered", "returned", "兑付审核中"), ("paid", "rejected", "兑付审核拒绝"),
    ("paid", "pre_redeemed", "预兑付"), ("completed", "in_batch", "预兑付"), ("paid", "redeemed", "已兑付"), ("paid", "clawback", "已兑付"),
    ("closed", None, "已关闭"), ("closed", "rejected", "已关闭"), ("closed", "in_review", "兑付审核中"), ("closed", "redeemed", "已兑付"),
]


@pytest.mark.parametrize(("state", "redemption", "title"), TABLE)
def test_order_and_redemption_together_have_one_word_of_the_manual(state, redemption, title):
    assert TAB_TITLES[tab_of(state, redemption)] == title


def test_the_tabs_are_those_of_the_manual_in_its_order():
    assert list(TAB_TITLES.values()) == [
        "未支付", "支付审核中", "支付审核拒绝", "已支付", "兑付审核中", "预兑付", "已兑付", "兑付审核拒绝", "已关闭",
    ]


def test_every_state_of_a_redemption_has_its_tab():
    assert set(RedemptionState) <= set(BY_REDEMPTION)


def test_the_query_of_a_tab_selects_exactly_what_the_projection_puts_there():
    for state, redemption in product(OrderState, [None, *BY_REDEMPTION]):
        showing = [
            tab for tab in Tab
            if (its := states_of(tab)) and state in its[0] and (redemption or "") in its[1]
        ]
        unpaid_with_claim = redemption is not None and tab_of(state, None) is not Tab.PAID and state != "closed"
        assert showing == [tab_of(state, redemption)] or unpaid_with_claim


ROWS = {  # 产品价格, 订单金额, 支付创新券金额, 状态, 备注, 操作 of the institution
    "未支付, at the list price": (60_000, 60_000, 0, "未支付", None, "settle_price"),
    "支付审核中": (600, 5, 5, "支付审核中", None, None),
    "支付审核拒绝": (600, 5, 0, "支付审核拒绝", "订单金额与合同金额不一致", "settle_price"),
    "已支付": (600, 5, 5, "已支付", None, "deliver"),
    "未支付, 1500": (1_500, 1_500, 0, "未支付", None, "settle_price"),
    "未支付, 600": (600, 600, 0, "未支付", None, "settle_price"),
}


@pytest.mark.parametrize("name", ROWS)
async def test_the_rows_of_the_manual_come_out_of_the_list(world: World, name: str):
    """Yuan in the manual, fen here."""
    price, amount, paid, label, remark, action = ROWS[name]
    shop = await open_contract_shop(world, price_fen=price * 100)
    await shop.granted(10_000_000)
    await lead_to(shop, label, amount * 100)
    status, page = await world.get("/orders", by=shop.seller)
    assert status == 200
    (order,) = page["items"]
    assert (order["list_price_fen"], order["order_fen"], order["voucher_fen"]) == (price * 100, amount * 100, paid * 100)
    assert (order["label"], order["remark"]) == (label, remark)
    assert (order["category_title"], order["content"]) == ("知识产权服务", "知识产权申请服务")
    assert order["placed_at"] == "2026-03-02T01:00:00+00:00"
    assert order["allowed_actions"][:1] == ([action] if action else [])


async def lead_to(shop: ContractShop, label: str, fen: int) -> None:
    if label == "未支付":
        await shop.order()
        return
    order_id = await shop.in_review(fen)
    if label == "支付审核拒绝":
        assert (await shop.decide(order_id, "rejection", "订单金额与合同金额不一致"))[0] == 200
    elif label == "已支付":
        assert (await shop.decide(order_id, "approval"))[0] == 200


async def test_each_tab_shows_its_orders_and_all_shows_all(world):
    shop = await open_contract_shop(world)
    await shop.granted()
    unpaid, reviewed, rejected, paid, closed = (
        await shop.order(), await shop.in_review(), await shop.in_review(), await shop.in_review(), await shop.order()
    )
    assert (await shop.decide(rejected, "rejection", "合同未盖章"))[0] == 200
    assert (await shop.decide(paid, "approval"))[0] == 200
    await shop.ok(shop.buyer, closed, "cancellation")
    shown = {}
    for tab in ("", *(f"?tab={tab}" for tab in Tab)):
        _, page = await world.get(f"/orders{tab}", by=shop.seller)
        shown[tab.removeprefix("?tab=")] = [order["id"] for order in page["items"]]
        assert {order["tab"] for order in page["items"]} <= {tab.removeprefix("?tab=")} or not tab
    assert shown.pop("") == [closed, paid, rejected, reviewed, unpaid]
    assert {tab: ids for tab, ids in shown.items() if ids} == {
        "unpaid": [unpaid], "pay_review": [reviewed], "pay_rejected": [rejected], "paid": [paid], "closed": [closed],
    }
    assert (await shop.show(closed))["remark"] == "企业取消订单"


async def test_the_list_is_searched_by_number_product_and_party_and_keeps_to_its_page(world):
    shop = await open_contract_shop(world)
    await shop.granted()
    first, second = await shop.order(), await shop.order()
    number = (await shop.show(first))["number"]
    name = await world.value("SELECT name FROM organisations WHERE id = $1", shop.buyer.organisation_id)
    for text, ids in ((number, [first]), ("专利", [second, first]), (name, [second, first]), ("100%", []), ("_", [])):
        _, page = await world.get(f"/orders?q={text.replace('%', '%25')}", by=shop.seller)
        assert [order["id"] for order in page["items"]] == ids, text
    _, page = await world.get("/orders?tab=unpaid&q=专利&limit=1", by=shop.seller)
    assert [order["id"] for order in page["items"]] == [second]
    _, page = await world.get(f"/orders?tab=unpaid&q=专利&limit=1&after={page['next']}", by=shop.seller)
    assert [order["id"] for order in page["items"]] == [first]
