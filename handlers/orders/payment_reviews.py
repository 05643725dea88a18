"""支付审核: the park of the enterprise looks at the contract before the vouchers go to the institution (O3-O5; C35-C38)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from handlers import approvals, wallet
from handlers.approvals import Decision, DecisionNotOffered
from handlers.attachments import view as attachment_view
from handlers.context import Context
from handlers.eligibility import Rule, RuleView, rule_view
from handlers.money import in_yuan
from handlers.moves import move
from handlers.orders.contracts import ContractBeforeAward, ContractTotalDiffers, contract_view
from handlers.orders.policy import learn, rules_of_order
from handlers.orders.rules import DirectionDiffers, direction_text
from handlers.orders.telling import tell
from handlers.orders.views import SELECT, require_outsider, view
from handlers.programmes import Rules
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, row, rows
from handlers.working_days import due_after
from models.accounts import Role
from models.approvals import ApprovalKind
from models.orders import ORDER_GRAPH, OrderState

REVIEW_WORKING_DAYS = 5


class OrderFrozen(Refusal):
    """O13: a frozen order is not approved; nobody is told why."""

    kind, code, title = Kind.CONFLICT, "order_frozen", "订单正在核实中，暂不能办理"


async def submit_payment(
    tx: Transaction, order: Any, rules: Rules, fen: int, spends: Sequence[wallet.Spend], contract: Any, use: Mapping[str, int]
) -> Any:
    """Hold the vouchers, so that they outlive their date, and put the payment before its reviewer. Returns the order.

    `use`: what changes of the yearly use. It counts from here: how long a reviewer takes moves no order into another year.
    """
    await wallet.hold(tx, order.id, spends)
    submitted = await move(
        tx, ORDER_GRAPH, order, OrderState.PAY_REVIEW, note={"voucher_fen": fen}, voucher_fen=fen, due_at=None, remark=None,
        **use,
    )
    await approvals.open_approval(
        tx, kind=ApprovalKind.PAYMENT, title=f"支付审核：{order.product_name}"[:100], subject="order", subject_id=order.id,
        organisation_id=order.enterprise_id, submitted_by=tx.ctx.person_id, due_at=due_after(tx.ctx.now, REVIEW_WORKING_DAYS),
        data=_submitted(order, fen, contract), **await _reviewers(tx, order, rules),
    )
    return submitted


async def _reviewers(tx: Transaction, order: Any, rules: Rules) -> dict[str, Any]:
    """C36: the park where the enterprise sits, and nobody else; an enterprise without a park has the reviewers of its division."""
    if rules.payment_review == "centre":
        region = await tx.value("SELECT region_code FROM programmes WHERE id = $1", order.programme_id)
        return {"role": Role.CENTRE_REVIEWER, "region_code": region, "park_id": None}
    place = await tx.row("SELECT region_code, park_id FROM organisations WHERE id = $1", order.enterprise_id)
    return {"role": Role.REVIEWER, "region_code": None if place.park_id else place.region_code, "park_id": place.park_id}


def _submitted(order: Any, fen: int, contract: Any) -> dict[str, Any]:
    """What the reviewer decides on, kept to compare the next submission with; `attachment_ids` keeps the files from deletion."""
    kept = {"order_fen": order.order_fen, "voucher_fen": fen}
    if contract is None:
        return kept
    return kept | {
        "contract_id": contract.id, "total_fen": contract.total_fen, "signed_on": contract.signed_on.isoformat(),
        "attachment_ids": [contract.attachment_id],
    }


# --- the reviewer ----------------------------------------------------------------------------------------------------------


async def decide_payment(
    ctx: Context, tx: Transaction, approval: Any, decision: Decision, reason: str | None, _data: Mapping[str, Any]
) -> None:
    """Approve or reject, nothing between (registered in approvals.DECIDERS). Raises DecisionNotOffered, OwnCase, OrderFrozen."""
    if decision is Decision.RETURN:
        raise DecisionNotOffered
    order = await tx.row(f"{SELECT} WHERE o.id = $1", approval.subject_id)  # `approvals.decide` has locked it
    await require_outsider(ctx, tx, order)
    rules = await rules_of_order(tx, order.policy_id)
    if decision is Decision.APPROVE:
        await _approve(tx, order, rules)
    else:
        await _reject(tx, order, rules, str(reason))


async def _approve(tx: Transaction, order: Any, rules: Rules) -> None:
    """What is on hold becomes the institution's receivable; from now on it may serve (C37, C43)."""
    if order.frozen_at is not None:
        raise OrderFrozen
    await wallet.commit(tx, order.id, order.institution_id)
    now = tx.ctx.now
    await move(
        tx, ORDER_GRAPH, order, OrderState.PAID, note={"voucher_fen": order.voucher_fen}, paid_at=now, reminded=0,
        due_at=due_after(now, rules.accept_working_days) if rules.provider_accept else None,
    )
    _tell_both(tx, "payment_approved", order)
    if rules.provider_accept:
        tell(tx, "order_paid", order, order.institution_id)


