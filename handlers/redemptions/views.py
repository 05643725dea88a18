"""What the institution, the reviewers and finance see of a claim (兑付申请)."""

from datetime import date, datetime
from typing import Any, TypedDict

from handlers.context import Context
from handlers.money import yuan
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, rows
from models.redemptions import RedemptionState


class RedemptionNotFound(Refusal):
    kind, code, title = Kind.NOT_FOUND, "redemption_not_found", "兑付申请不存在"


class InvoiceView(TypedDict):
    code: str
    number: str
    buyer_name: str
    seller_name: str
    amount_fen: int
    issued_on: date
    attachment_id: int


class RedemptionView(TypedDict):
    """`payable_fen` = min(voucher_fen, floor(ratio x actual_fen)), or by policy min(floor(ratio x voucher_fen), actual_fen).

    `formula` says it in Chinese, with the numbers.
    """

    id: int
    number: str
    order_id: int
    order_number: str
    product_name: str
    enterprise: str
    institution: str
    state: str
    label: str
    voucher_fen: int
    actual_fen: int
    ratio_ppm: int
    payable_fen: int
    shortfall_fen: int
    formula: str
    summary: str
    reason: str | None
    invoice: InvoiceView | None
    evidence: list[int]
    prepared: bool
    submitted_at: datetime
    decided_at: datetime | None
    paid_at: datetime | None


LABELS = {
    RedemptionState.IN_REVIEW: "兑付审核中", RedemptionState.RETURNED: "退回修改", RedemptionState.REJECTED: "兑付审核拒绝",
    RedemptionState.PRE_REDEEMED: "预兑付", RedemptionState.IN_BATCH: "预兑付", RedemptionState.REDEEMED: "已兑付",
}

SELECT = """
SELECT r.*, o.number AS order_number, o.product_name, o.order_fen, o.enterprise_id, e.name AS enterprise_name, i.name AS institution_name,
  (SELECT to_jsonb(v) FROM invoices v WHERE v.redemption_id = r.id ORDER BY v.id DESC LIMIT 1) AS invoice,
  (SELECT coalesce(jsonb_agg(f.attachment_id ORDER BY f.id), '[]') FROM redemption_files f WHERE f.redemption_id = r.id) AS evidence,
  (SELECT y.rules #>> '{claim,basis}' FROM policies y WHERE y.id = r.policy_id) AS basis
FROM redemptions r JOIN orders o ON o.id = r.order_id JOIN organisations e ON e.id = o.enterprise_id
JOIN organisations i ON i.id = r.institution_id
"""


def formula(redemption: Any) -> str:
    """The arithmetic of C39, in words that a person can check with a pencil."""
    percent = f" × {redemption.ratio_ppm / 10_000:g}%"
    of_vouchers, of_cost = (percent, "") if redemption.basis == "voucher_paid" else ("", percent)
    return (
        f"应兑付 = min(用券 {yuan(redemption.voucher_fen)}{of_vouchers}，实际发生 {yuan(redemption.actual_fen)}{of_cost})"
        f" = {yuan(redemption.payable_fen)} 元；未足额 {yuan(redemption.shortfall_fen)} 元"
    )


def view(redemption: Any) -> RedemptionView:
    """`redemption`: a row of SELECT."""
    invoice = redemption.invoice
    return {
        "id": redemption.id, "number": redemption.number, "order_id": redemption.order_id, "order_number": redemption.order_number,
        "product_name": redemption.product_name, "enterprise": redemption.enterprise_name, "institution": redemption.institution_name,
        "state": redemption.state, "label": LABELS[RedemptionState(redemption.state)], "voucher_fen": redemption.voucher_fen,
        "actual_fen": redemption.actual_fen, "ratio_ppm": redemption.ratio_ppm, "payable_fen": redemption.payable_fen,
        "shortfall_fen": redemption.shortfall_fen, "formula": formula(redemption), "summary": redemption.summary,
        "reason": redemption.reason, "invoice": invoice_view(invoice) if invoice else None, "evidence": redemption.evidence,
        "prepared": redemption.prepared_at is not None, "submitted_at": redemption.submitted_at, "decided_at": redemption.decided_at,
        "paid_at": redemption.paid_at,
    }


def invoice_view(invoice: Any) -> InvoiceView:
    """`invoice` is the row as JSON."""
    return {
        "code": invoice["code"], "number": invoice["number"], "buyer_name": invoice["buyer_name"], "seller_name": invoice["seller_name"],
        "amount_fen": invoice["amount_fen"], "issued_on": date.fromisoformat(str(invoice["issued_on"])),
        "attachment_id": invoice["attachment_id"],
    }


async def view_in(tx: Transaction, redemption_id: int) -> RedemptionView:
    return view(await tx.row(f"{SELECT} WHERE r.id = $1", redemption_id))


async def get_redemption(ctx: Context, redemption_id: int) -> RedemptionView:
    """One's own. Raises RedemptionNotFound."""
    found = await row(f"{SELECT} WHERE r.id = $1 AND r.institution_id = $2", redemption_id, ctx.organisation_id)
    if found is None:
        raise RedemptionNotFound
    return view(found)


async def list_redemptions(ctx: Context, state: RedemptionState | None, page: Page) -> PageView[RedemptionView]:
    """The institution's own, newest first."""
    after = page.key()
    found = await rows(
        f"{SELECT} WHERE r.institution_id = $1 AND ($2::varchar IS NULL OR r.state = $2) AND r.id < $3 ORDER BY r.id DESC LIMIT $4",
        ctx.organisation_id, state, after[0] if after else 2**63 - 1, page.limit + 1,
    )
    return page_of(found, page, view, lambda each: [each.id])
