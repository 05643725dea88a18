"""The institution reviews the enterprise (D19), where the policy has `mutual_review`: both blind until both are in or the window ends.

Everything is decided under the order's lock, so that two reviews at the same instant see each other: the later one reveals both.
"""

from typing import Any

from handlers import content_checks
from handlers.content_checks import Subject
from handlers.context import Context
from handlers.orders.policy import rules_of_order
from handlers.orders.views import MUTUAL_WINDOW, is_window_over, lock_own_order, may, refuse_both
from handlers.refusals import Kind, Refusal
from handlers.reviews_lists import EnterpriseReviewView, show_enterprise_review
from handlers.scores import count_review
from handlers.transactions import Transaction, transaction
from models.orders import OrderState
from models.reviews import Grade


class EnterpriseNotReviewable(Refusal):
    """`reason`: not_mutual | not_completed | reviewed | window_closed."""

    kind, code, title = Kind.CONFLICT, "enterprise_not_reviewable", "当前不能评价该订单的企业"


INSERT = """
INSERT INTO enterprise_reviews (order_id, enterprise_id, institution_id, grade, text, reviewed_by_id, reviewed_at, is_blind)
VALUES ($1,$2,$3,$4,$5,$6,$7,true) RETURNING *
"""
# The system's review is nobody's words: it does not count as being in.
BOTH_IN = """
SELECT EXISTS (SELECT 1 FROM reviews WHERE order_id = $1 AND NOT is_system)
  AND EXISTS (SELECT 1 FROM enterprise_reviews WHERE order_id = $1)
"""
# What a sweep has revealed is revealed, also to a request that began a microsecond before the window's end.
IS_REVEALED = """
SELECT EXISTS (SELECT 1 FROM reviews WHERE order_id = $1 AND revealed_at IS NOT NULL)
  OR EXISTS (SELECT 1 FROM enterprise_reviews WHERE order_id = $1 AND revealed_at IS NOT NULL)
"""
MARK = "UPDATE orders SET enterprise_reviewed_at = $2 WHERE id = $1"
REVEAL = "UPDATE {table} SET is_blind = false, revealed_at = $2 WHERE order_id = $1 AND is_blind RETURNING *"
# A frozen order is passed by; its window goes on when it is free (`clock_from`).
DUE = """
WITH waiting AS (SELECT order_id FROM reviews WHERE is_blind UNION SELECT order_id FROM enterprise_reviews WHERE is_blind)
SELECT o.* FROM waiting w JOIN orders o ON o.id = w.order_id
WHERE o.frozen_at IS NULL AND greatest(o.completed_at, o.clock_from) <= $1 ORDER BY o.completed_at LIMIT $2 FOR UPDATE OF o SKIP LOCKED
"""


async def review_enterprise(ctx: Context, order_id: int, grade: Grade, text: str) -> EnterpriseReviewView:
    """评价企业, once, within fourteen days of completion. Raises OrderNotFound, RelatedParties, EnterpriseNotReviewable."""
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        refuse_both(order)
        if not may(ctx, order, "review_enterprise"):
            raise EnterpriseNotReviewable(reason=await _why_not(ctx, tx, order))
        if await is_revealed(tx, order):
            raise EnterpriseNotReviewable(reason="window_closed")
        review = await tx.row(
            INSERT, order.id, order.enterprise_id, order.institution_id, grade.value, text, ctx.person_id, ctx.now
        )
        await tx.run(MARK, order.id, ctx.now)
        tx.record("order.enterprise_reviewed", "enterprise_review", review.id, after=grade.value, order_id=order.id)
        await content_checks.ask(tx, "enterprise_review", review.id, text)
        await reveal_if_both(tx, order)
        return tx.reply(await show_enterprise_review(tx, review.id))


async def _why_not(ctx: Context, tx: Transaction, order: Any) -> str:
    if not (await rules_of_order(tx, order.policy_id)).mutual_review:
        return "not_mutual"
    if order.state != OrderState.COMPLETED:
        return "not_completed"
    return "reviewed" if order.enterprise_reviewed_at is not None else "window_closed" if is_window_over(ctx, order) else "not_completed"


async def is_revealed(tx: Transaction, order: Any) -> bool:
    """Whether one side's words are out: then the other has none. The order is locked."""
    return bool(await tx.value(IS_REVEALED, order.id))


async def reveal_if_both(tx: Transaction, order: Any) -> None:
    """Show both sides what the other wrote, if both have written. The order is locked."""
    if await tx.value(BOTH_IN, order.id):
        await _reveal(tx, order)


async def reveal_due(ctx: Context, limit: int = 200) -> int:
    """Sweep: what is in when the window is over. Returns how many orders."""
    async with transaction(ctx) as tx:
        due = await tx.rows(DUE, ctx.now - MUTUAL_WINDOW, limit)
        for order in due:
            await _reveal(tx, order)
        return len(due)


async def _reveal(tx: Transaction, order: Any) -> None:
    """Only from now on the enterprise's review counts."""
    reviews = await tx.rows(REVEAL.format(table="reviews"), order.id, tx.ctx.now)
    for review in reviews:
        tx.record("review.revealed", "review", review.id, order_id=order.id)
        await count_review(tx, review)
    answers = await tx.rows(REVEAL.format(table="enterprise_reviews"), order.id, tx.ctx.now)
    for review in answers:
        tx.record("enterprise_review.revealed", "enterprise_review", review.id, order_id=order.id)
    for party in (*(review.institution_id for review in reviews), *(review.enterprise_id for review in answers)):
        tx.announce("review_revealed", "order", order.id, organisation_id=party, number=order.number, service=order.product_name)


content_checks.SUBJECTS["enterprise_review"] = Subject(
    "对企业的评价", "SELECT unnest(ARRAY[enterprise_id, institution_id]) FROM enterprise_reviews WHERE id = $1"
)
