"""Texts that others will read are shown when the platform's content check or a human has passed them (docs/decisions/0170).

    async with transaction(ctx) as tx:
        review = ...                                             # the text is written, and nobody sees it yet
        await content_checks.ask(tx, "review", review.id, text)  # pending; shown at once where there is nothing to check

A feature registers its texts in `SUBJECTS`, and shows them through `text_of` over a row that SHOWN has joined. The platform is
asked by a sweep, between two transactions: no text waits inside one for a network.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from handlers import approvals
from handlers.approvals import Decision, DecisionNotOffered, OwnCase
from handlers.context import Context
from handlers.moves import move
from handlers.ports import Suggest, Verdict
from handlers.transactions import Transaction, row, transaction
from handlers.working_days import due_after
from models.accounts import Platform, Role
from models.approvals import ApprovalKind
from models.content_checks import CHECK_GRAPH, CheckState

COMMENT_SCENE = 2  # 评论
REVIEW_WORKING_DAYS = 2  # of a human
# After the first asking: a platform that is away comes back in minutes, and 61010 ends when its user opens the app again.
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
LEASE = timedelta(minutes=5)  # a worker that died while it asked: another one asks again
PER_MINUTE_MAX = 3_500  # of WeChat's 4,000: the rest is for a second deployment of the same app
RISKY_REASON = "内容安全检测未通过"

Settled = Callable[[Transaction, int, CheckState], Awaitable[None]]
Refused = Callable[[Transaction, Any, str], Awaitable[None]]


async def _nothing_more(_tx: Transaction, _subject_id: int, _state: CheckState) -> None:
    return None


async def _tell_author(tx: Transaction, check: Any, title: str) -> None:
    tx.announce("text_hidden", "content_check", check.id, person_id=check.person_id, title=title, reason=check.reason)


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of text. `parties`: SQL for the organisations that it is about ($1: subject_id); none of their people decides.

    settled: called in the transaction in which the text is passed or hidden, also when that is the one which wrote it. Where it
    changes rows of its feature, whoever decides locks them first: approvals.LOCKED_BEFORE["content_check"].
    refused: tells who wrote it that it was hidden, with the row of the check and the title.
    """

    title: str
    parties: str
    settled: Settled = _nothing_more
    refused: Refused = _tell_author


SUBJECTS: dict[str, Subject] = {}

# For `SELECT ..., {SHOWN} FROM … t {JOIN}`: the columns that `text_of` reads. No row is "nothing to check".
SHOWN = "k.state AS check_state, k.reason AS check_reason"
JOIN = "LEFT JOIN content_checks k ON k.subject = '{subject}' AND k.subject_id = {id}"


def text_of(text: str, found: Any, *, author: bool) -> tuple[str, CheckState]:
    """(text, state) for a reader: anybody but the author gets no word of it before it has passed. `found`: a row with SHOWN."""
    state = found.check_state or CheckState.PASSED
    waiting = state in (CheckState.PENDING, CheckState.IN_REVIEW)
    return (text if author or state == CheckState.PASSED else "", CheckState.PENDING if waiting else CheckState(state))


INSERT = """
INSERT INTO content_checks (subject, subject_id, text, identity_id, person_id, organisation_id, state, tries, next_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, 'pending', 0, $7, $7) RETURNING *
"""
LOCK_OF = "SELECT * FROM content_checks WHERE subject = $1 AND subject_id = $2 FOR UPDATE"
OPEN_ID = "SELECT platform, open_id FROM identities WHERE id = $1"
# The tries and the lease are written before anybody is asked: a worker that dies has used one up, and no two ask at once.
CLAIM = """
WITH due AS (
  SELECT id, identity_id FROM content_checks WHERE state = 'pending' AND next_at <= $1 ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE content_checks c SET tries = c.tries + 1, asked_at = $1, next_at = $3 FROM due LEFT JOIN identities i ON i.id = due.identity_id
WHERE c.id = due.id
RETURNING c.id, c.text, c.tries, c.asked_at, i.open_id
"""
ASKED_LATELY = "SELECT count(*) FROM content_checks WHERE asked_at > $1"
LATER = "UPDATE content_checks SET next_at = $2 WHERE id = $1"


