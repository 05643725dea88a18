"""Claiming what was paid in vouchers (K1, K2; C39-C43): papers, arithmetic, and an invoice that pays once."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import asyncpg

from handlers import approvals
from handlers.context import Context
from handlers.moves import move
from handlers.orders.payment import LIVE_CLAIM
from handlers.orders.policy import rules_of_order
from handlers.orders.views import is_claimable, lock_own_order, refuse_both
from handlers.programmes import Claim
from handlers.redemptions.views import RedemptionNotFound, RedemptionView, view_in
from handlers.refusals import Kind, NotFound, Refusal
from handlers.transactions import Transaction, transaction
from handlers.wallet import shanghai_date
from handlers.working_days import SHANGHAI, due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.redemptions import REDEMPTION_GRAPH, RedemptionState

REVIEW_WORKING_DAYS = 10
EVIDENCE_MAX = 20


class NoRedemption(Refusal):
    kind, code, title = Kind.CONFLICT, "no_redemption", "该项目不办理兑付"


class OrderNotClaimable(Refusal):
    """`data.requires`: paid | completed."""

    kind, code, title = Kind.CONFLICT, "order_not_claimable", "订单当前不能申请兑付"


class AlreadyClaimed(Refusal):
    kind, code, title = Kind.CONFLICT, "already_claimed", "该订单已有兑付申请"


class InvoiceUsed(Refusal):
    """Says nothing about where it was used: it may be somebody else's claim."""

    kind, code, title = Kind.CONFLICT, "invoice_used", "该发票已用于其他兑付申请"


class ActualAmountTooHigh(Refusal):
    kind, code, title = Kind.INVALID, "actual_amount_too_high", "实际发生金额不能超过订单金额"


class InvoiceNotIssuedYet(Refusal):
    kind, code, title = Kind.INVALID, "invoice_not_issued_yet", "开票日期不能晚于今天"


class BankAccountMissing(Refusal):
    kind, code, title = Kind.CONFLICT, "bank_account_missing", "请先完善机构的银行账户信息"


class RedemptionNotReturned(Refusal):
    kind, code, title = Kind.CONFLICT, "redemption_not_returned", "只有退回修改的兑付申请可以重新提交"


REFUSALS = (ActualAmountTooHigh, InvoiceUsed, InvoiceNotIssuedYet, NotFound)


@dataclass(frozen=True, slots=True)
class GivenInvoice:
    code: str
    number: str
    buyer_name: str
    seller_name: str
    amount_fen: int
    issued_on: date
    attachment_id: int


@dataclass(frozen=True, slots=True)
class Papers:
    """What comes with a claim. `actual_fen`: what the service really cost, from the invoice and the contract."""

    actual_fen: int
    summary: str
    invoice: GivenInvoice
    evidence: Sequence[int]


def payable(voucher_fen: int, actual_fen: int, claim: Claim) -> int:
    """《暂行办法》第二十条：兑付比例为实际发生金额的60%. Never more than the vouchers that were paid, nor than it cost, also where a
    programme pays a share of the vouchers; rounded down to a fen.
    """
    base = actual_fen if claim.basis == "actual_amount" else voucher_fen
    return min(voucher_fen, actual_fen, int(Decimal(base) * claim.ratio))


def claim_number(now: datetime) -> str:
    return now.astimezone(SHANGHAI).strftime("%Y%m%d%H%M%S") + f"{secrets.randbelow(10**10):010d}"


INSERT = """
INSERT INTO redemptions (number, order_id, programme_id, policy_id, institution_id, state, voucher_fen, actual_fen, ratio_ppm,
  payable_fen, shortfall_fen, summary, applied_by_id, submitted_at, preparation, version)
VALUES ($1,$2,$3,$4,$5,'in_review',$6,$7,$8,$9,$10,$11,$12,$13,'{}',1) RETURNING *
"""


async def claim_redemption(ctx: Context, order_id: int, papers: Papers) -> RedemptionView:
    """申请兑付. Raises OrderNotFound, RelatedParties, NoRedemption, OrderNotClaimable, AlreadyClaimed, BankAccountMissing and REFUSALS."""
    async with transaction(ctx) as tx:
        order = await lock_own_order(ctx, tx, order_id)
        refuse_both(order)
        claim = (await rules_of_order(tx, order.policy_id)).claim
        await _refuse_unclaimable(tx, order, claim)
        assert claim is not None
        _refuse_papers(tx, order, papers)
        voucher_fen = order.voucher_fen - order.returned_fen
        payable_fen = payable(voucher_fen, papers.actual_fen, claim)
        redemption = await tx.row(
            INSERT, claim_number(ctx.now), order.id, order.programme_id, order.policy_id, order.institution_id, voucher_fen,
            papers.actual_fen, int(claim.ratio * 1_000_000), payable_fen, voucher_fen - payable_fen, papers.summary, ctx.person_id, ctx.now,
        )
        tx.record("redemption.submitted", "redemption", redemption.id, after=redemption.state, order_id=order.id)
        await _keep_papers(tx, redemption, papers)
        await _queue(ctx, tx, redemption, order)
        return tx.reply(await view_in(tx, redemption.id))


