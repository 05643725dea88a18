"""Reviews as their readers see them: the public, the two sides, and the author, who alone sees what is blind or not checked yet."""

from datetime import datetime
from typing import Any, TypedDict

from handlers.content_checks import JOIN, text_of
from handlers.context import Context
from handlers.orders.views import MUTUAL_WINDOW
from handlers.paging import Page, PageView, page_of
from handlers.transactions import Transaction, rows


class ReplyView(TypedDict):
    """`text_state`: passed | pending | hidden; the last two only for who wrote it."""

    text: str
    text_state: str
    replied_at: datetime


class ReviewView(TypedDict):
    """`platform_stars` and `platform_text` are for the author and the platform only; others have them as null.

    `text_state`: passed | pending (待审) | hidden (未通过审核); while it is not passed, `text` is empty for all but the author, who
    also gets `text_reason`. `is_blind`: only the author sees it, until both sides have reviewed or the window is over.
    """

    id: int
    order_id: int
    institution_id: int
    product_id: int
    is_system: bool
    grade: str
    text: str
    text_state: str
    text_reason: str | None
    platform_stars: int | None
    platform_text: str | None
    reviewed_at: datetime
    is_blind: bool
    reply: ReplyView | None


class EnterpriseReviewView(TypedDict):
    """对企业的评价; the same rules. `enterprise` and `institution` are names."""

    id: int
    order_id: int
    order_number: str
    product_name: str
    enterprise: str
    institution: str
    grade: str
    text: str
    text_state: str
    text_reason: str | None
    reviewed_at: datetime
    is_blind: bool
    reply: ReplyView | None


class ReceivedReviewView(TypedDict):
    """我收到的评价 (D20): a review with the order and the enterprise that it comes from."""

    review: ReviewView
    order_number: str
    product_name: str
    enterprise: str


class WaitingReviewView(TypedDict):
    """待评价 (D19). `closes_at`: from then on it can no longer be reviewed."""

    order_id: int
    order_number: str
    product_name: str
    enterprise: str
    completed_at: datetime
    closes_at: datetime


REPLY = """
LEFT JOIN review_replies p ON p.{column} = r.id LEFT JOIN content_checks q ON q.subject = 'review_reply' AND q.subject_id = p.id
"""
COLUMNS = "k.state AS check_state, k.reason AS check_reason, p.text AS reply_text, p.replied_at, q.state AS reply_state"
# {page}: which reviews, and no more of them than are shown: only those are joined.
REVIEWS = f"""
SELECT r.*, {COLUMNS} FROM (SELECT * FROM reviews {{page}}) r
{JOIN.format(subject='review', id='r.id')} {REPLY.format(column='review_id')} ORDER BY r.id DESC
"""
PARTIES = """
JOIN orders o ON o.id = r.order_id JOIN organisations e ON e.id = r.enterprise_id JOIN organisations i ON i.id = r.institution_id
"""
RECEIVED = f"""
SELECT r.*, {COLUMNS}, o.number, o.product_name, e.name AS enterprise
FROM (SELECT * FROM reviews {{page}}) r
{JOIN.format(subject='review', id='r.id')} {REPLY.format(column='review_id')} {PARTIES} ORDER BY r.id DESC
"""
ENTERPRISE_REVIEWS = f"""
SELECT r.*, {COLUMNS}, o.number, o.product_name, e.name AS enterprise, i.name AS institution
FROM (SELECT * FROM enterprise_reviews {{page}}) r
{JOIN.format(subject='enterprise_review', id='r.id')} {REPLY.format(column='enterprise_review_id')} {PARTIES} ORDER BY r.id DESC
"""
WAITING = """
SELECT o.id, o.number, o.product_name, e.name AS enterprise, o.completed_at, greatest(o.completed_at, o.clock_from) AS clock_from
FROM orders o JOIN policies y ON y.id = o.policy_id JOIN organisations e ON e.id = o.enterprise_id
WHERE o.institution_id = $1 AND o.state = 'completed' AND o.enterprise_reviewed_at IS NULL AND (y.rules->>'mutual_review')::boolean
  AND greatest(o.completed_at, o.clock_from) > coalesce(o.frozen_at, $2::timestamptz) - $3::interval AND o.id < $4
ORDER BY o.id DESC LIMIT {limit}
"""


async def show_review(tx: Transaction, review_id: int, reader: int | None = None) -> ReviewView:
    """`reader`: an organisation; without one, the enterprise that wrote it."""
    review = await tx.row(REVIEWS.format(page="WHERE id = $1"), review_id)
    return view_review(review, review.enterprise_id if reader is None else reader)


async def show_enterprise_review(tx: Transaction, review_id: int, reader: int | None = None) -> EnterpriseReviewView:
    review = await tx.row(ENTERPRISE_REVIEWS.format(page="WHERE id = $1"), review_id)
    return view_enterprise_review(review, review.institution_id if reader is None else reader)


