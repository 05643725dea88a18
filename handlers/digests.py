"""The end of the quiet hours: what waited goes out, or, where more than three waited for one person on one channel, one digest (5.2)."""

from collections import Counter

from handlers.context import Context
from handlers.transactions import transaction
from models.notices import DELIVERY_GRAPH, DeliveryState

MANY = 3  # more than these become one

# Whole readers, so that nobody's messages are counted in two halves. WeChat takes a digest only from who agreed to its template: where
# none is expected, the messages go one by one, for each of which somebody did agree. A bare address is a reader of its own.
RELEASE_HELD = """
WITH due AS (
  SELECT d.id, d.channel, coalesce(n.person_id, -d.id) AS reader FROM deliveries d JOIN notices n ON n.id = d.notice_id
  WHERE d.state = 'held' AND d.due_at <= $1
), readers AS (
  SELECT reader, channel, count(*) > $3 AND reader > 0 AND (channel <> 'wechat_subscribe' OR EXISTS (
    SELECT FROM subscriptions s JOIN identities i ON i.id = s.identity_id
    WHERE i.person_id = reader AND s.template = 'digest' AND s.remaining > 0
  )) AS is_digest
  FROM due GROUP BY reader, channel ORDER BY reader, channel LIMIT $2
)
UPDATE deliveries d SET state = CASE WHEN r.is_digest THEN 'superseded' ELSE 'planned' END, due_at = $1,
  finished_at = CASE WHEN r.is_digest THEN $1 END
FROM due JOIN readers r USING (reader, channel) WHERE d.id = due.id AND d.state = 'held'
RETURNING due.reader, d.channel, r.is_digest
"""
for _to in (DeliveryState.PLANNED, DeliveryState.SUPERSEDED):
    DELIVERY_GRAPH.event(DeliveryState.HELD, _to)  # what RELEASE_HELD walks


async def release_held(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: let go what was held until now, for up to `limit` readers. Returns how many messages."""
    async with transaction(ctx) as tx:
        released = await tx.rows(RELEASE_HELD, ctx.now, limit, MANY)
        for (reader, channel), count in Counter((each.reader, each.channel) for each in released if each.is_digest).items():
            tx.announce("digest", "person", reader, person_id=reader, channel=channel, count=count)
        return len(released)
