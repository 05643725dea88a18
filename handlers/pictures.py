"""Pictures that everybody may see: of listed products, open institutions and their active consultants, drawn anew (E25, C07, C21).

What people upload is kept byte for byte as evidence and is only ever downloaded. What is shown in public is another picture: decoded
and written again by Pillow, small, and without what a phone writes into it, such as where it was taken.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

from PIL import Image, ImageOps

from handlers.context import Context
from handlers.refusals import NotFound
from handlers.transactions import row

SIDE_MAX = 1600  # pixels: the widest phone at three device pixels to one
PIXELS_MAX = 12_000_000  # what a PNG may decode to, 48 MB; a JPEG is made smaller while it is decoded
QUALITY = 85
DRAWING = asyncio.Semaphore(1)  # pictures decoded at a time
PUBLIC = """
SELECT f.storage_key, f.media_type FROM attachments f
WHERE f.id = $1 AND f.state = 'stored' AND f.media_type IN ('image/jpeg', 'image/png') AND EXISTS (
  SELECT 1 FROM pictures p JOIN organisations o ON o.id = p.organisation_id LEFT JOIN products d ON d.id = p.product_id
  WHERE p.attachment_id = f.id AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL AND (p.product_id IS NULL OR d.state = 'listed')
  UNION ALL SELECT 1 FROM consultants c JOIN organisations o ON o.id = c.institution_id
  WHERE c.photo_id = f.id AND c.state = 'active' AND o.certified_at IS NOT NULL AND o.suspended_at IS NULL
)
"""


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
    end = "jpg" if found.media_type == "image/jpeg" else "png"
    content = await _drawn(ctx, found.storage_key, found.media_type, f"public/{found.storage_key}.{end}")
    return PublicPicture(content, found.media_type, f"{picture_id}.{end}")


async def _drawn(ctx: Context, key: str, media_type: str, public_key: str) -> bytes:
    """Drawn when it is first asked for, and kept: two who ask at once draw the same."""
    storage = ctx.ports.storage
    try:
        return await _read(storage.get(public_key))
    except FileNotFoundError:
        async with DRAWING:
            content = await asyncio.to_thread(redrawn, await _read(storage.get(key)), media_type)
        if content is None:
            raise NotFound from None
        await storage.put(public_key, _once(content))
        return content


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
