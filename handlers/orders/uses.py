"""每年申请使用上限 (E28): a use is taken when an order is placed, and counts in the year in which it is paid (docs/decisions/0006)."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from handlers.context import Context
from handlers.orders.rules import LOCK_ENTERPRISE, ProductUseCapReached
from handlers.transactions import Transaction, rows
from handlers.working_days import SHANGHAI

TAKEN = "SELECT use_nth FROM orders WHERE enterprise_id = $1 AND product_id = $2 AND use_year = $3"


def year_of(now: datetime) -> int:
    """The natural year in Shanghai."""
    return now.astimezone(SHANGHAI).year


async def taken(tx: Transaction, enterprise_id: int | None, product_id: int, year: int) -> set[int]:
    return {order.use_nth for order in await tx.rows(TAKEN, enterprise_id, product_id, year)}


def lowest_free(used: Collection[int]) -> int:
    """UNIQUE makes the same number impossible twice, even without the lock."""
    return next(number for number in range(1, len(used) + 2) if number not in used)


async def use_of_payment(tx: Transaction, order: Any, cap: int | None) -> dict[str, int]:
    """What a payment changes of the order's use: nothing in the year that it is numbered in; in another, the number is taken there.

    Behind the order's lock: nobody who holds an enterprise's row asks for an order. Raises ProductUseCapReached.
    """
    year = year_of(tx.ctx.now)
    if order.use_year == year:
        return {}
    await tx.run(LOCK_ENTERPRISE, order.enterprise_id)
    used = await taken(tx, order.enterprise_id, order.product_id, year)
    _refuse_above(cap, used)
    return {"use_year": year, "use_nth": lowest_free(used)}


async def require_use_left(ctx: Context, order: Any, cap: int | None) -> None:
    """The same for a dry run. Raises ProductUseCapReached."""
    year = year_of(ctx.now)
    if order.use_year != year:
        _refuse_above(cap, await rows(TAKEN, order.enterprise_id, order.product_id, year))


def _refuse_above(cap: int | None, used: Collection[Any]) -> None:
    if cap is not None and len(used) >= cap:
        raise ProductUseCapReached(limit=cap, used=len(used))
