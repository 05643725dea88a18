"""How many answers a platform still lets us send to one person, counted so that none is tried in vain (decision 0183)."""

from datetime import datetime, timedelta
from enum import StrEnum

from handlers.context import Context
from handlers.transactions import changed, row, transaction
from models.personal import kept_for


class Opened(StrEnum):
    """What opens a window, as the platforms count since June 2023."""

    MESSAGE = "message"  # 5 messages within 48 hours
    TAP = "tap"          # menu, follow, scan: 3 within a minute
    ENTER = "enter"      # the mini-program's conversation: 2 within a minute


MESSAGES, MESSAGE_HOURS = 5, 48
TAPS = {Opened.TAP: 3, Opened.ENTER: 2}
TAP_SECONDS = 60
LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

# A message that arrives late, after a newer one, must not shorten what the newer one opened.
OPEN_MESSAGE = """
INSERT INTO talk_windows (platform, app_id, open_id, message_left, message_until, tap_left, tap_until, wrong_codes, wrong_since)
VALUES ($1, $2, $3, $4, $5, 0, $6, 0, $6)
ON CONFLICT (platform, app_id, open_id) DO UPDATE SET message_left = EXCLUDED.message_left, message_until = EXCLUDED.message_until
WHERE talk_windows.message_until <= EXCLUDED.message_until
"""
OPEN_TAP = """
INSERT INTO talk_windows (platform, app_id, open_id, message_left, message_until, tap_left, tap_until, wrong_codes, wrong_since)
VALUES ($1, $2, $3, 0, $6, $4, $5, 0, $6)
ON CONFLICT (platform, app_id, open_id) DO UPDATE SET tap_left = EXCLUDED.tap_left, tap_until = EXCLUDED.tap_until
WHERE talk_windows.tap_until <= EXCLUDED.tap_until
"""
# The short one first: what it leaves is lost, what the long one leaves may be needed tomorrow.
SPEND = """
UPDATE talk_windows SET
  tap_left = tap_left - CASE WHEN tap_left > 0 AND tap_until > $4 THEN 1 ELSE 0 END,
  message_left = message_left - CASE WHEN tap_left > 0 AND tap_until > $4 THEN 0 ELSE 1 END
WHERE platform = $1 AND app_id = $2 AND open_id = $3
  AND ((tap_left > 0 AND tap_until > $4) OR (message_left > 0 AND message_until > $4))
RETURNING id
"""
LEFT = """
SELECT CASE WHEN tap_until > $4 THEN tap_left ELSE 0 END + CASE WHEN message_until > $4 THEN message_left ELSE 0 END AS left_over
FROM talk_windows WHERE platform = $1 AND app_id = $2 AND open_id = $3
"""
CLOSE = "UPDATE talk_windows SET message_left = 0, tap_left = 0 WHERE platform = $1 AND app_id = $2 AND open_id = $3"

# Nothing counts any more. Who asked to be forgotten is kept out for three years more, so that no union id brings them back unasked.
KEPT_OUT = timedelta(days=1095)
FORGET = """
DELETE FROM talk_windows WHERE id IN (
  SELECT id FROM talk_windows WHERE greatest(message_until, tap_until, wrong_since) <= $1 AND (unbound_at IS NULL OR unbound_at <= $2)
  ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
)
"""


async def open_window(ctx: Context, platform: str, app_id: str, open_id: str, opened: Opened, at: datetime) -> None:
    """Somebody did something at `at`: the platform's moment, not ours."""
    if opened is Opened.MESSAGE:
        until = at + timedelta(hours=MESSAGE_HOURS)
        await changed(OPEN_MESSAGE, platform, app_id, open_id, MESSAGES, until, LONG_AGO)
    else:
        await changed(OPEN_TAP, platform, app_id, open_id, TAPS[opened], at + timedelta(seconds=TAP_SECONDS), LONG_AGO)
    del ctx


async def left(ctx: Context, platform: str, app_id: str, open_id: str) -> int:
    """How many more messages the platform takes now."""
    found = await row(LEFT, platform, app_id, open_id, ctx.now)
    return found.left_over if found is not None else 0


async def spend(ctx: Context, platform: str, app_id: str, open_id: str) -> bool:
    """Take one, before it is sent: two workers never send the last one twice. False if there is none."""
    return bool(await changed(SPEND, platform, app_id, open_id, ctx.now))


async def close(ctx: Context, platform: str, app_id: str, open_id: str) -> None:
    """The platform says that it takes no more (45015, 45047), or the person has left."""
    del ctx
    await changed(CLOSE, platform, app_id, open_id)


async def forget_windows(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: who has not spoken to us for a month. Returns how many."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - kept_for("talk_windows", "open_id"), ctx.now - KEPT_OUT, limit)
