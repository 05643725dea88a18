"""Paying out what was approved (K5, K6): a batch is made by one officer, confirmed by another, and answered line by line.

The money moves in the ledger when the bank says it has moved, not when the file is made.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from handlers.context import Context
from handlers.money import yuan
from handlers.moves import move
from handlers.paging import Page, PageView, page_of
from handlers.personal import mask_account, open_sealed
from handlers.refusals import Kind, NotFound, Refusal, SecondPersonNeeded
from handlers.regions import prefix_of
from handlers.spreadsheets import write_csv, write_xlsx
from handlers.transactions import Transaction, row, rows, transaction
from handlers.working_days import SHANGHAI
from models.redemptions import BATCH_GRAPH, LINE_GRAPH, REDEMPTION_GRAPH, BatchState, LineState, RedemptionState

LINES_MAX = 10_000  # what the banks' batch transfer takes in one file


class NothingToPayOut(Refusal):
    kind, code, title = Kind.CONFLICT, "nothing_to_pay_out", "没有可兑付的申请"


class BatchStateWrong(Refusal):
    kind, code, title = Kind.CONFLICT, "batch_state_wrong", "兑付批次当前状态不能进行此操作"


class FrozenInBatch(Refusal):
    """O13. `data.redemption_ids` (20 at most): a draft is cancelled and made anew without them, a confirmed line answered as bounced."""

    kind, code, title = Kind.CONFLICT, "frozen_in_batch", "批次中有正在核实的订单，暂不能划拨"


class AnswersWrong(Refusal):
    """`data.lines`: ids that are not waiting lines of this batch, or that are answered twice."""

    kind, code, title = Kind.INVALID, "answers_wrong", "回单中有不属于本批次、已处理或重复的明细"


class AnswersIncomplete(Refusal):
    """K5: what was paid has the bank's reference, what came back a reason. `data.lines`: ids of the lines without."""

    kind, code, title = Kind.INVALID, "answers_incomplete", "已划拨的明细须填写银行流水号，退回的明细须填写原因"


class BatchView(TypedDict):
    id: int
    number: str
    programme_id: int
    state: str
    lines: int
    total_fen: int
    file_digest: str | None
    made_at: datetime
    confirmed_at: datetime | None
    settled_at: datetime | None


class LineView(TypedDict):
    """The account is masked, and null when its ten years are over; the bank file has it whole."""

    id: int
    redemption_id: int
    redemption_number: str
    institution: str
    fen: int
    account_name: str
    bank_branch: str
    bank_account: str | None
    state: str
    bank_reference: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bank said of a line: paid with its reference, or bounced with a reason."""

    line_id: int
    paid: bool
    bank_reference: str
    reason: str


def view(batch: Any) -> BatchView:
    return {
        "id": batch.id, "number": batch.number, "programme_id": batch.programme_id, "state": batch.state, "lines": batch.lines,
        "total_fen": batch.total_fen, "file_digest": batch.file_digest, "made_at": batch.made_at, "confirmed_at": batch.confirmed_at,
        "settled_at": batch.settled_at,
    }


async def lock_batch(ctx: Context, tx: Transaction, batch_id: int) -> Any:
    """A batch of a programme in the officer's jurisdiction. Raises NotFound."""
    found = await tx.row(
        "SELECT b.* FROM payout_batches b JOIN programmes p ON p.id = b.programme_id WHERE b.id = $1 AND starts_with(p.region_code, $2)"
        " FOR UPDATE OF b", batch_id, reach(ctx),
    )
    if found is None:
        raise NotFound
    return found


def reach(ctx: Context) -> str:
    """What the region codes of the officer's programmes begin with; an officer without a division reaches none."""
    return prefix_of(ctx.actor.region_code) if ctx.actor.region_code else "-"


# Oldest first; what is frozen or disputed, or has no account to go to, stays where it is.
FILL = """
WITH chosen AS (
  SELECT r.id, r.payable_fen, i.bank_account_name, i.bank_branch, i.bank_account
  FROM redemptions r JOIN institutions i ON i.organisation_id = r.institution_id JOIN orders o ON o.id = r.order_id
  WHERE r.programme_id = $2 AND r.state = 'pre_redeemed' AND r.payable_fen > 0 AND o.frozen_at IS NULL AND o.disputed_at IS NULL
    AND i.bank_account IS NOT NULL AND i.bank_account_name IS NOT NULL AND i.bank_branch IS NOT NULL
    AND ($5::bigint[] IS NULL OR r.id = ANY($5))
  ORDER BY r.decided_at, r.id LIMIT $3 FOR UPDATE OF r SKIP LOCKED
), moved AS (
  UPDATE redemptions r SET state = 'in_batch' FROM chosen c WHERE r.id = c.id RETURNING r.id
), recorded AS (
  INSERT INTO audit_entries (at, person_id, organisation_id, role, action, subject, subject_id, before, after, data, request_id)
  SELECT $4, $6, $7, $8, 'redemption.batched', 'redemption', id, 'pre_redeemed', 'in_batch', jsonb_build_object('batch_id', $1::bigint), $9
  FROM moved
), written AS (
  INSERT INTO payout_lines (batch_id, redemption_id, fen, account_name, bank_branch, bank_account, state)
  SELECT $1, id, payable_fen, bank_account_name, bank_branch, bank_account, 'pending' FROM chosen ORDER BY id RETURNING fen
)
SELECT count(*)::int AS lines, coalesce(sum(fen), 0)::bigint AS fen FROM written
"""


