"""The decisions that are appealed against, and how each is reopened: into a new review by somebody else (F10).

What has gone on meanwhile (a new application, a text edited, a voucher spent elsewhere) is left as it is: the appeal was right, and
there is nothing to go back to.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from handlers import approvals, products_versions, risks, wallet
from handlers.application_kinds import KINDS
from handlers.approvals import HISTORY, OwnCase, view
from handlers.context import Context
from handlers.moves import move
from handlers.orders.payment_reviews import REVIEW_WORKING_DAYS as PAYMENT_WORKING_DAYS
from handlers.orders.payment_reviews import OrderFrozen
from handlers.orders.policy import direction_of, rules_of_order
from handlers.orders.rules import ProductUseCapReached
from handlers.orders.uses import use_of_payment
from handlers.orders.views import is_due
from handlers.redemptions.claims import REVIEW_WORKING_DAYS as REDEMPTION_WORKING_DAYS
from handlers.redemptions.claims import OrderNotClaimable
from handlers.refusals import ChangedMeanwhile, NotFound
from handlers.transactions import Transaction, row, rows
from handlers.working_days import due_after
from models.accounts import Role
from models.appeals import AppealKind
from models.approvals import APPLICATION_GRAPH, ApplicationKind, ApplicationState, ApprovalKind, ApprovalState
from models.filings import FilingState
from models.orders import ORDER_GRAPH, OrderState
from models.products import PRODUCT_GRAPH, VERSION_GRAPH, ProductState, VersionState
from models.redemptions import REDEMPTION_GRAPH, RedemptionState
from models.reservations import ReservationState


@dataclass(frozen=True, slots=True)
class Decided:
    """A rejected approval, an objection that was upheld, or a freeze. `deciders` had a part in it and have none in the appeal."""

    kind: AppealKind
    approval: Any
    freeze: Any
    title: str
    at: datetime
    deciders: frozenset[int]
    role: Role
    region_code: str | None
    park_id: int | None


SUBJECTS = {ApprovalKind.APPLICATION: "application", ApprovalKind.PRODUCT: "product", ApprovalKind.PAYMENT: "order",
            ApprovalKind.REDEMPTION: "redemption"}
NEWEST = "SELECT * FROM approvals WHERE subject = $1 AND subject_id = $2 AND kind = $3 ORDER BY id DESC LIMIT 1"
OWN_ORDER = "SELECT * FROM orders WHERE id = $1 AND $2 IN (enterprise_id, institution_id) FOR UPDATE"
LOCK_OWN_FILING = "SELECT * FROM filings WHERE id = $1 AND institution_id = $2 FOR UPDATE"
OBJECTION_TO = """
SELECT a.* FROM approvals a JOIN filing_objections j ON j.id = a.subject_id AND a.subject = 'filing_objection'
WHERE j.filing_id = $1 ORDER BY a.id DESC LIMIT 1
"""
LOCK_OWN_TICKET = "SELECT * FROM reservations WHERE id = $1 AND organisation_id = $2 FOR NO KEY UPDATE"
PLACE = "SELECT region_code, park_id FROM organisations WHERE id = $1"
ORDER_OF = {"order": "SELECT * FROM orders WHERE id = $1",
            "redemption": "SELECT o.* FROM orders o JOIN redemptions r ON r.order_id = o.id WHERE r.id = $1"}
# The enterprise behind other subjects, by their id: its people do not decide either.
OTHER_SIDE: dict[str, str] = {}


async def rejected(ctx: Context, tx: Transaction, kind: ApprovalKind, subject_id: int) -> Decided | None:
    """The newest decision of an own case, its subject locked; None unless it is a rejection. Raises NotFound."""
    subject = SUBJECTS[kind]
    seen = await tx.row(NEWEST, subject, subject_id, kind)
    if seen is None or seen.organisation_id != ctx.organisation_id:
        raise NotFound
    await approvals.lock_subject(tx, subject, subject_id)
    approval = await tx.row(NEWEST, subject, subject_id, kind)
    return await _of_approval(tx, approval) if approval.state == ApprovalState.REJECTED else None


async def frozen(ctx: Context, tx: Transaction, order_id: int) -> Decided | None:
    """The freeze of an own order, either side's, the order locked; None if it is not frozen. Raises NotFound."""
    order = await tx.row(OWN_ORDER, order_id, ctx.organisation_id)
    if order is None:
        raise NotFound
    freeze = await risks.alive(tx, order_id)
    return await _of_freeze(tx, freeze) if freeze is not None else None


