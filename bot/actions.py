"""What a button of an approval card says back: a decision on one state of one case, for a day, that nobody else can have written."""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta

from handlers.approvals import Decision
from handlers.context import Context

LIVES = timedelta(days=1)  # a card of yesterday is shown anew before it decides anything
FORM = struct.Struct(">QBIQ6s")
MAC_BYTES = 12
DECISIONS = (Decision.APPROVE, Decision.RETURN, Decision.REJECT)


@dataclass(frozen=True, slots=True)
class Action:
    """`version`: handlers.chat_approvals.version_of what was shown; `membership_id`: to whom."""

    approval_id: int
    decision: Decision
    membership_id: int
    version: str
    expires_at: int


def _mac(ctx: Context, told: bytes) -> bytes:
    key = hmac.digest(ctx.settings.blind_index_key.get_secret_value().encode(), b"qifuquan/bot/action", hashlib.sha256)
    return hmac.digest(key, told, hashlib.sha256)[:MAC_BYTES]


def mint(ctx: Context, approval_id: int, decision: Decision, version: str) -> str:
    """For the acting reviewer: 52 characters of the URL alphabet."""
    told = FORM.pack(
        approval_id, DECISIONS.index(decision), int((ctx.now + LIVES).timestamp()), ctx.membership_id, bytes.fromhex(version)
    )
    return base64.urlsafe_b64encode(told + _mac(ctx, told)).rstrip(b"=").decode()


def read(ctx: Context, token: str) -> Action | None:
    """What we wrote, or None."""
    try:
        blob = base64.urlsafe_b64decode(token.encode("ascii") + b"==")
    except (ValueError, binascii.Error):
        return None
    told, mac = blob[:FORM.size], blob[FORM.size:]
    if len(told) != FORM.size or not hmac.compare_digest(mac, _mac(ctx, told)):
        return None
    approval_id, place, expires_at, membership_id, version = FORM.unpack(told)
    return Action(approval_id, DECISIONS[place], membership_id, version.hex(), expires_at)


def is_over(action: Action, now: datetime) -> bool:
    return now.timestamp() >= action.expires_at
