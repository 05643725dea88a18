"""Tables as files that a finance department opens: whatever people typed, no cell of them is a formula (F07).

A name such as `=HYPERLINK(...)` that a spreadsheet program obeys would run with the rights of whoever checks the payout.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO, StringIO
from typing import Any

from xlsxwriter import Workbook

from handlers.money import yuan

# What XML or a reader cannot take, and the marks that turn the direction of writing, so that a name shows as another.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
# Spreadsheet programs take a cell of a csv for a formula by its first character; some take the wide forms too.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TEXT_MAX = 32_767  # characters of one cell; the format has no more
ROWS_MAX = 1_048_576  # of one sheet
# Both kinds of file are the same bytes whenever they are made.
CREATED = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Yuan:
    """An amount of money, in fen, shown in yuan: a number in a workbook, plain digits in a csv."""

    fen: int

    def __str__(self) -> str:
        return yuan(self.fen)


Cell = str | int | Yuan | None
Table = tuple[Sequence[str], Iterable[Sequence[Cell]]]  # header, rows


def clean(text: str) -> str:
    """Text without the characters that no file can carry, cut to what a cell holds."""
    return UNPRINTABLE.sub("", text)[:TEXT_MAX]


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """UTF-8 with a byte order mark, CRLF. Texts that a spreadsheet program would take for formulas get an apostrophe in front."""
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([_harmless(title) for title in header])
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _harmless(cell: Cell) -> str:
    if not isinstance(cell, str):
        return "" if cell is None else str(cell)
    text = clean(cell)
    # Readers that trim a cell would find the formula behind the blanks.
    return f"'{text}" if text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS) else text


def write_xlsx(sheets: Mapping[str, Table], properties: Mapping[str, str] | None = None) -> bytes:
    """A workbook, printable on A4 with page numbers. Every text is a text cell; the same sheets give the same bytes.

    sheets: title -> (header, rows); rows may be a generator, one row is in memory at a time. At most ROWS_MAX - 1 rows.
    properties: of the document, such as `title` and `comments`.
    """
    out = BytesIO()
    with Workbook(out, {
        "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    }) as book:
        book.set_properties({**(properties or {}), "created": CREATED.replace(tzinfo=None)})
        bold, money = book.add_format({"bold": True, "text_wrap": True}), book.add_format({"num_format": "#,##0.00"})
        for title, (header, rows) in sheets.items():
            sheet = book.add_worksheet(_sheet_title(title))
            _lay_out(sheet, header)
            for column, text in enumerate(header):
                sheet.write_string(0, column, _inert(text), bold)
            for number, row in enumerate(rows, start=1):
                _write_row(sheet, number, row, money)
    return out.getvalue()


def _sheet_title(title: str) -> str:
    return re.sub(r"[\[\]:*?/\\']", " ", clean(title))[:31]


def _lay_out(sheet: Any, header: Sequence[str]) -> None:
    for column, text in enumerate(header):
        sheet.set_column(column, column, max(14, 2 * len(text) + 4))
    sheet.freeze_panes(1, 0)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.set_footer("&C第 &P 页，共 &N 页")


def _write_row(sheet: Any, number: int, row: Sequence[Cell], money: Any) -> None:
    assert number < ROWS_MAX, "a sheet has no more rows"
    for column, cell in enumerate(row):
        if isinstance(cell, Yuan):
            sheet.write_number(number, column, cell.fen / 100, money)  # exact to the fen below 90 trillion yuan
        elif isinstance(cell, int):
            sheet.write_number(number, column, cell)
        elif cell:
            sheet.write_string(number, column, _inert(cell))


def _inert(text: str) -> str:
    text = clean(text)
    # In constant memory the writer puts what looks like its own rich text into the sheet as it is: a closing tag of a
    # stranger's would end our cell and begin another.
    return f"{text} " if text.endswith("</r>") else text
