"""What an institution prints or shows: a poster with its name and the code of the link, as png and svg, and a mini-program code (D08)."""

import asyncio
import io
from enum import StrEnum
from functools import cache
from html import escape
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from pylopdf_fonts_zh_cn import sans_path

from handlers.consultants.inviting import link_of, require_own_token
from handlers.consultants.refusals import PlatformCodeUnavailable
from handlers.context import Context
from handlers.ports import PlatformDownError
from handlers.qr_codes import modules
from handlers.working_days import SHANGHAI

# Points of the svg, pixels of the png: a third of A4 at 150 dpi, and readable on a phone.
WIDTH, HEIGHT = 720, 1000
QR_TOP, QR_SIDE = 330, 480
INK, SOFT, PAPER, BAND = "#1a1a1a", "#595959", "#ffffff", "#0b5394"
NAME_SIZES = (46, 38, 30, 24)  # the largest in which the name fits into two lines
NAME_LINES, MARGIN = 2, 48
DRAWING = asyncio.Semaphore(1)  # a font of 8 MB and 30 ms of a core each
PAGE, SCENE_PURPOSE = "pages/invitations/show", "i"


class PosterKind(StrEnum):
    PNG = "png"
    SVG = "svg"


async def draw_poster(ctx: Context, token: str, kind: PosterKind) -> bytes:
    """For a live invitation of one's own. Raises NotFound."""
    found = await require_own_token(ctx, token)
    ends = found.expires_at.astimezone(SHANGHAI)
    until = f"扫码查看并答复，{ends.month}月{ends.day}日 {ends:%H:%M} 前有效"
    lines = ("诚邀您成为服务顾问", found.display_name, until, "企服券 · 企业服务超市")
    make = png if kind is PosterKind.PNG else svg
    async with DRAWING:
        return await asyncio.to_thread(make, found.institution_name, lines, link_of(ctx, token))


async def draw_platform_code(ctx: Context, token: str) -> bytes:
    """A mini-program code that opens the invitation in WeChat. Raises NotFound, PlatformCodeUnavailable."""
    await require_own_token(ctx, token)
    if ctx.ports.codes is None:
        raise PlatformCodeUnavailable
    try:
        return await ctx.ports.codes.draw(f"{SCENE_PURPOSE}.{token}", PAGE)
    except PlatformDownError as error:
        raise PlatformCodeUnavailable from error


def png(institution: str, lines: tuple[str, str, str, str], link: str) -> bytes:
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, WIDTH, 16), fill=BAND)
    for text, y, size, colour in _texts(institution, lines):
        draw.text((WIDTH / 2, y), text, font=_font(size), fill=colour, anchor="ms")
    dark = modules(link)
    code = Image.new("1", (len(dark), len(dark)), 1)
    code.putdata([0 if cell else 1 for row in dark for cell in row])
    side = QR_SIDE // len(dark) * len(dark)  # modules of one width
    image.paste(code.resize((side, side), Image.Resampling.NEAREST), ((WIDTH - side) // 2, QR_TOP + (QR_SIDE - side) // 2))
    out = io.BytesIO()
    image.quantize(16).save(out, "PNG", optimize=True)
    return out.getvalue()


def svg(institution: str, lines: tuple[str, str, str, str], link: str) -> bytes:
    """Its texts are texts: they can be searched, read aloud and printed at any size."""
    dark = modules(link)
    scale = QR_SIDE / len(dark)
    squares = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(dark) for x, cell in enumerate(row) if cell)
    texts = "".join(
        f'<text x="{WIDTH / 2:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="middle">{escape(text)}</text>'
        for text, y, size, colour in _texts(institution, lines)
    )
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" lang="zh-CN" role="img">'
        f"<title>{escape(institution)}邀请您成为服务顾问</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/><rect width="{WIDTH}" height="16" fill="{BAND}"/>'
        f"<g font-family=\"'Noto Sans SC','Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif\">{texts}</g>"
        f'<path transform="translate({(WIDTH - QR_SIDE) / 2:g} {QR_TOP}) scale({scale:.6f})" fill="{INK}" d="{squares}"/></svg>'
    )
    return drawn.encode()


def _texts(institution: str, lines: tuple[str, str, str, str]) -> list[tuple[str, float, int, str]]:
    """(text, base line, size, colour), from top to bottom."""
    size, name = _fitted(institution)
    heading, whom, until, platform = lines
    placed = [(text, 110 + number * size * 1.3, size, INK) for number, text in enumerate(name)]
    return [*placed, (heading, 240, 34, BAND), (whom, 296, 30, INK), (until, 868, 26, INK), (platform, 940, 22, SOFT)]


def _fitted(name: str) -> tuple[int, list[str]]:
    """A size and the lines of the name; what does not fit even then ends in an ellipsis."""
    for size in NAME_SIZES:
        if len(lines := _wrapped(name, size)) <= NAME_LINES:
            return size, lines
    return size, [*lines[: NAME_LINES - 1], f"{lines[NAME_LINES - 1][:-1]}…"]


def _wrapped(name: str, size: int) -> list[str]:
    lines, font = [""], _font(size)
    for letter in name:
        if font.getlength(lines[-1] + letter) > WIDTH - 2 * MARGIN:
            lines.append("")
        lines[-1] += letter
    return lines


@cache
def _font(size: int) -> Any:
    return ImageFont.truetype(str(sans_path()), size)
