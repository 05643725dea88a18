"""The payment password: five tries, whoever hurries (E20, F09)."""

import asyncio
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from handlers import payment_passwords as passwords
from handlers.payment_passwords import is_weak
from handlers.personal import blind_index
from handlers.refusals import Refusal
from handlers.signatures import key_of_what_is_asked
from tests.shop import PASSWORD, Shop, open_shop
from tests.world import World

WRONG = "918273"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def bind(shop: Shop, phone: str) -> None:
    index = blind_index(shop.world.settings, phone)
    await shop.world.owner.execute("UPDATE persons SET phone_index = $2 WHERE id = $1", shop.buyer.person_id, index)


async def test_a_member_sets_the_first_password_and_only_its_hash_is_kept(shop):
    status, body = await shop.world.post("/payment-password", {"password": PASSWORD}, by=shop.buyer)
    assert (status, body["is_set"]) == (200, True)
    stored = await shop.world.value("SELECT hash FROM payment_passwords")
    assert stored.startswith("$argon2id$") and PASSWORD not in stored


async def test_what_is_kept_for_a_retry_is_no_way_to_a_password(shop):
    """Six digits under a plain hash are read in a second: of every body that has some, only a keyed digest is kept."""
    order_id = await shop.paid()
    await bind(shop, "13800138000")
    changed, reset = {"old": PASSWORD, "new": "385017"}, {"phone_code": f"phone-13800138000@{shop.buyer.open_id}", "new": "385017"}
    assert (await shop.world.put("/payment-password", changed, by=shop.buyer))[0] == 200
    assert (await shop.world.put("/payment-password/reset", reset, by=shop.buyer))[0] == 200
    asked = {
        "POST /api/v1/payment-password": {"password": PASSWORD}, "PUT /api/v1/payment-password": changed,
        "PUT /api/v1/payment-password/reset": reset,
        f"POST /api/v1/orders/{order_id}/payment": {"voucher_fen": 200_000, "password": PASSWORD},
    }
    kept = {bytes(one["body_hash"]) for one in await shop.world.owner.fetch("SELECT body_hash FROM idempotency_keys")}
    bodies = {f"{head}\n{json.dumps(body)}".encode() for head, body in asked.items()}
    assert not kept & {hashlib.sha256(body).digest() for body in bodies}
    # These are the very bytes: under the server's key they are what is kept.
    key = key_of_what_is_asked(shop.world.settings)
    assert {hmac.digest(key, body, hashlib.sha256) for body in bodies} <= kept


async def test_a_second_first_password_is_refused_and_the_old_one_stays(shop):
    await shop.password()
    before = await shop.world.snapshot("payment_passwords")
    status, body = await shop.world.post("/payment-password", {"password": "385017"}, by=shop.buyer)
    assert (status, body["code"]) == (409, "payment_password_exists")
    assert await shop.world.snapshot("payment_passwords") == before


@pytest.mark.parametrize("weak", ["123456", "654321", "111111", "121212", "123123", "900131", "890123"])
async def test_a_weak_password_is_refused(shop, weak):
    status, body = await shop.world.post("/payment-password", {"password": weak}, by=shop.buyer)
    assert (status, body["code"]) == (422, "payment_password_weak")
    assert await shop.world.value("SELECT count(*) FROM payment_passwords") == 0


def test_an_ordinary_password_is_not_weak():
    assert not is_weak(PASSWORD)


@pytest.mark.parametrize("shape", ["12345", "1234567", "12345a", "１２３４５６", "", 123456])
async def test_a_password_is_six_ascii_digits_and_never_echoed(shop, shape):
    status, body = await shop.world.post("/payment-password", {"password": shape}, by=shop.buyer)
    assert (status, body["code"]) == (422, "invalid_input")
    assert str(shape) == "" or str(shape) not in str(body)


async def test_changing_needs_the_old_password(shop):
    await shop.password()
    status, body = await shop.world.put("/payment-password", {"old": WRONG, "new": "385017"}, by=shop.buyer)
    assert (status, body["code"], body["data"]["attempts_left"]) == (403, "wrong_payment_password", 4)
    status, _ = await shop.world.put("/payment-password", {"old": PASSWORD, "new": "385017"}, by=shop.buyer)
    assert status == 200
    await passwords.verify(shop.world.context(shop.buyer), "385017")


