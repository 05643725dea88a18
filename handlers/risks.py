"""What risk officers see and do: signals by jurisdiction, freezing an order, and lifting it by a second person (F03, F12, O13).

The parties hear that an order is being checked and never why: a suspicion is not a finding.
"""

from datetime import datetime
from typing import Any, TypedDict

from handlers.approvals import OwnCase, reach_of
from handlers.context import Context
from handlers.paging import Page, PageView, page_of
from handlers.personal import mask_name, open_sealed
from handlers.refusals import Kind, NotFound, Refusal, SecondPersonNeeded
from handlers.risk_signals import FREEZE_FROM, SAMPLE_FROM, WEIGHTS, FactView
from handlers.transactions import Transaction, row, rows, transaction
from models.orders import OrderState
from models.risks import SignalKind, Verdict

TITLES = {
    SignalKind.SAME_PERSON: "双方有同一办事人员", SignalKind.SAME_LEGAL_PERSON: "双方法定代表人为同一人",
    SignalKind.SAME_PHONE: "双方使用同一电话", SignalKind.SAME_ADDRESS: "双方地址相同",
    SignalKind.SAME_BANK_ACCOUNT: "双方银行账户相同", SignalKind.SAME_DEVICE: "双方使用同一设备登录",
    SignalKind.QUICK_CONFIRMATION: "交付后数分钟内确认完成", SignalKind.MAXIMUM_AT_ONCE: "到账两日内按抵扣上限下单",
    SignalKind.CLUSTER_SHARE: "关联企业的订单集中于一家机构", SignalKind.SAME_TEXTS: "多家企业的服务成果说明相同",
}


class OrderNotFreezable(Refusal):
    """A closed order has nothing left to stop."""

    kind, code, title = Kind.CONFLICT, "order_not_freezable", "订单已关闭，不能冻结"


class AlreadyFrozen(Refusal):
    kind, code, title = Kind.CONFLICT, "already_frozen", "订单已冻结"


class NotFrozen(Refusal):
    kind, code, title = Kind.CONFLICT, "not_frozen", "订单未冻结或已解冻"


class SignalRuleView(TypedDict):
    kind: SignalKind
    title: str
    weight: int


class RulesView(TypedDict):
    """The sum of the weights of an order's signals, each kind once, from `sample_from` on: 抽查; from `freeze_from` on: 建议冻结."""

    items: list[SignalRuleView]
    sample_from: int
    freeze_from: int


class RiskView(TypedDict):
    order_id: int
    number: str
    state: str
    product_name: str
    enterprise: str
    institution: str
    order_fen: int
    voucher_fen: int
    score: int
    verdict: Verdict
    is_frozen: bool
    assessed_at: datetime | None


class SampleView(TypedDict):
    """抽查 of a period. `count`: all of them, `items`: the first."""

    count: int
    items: list[RiskView]


class SignalView(TypedDict):
    kind: SignalKind
    title: str
    weight: int
    facts: list[FactView]
    found_at: datetime


class FreezeView(TypedDict):
    """`frozen_by`, `lifted_by`: masked names; null for who gave none."""

    id: int
    order_id: int
    number: str
    reason: str
    frozen_by: str | None
    frozen_at: datetime
    lift_reason: str | None
    lifted_by: str | None
    lifted_at: datetime | None


class RiskCaseView(TypedDict):
    risk: RiskView
    signals: list[SignalView]
    freezes: list[FreezeView]


# $1 what the codes of the officer's division begin with, $2 the officer's park, $3 the officer: responsible is who is responsible
# for the enterprise; who is or was of either party finds nothing (F12).
REACH = """
  CASE WHEN $2::bigint IS NOT NULL THEN e.park_id = $2 ELSE $1::text IS NULL OR starts_with(e.region_code, $1) END
  AND NOT EXISTS (SELECT 1 FROM memberships m WHERE m.person_id = $3 AND m.organisation_id IN (o.enterprise_id, o.institution_id))
"""
RISK = """
SELECT o.id AS order_id, o.number, o.state, o.product_name, o.order_fen, o.voucher_fen, o.frozen_at, e.name AS enterprise_name,
  i.name AS institution_name, r.id, coalesce(r.score, 0) AS score, coalesce(r.verdict, 'none') AS verdict, r.assessed_at
FROM orders o JOIN organisations e ON e.id = o.enterprise_id JOIN organisations i ON i.id = o.institution_id
"""
RISKS = f"""
{RISK} JOIN order_risks r ON r.order_id = o.id
WHERE {REACH} AND ($4::varchar IS NULL OR r.verdict = $4) AND r.id < $5 ORDER BY r.id DESC LIMIT $6
"""
# What is to be looked at of a period, the most doubtful first.
SAMPLE = f"""
{RISK.replace("SELECT o.id", "SELECT count(*) OVER () AS all_of_them, o.id", 1)} JOIN order_risks r ON r.order_id = o.id
WHERE {REACH} AND r.verdict IN ('sample', 'freeze') AND r.assessed_at >= $4 AND r.assessed_at < $5 ORDER BY r.score DESC, r.id LIMIT $6
"""
ONE = f"{RISK} LEFT JOIN order_risks r ON r.order_id = o.id WHERE {REACH} AND o.id = $4"
SIGNALS = "SELECT * FROM risk_signals WHERE order_id = $1 ORDER BY weight DESC, id LIMIT 100"
FREEZE = """
SELECT f.*, o.number, a.name AS freezer_name, b.name AS lifter_name FROM freezes f JOIN orders o ON o.id = f.order_id
JOIN organisations e ON e.id = o.enterprise_id JOIN persons a ON a.id = f.frozen_by_id LEFT JOIN persons b ON b.id = f.lifted_by_id
"""
FREEZES = f"""
{FREEZE} WHERE {REACH} AND ($4::boolean IS NULL OR (f.lifted_at IS NULL) = $4) AND f.id < $5 ORDER BY f.id DESC LIMIT $6
"""
NEWEST = 2**63 - 1


