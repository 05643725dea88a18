"""The payment password of a member (E20, F09): set, change, reset, and the five tries.

A try is spent by one conditional UPDATE before the password is evaluated, so three hundred parallel guesses share the
same five; a right password gives all tries back, so parallel correct payments only wait for each other.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypedDict, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from handlers.accounts.people import asking_platform, login_of
from handlers.context import Context
from handlers.personal import blind_index, normalise
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, transaction
from settings import Settings

TRIES = 5
LOCK = timedelta(minutes=30)
COOL_DOWN_AFTER_RESET = timedelta(hours=24)  # a stolen phone can reset, but not pay before its owner has noticed
PHONE_SETTLES = timedelta(hours=24)  # ... nor reset with a number that was changed before its owner has noticed
LOST_TRY = timedelta(seconds=30)  # a process died between spending a try and evaluating it
WAIT_ROUNDS, WAIT_SECONDS = 40, 0.05  # how long a payment waits while five others are being evaluated

Answer = TypeVar("Answer")

# argon2 releases the GIL: two threads, so that hashing never takes more than the second core from the event loop.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="payment-password")


class PaymentPasswordMissing(Refusal):
    kind, code, title = Kind.CONFLICT, "payment_password_missing", "尚未设置支付密码"


class PaymentPasswordExists(Refusal):
    kind, code, title = Kind.CONFLICT, "payment_password_exists", "支付密码已设置，请使用修改功能"


class PaymentPasswordWeak(Refusal):
    kind, code, title = Kind.INVALID, "payment_password_weak", "支付密码过于简单，请勿使用连续、重复数字或生日"


class WrongPaymentPassword(Refusal):
    kind, code, title = Kind.FORBIDDEN, "wrong_payment_password", "支付密码错误"


class PaymentPasswordLocked(Refusal):
    kind, code, title = Kind.TOO_MANY, "payment_password_locked", "支付密码输错次数过多，已锁定30分钟"


class PaymentPasswordBusy(Refusal):
    kind, code, title = Kind.TOO_MANY, "payment_password_busy", "正在验证其他支付，请稍后再试"


class PaymentPasswordCoolingDown(Refusal):
    kind, code, title = Kind.CONFLICT, "payment_password_cooling_down", "支付密码刚刚重置，24小时后方可用于支付"


class PhoneNotYours(Refusal):
    kind, code, title = Kind.FORBIDDEN, "phone_not_yours", "该手机号不是您已绑定的手机号"


class PhoneJustChanged(Refusal):
    """`data.possible_from`"""

    kind, code, title = Kind.CONFLICT, "phone_just_changed", "手机号更换未满24小时，暂不能重置支付密码"


class PaymentPasswordView(TypedDict):
    is_set: bool
    usable_at: datetime | None
    locked_until: datetime | None


async def payment_password_of(ctx: Context) -> PaymentPasswordView:
    found = await row("SELECT usable_at, locked_until FROM payment_passwords WHERE membership_id = $1", ctx.membership_id)
    locked = found.locked_until if found and found.locked_until and found.locked_until > ctx.now else None
    return {"is_set": found is not None, "usable_at": found and found.usable_at, "locked_until": locked}


async def set_payment_password(ctx: Context, password: str) -> PaymentPasswordView:
    """Set the first one. Raises PaymentPasswordExists, PaymentPasswordWeak."""
    digest = await _hash_new(ctx.settings, password)
    async with transaction(ctx) as tx:
        made = await tx.run(
            "INSERT INTO payment_passwords (membership_id, hash, usable_at, set_at, tries_spent) VALUES ($1, $2, $3, $3, 0)"
            " ON CONFLICT (membership_id) DO NOTHING",
            ctx.membership_id, digest, ctx.now,
        )
        if not made:
            raise PaymentPasswordExists
        return _stored(ctx, tx, "payment_password.set", ctx.now)


async def change_payment_password(ctx: Context, old: str, new: str) -> PaymentPasswordView:
    """Change it by knowing it: usable at once. Raises like `verify`, PaymentPasswordWeak."""
    digest = await _hash_new(ctx.settings, new)
    await verify(ctx, old)
    async with transaction(ctx) as tx:
        await tx.run(
            "UPDATE payment_passwords SET hash = $2, set_at = $3 WHERE membership_id = $1", ctx.membership_id, digest, ctx.now
        )
        return _stored(ctx, tx, "payment_password.changed", ctx.now)


async def reset_payment_password(ctx: Context, code: str, new: str) -> PaymentPasswordView:
    """Reset it without knowing it, by proving to hold the bound phone; usable for payments only 24 hours later (F09).

    `code` is the platform's own phone code, exchanged here.
    The person hears of it on every channel. Raises LoginCodeRefused, PlatformUnavailable, PhoneNotYours, PhoneJustChanged,
    PaymentPasswordWeak.
    """
    digest = await _hash_new(ctx.settings, new)
    await _prove_phone(ctx, code)
    usable_at = ctx.now + COOL_DOWN_AFTER_RESET
    async with transaction(ctx) as tx:
        await tx.run(
            "INSERT INTO payment_passwords (membership_id, hash, usable_at, set_at, tries_spent) VALUES ($1, $2, $3, $4, 0)"
            " ON CONFLICT (membership_id) DO UPDATE SET hash = $2, usable_at = $3, set_at = $4, tries_spent = 0,"
            " locked_until = NULL, last_try_at = NULL",
            ctx.membership_id, digest, usable_at, ctx.now,
        )
        tx.announce("security_changed", "person", ctx.person_id, person_id=ctx.person_id, security="password_reset")
        return _stored(ctx, tx, "payment_password.reset", usable_at)


PHONE = """
SELECT i.platform, i.open_id, p.phone_index, (
    SELECT max(at) FROM audit_entries a WHERE a.subject = 'person' AND a.subject_id = p.id AND a.action = 'person.phone_changed'
  ) AS changed_at
