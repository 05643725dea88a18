"""The moves of a random walk, each as one of its people makes it. Importing this registers them (tests/walking.py)."""

from datetime import timedelta
from typing import Any

from handlers import (
    appeals,
    applications,
    approvals,
    approved_amounts,
    orders,
    redemptions,
    reservations,
    reviews,
    reviews_mutual,
    risks,
    rounds,
    wallet,
)
from handlers.appeals import Against
from handlers.approvals import Decision
from handlers.orders import AGREEMENT_VERSION, GivenContract
from handlers.redemptions import Answer, GivenInvoice, Papers
from handlers.round_plans import Plan
from models.accounts import Role
from models.approvals import ApplicationKind
from models.reviews import Grade
from tests.walking import Seen, Walk, move
from tests.zhengzhou import DIRECTION

WHY = "经核实"
UNPAID = ("unpaid", "pay_rejected")
DELIVERED = "审计报告已交付"


def is_free(order: Any) -> bool:
    return order["frozen_at"] is None and order["disputed_at"] is None


def is_in(*states: str) -> Any:
    return lambda _walk, order: order["state"] in states and is_free(order)


def is_case(kind: str, *, frozen: bool = False) -> Any:
    return lambda _walk, case: case["kind"] == kind and (frozen or case["frozen_at"] is None)


def unclaimed(order: Any) -> bool:
    return order["claim"] in (None, "rejected")


def is_due(walk: Walk, order: Any) -> bool:
    return order["due_at"] is not None and order["due_at"] <= walk.now


# --- vouchers come and go ------------------------------------------------------------------------------------------------


def is_poor(walk: Walk, seen: Seen) -> bool:
    usable: int = sum(lot["available_fen"] for lot in seen.lots if lot["expires_at"] > walk.now)
    return usable < 160_000


