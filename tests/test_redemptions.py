"""兑付: sixty per cent of what it cost, one invoice, four eyes, and a bank that may say no (C39-C43, K1-K6, F16)."""

import asyncio
import csv
import hashlib
import io
import secrets
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import approvals, orders
from handlers.approvals import Decision
from handlers.personal import seal
from handlers.programmes import Claim
from handlers.redemptions import GivenInvoice, Papers, RedemptionNotReturned, claim_redemption, resubmit_redemption
from handlers.redemptions.claims import payable
from handlers.refusals import Busy
from models.accounts import Role
from tests.books import expect_broken
from tests.races import without
from tests.referee import COMMIT, Referee
from tests.shop import Shop, open_shop
from tests.world import JINAN, Member, World

TABLES = ("redemptions", "invoices", "redemption_files", "payout_batches", "payout_lines", "ledger_entries", "approvals", "events",
          "audit_entries")
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb004300") + b"\x01" * 64


@dataclass
class Treasury:
    shop: Shop
    world: World
    first: Member    # of the coordination centre
    second: Member
    maker: Member    # of finance
    checker: Member

    async def file(self, slot: str, content: bytes = b"") -> int:
        """A stored attachment of the institution, written straight into the table; `content` decides its SHA-256."""
        return int(await self.world.value(
            "INSERT INTO attachments (organisation_id, uploaded_by_id, slot, display_name, media_type, size, sha256, storage_key, state,"
            " created_at) VALUES ($1,$2,$3,'a.jpg','image/jpeg',10,$4,$5,'stored',$6) RETURNING id",
            self.shop.seller.organisation_id, self.shop.seller.person_id, slot,
            hashlib.sha256(content or secrets.token_bytes(8)).digest(), secrets.token_hex(16), self.world.clock.now(),
        ))

    async def papers(self, **changes: Any) -> dict[str, Any]:
        names = dict(await self.world.owner.fetch("SELECT id, name FROM organisations"))
        invoice = {
            "code": "", "number": f"{await self.world.value('SELECT count(*) FROM invoices') + 1:020d}",
            "buyer_name": names[self.shop.buyer.organisation_id], "seller_name": names[self.shop.seller.organisation_id],
            "amount_fen": 400_000, "issued_on": self.world.clock.now().date().isoformat(), "attachment_id": await self.file("invoice"),
            **changes.pop("invoice", {}),
        }
        evidence = [await self.file("evidence")]
        return {"actual_fen": 400_000, "summary": "审计服务已完成", "invoice": invoice, "evidence": evidence, **changes}

    async def claim(self, order_id: int, **changes: Any) -> tuple[int, Any]:
        return await self.world.post(f"/orders/{order_id}/redemption", await self.papers(**changes), by=self.shop.seller)

    async def claimed(self, **changes: Any) -> int:
        status, body = await self.claim(await self.shop.paid(), **changes)
        assert status == 201, body
        return int(body["id"])

    async def approval_of(self, redemption_id: int) -> int:
        return int(await self.world.value(
            "SELECT id FROM approvals WHERE subject = 'redemption' AND subject_id = $1 AND state = 'open'", redemption_id
        ))

    async def prepare(self, redemption_id: int, by: Member | None = None) -> tuple[int, Any]:
        return await self.world.post(f"/redemptions/{redemption_id}/preparation", {"remark": "已核对"}, by=by or self.first)

    async def decide(self, redemption_id: int, noun: str, body: object, by: Member | None = None) -> tuple[int, Any]:
        return await self.world.post(f"/approvals/{await self.approval_of(redemption_id)}/{noun}", body, by=by or self.second)

    async def approved(self, **changes: Any) -> int:
        redemption_id = await self.claimed(**changes)
        assert (await self.prepare(redemption_id))[0] == 200
        status, body = await self.decide(redemption_id, "approval", {})
        assert status == 200, body
        return redemption_id

    async def batch(self) -> int:
        status, body = await self.world.post("/payout-batches", {"programme_id": self.shop.programme.id}, by=self.maker)
        assert status == 201, body
        return int(body["id"])

    async def confirmed(self) -> tuple[int, list[Any]]:
        batch_id = await self.batch()
        status, body = await self.world.put(f"/payout-batches/{batch_id}/confirmation", by=self.checker)
        assert status == 200, body
        _, lines = await self.world.get(f"/payout-batches/{batch_id}/lines", by=self.maker)
        return batch_id, lines["items"]

    async def answer(self, batch_id: int, *answers: Any) -> tuple[int, Any]:
        return await self.world.post(f"/payout-batches/{batch_id}/answers", {"answers": list(answers)}, by=self.maker)

    async def state(self, redemption_id: int) -> str:
        return str(await self.world.value("SELECT state FROM redemptions WHERE id = $1", redemption_id))

    async def balances(self) -> dict[str, int]:
        """What lies in each account, from the ledger alone."""
        found = await self.world.owner.fetch(
            "SELECT account, sum(fen)::bigint AS fen FROM (SELECT to_account AS account, fen FROM ledger_entries"
            " UNION ALL SELECT from_account, -fen FROM ledger_entries) e GROUP BY account HAVING sum(fen) <> 0"
        )
        return {row["account"]: row["fen"] for row in found}


