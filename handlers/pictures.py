"""Pictures that everybody may see: of listed products, open institutions and their active consultants, drawn anew (E25, C07, C21).

What people upload is kept byte for byte as evidence and is only ever downloaded. What is shown in public is another picture: decoded
and written again by Pillow, small, and without what a phone writes into it, such as where it was taken. The copy is kept as long as
something shows it (docs/decisions/0240).
"""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from PIL import Image, ImageOps

from handlers.attachments_purging import AGAIN_AFTER, ENDS, public_key
from handlers.context import Context
from handlers.refusals import NotFound
from handlers.transactions import changed, row

SIDE_MAX = 1600  # pixels: the widest phone at three device pixels to one
PIXELS_MAX = 12_000_000  # what a PNG may decode to, 48 MB; a JPEG is made smaller while it is decoded
QUALITY = 85
DRAWING = asyncio.Semaphore(1)  # pictures decoded at a time
LOOKED_AT_AFTER = timedelta(days=1)  # nobody gets a copy that nothing shows; this is how long it may lie there
SHOWN = """
f.state = 'stored' AND f.media_type IN ('image/jpeg', 'image/png') AND EXISTS (
  SELECT 1 FROM pictures p JOIN organisations o ON o.id = p.organisation_id LEFT JOIN products d ON d.id = p.product_id
  WHERE p.attachment_id = f.id AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL AND (p.product_id IS NULL OR d.state = 'listed')
  UNION ALL SELECT 1 FROM consultants c JOIN organisations o ON o.id = c.institution_id
  WHERE c.photo_id = f.id AND c.state = 'active' AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL
)
"""
PUBLIC = f"SELECT f.id, f.storage_key, f.media_type FROM attachments f WHERE f.id = $1 AND {SHOWN}"
COPY = "UPDATE attachments SET copy_due_at = $2 WHERE id = $1 AND state = 'stored' RETURNING id"
CLAIM_COPY = f"""
WITH due AS (
  SELECT f.id, {SHOWN} AS is_shown FROM attachments f WHERE f.copy_due_at <= $1
  ORDER BY f.copy_due_at LIMIT 1 FOR NO KEY UPDATE OF f SKIP LOCKED
)
UPDATE attachments f SET copy_due_at = CASE WHEN due.is_shown THEN $2::timestamptz ELSE $3::timestamptz END
FROM due WHERE f.id = due.id RETURNING f.id, f.storage_key, f.media_type, f.copy_due_at, due.is_shown
"""
# Whoever has it drawn again meanwhile has set another moment.
NO_COPY = "UPDATE attachments SET copy_due_at = NULL WHERE id = $1 AND copy_due_at = $2 RETURNING id"


@dataclass(frozen=True, slots=True)
class PublicPicture:
    content: bytes
    media_type: str
    file_name: str


async def open_picture(ctx: Context, picture_id: int) -> PublicPicture:
    """`picture_id` is the attachment's. Raises NotFound, also for what is not public, or not any more."""
    found = await row(PUBLIC, picture_id)
    if found is None:
        raise NotFound
    return PublicPicture(await _drawn(ctx, found), found.media_type, f"{picture_id}.{ENDS[found.media_type]}")


async def _drawn(ctx: Context, picture: Any) -> bytes:
    """Drawn when it is first asked for, and kept: two who ask at once draw the same."""
    storage, key = ctx.ports.storage, public_key(picture.storage_key, picture.media_type)
    try:
        return await _read(storage.get(key))
    except FileNotFoundError:
        async with DRAWING:
            content = await asyncio.to_thread(redrawn, await _read(storage.get(picture.storage_key)), picture.media_type)
        # The row says that there is a copy before there is one, so that none is forgotten; and not if it was deleted meanwhile.
        if content is None or not await changed(COPY, picture.id, ctx.now + LOOKED_AT_AFTER):
            raise NotFound from None
        await storage.put(key, _once(content))
        return content


async def withdraw_copies(ctx: Context, limit: int = 500) -> int:
    """Sweep: delete copies that nothing shows any more; shown again they are drawn again. Returns how many were looked at.

    Raises StorageAway.
    """
    for done in range(limit):
        claimed = await changed(CLAIM_COPY, ctx.now, ctx.now + LOOKED_AT_AFTER, ctx.now + AGAIN_AFTER)
        if not claimed:
            return done
        picture = claimed[0]
        if not picture.is_shown:
            await ctx.ports.storage.delete(public_key(picture.storage_key, picture.media_type))
            await changed(NO_COPY, picture.id, picture.copy_due_at)
    return limit


def redrawn(original: bytes, media_type: str) -> bytes | None:
    """The same picture, upright, at most SIDE_MAX wide and high, with nothing but its pixels. None when it is too large to decode."""
    with Image.open(io.BytesIO(original), formats=["JPEG" if media_type == "image/jpeg" else "PNG"]) as image:
        image.draft("RGB", (SIDE_MAX, SIDE_MAX))  # a JPEG is decoded at a half, a quarter or an eighth; a PNG is left as it is
        if image.width * image.height > PIXELS_MAX:
            return None
        drawn = ImageOps.exif_transpose(image)
        drawn.thumbnail((SIDE_MAX, SIDE_MAX))
        out = io.BytesIO()
        if media_type == "image/jpeg":
            drawn.convert("RGB").save(out, "JPEG", quality=QUALITY)
        else:
            plain = drawn.convert("RGBA")
            plain.info.clear()
            plain.save(out, "PNG")
    return out.getvalue()


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
