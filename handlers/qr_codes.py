"""QR codes of links, as the posters and pages of invitations and badges draw them."""

from typing import Any

import qrcode


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