@pytest.fixture
async def treasury(world: World) -> Treasury:
    shop = await open_shop(world, claim={"requires": "paid", "ratio": "0.60"})
    await world.owner.execute(
        "UPDATE institutions SET bank_account_name = '测试户名', bank_branch = '中国银行高新区支行', bank_account = $2"
        " WHERE organisation_id = $1",
        shop.seller.organisation_id, seal(world.settings, "6217000000001234567"),
    )
    officials = [await world.official(role, region_code=JINAN) for role in (
        Role.CENTRE_REVIEWER, Role.CENTRE_REVIEWER, Role.PAYOUT_OFFICER, Role.PAYOUT_OFFICER,
    )]
    return Treasury(shop, world, *officials)


# --- the arithmetic (C39) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("voucher", "actual", "ratio", "expected"), [
    (200_000, 400_000, "0.60", 200_000),  # 60 % of 4,000 is 2,400: the vouchers are the limit
    (200_000, 300_000, "0.60", 180_000),
    (500, 500, "0.60", 300),              # the manual's sample: 5 of 5
    (500, 501, "0.60", 300),              # 300.6 is rounded down
    (500, 1, "0.60", 0),
    (500, 500, "1", 500),
])
def test_payable_is_the_lesser_of_the_vouchers_and_the_share_of_the_cost(voucher, actual, ratio, expected):
    assert payable(voucher, actual, Claim(ratio=Decimal(ratio))) == expected


@given(st.integers(1, 10**10), st.integers(1, 10**10), st.decimals("0.0001", "1", places=4))
def test_payable_never_exceeds_what_was_paid_nor_what_it_cost(voucher, actual, ratio):
    fen = payable(voucher, actual, Claim(ratio=ratio))
    assert 0 <= fen <= min(voucher, actual)
    assert fen == voucher or fen <= actual * ratio < fen + 1


@given(st.integers(1, 10**10), st.integers(1, 10**10), st.decimals("0.0001", "1", places=4))
def test_a_share_of_the_vouchers_never_exceeds_what_it_cost(voucher, actual, ratio):
    fen = payable(voucher, actual, Claim(ratio=ratio, basis="voucher_paid"))
    assert fen == actual <= voucher * ratio or fen <= voucher * ratio < fen + 1


# --- claiming (K1) -----------------------------------------------------------------------------------------------------------


async def test_a_paid_order_is_claimed_with_its_formula_and_shortfall(treasury):
    status, body = await treasury.claim(await treasury.shop.paid(), actual_fen=300_000, invoice={"amount_fen": 300_000})
    assert status == 201, body
    assert (body["label"], body["payable_fen"], body["shortfall_fen"]) == ("兑付审核中", 180_000, 20_000)
    assert body["formula"] == "应兑付 = min(用券 2000.00，实际发生 3000.00 × 60%) = 1800.00 元；未足额 200.00 元"
    _, order = await treasury.world.get(f"/orders/{body['order_id']}", by=treasury.shop.seller)
    assert order["tab"] == "claim_review"


@pytest.mark.parametrize(("actual", "payable_fen", "formula"), [
    (400_000, 120_000, "应兑付 = min(用券 2000.00 × 60%，实际发生 4000.00) = 1200.00 元；未足额 800.00 元"),
    (150_000, 120_000, "应兑付 = min(用券 2000.00 × 60%，实际发生 1500.00) = 1200.00 元；未足额 800.00 元"),  # above 60 % of what it cost
    (50_000, 50_000, "应兑付 = min(用券 2000.00 × 60%，实际发生 500.00) = 500.00 元；未足额 1500.00 元"),
])
async def test_a_programme_may_pay_a_share_of_the_vouchers_but_never_more_than_it_cost(treasury, actual, payable_fen, formula):
    await treasury.world.owner.execute("UPDATE policies SET rules = jsonb_set(rules, '{claim,basis}', '\"voucher_paid\"')")
    status, body = await treasury.claim(await treasury.shop.paid(), actual_fen=actual, invoice={"amount_fen": actual})
    assert status == 201, body
    assert (body["payable_fen"], body["shortfall_fen"], body["formula"]) == (payable_fen, 200_000 - payable_fen, formula)
    await treasury.prepare(body["id"])
    assert (await treasury.decide(body["id"], "approval", {}))[0] == 200
    assert await treasury.balances() == {"budget": -200_000, "pre_redeemed": payable_fen, "shortfall": 200_000 - payable_fen}