async def _reject(tx: Transaction, order: Any, rules: Rules, reason: str) -> None:
    """The vouchers go back to where they came from, and the order shows none (C38). It may be priced and paid again, or ends."""
    await wallet.release(tx, order.id, rules.release_grace_days)
    await move(
        tx, ORDER_GRAPH, order, OrderState.PAY_REJECTED, note={"reason": reason, "released_fen": order.voucher_fen}, voucher_fen=0,
        remark=reason, due_at=tx.ctx.now + timedelta(days=rules.unpaid_timeout_days),
    )
    _tell_both(tx, "payment_rejected", order, reason=reason)


def _tell_both(tx: Transaction, kind: str, order: Any, **data: Any) -> None:
    for party in (order.enterprise_id, order.institution_id):
        tell(tx, kind, order, party, **data)


# --- what the reviewer sees --------------------------------------------------------------------------------------------------

CONTRACT = "SELECT * FROM contracts WHERE id = $1"
FILE = "SELECT * FROM attachments WHERE id = $1"
# What each submission held, lot by lot: the holds written with its approval.
VOUCHERS = """
SELECT l.id AS lot_id, e.fen, l.valid_until, g.awarded_on, coalesce(g.directions, '[]') AS directions
FROM ledger_entries e JOIN lots l ON l.id = e.lot_id LEFT JOIN grants g ON g.id = l.grant_id
WHERE e.order_id = $1 AND e.kind = 'hold' AND e.at = $2 ORDER BY l.id
"""
PRICES = "SELECT from_fen, to_fen, settled_at FROM price_changes WHERE order_id = $1 ORDER BY id DESC LIMIT 50"
BEFORE = """
SELECT data FROM approvals WHERE subject = 'order' AND subject_id = $1 AND kind = 'payment' AND id < $2 ORDER BY id DESC LIMIT 1
"""
COMPARED = {"order_fen": "订单金额", "voucher_fen": "支付创新券金额", "total_fen": "合同总价", "signed_on": "合同签订日期",
            "attachment_ids": "合同文件"}


async def payment_facts(ctx: Context, approval: Any) -> dict[str, Any]:
    """The order, its contract and vouchers, the checklist, every price, and what differs from the submission before."""
    order = await row(f"{SELECT} WHERE o.id = $1", approval.subject_id)
    await learn([order.policy_id])
    contract = await row(CONTRACT, approval.data.get("contract_id"))
    vouchers = [dict(each) for each in await rows(VOUCHERS, order.id, approval.submitted_at)]
    before = await row(BEFORE, order.id, approval.id)
    return {
        "order": view(ctx, order),
        "contract": contract and {**contract_view(contract), "attachment": attachment_view(await row(FILE, contract.attachment_id))},
        "vouchers": vouchers,
        "prices": [dict(each) for each in await rows(PRICES, order.id)],
        "checklist": _checklist(order, approval.data, contract, vouchers),
        "differences": _differences(approval.data, before.data if before else None),
    }


def _checklist(order: Any, submitted: Mapping[str, Any], contract: Any, vouchers: Sequence[Mapping[str, Any]]) -> list[RuleView]:
    """What the program can compare is compared; the last line only somebody who reads the contract can answer (C25)."""
    chain = (order.list_price_fen, submitted["order_fen"], submitted["voucher_fen"])
    own = {"category": order.category, "content": order.content}
    granted = [direction for voucher in vouchers for direction in voucher["directions"]]
    checks = [
        Rule("price_chain", "产品价格 ≥ 订单金额 ≥ 用券支付金额", list(chain) == sorted(chain, reverse=True), ContractTotalDiffers,
             expected="由高到低，或相等",
             actual="，".join(f"{what} {in_yuan(fen)}" for what, fen in zip(("产品价格", "订单金额", "用券支付金额"), chain, strict=True))),
    ]
    if granted:
        checks.append(Rule("direction", "产品与获批的用券方向一致", all(own in voucher["directions"] for voucher in vouchers),
                           DirectionDiffers, expected="、".join(sorted({direction_text(each) for each in granted})),
                           actual=direction_text(own)))
    if contract is not None:
        awarded = contract.awarded_on
        checks += [
            Rule("contract_total", "合同总价与订单金额一致", contract.total_fen == chain[1], ContractTotalDiffers,
                 expected=in_yuan(chain[1]), actual=in_yuan(contract.total_fen)),
            Rule("contract_after_award", "合同签订日期不早于获券日期", awarded is None or contract.signed_on >= awarded,
                 ContractBeforeAward, expected=awarded and awarded.isoformat(), actual=contract.signed_on.isoformat()),
            Rule("contract_terms", "合同载明服务内容、收费标准及金额、未能足额兑付部分的处理方案，双方签字、盖章并注明日期（请核对原件）",
                 None, ContractTotalDiffers),
        ]
    return [rule_view(check) for check in checks]


def _differences(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if before is None:
        return []
    return [
        {"field": field, "title": title, "before": before.get(field), "now": now.get(field)}
        for field, title in COMPARED.items() if before.get(field) != now.get(field)
    ]


approvals.DECIDERS[ApprovalKind.PAYMENT] = decide_payment
approvals.DETAILS[ApprovalKind.PAYMENT] = payment_facts