FROM identities i JOIN persons p ON p.id = i.person_id WHERE i.id = $1
"""


async def _prove_phone(ctx: Context, code: str) -> None:
    """The platform vouches that the phone in hand has the number that is bound to the person. No transaction around it."""
    found = await row(PHONE, ctx.actor.identity_id)
    with asking_platform():
        phone = normalise(await login_of(ctx, found.platform).phone(code, found.open_id))
    if found.phone_index is None or not hmac.compare_digest(found.phone_index, blind_index(ctx.settings, phone)):
        raise PhoneNotYours
    if found.changed_at is not None and ctx.now < (possible_from := found.changed_at + PHONE_SETTLES):
        raise PhoneJustChanged(possible_from=possible_from)


async def verify(ctx: Context, password: str) -> None:
    """Return if it is right. It commits its own count: a wrong guess must be counted although nothing is paid.

    Raises PaymentPasswordMissing, PaymentPasswordLocked, PaymentPasswordCoolingDown, PaymentPasswordBusy,
    WrongPaymentPassword(attempts_left).
    """
    stored = await _spend_a_try(ctx)
    if await _matches(ctx.settings, stored.hash, password):
        async with transaction(ctx) as tx:
            await tx.run(
                "UPDATE payment_passwords SET tries_spent = 0, locked_until = NULL WHERE membership_id = $1", ctx.membership_id
            )
        return
    left = TRIES - stored.tries_spent
    async with transaction(ctx) as tx:
        if left == 0:
            await tx.run(
                "UPDATE payment_passwords SET locked_until = $2 WHERE membership_id = $1 AND tries_spent = $3",
                ctx.membership_id, ctx.now + LOCK, TRIES,
            )
            tx.record("payment_password.locked", "membership", ctx.membership_id)
    raise WrongPaymentPassword(attempts_left=left)


SPEND = """
UPDATE payment_passwords SET
  tries_spent = CASE WHEN locked_until <= $2 THEN 1 ELSE tries_spent + 1 END,
  locked_until = CASE WHEN locked_until <= $2 THEN NULL ELSE locked_until END,
  last_try_at = $2
