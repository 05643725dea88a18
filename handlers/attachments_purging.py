"""The bytes of deleted files go behind the commit that deleted them, and are tried again until they are gone (docs/decisions/0240)."""

from datetime import timedelta
from typing import Any

from handlers.context import Context
from handlers.transactions import changed, transaction

AGAIN_AFTER = timedelta(minutes=10)  # whoever tries has as long before somebody else does; no deletion takes as long
ENDS = {"image/jpeg": "jpg", "image/png": "png"}

# One at a time: what cannot be deleted waits behind everything else, and a storage that is away costs one patience and not a hundred.
CLAIM = """
UPDATE attachments SET purge_at = $2 WHERE id = (
  SELECT id FROM attachments WHERE purge_at <= $1 ORDER BY purge_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id, storage_key, media_type
"""
PURGED = "UPDATE attachments SET purge_at = NULL, purged_at = $2 WHERE id = $1 AND purge_at IS NOT NULL"


def public_key(storage_key: str, media_type: str) -> str:
    """Where the copy for everybody is (handlers/pictures.py)."""
    return f"public/{storage_key}.{ENDS[media_type]}"


async def purge(ctx: Context, attachment: Any) -> None:
    """Take the bytes of a deleted file out of the storage, with what everybody could see of it. Raises StorageAway, Busy."""
    await ctx.ports.storage.delete(attachment.storage_key)
    if attachment.media_type in ENDS:
        await ctx.ports.storage.delete(public_key(attachment.storage_key, attachment.media_type))
    async with transaction(ctx) as tx:
        if await tx.run(PURGED, attachment.id, ctx.now):
            tx.record("attachment.purged", "attachment", attachment.id)


async def purge_deleted(ctx: Context, limit: int = 100) -> int:
    """Sweep: the bytes that a crash, or a storage that was away, left behind a deletion. Returns how many. Raises StorageAway."""
    for done in range(limit):
        claimed = await changed(CLAIM, ctx.now, ctx.now + AGAIN_AFTER)
        if not claimed:
            return done
        await purge(ctx, claimed[0])
    return limit