async def test_an_order_is_claimed_once(treasury):
    order_id = await treasury.shop.paid()
    assert (await treasury.claim(order_id))[0] == 201
    before = await treasury.world.snapshot(*TABLES)
    status, body = await treasury.claim(order_id)
    assert (status, body["code"]) == (409, "already_claimed")
    after = await treasury.world.snapshot(*TABLES)
    assert after == before


async def test_an_unpaid_order_cannot_be_claimed(treasury):
    status, body = await treasury.claim(await treasury.shop.order())
    assert (status, body["code"], body["data"]["requires"]) == (409, "order_not_claimable", "paid")


@pytest.mark.parametrize("overlay", ["frozen_at", "disputed_at"])
async def test_a_frozen_or_disputed_order_cannot_be_claimed(treasury, overlay):
    order_id = await treasury.shop.delivered()
    await treasury.world.owner.execute(f"UPDATE orders SET {overlay} = now() WHERE id = $1", order_id)
    status, body = await treasury.claim(order_id)
    assert (status, body["code"]) == (409, "order_not_claimable")
    await treasury.world.owner.execute("UPDATE orders SET frozen_at = NULL, disputed_at = NULL")


async def test_without_a_bank_account_there_is_no_claim(treasury):
    order_id = await treasury.shop.paid()
    await treasury.world.owner.execute("UPDATE institutions SET bank_account = NULL")
    status, body = await treasury.claim(order_id)
    assert (status, body["code"]) == (409, "bank_account_missing")


async def test_a_programme_without_redemption_says_so(world):
    shop = await open_shop(world)
    treasury = Treasury(shop, world, *[await world.official(Role.CENTRE_REVIEWER) for _ in range(4)])
    status, body = await treasury.claim(await shop.paid())
    assert (status, body["code"]) == (409, "no_redemption")


@pytest.mark.parametrize(("changes", "status", "code"), [
    ({"actual_fen": 400_001}, 422, "actual_amount_too_high"),
    ({"invoice": {"issued_on": "2026-03-03"}}, 422, "invoice_not_issued_yet"),
    ({"evidence": [999_999]}, 404, "not_found"),
    ({"evidence": []}, 422, "invalid_input"),
    ({"invoice": {"number": "12"}}, 422, "invalid_input"),
])
async def test_papers_that_cannot_be_are_refused_and_nothing_is_kept(treasury, changes, status, code):
    order_id = await treasury.shop.paid()
    before = await treasury.world.snapshot(*TABLES)
    answer = await treasury.claim(order_id, **changes)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert await treasury.world.snapshot(*TABLES) == before


async def test_an_invoice_pays_once_in_the_whole_system(treasury):
    await treasury.claimed(invoice={"number": "00000000"})
    order_id = await treasury.shop.paid()
    before = await treasury.world.snapshot(*TABLES)
    status, body = await treasury.claim(order_id, invoice={"number": "00000000"})
    assert (status, body["code"], body["data"]) == (409, "invoice_used", {})
    assert await treasury.world.snapshot(*TABLES) == before


async def test_a_rejected_claim_lets_its_invoice_go_and_may_be_made_again(treasury):
    redemption_id = await treasury.claimed(invoice={"number": "00000001"})
    assert (await treasury.decide(redemption_id, "rejection", {"reason": "材料不足"}))[0] == 200
    order_id = await treasury.world.value("SELECT order_id FROM redemptions")
    status, body = await treasury.claim(order_id, invoice={"number": "00000001"})
    assert status == 201, body


# --- reviewing (K2-K4) -------------------------------------------------------------------------------------------------------


async def test_one_checks_another_approves_and_the_ledger_follows(treasury):
    redemption_id = await treasury.claimed(actual_fen=300_000, invoice={"amount_fen": 300_000})
    status, body = await treasury.decide(redemption_id, "approval", {})
    assert (status, body["code"]) == (409, "redemption_not_prepared")
    await treasury.prepare(redemption_id)
    status, body = await treasury.decide(redemption_id, "approval", {}, by=treasury.first)
    assert (status, body["code"]) == (403, "second_person_needed")
    assert await treasury.balances() == {"budget": -200_000, "receivable": 200_000}
    assert (await treasury.decide(redemption_id, "approval", {}))[0] == 200
    assert await treasury.state(redemption_id) == "pre_redeemed"
    assert await treasury.balances() == {"budget": -200_000, "pre_redeemed": 180_000, "shortfall": 20_000}


