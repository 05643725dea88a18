"""A process of its own that turns a document into an xlsx or pdf file: JSON in at stdin, the file out at stdout.

    python -m handlers.document_maker xlsx < document.json > statement.xlsx

A long statement keeps a core busy for seconds and takes hundreds of megabytes: here it slows no request down, and the memory
goes back with the process. It gets no settings, no secrets and no network.

document: {title, holder, digest, note, tables: {name: {title, header, money: [column], right: [column], rows}}}; cells are
strings, integers or null, and fen in the columns of `money`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handlers.money import grouped_yuan
from handlers.spreadsheets import CREATED, Yuan, clean, write_xlsx

TEMPLATE = Path(__file__).parent / "statements" / "statement.typ"


def make_xlsx(document: dict[str, Any]) -> bytes:
    """One sheet for each table."""
    return write_xlsx(
        {part["title"]: (part["header"], _rows(part)) for part in document["tables"].values()},
        {"title": document["title"], "author": "企服券", "comments": f"SHA-256 {document['digest']}"},
    )


def _rows(part: dict[str, Any]) -> Iterator[list[Any]]:
    return (_cells(part, row) for row in part["rows"])


def _cells(part: dict[str, Any], row: list[Any]) -> list[Any]:
    for column in part["money"]:
        if row[column] is not None:
            row[column] = Yuan(row[column])
    return row


def make_pdf(document: dict[str, Any]) -> bytes:
    """A4, with page numbers and the digest on every page; the only font is the one that comes with the system."""
    import typst
    from pylopdf_fonts_zh_cn import sans_path

    for part in document["tables"].values():
        part["rows"] = [[_printed(cell) for cell in _cells(part, row)] for row in part["rows"]]
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[sans_path().parent])
    return typst.compile(
        TEMPLATE.read_bytes(), font_paths=fonts, ignore_system_fonts=True, sys_inputs={"data": json.dumps(document)},
        timestamp=int(CREATED.timestamp()),
    )


def _printed(cell: object) -> str:
    if isinstance(cell, Yuan):
        return grouped_yuan(cell.fen)
    return "" if cell is None else clean(str(cell))


MAKERS = {"xlsx": make_xlsx, "pdf": make_pdf}

if __name__ == "__main__":
    sys.stdout.buffer.write(MAKERS[sys.argv[1]](json.load(sys.stdin.buffer)))
