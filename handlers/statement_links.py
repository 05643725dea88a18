"""A statement by link: made in a conversation, fetched once within ten minutes by whoever holds it (decision 0192)."""

import hashlib
import secrets
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, TypedDict

from handlers import statements
from handlers.context import Actor, Context
from handlers.refusals import NotFound
from handlers.statements import Period
from handlers.transactions import Transaction, transaction
from models.accounts import Role

LIVES = timedelta(minutes=10)
TOKEN_BYTES = 24  # 192 bits: nobody guesses one in ten minutes

MAKE = """
INSERT INTO statement_links (token_hash, person_id, membership_id, organisation_id, since, before, kind, made_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id
"""
# Looked at and used up in one statement: of two that come at once one finds it. Who left the organisation takes nothing of it away.
USE = """
UPDATE statement_links l SET used_at = $2 FROM memberships m
WHERE l.token_hash = $1 AND l.used_at IS NULL AND l.expires_at > $2 AND m.id = l.membership_id AND m.state = 'active'
RETURNING l.*, m.role
"""
FORGET = """
DELETE FROM statement_links WHERE id IN (
  SELECT id FROM statement_links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


class StatementLinkView(TypedDict):
    """`path` is below the public address. The token is in this answer and nowhere else."""

    path: str
    since: date
    before: date
    kind: str
    expires_at: datetime


async def make_statement_link(ctx: Context, period: Period, kind: str) -> StatementLinkView:
    """A link to the acting organisation's statement as `xlsx` or `pdf`. Raises PeriodWrong, PeriodNotOver."""
    period.instants(ctx)
    token, expires_at = secrets.token_urlsafe(TOKEN_BYTES), ctx.now + LIVES
    async with transaction(ctx) as tx:
        made = await tx.value(
            MAKE, token_hash(token), ctx.person_id, ctx.membership_id, ctx.organisation_id, period.since, period.before, kind, ctx.now,
            expires_at,
        )
        asked = {"kind": kind, "since": period.since.isoformat(), "before": period.before.isoformat()}
        tx.record("statement_link.made", "statement_link", made, **asked)
        return {"path": f"/api/v1/statement-links/{token}", "since": period.since, "before": period.before, "kind": kind,
                "expires_at": expires_at}


async def fetch_statement(ctx: Context, token: str) -> tuple[bytes, str, str]:
    """(content, file name, kind), once. Raises NotFound: unknown, used and expired are the same; Busy, StatementTooLong.

    A file that could not be made leaves the link as it was.
    """
    async with transaction(ctx) as tx:
        link = await use(tx, token)
        tx.record("statement_link.used", "statement_link", link.id)
    holder = Actor(
        role=Role(link.role), person_id=link.person_id, membership_id=link.membership_id, organisation_id=link.organisation_id
    )
    reader = replace(ctx, actor=holder)
    try:
        subject = await statements.own_subject(reader)
        content, name = await statements.statement_file(reader, subject, Period(link.since, link.before), link.kind)
    except BaseException:
        async with transaction(ctx) as tx:
            await tx.run("UPDATE statement_links SET used_at = NULL WHERE id = $1", link.id)
        raise
    return content, name, str(link.kind)


async def use(tx: Transaction, token: str) -> Any:
    link = await tx.row(USE, token_hash(token), tx.ctx.now)
    if link is None:
        raise NotFound
    return link


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def forget_links(ctx: Context, limit: int = 1_000) -> int:
    """Sweep: links that can no longer be used; the audit trail keeps that they were made and used."""
    async with transaction(ctx) as tx:
        return await tx.run(FORGET, ctx.now, limit)
