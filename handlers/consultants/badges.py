"""工牌: a signed code that changes every thirty seconds and is believed for sixty, so that a photograph of it is worth nothing.

token = base64url( slot (4 bytes) | consultant's id (6 bytes) | HMAC (12 bytes) ), 30 characters
"""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypedDict

from handlers.consultants.views import SpecialityView, specialities_of
from handlers.context import Context
from handlers.refusals import NotFound
from handlers.signatures import is_signature, signature
from handlers.transactions import row
from models.consultants import ConsultantState

TURN_SECONDS, VALID_SECONDS = 30, 60
PURPOSE, MAC_BYTES = "badge", 12
HOLDER = """
SELECT c.id, c.display_name, c.title, c.specialities, c.state, o.name AS institution_name,
  o.certified_at IS NOT NULL AND o.suspended_at IS NULL AS is_open
FROM consultants c JOIN organisations o ON o.id = c.institution_id
"""


class Standing(StrEnum):
    VALID = "valid"      # represents the institution now
    ENDED = "ended"      # does not, or not any more
    EXPIRED = "expired"  # an older picture: ask for the one on the phone


class BadgeView(TypedDict):
    """`url` goes into the QR code; ask again at `next_at`. `valid_until` is the last moment at which it is believed."""

    token: str
    url: str
    next_at: datetime
    valid_until: datetime
    display_name: str
    institution_name: str


class BadgeStandingView(TypedDict):
    """What anybody sees who scans it: nothing that is not public. Title and specialities only of a valid one."""

    standing: Standing
    display_name: str
    institution_name: str
    title: str
    specialities: list[SpecialityView]
    checked_at: datetime


async def show_badge(ctx: Context) -> BadgeView:
    """The own badge at this moment. Raises NotFound when the consultancy has ended in this instant."""
    found = await row(f"{HOLDER} WHERE c.membership_id = $1", ctx.membership_id)
    if found is None:
        raise NotFound
    slot = int(ctx.now.timestamp()) // TURN_SECONDS
    begins = datetime.fromtimestamp(slot * TURN_SECONDS, UTC)
    head = slot.to_bytes(4, "big") + found.id.to_bytes(6, "big")
    token = base64.urlsafe_b64encode(head + signature(ctx.settings, PURPOSE, head, MAC_BYTES)).rstrip(b"=").decode()
    return {
        "token": token, "url": f"{ctx.settings.public_url.rstrip('/')}/b/{token}", "next_at": begins + timedelta(seconds=TURN_SECONDS),
        "valid_until": begins + timedelta(seconds=VALID_SECONDS), "display_name": found.display_name,
        "institution_name": found.institution_name,
    }


async def check_badge(ctx: Context, token: str) -> BadgeStandingView:
    """Raises NotFound for whatever we did not sign."""
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise NotFound from None
    head, mac = raw[:10], raw[10:]
    if len(mac) != MAC_BYTES or not is_signature(ctx.settings, PURPOSE, head, mac):
        raise NotFound
    found = await row(f"{HOLDER} WHERE c.id = $1", int.from_bytes(head[4:], "big"))
    if found is None:
        raise NotFound
    begins = datetime.fromtimestamp(int.from_bytes(head[:4], "big") * TURN_SECONDS, UTC)
    fresh = begins <= ctx.now < begins + timedelta(seconds=VALID_SECONDS)
    active = found.state == ConsultantState.ACTIVE and found.is_open
    standing = Standing.ENDED if not active else Standing.VALID if fresh else Standing.EXPIRED
    shown = standing is Standing.VALID
    return {
        "standing": standing, "display_name": found.display_name, "institution_name": found.institution_name,
        "title": found.title if shown else "", "specialities": specialities_of(found.specialities) if shown else [],
        "checked_at": ctx.now,
    }
