"""Messages to people who have no account: to a mailbox or a phone number that somebody gave (D06, D08).

They go the way of every notice: an event in the commit of what it tells, opened into a delivery with a lease, retries and an end.
The address is sealed from the first moment, and forgotten a week after the delivery is over.
"""

import re
from collections.abc import Mapping
from datetime import timedelta

import orjson

from handlers.context import Context
from handlers.personal import normalise, seal
from handlers.transactions import Transaction, transaction
from models.notices import Channel

# RFC 5321 without quoted names and address literals: nobody reads mail there, and programs mistake them. 64 and 254 are its limits.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL = re.compile(rf"(?=.{{6,254}}\Z)(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])")
MOBILE_PATTERN = "1[3-9][0-9]{9}"  # of the mainland, as `normalise` spells it
MOBILE = re.compile(MOBILE_PATTERN)
KEPT = timedelta(days=7)  # long enough to answer "has it been sent?"

FORGET = """
UPDATE deliveries SET address = NULL, secrets = NULL WHERE id IN (
  SELECT id FROM deliveries WHERE address IS NOT NULL AND finished_at <= $1 ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
"""


def is_email(address: str) -> bool:
    return EMAIL.fullmatch(address) is not None


def is_mobile(number: str) -> bool:
    """A mobile number of the mainland, as `normalise` spells it: 13800138000."""
    return MOBILE.fullmatch(number) is not None


def tell_outside(
    tx: Transaction, kind: str, *, phone: str | None = None, email: str | None = None, subject: str, subject_id: int,
    secrets: Mapping[str, str] | None = None, **facts: object,
) -> None:
    """Send a message of this kind to a mainland mobile phone by SMS, to a mailbox, or to both, whoever reads them.

    Its text is in notice_texts.OUTSIDE or TEXTS, its SMS in bot/sms.py. `secrets` are facts that must
    not be readable in the database (a link with a token, a code): they are sealed, and put into the text when it is sent; a fact
    named `link` is what the mail's button opens. The caller has checked the addresses (`is_email`, `is_mobile`).
    """
    settings = tx.ctx.settings
    for channel, address in ((Channel.SMS, phone and normalise(phone)), (Channel.EMAIL, email and email.strip())):
        if not address:
            continue
        if not (is_email(address) if channel is Channel.EMAIL else is_mobile(address)):
            raise ValueError(f"not an address for {channel}")
        tx.announce_outside(
            kind, subject, subject_id, channel=channel, address=seal(settings, address),
            secrets=seal(settings, orjson.dumps(dict(secrets)).decode()) if secrets else None, data=facts,
        )


async def forget_addresses(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: take the addresses and secrets out of deliveries that have been over for a week. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - KEPT, limit)
