"""Taking back what was sent and is pointless by now: as far as the platform can, for a day, and never more than that (5.2).

The inbox says "superseded" whatever becomes of it.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from handlers.context import Context
from handlers.deliveries import LEASE, answer_of, backoff_seconds, short
from handlers.ports import Outcome, SendResult
from handlers.transactions import changed, transaction
from models.notices import DELIVERY_GRAPH, DeliveryState

# As ASK in handlers/deliveries.py: the next try is put off before this one is made.
RECALL = """
UPDATE deliveries d SET due_at = $3, attempts = d.attempts + 1 FROM (
  SELECT id FROM deliveries WHERE state = 'recalling' AND due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
) due WHERE d.id = due.id RETURNING d.*
"""
RECALLED = """
UPDATE deliveries d SET state = r.state, due_at = r.due_at, error = r.error,
  finished_at = CASE WHEN r.state = 'recalling' THEN NULL ELSE $5::timestamptz END
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[]) AS r(id, state, due_at, error)
WHERE d.id = r.id AND d.state = 'recalling'
"""
S = DeliveryState
for _to in (S.RECALLED, S.DELIVERED):
    DELIVERY_GRAPH.event(S.RECALLING, _to)  # what RECALLED walks


async def recall_due(ctx: Context, limit: int = 20) -> int:
    """Sweep: ask the platforms to take back what was overtaken. Returns how many were asked for."""
    async with transaction(ctx) as tx:
        due = await tx.rows(RECALL, ctx.now, limit, ctx.now + LEASE)
    if due:
        results = await asyncio.gather(*(_recall(ctx, delivery) for delivery in due))
        await _settle(ctx, list(zip(due, results, strict=True)))
    return len(due)


async def _recall(ctx: Context, delivery: Any) -> SendResult:
    recaller = ctx.ports.recallers.get(delivery.channel)
    if recaller is None:
        return SendResult(Outcome.REFUSED, error="this channel takes nothing back")
    return await answer_of(recaller.recall(delivery.provider_id), delivery)


async def _settle(ctx: Context, results: Sequence[tuple[Any, SendResult]]) -> None:
    verdicts = [verdict(ctx.now, delivery, result) for delivery, result in results]
    await changed(
        RECALLED, [delivery.id for delivery, _ in results], [state for state, _ in verdicts], [due_at for _, due_at in verdicts],
        [short(result.error) for _, result in results], ctx.now,
    )


def verdict(now: datetime, delivery: Any, result: SendResult) -> tuple[DeliveryState, datetime]:
    """What it becomes and when it is asked for again. A platform that has forgotten it, or refuses, leaves it delivered."""
    if result.outcome is Outcome.DELIVERED:
        return S.RECALLED, now
    again = now + timedelta(seconds=max(backoff_seconds(delivery.id, delivery.attempts), result.retry_after_seconds))
    if result.outcome is Outcome.RETRY and again < delivery.give_up_at:
        return S.RECALLING, again
    return S.DELIVERED, now
