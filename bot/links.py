"""Where a message leads, QR codes of links, and what may stand in a mini-program code."""

import io
import re
import secrets
from collections.abc import Mapping
from typing import Any

import qrcode
from qrcode.image.svg import SvgPathImage

# Pages of the mini-program, without a leading slash: with one it is another page to WeChat (41030).
PAGES: Mapping[str, str] = {
    "approval_result": "pages/applications/show",
    "reservation_received": "pages/reservations/show",
    "draw_result": "pages/reservations/show",
    "voucher_issued": "pages/wallet/index",
    "voucher_expiring": "pages/wallet/index",
    "order_placed": "pages/orders/show",
    "price_requested": "pages/orders/show",
    "price_confirmed": "pages/orders/show",
    "payment_approved": "pages/orders/show",
    "payment_rejected": "pages/orders/show",
    "order_paid": "pages/orders/show",
    "order_accepted": "pages/orders/show",
    "order_declined": "pages/orders/show",
    "order_delivered": "pages/orders/show",
    "order_sent_back": "pages/orders/show",
    "order_completed": "pages/orders/show",
    "order_closed": "pages/orders/show",
    "order_frozen": "pages/orders/show",
    "risk_proposed": "pages/risks/show",
    "appeal_result": "pages/appeals/show",
    "redemption_result": "pages/redemptions/show",
    "payout_result": "pages/redemptions/show",
    "review_reminder": "pages/orders/review",
    "system_review_made": "pages/orders/review",
    "application_received": "pages/approvals/show",
    "approval_waiting": "pages/approvals/show",
    "institution_standing": "pages/index/index",
    "bot_answer": "pages/index/index",
}
HOME = "pages/index/index"
PUBLISHED_PAGES = frozenset({HOME, *PAGES.values()})
# "可见字符" of getwxacodeunlimit; `%` is not among them, so a scene cannot be percent-encoded.
SCENE = re.compile(r"[A-Za-z0-9!#$&'()*+,/:;=?@\-._~]{1,32}")
SCENE_RESERVED = "scancode_time"
QUERY = re.compile(r"[A-Za-z0-9!#$&'()*+,/:;=?@\-._~%]{0,1024}")
LINK_DAYS_MAX = 30


def page_for(kind: str, page: str) -> str:
    """The page of a message as both platforms want it: the given one, else the one that its kind belongs to."""
    return page.lstrip("/") or PAGES.get(kind, HOME)


def is_scene(token: str) -> bool:
    """May this stand in a mini-program code? A UUID with its dashes may not: it has 36 characters."""
    return SCENE.fullmatch(token) is not None and SCENE_RESERVED not in token


def new_scene(purpose: str) -> str:
    """A token nobody guesses, e.g. "i.3Jx...": a letter for what it opens, then 144 random bits; 26 characters."""
    token = f"{purpose}.{secrets.token_urlsafe(18)}"
    if len(purpose) != 1 or not is_scene(token):
        raise ValueError("the purpose of a scene is one letter")
    return token


def qr_png(url: str) -> bytes:
    """Black on white, about 300 px; error correction M survives a stamp on a corner."""
    code = _code(url)
    out = io.BytesIO()
    code.make_image().save(out)
    return out.getvalue()


def qr_svg(url: str) -> bytes:
    out = io.BytesIO()
    _code(url).make_image(image_factory=SvgPathImage).save(out)
    return out.getvalue()


def _code(url: str) -> "qrcode.QRCode[Any]":
    code = qrcode.QRCode(
        error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4,  # four modules of margin: the standard's
    )
    code.add_data(url)
    code.make(fit=True)
    return code