def rules() -> RulesView:
    """Published: which signals there are and what they weigh."""
    items: list[SignalRuleView] = [{"kind": kind, "title": TITLES[kind], "weight": weight} for kind, weight in WEIGHTS.items()]
    return {"items": items, "sample_from": SAMPLE_FROM, "freeze_from": FREEZE_FROM}


def _reach(ctx: Context) -> tuple[str | None, int | None, int]:
    return *reach_of(ctx.actor)[1:], ctx.person_id


async def list_risks(ctx: Context, verdict: Verdict | None, page: Page) -> PageView[RiskView]:
    """Orders with signals in the officer's jurisdiction, newest first."""
    before = (page.key() or [NEWEST])[0]
    found = await rows(RISKS, *_reach(ctx), verdict, before, page.limit + 1)
    return page_of(found, page, _risk_view, lambda risk: [risk.id])


async def sample_of(ctx: Context, since: datetime, before: datetime, shown: int) -> SampleView:
    """Orders of the jurisdiction that were found worth a look in a period, the highest score first."""
    found = await rows(SAMPLE, *_reach(ctx), since, before, shown)
    return {"count": found[0].all_of_them if found else 0, "items": [_risk_view(risk) for risk in found]}


async def get_risk(ctx: Context, order_id: int) -> RiskCaseView:
    """An order with its signals, their facts, and its freezes. Raises NotFound, also for what is outside the jurisdiction."""
    found = await row(ONE, *_reach(ctx), order_id)
    if found is None:
        raise NotFound
    return {
        "risk": _risk_view(found),
        "signals": [_signal_view(signal) for signal in await rows(SIGNALS, order_id)],
        "freezes": [_freeze_view(ctx, freeze) for freeze in await rows(f"{FREEZE} WHERE o.id = $1 ORDER BY f.id DESC LIMIT 50", order_id)],
    }


async def list_freezes(ctx: Context, alive: bool | None, page: Page) -> PageView[FreezeView]:
    """Freezes in the officer's jurisdiction, newest first; `alive`: only those that last, or only those that were lifted."""
    before = (page.key() or [NEWEST])[0]
    found = await rows(FREEZES, *_reach(ctx), alive, before, page.limit + 1)
    return page_of(found, page, lambda freeze: _freeze_view(ctx, freeze), lambda freeze: [freeze.id])


# --- freezing ------------------------------------------------------------------------------------------------------------------

LOCK = """
SELECT o.*, e.region_code AS place, e.park_id AS place_park FROM orders o JOIN organisations e ON e.id = o.enterprise_id
WHERE o.id = $3 AND CASE WHEN $2::bigint IS NOT NULL THEN e.park_id = $2 ELSE $1::text IS NULL OR starts_with(e.region_code, $1) END
FOR UPDATE OF o
"""
ALIVE = "SELECT * FROM freezes WHERE order_id = $1 AND lifted_at IS NULL FOR UPDATE"
PARTY = "SELECT 1 FROM memberships WHERE person_id = $1 AND organisation_id = ANY($2) LIMIT 1"


async def freeze_order(ctx: Context, order_id: int, reason: str) -> FreezeView:
    """冻结: until it is lifted nothing moves it. Raises NotFound, OwnCase, OrderNotFreezable, AlreadyFrozen."""
    async with transaction(ctx) as tx:
        order = await _lock(ctx, tx, order_id)
        if order.state == OrderState.CLOSED:
            raise OrderNotFreezable
        if order.frozen_at is not None:
            raise AlreadyFrozen
        freeze_id = await tx.value(
            "INSERT INTO freezes (order_id, reason, frozen_by_id, frozen_at) VALUES ($1,$2,$3,$4) RETURNING id",
            order.id, reason, ctx.person_id, ctx.now,
        )
        await tx.run("UPDATE orders SET frozen_at = $2 WHERE id = $1", order.id, ctx.now)
        tx.record("order.frozen", "order", order.id, before=order.state, after=order.state, freeze_id=freeze_id, reason=reason)
        _tell_parties(tx, order, "checking")
        return tx.reply(_freeze_view(ctx, await tx.row(f"{FREEZE} WHERE f.id = $1", freeze_id)))


