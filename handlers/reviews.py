"""Reviews of orders (E34-E36, F18): a person's words, or after seven days the system's, which never count."""

from datetime import timedelta
from typing import Any

from handlers import content_checks
from handlers.content_checks import Subject
from handlers.context import Context
from handlers.orders.policy import rules_of_order
from handlers.orders.views import OrderNotFound, is_window_over, lock_own_order, may, refuse_both
from handlers.refusals import Kind, Refusal
from handlers.reviews_lists import ReviewView, show_review
from handlers.reviews_mutual import is_revealed, reveal_if_both
from handlers.scores import count_review
from handlers.transactions import Transaction, transaction
from models.reviews import Grade

SYSTEM_TEXT = "系统默认评价"


class OrderNotReviewable(Refusal):
    """`reason`: not_completed | reviewed | window_closed."""

    kind, code, title = Kind.CONFLICT, "order_not_reviewable", "订单当前不能评价"


INSERT = """
INSERT INTO reviews (order_id, enterprise_id, institution_id, product_id, is_system, grade, text, platform_stars, platform_text,
  reviewed_by_id, reviewed_at, is_blind) VALUES ($1,$2,$3,$4,false,$5,$6,$7,$8,$9,$10,$11)
ON CONFLICT (order_id) DO UPDATE SET is_system = false, grade = $5, text = $6, platform_stars = $7, platform_text = $8,
  reviewed_by_id = $9, reviewed_at = $10, replaced_system_at = $10, is_blind = $11 WHERE reviews.is_system
RETURNING *
"""


async def review_order(
    ctx: Context, order_id: int, grade: Grade, text: str, platform_stars: int, platform_text: str
) -> ReviewView:
    """评价 a completed order of one's own, once; the system's review may be replaced for 30 days.

    Where the institution reviews as well, nobody sees it before both are in or the window is over.

    Raises OrderNotFound, RelatedParties, OrderNotReviewable.
    """
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        refuse_both(order)
        if not may(ctx, order, "review"):
            await _refuse_unless_systems(ctx, tx, order)
        is_blind = (await rules_of_order(tx, order.policy_id)).mutual_review
        if is_blind and await is_revealed(tx, order):
            raise OrderNotReviewable(reason="window_closed")
        review = await tx.row(
            INSERT, order.id, order.enterprise_id, order.institution_id, order.product_id, grade.value, text, platform_stars,
            platform_text, ctx.person_id, ctx.now, is_blind,
        )
        if review is None:
            raise OrderNotReviewable(reason="reviewed")
        await tx.run("UPDATE orders SET reviewed_at = $2 WHERE id = $1", order.id, ctx.now)
        tx.record("order.reviewed", "review", review.id, after=grade.value, order_id=order.id)
        tx.announce("order_reviewed", "order", order.id, organisation_id=order.enterprise_id)
        await content_checks.ask(tx, "review", review.id, text)
        await (reveal_if_both(tx, order) if is_blind else count_review(tx, review))
        return tx.reply(await show_review(tx, review.id))


async def _refuse_unless_systems(ctx: Context, tx: Transaction, order: Any) -> None:
    """Only the system's review may be replaced, by those who may review, for as long as the policy says."""
    if order.enterprise_id != ctx.organisation_id:
        raise OrderNotFound
    written = await tx.row("SELECT is_system, reviewed_at FROM reviews WHERE order_id = $1", order.id)
    if written is None:
        raise OrderNotReviewable(reason="window_closed" if is_window_over(ctx, order) else "not_completed")
    rules = await rules_of_order(tx, order.policy_id)
    if written.is_system and is_window_over(ctx, order):
        raise OrderNotReviewable(reason="window_closed")
    if not written.is_system or written.reviewed_at + timedelta(days=rules.review_replace_days) <= ctx.now:
        raise OrderNotReviewable(reason="reviewed")


# The policy's days are in the query, so that one sweep serves all programmes; NULL days means: never. The shortest of them
# bounds what the index has to show.
REVIEW_DUE = """
WITH due AS (
  SELECT o.id, o.enterprise_id, o.institution_id, o.product_id, o.number, o.product_name, p.rules->>'auto_review_grade' AS grade
  FROM orders o JOIN policies p ON p.id = o.policy_id
  WHERE o.state = 'completed' AND o.reviewed_at IS NULL AND o.frozen_at IS NULL AND (p.rules->>'review')::boolean
    AND greatest(o.completed_at, o.clock_from)
      <= $1::timestamptz - make_interval(days => (p.rules->>'auto_review_after_days')::int)
    AND o.completed_at <= $1::timestamptz - (SELECT make_interval(days => min((rules->>'auto_review_after_days')::int))
                                             FROM policies WHERE state = 'confirmed')
  ORDER BY o.completed_at LIMIT $2 FOR UPDATE OF o SKIP LOCKED
), marked AS (
  UPDATE orders o SET reviewed_at = $1 FROM due WHERE o.id = due.id RETURNING o.id
), written AS (
  INSERT INTO reviews (order_id, enterprise_id, institution_id, product_id, is_system, grade, text, platform_text, reviewed_at)
  SELECT id, enterprise_id, institution_id, product_id, true, grade, $3, '', $1 FROM due RETURNING id, order_id, grade
), recorded AS (
  INSERT INTO audit_entries (at, role, action, subject, subject_id, after, data, request_id)
  SELECT $1, 'system', 'order.reviewed', 'review', id, grade, jsonb_build_object('order_id', order_id), $4 FROM written
)
INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
SELECT 'system_review_made', enterprise_id, 'order', id, jsonb_build_object('number', number, 'service', product_name), $1 FROM due
"""


async def review_due(ctx: Context, limit: int = 2_000) -> int:
    """The system's review of what nobody reviewed in seven days, to the second. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(REVIEW_DUE, ctx.now, limit, SYSTEM_TEXT, ctx.request_id)


REMIND_BEFORE_DAYS = 1


async def remind_unreviewed(ctx: Context, limit: int = 1_000) -> int:
    """请评价, the day before the system does it. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(
            "WITH due AS ("
            " SELECT o.id, o.enterprise_id, o.number, o.product_name, greatest(o.completed_at, o.clock_from)"
            "   + make_interval(days => (p.rules->>'auto_review_after_days')::int) AS review_due_at"
            " FROM orders o JOIN policies p ON p.id = o.policy_id"
            " WHERE o.state = 'completed' AND o.reviewed_at IS NULL AND o.reminded = 0 AND o.frozen_at IS NULL"
            " AND (p.rules->>'review')::boolean AND greatest(o.completed_at, o.clock_from) <="
            "   $1::timestamptz - make_interval(days => (p.rules->>'auto_review_after_days')::int - $3)"
            " ORDER BY o.completed_at LIMIT $2 FOR UPDATE OF o SKIP LOCKED"
            "), marked AS (UPDATE orders o SET reminded = 1 FROM due WHERE o.id = due.id)"
            " INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)"
            " SELECT 'review_reminder', enterprise_id, 'order', id, jsonb_build_object('number', number, 'service', product_name,"
            "   'review_due_at', review_due_at), $1 FROM due", ctx.now, limit, REMIND_BEFORE_DAYS,
        )


content_checks.SUBJECTS["review"] = Subject(
    "对服务机构的评价", "SELECT unnest(ARRAY[enterprise_id, institution_id]) FROM reviews WHERE id = $1"
)
