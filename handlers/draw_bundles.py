"""What everybody may read of a draw: the commitment once it is made, the reveal from the publicity time on (F01, E18)."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, TypedDict

import orjson

from handlers.context import Context
from handlers.draw_rules import DrawSource
from handlers.paging import CursorUnknown, Page, PageView, page_of
from handlers.refusals import NotFound
from handlers.rounds import SELECT
from handlers.transactions import row, rows
from models.reservations import RoundState

PIECES_AT_ONCE = 20  # about 2 MB of lines


class CommitmentView(TypedDict):
    """Part 1 of docs/draw.md without the ticket lines."""

    rules_version: str
    round_no: str
    committed_at: str
    ticket_count: int
    list_digest: str
    quotas: dict[str, int]
    quotas_digest: str
    alternates: dict[str, int]
    officer_commitment: str
    witness_commitment: str
    sources: list[DrawSource]
    commitment_digest: str


class RevealView(TypedDict):
    """Part 2 without the ticket numbers, which are in the bundle."""

    officer_secret: str
    witness_secret: str
    public_value: str
    seed: str
    winners: dict[str, int]
    alternates: dict[str, int]


class DrawView(TypedDict):
    round_id: int
    number: str
    state: RoundState
    committed_at: datetime | None
    drawn_at: datetime | None
    draw_secrets: list[str]
    commitment: CommitmentView | None
    reveal: RevealView | None


class TicketLineView(TypedDict):
    """A line as it was hashed: ticket number, voucher type code, entry digest, wins left."""

    line: str


async def get_draw(ctx: Context, round_id: int) -> DrawView:
    """Where the draw of an announced round stands. Raises NotFound, also where there is none."""
    found = await row(SELECT + " WHERE r.id = $1 AND r.allocation = 'lottery'", round_id)
    if found is None or found.state == RoundState.DRAFT:
        raise NotFound
    draw = await row("SELECT * FROM draws WHERE round_id = $1", round_id)
    shown = draw is not None and _is_public(ctx, found, draw)
    return {
        "round_id": round_id, "number": found.number, "state": found.state, "draw_secrets": found.draw_secrets,
        "committed_at": draw and draw.committed_at, "drawn_at": draw and draw.drawn_at,
        "commitment": _commitment_view(draw.commitment) if draw else None,
        "reveal": _reveal_view(draw.reveal) if shown else None,
    }


def _is_public(ctx: Context, round_: Any, draw: Any) -> bool:
    """Ticket numbers that won are results: before the publicity time a holder could look the own one up (E18)."""
    return draw.reveal is not None and bool(ctx.now >= round_.publicity_at)


def _commitment_view(part: dict[str, Any]) -> CommitmentView:
    view: CommitmentView = {name: part[name] for name in CommitmentView.__annotations__}  # type: ignore[assignment]
    return view


def _reveal_view(reveal: dict[str, Any]) -> RevealView:
    results = reveal["results"].items()
    return {
        "officer_secret": reveal["officer_secret"], "witness_secret": reveal["witness_secret"],
        "public_value": reveal["public_value"], "seed": reveal["seed"],
        "winners": {code: len(result["winners"]) for code, result in results},
        "alternates": {code: len(result["alternates"]) for code, result in results},
    }


# A page has at most a hundred lines and a piece a thousand, so the piece of `after` and the next one hold it.
LINES = """
SELECT t.line FROM draw_lists l CROSS JOIN LATERAL string_to_table(l.lines, E'\\n') AS t (line)
WHERE l.round_id = $1 AND l.number - coalesce(
  (SELECT max(number) FROM draw_lists WHERE round_id = $1 AND first_ticket <= $2 COLLATE "C"), 0) IN (0, 1)
  AND ($2::text IS NULL OR split_part(t.line, '|', 1) > $2 COLLATE "C")
ORDER BY t.line COLLATE "C" LIMIT $3
"""


async def list_tickets(_ctx: Context, round_id: int, page: Page) -> PageView[TicketLineView]:
    """The committed list in its order; empty before the commitment."""
    key = page.key(str)
    if key and not re.fullmatch("R[0-9]{1,12}-[0-9]{8}", key[0]):
        raise CursorUnknown
    found = await rows(LINES, round_id, key[0] if key else None, page.limit + 1)
    return page_of(found, page, lambda each: TicketLineView(line=each.line), lambda each: [each.line.partition("|")[0]])


async def bundle(ctx: Context, round_id: int) -> AsyncIterator[bytes]:
    """The file that `verify_draw.py` checks, in chunks. Raises NotFound before the commitment."""
    found = await row(
        "SELECT d.commitment, d.reveal, r.publicity_at FROM draws d JOIN rounds r ON r.id = d.round_id WHERE d.round_id = $1", round_id
    )
    if found is None:
        raise NotFound
    return _chunks(round_id, found.commitment, found.reveal if _is_public(ctx, found, found) else None)


async def _chunks(round_id: int, part: dict[str, Any], reveal: dict[str, Any] | None) -> AsyncIterator[bytes]:
    head = {name: value for name, value in part.items() if name != "tickets"}
    yield b'{"commitment":' + orjson.dumps(head)[:-1] + b',"tickets":['
    number = 0
    while pieces := await rows(
        "SELECT lines FROM draw_lists WHERE round_id = $1 AND number >= $2 AND number < $3 ORDER BY number",
        round_id, number, number + PIECES_AT_ONCE,
    ):
        text = b",".join(orjson.dumps(piece.lines.split("\n"))[1:-1] for piece in pieces)
        yield (b"," if number else b"") + text
        number += PIECES_AT_ONCE
    yield b']},"reveal":' + orjson.dumps(reveal) + b"}"
