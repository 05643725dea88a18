"""Reviewing a claim (K2-K4, F16): one checks the papers, another decides; the ledger follows the decision."""

from collections.abc import Mapping
from typing import Any, TypedDict

from handlers import approvals
from handlers.approvals import Decision, OwnCase
from handlers.context import Context
from handlers.money import in_yuan
from handlers.moves import move
from handlers.redemptions.claims import OrderNotClaimable, release_invoice
from handlers.redemptions.views import SELECT, RedemptionNotFound, RedemptionView, view, view_in
from handlers.refusals import Kind, Refusal, SecondPersonNeeded
from handlers.regions import prefix_of
from handlers.transactions import Transaction, row, transaction
from handlers.wallet import shanghai_date
from models.approvals import ApprovalKind
from models.redemptions import REDEMPTION_GRAPH, RedemptionState


class NotPrepared(Refusal):
    kind, code, title = Kind.CONFLICT, "redemption_not_prepared", "须先由另一位审核员核对材料"


class RedemptionNotInReview(Refusal):
    kind, code, title = Kind.CONFLICT, "redemption_not_in_review", "该兑付申请不在审核中"


class CheckView(TypedDict):
    """One line of the checklist; `passed` false is a difference to look at, not yet a decision."""

    code: str
    title: str
    expected: str
    actual: str
    passed: bool


CHECK_FACTS = """
SELECT r.actual_fen, r.voucher_fen, o.order_fen, o.paid_at, o.number AS order_number, e.name AS enterprise_name, i.name AS institution_name,
  v.buyer_name, v.seller_name, v.amount_fen AS invoice_fen, v.issued_on, c.total_fen AS contract_fen, c.signed_on, c.awarded_on,
  (SELECT count(*) FROM redemption_files f WHERE f.redemption_id = r.id) AS evidence,
  (SELECT count(DISTINCT other.redemption_id) FROM (
     SELECT f.redemption_id, a.sha256 FROM redemption_files f JOIN attachments a ON a.id = f.attachment_id
     UNION ALL SELECT n.redemption_id, a.sha256 FROM invoices n JOIN attachments a ON a.id = n.attachment_id
   ) other WHERE other.redemption_id <> r.id AND other.sha256 IN (
     SELECT a.sha256 FROM redemption_files f JOIN attachments a ON a.id = f.attachment_id WHERE f.redemption_id = r.id
     UNION ALL SELECT a.sha256 FROM invoices n JOIN attachments a ON a.id = n.attachment_id WHERE n.redemption_id = r.id
   )) AS files_used_elsewhere
FROM redemptions r JOIN orders o ON o.id = r.order_id
JOIN organisations e ON e.id = o.enterprise_id JOIN organisations i ON i.id = o.institution_id
LEFT JOIN LATERAL (SELECT * FROM invoices WHERE redemption_id = r.id ORDER BY id DESC LIMIT 1) v ON true
LEFT JOIN LATERAL (SELECT * FROM contracts WHERE order_id = o.id ORDER BY id DESC LIMIT 1) c ON true
WHERE r.id = $1
"""


async def checklist(redemption_id: int) -> list[CheckView]:
    """Claim, contract and invoice against each other, differences first."""
    facts = await row(CHECK_FACTS, redemption_id)
    checks = [
        _check("invoice_buyer", "发票购买方为下单企业", facts.enterprise_name, facts.buyer_name,
               _same(facts.enterprise_name, facts.buyer_name)),
        _check("invoice_seller", "发票销售方为服务机构", facts.institution_name, facts.seller_name,
               _same(facts.institution_name, facts.seller_name)),
        _check("invoice_amount", "发票金额不低于实际发生金额", in_yuan(facts.actual_fen), in_yuan(facts.invoice_fen),
               facts.invoice_fen >= facts.actual_fen),
        _check("actual_amount", "实际发生金额与订单金额一致", in_yuan(facts.order_fen), in_yuan(facts.actual_fen),
               facts.actual_fen == facts.order_fen),
        _check("invoice_after_payment", "发票不早于支付日期", shanghai_date(facts.paid_at), facts.issued_on,
               facts.issued_on >= shanghai_date(facts.paid_at)),
        _check("evidence", "已提交服务过程性材料", "≥ 1 份", f"{facts.evidence} 份", facts.evidence > 0),
        _check("files_once", "材料未在其他兑付申请中使用", "0 个", f"{facts.files_used_elsewhere} 个", facts.files_used_elsewhere == 0),
    ]
    if facts.contract_fen is not None:
        checks.append(_check("contract_amount", "合同总价与订单金额一致", in_yuan(facts.order_fen), in_yuan(facts.contract_fen),
                             facts.contract_fen == facts.order_fen))
    if facts.awarded_on is not None:
        checks.append(_check("contract_after_award", "合同签订不早于获券日期", facts.awarded_on, facts.signed_on,
                             facts.signed_on >= facts.awarded_on))
    return sorted(checks, key=lambda check: check["passed"])


def _same(expected: str, actual: str) -> bool:
    """Full and half width brackets are typed at random."""
    table = str.maketrans("（） ", "() ")
    return expected.translate(table).replace(" ", "") == actual.translate(table).replace(" ", "")


def _check(code: str, title: str, expected: object, actual: object, passed: bool) -> CheckView:
    return {"code": code, "title": title, "expected": str(expected), "actual": str(actual), "passed": bool(passed)}


# Nobody who is or was of either party touches the claim (F12).
_IS_OWN = """EXISTS (
  SELECT 1 FROM memberships m WHERE m.organisation_id IN (o.enterprise_id, o.institution_id) AND m.person_id = {person}) AS is_own"""