async def list_reviews(_ctx: Context, institution_id: int, product_id: int | None, page: Page) -> PageView[ReviewView]:
    """Public: the reviews of an institution or one of its products, newest first; the system's are marked as such."""
    cut = _cut(f"institution_id = $1 AND NOT is_blind{'' if product_id is None else ' AND product_id = $3'}", page)
    found = await rows(REVIEWS.format(page=cut), institution_id, _before(page), *([] if product_id is None else [product_id]))
    return page_of(found, page, lambda review: view_review(review, None), lambda review: [review.id])


async def list_given(ctx: Context, page: Page) -> PageView[ReviewView]:
    """What one's own enterprise wrote, also what is blind or not checked yet."""
    cut = _cut("enterprise_id = $1 AND NOT is_system", page)
    found = await rows(REVIEWS.format(page=cut), ctx.organisation_id, _before(page))
    return page_of(found, page, lambda review: view_review(review, ctx.organisation_id), lambda review: [review.id])


async def list_received(ctx: Context, page: Page) -> PageView[ReceivedReviewView]:
    """我收到的评价 of one's own institution (D20)."""
    cut = _cut("institution_id = $1 AND NOT is_blind", page)
    found = await rows(RECEIVED.format(page=cut), ctx.organisation_id, _before(page))
    return page_of(found, page, lambda review: _received(ctx, review), lambda review: [review.id])


def _received(ctx: Context, review: Any) -> ReceivedReviewView:
    return {"review": view_review(review, ctx.organisation_id), "order_number": review.number, "product_name": review.product_name,
            "enterprise": review.enterprise}


async def list_waiting(ctx: Context, page: Page) -> PageView[WaitingReviewView]:
    """待评价: the orders whose enterprise one's own institution may still review (D19)."""
    found = await rows(WAITING.format(limit=page.limit + 1), ctx.organisation_id, ctx.now, MUTUAL_WINDOW, _before(page))
    return page_of(found, page, _waiting, lambda order: [order.id])


def _waiting(order: Any) -> WaitingReviewView:
    return {"order_id": order.id, "order_number": order.number, "product_name": order.product_name, "enterprise": order.enterprise,
            "completed_at": order.completed_at, "closes_at": order.clock_from + MUTUAL_WINDOW}


async def list_enterprise_given(ctx: Context, page: Page) -> PageView[EnterpriseReviewView]:
    """对企业的评价 by one's own institution (D19)."""
    return await _list_enterprise(ctx, "institution_id = $1", page)


async def list_enterprise_received(ctx: Context, page: Page) -> PageView[EnterpriseReviewView]:
    """What institutions said of one's own enterprise, once it is revealed."""
    return await _list_enterprise(ctx, "enterprise_id = $1 AND NOT is_blind", page)


async def _list_enterprise(ctx: Context, whose: str, page: Page) -> PageView[EnterpriseReviewView]:
    found = await rows(ENTERPRISE_REVIEWS.format(page=_cut(whose, page)), ctx.organisation_id, _before(page))
    return page_of(found, page, lambda review: view_enterprise_review(review, ctx.organisation_id), lambda review: [review.id])


def _cut(whose: str, page: Page) -> str:
    """$2: the last one that was seen."""
    return f"WHERE {whose} AND id < $2 ORDER BY id DESC LIMIT {page.limit + 1}"


def _before(page: Page) -> int:
    return int((page.key() or [2**63 - 1])[0])


def view_review(review: Any, reader: int | None) -> ReviewView:
    """`review`: a row of REVIEWS; `reader`: the organisation that looks, None for the public."""
    author = reader == review.enterprise_id
    text, state = text_of(review.text, review, author=author)
    return {
        "id": review.id, "order_id": review.order_id, "institution_id": review.institution_id, "product_id": review.product_id,
        "is_system": review.is_system, "grade": review.grade, "text": text, "text_state": state,
        "text_reason": review.check_reason if author else None,
        "platform_stars": review.platform_stars if author else None, "platform_text": review.platform_text if author else None,
        "reviewed_at": review.reviewed_at, "is_blind": review.is_blind, "reply": _reply(review, reader == review.institution_id),
    }


def view_enterprise_review(review: Any, reader: int) -> EnterpriseReviewView:
    """`review`: a row of ENTERPRISE_REVIEWS."""
    author = reader == review.institution_id
    text, state = text_of(review.text, review, author=author)
    return {
        "id": review.id, "order_id": review.order_id, "order_number": review.number, "product_name": review.product_name,
        "enterprise": review.enterprise, "institution": review.institution, "grade": review.grade, "text": text, "text_state": state,
        "text_reason": review.check_reason if author else None, "reviewed_at": review.reviewed_at, "is_blind": review.is_blind,
        "reply": _reply(review, reader == review.enterprise_id),
    }


def _reply(review: Any, author: bool) -> ReplyView | None:
    state = review.reply_state or "passed"
    if review.reply_text is None or (state != "passed" and not author):
        return None
    return {"text": review.reply_text, "text_state": "pending" if state == "in_review" else state, "replied_at": review.replied_at}