async def draft_batch(ctx: Context, programme_id: int, redemption_ids: Sequence[int] | None = None) -> BatchView:
    """Put what waits for the treasury into a batch, oldest first, up to LINES_MAX. Raises NotFound, NothingToPayOut."""
    REDEMPTION_GRAPH.event(RedemptionState.PRE_REDEEMED, RedemptionState.IN_BATCH)
    async with transaction(ctx) as tx:
        if not await tx.value(
            "SELECT 1 FROM programmes WHERE id = $1 AND starts_with(region_code, $2) FOR SHARE", programme_id, reach(ctx)
        ):
            raise NotFound
        number = ctx.now.astimezone(SHANGHAI).strftime("DF%Y%m%d%H%M%S") + f"{secrets.randbelow(10**8):08d}"
        batch_id = await tx.value(
            "INSERT INTO payout_batches (number, programme_id, state, lines, total_fen, made_by_id, made_at)"
            " VALUES ($1,$2,'draft',0,0,$3,$4) RETURNING id", number, programme_id, ctx.person_id, ctx.now,
        )
        filled = await tx.row(
            FILL, batch_id, programme_id, LINES_MAX, ctx.now, list(redemption_ids) if redemption_ids is not None else None,
            ctx.person_id, ctx.organisation_id, str(ctx.actor.role), ctx.request_id,
        )
        if not filled.lines:
            raise NothingToPayOut
        batch = await tx.row(
            "UPDATE payout_batches SET lines = $2, total_fen = $3 WHERE id = $1 RETURNING *", batch_id, filled.lines, filled.fen
        )
        tx.record("payout_batch.drafted", "payout_batch", batch_id, after="draft", lines=filled.lines, total_fen=filled.fen)
        return tx.reply(view(batch))


# Locked against a freeze at the same moment, and looked at behind the lock: a subquery would be filtered before it.
FROZEN = """
WITH locked AS MATERIALIZED (
  SELECT r.id, o.frozen_at FROM payout_lines l JOIN redemptions r ON r.id = l.redemption_id JOIN orders o ON o.id = r.order_id
  WHERE l.batch_id = $1 AND l.state = 'pending' ORDER BY o.id FOR SHARE OF o
)
SELECT id FROM locked WHERE frozen_at IS NOT NULL ORDER BY id
"""


async def _refuse_frozen(tx: Transaction, batch_id: int) -> None:
    if found := await tx.rows(FROZEN, batch_id):
        raise FrozenInBatch(redemption_ids=[redemption.id for redemption in found[:20]])


async def confirm_batch(ctx: Context, batch_id: int) -> BatchView:
    """By another officer than its maker; from now on the bank file may be taken.

    Raises NotFound, BatchStateWrong, SecondPersonNeeded, FrozenInBatch.
    """
    async with transaction(ctx) as tx:
        batch = await lock_batch(ctx, tx, batch_id)
        if batch.state != BatchState.DRAFT:
            raise BatchStateWrong(state=batch.state)
        if batch.made_by_id == ctx.person_id:
            raise SecondPersonNeeded
        await _refuse_frozen(tx, batch.id)
        digest = await tx.value(DIGEST, batch.id)
        return tx.reply(view(await move(
            tx, BATCH_GRAPH, batch, BatchState.CONFIRMED, note={"digest": digest}, checked_by_id=ctx.person_id, confirmed_at=ctx.now,
            file_digest=digest,
        )))


