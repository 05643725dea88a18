"""服务券金额及使用方向 (C24): applied for, granted for less, used only for what it was granted for, within the budget."""

import asyncio

import pytest

from handlers import approved_amounts
from models.accounts import Role
from tests.races import meet_after, without
from tests.referee import without_constraint
from tests.world import World
from tests.zhengzhou import DIRECTION, ContractShop, open_contract_shop

OTHER = {"category": "audit", "content": "高企专项审计"}


@pytest.fixture
async def shop(world: World) -> ContractShop:
    return await open_contract_shop(world)


async def test_an_amount_is_granted_for_less_and_becomes_one_lot_with_its_directions(shop):
    approval = await shop.applied(100_000, [DIRECTION, OTHER])
    status, body = await shop.grant(approval, 80_000)
    assert (status, body["state"]) == (200, "approved"), body
    _, page = await shop.world.get("/approved-amounts", by=shop.buyer)
    grant = page["items"][0]
    assert (grant["applied_fen"], grant["amount_fen"], grant["available_fen"]) == (100_000, 80_000, 80_000)
    assert (grant["directions"], grant["awarded_on"], grant["valid_until"]) == ([DIRECTION], "2026-03-02", "2026-05-31")
    _, lots = await shop.world.get("/wallet/lots?tab=usable", by=shop.buyer)
    assert [(lot["available_fen"], lot["directions"]) for lot in lots["items"]] == [(80_000, [DIRECTION])]
    entries = await shop.world.owner.fetch("SELECT kind, from_account, to_account, fen FROM ledger_entries")
    assert [tuple(entry) for entry in entries] == [("issue", "budget", "available", 80_000)]
    assert await shop.world.value("SELECT count(*) FROM events WHERE kind = 'voucher_issued'") == 1
    assert await shop.world.value("SELECT granted_fen FROM programmes") == 80_000


@pytest.mark.parametrize(("terms", "items"), [
    ({"amount_fen": 100_001}, ["amount_fen"]),
    ({"directions": [OTHER]}, ["directions"]),
    ({"directions": [DIRECTION, DIRECTION]}, ["directions"]),
    ({"valid_until": "2026-03-01"}, ["valid_until"]),
    ({"valid_until": "2099-03-01", "amount_fen": 200_000}, ["amount_fen", "valid_until"]),
])
async def test_terms_that_were_not_applied_for_are_refused_and_nothing_changes(shop, terms, items):
    approval = await shop.applied()
    before = await shop.unchanged()
    status, body = await shop.grant(approval, **terms)
    assert (status, body["code"], body["data"]["items"]) == (422, "grant_terms_wrong", items)
    assert await shop.unchanged() == before


async def test_a_plain_yes_is_not_enough_for_an_amount(shop):
    approval = await shop.applied()
    before = await shop.unchanged()
    status, body = await shop.world.post(f"/approvals/{approval}/approval", by=shop.officer)
    assert (status, body["code"]) == (422, "decision_incomplete")
    assert body["data"]["items"] == ["amount_fen", "directions", "valid_until"]
    assert await shop.unchanged() == before


async def test_a_payment_is_not_decided_with_the_terms_of_an_amount(shop):
    await shop.granted()
    approval = await shop.waiting("order", await shop.in_review())
    before = await shop.unchanged()
    assert (await shop.grant(approval, by=shop.reviewer))[0] == 404
    assert await shop.unchanged() == before


async def test_a_reviewer_of_another_place_does_not_find_it(shop):
    approval = await shop.applied()
    stranger = await shop.world.official(Role.REVIEWER, region_code="410100")
    before = await shop.unchanged()
    assert (await shop.grant(approval, by=stranger))[0] == 404
    assert await shop.unchanged() == before


async def test_a_rejected_application_grants_nothing(shop):
    approval = await shop.applied()
    status, _ = await shop.world.post(f"/approvals/{approval}/rejection", {"reason": "材料不足"}, by=shop.officer)
    assert status == 200
    assert await shop.world.value("SELECT count(*) FROM grants") == 0