WHERE membership_id = $1 AND usable_at <= $2
  AND (tries_spent < $3 AND locked_until IS NULL OR locked_until <= $2)
RETURNING hash, tries_spent
"""


async def _spend_a_try(ctx: Context) -> Any:
    """One of the five, or a refusal; waits while others, who may be right and give theirs back, hold them all."""
    for _ in range(WAIT_ROUNDS):
        async with transaction(ctx) as tx:
            if spent := await tx.row(SPEND, ctx.membership_id, ctx.now, TRIES):
                return spent
            await _refuse_unless_waiting_helps(ctx, tx)
        await asyncio.sleep(WAIT_SECONDS)
    raise PaymentPasswordBusy(retry_after_seconds=2)


async def _refuse_unless_waiting_helps(ctx: Context, tx: Transaction) -> None:
    found = await tx.row(
        "SELECT usable_at, locked_until, last_try_at FROM payment_passwords WHERE membership_id = $1", ctx.membership_id
    )
    if found is None:
        raise PaymentPasswordMissing
    if found.usable_at > ctx.now:
        raise PaymentPasswordCoolingDown(usable_at=found.usable_at)
    locked_until = found.locked_until
    if locked_until is None and found.last_try_at and found.last_try_at + LOST_TRY <= ctx.now:
        locked_until = found.last_try_at + LOCK  # all five spent and nobody came back to say how the last one ended
        await tx.run(
            "UPDATE payment_passwords SET locked_until = $2 WHERE membership_id = $1 AND locked_until IS NULL AND tries_spent = $3",
            ctx.membership_id, locked_until, TRIES,
        )
    if locked_until is not None and locked_until > ctx.now:
        raise PaymentPasswordLocked(
            locked_until=locked_until, retry_after_seconds=int((locked_until - ctx.now).total_seconds()) + 1
        )


def _stored(ctx: Context, tx: Transaction, action: str, usable_at: datetime) -> PaymentPasswordView:
    tx.record(action, "membership", ctx.membership_id)
    stored: PaymentPasswordView = {"is_set": True, "usable_at": usable_at, "locked_until": None}
    return tx.reply(stored)


def is_weak(password: str) -> bool:
    """Six equal or running digits, pairs and triples repeated, or a date like 900101 (F09)."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(password)}
    repeated = password in (password[:2] * 3, password[:3] * 2)
    is_date = 1 <= int(password[2:4]) <= 12 and 1 <= int(password[4:6]) <= 31
    return (len(steps) == 1 and steps <= {0, 1, 9}) or repeated or is_date


def _hasher(settings: Settings) -> PasswordHasher:
    return PasswordHasher(
        time_cost=settings.payment_hash_passes, memory_cost=settings.payment_hash_memory_kib, parallelism=1, hash_len=32, salt_len=16
    )


def _peppered(settings: Settings, password: str) -> bytes:
    """A million six-digit numbers are hashed in hours; without the server's pepper a stolen table is worth nothing."""
    return hmac.digest(settings.payment_pepper.get_secret_value().encode(), password.encode(), hashlib.sha256)


async def _hash_new(settings: Settings, password: str) -> str:
    if is_weak(password):
        raise PaymentPasswordWeak
    return await _off_loop(_hasher(settings).hash, _peppered(settings, password))


async def _matches(settings: Settings, stored: str, password: str) -> bool:
    try:
        await _off_loop(_hasher(settings).verify, stored, _peppered(settings, password))
    except VerifyMismatchError:
        return False
    return True


async def _off_loop(function: Callable[..., Answer], *args: object) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(_threads, function, *args)
