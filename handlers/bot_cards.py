"""Who has which interactive card in their chat, so that all of them can be brought up to date (rule 1 of decision 0191; decision 0210).

A card of a case waits (`due_at`) until the case is over, wherever that is decided: in a chat, in the mini-program, or by the applicant
who withdraws it. What is looked at is the case and no event of it, so that a card which was on its way meanwhile is found as well.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from handlers.context import Context
from handlers.deliveries import LEASE, backoff_seconds
from handlers.personal import mask_name, open_or_skip
from handlers.ports import Cards, Outcome, SendResult, SettledCase
from handlers.transactions import changed, rows, transaction

FORGOTTEN_AFTER = timedelta(days=30)
APPROVAL_KEY = re.compile(r"approval:([0-9]{1,18})")

HOLDERS = "SELECT open_id, track_id FROM bot_cards WHERE app_id = $1 AND card_key = $2 ORDER BY id LIMIT $3"
HOLDERS_MAX = 500
SHOWN = """
INSERT INTO bot_cards (app_id, open_id, card_key, track_id, delivered_at, approval_id, due_at, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
ON CONFLICT (app_id, card_key, open_id) DO UPDATE SET delivered_at = EXCLUDED.delivered_at, due_at = EXCLUDED.due_at, attempts = 0
"""
# As in handlers/recalls.py: the next try is put off before this one is made. A case that is over is never open again.
TAKE = """
UPDATE bot_cards c SET due_at = $3, attempts = c.attempts + 1 FROM (
  SELECT w.id, a.id AS approval_id, a.title, a.submitted_at, a.due_at AS until, a.state, a.decided_at,
    o.name AS applicant, p.id AS decider_id, p.name AS decider
  FROM bot_cards w JOIN approvals a ON a.id = w.approval_id JOIN organisations o ON o.id = a.organisation_id
  LEFT JOIN persons p ON p.id = a.decided_by_id
  WHERE w.due_at <= $1 AND a.state <> 'open' ORDER BY w.due_at, w.id LIMIT $2 FOR UPDATE OF w SKIP LOCKED
) over WHERE c.id = over.id
RETURNING c.id, c.track_id, c.attempts, over.approval_id, over.title, over.applicant, over.submitted_at, over.until, over.state,
  over.decided_at, over.decider_id, over.decider
"""
# Only what this try has seen: a card that was shown again meanwhile waits anew.
PUT_OFF = """
UPDATE bot_cards c SET due_at = r.due_at FROM unnest($1::bigint[], $2::timestamptz[]) AS r(id, due_at)
WHERE c.id = r.id AND c.due_at = $3
"""
FORGET = """
DELETE FROM bot_cards WHERE id IN (SELECT id FROM bot_cards WHERE delivered_at <= $1 ORDER BY delivered_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Card:
    open_id: str
    track_id: str


def key_of(approval_id: int) -> str:
    """The key of everybody's card of a case."""
    return f"approval:{approval_id}"


def _approval_of(card_key: str) -> int | None:
    found = APPROVAL_KEY.fullmatch(card_key)
    return int(found[1]) if found else None


async def holders(app_id: str, card_key: str) -> list[Card]:
    """Everybody who has a card of this key."""
    return [Card(one.open_id, one.track_id) for one in await rows(HOLDERS, app_id, card_key, HOLDERS_MAX)]


async def note_shown(ctx: Context, app_id: str, card_key: str, card: Card, *, is_over: bool) -> None:
    """Somebody has a card, or is about to. `is_over`: it says already what became of its case."""
    approval_id = _approval_of(card_key)
    waits_from = ctx.now if approval_id is not None and not is_over else None
    await changed(SHOWN, app_id, card.open_id, card_key, card.track_id, ctx.now, approval_id, waits_from)


async def settle_cards(ctx: Context, limit: int = 50) -> int:
    """Sweep: cards of cases that are over lose their buttons and say who decided. Returns how many were asked for."""
    cards = ctx.ports.cards
    if cards is None:
        return 0
    async with transaction(ctx) as tx:
        due = await tx.rows(TAKE, ctx.now, limit, ctx.now + LEASE)
    if due:
        results = await asyncio.gather(*(_settle(ctx, cards, card) for card in due))
        await _keep(ctx, list(zip(due, results, strict=True)))
    return len(due)


async def _settle(ctx: Context, cards: Cards, card: Any) -> SendResult:
    # A card without the name of who decided is better than buttons that do nothing.
    by = open_or_skip(ctx.settings, card.decider, "persons.name", card.decider_id) if card.decider else None
    return await cards.settle(card.track_id, SettledCase(
        card.approval_id, card.title, card.applicant, card.submitted_at, card.until, card.state, card.decided_at, by and mask_name(by),
    ))


async def _keep(ctx: Context, results: Sequence[tuple[Any, SendResult]]) -> None:
    """A card that is gone is as good as settled; one that cannot be reached is tried again until it is forgotten."""
    again = [
        ctx.now + timedelta(seconds=max(backoff_seconds(card.id, card.attempts), result.retry_after_seconds))
        if result.outcome is Outcome.RETRY else None
        for card, result in results
    ]
    await changed(PUT_OFF, [card.id for card, _ in results], again, ctx.now + LEASE)


async def forget_cards(ctx: Context, limit: int = 500) -> int:
    """Sweep: a card of last month is not brought up to date any more. Returns how many were forgotten."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - FORGOTTEN_AFTER, limit)