async def revoked(ctx: Context, tx: Transaction, filing_id: int) -> Decided | None:
    """The objection for which an own filing was revoked, the filing locked; None unless it was for one. Raises NotFound."""
    filing = await tx.row(LOCK_OWN_FILING, filing_id, ctx.organisation_id)
    if filing is None:
        raise NotFound
    approval = await tx.row(OBJECTION_TO, filing_id) if filing.state == FilingState.REVOKED else None
    return await _of_approval(tx, approval) if approval is not None and approval.state == ApprovalState.APPROVED else None


async def disqualified(ctx: Context, tx: Transaction, reservation_id: int) -> Decided | None:
    """How an own win was taken away, the ticket locked; None unless it was, by itself. Raises NotFound."""
    ticket = await tx.row(LOCK_OWN_TICKET, reservation_id, ctx.organisation_id)
    if ticket is None:
        raise NotFound
    approval = await tx.row(NEWEST, "reservation", ticket.id, ApprovalKind.DISQUALIFICATION)
    taken = approval is not None and approval.state == ApprovalState.APPROVED and ticket.state == ReservationState.DISQUALIFIED
    return await _of_approval(tx, approval) if taken else None


async def of_appeal(tx: Transaction, appeal: Any) -> Decided:
    if appeal.freeze_id is not None:
        return await _of_freeze(tx, await tx.row("SELECT * FROM freezes WHERE id = $1", appeal.freeze_id))
    return await _of_approval(tx, await tx.row("SELECT * FROM approvals WHERE id = $1", appeal.approval_id))


async def _of_approval(tx: Transaction, approval: Any) -> Decided:
    """The same reviewers' colleagues decide, or who is responsible for a wider division: also over a park, which may have one reviewer."""
    kind, deciders = approval.kind, {approval.decided_by_id}
    if kind == ApprovalKind.APPLICATION:
        kind = await tx.value("SELECT kind FROM applications WHERE id = $1", approval.subject_id)
    if kind == ApprovalKind.REDEMPTION:
        deciders.add(await tx.value("SELECT prepared_by_id FROM redemptions WHERE id = $1", approval.subject_id))
    region_code = approval.region_code
    if region_code is None and approval.park_id is not None:
        region_code = await tx.value("SELECT county_code FROM parks WHERE id = $1", approval.park_id)
    return Decided(
        AppealKind(kind), approval, None, approval.title, approval.decided_at,
        frozenset(each for each in (*deciders, *approval.data.get("not_by", ())) if each is not None),
        Role(approval.role), region_code, approval.park_id,
    )


async def _of_freeze(tx: Transaction, freeze: Any) -> Decided:
    order = await tx.row("SELECT * FROM orders WHERE id = $1", freeze.order_id)
    place = await tx.row(PLACE, order.enterprise_id)
    return Decided(
        AppealKind.FREEZE, None, freeze, f"订单核实：{order.product_name}", freeze.frozen_at, frozenset({freeze.frozen_by_id}),
        Role.RISK_OFFICER, place.region_code, place.park_id,
    )


async def refuse_parties(ctx: Context, tx: Transaction, decided: Decided) -> None:
    """The appellant's people are refused by the queue; here are the other side's. Raises OwnCase."""
    if decided.approval is not None and (other := OTHER_SIDE.get(decided.approval.subject)) is not None:
        if await tx.value(risks.PARTY, ctx.person_id, [await tx.value(other, decided.approval.subject_id)]):
            raise OwnCase
        return
    if decided.freeze is not None:
        order = await tx.row(ORDER_OF["order"], decided.freeze.order_id)
    elif (found := ORDER_OF.get(decided.approval.subject)) is not None:
        order = await tx.row(found, decided.approval.subject_id)
    else:
        return
    await risks.refuse_party(ctx, tx, order)