async def test_a_payment_from_two_lots_is_cut_once(treasury):
    shop = treasury.shop
    await shop.password()
    await shop.lot(120_000)
    await shop.lot(80_000)
    order_id = await shop.order()
    assert (await shop.pay(order_id, 200_000))[0] == 200
    _, body = await treasury.claim(order_id, actual_fen=250_000, invoice={"amount_fen": 250_000})
    await treasury.prepare(body["id"])
    assert (await treasury.decide(body["id"], "approval", {}))[0] == 200
    entries = await treasury.world.owner.fetch(
        "SELECT kind, fen FROM ledger_entries WHERE kind IN ('pre_redeem','shortfall') ORDER BY kind, lot_id"
    )
    assert [tuple(entry) for entry in entries] == [("pre_redeem", 120_000), ("pre_redeem", 30_000), ("shortfall", 50_000)]


async def test_the_checklist_shows_differences_first(treasury):
    redemption_id = await treasury.claimed(invoice={"buyer_name": "别的公司", "amount_fen": 100_000})
    _, case = await treasury.world.get(f"/approvals/{await treasury.approval_of(redemption_id)}", by=treasury.first)
    failed = [check["code"] for check in case["facts"]["checklist"] if not check["passed"]]
    assert failed == ["invoice_buyer", "invoice_amount"]
    assert [check["passed"] for check in case["facts"]["checklist"]][:3] == [False, False, True]
    [amount] = [check for check in case["facts"]["checklist"] if check["code"] == "invoice_amount"]
    assert (amount["expected"], amount["actual"]) == ("4000.00 元", "1000.00 元")
    # No amount is left in fen, which nobody reads.
    assert [check for check in case["facts"]["checklist"] if check["expected"].isdecimal() or check["actual"].isdecimal()] == []


async def test_the_same_file_in_two_claims_is_a_difference(treasury):
    same = [await treasury.file("evidence", b"same"), await treasury.file("evidence", b"same")]
    await treasury.claimed(evidence=same[:1])
    redemption_id = await treasury.claimed(evidence=same[1:])
    _, case = await treasury.world.get(f"/approvals/{await treasury.approval_of(redemption_id)}", by=treasury.first)
    assert [check["code"] for check in case["facts"]["checklist"] if not check["passed"]] == ["files_once"]


async def test_a_returned_claim_comes_back_under_its_number_and_is_prepared_again(treasury):
    redemption_id = await treasury.claimed()
    await treasury.prepare(redemption_id)
    assert (await treasury.decide(redemption_id, "return", {"reason": "发票抬头有误"}))[0] == 200
    _, before = await treasury.world.get(f"/redemptions/{redemption_id}", by=treasury.shop.seller)
    assert (before["label"], before["reason"]) == ("退回修改", "发票抬头有误")
    papers = await treasury.papers(actual_fen=350_000)
    status, after = await treasury.world.put(f"/redemptions/{redemption_id}", papers, by=treasury.shop.seller)
    assert status == 200, after
    assert (after["number"], after["label"], after["prepared"], after["actual_fen"]) == (before["number"], "兑付审核中", False, 350_000)


async def test_only_a_returned_claim_is_written_anew(treasury):
    redemption_id = await treasury.claimed()
    papers = await treasury.papers()
    before = await treasury.world.snapshot(*TABLES)
    status, body = await treasury.world.put(f"/redemptions/{redemption_id}", papers, by=treasury.shop.seller)
    assert (status, body["code"]) == (409, "redemption_not_returned")
    assert await treasury.world.snapshot(*TABLES) == before


async def test_a_centre_elsewhere_and_a_party_cannot_touch_it(treasury):
    redemption_id = await treasury.claimed()
    elsewhere = await treasury.world.official(Role.CENTRE_REVIEWER, region_code="370200")
    assert (await treasury.prepare(redemption_id, by=elsewhere))[0] == 404
    person = (treasury.shop.buyer.person_id, treasury.shop.buyer.identity_id, treasury.shop.buyer.open_id)
    party = await treasury.world.member(treasury.first.organisation_id, Role.CENTRE_REVIEWER, person=person, region_code=JINAN)
    status, body = await treasury.prepare(redemption_id, by=party)
    assert (status, body["code"]) == (403, "own_case")


async def test_a_frozen_order_keeps_its_claim_from_being_approved(treasury):
    redemption_id = await treasury.claimed()
    await treasury.prepare(redemption_id)
    await treasury.world.owner.execute("UPDATE orders SET frozen_at = now()")
    status, body = await treasury.decide(redemption_id, "approval", {})
    assert (status, body["code"]) == (409, "order_not_claimable")
    assert await treasury.state(redemption_id) == "in_review"
    await treasury.world.owner.execute("UPDATE orders SET frozen_at = NULL")


