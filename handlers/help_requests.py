"""转人工: who asks for a human waits in a queue of their division, with the last lines of the conversation (decision 0213)."""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Any, TypedDict

import orjson

from handlers.approvals import reach_of
from handlers.context import Context
from handlers.paging import Page, PageView, page_of
from handlers.personal import mask_email, open_sealed, seal
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import Transaction, changed, row, rows, transaction
from handlers.working_days import due_after
from models.accounts import Role

LINES_MAX, LINE_CHARACTERS_MAX = 5, 200
REMEMBERED = timedelta(minutes=30)
ANSWER_CHARACTERS_MAX = 480  # a notice has 500
ANSWERED_WITHIN_DAYS = 1  # working days after the day of asking

EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+")
LONG_NUMBER = re.compile(r"[0-9](?:[ -]?[0-9]){5,}")  # a phone, an account, an identity card, a code

LINES = "SELECT lines FROM talk_lines WHERE identity_id = $1 AND said_at > $2"
REMEMBER = """
INSERT INTO talk_lines (identity_id, lines, said_at) VALUES ($1, $2, $3)
ON CONFLICT (identity_id) DO UPDATE SET lines = EXCLUDED.lines, said_at = EXCLUDED.said_at
"""
FORGET = """
DELETE FROM talk_lines WHERE id IN (
  SELECT id FROM talk_lines WHERE said_at <= $1 ORDER BY said_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
# One open request of a person: whoever asks again is in the queue already.
ASK = """
INSERT INTO help_requests (person_id, organisation_id, region_code, lines, asked_at, due_at)
VALUES ($1, $2, (SELECT region_code FROM organisations WHERE id = $2), $3, $4, $5)
ON CONFLICT (person_id) WHERE answered_at IS NULL DO NOTHING
RETURNING id, region_code, due_at, (SELECT name FROM organisations WHERE id = $2) AS applicant
"""
OPEN_OF = "SELECT id, due_at FROM help_requests WHERE person_id = $1 AND answered_at IS NULL"
# $1 what the codes of the administrator's division begin with.
REACH = "($1::text IS NULL OR starts_with(h.region_code, $1))"
SHOWN = "SELECT h.*, o.name AS organisation_name FROM help_requests h LEFT JOIN organisations o ON o.id = h.organisation_id"
LIST = f"{SHOWN} WHERE {REACH} AND h.answered_at IS NULL AND h.id > $2 ORDER BY h.id LIMIT $3"
LOCK = f"SELECT h.* FROM help_requests h WHERE {REACH} AND h.id = $2 FOR UPDATE"
ANSWERED = "UPDATE help_requests SET answer = $2, answered_by_id = $3, answered_at = $4, lines = NULL WHERE id = $1"


class HelpAnswered(Refusal):
    kind, code, title = Kind.CONFLICT, "help_answered", "该咨询已由他人答复"


class OwnHelpRequest(Refusal):
    kind, code, title = Kind.FORBIDDEN, "own_help_request", "不能答复本人的咨询"


class AskedView(TypedDict):
    """`is_new` false: the request that is open already."""

    id: int
    due_at: datetime
    is_new: bool


class HelpRequestView(TypedDict):
    """`lines`: what was said before, oldest first, numbers masked."""

    id: int
    organisation_name: str | None
    region_code: str | None
    lines: list[str]
    asked_at: datetime
    due_at: datetime
    is_late: bool


class HelpAnswerView(TypedDict):
    id: int
    answered_at: datetime


def scrubbed(text: str) -> str:
    """One line without what identifies: of addresses and long numbers only the end is left, by which an order is still found."""
    plain = " ".join(unicodedata.normalize("NFKC", text).split())
    plain = EMAIL.sub(lambda found: mask_email(found[0]), plain)
    return LONG_NUMBER.sub(_masked, plain)[:LINE_CHARACTERS_MAX]


def _masked(found: re.Match[str]) -> str:
    digits = re.sub("[ -]", "", found[0])
    return "****" + (digits[-4:] if len(digits) >= 8 else "")


async def remember_line(ctx: Context, text: str) -> None:
    """The acting identity said this. The last five things of half an hour are kept, scrubbed and sealed."""
    lines = [*await _lines(ctx), scrubbed(text)][-LINES_MAX:]
    await changed(REMEMBER, ctx.actor.identity_id, seal(ctx.settings, orjson.dumps(lines).decode()), ctx.now)


async def _lines(ctx: Context) -> list[str]:
    found = await row(LINES, ctx.actor.identity_id, ctx.now - REMEMBERED)
    return _opened(ctx, found.lines if found is not None else None)


def _opened(ctx: Context, sealed: bytes | None) -> list[str]:
    lines: list[str] = orjson.loads(open_sealed(ctx.settings, sealed)) if sealed is not None else []
    return lines


async def ask_for_help(ctx: Context) -> AskedView:
    """Put the acting person into the queue of their organisation's division, and tell its administrators. Asked again: the same one."""
    lines = await _lines(ctx)
    async with transaction(ctx) as tx:
        due_at = due_after(ctx.now, ANSWERED_WITHIN_DAYS)
        sealed = seal(ctx.settings, orjson.dumps(lines).decode()) if lines else None
        asked = await tx.row(ASK, ctx.person_id, ctx.actor.organisation_id, sealed, ctx.now, due_at)
        if asked is None:
            found = await tx.row(OPEN_OF, ctx.person_id)
            return tx.reply(AskedView(id=found.id, due_at=found.due_at, is_new=False))
        tx.record("help_request.asked", "help_request", asked.id, after="open")
        tx.announce(
            "application_received", "help_request", asked.id, role=Role.ADMIN, region_code=asked.region_code, title=f"人工咨询 #{asked.id}",
            applicant=asked.applicant,
        )
        return tx.reply(AskedView(id=asked.id, due_at=asked.due_at, is_new=True))