@move("world", lambda walk, seen: walk.rules.allocation != "approved_amount" and is_poor(walk, seen), weight=2)
async def be_given_a_lot(walk: Walk, _seen: Seen, n: int) -> None:
    """As a round of a draw gives it, whose steps have a test of their own."""
    until = wallet.shanghai_date(walk.now) + timedelta(days=(0, 1, 4, 30)[n % 4])
    programme = walk.shop.programme
    await walk.shop.lot((40_000, 150_000, 260_000)[n % 3], valid_until=until,
                        voucher_type_id=(programme.audit, programme.general)[n // 4 % 2])


@move("world", lambda walk, seen: walk.rules.allocation == "first_come" and is_poor(walk, seen), weight=4, in_parts=True)
async def take_of_a_round(walk: Walk, _seen: Seen, n: int) -> None:
    """A round of first come, first served, from its draft to the voucher in the wallet."""
    walk.rounds += 1
    programme = walk.shop.programme
    maker, second = (walk.by(actor) for actor in walk.people[Role.PROGRAMME_MANAGER])
    voucher_type = (programme.audit, programme.general)[n % 2]
    drafted = await rounds.draft_round(maker, programme.id, Plan(
        f"2026{walk.rounds:02d}", f"第{walk.rounds}批", walk.now, walk.now + timedelta(minutes=1), None, None, None,
        wallet.shanghai_date(walk.now) + timedelta(days=(1, 4, 30)[n // 2 % 3]),
        [{"voucher_type_id": voucher_type, "quota": 1, "alternates": 0}], [], "",
    ))
    await rounds.confirm_round(second, drafted["id"])
    await reservations.reserve(walk.buyer, drafted["id"], voucher_type)
    walk.world.clock.advance(minutes=1)


@move("world", lambda walk, seen: walk.rules.allocation == "approved_amount" and is_poor(walk, seen), weight=4, in_parts=True)
async def be_granted_an_amount(walk: Walk, _seen: Seen, n: int) -> None:
    """Applied for, the first time or once more, and granted in whole or in part."""
    programme, kind = walk.shop.programme.id, ApplicationKind.APPROVED_AMOUNT
    asked = (90_000, 200_000, 400_000)[n % 3]
    form = {"amount_fen": asked, "directions": [DIRECTION], "reason": "申请知识产权服务"}
    if await walk.world.value("SELECT count(*) FROM applications WHERE kind = $1", kind):
        application = await applications.amend(walk.buyer, kind, programme, form, {})
    else:
        await approved_amounts.save_application(walk.buyer, programme, form, {})
        application = await applications.submit(walk.buyer, kind, programme)
    case = await walk.world.value(
        "SELECT id FROM approvals WHERE subject = 'application' AND subject_id = $1 AND state = 'open'", application["id"]
    )
    await approved_amounts.approve_amount(
        walk.by(walk.people[Role.REVIEWER][n % 3]), case, amount_fen=asked - n % 2, directions=[DIRECTION], remark=None,
        valid_until=wallet.shanghai_date(walk.now) + timedelta(days=(0, 2, 10, 60)[n // 3 % 4]),
    )


@move("lots", lambda _walk, lot: lot["give_back_until"] is not None)
async def give_back(walk: Walk, lot: Any, _n: int) -> None:
    await wallet.give_back_lot(walk.buyer, lot["id"])


# --- an order, until it is paid --------------------------------------------------------------------------------------------


@move("world", lambda _walk, seen: sum(order["state"] != "closed" and unclaimed(order) for order in seen.orders) < 3, forward=True)
async def place(walk: Walk, _seen: Seen, _n: int) -> None:
    await orders.place_order(walk.buyer, walk.shop.product_id, walk.shop.programme.id, agreement_version=AGREEMENT_VERSION)


@move("orders", lambda walk, order: is_in("awaiting_price", *UNPAID)(walk, order) and walk.rules.pricing == "contract" and (
    order["state"] != "unpaid" or order["order_fen"] == order["list_price_fen"]
), forward=True, verb="settle_price")
async def settle_price(walk: Walk, order: Any, n: int) -> None:
    listed = order["list_price_fen"]
    await orders.settle_price(walk.seller, order["id"], (listed, listed * 2 // 3, 30_001, listed + 1)[(n % 7) // 2])


@move("orders", is_in(*UNPAID), weight=6, forward=True, verb="pay")
async def pay(walk: Walk, order: Any, n: int) -> None:
    """What the vouchers give, or a part of it, earliest expiry first."""
    usable = await walk.world.value("SELECT coalesce(sum(available_fen), 0)::bigint FROM lots WHERE expires_at > $1", walk.now)
    fen = min(usable, order["max_voucher_fen"])
    await orders.pay_verified(
        walk.buyer, order["id"], max(1, (fen, fen, fen // 2, fen // 3, 1, order["max_voucher_fen"])[n % 6]), (),
        await contract_of(walk, order),
    )


@move("orders", is_in(*UNPAID), verb="pay")
async def pay_picked(walk: Walk, order: Any, n: int) -> None:
    """From lots that the enterprise chose, the latest expiry first."""
    lots = await walk.world.owner.fetch("SELECT id, available_fen FROM lots WHERE available_fen > 0 ORDER BY expires_at DESC, id")
    spends, left = [], order["max_voucher_fen"]
    for lot in lots[:1 + n % 3]:
        if (fen := min(left, lot["available_fen"])) > 0:
            spends.append(wallet.Spend(lot["id"], fen))
            left -= fen
    fen = sum(spend.fen for spend in spends)
    await orders.pay_verified(walk.buyer, order["id"], max(fen, 1), spends, await contract_of(walk, order))


async def contract_of(walk: Walk, order: Any) -> GivenContract | None:
    if walk.rules.contract_upload == "none":
        return None
    return GivenContract(await walk.file("contract", walk.shop.buyer), order["order_fen"], wallet.shanghai_date(walk.now))


@move("cases", is_case("payment"), weight=5, forward=True)
async def approve_payment(walk: Walk, case: Any, n: int) -> None:
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.APPROVE)


@move("cases", is_case("payment", frozen=True), weight=2)
async def reject_payment(walk: Walk, case: Any, n: int) -> None:
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.REJECT, reason="合同缺少盖章")


@move("orders", is_in("awaiting_price", *UNPAID), verb="cancel")
async def cancel(walk: Walk, order: Any, _n: int) -> None:
    await orders.cancel_order(walk.buyer, order["id"])


# --- in service ------------------------------------------------------------------------------------------------------------


@move("orders", lambda walk, order: is_in("paid")(walk, order) and walk.rules.provider_accept, weight=2, forward=True, verb="accept")
async def accept(walk: Walk, order: Any, _n: int) -> None:
    await orders.accept_order(walk.seller, order["id"])


@move("orders", lambda walk, order: is_in("paid")(walk, order) and walk.rules.provider_accept and unclaimed(order), verb="decline")
async def decline(walk: Walk, order: Any, _n: int) -> None:
    await orders.decline_order(walk.seller, order["id"], "排期已满")


@move("orders", lambda walk, order: is_in("paid")(walk, order) and is_due(walk, order) and unclaimed(order), weight=2, verb="take_back")
async def take_back(walk: Walk, order: Any, _n: int) -> None:
    await orders.take_back_order(walk.buyer, order["id"])


@move("orders", lambda walk, order: is_in("accepted" if walk.rules.provider_accept else "paid")(walk, order), weight=2, forward=True,
      verb="deliver")
async def deliver(walk: Walk, order: Any, _n: int) -> None:
    await orders.deliver_order(walk.seller, order["id"], DELIVERED)


@move("orders", lambda walk, order: is_in("delivered")(walk, order) and walk.rules.completion == "buyer_confirm", weight=2, forward=True,
      verb="confirm")
async def confirm(walk: Walk, order: Any, _n: int) -> None:
    await orders.confirm_completion(walk.buyer, order["id"])


@move("orders", lambda walk, order: is_in("delivered")(walk, order) and walk.rules.completion == "buyer_confirm", weight=2,
      verb="send_back")
async def send_back(walk: Walk, order: Any, _n: int) -> str:
    sent = await orders.send_back(walk.buyer, order["id"], "缺少盖章")
    return "send back into a dispute" if sent["in_dispute"] else "send back to work"


@move("orders", lambda walk, order: is_in("accepted")(walk, order) and is_due(walk, order) and unclaimed(order), weight=8, verb="dispute")
async def dispute(walk: Walk, order: Any, _n: int) -> None:
    await orders.dispute_order(walk.buyer, order["id"], "逾期未交付")


@move("cases", is_case("dispute"), weight=2)
async def rule_on_a_dispute(walk: Walk, case: Any, n: int) -> str:
    paid = case["voucher_fen"] or 0
    fen = (0, paid, paid // 2, 1, paid + 1)[(n % 9) // 2]
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.APPROVE, reason=WHY, data={"returned_fen": fen})
    return f"ruling of {'nothing' if not fen else 'all' if fen == paid else 'a part'}"


def is_in_service(walk: Walk, order: Any) -> bool:
    return bool(is_in("accepted", "delivered" if walk.rules.provider_accept else "paid")(walk, order))


@move("orders", lambda walk, order: is_in_service(walk, order) and unclaimed(order) and order["termination_side"] is None,
      weight=3, verb="terminate")
async def propose_termination(walk: Walk, order: Any, n: int) -> None:
    fen = (order["voucher_fen"], max(order["voucher_fen"] // 2, 1), 1)[n // 2 % 3]
    await orders.propose_termination(walk.side(("enterprise", "institution")[n % 2]), order["id"], fen, "双方商定不再继续")


def is_answered(_walk: Walk, order: Any) -> bool:
    return order["termination_side"] is not None and is_free(order)


def other_side(walk: Walk, order: Any) -> Any:
    return walk.side("institution" if (order["termination_side"] or "enterprise") == "enterprise" else "enterprise")


@move("orders", is_answered, weight=3, verb="agree_termination")
async def agree_termination(walk: Walk, order: Any, _n: int) -> None:
    await orders.agree_termination(other_side(walk, order), order["id"], order["termination_fen"] or 1)


@move("orders", is_answered, weight=3, verb="refuse_termination")
async def refuse_termination(walk: Walk, order: Any, _n: int) -> None:
    await orders.refuse_termination(other_side(walk, order), order["id"], "继续履行")


@move("orders", is_answered, weight=3, verb="withdraw_termination")
async def withdraw_termination(walk: Walk, order: Any, _n: int) -> None:
    await orders.withdraw_termination(walk.side(order["termination_side"] or "enterprise"), order["id"])


@move("orders", is_in("completed"))
async def review(walk: Walk, order: Any, n: int) -> None:
    await reviews.review_order(walk.buyer, order["id"], (Grade.GOOD, Grade.BAD)[n % 2], "很好", 5, "")


@move("orders", lambda walk, order: is_in("completed")(walk, order) and walk.rules.mutual_review, verb="review_enterprise")
async def review_enterprise(walk: Walk, order: Any, _n: int) -> None:
    await reviews_mutual.review_enterprise(walk.seller, order["id"], Grade.GOOD, "配合及时")


# --- risk ------------------------------------------------------------------------------------------------------------------


@move("orders", lambda _walk, order: order["state"] not in ("closed", "awaiting_price", "unpaid") and order["frozen_at"] is None)
async def freeze(walk: Walk, order: Any, n: int) -> None:
    await risks.freeze_order(walk.official(Role.RISK_OFFICER, n), order["id"], WHY)


@move("freezes", weight=5)
async def lift(walk: Walk, freeze: Any, n: int) -> None:
    await risks.unfreeze_order(walk.official(Role.RISK_OFFICER, n, freeze["frozen_by_id"]), freeze["order_id"], WHY)


@move("freezes")
async def appeal_against_a_freeze(walk: Walk, freeze: Any, n: int) -> None:
    await appeals.file_appeal(walk.side(("enterprise", "institution")[n % 2]), Against.FREEZE, freeze["order_id"], "请复核", [])


# --- claims ----------------------------------------------------------------------------------------------------------------


async def papers_of(walk: Walk, order_fen: int, n: int) -> Papers:
    actual = (order_fen, order_fen, order_fen // 2, order_fen // 3, 1, order_fen + 1)[n % 6]
    walk.invoices += 1
    number = walk.invoices if n % 8 else max(walk.invoices - 6, 1)  # now and then one that may stand in another claim
    invoice = GivenInvoice("", f"{number:020d}", "甲", "乙", max(actual, 1), wallet.shanghai_date(walk.now),
                           await walk.file("invoice", walk.shop.seller))
    return Papers(max(actual, 1), "服务已完成", invoice, [await walk.file("evidence", walk.shop.seller)])


def is_earned(walk: Walk, order: Any) -> bool:
    if order["state"] == "closed":
        return order["paid_at"] is not None and order["returned_fen"] < order["voucher_fen"]
    early = walk.rules.claim is not None and walk.rules.claim.requires == "paid"
    return order["state"] in (("paid", "accepted", "delivered", "completed") if early else ("completed",))


@move("orders", lambda walk, order: walk.rules.claim is not None and unclaimed(order) and is_free(order) and is_earned(walk, order),
      weight=5, forward=True, verb="claim")
async def claim(walk: Walk, order: Any, n: int) -> None:
    await redemptions.claim_redemption(walk.seller, order["id"], await papers_of(walk, order["order_fen"], n))


@move("claims", lambda _walk, claim: claim["state"] == "in_review" and claim["prepared_by_id"] is None, weight=5, forward=True)
async def prepare_claim(walk: Walk, claim: Any, n: int) -> None:
    await redemptions.prepare_redemption(walk.official(Role.CENTRE_REVIEWER, n), claim["id"], "已核对")


@move("cases", lambda _walk, case: case["kind"] == "redemption" and case["prepared_by_id"] is not None, weight=5, forward=True)
async def approve_claim(walk: Walk, case: Any, n: int) -> None:
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.APPROVE)


@move("cases", is_case("redemption"))
async def return_claim(walk: Walk, case: Any, n: int) -> None:
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.RETURN, reason="发票抬头有误")


@move("cases", is_case("redemption"))
async def reject_claim(walk: Walk, case: Any, n: int) -> None:
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.REJECT, reason="材料不足")


@move("claims", lambda _walk, claim: claim["state"] == "returned" and is_free(claim), weight=2)
async def resubmit_claim(walk: Walk, claim: Any, n: int) -> None:
    await redemptions.resubmit_redemption(walk.seller, claim["id"], await papers_of(walk, claim["order_fen"], n))


# --- the bank --------------------------------------------------------------------------------------------------------------


@move("world", lambda _walk, seen: any(
    claim["state"] == "pre_redeemed" and is_free(claim) and claim["payable_fen"] for claim in seen.claims
), weight=5, forward=True)
async def draft_batch(walk: Walk, seen: Seen, n: int) -> None:
    chosen = [claim["id"] for claim in seen.claims][-1:] if n % 5 == 4 else None
    await redemptions.draft_batch(walk.official(Role.PAYOUT_OFFICER, n), walk.shop.programme.id, chosen)


@move("batches", lambda _walk, batch: batch["state"] == "draft", weight=5, forward=True)
async def confirm_batch(walk: Walk, batch: Any, n: int) -> None:
    await redemptions.confirm_batch(walk.official(Role.PAYOUT_OFFICER, n, batch["made_by_id"]), batch["id"])


@move("batches", lambda _walk, batch: batch["state"] == "draft", weight=3)
async def cancel_batch(walk: Walk, batch: Any, n: int) -> None:
    await redemptions.cancel_batch(walk.official(Role.PAYOUT_OFFICER, n), batch["id"])


@move("batches", lambda _walk, batch: batch["state"] == "confirmed")
async def take_the_bank_file(walk: Walk, batch: Any, n: int) -> None:
    await redemptions.bank_file(walk.official(Role.PAYOUT_OFFICER, n), batch["id"], "csv")


@move("lines", lambda _walk, line: line["batch"] == "confirmed", weight=5)
async def answer_a_line(walk: Walk, line: Any, n: int) -> str:
    paid = bool(n % 3)
    answer = Answer(line["id"], paid, "B1" if paid else "", "" if paid else "账号有误")
    await redemptions.answer_lines(walk.official(Role.PAYOUT_OFFICER, n), line["batch_id"], [answer])
    return "line paid" if paid else "line returned by the bank"


# --- appeals ---------------------------------------------------------------------------------------------------------------


@move("refused", weight=5)
async def appeal(walk: Walk, case: Any, _n: int) -> str:
    by, against = (walk.buyer, Against.PAYMENT) if case["kind"] == "payment" else (walk.seller, Against.REDEMPTION)
    await appeals.file_appeal(by, against, case["subject_id"], "材料齐全，请复核", [])
    return f"appeal about a {against.value}"


@move("cases", is_case("appeal"), weight=5)
async def overturn(walk: Walk, case: Any, n: int) -> str:
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.APPROVE, reason="理由成立")
    if case["kind"] != "appeal":
        return f"approve_{case['kind']}"
    kind, reopened = await walk.world.one("SELECT kind, reopened_id FROM appeals WHERE id = $1", case["subject_id"])
    return f"overturn a {kind}, {'reopened' if reopened else 'freeing' if kind == 'freeze' else 'too late'}"


@move("cases", is_case("appeal"))
async def uphold(walk: Walk, case: Any, n: int) -> None:
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.REJECT, reason="理由不成立")


@move("cases", is_case("appeal"))
async def ask_for_more(walk: Walk, case: Any, n: int) -> None:
    await approvals.decide(walk.reviewer(case, n), case["id"], Decision.RETURN, reason="请补充材料")


@move("appeals", lambda _walk, appeal: appeal["state"] == "returned", weight=2)
async def supplement(walk: Walk, appeal: Any, _n: int) -> None:
    by = walk.buyer if appeal["organisation_id"] == walk.shop.buyer.organisation_id else walk.seller
    await appeals.supplement_appeal(by, appeal["id"], "补充说明", [])


# --- time ------------------------------------------------------------------------------------------------------------------


@move("world")
async def wait(walk: Walk, _seen: Seen, n: int) -> None:
    walk.world.clock.advance(hours=(1, 3, 9, 24, 30, 73)[n % 6])


@move("deadlines", weight=2)
async def wait_until_the_instant(walk: Walk, end: Any, n: int) -> str:
    """Or to the one before it."""
    walk.world.clock.set(end - timedelta(microseconds=n % 2))
    return "wait until an instant before" if n % 2 else "wait until the instant"


@move("sweeps")
async def sweep(walk: Walk, entry: Any, _n: int) -> str:
    return f"sweep {entry.name}" if await until_nothing(walk, entry) else "sweep for nothing"


@move("world")
async def lead(walk: Walk, _seen: Seen, _n: int) -> None:
    """All that happens by itself, as the leader does it."""
    for entry in walk.sweeps:
        if await until_nothing(walk, entry):
            walk.done[f"sweep {entry.name}"] += 1


async def until_nothing(walk: Walk, entry: Any) -> int:
    found = 0
    for _ in range(20):
        done: int = await entry.sweep(walk.by())
        found += done
        if not done:
            return found
    raise AssertionError(f"{entry.name} finds something each time")
