"""What the institution handed over, turn by turn, for both sides of an order (O8, O10)."""

from datetime import datetime
from typing import Any, TypedDict

from handlers.context import Context
from handlers.orders.views import read_own_order
from handlers.paging import Page, PageView, page_of
from handlers.transactions import rows


class HandoverView(TypedDict):
    id: int
    summary: str
    attachment_id: int | None
    delivered_at: datetime
    sent_back_reason: str | None
    sent_back_at: datetime | None


async def list_handovers(ctx: Context, order_id: int, page: Page) -> PageView[HandoverView]:
    """Oldest first. Raises OrderNotFound."""
    await read_own_order(ctx, order_id)
    after = page.key()
    found = await rows(
        "SELECT * FROM handovers WHERE order_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        order_id, after[0] if after else 0, page.limit + 1,
    )
    return page_of(found, page, handover_view, lambda each: [each.id])


def handover_view(each: Any) -> HandoverView:
    return {
        "id": each.id, "summary": each.summary, "attachment_id": each.attachment_id, "delivered_at": each.delivered_at,
        "sent_back_reason": each.sent_back_reason, "sent_back_at": each.sent_back_at,
    }
