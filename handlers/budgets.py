"""What finance asks in one sentence: how much of each programme's budget is left, and what was paid out in a month (F07)."""

from datetime import datetime
from typing import Any, TypedDict

from handlers.context import Context
from handlers.redemptions.payouts import BatchView, reach, view
from handlers.transactions import rows

SHOWN = 5


class BudgetView(TypedDict):
    """`left_fen`: of the budget, what may still be granted; null where there is no limit (rounds are planned by their quotas)."""

    programme: str
    budget_fen: int | None
    issued_fen: int
    left_fen: int | None
    usable_fen: int
    receivable_fen: int
    paid_fen: int


class PayoutsView(TypedDict):
    """`waiting`: approved claims that no batch has yet."""

    paid: int
    paid_fen: int
    waiting: int
    waiting_fen: int
    batches: list[BatchView]


BUDGETS = """
SELECT p.name, p.budget_fen, p.granted_fen, coalesce(e.issued, 0)::bigint AS issued, coalesce(e.usable, 0)::bigint AS usable,
  coalesce(e.receivable, 0)::bigint AS receivable, coalesce(e.paid, 0)::bigint AS paid
FROM programmes p
LEFT JOIN LATERAL (
  SELECT sum(fen) FILTER (WHERE from_account = 'budget') AS issued,
    sum(CASE WHEN to_account IN ('available', 'held') THEN fen ELSE 0 END
      - CASE WHEN from_account IN ('available', 'held') THEN fen ELSE 0 END) AS usable,
    sum(CASE WHEN to_account IN ('receivable', 'pre_redeemed') THEN fen ELSE 0 END
      - CASE WHEN from_account IN ('receivable', 'pre_redeemed') THEN fen ELSE 0 END) AS receivable,
    sum(fen) FILTER (WHERE to_account = 'paid') AS paid
  FROM ledger_entries WHERE programme_id = p.id
) e ON true
WHERE starts_with(p.region_code, $1) AND p.state <> 'draft' ORDER BY p.id DESC LIMIT 20
"""
PAID = """
SELECT count(*) AS paid, coalesce(sum(e.fen), 0)::bigint AS fen FROM ledger_entries e JOIN programmes p ON p.id = e.programme_id
WHERE e.kind = 'pay_out' AND starts_with(p.region_code, $1) AND e.at >= $2 AND e.at < $3
"""
WAITING = """
SELECT count(*) AS waiting, coalesce(sum(r.payable_fen), 0)::bigint AS fen FROM redemptions r JOIN programmes p ON p.id = r.programme_id
WHERE r.state = 'pre_redeemed' AND r.payable_fen > 0 AND starts_with(p.region_code, $1)
"""
BATCHES = """
SELECT b.* FROM payout_batches b JOIN programmes p ON p.id = b.programme_id
WHERE starts_with(p.region_code, $1) AND b.made_at >= $2 AND b.made_at < $3 ORDER BY b.id DESC LIMIT $4
"""


async def list_budgets(ctx: Context) -> list[BudgetView]:
    """The programmes of the official's jurisdiction, newest first."""
    return [_view(one) for one in await rows(BUDGETS, reach(ctx))]


def _view(one: Any) -> BudgetView:
    return {
        "programme": one.name, "budget_fen": one.budget_fen, "issued_fen": one.issued,
        "left_fen": one.budget_fen - one.granted_fen if one.budget_fen is not None else None,
        "usable_fen": one.usable, "receivable_fen": one.receivable, "paid_fen": one.paid,
    }


async def report_payouts(ctx: Context, since: datetime, before: datetime) -> PayoutsView:
    """Between two instants: what the bank has moved, and the batches that were made; with what waits now."""
    paid = (await rows(PAID, reach(ctx), since, before))[0]
    waiting = (await rows(WAITING, reach(ctx)))[0]
    batches = await rows(BATCHES, reach(ctx), since, before, SHOWN)
    return {"paid": paid.paid, "paid_fen": paid.fen, "waiting": waiting.waiting, "waiting_fen": waiting.fen,
            "batches": [view(batch) for batch in batches]}
