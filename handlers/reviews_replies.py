"""回复: whoever was reviewed answers once, within thirty days of being able to read it."""

from datetime import timedelta
from typing import Any

from handlers import content_checks
from handlers.content_checks import Subject
from handlers.context import Context
from handlers.refusals import Kind, NotFound, Refusal
from handlers.reviews_lists import EnterpriseReviewView, ReviewView, show_enterprise_review, show_review
from handlers.transactions import Transaction, transaction
from models.content_checks import CheckState

REPLY_WITHIN = timedelta(days=30)


class ReviewNotRepliable(Refusal):
    """`reason`: replied | too_late | system."""

    kind, code, title = Kind.CONFLICT, "review_not_repliable", "该评价当前不能回复"


# What is blind is not there for the other side.
LOCK_RECEIVED = "SELECT * FROM reviews WHERE id = $1 AND institution_id = $2 AND NOT is_blind FOR UPDATE"
LOCK_ENTERPRISE_RECEIVED = "SELECT * FROM enterprise_reviews WHERE id = $1 AND enterprise_id = $2 AND NOT is_blind FOR UPDATE"
REPLIED = "SELECT 1 FROM review_replies WHERE {column} = $1"
INSERT = "INSERT INTO review_replies ({column}, text, replied_by_id, replied_at) VALUES ($1, $2, $3, $4) RETURNING id"
REPLY = """
SELECT o.id, o.number, o.product_name, CASE WHEN p.review_id IS NOT NULL THEN r.enterprise_id ELSE e.institution_id END AS reviewer_id
FROM review_replies p LEFT JOIN reviews r ON r.id = p.review_id LEFT JOIN enterprise_reviews e ON e.id = p.enterprise_review_id
JOIN orders o ON o.id = coalesce(r.order_id, e.order_id) WHERE p.id = $1
"""
PARTIES = """
SELECT unnest(ARRAY[o.enterprise_id, o.institution_id]) FROM review_replies p LEFT JOIN reviews r ON r.id = p.review_id
LEFT JOIN enterprise_reviews e ON e.id = p.enterprise_review_id JOIN orders o ON o.id = coalesce(r.order_id, e.order_id) WHERE p.id = $1
"""


async def reply_to_review(ctx: Context, review_id: int, text: str) -> ReviewView:
    """The institution's answer to a review of it. Raises NotFound, ReviewNotRepliable."""
    async with transaction(ctx) as tx:
        review = await tx.row(LOCK_RECEIVED, review_id, ctx.organisation_id)
        if review is not None and review.is_system:
            raise ReviewNotRepliable(reason="system")
        await _reply(tx, review, "review_id", text)
        return tx.reply(await show_review(tx, review_id, reader=ctx.organisation_id))


async def reply_to_enterprise_review(ctx: Context, review_id: int, text: str) -> EnterpriseReviewView:
    """The enterprise's answer to a review of it. Raises NotFound, ReviewNotRepliable."""
    async with transaction(ctx) as tx:
        review = await tx.row(LOCK_ENTERPRISE_RECEIVED, review_id, ctx.organisation_id)
        await _reply(tx, review, "enterprise_review_id", text)
        return tx.reply(await show_enterprise_review(tx, review_id, reader=ctx.organisation_id))


async def _reply(tx: Transaction, review: Any, column: str, text: str) -> None:
    if review is None:
        raise NotFound
    if await tx.value(REPLIED.format(column=column), review.id):
        raise ReviewNotRepliable(reason="replied")
    if tx.ctx.now >= (review.revealed_at or review.reviewed_at) + REPLY_WITHIN:
        raise ReviewNotRepliable(reason="too_late")
    reply_id = await tx.value(INSERT.format(column=column), review.id, text, tx.ctx.person_id, tx.ctx.now)
    tx.record("review.replied", "review_reply", reply_id, **{column: review.id})
    await content_checks.ask(tx, "review_reply", reply_id, text)


async def _tell_reviewer(tx: Transaction, reply_id: int, state: CheckState) -> None:
    """Only of what can be read."""
    if state is CheckState.PASSED:
        order = await tx.row(REPLY, reply_id)
        tx.announce("review_replied", "order", order.id, organisation_id=order.reviewer_id, number=order.number, service=order.product_name)


content_checks.SUBJECTS["review_reply"] = Subject("评价回复", PARTIES, _tell_reviewer)