async def decision_facts(ctx: Context, appeal: Any) -> dict[str, Any]:
    """What was decided, when and why, and every earlier turn; who decided it is masked."""
    if appeal.freeze_id is not None:
        freeze = await row("SELECT order_id, reason, frozen_at FROM freezes WHERE id = $1", appeal.freeze_id)
        return {"risk": await risks.get_risk(ctx, freeze.order_id), "reason": freeze.reason, "decided_at": freeze.frozen_at}
    approval = await row(f"{approvals.SHOWN} WHERE a.id = $1", appeal.approval_id)
    earlier = await rows(HISTORY, approval.subject, approval.subject_id, approval.id)
    return {"approval": view(ctx, approval), "history": [approvals.history_view(past) for past in earlier]}


# --- reopening -------------------------------------------------------------------------------------------------------------------


async def reopen(tx: Transaction, decided: Decided, reason: str) -> int | None:
    """Put the case before another reviewer, or end the freeze. Returns the id of the new approval, None where there is none.

    Raises OrderFrozen, OrderNotClaimable, and ChangedMeanwhile when something new of the subject begins at this very moment.
    """
    if decided.freeze is not None:
        await _unfreeze(tx, decided.freeze, reason)
        return None
    try:
        days = await REOPEN[ApprovalKind(decided.approval.kind)](tx, decided.approval)
    except asyncpg.UniqueViolationError as error:
        raise ChangedMeanwhile from error
    return await _again(tx, decided, days) if days is not None else None


async def _again(tx: Transaction, decided: Decided, working_days: int) -> int:
    was = decided.approval
    return await approvals.open_approval(
        tx, kind=ApprovalKind(was.kind), title=was.title, subject=was.subject, subject_id=was.subject_id,
        organisation_id=was.organisation_id, role=decided.role, region_code=decided.region_code, park_id=decided.park_id,
        submitted_by=was.submitted_by_id, due_at=due_after(tx.ctx.now, working_days),
        data={**was.data, "not_by": sorted(decided.deciders)},
    )


async def _unfreeze(tx: Transaction, freeze: Any, reason: str) -> None:
    order = await tx.row("SELECT * FROM orders WHERE id = $1 FOR UPDATE", freeze.order_id)
    lasting = await risks.alive(tx, order.id)
    if lasting is not None and lasting.id == freeze.id:
        await risks.lift(tx, order, lasting, reason)


ALIVE = """
SELECT 1 FROM applications WHERE organisation_id = $1 AND kind = $2 AND programme_id IS NOT DISTINCT FROM $3
AND state NOT IN ('rejected', 'withdrawn')
"""
LAST_APPROVED = "SELECT max(decided_at) FROM approvals WHERE subject = 'application' AND subject_id = $1 AND state = 'approved'"


async def _application(tx: Transaction, was: Any) -> int | None:
    application = await tx.row("SELECT * FROM applications WHERE id = $1 FOR UPDATE", was.subject_id)
    begun = await tx.value(ALIVE, application.organisation_id, application.kind, application.programme_id)
    if application.state != ApplicationState.REJECTED or begun:
        return None
    await move(
        tx, APPLICATION_GRAPH, application, ApplicationState.SUBMITTED, reason=None, updated_at=tx.ctx.now,
        decided_at=await tx.value(LAST_APPROVED, application.id),
    )
    return KINDS[ApplicationKind(application.kind)].working_days


REJECTED_VERSION = """
SELECT * FROM product_versions v WHERE v.product_id = $1 AND v.number = $2 AND v.state = 'rejected'
AND NOT EXISTS (SELECT 1 FROM product_versions n WHERE n.product_id = $1 AND n.number > $2 AND n.state <> 'superseded') FOR UPDATE
"""


async def _product(tx: Transaction, was: Any) -> int | None:
    """The text that was rejected, if it is still the newest one of its product."""
    product = await tx.row("SELECT * FROM products WHERE id = $1 FOR NO KEY UPDATE", was.subject_id)
    number = was.data["version"]
    if product.state == ProductState.REJECTED and product.version == number:
        await move(tx, PRODUCT_GRAPH, product, ProductState.IN_REVIEW, updated_at=tx.ctx.now)
        return products_versions.REVIEW_WORKING_DAYS
    version = await tx.row(REJECTED_VERSION, product.id, number)
    if version is None or product.state not in {ProductState.APPROVED, ProductState.LISTED}:
        return None
    await move(tx, VERSION_GRAPH, version, VersionState.IN_REVIEW, reason=None, decided_at=None)
    return products_versions.REVIEW_WORKING_DAYS