IN_REACH = f"""
SELECT r.*, {_IS_OWN.format(person="$3")} FROM redemptions r JOIN programmes p ON p.id = r.programme_id JOIN orders o ON o.id = r.order_id
WHERE r.id = $1 AND starts_with(p.region_code, $2) FOR UPDATE OF r
"""
# Behind LOCKED_BEFORE, by which the order is held already.
CLAIM = f"""
SELECT r.*, o.number AS order_number, o.product_name, o.state AS order_state, o.frozen_at, o.disputed_at, {_IS_OWN.format(person="$2")}
FROM redemptions r JOIN orders o ON o.id = r.order_id WHERE r.id = $1 FOR SHARE OF o
"""


async def prepare_redemption(ctx: Context, redemption_id: int, remark: str) -> RedemptionView:
    """初核: a reviewer of the coordination centre has compared the papers. Raises RedemptionNotFound, RedemptionNotInReview, OwnCase."""
    async with transaction(ctx) as tx:
        prefix = prefix_of(ctx.actor.region_code) if ctx.actor.region_code else "-"
        redemption = await tx.row(IN_REACH, redemption_id, prefix, ctx.person_id)
        if redemption is None:
            raise RedemptionNotFound
        if redemption.state != RedemptionState.IN_REVIEW:
            raise RedemptionNotInReview(state=redemption.state)
        if redemption.is_own:
            raise OwnCase
        await tx.run(
            "UPDATE redemptions SET prepared_by_id = $2, prepared_at = $3, preparation = $4 WHERE id = $1",
            redemption.id, ctx.person_id, ctx.now, {"remark": remark},
        )
        tx.record("redemption.prepared", "redemption", redemption.id, before=redemption.state, after=redemption.state, remark=remark)
        return tx.reply(await view_in(tx, redemption.id))


async def decide_redemption(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, _data: Mapping[str, Any]
) -> None:
    """Called by `approvals.decide`, which has locked the order and the claim. Raises NotPrepared, SecondPersonNeeded, OwnCase,
    OrderNotClaimable.
    """
    claim = await tx.row(CLAIM, approval.subject_id, ctx.person_id)
    if claim.is_own:
        raise OwnCase
    if decision is Decision.APPROVE:
        await _approve(ctx, tx, claim)
    else:
        to = RedemptionState.RETURNED if decision is Decision.RETURN else RedemptionState.REJECTED
        await move(tx, REDEMPTION_GRAPH, claim, to, reason=reason, decided_at=ctx.now)
        if decision is Decision.REJECT:
            await release_invoice(tx, claim.id)
    tx.announce(
        "redemption_result", "redemption", claim.id, organisation_id=claim.institution_id, number=claim.order_number,
        service=claim.product_name, result=decision.value, payable_fen=claim.payable_fen, reason=reason or "",
    )


async def _approve(ctx: Context, tx: Transaction, claim: Any) -> None:
    """`claim`: a row of CLAIM."""
    if claim.prepared_by_id is None:
        raise NotPrepared
    if claim.prepared_by_id == ctx.person_id:
        raise SecondPersonNeeded
    if claim.frozen_at is not None or claim.disputed_at is not None:
        raise OrderNotClaimable(state=claim.order_state)
    await move(
        tx, REDEMPTION_GRAPH, claim, RedemptionState.PRE_REDEEMED, decided_at=ctx.now,
        note={"payable_fen": claim.payable_fen, "shortfall_fen": claim.shortfall_fen},
    )
    await tx.run(PRE_REDEEM, claim.order_id, claim.payable_fen, ctx.now)


# What each lot has paid, in order of lots, is first what is payable and then what is short: running sums cut it once.
PRE_REDEEM = """
WITH paid AS (
  SELECT lot_id, programme_id, organisation_id, max(institution_id) AS institution_id,
         sum(CASE kind WHEN 'commit' THEN fen ELSE -fen END)::bigint AS fen
  FROM ledger_entries WHERE order_id = $1 AND kind IN ('commit', 'reverse') GROUP BY lot_id, programme_id, organisation_id
), summed AS (
  SELECT *, sum(fen) OVER (ORDER BY lot_id) - fen AS before FROM paid WHERE fen > 0
), cut AS (
  SELECT *, least(fen, greatest($2::bigint - before, 0))::bigint AS payable FROM summed
)
INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
SELECT programme_id, lot_id, $1::bigint, organisation_id, institution_id, 'pre_redeem', 'receivable', 'pre_redeemed', payable,
       $3::timestamptz
FROM cut WHERE payable > 0
UNION ALL
SELECT programme_id, lot_id, $1, organisation_id, institution_id, 'shortfall', 'receivable', 'shortfall', fen - payable, $3::timestamptz
FROM cut WHERE fen > payable
"""


async def redemption_facts(_ctx: Context, approval: Any) -> dict[str, Any]:
    """For the reviewer: the claim, and the checklist with its differences first."""
    redemption = await row(f"{SELECT} WHERE r.id = $1", approval.subject_id)
    return {
        "redemption": view(redemption), "checklist": await checklist(approval.subject_id), "preparation": redemption.preparation,
    }


approvals.DECIDERS[ApprovalKind.REDEMPTION] = decide_redemption
approvals.DETAILS[ApprovalKind.REDEMPTION] = redemption_facts
approvals.SUBJECTS["redemption"] = "redemptions"
# FOR SHARE: a decision looks at the order and leaves it as it is.
approvals.LOCKED_BEFORE["redemption"] = (
    "SELECT o.id FROM orders o JOIN redemptions r ON r.order_id = o.id WHERE r.id = $1 FOR SHARE OF o"
)