async def unfreeze_order(ctx: Context, order_id: int, reason: str) -> FreezeView:
    """解冻, by another officer than who froze it. Raises NotFound, OwnCase, NotFrozen, SecondPersonNeeded."""
    async with transaction(ctx) as tx:
        order = await _lock(ctx, tx, order_id)
        freeze = await alive(tx, order.id)
        if freeze is None:
            raise NotFrozen
        if freeze.frozen_by_id == ctx.person_id:
            raise SecondPersonNeeded
        await lift(tx, order, freeze, reason)
        return tx.reply(_freeze_view(ctx, await tx.row(f"{FREEZE} WHERE f.id = $1", freeze.id)))


async def alive(tx: Transaction, order_id: int) -> Any:
    """The freeze that lasts, locked; or None. The order must be locked."""
    return await tx.row(ALIVE, order_id)


# What was given in days was given in days on which something could be done: the frozen ones are added.
THAW = """
UPDATE orders SET frozen_at = NULL, due_at = due_at + ($2 - frozen_at), termination_until = termination_until + ($2 - frozen_at),
  clock_from = greatest(clock_from, completed_at, delivered_at) + ($2 - frozen_at)
WHERE id = $1
"""
# A reviewer who decides at this moment needs no more time, and holds the row.
EXTEND = """
UPDATE approvals SET due_at = due_at + $2 WHERE id IN (
  SELECT a.id FROM approvals a WHERE a.state = 'open' AND (a.subject = 'order' AND a.subject_id = $1
    OR a.subject = 'redemption' AND a.subject_id IN (SELECT r.id FROM redemptions r WHERE r.order_id = $1))
  ORDER BY a.id FOR UPDATE SKIP LOCKED)
"""


async def lift(tx: Transaction, order: Any, freeze: Any, reason: str) -> None:
    """End a freeze and give every clock of the order its time back. Order and freeze must be locked."""
    now = tx.ctx.now
    await tx.run(
        "UPDATE freezes SET lifted_by_id = $2, lifted_at = $3, lift_reason = $4 WHERE id = $1", freeze.id, tx.ctx.person_id, now, reason
    )
    await tx.run(THAW, order.id, now)
    await tx.run(EXTEND, order.id, now - freeze.frozen_at)
    tx.record("order.unfrozen", "order", order.id, before=order.state, after=order.state, freeze_id=freeze.id, reason=reason)
    _tell_parties(tx, order, "checked")


async def _lock(ctx: Context, tx: Transaction, order_id: int) -> Any:
    order = await tx.row(LOCK, *reach_of(ctx.actor)[1:], order_id)
    if order is None:
        raise NotFound
    await refuse_party(ctx, tx, order)
    return order


async def refuse_party(ctx: Context, tx: Transaction, order: Any) -> None:
    """Raises OwnCase for who is or was a member of either party."""
    if await tx.value(PARTY, ctx.person_id, [order.enterprise_id, order.institution_id]):
        raise OwnCase


def _tell_parties(tx: Transaction, order: Any, progress: str) -> None:
    for party in (order.enterprise_id, order.institution_id):
        tx.announce(
            "order_frozen", "order", order.id, organisation_id=party, number=order.number, service=order.product_name,
            progress=progress, at=tx.ctx.now.isoformat(),
        )


def _risk_view(found: Any) -> RiskView:
    return {
        "order_id": found.order_id, "number": found.number, "state": found.state, "product_name": found.product_name,
        "enterprise": found.enterprise_name, "institution": found.institution_name, "order_fen": found.order_fen,
        "voucher_fen": found.voucher_fen, "score": found.score, "verdict": Verdict(found.verdict),
        "is_frozen": found.frozen_at is not None, "assessed_at": found.assessed_at,
    }


def _signal_view(signal: Any) -> SignalView:
    kind = SignalKind(signal.kind)
    return {"kind": kind, "title": TITLES[kind], "weight": signal.weight, "facts": signal.facts, "found_at": signal.found_at}


def _freeze_view(ctx: Context, freeze: Any) -> FreezeView:
    return {
        "id": freeze.id, "order_id": freeze.order_id, "number": freeze.number, "reason": freeze.reason,
        "frozen_by": _name(ctx, freeze.freezer_name), "frozen_at": freeze.frozen_at, "lift_reason": freeze.lift_reason,
        "lifted_by": _name(ctx, freeze.lifter_name), "lifted_at": freeze.lifted_at,
    }


def _name(ctx: Context, sealed: bytes | None) -> str | None:
    return mask_name(open_sealed(ctx.settings, sealed)) if sealed else None