async def test_who_is_of_both_sides_by_now_claims_nothing(treasury):
    """F08: whoever buys does not also say what the service was worth. A colleague who is only the institution's goes on."""
    order_id = await treasury.shop.paid()
    buyer, clerk = treasury.shop.buyer, await treasury.world.member(treasury.shop.seller.organisation_id, Role.HANDLER)
    both = await treasury.world.member(
        treasury.shop.seller.organisation_id, Role.HANDLER, person=(buyer.person_id, buyer.identity_id, buyer.open_id)
    )
    papers, before = await treasury.papers(), await treasury.world.snapshot(*TABLES)
    status, body = await treasury.world.post(f"/orders/{order_id}/redemption", papers, by=both)
    assert (status, body["code"]) == (403, "related_parties")
    _, shown = await treasury.world.get(f"/orders/{order_id}", by=both)
    assert "claim" not in shown["allowed_actions"]
    assert await treasury.world.snapshot(*TABLES) == before
    status, body = await treasury.world.post(f"/orders/{order_id}/redemption", papers, by=clerk)
    assert status == 201, body
    assert (await treasury.decide(body["id"], "return", {"reason": "请补充服务材料"}, treasury.first))[0] == 200
    papers, before = await treasury.papers(), await treasury.world.snapshot(*TABLES)
    status, refused = await treasury.world.put(f"/redemptions/{body['id']}", papers, by=both)
    assert (status, refused["code"]) == (403, "related_parties")
    assert await treasury.world.snapshot(*TABLES) == before
    assert (await treasury.world.put(f"/redemptions/{body['id']}", papers, by=clerk))[0] == 200


# --- paying out (K5, K6) -----------------------------------------------------------------------------------------------------


async def test_a_batch_is_made_by_one_confirmed_by_another_and_paid_line_by_line(treasury):
    paid, bounced = await treasury.approved(), await treasury.approved()
    batch_id = await treasury.batch()
    status, body = await treasury.world.put(f"/payout-batches/{batch_id}/confirmation", by=treasury.maker)
    assert (status, body["code"]) == (403, "second_person_needed")
    status, body = await treasury.world.get(f"/payout-batches/{batch_id}/file.csv", by=treasury.maker)
    assert (status, body["code"]) == (409, "batch_state_wrong")
    assert (await treasury.world.put(f"/payout-batches/{batch_id}/confirmation", by=treasury.checker))[0] == 200
    _, lines = await treasury.world.get(f"/payout-batches/{batch_id}/lines", by=treasury.maker)
    by_claim = {line["redemption_id"]: line for line in lines["items"]}
    assert by_claim[paid]["bank_account"].endswith("4567") and "6217000000001234567" not in str(lines)
    status, body = await treasury.answer(
        batch_id, {"line_id": by_claim[paid]["id"], "paid": True, "bank_reference": "YH001"},
        {"line_id": by_claim[bounced]["id"], "paid": False, "reason": "户名不符"},
    )
    assert (status, body["state"]) == (200, "settled")
    assert (await treasury.state(paid), await treasury.state(bounced)) == ("redeemed", "pre_redeemed")
    assert await treasury.balances() == {"budget": -400_000, "pre_redeemed": 200_000, "paid": 200_000}
    assert (await treasury.batch()) > batch_id  # what bounced goes into the next


async def bank_file(treasury: Treasury, batch_id: int) -> list[list[str]]:
    headers = {"Authorization": f"Bearer {treasury.maker.token}"}
    async with treasury.world.client.get(f"/api/v1/payout-batches/{batch_id}/file.csv", headers=headers) as response:
        assert response.status == 200
        return list(csv.reader(io.StringIO((await response.read()).decode("utf-8-sig"))))


async def test_what_the_bank_has_answered_is_in_no_file_for_it_again(treasury):
    for _ in range(3):
        await treasury.approved()
    batch_id, lines = await treasury.confirmed()
    assert [row[1] for row in (await bank_file(treasury, batch_id))[1:]] == [line["redemption_number"] for line in lines]
    paid, bounced, waiting = lines
    assert (await treasury.answer(
        batch_id, {"line_id": paid["id"], "paid": True, "bank_reference": "YH001"},
        {"line_id": bounced["id"], "paid": False, "reason": "户名不符"},
    ))[0] == 200
    assert [row[1] for row in (await bank_file(treasury, batch_id))[1:]] == [waiting["redemption_number"]]
    assert (await treasury.answer(batch_id, {"line_id": waiting["id"], "paid": True, "bank_reference": "YH002"}))[1]["state"] == "settled"
    status, body = await treasury.world.get(f"/payout-batches/{batch_id}/file.csv", by=treasury.maker)
    assert (status, body["code"]) == (409, "batch_state_wrong")


