"""Where a message leads, and what may stand in a mini-program code."""

import re
from collections.abc import Mapping

# Pages of the mini-program, without a leading slash: with one it is another page to WeChat (41030).
PAGES: Mapping[str, str] = {
    "approval_result": "pages/applications/show",
    "reservation_received": "pages/reservations/show",
    "reservation_voided": "pages/reservations/show",
    "draw_objection_result": "pages/reservations/show",
    "reservation_disqualified": "pages/reservations/show",
    "round_closing": "pages/rounds/show",
    "draw_committed": "pages/reservations/show",
    "draw_result": "pages/reservations/show",
    "voucher_issued": "pages/wallet/index",
    "voucher_given_back": "pages/wallet/index",
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
    "order_termination": "pages/orders/show",
    "order_undelivered": "pages/orders/show",
    "order_completed": "pages/orders/show",
    "order_closed": "pages/orders/show",
    "order_frozen": "pages/orders/show",
    "risk_proposed": "pages/risks/show",
    "filing_revoked": "pages/index/index",
    "filing_objected": "pages/index/index",
    "filing_named": "pages/index/index",
    "filing_objection_result": "pages/index/index",
    "appeal_result": "pages/appeals/show",
    "redemption_result": "pages/redemptions/show",
    "payout_result": "pages/redemptions/show",
    "review_reminder": "pages/orders/review",
    "system_review_made": "pages/orders/review",
    "digest": "pages/notices/index",
    "review_revealed": "pages/orders/review",
    "review_replied": "pages/orders/review",
    "security_changed": "pages/me/identities",
    "text_hidden": "pages/index/index",
    "application_received": "pages/approvals/show",
    "application_unfinished": "pages/applications/show",
    "approval_waiting": "pages/approvals/show",
    "institution_standing": "pages/index/index",
    "demand_posted": "pages/demands/show",
    "demand_reminder": "pages/demands/show",
    "demand_alternatives": "pages/demands/show",
    "demand_undelivered": "pages/demands/show",
    "demand_answered": "pages/demands/show",
    "demand_closed": "pages/demands/show",
    "review_digest": "pages/todo/index",
    "consultant_progress": "pages/consultants/show",
    "bot_answer": "pages/index/index",
}
INVITATION = "pages/invitations/show"  # where the mini-program code of an invitation leads
HOME = "pages/index/index"
# Where the answers of the bot lead (bot/phrases/intents.toml, bot/topics).
TALK_PAGES = frozenset({
    "pages/wallet/index", "pages/rounds/index", "pages/reservations/index", "pages/reservations/show", "pages/draws/show",
    "pages/products/index", "pages/products/show", "pages/orders/index", "pages/orders/show", "pages/orders/price", "pages/orders/review",
    "pages/statements/index", "pages/appeals/index", "pages/qualifications/index", "pages/applications/index", "pages/demands/index",
    "pages/demands/new", "pages/redemptions/index", "pages/redemptions/new", "pages/consultants/index", "pages/consultants/invite",
    "pages/consultants/institution", "pages/consultants/badge", "pages/scores/index", "pages/approvals/index", "pages/approvals/show",
    "pages/spot-checks/index", "pages/reports/index", "pages/payouts/index", "pages/payouts/show", "pages/budgets/index",
    "pages/todo/index", "pages/me/identities", "pages/me/binding", "pages/help/index", "pages/rounds/show", "pages/applications/show",
    "pages/filings/index", "pages/filings/show", "pages/programmes/index", "pages/programmes/policy",
})
PUBLISHED_PAGES = frozenset({HOME, INVITATION, *PAGES.values(), *TALK_PAGES})
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