DIGEST = """
SELECT encode(sha256(convert_to(
  string_agg(id || '|' || fen || '|' || account_name || '|' || encode(bank_account, 'hex'), E'\\n' ORDER BY id), 'UTF8')), 'hex')
FROM payout_lines WHERE batch_id = $1
"""
UNDO = """
WITH back AS (
  UPDATE payout_lines SET state = 'cancelled', answered_at = $2 WHERE batch_id = $1 AND state = 'pending' RETURNING redemption_id
), moved AS (
  UPDATE redemptions r SET state = 'pre_redeemed' FROM back WHERE r.id = back.redemption_id RETURNING r.id
)
INSERT INTO audit_entries (at, person_id, organisation_id, role, action, subject, subject_id, before, after, data, request_id)
SELECT $2, $3, $4, $5, 'redemption.unbatched', 'redemption', id, 'in_batch', 'pre_redeemed', '{}', $6 FROM moved
"""


async def cancel_batch(ctx: Context, batch_id: int) -> BatchView:
    """Undo a batch that nobody has confirmed. Raises NotFound, BatchStateWrong."""
    REDEMPTION_GRAPH.event(RedemptionState.IN_BATCH, RedemptionState.PRE_REDEEMED)
    async with transaction(ctx) as tx:
        batch = await lock_batch(ctx, tx, batch_id)
        if batch.state != BatchState.DRAFT:
            raise BatchStateWrong(state=batch.state)
        await tx.run(UNDO, batch.id, ctx.now, ctx.person_id, ctx.organisation_id, str(ctx.actor.role), ctx.request_id)
        return tx.reply(view(await move(tx, BATCH_GRAPH, batch, BatchState.CANCELLED)))


# --- the bank's answer -----------------------------------------------------------------------------------------------------

# One statement for paid and bounced lines: states, audit rows, ledger entries and events of the same set.
ANSWER = """
WITH given AS (
  SELECT * FROM unnest($2::bigint[], $3::boolean[], $4::varchar[], $5::varchar[]) AS g(line_id, paid, bank_reference, reason)
), answered AS (
  UPDATE payout_lines l SET state = CASE WHEN g.paid THEN 'paid' ELSE 'bounced' END, bank_reference = nullif(g.bank_reference, ''),
    reason = nullif(g.reason, ''), answered_at = $6
  FROM given g WHERE l.id = g.line_id AND l.batch_id = $1 AND l.state = 'pending'
  RETURNING l.id, l.redemption_id, l.fen, g.paid, g.reason
), moved AS (
  UPDATE redemptions r SET state = CASE WHEN a.paid THEN 'redeemed' ELSE 'pre_redeemed' END, paid_at = CASE WHEN a.paid THEN $6 END
  FROM answered a WHERE r.id = a.redemption_id RETURNING r.id, r.order_id, r.institution_id, r.state, a.fen, a.paid, a.reason
), recorded AS (
  INSERT INTO audit_entries (at, person_id, organisation_id, role, action, subject, subject_id, before, after, data, request_id)
  SELECT $6, $7, $8, $9, CASE WHEN paid THEN 'redemption.paid_out' ELSE 'redemption.unbatched' END, 'redemption', id, 'in_batch', state,
         jsonb_build_object('fen', fen, 'reason', reason), $10 FROM moved
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
  SELECT e.programme_id, e.lot_id, e.order_id, e.organisation_id, e.institution_id, 'pay_out', 'pre_redeemed', 'paid', e.fen, $6
  FROM moved m JOIN ledger_entries e ON e.order_id = m.order_id AND e.kind = 'pre_redeem' WHERE m.paid
), told AS (
  INSERT INTO events (kind, organisation_id, subject, subject_id, data, created_at)
  SELECT 'payout_result', m.institution_id, 'redemption', m.id,
         jsonb_build_object('number', o.number, 'service', o.product_name, 'paid', m.paid, 'payable_fen', m.fen, 'reason', m.reason), $6
  FROM moved m JOIN orders o ON o.id = m.order_id
)
SELECT id FROM answered
"""


async def answer_lines(ctx: Context, batch_id: int, answers: Sequence[Answer]) -> BatchView:
    """Enter the bank's answer for some lines; the batch is settled with its last.

    Raises NotFound, BatchStateWrong, AnswersWrong, AnswersIncomplete.
    """
    for state in (RedemptionState.REDEEMED, RedemptionState.PRE_REDEEMED):
        REDEMPTION_GRAPH.event(RedemptionState.IN_BATCH, state)
    for state_of_line in (LineState.PAID, LineState.BOUNCED):
        LINE_GRAPH.event(LineState.PENDING, state_of_line)
    async with transaction(ctx) as tx:
        batch = await lock_batch(ctx, tx, batch_id)
        if batch.state != BatchState.CONFIRMED:
            raise BatchStateWrong(state=batch.state)
        _refuse_unclear(answers)
        answered = await tx.rows(
            ANSWER, batch.id, [each.line_id for each in answers], [each.paid for each in answers],
            [each.bank_reference for each in answers], [each.reason for each in answers], ctx.now, ctx.person_id, ctx.organisation_id,
            str(ctx.actor.role), ctx.request_id,
        )
        if wrong := sorted({each.line_id for each in answers} - {line.id for line in answered}):
            raise AnswersWrong(lines=wrong[:20])
        if not await tx.value("SELECT 1 FROM payout_lines WHERE batch_id = $1 AND state = 'pending' LIMIT 1", batch.id):
            batch = await move(tx, BATCH_GRAPH, batch, BatchState.SETTLED, settled_at=ctx.now)
        return tx.reply(view(batch))