@pytest.mark.parametrize(("answers", "code"), [
    ([{"paid": True, "bank_reference": "YH001"}, {"paid": False, "reason": "户名不符"}], "answers_wrong"),
    ([{"paid": False, "reason": "户名不符"}, {"paid": True, "bank_reference": "YH001"}], "answers_wrong"),
    ([{"paid": True, "bank_reference": "YH001"}] * 2, "answers_wrong"),
    ([{"paid": True}], "answers_incomplete"), ([{"paid": True, "bank_reference": " ", "reason": "已付"}], "answers_incomplete"),
    ([{"paid": False}], "answers_incomplete"), ([{"paid": False, "bank_reference": "YH001"}], "answers_incomplete"),
])
async def test_an_answer_of_the_bank_is_one_and_whole(treasury, answers, code):
    await treasury.approved()
    batch_id, lines = await treasury.confirmed()
    before = await treasury.world.snapshot(*TABLES)
    status, body = await treasury.answer(batch_id, *({"line_id": lines[0]["id"], **answer} for answer in answers))
    assert (status, body["code"], body["data"]["lines"]) == (422, code, [lines[0]["id"]])
    assert await treasury.world.snapshot(*TABLES) == before


async def test_the_bank_file_is_the_batch_and_holds_no_formula(treasury):
    await treasury.world.owner.execute("UPDATE institutions SET bank_account_name = '=1+1'")
    await treasury.approved()
    batch_id, _ = await treasury.confirmed()
    headers = {"Authorization": f"Bearer {treasury.maker.token}"}
    table = await bank_file(treasury, batch_id)
    assert table[1][2:6] == ["'=1+1", "中国银行高新区支行", "6217000000001234567", "2000.00"]
    async with treasury.world.client.get(f"/api/v1/payout-batches/{batch_id}/file.xlsx", headers=headers) as response:
        assert (await response.read())[:2] == b"PK"
    taken = await treasury.world.value("SELECT count(*) FROM audit_entries WHERE action = 'payout_batch.file_taken'")
    assert taken == 2


async def test_a_line_is_answered_once_and_only_in_its_batch(treasury):
    await treasury.approved()
    batch_id, lines = await treasury.confirmed()
    yes = {"line_id": lines[0]["id"], "paid": True, "bank_reference": "YH001"}
    before = await treasury.world.snapshot(*TABLES)
    status, body = await treasury.answer(batch_id, yes, {**yes, "line_id": 999_999})
    assert (status, body["code"], body["data"]["lines"]) == (422, "answers_wrong", [999_999])
    assert await treasury.world.snapshot(*TABLES) == before
    assert (await treasury.answer(batch_id, yes))[0] == 200
    status, body = await treasury.answer(batch_id, yes)
    assert (status, body["code"]) == (409, "batch_state_wrong")


async def test_a_draft_batch_can_be_undone_and_an_empty_one_is_not_made(treasury):
    redemption_id = await treasury.approved()
    batch_id = await treasury.batch()
    status, body = await treasury.world.post("/payout-batches", {"programme_id": treasury.shop.programme.id}, by=treasury.checker)
    assert (status, body["code"]) == (409, "nothing_to_pay_out")
    assert (await treasury.world.put(f"/payout-batches/{batch_id}/cancellation", by=treasury.maker))[0] == 200
    assert await treasury.state(redemption_id) == "pre_redeemed"


async def test_what_is_frozen_is_not_batched(treasury):
    await treasury.approved()
    await treasury.world.owner.execute("UPDATE orders SET frozen_at = now()")
    status, body = await treasury.world.post("/payout-batches", {"programme_id": treasury.shop.programme.id}, by=treasury.maker)
    assert (status, body["code"]) == (409, "nothing_to_pay_out")
    await treasury.world.owner.execute("UPDATE orders SET frozen_at = NULL")


async def two_batches_at_once(treasury: Treasury) -> list[int]:
    answers = await asyncio.gather(*(
        treasury.world.post("/payout-batches", {"programme_id": treasury.shop.programme.id}, by=officer)
        for officer in (treasury.maker, treasury.checker)
    ))
    return sorted(status for status, _ in answers)


async def test_two_officers_at_once_batch_each_claim_once(treasury):
    for _ in range(5):
        await treasury.approved()
        assert await two_batches_at_once(treasury) == [201, 409]
    assert await treasury.world.value("SELECT count(*) FROM payout_lines") == 5


async def test_without_the_row_lock_the_unique_index_still_keeps_a_claim_from_two_batches(treasury, monkeypatch):
    without(monkeypatch, "handlers.redemptions.payouts.FILL", "FOR UPDATE OF r SKIP LOCKED", "")
    statuses = []
    for _ in range(5):
        await treasury.approved()
        statuses += await two_batches_at_once(treasury)
    assert statuses.count(201) == 5
    assert await treasury.world.value("SELECT count(*) FROM payout_lines") == 5


