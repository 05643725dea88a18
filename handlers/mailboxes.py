"""The e-mail address of a person: asked for, proved with a code that was sent there, used for notices, removable at any time.

The code is six digits, kept as a keyed hash, ten minutes old at most, and five tries long. A try is spent before it is judged.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any, TypedDict

from handlers.accounts.consents import require_consent
from handlers.context import Context
from handlers.outside import is_email, tell_outside
from handlers.personal import blind_index, mailbox_index, mask_email, open_sealed, seal
from handlers.refusals import Kind, Refusal
from handlers.sessions import SessionEnded
from handlers.transactions import Transaction, row, transaction
from models.notices import DELIVERY_GRAPH, Channel, DeliveryState
from settings import Settings

CODE_MINUTES = 10
TRIES = 5
AGAIN = timedelta(seconds=60)
DAY = timedelta(hours=24)
# Nobody needs more, and nobody's mailbox may be filled through us, whoever asks.
CODES_PER_PERSON_MAX, CODES_PER_MAILBOX_MAX = 10, 5


class EmailOff(Refusal):
    kind, code, title = Kind.CONFLICT, "email_off", "平台未开通邮件通知"


class EmailWrong(Refusal):
    kind, code, title = Kind.INVALID, "email_wrong", "邮箱格式不正确"


class EmailCodeTooOften(Refusal):
    """`data.retry_after_seconds`"""

    kind, code, title = Kind.TOO_MANY, "email_code_too_often", "验证码发送过于频繁，请稍后再试"


class EmailCodeWrong(Refusal):
    """`data.tries_left`"""

    kind, code, title = Kind.FORBIDDEN, "email_code_wrong", "验证码错误"


class EmailCodeOver(Refusal):
    """Expired, used, tried too often, or never asked for: ask for a new one."""

    kind, code, title = Kind.CONFLICT, "email_code_over", "验证码已失效，请重新获取"


class MailboxView(TypedDict):
    """`email` is masked, null without one; `waiting_for` is where the last code went that may still be typed in."""

    email: str | None
    waiting_for: str | None
    expires_at: datetime | None
    is_available: bool


SENT = """
SELECT count(*) FILTER (WHERE person_id = $1) AS mine, count(*) FILTER (WHERE email_index = $2) AS there,
  max(sent_at) FILTER (WHERE person_id = $1) AS last_at,
  min(sent_at) FILTER (WHERE person_id = $1) AS my_first_at, min(sent_at) FILTER (WHERE email_index = $2) AS first_there_at
