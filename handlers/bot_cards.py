"""Who has which interactive card in their chat, so that all of them can be brought up to date (section 5.5, rule 1)."""

from dataclasses import dataclass
from datetime import timedelta

from handlers.context import Context
from handlers.transactions import changed, rows, transaction

FORGOTTEN_AFTER = timedelta(days=30)

HOLDERS = "SELECT open_id, track_id FROM bot_cards WHERE app_id = $1 AND card_key = $2 ORDER BY id LIMIT $3"
HOLDERS_MAX = 500
DELIVERED = """
INSERT INTO bot_cards (app_id, open_id, card_key, track_id, delivered_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (app_id, card_key, open_id) DO UPDATE SET delivered_at = EXCLUDED.delivered_at
"""
FORGET = """
DELETE FROM bot_cards WHERE id IN (SELECT id FROM bot_cards WHERE delivered_at <= $1 ORDER BY delivered_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Card:
    open_id: str
    track_id: str


async def holders(app_id: str, card_key: str) -> list[Card]:
    """Everybody who has a card of this key."""
    return [Card(one.open_id, one.track_id) for one in await rows(HOLDERS, app_id, card_key, HOLDERS_MAX)]


async def note_delivered(ctx: Context, app_id: str, card_key: str, card: Card) -> None:
    await changed(DELIVERED, app_id, card.open_id, card_key, card.track_id, ctx.now)


async def forget_cards(ctx: Context, limit: int = 500) -> int:
    """Sweep: a card of last month is not brought up to date any more. Returns how many were forgotten."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - FORGOTTEN_AFTER, limit)