async def test_five_wrong_tries_lock_for_thirty_minutes_to_the_instant(shop):
    await shop.password()
    world, left = shop.world, []
    for _ in range(5):
        with pytest.raises(passwords.WrongPaymentPassword) as refusal:
            await passwords.verify(world.context(shop.buyer), WRONG)
        left.append(refusal.value.data["attempts_left"])
    assert left == [4, 3, 2, 1, 0]
    with pytest.raises(passwords.PaymentPasswordLocked):
        await passwords.verify(world.context(shop.buyer), PASSWORD)
    world.clock.advance(minutes=30, microseconds=-1)
    with pytest.raises(passwords.PaymentPasswordLocked):
        await passwords.verify(world.context(shop.buyer), PASSWORD)
    world.clock.advance(microseconds=1)
    await passwords.verify(world.context(shop.buyer), PASSWORD)
    assert await world.value("SELECT tries_spent FROM payment_passwords") == 0


async def test_after_the_lock_there_are_five_tries_again(shop):
    await shop.password()
    for _ in range(5):
        with pytest.raises(passwords.WrongPaymentPassword):
            await passwords.verify(shop.world.context(shop.buyer), WRONG)
    shop.world.clock.advance(minutes=30)
    with pytest.raises(passwords.WrongPaymentPassword) as refusal:
        await passwords.verify(shop.world.context(shop.buyer), WRONG)
    assert refusal.value.data["attempts_left"] == 4


async def guess(shop: Shop, count: int, password: str) -> list[str]:
    async def one() -> str:
        try:
            await passwords.verify(shop.world.context(shop.buyer), password)
        except Refusal as refusal:
            return refusal.code
        return "right"

    return await asyncio.gather(*(one() for _ in range(count)))


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that was really compared with the hash."""
    seen: list[str] = []
    original = passwords._matches

    async def watched(settings, stored, password):
        seen.append(password)
        return await original(settings, stored, password)

    monkeypatch.setattr(passwords, "_matches", watched)
    return seen


async def test_of_three_hundred_parallel_guesses_five_are_evaluated(shop, evaluations):
    await shop.password()
    answers = await guess(shop, 300, WRONG)
    assert len(evaluations) == 5
    assert answers.count("wrong_payment_password") == 5 and answers.count("right") == 0


async def test_without_the_conditional_update_more_than_five_guesses_are_evaluated(shop, evaluations, monkeypatch):
    await shop.password()
    monkeypatch.setattr(passwords, "SPEND", "SELECT hash, 1 AS tries_spent FROM payment_passwords WHERE membership_id = $1"
                                            " AND $2::timestamptz IS NOT NULL AND $3::int IS NOT NULL")
    await guess(shop, 30, WRONG)
    assert len(evaluations) > 5


async def test_twelve_parallel_correct_passwords_are_all_right(shop):
    await shop.password()
    assert await guess(shop, 12, PASSWORD) == ["right"] * 12


async def test_a_try_that_nobody_came_back_from_counts_as_wrong(shop):
    await shop.password()
    await shop.world.owner.execute("UPDATE payment_passwords SET tries_spent = 5, last_try_at = $1", shop.world.clock.now())
    shop.world.clock.advance(seconds=31)
    with pytest.raises(passwords.PaymentPasswordLocked) as refusal:
        await passwords.verify(shop.world.context(shop.buyer), PASSWORD)
    assert refusal.value.data["locked_until"] == shop.world.clock.now() - timedelta(seconds=31) + timedelta(minutes=30)


async def test_who_has_none_is_told_so(shop):
    order_id = await shop.order()
    status, body = await shop.pay(order_id)
    assert (status, body["code"]) == (409, "payment_password_missing")


async def test_a_reset_by_the_bound_phone_can_pay_only_a_day_later(shop):
    await shop.password()
    await bind(shop, "13800138000")
    wrong_phone = {"phone_code": f"phone-13900139000@{shop.buyer.open_id}", "new": "385017"}
    status, body = await shop.world.put("/payment-password/reset", wrong_phone, by=shop.buyer)
    assert (status, body["code"]) == (403, "phone_not_yours")
    right_phone = {"phone_code": f"phone-13800138000@{shop.buyer.open_id}", "new": "385017"}
    status, body = await shop.world.put("/payment-password/reset", right_phone, by=shop.buyer)
    assert status == 200, body
    with pytest.raises(passwords.PaymentPasswordCoolingDown):
        await passwords.verify(shop.world.context(shop.buyer), "385017")
    shop.world.clock.advance(hours=24)
    await passwords.verify(shop.world.context(shop.buyer), "385017")


async def test_two_members_of_one_enterprise_have_passwords_of_their_own(shop):
    from models.accounts import Role

    finance = await shop.world.member(shop.buyer.organisation_id, Role.FINANCE)
    await shop.password()
    with pytest.raises(passwords.PaymentPasswordMissing):
        await passwords.verify(shop.world.context(finance), PASSWORD)