async def test_a_further_amount_is_a_grant_of_its_own(shop):
    await shop.granted(100_000)
    status, body = await shop.grant(await shop.applied(30_000), 20_000)
    assert status == 200, body
    _, page = await shop.world.get("/approved-amounts", by=shop.buyer)
    assert [grant["amount_fen"] for grant in page["items"]] == [20_000, 100_000]
    assert await shop.world.value("SELECT granted_fen FROM programmes") == 120_000


@pytest.mark.parametrize("form", [
    {"amount_fen": 0, "directions": [DIRECTION], "reason": "x"},
    {"amount_fen": 1, "directions": [], "reason": "x"},
    {"amount_fen": 1, "directions": [DIRECTION, DIRECTION], "reason": "x"},
    {"amount_fen": 1, "directions": [{"category": "nothing", "content": "x"}], "reason": "x"},
    {"amount_fen": 1, "directions": [{"category": "ip", "content": " x"}], "reason": "x"},
])
async def test_a_form_with_a_wrong_amount_or_direction_is_refused(shop, form):
    before = await shop.unchanged()
    status, body = await shop.world.put(f"/programmes/{shop.programme.id}/approved-amount", {"form": form}, by=shop.buyer)
    assert (status, body["code"]) == (422, "form_incomplete")
    assert await shop.unchanged() == before


async def test_a_programme_that_draws_lots_takes_no_applications_for_amounts(world):
    shop = await open_contract_shop(world, allocation="lottery")
    form = {"amount_fen": 1, "directions": [DIRECTION], "reason": "x"}
    status, body = await world.put(f"/programmes/{shop.programme.id}/approved-amount", {"form": form}, by=shop.buyer)
    assert (status, body["code"]) == (409, "amounts_not_approved_here")
    assert await world.value("SELECT count(*) FROM applications") == 0


async def test_no_amount_is_granted_in_a_programme_that_has_ended(shop):
    approval = await shop.applied()
    await shop.world.owner.execute("UPDATE programmes SET state = 'ended'")
    before = await shop.unchanged()
    status, body = await shop.grant(approval)
    assert (status, body["code"]) == (409, "programme_not_open")
    assert await shop.unchanged() == before


# --- the budget ------------------------------------------------------------------------------------------------------------


async def test_the_budget_is_granted_to_its_last_fen_and_not_beyond(world):
    shop = await open_contract_shop(world, budget_fen=150_000)
    await shop.granted(100_000)
    approval = await shop.applied(60_000)
    before = await shop.unchanged()
    status, body = await shop.grant(approval, 50_001)
    assert (status, body["code"], body["data"]["left_fen"]) == (409, "budget_exhausted", 50_000)
    assert await shop.unchanged() == before
    assert (await shop.grant(approval, 50_000))[0] == 200


async def test_a_policy_with_less_than_what_is_granted_is_not_confirmed(shop):
    await shop.granted(100_000)
    first, second = [await shop.world.official(Role.PROGRAMME_MANAGER) for _ in range(2)]
    path = f"/programmes/{shop.programme.id}/policies"
    _, policy = await shop.world.post(path, {"rules": {"budget_fen": 99_999}}, by=first)
    status, body = await shop.world.put(f"{path}/{policy['id']}/confirmation", by=second)
    assert (status, body["code"], body["data"]["granted_fen"]) == (409, "budget_below_granted", 100_000)
    _, policy = await shop.world.post(path, {"rules": {"budget_fen": 100_000}}, by=first)
    assert (await shop.world.put(f"{path}/{policy['id']}/confirmation", by=second))[0] == 200
    assert await shop.world.value("SELECT budget_fen FROM programmes") == 100_000


async def two_grants(world: World) -> list[int]:
    """Two enterprises' applications decided at once, with a budget for one of them."""
    shop = await open_contract_shop(world, budget_fen=100_000)
    other = await open_contract_shop_beside(shop)
    approvals = [await shop.applied(), await other.applied()]
    answers = await asyncio.gather(*(shop.grant(approval) for approval in approvals))
    return sorted(status for status, _ in answers)