# --- what is claimed does not come back as well ----------------------------------------------------------------------------

DECLINED = ("seller", "refusal", {"reason": "无法承接"}, "order_not_acceptable")
TAKEN_BACK = ("buyer", "take-back", None, "order_not_cancellable")


@pytest.mark.parametrize(("side", "noun", "body", "code"), [DECLINED, TAKEN_BACK])
async def test_a_claimed_order_is_not_called_off_unless_the_claim_is_rejected(treasury, side, noun, body, code):
    order_id = await treasury.shop.paid()
    treasury.world.clock.set(await treasury.world.value("SELECT due_at FROM orders"))
    _, claimed = await treasury.claim(order_id)
    before = await treasury.world.snapshot(*TABLES, "orders", "lots")
    by = getattr(treasury.shop, side)
    status, answer = await treasury.shop.act(by, order_id, noun, body)
    assert (status, answer["code"]) == (409, code)
    assert await treasury.world.snapshot(*TABLES, "orders", "lots") == before
    await treasury.prepare(claimed["id"])
    assert (await treasury.decide(claimed["id"], "rejection", {"reason": "尚未提供服务"}))[0] == 200
    assert (await treasury.shop.ok(by, order_id, noun, body))["returned_fen"] == 200_000


async def test_a_claimed_order_is_not_ended_by_consent(treasury):
    order_id = await treasury.shop.accepted()
    await treasury.shop.ok(treasury.shop.buyer, order_id, "termination", {"returned_fen": 1, "reason": "双方商定"})
    assert (await treasury.claim(order_id))[0] == 201
    before = await treasury.world.snapshot(*TABLES, "orders", "lots")
    status, answer = await treasury.shop.act(treasury.shop.seller, order_id, "termination/agreement", {"returned_fen": 1})
    assert (status, answer["code"]) == (409, "order_not_terminable")
    assert await treasury.world.snapshot(*TABLES, "orders", "lots") == before


async def test_a_ruling_gives_nothing_back_of_a_claimed_order_unless_the_claim_is_rejected(treasury):
    order_id = await treasury.shop.delivered()
    _, claimed = await treasury.claim(order_id)
    for _ in range(3):
        await treasury.shop.ok(treasury.shop.buyer, order_id, "rework", {"reason": "不符合约定"})
        await treasury.shop.ok(treasury.shop.seller, order_id, "handovers", {"summary": "已更正后再次提交"})
    await treasury.shop.ok(treasury.shop.buyer, order_id, "rework", {"reason": "仍不符合"})
    dispute = await treasury.world.value("SELECT id FROM approvals WHERE kind = 'dispute' AND state = 'open'")
    reviewer = await treasury.world.official(Role.REVIEWER)
    path, ruling = f"/approvals/{dispute}/ruling", {"reason": "已核实", "returned_fen": 50_000}
    before = await treasury.world.snapshot(*TABLES, "orders", "lots")
    status, answer = await treasury.world.post(path, ruling, by=reviewer)
    assert (status, answer["code"]) == (409, "order_claimed")
    assert await treasury.world.snapshot(*TABLES, "orders", "lots") == before
    await treasury.prepare(claimed["id"])
    assert (await treasury.decide(claimed["id"], "rejection", {"reason": "存在争议"}))[0] == 200
    assert (await treasury.world.post(path, ruling, by=reviewer))[0] == 200


async def ended(treasury: Treasury, returned_fen: int) -> tuple[int, Any]:
    """(order, what the institution is offered) of an accepted order of 200,000 fen that both ended."""
    order_id = await treasury.shop.accepted()
    await treasury.shop.ok(treasury.shop.buyer, order_id, "termination", {"returned_fen": returned_fen, "reason": "双方商定"})
    shown = await treasury.shop.ok(treasury.shop.seller, order_id, "termination/agreement", {"returned_fen": returned_fen})
    return order_id, shown["allowed_actions"]


@pytest.mark.parametrize("requires", ["paid", "completed"])
async def test_what_the_institution_keeps_of_an_order_that_was_ended_is_claimed_and_no_more(treasury, requires):
    await treasury.world.owner.execute("UPDATE policies SET rules = jsonb_set(rules, '{claim,requires}', to_jsonb($1::text))", requires)
    order_id, offered = await ended(treasury, 150_000)
    assert offered == ["claim"]
    status, claimed = await treasury.claim(order_id)
    assert (status, claimed["voucher_fen"], claimed["payable_fen"]) == (201, 50_000, 50_000)
    assert (await treasury.claim(order_id))[1]["code"] == "already_claimed"
    await treasury.prepare(claimed["id"])
    assert (await treasury.decide(claimed["id"], "approval", {}))[0] == 200
    assert await treasury.balances() == {"budget": -200_000, "available": 150_000, "pre_redeemed": 50_000}
    _, shown = await treasury.world.get(f"/orders/{order_id}", by=treasury.shop.seller)
    assert (shown["state"], shown["tab"], shown["allowed_actions"]) == ("closed", "pre_redeemed", [])


