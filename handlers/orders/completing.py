"""The end of an order that was served: the enterprise confirmed it, or a ruling gives nothing back (O9, O12)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from handlers.moves import move
from handlers.orders.policy import rules_of_order
from handlers.orders.views import NO_TERMINATION
from handlers.scores import count_completed
from handlers.transactions import Transaction
from models.orders import ORDER_GRAPH, OrderState


async def complete(tx: Transaction, order: Any, note: Mapping[str, object] | None = None) -> Any:
    """From now on it can be reviewed: the enterprise is asked to, and hears until when, before the system does it. Returns the order."""
    completed = await move(
        tx, ORDER_GRAPH, order, OrderState.COMPLETED, note=dict(note or {}), completed_at=tx.ctx.now, due_at=None, disputed_at=None,
        reminded=0, **NO_TERMINATION,
    )
    await count_completed(tx, order)
    rules = await rules_of_order(tx, order.policy_id)
    if rules.review and rules.auto_review_after_days is not None:
        tx.announce(
            "review_reminder", "order", order.id, organisation_id=order.enterprise_id, number=order.number, service=order.product_name,
            review_due_at=(tx.ctx.now + timedelta(days=rules.auto_review_after_days)).isoformat(),
        )
    return completed