async def open_contract_shop_beside(shop: ContractShop) -> ContractShop:
    buyer = await shop.world.enterprise()
    return ContractShop(shop.world, buyer, shop.seller, shop.programme, shop.product_id, park_id=shop.park_id,
                        reviewer=shop.reviewer, officer=shop.officer)


async def test_two_grants_at_once_share_one_budget(world):
    assert await two_grants(world) == [200, 409]
    assert await world.value("SELECT granted_fen FROM programmes") == 100_000


async def test_without_its_condition_and_its_check_the_budget_would_be_granted_twice(world, monkeypatch):
    without(monkeypatch, "handlers.approved_amounts.TAKE_BUDGET", " AND (budget_fen IS NULL OR granted_fen + $2 <= budget_fen)", "")
    meet_after(world.owner, monkeypatch, "handlers.approved_amounts._take_budget")
    async with without_constraint(world.owner, "programmes", "programmes_within_budget"):
        assert await two_grants(world) == [200, 200]
        assert await world.value("SELECT granted_fen FROM programmes") == 200_000
        await world.owner.execute("UPDATE programmes SET budget_fen = NULL")


# --- the direction ---------------------------------------------------------------------------------------------------------


async def test_without_an_approved_amount_nothing_can_be_ordered(shop):
    before = await shop.unchanged()
    status, body = await shop.place()
    assert (status, body["code"]) == (409, "amount_not_approved")
    assert await shop.unchanged() == before


@pytest.mark.parametrize("change", ["category = 'legal'", "content = '商标注册'"])
async def test_a_product_outside_the_direction_cannot_be_ordered_and_says_why(shop, change):
    await shop.granted()
    await shop.world.owner.execute(f"UPDATE products SET {change}")
    before = await shop.unchanged()
    status, body = await shop.place()
    assert (status, body["code"]) == (409, "direction_differs")
    assert await shop.unchanged() == before
    _, tree = await shop.world.get(f"/products/{shop.product_id}/eligibility?programme_id={shop.programme.id}", by=shop.buyer)
    broken = [rule for rule in tree["rules"] if rule["verdict"] != "pass"]
    assert broken == body["data"]["rules"]
    actual = {"category = 'legal'": "法律服务/知识产权申请服务", "content = '商标注册'": "知识产权服务/商标注册"}[change]
    assert (broken[0]["expected"], broken[0]["actual"]) == ("知识产权服务/知识产权申请服务", actual)


async def test_an_amount_whose_time_is_over_is_no_amount(shop):
    await shop.granted(valid_until=shop.in_days(0).isoformat())
    assert (await shop.place())[0] == 201
    shop.world.clock.advance(days=1)
    status, body = await shop.place()
    assert (status, body["code"]) == (409, "amount_not_approved")


async def test_an_order_is_paid_only_from_amounts_of_its_direction(shop):
    await shop.password()
    await shop.granted(300)
    status, body = await shop.grant(await shop.applied(100_000, [OTHER]), 100_000, directions=[OTHER])
    assert status == 200, body
    order_id, contract = await shop.settled(500), await shop.contract(500)
    before = await shop.unchanged()
    status, body = await shop.pay(order_id, 500, contract=contract)
    assert (status, body["code"], body["data"]["usable_fen"]) == (409, "not_enough_vouchers", 300)
    status, preview = await shop.world.get(f"/orders/{order_id}/payment-preview?voucher_fen=301", by=shop.buyer)
    assert (status, preview["code"]) == (409, "not_enough_vouchers")
    assert await shop.unchanged() == before


async def test_every_word_of_the_form_is_known(shop):
    _, form = await shop.world.get("/approved-amounts/form", by=shop.buyer)
    assert form["kind"] == "approved_amount"
    assert list(form["json_schema"]["properties"]) == ["amount_fen", "directions", "reason"]
    assert approved_amounts.APPROVED_AMOUNT.role is Role.REVIEWER
