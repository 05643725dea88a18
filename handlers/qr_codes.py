"""QR codes of links, drawn here so that both posters and the bot have the same."""

import io
from typing import Any

import qrcode
from qrcode.image.svg import SvgPathImage


def qr_png(url: str) -> bytes:
    """Black on white, about 300 px; error correction M survives a stamp on a corner."""
    out = io.BytesIO()
    _code(url).make_image().save(out)
    return out.getvalue()


def qr_svg(url: str) -> bytes:
    out = io.BytesIO()
    _code(url).make_image(image_factory=SvgPathImage).save(out)
    return out.getvalue()


def modules(url: str) -> list[list[bool]]:
    """The dark modules with their margin, row by row."""
    matrix: list[list[bool]] = _code(url).get_matrix()
    return matrix


def _code(url: str) -> "qrcode.QRCode[Any]":
    code = qrcode.QRCode(
        error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4,  # four modules of margin: the standard's
    )
    code.add_data(url)
    code.make(fit=True)
    return code