FROM email_codes WHERE (person_id = $1 OR email_index = $2) AND sent_at > $3
"""
# Two who ask for codes to one mailbox at once count each other.
LOCK_MAILBOX = "SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0))"
LOCK_PERSON = "SELECT * FROM persons WHERE id = $1 AND closed_at IS NULL FOR UPDATE"
NEW = """
INSERT INTO email_codes (person_id, email, email_index, code_hash, tries_left, sent_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING *
"""
NEWEST = "SELECT * FROM email_codes WHERE person_id = $1 ORDER BY sent_at DESC, id DESC LIMIT 1"
SPEND = """
UPDATE email_codes SET tries_left = tries_left - 1
WHERE id = (SELECT id FROM email_codes WHERE person_id = $1 ORDER BY sent_at DESC, id DESC LIMIT 1)
  AND tries_left > 0 AND used_at IS NULL AND expires_at > $2
RETURNING *
"""
USE = "UPDATE email_codes SET used_at = $2 WHERE id = $1 AND used_at IS NULL RETURNING *"
SET = "UPDATE persons SET email = $2, email_index = $3 WHERE id = $1"
# The mails beside the chain carry a copy of the address; those of the chain look it up when they are sent, and find none.
DROP = """
UPDATE deliveries d SET state = 'superseded', finished_at = $2 FROM notices n
WHERE n.id = d.notice_id AND n.person_id = $1 AND d.channel = 'email' AND d.state IN ('planned', 'held')
"""
for _from in (DeliveryState.PLANNED, DeliveryState.HELD):
    DELIVERY_GRAPH.event(_from, DeliveryState.SUPERSEDED)  # what DROP walks
FORGET = "DELETE FROM email_codes WHERE id IN (SELECT id FROM email_codes WHERE sent_at <= $1 ORDER BY sent_at LIMIT $2)"


async def show_mailbox(ctx: Context) -> MailboxView:
    person = await row("SELECT email FROM persons WHERE id = $1", ctx.person_id)
    return view(ctx, person.email, await row(NEWEST, ctx.person_id))


async def ask_for_code(ctx: Context, email: str) -> MailboxView:
    """Send a code to a mailbox that is to become the person's; until it is typed in, nothing changes.

    Raises EmailOff, EmailWrong, ConsentNeeded, EmailCodeTooOften.
    """
    email = email.strip()
    if Channel.EMAIL not in ctx.ports.senders:
        raise EmailOff
    if not is_email(email):
        raise EmailWrong
    index, code = mailbox_index(ctx.settings, email), f"{secrets.randbelow(10**6):06d}"
    async with transaction(ctx) as tx:
        await require_consent(tx)
        person = await _lock_me(tx)
        await tx.run(LOCK_MAILBOX, index)
        _refuse_too_often(ctx, await tx.row(SENT, ctx.person_id, index, ctx.now - DAY))
        made = await tx.row(
            NEW, ctx.person_id, seal(ctx.settings, email), index, _hash(ctx.settings, ctx.person_id, code), TRIES, ctx.now,
            ctx.now + timedelta(minutes=CODE_MINUTES),
        )
        tell_outside(
            tx, "email_code", email=email, subject="person", subject_id=ctx.person_id, secrets={"code": code}, minutes=CODE_MINUTES,
        )
        tx.record("mailbox.asked", "person", ctx.person_id)
        return tx.reply(view(ctx, person.email, made))


async def confirm_mailbox(ctx: Context, code: str) -> MailboxView:
    """Type in the newest code. Raises EmailCodeOver, EmailCodeWrong; a wrong try is counted although it is refused."""
    tried = await spend_a_try(ctx)
    if tried is None:
        raise EmailCodeOver
    if not hmac.compare_digest(tried.code_hash, _hash(ctx.settings, ctx.person_id, code)):
        raise EmailCodeWrong(tries_left=tried.tries_left)
    async with transaction(ctx) as tx:
        await _lock_me(tx)
        used = await tx.row(USE, tried.id, ctx.now)
        if used is None:  # typed in twice at the same moment
            raise EmailCodeOver
        await tx.run(SET, ctx.person_id, used.email, used.email_index)
        tx.record("mailbox.confirmed", "person", ctx.person_id)
        return tx.reply(view(ctx, used.email, used))


async def spend_a_try(ctx: Context) -> Any:
    """In its own transaction, before the code is looked at: forty guesses at once still share the five."""
    async with transaction(ctx) as tx:
        return await tx.row(SPEND, ctx.person_id, ctx.now)


async def remove_mailbox(ctx: Context) -> MailboxView:
    """No more mails, also of those that wait. Again is no error."""
    async with transaction(ctx) as tx:
        person = await _lock_me(tx)
        if person.email is not None:
            await tx.run(SET, ctx.person_id, None, None)
            await tx.run(DROP, ctx.person_id, ctx.now)
            tx.record("mailbox.removed", "person", ctx.person_id)
        await tx.run("UPDATE email_codes SET expires_at = $2 WHERE person_id = $1 AND expires_at > $2", ctx.person_id, ctx.now)
        return tx.reply(view(ctx, None, None))


async def forget_codes(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: codes of a day ago count for nothing any more. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - DAY, limit)


async def _lock_me(tx: Transaction) -> Any:
    """Raises SessionEnded for who closes the account in the same moment (handlers/closures.py)."""
    person = await tx.row(LOCK_PERSON, tx.ctx.person_id)
    if person is None:
        raise SessionEnded
    return person


def _refuse_too_often(ctx: Context, sent: Any) -> None:
    waits = [timedelta()]
    if sent.last_at is not None:
        waits.append(sent.last_at + AGAIN - ctx.now)
    if sent.mine >= CODES_PER_PERSON_MAX:
        waits.append(sent.my_first_at + DAY - ctx.now)
    if sent.there >= CODES_PER_MAILBOX_MAX:
        waits.append(sent.first_there_at + DAY - ctx.now)
    if (longest := max(waits)) > timedelta():
        raise EmailCodeTooOften(retry_after_seconds=-int(-longest.total_seconds() // 1))


def _hash(settings: Settings, person_id: int, code: str) -> bytes:
    """Keyed, since a million digests of six digits are made in a second; a code is one person's."""
    return blind_index(settings, f"email code {person_id} {code}")


def view(ctx: Context, email: bytes | None, code: Any) -> MailboxView:
    waits = code is not None and code.used_at is None and code.expires_at > ctx.now and code.tries_left > 0
    return {
        "email": mask_email(open_sealed(ctx.settings, email)) if email else None,
        "waiting_for": mask_email(open_sealed(ctx.settings, code.email)) if waits else None,
        "expires_at": code.expires_at if waits else None,
        "is_available": Channel.EMAIL in ctx.ports.senders,
    }