async def test_of_what_went_back_whole_nothing_is_claimed(treasury):
    order_id, offered = await ended(treasury, 200_000)
    assert offered == []
    before = await treasury.world.snapshot(*TABLES, "orders", "lots")
    papers = await treasury.papers()
    status, answer = await treasury.world.post(f"/orders/{order_id}/redemption", papers, by=treasury.shop.seller)
    assert (status, answer["code"]) == (409, "order_not_claimable")
    assert await treasury.world.snapshot(*TABLES, "orders", "lots") == before


async def claim_against_decline(treasury: Treasury, monkeypatch: pytest.MonkeyPatch, *, first: str) -> list[str]:
    """What became of the claim and of the refusal, of which one begins first and is held before it commits."""
    order_id, papers = await treasury.shop.paid(), await treasury.papers()
    invoice = GivenInvoice(**{**papers["invoice"], "issued_on": treasury.world.clock.now().date()})
    given, ctx = Papers(papers["actual_fen"], papers["summary"], invoice, papers["evidence"]), treasury.world.context(treasury.shop.seller)
    contenders = {
        "claim": lambda: claim_redemption(ctx, order_id, given),
        "decline": lambda: orders.decline_order(ctx, order_id, "无法承接"),
    }
    names = sorted(contenders, key=lambda name: name != first)
    outcomes = await Referee(treasury.world.owner, monkeypatch).race(
        *(contenders[name] for name in names), hold=(COMMIT,), in_turn=True,
    )
    return [f"{name}: {'done' if isinstance(outcome, dict) else getattr(outcome, 'code', type(outcome).__name__)}"
            for name, outcome in zip(names, outcomes, strict=True)]


@pytest.mark.parametrize(("first", "outcome"), [
    ("claim", ["claim: done", "decline: order_claimed"]), ("decline", ["decline: done", "claim: order_not_claimable"]),
])
async def test_an_order_is_claimed_or_declined(treasury, monkeypatch, first, outcome):
    assert await claim_against_decline(treasury, monkeypatch, first=first) == outcome


async def test_without_asking_behind_the_lock_its_vouchers_come_back_and_are_claimed(treasury, monkeypatch):
    without(monkeypatch, "handlers.orders.payment.LIVE_CLAIM", "state <> 'rejected'", "false")
    assert await claim_against_decline(treasury, monkeypatch, first="claim") == ["claim: done", "decline: done"]
    expect_broken("returned_vouchers_are_not_claimed")


async def decide_against_resubmit(treasury: Treasury, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """[what the decision answered, what the resubmission of the same claim answered]: one holds its locks while the other asks for them."""
    redemption_id, papers = await treasury.claimed(), await treasury.papers()
    assert (await treasury.prepare(redemption_id))[0] == 200
    invoice = GivenInvoice(**{**papers["invoice"], "issued_on": treasury.world.clock.now().date()})
    seller, deciding = treasury.world.context(treasury.shop.seller), treasury.world.context(treasury.second)
    deciding = replace(deciding, actor=replace(deciding.actor, region_code=JINAN))
    approval_id = await treasury.approval_of(redemption_id)
    referee = Referee(treasury.world.owner, monkeypatch)
    referee.hold_after("handlers.approvals._decidable")
    return await referee.race(
        lambda: approvals.decide(deciding, approval_id, Decision.APPROVE),
        lambda: resubmit_redemption(seller, redemption_id, Papers(papers["actual_fen"], papers["summary"], invoice, papers["evidence"])),
        hold=("handlers.approvals._decidable",), in_turn=True,
    )


async def test_a_decision_and_a_resubmission_of_a_claim_queue_up(treasury, monkeypatch):
    for _ in range(20):
        decided, resubmitted = await decide_against_resubmit(treasury, monkeypatch)
        assert decided["state"] == "approved"
        assert isinstance(resubmitted, RedemptionNotReturned), resubmitted
    assert await treasury.world.value("SELECT count(*) FROM redemptions WHERE state = 'pre_redeemed'") == 20
    assert await treasury.world.value("SELECT count(*) FROM ledger_entries WHERE kind = 'pre_redeem'") == 20


async def test_without_the_order_before_the_claim_they_deadlock(treasury, monkeypatch):
    monkeypatch.setattr(approvals, "LOCKED_BEFORE", {})
    outcomes = await decide_against_resubmit(treasury, monkeypatch)
    assert [type(each.__cause__) for each in outcomes if isinstance(each, Busy)] == [asyncpg.DeadlockDetectedError]