async def list_help_requests(ctx: Context, page: Page) -> PageView[HelpRequestView]:
    """Who waits in the administrator's division, the longest first."""
    after = (page.key() or [0])[0]
    found = await rows(LIST, reach_of(ctx.actor)[1], after, page.limit + 1)
    return page_of(found, page, lambda each: _view(ctx, each), lambda each: [each.id])


def _view(ctx: Context, each: Any) -> HelpRequestView:
    return {
        "id": each.id, "organisation_name": each.organisation_name, "region_code": each.region_code, "lines": _opened(ctx, each.lines),
        "asked_at": each.asked_at, "due_at": each.due_at, "is_late": ctx.now > each.due_at,
    }


async def answer_help_request(ctx: Context, request_id: int, answer: str) -> HelpAnswerView:
    """Answer once: the person is told where notices go, and what was said is forgotten. Raises NotFound, OwnHelpRequest, HelpAnswered."""
    async with transaction(ctx) as tx:
        asked = await _lock(ctx, tx, request_id)
        if asked.person_id == ctx.person_id:
            raise OwnHelpRequest
        if asked.answered_at is not None:
            raise HelpAnswered
        await tx.run(ANSWERED, request_id, answer, ctx.person_id, ctx.now)
        tx.record("help_request.answered", "help_request", request_id, before="open", after="answered")
        tx.announce("bot_answer", "help_request", request_id, person_id=asked.person_id, answer=answer)
        return tx.reply(HelpAnswerView(id=request_id, answered_at=ctx.now))


async def _lock(ctx: Context, tx: Transaction, request_id: int) -> Any:
    found = await tx.row(LOCK, reach_of(ctx.actor)[1], request_id)
    if found is None:
        raise NotFound
    return found


async def forget_lines(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: what was said half an hour ago. Returns how many were forgotten."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now - REMEMBERED, limit)
