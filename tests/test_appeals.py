"""申诉 (F10): in time, once, with evidence, decided by somebody else; a right one is reviewed anew."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers import appeals
from handlers.appeals import Against
from handlers.orders import close_unpaid
from handlers.working_days import due_after
from models.accounts import Role
from tests.applications import file
from tests.library import admission, applying, submitted, waiting
from tests.races import without
from tests.referee import Referee, without_constraint
from tests.test_products import create, form, list_new
from tests.test_risks import WHY, freeze, order_of, treasury
from tests.world import Member, World
from tests.zhengzhou import ContractShop, open_contract_shop

TABLES = (
    "appeals", "appeal_files", "approvals", "applications", "orders", "lots", "ledger_entries", "redemptions", "invoices", "products",
    "product_versions", "freezes", "events", "audit_entries",
)
STATEMENT = "材料齐全，请复核"


async def appeal(world: World, by: Member, against: str, subject_id: int, **changes: Any) -> tuple[int, Any]:
    return await world.post("/appeals", {"against": against, "subject_id": subject_id, "statement": STATEMENT, **changes}, by=by)


async def filed(world: World, by: Member, against: str, subject_id: int, **changes: Any) -> tuple[int, int]:
    """The ids of an appeal and of its approval."""
    status, body = await appeal(world, by, against, subject_id, **changes)
    assert status == 201, body
    return body["id"], await open_approval(world, "appeal", body["id"])


async def open_approval(world: World, subject: str, subject_id: int) -> int:
    return int(await world.value(
        "SELECT id FROM approvals WHERE subject = $1 AND subject_id = $2 AND state = 'open'", subject, subject_id
    ))


async def decide(world: World, approval_id: int, noun: str, by: Member, reason: str | None = "理由成立") -> tuple[int, Any]:
    body = {} if reason is None else {"remark" if noun == "approval" else "reason": reason}
    return await world.post(f"/approvals/{approval_id}/{noun}", body, by=by)


async def shown(world: World, appeal_id: int, by: Member) -> Any:
    status, body = await world.get(f"/appeals/{appeal_id}", by=by)
    assert status == 200, body
    return body


@pytest.fixture
async def shop(world: World) -> ContractShop:
    shop = await open_contract_shop(world)
    await shop.granted()
    return shop


async def rejected(shop: ContractShop) -> int:
    """An order whose payment the park has refused."""
    order_id = await shop.in_review()
    assert (await shop.decide(order_id, "rejection", "合同缺少盖章"))[0] == 200
    return order_id


async def colleague(shop: ContractShop) -> Member:
    return await shop.world.official(Role.REVIEWER, park_id=shop.park_id)


# --- filing ------------------------------------------------------------------------------------------------------------------------


async def test_an_appeal_waits_for_the_reviewers_with_its_evidence_and_the_decision(shop: ContractShop) -> None:
    world, order_id = shop.world, await rejected(shop)
    evidence = await file(world, shop.buyer, "appeal")
    appeal_id, approval = await filed(world, shop.buyer, "payment", order_id, attachment_ids=[evidence])
    mine = await shown(world, appeal_id, shop.buyer)
    assert (mine["kind"], mine["state"], mine["statement"], mine["attachment_ids"]) == ("payment", "in_review", STATEMENT, [evidence])
    assert (mine["title"], mine["original_reason"], mine["queue"]["position"]) == ("支付审核：专利申请代理", "合同缺少盖章", 1)
    second = await colleague(shop)
    status, case = await world.get(f"/approvals/{approval}", by=second)
    assert (status, case["approval"]["kind"], case["approval"]["title"]) == (200, "appeal", "申诉：支付审核：专利申请代理")
    assert (case["facts"]["appeal"]["statement"], case["facts"]["attachment_ids"]) == (STATEMENT, [evidence])
    decision = case["facts"]["decision"]["approval"]
    assert (decision["state"], decision["reason"]) == ("rejected", "合同缺少盖章")
    for by, status in ((second, 200), (shop.seller, 404), (await world.official(Role.REVIEWER, region_code="370200"), 404)):
        headers = {"Authorization": f"Bearer {by.token}"}
        async with world.client.get(f"/api/v1/attachments/{evidence}", headers=headers) as answer:
            assert answer.status == status
    assert (await world.delete(f"/attachments/{evidence}", by=shop.buyer))[1]["code"] == "file_in_use"
    assert [each["id"] for each in (await world.get("/appeals", by=shop.buyer))[1]["items"]] == [appeal_id]


async def test_what_is_no_rejection_of_ones_own_in_time_and_new_is_not_appealed(shop: ContractShop) -> None:
    world, order_id, fresh = shop.world, await rejected(shop), await shop.order()
    stranger, viewer = await world.enterprise(), await world.member(shop.buyer.organisation_id, Role.VIEWER)
    handover = await file(world, shop.buyer, "handover")
    before = await world.snapshot(*TABLES)
    for by, against, subject, changes, status, code in (
        (stranger, "payment", order_id, {}, 404, "not_found"), (shop.seller, "payment", order_id, {}, 404, "not_found"),
        (viewer, "payment", order_id, {}, 403, "not_your_role"), (shop.buyer, "payment", fresh, {}, 404, "not_found"),
        (shop.buyer, "freeze", order_id, {}, 409, "not_appealable"), (stranger, "freeze", order_id, {}, 404, "not_found"),
        (shop.buyer, "payment", order_id, {"statement": "理" * 1001}, 422, "invalid_input"),
        (shop.buyer, "payment", order_id, {"statement": "  "}, 422, "invalid_input"),
        (shop.buyer, "payment", order_id, {"attachment_ids": [handover]}, 404, "not_found"),
        (shop.buyer, "payment", order_id, {"attachment_ids": list(range(1, 12))}, 422, "invalid_input"),
        (shop.buyer, "draw", order_id, {}, 422, "invalid_input"),
    ):
        answer, problem = await appeal(world, by, against, subject, **changes)
        assert (answer, problem["code"]) == (status, code), (against, changes)
    assert await world.snapshot(*TABLES) == before
    await filed(world, shop.buyer, "payment", order_id, statement="理" * 1000)
    before = await world.snapshot(*TABLES)
    assert (await appeal(world, shop.buyer, "payment", order_id))[1]["code"] == "already_appealed"
    assert await world.snapshot(*TABLES) == before


async def test_a_decision_is_appealed_within_fifteen_working_days(shop: ContractShop) -> None:
    world, order_id = shop.world, await rejected(shop)
    until = due_after(world.clock.now(), 15)
    assert until.isoformat() == "2026-03-23T23:59:59.999999+08:00"
    world.clock.set(until + timedelta(microseconds=1))
    before = await world.snapshot(*TABLES)
    status, problem = await appeal(world, shop.buyer, "payment", order_id)
    assert (status, problem["code"], problem["data"]) == (409, "appeal_too_late", {"until": until.isoformat()})
    assert await world.snapshot(*TABLES) == before
    world.clock.set(until)
    await filed(world, shop.buyer, "payment", order_id)


async def test_what_was_submitted_again_is_not_appealed(shop: ContractShop) -> None:
    order_id = await rejected(shop)
    await shop.submit(order_id)
    assert (await appeal(shop.world, shop.buyer, "payment", order_id))[1]["code"] == "not_appealable"


# --- who decides -----------------------------------------------------------------------------------------------------------------


async def test_neither_the_original_reviewer_nor_a_partys_people_nor_another_place_decides(shop: ContractShop) -> None:
    world, order_id = shop.world, await rejected(shop)
    _, approval = await filed(world, shop.buyer, "payment", order_id)
    insiders = []
    for side in (shop.buyer, shop.seller):
        insider = await colleague(shop)
        await world.member(side.organisation_id, Role.VIEWER, person=(insider.person_id, insider.identity_id, insider.open_id))
        insiders.append(insider)
    before = await world.snapshot(*TABLES)
    for noun in ("approval", "return", "rejection"):
        for by, status, code in (
            (shop.reviewer, 403, "original_reviewer"), (insiders[0], 403, "own_case"), (insiders[1], 403, "own_case"),
            (await world.official(Role.REVIEWER, region_code="370200"), 404, "not_found"),
            (await world.official(Role.CENTRE_REVIEWER), 404, "not_found"), (shop.buyer, 403, "not_your_role"),
        ):
            answer, problem = await decide(world, approval, noun, by)
            assert (answer, problem["code"]) == (status, code), noun
    answer, problem = await decide(world, approval, "approval", await colleague(shop), reason=None)
    assert (answer, problem["code"]) == (422, "decision_incomplete")
    assert await world.snapshot(*TABLES) == before


async def test_a_wider_jurisdiction_decides_where_a_park_has_one_reviewer(shop: ContractShop) -> None:
    order_id = await rejected(shop)
    appeal_id, approval = await filed(shop.world, shop.buyer, "payment", order_id)
    assert (await decide(shop.world, approval, "rejection", shop.officer, "原决定正确"))[0] == 200
    mine = await shown(shop.world, appeal_id, shop.buyer)
    assert (mine["state"], mine["reason"], mine["reopened"], mine["queue"]) == ("upheld", "原决定正确", False, None)
    assert await shop.state(order_id) == "pay_rejected"
    event = await shop.world.one("SELECT organisation_id, data->>'outcome' FROM events WHERE kind = 'appeal_result'")
    assert tuple(event) == (shop.buyer.organisation_id, "upheld")


async def test_the_reviewers_clock_stands_still_while_the_applicant_supplements(shop: ContractShop) -> None:
    world, order_id = shop.world, await rejected(shop)
    appeal_id, approval = await filed(world, shop.buyer, "payment", order_id)
    assert await world.value("SELECT due_at FROM approvals WHERE id = $1", approval) == due_after(world.clock.now(), 10)
    world.clock.set(due_after(world.clock.now(), 4))
    second = await colleague(shop)
    assert (await decide(world, approval, "return", second, "请补充盖章页"))[0] == 200
    mine = await shown(world, appeal_id, shop.buyer)
    assert (mine["state"], mine["reason"], mine["queue"]) == ("returned", "请补充盖章页", None)
    world.clock.advance(days=40)
    evidence = await file(world, shop.buyer, "appeal")
    body = {"statement": "已补充盖章页", "attachment_ids": [evidence]}
    before = await world.snapshot(*TABLES)
    assert (await world.post(f"/appeals/{appeal_id}/supplement", body, by=shop.seller))[1]["code"] == "not_found"
    assert await world.snapshot(*TABLES) == before
    status, mine = await world.post(f"/appeals/{appeal_id}/supplement", body, by=shop.buyer)
    assert (status, mine["state"], mine["statement"], mine["attachment_ids"]) == (200, "in_review", "已补充盖章页", [evidence])
    again = await open_approval(world, "appeal", appeal_id)
    assert await world.value("SELECT due_at FROM approvals WHERE id = $1", again) == due_after(world.clock.now(), 6)
    before = await world.snapshot(*TABLES)
    assert (await world.post(f"/appeals/{appeal_id}/supplement", body, by=shop.buyer))[1]["code"] == "appeal_not_returned"
    assert (await decide(world, again, "approval", shop.reviewer))[1]["code"] == "original_reviewer"
    assert await world.snapshot(*TABLES) == before
    assert [turn["state"] for turn in (await world.get(f"/approvals/{again}", by=second))[1]["history"]] == ["returned"]


# --- what a right appeal brings about ----------------------------------------------------------------------------------------------


async def test_a_payment_holds_its_vouchers_again_and_goes_to_another_reviewer(shop: ContractShop) -> None:
    world, order_id = shop.world, await rejected(shop)
    lot = await world.value("SELECT id FROM lots")
    assert await shop.lot_of(lot) == (100_000, 0, 0, 0)
    appeal_id, approval = await filed(world, shop.buyer, "payment", order_id)
    second = await colleague(shop)
    assert (await decide(world, approval, "approval", second))[0] == 200
    mine = await shown(world, appeal_id, shop.buyer)
    assert (mine["state"], mine["reopened"]) == ("overturned", True)
    assert (await shop.state(order_id), await shop.lot_of(lot)) == ("pay_review", (99_500, 500, 0, 0))
    before = await world.snapshot(*TABLES)
    assert (await shop.decide(order_id, "rejection", "同前"))[1]["code"] == "original_reviewer"
    assert await world.snapshot(*TABLES) == before
    assert (await shop.decide(order_id, "approval", by=second))[0] == 200
    assert (await shop.state(order_id), await shop.lot_of(lot)) == ("paid", (99_500, 0, 500, 0))


@pytest.mark.parametrize("gone_on", ["repriced", "spent", "closed"])
async def test_a_payment_that_has_gone_on_stays_where_it_is(shop: ContractShop, gone_on: str) -> None:
    world, order_id = shop.world, await rejected(shop)
    appeal_id, approval = await filed(world, shop.buyer, "payment", order_id)
    if gone_on == "repriced":
        assert (await shop.settle(order_id, 400))[0] == 200
    elif gone_on == "closed":
        await shop.ok(shop.buyer, order_id, "cancellation")
    else:
        await world.owner.execute("UPDATE lots SET expires_at = created_at")
    state, money = await shop.state(order_id), await world.snapshot("lots", "ledger_entries")
    assert (await decide(world, approval, "approval", await colleague(shop)))[0] == 200
    mine = await shown(world, appeal_id, shop.buyer)
    assert (mine["state"], mine["reopened"]) == ("overturned", False)
    assert (await shop.state(order_id), await world.snapshot("lots", "ledger_entries")) == (state, money)
    if gone_on == "spent":
        await world.owner.execute("UPDATE lots SET expires_at = (valid_until + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'")


@pytest.mark.parametrize(("cap", "expected"), [(2, ("pay_review", 2027, 2)), (1, ("pay_rejected", 2026, 1))])
async def test_a_payment_that_is_reopened_in_another_year_takes_a_use_of_that_one(
    world: World, cap: int, expected: tuple[str, int, int]
) -> None:
    world.clock.set(datetime(2026, 12, 31, 1, tzinfo=UTC))
    shop = await open_contract_shop(world, product_use_cap_per_year=cap)
    await shop.granted()
    order_id = await rejected(shop)
    appeal_id, approval = await filed(world, shop.buyer, "payment", order_id)
    world.clock.advance(days=1)
    await shop.order()  # the first use of 2027
    assert (await decide(world, approval, "approval", await colleague(shop)))[0] == 200
    assert (await shown(world, appeal_id, shop.buyer))["reopened"] is (expected[0] == "pay_review")
    assert tuple(await world.one("SELECT state, use_year, use_nth FROM orders WHERE id = $1", order_id)) == expected


async def test_a_payment_whose_time_is_over_is_not_reopened_before_the_sweep_closes_it(shop: ContractShop) -> None:
    world, order_id = shop.world, await rejected(shop)
    appeal_id, approval = await filed(world, shop.buyer, "payment", order_id)
    world.clock.set(await world.value("SELECT due_at FROM orders WHERE id = $1", order_id))
    assert (await decide(world, approval, "approval", await colleague(shop)))[0] == 200
    assert (await shown(world, appeal_id, shop.buyer))["reopened"] is False
    assert (await world.sweep(close_unpaid), await shop.state(order_id)) == (1, "closed")


async def test_a_frozen_order_is_not_reopened(shop: ContractShop) -> None:
    world, order_id = shop.world, await rejected(shop)
    _, approval = await filed(world, shop.buyer, "payment", order_id)
    await freeze(world, order_id)
    before = await world.snapshot(*TABLES)
    status, problem = await decide(world, approval, "approval", await colleague(shop))
    assert (status, problem["code"]) == (409, "order_frozen")
    assert await world.snapshot(*TABLES) == before


async def test_an_application_goes_back_to_review(shop: ContractShop) -> None:
    world = shop.world
    other = await open_contract_shop(world)
    approval = await other.applied()
    assert (await decide(world, approval, "rejection", other.officer, "金额过大"))[0] == 200
    application = await world.value("SELECT subject_id FROM approvals WHERE id = $1", approval)
    appeal_id, waiting_one = await filed(world, other.buyer, "application", application)
    assert (await decide(world, waiting_one, "approval", await world.official(Role.REVIEWER)))[0] == 200
    mine = await shown(world, appeal_id, other.buyer)
    assert (mine["kind"], mine["state"], mine["reopened"]) == ("approved_amount", "overturned", True)
    again = await open_approval(world, "application", application)
    assert (await other.grant(again))[1]["code"] == "original_reviewer"
    assert (await other.grant(again, by=await world.official(Role.REVIEWER)))[0] == 200
    assert await world.value("SELECT state FROM applications WHERE id = $1", application) == "approved"


async def test_an_application_begun_anew_stands_in_place_of_the_rejected_one(world: World) -> None:
    owner, centre = await applying(world), await world.official(Role.CENTRE_REVIEWER)
    approval = await submitted(world, owner)
    assert (await decide(world, approval, "rejection", centre, "经营范围不符"))[0] == 200
    application = await world.value("SELECT subject_id FROM approvals WHERE id = $1", approval)
    appeal_id, waiting_one = await filed(world, owner, "application", application)
    assert (await world.put("/institution/admission", await admission(world, owner), by=owner))[0] == 200
    assert (await decide(world, waiting_one, "approval", await world.official(Role.CENTRE_REVIEWER)))[0] == 200
    mine = await shown(world, appeal_id, owner)
    assert (mine["kind"], mine["state"], mine["reopened"]) == ("institution_admission", "overturned", False)
    assert await world.value("SELECT state FROM applications WHERE id = $1", application) == "rejected"


async def test_an_admission_goes_back_to_review_and_is_admitted(world: World) -> None:
    owner, centre, second = await applying(world), await world.official(Role.CENTRE_REVIEWER), await world.official(Role.CENTRE_REVIEWER)
    approval = await submitted(world, owner)
    await decide(world, approval, "rejection", centre, "经营范围不符")
    application = await world.value("SELECT subject_id FROM approvals WHERE id = $1", approval)
    _, waiting_one = await filed(world, owner, "application", application)
    assert (await decide(world, waiting_one, "approval", second))[0] == 200
    assert (await decide(world, await waiting(world, application), "approval", second))[0] == 200
    assert (await world.get("/institution/profile", by=owner))[1]["state"] == "admitted"


async def test_a_redemption_is_checked_and_decided_anew_with_its_invoice(world: World) -> None:
    desk = await treasury(world)
    redemption = await desk.claimed()
    assert (await desk.prepare(redemption))[0] == 200
    assert (await desk.decide(redemption, "rejection", {"reason": "缺少过程材料"}))[0] == 200
    appeal_id, approval = await filed(world, desk.shop.seller, "redemption", redemption)
    before = await world.snapshot(*TABLES)
    for original in (desk.first, desk.second):
        assert (await decide(world, approval, "approval", original))[1]["code"] == "original_reviewer"
    assert await world.snapshot(*TABLES) == before
    third = await world.official(Role.CENTRE_REVIEWER)
    assert (await decide(world, approval, "approval", third))[0] == 200
    assert (await shown(world, appeal_id, desk.shop.seller))["reopened"] is True
    again = await world.one("SELECT state, prepared_by_id, reason FROM redemptions WHERE id = $1", redemption)
    assert tuple(again) == ("in_review", None, None)
    assert await world.value("SELECT count(*) FROM invoices WHERE released_at IS NULL") == 1
    assert (await desk.decide(redemption, "approval", {}, by=third))[1]["code"] == "redemption_not_prepared"
    assert (await desk.prepare(redemption, by=await world.official(Role.CENTRE_REVIEWER)))[0] == 200
    assert (await desk.decide(redemption, "approval", {}, by=third))[0] == 200


async def test_an_invoice_that_has_paid_elsewhere_meanwhile_keeps_the_claim_rejected(world: World) -> None:
    desk = await treasury(world)
    redemption = await desk.claimed()
    assert (await desk.decide(redemption, "rejection", {"reason": "缺少过程材料"}))[0] == 200
    number = await world.value("SELECT number FROM invoices")
    await desk.claimed(invoice={"number": number})
    appeal_id, approval = await filed(world, desk.shop.seller, "redemption", redemption)
    assert (await decide(world, approval, "approval", desk.first))[0] == 200
    assert (await shown(world, appeal_id, desk.shop.seller))["reopened"] is False
    assert await desk.state(redemption) == "rejected"


async def test_a_claim_that_comes_back_counts_for_its_order_before_a_newer_one_that_was_rejected(world: World) -> None:
    desk = await treasury(world)
    shop, first = desk.shop, await desk.claimed()
    order_id = await order_of(world, first)
    assert (await desk.decide(first, "rejection", {"reason": "缺少过程材料"}))[0] == 200
    status, second = await desk.claim(order_id)
    assert status == 201, second
    assert (await desk.decide(second["id"], "rejection", {"reason": "缺少过程材料"}))[0] == 200
    appeal_id, approval = await filed(world, shop.seller, "redemption", first)
    assert (await decide(world, approval, "approval", await world.official(Role.CENTRE_REVIEWER)))[0] == 200
    assert (await shown(world, appeal_id, shop.seller))["reopened"] is True
    _, order = await world.get(f"/orders/{order_id}", by=shop.seller)
    assert order["tab"] == "claim_review"
    assert {"claim", "decline"} & set(order["allowed_actions"]) == set()
    before = await world.snapshot(*TABLES)
    assert (await shop.act(shop.seller, order_id, "refusal", {"reason": "排期已满"}))[1]["code"] == "order_not_acceptable"
    assert await world.snapshot(*TABLES) == before


async def test_a_claim_whose_vouchers_went_back_meanwhile_stays_rejected(world: World) -> None:
    desk = await treasury(world)
    redemption = await desk.claimed()
    assert (await desk.decide(redemption, "rejection", {"reason": "缺少过程材料"}))[0] == 200
    appeal_id, approval = await filed(world, desk.shop.seller, "redemption", redemption)
    await desk.shop.ok(desk.shop.seller, await order_of(world, redemption), "refusal", {"reason": "排期已满"})
    assert (await decide(world, approval, "approval", desk.first))[0] == 200
    mine = await shown(world, appeal_id, desk.shop.seller)
    assert (mine["state"], mine["reopened"]) == ("overturned", False)
    assert await desk.state(redemption) == "rejected"
    assert await world.value("SELECT count(*) FROM invoices WHERE released_at IS NULL") == 0


@pytest.mark.parametrize("claimed_before", [True, False])
async def test_a_claim_to_what_is_kept_of_an_ended_order_is_reopened_and_one_to_more_is_not(world: World, claimed_before: bool) -> None:
    desk = await treasury(world)
    shop, order_id = desk.shop, await desk.shop.accepted()

    async def rejected() -> int:
        status, body = await desk.claim(order_id)
        assert status == 201, body
        assert (await desk.decide(body["id"], "rejection", {"reason": "缺少过程材料"}))[0] == 200
        return int(body["id"])

    redemption = await rejected() if claimed_before else 0
    await shop.ok(shop.buyer, order_id, "termination", {"returned_fen": 150_000, "reason": "双方商定"})
    await shop.ok(shop.seller, order_id, "termination/agreement", {"returned_fen": 150_000})
    redemption = redemption or await rejected()
    appeal_id, approval = await filed(world, shop.seller, "redemption", redemption)
    assert (await decide(world, approval, "approval", desk.first))[0] == 200
    assert (await shown(world, appeal_id, shop.seller))["reopened"] is not claimed_before
    assert await desk.state(redemption) == ("rejected" if claimed_before else "in_review")


async def test_a_claim_is_not_reopened_under_a_dispute_which_may_give_its_vouchers_back(world: World) -> None:
    desk = await treasury(world)
    redemption = await desk.claimed()
    assert (await desk.decide(redemption, "rejection", {"reason": "缺少过程材料"}))[0] == 200
    _, approval = await filed(world, desk.shop.seller, "redemption", redemption)
    order_id = await order_of(world, redemption)
    await desk.shop.ok(desk.shop.seller, order_id, "acceptance")
    world.clock.set(await world.value("SELECT due_at FROM orders WHERE id = $1", order_id))
    await desk.shop.ok(desk.shop.buyer, order_id, "dispute", {"reason": "逾期未交付"})
    before = await world.snapshot(*TABLES)
    status, problem = await decide(world, approval, "approval", desk.first)
    assert (status, problem["code"]) == (409, "order_not_claimable")
    assert await world.snapshot(*TABLES) == before


async def test_a_product_goes_back_to_review_unless_it_was_written_anew(world: World) -> None:
    owner = await world.institution()
    centre, second = await world.official(Role.CENTRE_REVIEWER), await world.official(Role.CENTRE_REVIEWER)
    for edited in (False, True):
        product = await create(world, owner, name=f"年度审计 {edited}")
        await world.put(f"/institution/products/{product['id']}/submission", by=owner)
        assert (await decide(world, await open_approval(world, "product", product["id"]), "rejection", centre, "收费标准不清"))[0] == 200
        appeal_id, approval = await filed(world, owner, "product", product["id"])
        if edited:
            body = form(name="改名的审计") | {"version": product["version"]}
            assert (await world.put(f"/institution/products/{product['id']}", body, by=owner))[0] == 200
        assert (await decide(world, approval, "approval", second))[0] == 200
        assert (await shown(world, appeal_id, owner))["reopened"] is not edited
        state = await world.value("SELECT state FROM products WHERE id = $1", product["id"])
        assert state == ("rejected" if edited else "in_review")
        if not edited:
            again = await open_approval(world, "product", product["id"])
            assert (await decide(world, again, "approval", centre))[1]["code"] == "original_reviewer"
            assert (await decide(world, again, "approval", second))[0] == 200


async def test_a_later_text_of_a_product_goes_back_to_review_beside_the_one_in_force(world: World) -> None:
    owner = await world.institution()
    centre, second = await world.official(Role.CENTRE_REVIEWER), await world.official(Role.CENTRE_REVIEWER)
    product_id = await list_new(world, owner, centre)
    body = form(name="新的年度审计") | {"version": 1}
    assert (await world.put(f"/institution/products/{product_id}", body, by=owner))[0] == 200
    await world.put(f"/institution/products/{product_id}/submission", by=owner)
    assert (await decide(world, await open_approval(world, "product", product_id), "rejection", centre, "收费标准不清"))[0] == 200
    appeal_id, approval = await filed(world, owner, "product", product_id)
    assert (await decide(world, approval, "approval", second))[0] == 200
    assert (await shown(world, appeal_id, owner))["reopened"] is True
    assert await world.value("SELECT name FROM products WHERE id = $1", product_id) != "新的年度审计"
    assert (await decide(world, await open_approval(world, "product", product_id), "approval", second))[0] == 200
    assert await world.value("SELECT name FROM products WHERE id = $1", product_id) == "新的年度审计"


async def test_a_freeze_is_ended_by_another_officer_and_each_party_may_appeal_once(shop: ContractShop) -> None:
    world, order_id = shop.world, await shop.in_review()
    first, second = await freeze(world, order_id)
    appeal_id, approval = await filed(world, shop.buyer, "freeze", order_id)
    other_id, other = await filed(world, shop.seller, "freeze", order_id)
    assert (await appeal(world, shop.buyer, "freeze", order_id))[1]["code"] == "already_appealed"
    mine = await shown(world, appeal_id, shop.buyer)
    assert (mine["kind"], mine["title"], mine["original_reason"]) == ("freeze", "订单核实：专利申请代理", None)  # never why
    before = await world.snapshot(*TABLES)
    assert (await decide(world, approval, "approval", first))[1]["code"] == "original_reviewer"
    assert (await decide(world, approval, "approval", shop.reviewer))[1]["code"] == "not_found"
    assert await world.snapshot(*TABLES) == before
    assert (await world.get(f"/approvals/{approval}", by=second))[1]["facts"]["decision"]["reason"] == WHY["reason"]
    assert (await decide(world, approval, "approval", second))[0] == 200
    assert (await shown(world, appeal_id, shop.buyer))["reopened"] is True
    freeze_row = await world.one("SELECT lifted_by_id, lift_reason FROM freezes")
    assert tuple(freeze_row) == (second.person_id, "理由成立")
    assert await world.value("SELECT frozen_at FROM orders") is None
    assert (await decide(world, other, "approval", second))[0] == 200  # nothing is left to end
    assert (await shown(world, other_id, shop.seller))["state"] == "overturned"
    assert await world.value("SELECT count(*) FROM audit_entries WHERE action = 'order.unfrozen'") == 1


async def test_the_outcomes_are_published(shop: ContractShop) -> None:
    world = shop.world
    for noun in ("rejection", "approval", None):
        order_id = await rejected(shop)
        _, approval = await filed(world, shop.buyer, "payment", order_id)
        if noun:
            assert (await decide(world, approval, noun, await colleague(shop)))[0] == 200
    status, body = await world.get("/appeal-statistics")
    counts = {count["kind"]: count for count in body["items"]}
    assert (status, len(counts)) == (200, 13)
    assert counts["payment"] == {"kind": "payment", "filed": 3, "waiting": 1, "upheld": 1, "overturned": 1}
    assert counts["freeze"] == {"kind": "freeze", "filed": 0, "waiting": 0, "upheld": 0, "overturned": 0}


# --- races -------------------------------------------------------------------------------------------------------------------------


async def two_at_once(shop: ContractShop, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], int]:
    world, order_id = shop.world, await rejected(shop)
    read = "handlers.appeal_decisions.rejected"
    referee = Referee(world.owner, monkeypatch)
    referee.hold_after(read)
    people = (shop.buyer, await world.member(shop.buyer.organisation_id, Role.HANDLER))

    def filing(by: Member) -> Callable[[], Awaitable[Any]]:
        return lambda: appeals.file_appeal(world.context(by), Against.PAYMENT, order_id, STATEMENT, [])

    found = await referee.race(*map(filing, people), hold=(read,), in_turn=True)
    count = await world.value("SELECT count(*) FROM appeals")
    return [type(each).__name__ for each in found], count


async def test_of_two_appeals_at_once_one_is_filed(shop: ContractShop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await two_at_once(shop, monkeypatch) == (["dict", "AlreadyAppealed"], 1)


async def test_without_lock_and_constraint_two_appeals_are_filed(
    shop: ContractShop, ruins: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "handlers.approvals.LOCK", " FOR UPDATE", "")
    async with without_constraint(shop.world.owner, "appeals", "appeals_one_of_a_decision"):
        assert await two_at_once(shop, monkeypatch) == (["dict", "dict"], 2)
        await shop.world.owner.execute("DELETE FROM appeals WHERE id = (SELECT max(id) FROM appeals)")