async def ask(tx: Transaction, subject: str, subject_id: int, text: str) -> CheckState:
    """Have the actor's text checked; a newer text of the same subject takes the place of the one before.

    PASSED: it is shown at once, since it is empty or checks are off. Otherwise its row moves on by itself.
    """
    assert subject in SUBJECTS, f"{subject} is not registered in content_checks.SUBJECTS"
    ctx = tx.ctx
    found = await tx.row(LOCK_OF, subject, subject_id)
    unchecked = not text.strip() or not ctx.settings.content_check
    if found is None and unchecked:
        await SUBJECTS[subject].settled(tx, subject_id, CheckState.PASSED)
        return CheckState.PASSED
    if found is None:
        found = await tx.row(
            INSERT, subject, subject_id, text, ctx.actor.identity_id, ctx.person_id, ctx.organisation_id, ctx.now
        )
        tx.record("content_check.asked", "content_check", found.id, after=found.state, of=subject, of_id=subject_id)
    else:
        found = await _changed(tx, found, text)
    if unchecked:
        return await _settle(tx, found, CheckState.PASSED)
    author = await tx.row(OPEN_ID, found.identity_id)
    if author is None or author.platform != Platform.WECHAT:
        return await _to_a_human(tx, found)  # the platform judges its own users only
    return CheckState.PENDING


async def _changed(tx: Transaction, check: Any, text: str) -> Any:
    ctx = tx.ctx
    fresh: dict[str, Any] = {
        "text": text, "identity_id": ctx.actor.identity_id, "person_id": ctx.person_id, "organisation_id": ctx.organisation_id,
        "tries": 0, "next_at": ctx.now, "asked_at": None, "suggest": None, "label": None, "trace_id": None, "reason": None,
        "decided_at": None,
    }
    if check.state == CheckState.PENDING:  # whoever is being asked about the text before answers too late: `asked_at` is gone
        sets = ", ".join(f"{name} = ${position}" for position, name in enumerate(fresh, start=2))
        return await tx.row(f"UPDATE content_checks SET {sets} WHERE id = $1 RETURNING *", check.id, *fresh.values())
    if check.state == CheckState.IN_REVIEW:
        await approvals.withdraw_approval(tx, "content_check", check.id)
    return await move(tx, CHECK_GRAPH, check, CheckState.PENDING, **fresh)


async def withdraw(tx: Transaction, subject: str, subject_id: int) -> None:
    """Nobody needs the text any more: neither the platform nor a human judges it, and nobody reads it. The subject must be locked."""
    found = await tx.row(LOCK_OF, subject, subject_id)
    if found is None or found.state not in (CheckState.PENDING, CheckState.IN_REVIEW):
        return
    if found.state == CheckState.IN_REVIEW:
        await approvals.withdraw_approval(tx, "content_check", found.id)
    await move(tx, CHECK_GRAPH, found, CheckState.WITHDRAWN, next_at=None, decided_at=tx.ctx.now)


async def check_due(ctx: Context, limit: int = 50) -> int:
    """Sweep: ask the platform about what waits, a batch at once. Returns how many it asked about."""
    async with transaction(ctx) as tx:
        due = await _claim(tx, limit)
    verdicts = await asyncio.gather(*(_verdict(ctx, one) for one in due))
    for one, verdict in zip(due, verdicts, strict=True):
        await take_verdict(ctx, one, verdict)
    return len(due)


async def _verdict(ctx: Context, asked: Any) -> Verdict:
    """The platform judges its users' words; whose author has closed the account is judged by a human."""
    if asked.open_id is None:
        return Verdict(Suggest.UNKNOWN)
    return await ctx.ports.content_check.check(asked.open_id, COMMENT_SCENE, asked.text)


async def _claim(tx: Transaction, limit: int) -> list[Any]:
    now = tx.ctx.now
    room = PER_MINUTE_MAX - await tx.value(ASKED_LATELY, now - timedelta(minutes=1))
    return await tx.rows(CLAIM, now, max(0, min(limit, room)), now + LEASE)


