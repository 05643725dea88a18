"""支付审核 by the park of the enterprise (C35-C38, C44; O3-O5): hold, approve, reject, pay again, and who meets whom."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from handlers import approvals, orders, wallet
from handlers.approvals import Decision
from handlers.context import Context
from handlers.orders import GivenContract
from models.accounts import OrganisationKind, Role
from tests.applications import PDF, file, upload
from tests.races import without
from tests.referee import Contender, Referee, without_constraint
from tests.world import Member, World
from tests.zhengzhou import DIRECTION, ContractShop, open_contract_shop, open_park

REASON = "订单金额与合同金额不一致"


@pytest.fixture
async def shop(world: World) -> ContractShop:
    shop = await open_contract_shop(world)
    await shop.granted()
    await shop.password()
    return shop


# --- paying (C35) ----------------------------------------------------------------------------------------------------------


async def test_a_payment_with_its_contract_is_held_and_waits_for_the_park(shop):
    order_id = await shop.in_review(500, 300)
    order = await shop.show(order_id)
    assert (order["state"], order["label"], order["order_fen"], order["voucher_fen"]) == ("pay_review", "支付审核中", 500, 300)
    assert order["allowed_actions"] == []
    assert (await shop.show(order_id, by=shop.buyer))["allowed_actions"] == []
    assert await shop.lot_of(await shop.world.value("SELECT id FROM lots")) == (99_700, 300, 0, 0)
    approval = await shop.world.one("SELECT kind, role, region_code, park_id, title FROM approvals WHERE subject = 'order'")
    assert tuple(approval) == ("payment", "reviewer", None, shop.park_id, "支付审核：专利申请代理")
    told = await shop.world.value("SELECT park_id FROM events WHERE kind = 'approval_waiting' AND data->>'approval_kind' = 'payment'")
    assert told == shop.park_id


async def test_a_payment_without_a_contract_is_refused(shop):
    order_id = await shop.settled(500)
    before = await shop.unchanged()
    status, body = await shop.pay(order_id, 500)
    assert (status, body["code"]) == (422, "contract_needed")
    assert await shop.unchanged() == before


@pytest.mark.parametrize(("total_fen", "days", "status", "code", "data"), [
    (501, 0, 422, "contract_total_differs", {"order_fen": 500}),
    (499, 0, 422, "contract_total_differs", {"order_fen": 500}),
    (500, -1, 409, "contract_before_award", {"awarded_on": "2026-03-02"}),
    (500, 1, 422, "contract_not_signed_yet", {}),
])
async def test_a_contract_of_another_amount_or_date_is_refused(shop, total_fen, days, status, code, data):
    order_id, contract = await shop.settled(500), await shop.contract(total_fen, shop.in_days(days))
    before = await shop.unchanged()
    answer, body = await shop.pay(order_id, 500, contract=contract)
    assert (answer, body["code"], body.get("data") or {}) == (status, code, data)
    assert await shop.unchanged() == before


async def test_a_contract_is_not_older_than_the_latest_award_that_it_uses(shop):
    first_day = shop.in_days(0)
    shop.world.clock.advance(days=1)
    status, _ = await shop.grant(await shop.applied(50_000), 50_000)
    assert status == 200
    small, large = await shop.settled(60_000), await shop.order()
    contract = await shop.contract(60_000, first_day)
    status, body = await shop.pay(large, 60_000, contract=contract)
    assert (status, body["state"]) == (200, "pay_review"), "the older amount alone pays"
    before = await shop.unchanged()
    status, body = await shop.pay(small, 60_000, contract=contract)
    assert (status, body["code"], body["data"]["awarded_on"]) == (409, "contract_before_award", "2026-03-03")
    assert await shop.unchanged() == before


async def test_a_contract_is_an_own_pdf_of_its_slot(shop):
    order_id = await shop.settled(500)
    strange = await file(shop.world, await shop.world.enterprise(), "contract")
    other = await file(shop.world, shop.buyer, "handover")
    good = await shop.contract(500)
    before = await shop.unchanged()
    for attachment_id in (strange, other, 999_999_999):
        status, body = await shop.pay(order_id, 500, contract=good | {"attachment_id": attachment_id})
        assert (status, body["code"]) == (404, "not_found")
    assert await shop.unchanged() == before


async def test_the_contract_slot_takes_pdf_up_to_five_megabytes(shop):
    assert (await upload(shop.world, shop.buyer, "contract", "合同.pdf", PDF.ljust(5 * 1024 * 1024, b"\n")))[0] == 201
    status, body = await upload(shop.world, shop.buyer, "contract", "合同.pdf", PDF.ljust(5 * 1024 * 1024 + 1, b"\n"))
    assert (status, body["code"]) == (422, "file_too_large")
    status, body = await upload(shop.world, shop.buyer, "contract", "合同.png", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    assert (status, body["code"], body["data"]["allowed"]) == (422, "file_type_refused", ["pdf"])


async def test_vouchers_pay_at_most_the_contract_price(shop):
    order_id, contract = await shop.settled(500), await shop.contract(500)
    before = await shop.unchanged()
    status, body = await shop.pay(order_id, 501, contract=contract)
    assert (status, body["code"], body["data"]["limit_fen"]) == (422, "deduction_too_high", 500)
    assert await shop.unchanged() == before


async def test_where_no_contract_is_asked_none_is_taken(world):
    shop = await open_contract_shop(world, contract_upload="none")
    await shop.granted()
    await shop.password()
    order_id, contract = await shop.settled(500), await shop.contract(500)
    before = await shop.unchanged()
    status, body = await shop.pay(order_id, 500, contract=contract)
    assert (status, body["code"]) == (422, "contract_not_asked")
    assert await shop.unchanged() == before
    assert (await shop.pay(order_id, 500))[1]["state"] == "pay_review"
    assert (await shop.decide(order_id, "approval"))[0] == 200


async def test_a_policy_says_whether_a_password_is_asked(world):
    shop = await open_contract_shop(world, pay_auth="none")
    await shop.granted()
    order_id, contract = await shop.settled(500), await shop.contract(500)
    body = {"voucher_fen": 500, "contract": contract}
    status, answer = await world.post(f"/orders/{order_id}/payment", body, by=shop.buyer)
    assert (status, answer["state"]) == (200, "pay_review")
    strict = await open_contract_shop(world, park=False)
    await strict.granted()
    order_id, contract = await strict.settled(500), await strict.contract(500)
    before = await strict.unchanged()
    status, answer = await world.post(f"/orders/{order_id}/payment", {"voucher_fen": 500, "contract": contract}, by=strict.buyer)
    assert (status, answer["code"]) == (422, "payment_password_needed")
    assert (await world.post(f"/orders/{order_id}/payment", body, by=shop.buyer))[1]["code"] == "order_not_found"
    assert await strict.unchanged() == before


# --- deciding (C36-C38) ----------------------------------------------------------------------------------------------------


async def test_the_enterprise_sees_its_place_in_the_queue_of_its_park(shop):
    elsewhere = await open_park(shop.world, "经开园区")
    await shop.world.owner.execute(
        "INSERT INTO approvals (kind, title, subject, subject_id, organisation_id, role, park_id, state, submitted_by_id, submitted_at,"
        " due_at, data) SELECT 'payment', '', 'order', -number, $1, 'reviewer', park, 'open', $2, $3, $3, '{}'"
        " FROM unnest($4::bigint[]) WITH ORDINALITY other(park, number)",
        shop.buyer.organisation_id, shop.buyer.person_id, shop.world.clock.now(), [elsewhere, elsewhere, shop.park_id],
    )
    order_id = await shop.in_review(500, 300)
    for by in (shop.buyer, shop.seller):
        _, order = await shop.world.get(f"/orders/{order_id}", by=by)
        assert (order["queue"]["position"], order["queue"]["working_days_left"] > 0) == (2, True)
    await shop.world.owner.execute("DELETE FROM approvals WHERE subject_id < 0")
    [listed] = (await shop.world.get("/orders", by=shop.buyer))[1]["items"]
    assert listed["queue"] is None


async def test_the_park_approves_and_the_vouchers_are_the_institutions_and_both_are_told(shop):
    order_id = await shop.in_review(500)
    status, body = await shop.decide(order_id, "approval")
    assert (status, body["state"]) == (200, "approved"), body
    order = await shop.show(order_id)
    assert (order["state"], order["label"], order["voucher_fen"], order["due_at"]) == ("paid", "已支付", 500, None)
    assert order["allowed_actions"] == ["deliver", "terminate", "claim"]
    assert (await shop.show(order_id, by=shop.buyer))["allowed_actions"] == ["terminate"]
    entries = await shop.world.owner.fetch("SELECT kind, fen, institution_id FROM ledger_entries WHERE order_id = $1 ORDER BY id", order_id)
    assert [tuple(entry) for entry in entries] == [("hold", 500, None), ("commit", 500, shop.seller.organisation_id)]
    told = await shop.world.owner.fetch("SELECT organisation_id FROM events WHERE kind = 'payment_approved' ORDER BY id")
    assert [event["organisation_id"] for event in told] == [shop.buyer.organisation_id, shop.seller.organisation_id]
    assert await shop.world.value("SELECT count(*) FROM events WHERE kind = 'order_paid'") == 0


@pytest.mark.parametrize(("submitted", "year"), [("2026-12-31T23:00:00+08:00", 2026), ("2027-01-01T00:00:00+08:00", 2027)])
async def test_a_reviewed_payment_is_a_use_of_the_year_of_its_submission(shop, submitted, year):
    shop.world.clock.set(datetime.fromisoformat("2026-12-30T09:00:00+08:00"))
    await shop.granted()
    order_id = await shop.settled(500)
    shop.world.clock.set(datetime.fromisoformat(submitted))
    await shop.submit(order_id)
    shop.world.clock.set(datetime.fromisoformat("2027-01-05T09:00:00+08:00"))
    assert (await shop.decide(order_id, "approval"))[0] == 200
    assert await shop.world.value("SELECT use_year FROM orders") == year


async def test_the_park_rejects_with_a_reason_and_the_order_shows_no_vouchers(shop):
    order_id = await shop.in_review(500)
    status, body = await shop.decide(order_id, "rejection", REASON)
    assert (status, body["state"]) == (200, "rejected"), body
    order = await shop.show(order_id)
    assert (order["label"], order["voucher_fen"], order["order_fen"], order["remark"]) == ("支付审核拒绝", 0, 500, REASON)
    assert order["due_at"] == "2026-03-17T01:00:00+00:00"
    assert await shop.lot_of(await shop.world.value("SELECT id FROM lots")) == (100_000, 0, 0, 0)
    told = await shop.world.owner.fetch(
        "SELECT organisation_id, data->>'reason' AS reason FROM events WHERE kind = 'payment_rejected' ORDER BY id"
    )
    assert [tuple(event) for event in told] == [(party.organisation_id, REASON) for party in (shop.buyer, shop.seller)]


async def test_a_rejection_needs_its_reason_and_a_payment_is_not_sent_back(shop):
    order_id = await shop.in_review(500)
    before = await shop.unchanged()
    assert (await shop.decide(order_id, "rejection"))[0] == 422
    status, body = await shop.decide(order_id, "return", REASON)
    assert (status, body["code"]) == (422, "decision_not_offered")
    assert await shop.unchanged() == before


async def test_the_reviewer_of_another_park_and_of_the_division_do_not_find_it(shop):
    order_id = await shop.in_review(500)
    elsewhere = await shop.world.official(Role.REVIEWER, park_id=await open_park(shop.world, "经开园区"))
    before = await shop.unchanged()
    for by in (elsewhere, shop.officer):
        assert (await shop.decide(order_id, "approval", by=by))[0] == 404
    assert await shop.unchanged() == before


async def test_an_enterprise_without_a_park_has_the_reviewers_of_its_division(world):
    shop = await open_contract_shop(world, park=False)
    await shop.granted()
    order_id = await shop.in_review(500)
    assert (await shop.decide(order_id, "approval"))[0] == 404
    assert (await shop.decide(order_id, "approval", by=shop.officer))[0] == 200


@pytest.mark.parametrize("side", [OrganisationKind.ENTERPRISE, OrganisationKind.INSTITUTION])
async def test_nobody_of_either_party_decides(shop, side):
    order_id = await shop.in_review(500)
    organisation = (shop.buyer if side is OrganisationKind.ENTERPRISE else shop.seller).organisation_id
    person = (shop.reviewer.person_id, shop.reviewer.identity_id, shop.reviewer.open_id)
    member = await shop.world.member(organisation, Role.VIEWER, person=person)
    await shop.world.owner.execute(
        "UPDATE memberships SET state = 'ended', ended_at = created_at WHERE id = $1", member.membership_id
    )
    before = await shop.unchanged()
    status, body = await shop.decide(order_id, "approval")
    assert (status, body["code"]) == (403, "own_case")
    assert await shop.unchanged() == before


async def test_a_frozen_order_is_not_approved_but_its_hold_may_be_released(shop):
    order_id = await shop.in_review(500)
    await shop.world.owner.execute("UPDATE orders SET frozen_at = placed_at")
    before = await shop.unchanged()
    status, body = await shop.decide(order_id, "approval")
    assert (status, body["code"]) == (409, "order_frozen")
    assert await shop.unchanged() == before
    assert (await shop.decide(order_id, "rejection", REASON))[0] == 200


async def test_a_decided_payment_is_not_decided_again(shop):
    order_id = await shop.in_review(500)
    assert (await shop.decide(order_id, "approval"))[0] == 200
    before = await shop.unchanged()
    status, body = await shop.decide(order_id, "rejection", REASON)
    assert (status, body["code"]) == (409, "already_decided")
    assert await shop.unchanged() == before


async def test_in_review_nobody_cancels_pays_or_delivers(shop):
    order_id, contract = await shop.in_review(500), await shop.contract(500)
    before = await shop.world.snapshot("orders", "lots", "ledger_entries", "approvals", "contracts")
    assert (await shop.act(shop.buyer, order_id, "cancellation"))[1]["code"] == "order_not_cancellable"
    assert (await shop.pay(order_id, 500, contract=contract))[1]["code"] == "order_not_payable"
    assert (await shop.act(shop.seller, order_id, "handovers", {"summary": "完成"}))[1]["code"] == "order_not_deliverable"
    assert await shop.world.snapshot("orders", "lots", "ledger_entries", "approvals", "contracts") == before


# --- again -----------------------------------------------------------------------------------------------------------------


async def test_a_rejected_payment_is_priced_and_paid_again_and_the_reviewer_sees_what_differs(shop):
    order_id = await shop.in_review(500)
    assert (await shop.decide(order_id, "rejection", REASON))[0] == 200
    _, order = await shop.settle(order_id, 600)
    assert (order["label"], order["remark"]) == ("未支付", None)
    approval = await shop.submit(order_id, 600)
    _, case = await shop.world.get(f"/approvals/{approval}", by=shop.reviewer)
    assert {each["field"]: (each["before"], each["now"]) for each in case["facts"]["differences"]} == {
        "order_fen": (500, 600), "voucher_fen": (500, 600), "total_fen": (500, 600),
        "attachment_ids": tuple(each["attachment_ids"] for each in await kept_data(shop, order_id)),
    }
    assert [(each["from_fen"], each["to_fen"]) for each in case["facts"]["prices"]] == [(500, 600), (60_000, 500)]
    assert (await shop.decide(order_id, "approval"))[0] == 200
    assert (await shop.show(order_id))["voucher_fen"] == 600
    _, contracts = await shop.world.get(f"/orders/{order_id}/contracts", by=shop.seller)
    assert [each["total_fen"] for each in contracts["items"]] == [600, 500]


async def kept_data(shop: ContractShop, order_id: int) -> list[dict[str, Any]]:
    import json

    found = await shop.world.owner.fetch("SELECT data FROM approvals WHERE subject = 'order' AND subject_id = $1 ORDER BY id", order_id)
    return [json.loads(row["data"]) if isinstance(row["data"], str) else row["data"] for row in found]


async def test_a_rejected_payment_is_paid_again_without_a_new_price(shop):
    order_id = await shop.in_review(500)
    assert (await shop.decide(order_id, "rejection", "合同未盖章"))[0] == 200
    await shop.submit(order_id, 500)
    order = await shop.show(order_id)
    assert (order["state"], order["remark"], order["voucher_fen"]) == ("pay_review", None, 500)


async def test_a_rejected_payment_that_nobody_takes_up_is_closed_in_its_time(shop):
    order_id = await shop.in_review(500)
    shop.world.clock.advance(days=30)
    assert await shop.world.sweep(orders.close_unpaid) == 0, "what is in review waits for its reviewer"
    assert (await shop.decide(order_id, "rejection", REASON))[0] == 200
    shop.world.clock.advance(days=15, microseconds=-1)
    assert await shop.world.sweep(orders.close_unpaid) == 0
    shop.world.clock.advance(microseconds=1)
    assert await shop.world.sweep(orders.close_unpaid) == 1
    order = await shop.show(order_id)
    assert (order["label"], order["close_reason"], order["remark"]) == ("已关闭", "timeout", "超时未支付")


async def test_a_rejected_payment_may_be_called_off(shop):
    order_id = await shop.in_review(500)
    assert (await shop.decide(order_id, "rejection", REASON))[0] == 200
    assert (await shop.ok(shop.buyer, order_id, "cancellation"))["label"] == "已关闭"


# --- what the reviewer sees ------------------------------------------------------------------------------------------------


async def test_the_reviewer_sees_order_contract_vouchers_and_a_checklist(shop):
    approval = await shop.waiting("order", await shop.in_review(500))
    status, case = await shop.world.get(f"/approvals/{approval}", by=shop.reviewer)
    assert status == 200
    facts = case["facts"]
    assert (facts["order"]["order_fen"], facts["order"]["allowed_actions"], facts["differences"]) == (500, [], [])
    assert (facts["contract"]["total_fen"], facts["contract"]["signed_on"]) == (500, "2026-03-02")
    assert facts["contract"]["attachment"]["media_type"] == "application/pdf"
    assert [(each["fen"], each["directions"], each["awarded_on"]) for each in facts["vouchers"]] == [(500, [DIRECTION], "2026-03-02")]
    checks = {each["code"]: (each["verdict"], each["expected"], each["actual"]) for each in facts["checklist"]}
    assert checks == {
        "price_chain": ("pass", "由高到低，或相等", "产品价格 600.00 元，订单金额 5.00 元，用券支付金额 5.00 元"),
        "contract_total": ("pass", "5.00 元", "5.00 元"),
        "direction": ("pass", "知识产权服务/知识产权申请服务", "知识产权服务/知识产权申请服务"),
        "contract_after_award": ("pass", "2026-03-02", "2026-03-02"), "contract_terms": ("unknown", None, None),
    }


async def test_the_contract_is_read_by_both_parties_and_the_reviewer_and_nobody_else(shop):
    order_id = await shop.in_review(500)
    attachment = await shop.world.value("SELECT attachment_id FROM contracts WHERE order_id = $1", order_id)
    stranger = await shop.world.institution()
    statuses = []
    for by in (shop.buyer, shop.seller, shop.reviewer, stranger, shop.officer):
        headers = {"Authorization": f"Bearer {by.token}"}
        async with shop.world.client.get(f"/api/v1/attachments/{attachment}", headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [200, 200, 200, 404, 404]
    status, body = await shop.world.delete(f"/attachments/{attachment}", by=shop.buyer)
    assert (status, body["code"]) == (409, "file_in_use")
    assert (await shop.world.get(f"/orders/{order_id}/contracts", by=stranger))[0] == 404


# --- service ---------------------------------------------------------------------------------------------------------------


async def test_a_paid_order_is_served_at_once_and_nobody_accepts_declines_or_confirms(shop):
    order_id = await shop.in_review(500)
    assert (await shop.decide(order_id, "approval"))[0] == 200
    before = await shop.unchanged()
    assert (await shop.act(shop.seller, order_id, "acceptance"))[1]["code"] == "order_not_acceptable"
    assert (await shop.act(shop.seller, order_id, "refusal", {"reason": "不做"}))[1]["code"] == "order_not_acceptable"
    assert (await shop.act(shop.buyer, order_id, "take-back"))[1]["code"] == "order_not_cancellable"
    assert await shop.unchanged() == before
    order = await shop.ok(shop.seller, order_id, "handovers", {"summary": "受理通知书已交付"})
    assert (order["state"], order["label"], order["allowed_actions"]) == ("delivered", "已支付", ["claim"])
    assert (await shop.show(order_id, by=shop.buyer))["allowed_actions"] == []
    assert (await shop.act(shop.buyer, order_id, "completion"))[1]["code"] == "order_not_confirmable"
    shop.world.clock.advance(days=8)
    assert await shop.world.sweep(orders.remind_unconfirmed) == 0, "nobody is reminded of what nobody is asked"


# --- the hold and the last day ---------------------------------------------------------------------------------------------


async def test_a_hold_outlives_the_last_day_of_its_vouchers_and_can_still_be_approved(world):
    shop, order_id, lot_id = await over_midnight(world)
    assert await world.sweep(wallet.expire_due) == 1
    assert await shop.lot_of(lot_id) == (0, 500, 0, 99_500)
    assert (await shop.decide(order_id, "approval"))[0] == 200
    assert await shop.lot_of(lot_id) == (0, 0, 500, 99_500)


async def test_what_is_released_after_the_last_day_gets_a_grace_lot_of_seven_days_that_pays_again(world):
    shop, order_id, lot_id = await over_midnight(world)
    assert (await shop.decide(order_id, "rejection", REASON))[0] == 200
    grace = await world.one("SELECT * FROM lots WHERE grace_of_id = $1", lot_id)
    assert (grace["face_fen"], grace["available_fen"], grace["valid_until"]) == (500, 500, shop.in_days(7))
    assert grace["grant_id"] == await world.value("SELECT id FROM grants")
    assert await world.sweep(wallet.expire_due) == 1
    await shop.submit(order_id, 500)
    assert (await shop.decide(order_id, "approval"))[0] == 200
    assert await shop.lot_of(grace["id"]) == (0, 0, 500, 0)


async def test_a_contract_of_before_the_grace_but_after_the_award_still_counts(world):
    shop, order_id, _ = await over_midnight(world)
    assert (await shop.decide(order_id, "rejection", REASON))[0] == 200
    status, body = await shop.pay(order_id, 500, contract=await shop.contract(500, shop.in_days(-1)))
    assert (status, body["state"]) == (200, "pay_review"), body


async def over_midnight(world: World) -> tuple[ContractShop, int, int]:
    """A payment in review whose vouchers had their last day yesterday."""
    shop = await open_contract_shop(world)
    lot_id = await shop.granted(valid_until=shop.in_days(0).isoformat())
    order_id = await shop.in_review(500)
    world.clock.advance(days=1)
    return shop, order_id, lot_id


# --- races -----------------------------------------------------------------------------------------------------------------


UNLOCKED_CASE = (
    ("handlers.approvals.LOCK", " FOR UPDATE", ""), ("handlers.moves.MOVE", " AND state = $2", " AND $2::text IS NOT NULL"),
)
UNLOCKED_ORDER = (("handlers.orders.views.LOCK_OWN", " FOR UPDATE OF o", ""), UNLOCKED_CASE[1])


def as_reviewer(shop: ContractShop, member: Member) -> Context:
    context = shop.world.context(member)
    return replace(context, actor=replace(context.actor, park_id=shop.park_id))


def deciding(shop: ContractShop, member: Member, approval: int, decision: Decision) -> Contender:
    return lambda: approvals.decide(as_reviewer(shop, member), approval, decision, reason=REASON)


async def two_reviewers(shop: ContractShop, referee: Referee) -> tuple[int, list[Any]]:
    order_id = await shop.in_review(500)
    approval, colleague = await shop.waiting("order", order_id), await shop.world.official(Role.REVIEWER, park_id=shop.park_id)
    referee.hold_after("handlers.orders.payment_reviews.require_outsider")
    outcomes = await referee.race(
        deciding(shop, shop.reviewer, approval, Decision.APPROVE), deciding(shop, colleague, approval, Decision.REJECT),
        hold=["handlers.orders.payment_reviews.require_outsider"],
    )
    return order_id, outcomes


async def test_of_two_reviewers_one_decides_and_the_other_hears_it(shop, referee):
    order_id, outcomes = await two_reviewers(shop, referee)
    refused = [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    assert refused == [approvals.AlreadyDecided]
    approved = not isinstance(outcomes[0], BaseException)
    assert await shop.state(order_id) == ("paid" if approved else "pay_rejected")
    kinds = await shop.world.owner.fetch("SELECT kind FROM ledger_entries WHERE order_id = $1 ORDER BY id", order_id)
    assert [row["kind"] for row in kinds] == ["hold", "commit" if approved else "release"]


async def test_without_the_locks_both_reviewers_decide(shop, referee, ruins, monkeypatch):
    for table, name in (
        ("orders", "orders_refused_show_nothing_paid"), ("orders", "orders_paid_is_paid"), ("lots", "lots_never_negative"),
    ):
        await ruins.enter_async_context(without_constraint(shop.world.owner, table, name))
    for target in UNLOCKED_CASE:
        without(monkeypatch, *target)
    order_id, outcomes = await two_reviewers(shop, referee)
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
    assert await shop.world.value(
        "SELECT count(*) FROM audit_entries WHERE subject = 'order' AND subject_id = $1 AND before = 'pay_review'", order_id
    ) == 2


async def repriced_while_paid(shop: ContractShop, referee: Referee) -> tuple[int, list[Any]]:
    order_id, contract = await shop.settled(500), await shop.contract(500)
    given = GivenContract(contract["attachment_id"], 500, shop.in_days(0))
    referee.hold_after("handlers.orders.payment.lock_own_order")
    referee.hold_after("handlers.orders.pricing.lock_own_order")
    outcomes = await referee.race(
        lambda: orders.pay_verified(shop.world.context(shop.buyer), order_id, 500, (), given),
        lambda: orders.settle_price(shop.world.context(shop.seller), order_id, 400),
        hold=["handlers.orders.payment.lock_own_order", "handlers.orders.pricing.lock_own_order"],
    )
    return order_id, outcomes


async def test_a_new_price_and_a_payment_of_the_old_one_never_both_stand(shop, referee):
    order_id, outcomes = await repriced_while_paid(shop, referee)
    (refused,) = [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    order = await shop.world.one("SELECT state, order_fen, voucher_fen FROM orders WHERE id = $1", order_id)
    if refused is orders.OrderNotPriceable:
        assert tuple(order) == ("pay_review", 500, 500)
    else:
        assert refused in {orders.DeductionTooHigh, orders.CONTRACT_REFUSALS[2]}
        assert tuple(order) == ("unpaid", 400, 0)


async def test_without_the_lock_the_price_changes_under_the_payment(shop, referee, ruins, monkeypatch):
    for name in ("orders_price_chain", "orders_within_deduction", "orders_in_review_hold_something"):
        await ruins.enter_async_context(without_constraint(shop.world.owner, "orders", name))
    for target in UNLOCKED_ORDER:
        without(monkeypatch, *target)
    order_id, outcomes = await repriced_while_paid(shop, referee)
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
    order = await shop.world.one("SELECT order_fen, voucher_fen FROM orders WHERE id = $1", order_id)
    assert tuple(order) == (400, 500), "more vouchers than the order costs"


async def cancelled_while_rejected(shop: ContractShop, referee: Referee) -> tuple[int, list[Any]]:
    """A colleague calls the order off at the moment at which the park decides."""
    order_id = await shop.in_review(500)
    approval = await shop.waiting("order", order_id)
    referee.hold_after("handlers.approvals._decidable")
    outcomes = await referee.race(
        deciding(shop, shop.reviewer, approval, Decision.APPROVE),
        lambda: orders.cancel_order(shop.world.context(shop.buyer), order_id),
        hold=["handlers.approvals._decidable"], in_turn=True,
    )
    return order_id, outcomes


async def test_an_approval_is_not_crossed_by_a_cancellation(shop, referee):
    order_id, outcomes = await cancelled_while_rejected(shop, referee)
    assert (outcomes[0]["state"], type(outcomes[1])) == ("approved", orders.OrderNotCancellable)
    assert outcomes[1].data["state"] == "paid", "it waited for the decision before it looked"
    assert await shop.state(order_id) == "paid"


async def test_without_the_lock_a_cancellation_looks_before_the_decision(shop, referee, monkeypatch):
    for target in UNLOCKED_ORDER[:1]:
        without(monkeypatch, *target)
    _, outcomes = await cancelled_while_rejected(shop, referee)
    assert (type(outcomes[1]), outcomes[1].data["state"]) == (orders.OrderNotCancellable, "pay_review")


async def approved_at_midnight(world: World, referee: Referee) -> tuple[ContractShop, int, list[Any]]:
    shop, order_id, lot_id = await over_midnight(world)
    approval = await shop.waiting("order", order_id)
    referee.hold_after("handlers.approvals._decidable")
    outcomes = await referee.race(
        deciding(shop, shop.reviewer, approval, Decision.APPROVE), lambda: wallet.expire_due(world.context()),
        hold=["handlers.approvals._decidable"],
    )
    return shop, lot_id, outcomes


async def test_an_approval_and_the_sweep_of_midnight_take_each_their_part(world, referee):
    shop, lot_id, outcomes = await approved_at_midnight(world, referee)
    assert (outcomes[0]["state"], outcomes[1]) == ("approved", 1)
    assert await shop.lot_of(lot_id) == (0, 0, 500, 99_500)


async def test_were_the_hold_not_protected_the_sweep_would_take_it_from_the_approval(world, referee, ruins, monkeypatch):
    for name in ("lots_never_negative", "lots_within_face"):
        await ruins.enter_async_context(without_constraint(world.owner, "lots", name))
    without(monkeypatch, "handlers.wallet.lots.EXPIRE", "SELECT id, available_fen FROM lots", "SELECT id, available_fen + held_fen"
            " AS available_fen FROM lots")
    shop, lot_id, _ = await approved_at_midnight(world, referee)
    assert await shop.lot_of(lot_id) == (0, 0, 500, 100_000), "spent and expired at once"