HELD = "SELECT lot_id, fen FROM ledger_entries WHERE order_id = $1 AND kind = 'hold' AND at = $2 ORDER BY lot_id"


async def _payment(tx: Transaction, was: Any) -> int | None:
    """The same vouchers are held again for the same price and contract, if they are all still there, and a use of this year is."""
    order = await tx.row("SELECT * FROM orders WHERE id = $1 FOR UPDATE", was.subject_id)
    if order.frozen_at is not None:
        raise OrderFrozen
    if order.state != OrderState.PAY_REJECTED or order.order_fen != was.data["order_fen"] or is_due(tx.ctx, order):
        return None
    if (await tx.row(NEWEST, "order", order.id, ApprovalKind.PAYMENT)).id != was.id:
        return None
    rules = await rules_of_order(tx, order.policy_id)
    try:
        use = await use_of_payment(tx, order, rules.product_use_cap_per_year)  # it counts from here, as where it was submitted first
    except ProductUseCapReached:
        return None
    lots = await wallet.lock_lots(
        tx, order.enterprise_id, order.programme_id, [int(key) for key in order.deductions], direction_of(order, rules)
    )
    held = [wallet.Spend(entry.lot_id, entry.fen) for entry in await tx.rows(HELD, order.id, was.submitted_at)]
    try:
        spends = wallet.check_picks(lots, order.deductions, held, tx.ctx.now)
    except wallet.LotNotUsable:
        return None
    await wallet.hold(tx, order.id, spends)
    fen = was.data["voucher_fen"]
    await move(
        tx, ORDER_GRAPH, order, OrderState.PAY_REVIEW, note={"voucher_fen": fen}, voucher_fen=fen, due_at=None, remark=None, **use,
    )
    return PAYMENT_WORKING_DAYS


# An invoice that has paid another claim since stays there.
TAKE_INVOICE = """
UPDATE invoices v SET released_at = NULL WHERE v.id = (SELECT max(id) FROM invoices WHERE redemption_id = $1)
AND NOT EXISTS (SELECT 1 FROM invoices u WHERE u.code = v.code AND u.number = v.number AND u.released_at IS NULL)
"""
CLAIMED_ANEW = "SELECT 1 FROM redemptions WHERE order_id = $1 AND state <> 'rejected'"


async def _redemption(tx: Transaction, was: Any) -> int | None:
    """Checked and decided anew, by two: what the first two have prepared counts no more.

    Not where vouchers that it claims have gone back behind it. Raises OrderFrozen, OrderNotClaimable.
    """
    order = await tx.row(f"{ORDER_OF['redemption']} FOR UPDATE OF o", was.subject_id)
    if order.frozen_at is not None:
        raise OrderFrozen
    if order.disputed_at is not None:  # a ruling could give nothing back behind a living claim
        raise OrderNotClaimable(state=order.state)
    redemption = await tx.row("SELECT * FROM redemptions WHERE id = $1 FOR UPDATE", was.subject_id)
    if redemption.state != RedemptionState.REJECTED or await tx.value(CLAIMED_ANEW, order.id):
        return None
    if redemption.voucher_fen > order.voucher_fen - order.returned_fen:
        return None
    if not await tx.run(TAKE_INVOICE, redemption.id):
        return None
    await move(
        tx, REDEMPTION_GRAPH, redemption, RedemptionState.IN_REVIEW, reason=None, decided_at=None, prepared_by_id=None, prepared_at=None,
        preparation={}, version=redemption.version + 1,
    )
    return REDEMPTION_WORKING_DAYS


REOPEN: dict[ApprovalKind, Callable[[Transaction, Any], Awaitable[int | None]]] = {
    ApprovalKind.APPLICATION: _application, ApprovalKind.PRODUCT: _product, ApprovalKind.PAYMENT: _payment,
    ApprovalKind.REDEMPTION: _redemption,
}