async def take_verdict(ctx: Context, asked: Any, verdict: Verdict) -> None:
    """What follows from a verdict, unless the text has changed or somebody else has settled it. `asked`: a row of CLAIM."""
    async with transaction(ctx) as tx:
        await approvals.lock_subject(tx, "content_check", asked.id)
        check = await tx.row("SELECT * FROM content_checks WHERE id = $1", asked.id)
        if check.state != CheckState.PENDING or check.asked_at != asked.asked_at:
            return
        said = {"suggest": verdict.suggest, "label": verdict.label, "trace_id": verdict.trace_id}
        if verdict.suggest is Suggest.UNKNOWN and check.tries <= len(RETRY_AFTER) and asked.open_id is not None:
            await tx.run(LATER, check.id, ctx.now + RETRY_AFTER[check.tries - 1])
        elif verdict.suggest is Suggest.PASS:
            await _settle(tx, check, CheckState.PASSED, **said)
        elif verdict.suggest is Suggest.RISKY:
            await _settle(tx, check, CheckState.HIDDEN, reason=RISKY_REASON, **said)
        else:
            await _to_a_human(tx, check, **said)


async def _settle(tx: Transaction, check: Any, to: CheckState, **changes: Any) -> CheckState:
    settled = await move(tx, CHECK_GRAPH, check, to, next_at=None, decided_at=tx.ctx.now, **changes)
    subject = SUBJECTS[check.subject]
    await subject.settled(tx, check.subject_id, to)
    if to is CheckState.HIDDEN:
        await subject.refused(tx, settled, subject.title)
    return to


async def _to_a_human(tx: Transaction, check: Any, **changes: Any) -> CheckState:
    await move(tx, CHECK_GRAPH, check, CheckState.IN_REVIEW, next_at=None, **changes)
    await approvals.open_approval(
        tx, kind=ApprovalKind.REVIEW, title=f"内容审核：{SUBJECTS[check.subject].title}", subject="content_check", subject_id=check.id,
        organisation_id=check.organisation_id, role=Role.ADMIN,
        region_code=await tx.value("SELECT region_code FROM organisations WHERE id = $1", check.organisation_id), park_id=None,
        submitted_by=check.person_id, due_at=due_after(tx.ctx.now, REVIEW_WORKING_DAYS),
    )
    return CheckState.IN_REVIEW


# --- the human -------------------------------------------------------------------------------------------------------------------


async def decide_text(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, _data: Mapping[str, Any]
) -> None:
    """公布 or 不予公布. Called by `approvals.decide`, which has locked the check. Raises DecisionNotOffered, OwnCase."""
    if decision is Decision.RETURN:
        raise DecisionNotOffered
    check = await tx.row("SELECT * FROM content_checks WHERE id = $1", approval.subject_id)
    if await tx.value(
        f"SELECT 1 FROM memberships WHERE person_id = $1 AND organisation_id IN ({SUBJECTS[check.subject].parties.replace('$1', '$2')})"
        " LIMIT 1", ctx.person_id, check.subject_id,
    ):
        raise OwnCase
    if decision is Decision.APPROVE:
        await _settle(tx, check, CheckState.PASSED)
    else:
        await _settle(tx, check, CheckState.HIDDEN, reason=reason)


async def text_facts(_ctx: Context, approval: Any) -> dict[str, Any]:
    """The text as it waits, and what the platform said of it."""
    check = await row("SELECT * FROM content_checks WHERE id = $1", approval.subject_id)
    return {
        "subject": check.subject, "subject_title": SUBJECTS[check.subject].title, "subject_id": check.subject_id, "text": check.text,
        "suggest": check.suggest, "label": check.label, "trace_id": check.trace_id, "tries": check.tries,
    }


approvals.DECIDERS[ApprovalKind.REVIEW] = decide_text
approvals.DETAILS[ApprovalKind.REVIEW] = text_facts
approvals.SUBJECTS["content_check"] = "content_checks"