def _refuse_unclear(answers: Sequence[Answer]) -> None:
    """One line, one answer: of two the statement would take any."""
    times = Counter(each.line_id for each in answers)
    if twice := sorted(line for line, count in times.items() if count > 1):
        raise AnswersWrong(lines=twice[:20])
    if bare := [each.line_id for each in answers if not (each.bank_reference if each.paid else each.reason).strip()]:
        raise AnswersIncomplete(lines=sorted(bare)[:20])


# --- looking ---------------------------------------------------------------------------------------------------------------


async def list_batches(ctx: Context, programme_id: int | None, page: Page) -> PageView[BatchView]:
    after = page.key()
    found = await rows(
        "SELECT b.* FROM payout_batches b JOIN programmes p ON p.id = b.programme_id WHERE starts_with(p.region_code, $1)"
        " AND ($2::bigint IS NULL OR b.programme_id = $2) AND b.id < $3 ORDER BY b.id DESC LIMIT $4",
        reach(ctx), programme_id, after[0] if after else 2**63 - 1, page.limit + 1,
    )
    return page_of(found, page, view, lambda batch: [batch.id])


async def find_batch(ctx: Context, batch_id: int) -> Any:
    found = await row(
        "SELECT b.* FROM payout_batches b JOIN programmes p ON p.id = b.programme_id WHERE b.id = $1 AND starts_with(p.region_code, $2)",
        batch_id, reach(ctx),
    )
    if found is None:
        raise NotFound
    return found


LINES = """
SELECT l.*, r.number AS redemption_number, i.name AS institution_name FROM payout_lines l
JOIN redemptions r ON r.id = l.redemption_id JOIN organisations i ON i.id = r.institution_id
WHERE l.batch_id = $1 AND l.id > $2 ORDER BY l.id LIMIT $3
"""


async def list_lines(ctx: Context, batch_id: int, page: Page) -> PageView[LineView]:
    await find_batch(ctx, batch_id)
    after = page.key()
    found = await rows(LINES, batch_id, after[0] if after else 0, page.limit + 1)
    return page_of(found, page, lambda line: {
        "id": line.id, "redemption_id": line.redemption_id, "redemption_number": line.redemption_number,
        "institution": line.institution_name, "fen": line.fen, "account_name": line.account_name, "bank_branch": line.bank_branch,
        "bank_account": mask_account(open_sealed(ctx.settings, line.bank_account)) if line.bank_account else None, "state": line.state,
        "bank_reference": line.bank_reference, "reason": line.reason,
    }, lambda line: [line.id])


HEADER = ("序号", "兑付编号", "收款户名", "开户行", "收款账号", "金额（元）", "用途")


def _written(kind: str, title: str, table: Sequence[Sequence[Any]]) -> bytes:
    """Ten thousand lines take a second: not on the event loop."""
    return write_csv(HEADER, table) if kind == "csv" else write_xlsx({title: (HEADER, table)})


async def bank_file(ctx: Context, batch_id: int, kind: str) -> tuple[bytes, str]:
    """What the bank is still to pay of a batch, xlsx or csv: (content, file name). Only of a confirmed batch; the taking is recorded.

    What is paid, what the bank has sent back, or an officer has taken out because its order was frozen, is not sent again.
    Raises NotFound, BatchStateWrong, FrozenInBatch.
    """
    batch = await find_batch(ctx, batch_id)
    if batch.state != BatchState.CONFIRMED:
        raise BatchStateWrong(state=batch.state)
    found = [line for line in await rows(LINES, batch_id, 0, LINES_MAX) if line.state == LineState.PENDING]
    table = [
        (number, line.redemption_number, line.account_name, line.bank_branch, open_sealed(ctx.settings, line.bank_account),
         yuan(line.fen), f"服务券兑付 {batch.number}")
        for number, line in enumerate(found, start=1)
    ]
    async with transaction(ctx) as tx:
        await _refuse_frozen(tx, batch.id)
        tx.record("payout_batch.file_taken", "payout_batch", batch.id, before=batch.state, after=batch.state, kind=kind)
    content = await asyncio.to_thread(_written, kind, batch.number, table)
    return content, f"{batch.number}.{kind}"