async def resubmit_redemption(ctx: Context, redemption_id: int, papers: Papers) -> RedemptionView:
    """修改后重报: the claim keeps its number; what was prepared before is prepared again. Raises RedemptionNotFound,
    RelatedParties, RedemptionNotReturned, OrderNotClaimable and REFUSALS.
    """
    async with transaction(ctx) as tx:
        order, redemption = await _lock_own(ctx, tx, redemption_id)
        refuse_both(order)
        if redemption.state != RedemptionState.RETURNED:
            raise RedemptionNotReturned(state=redemption.state)
        claim = (await rules_of_order(tx, order.policy_id)).claim
        assert claim is not None
        if order.frozen_at is not None or order.disputed_at is not None:
            raise OrderNotClaimable(requires=claim.requires, state=order.state)
        _refuse_papers(tx, order, papers)
        payable_fen = payable(redemption.voucher_fen, papers.actual_fen, claim)
        redemption = await move(
            tx, REDEMPTION_GRAPH, redemption, RedemptionState.IN_REVIEW, actual_fen=papers.actual_fen, payable_fen=payable_fen,
            shortfall_fen=redemption.voucher_fen - payable_fen, summary=papers.summary, reason=None, decided_at=None,
            submitted_at=ctx.now, prepared_by_id=None, prepared_at=None, version=redemption.version + 1,
        )
        await release_invoice(tx, redemption.id)
        await tx.run("DELETE FROM redemption_files WHERE redemption_id = $1", redemption.id)
        await _keep_papers(tx, redemption, papers)
        await _queue(ctx, tx, redemption, order)
        return tx.reply(await view_in(tx, redemption.id))


async def _lock_own(ctx: Context, tx: Transaction, redemption_id: int) -> tuple[Any, Any]:
    """Order before claim, as everywhere."""
    order_id = await tx.value(
        "SELECT order_id FROM redemptions WHERE id = $1 AND institution_id = $2", redemption_id, ctx.organisation_id
    )
    if order_id is None:
        raise RedemptionNotFound
    order = await lock_own_order(ctx, tx, order_id)
    return order, await tx.row("SELECT * FROM redemptions WHERE id = $1 FOR UPDATE", redemption_id)


async def _refuse_unclaimable(tx: Transaction, order: Any, claim: Claim | None) -> None:
    if claim is None:
        raise NoRedemption
    if not is_claimable(claim, order) or order.frozen_at is not None or order.disputed_at is not None:
        raise OrderNotClaimable(requires=claim.requires, state=order.state)
    if await tx.value(LIVE_CLAIM, order.id):
        raise AlreadyClaimed
    if not await tx.value(
        "SELECT 1 FROM institutions WHERE organisation_id = $1 AND bank_account IS NOT NULL AND bank_account_name IS NOT NULL"
        " AND bank_branch IS NOT NULL", order.institution_id,
    ):
        raise BankAccountMissing


def _refuse_papers(tx: Transaction, order: Any, papers: Papers) -> None:
    if papers.actual_fen > order.order_fen:
        raise ActualAmountTooHigh(limit_fen=order.order_fen)
    if papers.invoice.issued_on > shanghai_date(tx.ctx.now):
        raise InvoiceNotIssuedYet


OWN_FILES = """
SELECT count(*) FROM attachments WHERE id = ANY($1::bigint[]) AND organisation_id = $2 AND slot = $3 AND state = 'stored'
"""


async def _keep_papers(tx: Transaction, redemption: Any, papers: Papers) -> None:
    invoice, evidence = papers.invoice, list(dict.fromkeys(papers.evidence))
    for slot, ids in (("invoice", [invoice.attachment_id]), ("evidence", evidence)):
        if await tx.value(OWN_FILES, ids, redemption.institution_id, slot) != len(ids):
            raise NotFound(slot=slot)
    try:
        await tx.run(
            "INSERT INTO invoices (redemption_id, code, number, buyer_name, seller_name, amount_fen, issued_on, attachment_id)"
            " VALUES ($1,$2,$3,$4,$5,$6,$7,$8)", redemption.id, invoice.code, invoice.number, invoice.buyer_name, invoice.seller_name,
            invoice.amount_fen, invoice.issued_on, invoice.attachment_id,
        )
    except asyncpg.UniqueViolationError as error:
        raise InvoiceUsed from error
    await tx.run(
        "INSERT INTO redemption_files (redemption_id, attachment_id) SELECT $1, unnest($2::bigint[])", redemption.id, evidence
    )


async def release_invoice(tx: Transaction, redemption_id: int) -> None:
    """A claim that is rejected or written anew lets its invoice go."""
    await tx.run("UPDATE invoices SET released_at = $2 WHERE redemption_id = $1 AND released_at IS NULL", redemption_id, tx.ctx.now)


async def _queue(ctx: Context, tx: Transaction, redemption: Any, order: Any) -> None:
    region = await tx.value("SELECT region_code FROM programmes WHERE id = $1", redemption.programme_id)
    await approvals.open_approval(
        tx, kind=ApprovalKind.REDEMPTION, title=f"兑付审核：{order.product_name}"[:100], subject="redemption", subject_id=redemption.id,
        organisation_id=redemption.institution_id, role=Role.CENTRE_REVIEWER, region_code=region, park_id=None,
        submitted_by=ctx.person_id, due_at=due_after(ctx.now, REVIEW_WORKING_DAYS),
    )


