"""Looking at orders for what fraud looks like (F02, F03): every signal is a rule that anybody can read, with its facts.

The weights are published; what they add up to proposes, and a person decides. An order is looked at once for each state it gets.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from handlers import risk_traits
from handlers.context import Context
from handlers.risk_traits import CROWD, Found
from handlers.transactions import Transaction, transaction
from models.risks import SignalKind, Trait, Verdict

QUICK = timedelta(minutes=10)       # nobody reads an audit report in less
AFTER_ISSUE = timedelta(hours=48)
SHARE_PERCENT, SHARE_ORDERS = 60, 5
TEXT_ORDERS, TEXT_ENTERPRISES = 5, 3
SAMPLE_FROM, FREEZE_FROM = 30, 60

WEIGHTS: Mapping[SignalKind, int] = {
    SignalKind.SAME_PERSON: 60, SignalKind.SAME_LEGAL_PERSON: 60, SignalKind.SAME_BANK_ACCOUNT: 60, SignalKind.SAME_DEVICE: 50,
    SignalKind.SAME_PHONE: 40, SignalKind.SAME_ADDRESS: 30, SignalKind.CLUSTER_SHARE: 30, SignalKind.QUICK_CONFIRMATION: 30,
    SignalKind.MAXIMUM_AT_ONCE: 20, SignalKind.SAME_TEXTS: 20,
}
BY_TRAIT = {
    Trait.PERSON: SignalKind.SAME_PERSON, Trait.LEGAL_PERSON: SignalKind.SAME_LEGAL_PERSON, Trait.PHONE: SignalKind.SAME_PHONE,
    Trait.ADDRESS: SignalKind.SAME_ADDRESS, Trait.BANK_ACCOUNT: SignalKind.SAME_BANK_ACCOUNT, Trait.DEVICE: SignalKind.SAME_DEVICE,
}


class FactView(TypedDict):
    """`who` is a party or our own record, `value` is masked where it is personal."""

    who: str
    what: str
    value: str
    at: str


@dataclass(frozen=True, slots=True)
class Signal:
    """`key` tells it from others of its kind at the same order."""

    order_id: int
    kind: SignalKind
    key: str
    facts: list[FactView]

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.kind} {self.key}".encode()).hexdigest()


# Whatever is locked is being moved at this moment: it comes again with its next state.
DUE = """
SELECT o.*, e.name AS enterprise_name, i.name AS institution_name FROM orders o
JOIN organisations e ON e.id = o.enterprise_id JOIN organisations i ON i.id = o.institution_id
WHERE o.scanned_state IS DISTINCT FROM o.state OR o.scanned_at < o.delivered_at
ORDER BY o.id LIMIT $1 FOR NO KEY UPDATE OF o SKIP LOCKED
"""
SCANNED = "UPDATE orders SET scanned_state = state, scanned_at = $2 WHERE id = ANY($1)"
KEEP = """
INSERT INTO risk_signals (order_id, kind, weight, digest, facts, found_at)
SELECT g.order_id, g.kind, g.weight, g.digest, g.facts, $2
FROM jsonb_to_recordset($1) AS g(order_id bigint, kind varchar, weight smallint, digest varchar, facts jsonb)
ON CONFLICT (order_id, kind, digest) DO NOTHING
"""
# A kind counts once, however many facts speak of it.
ASSESS = """
INSERT INTO order_risks (order_id, score, verdict, assessed_at)
SELECT order_id, score, CASE WHEN score >= $2 THEN 'freeze' WHEN score >= $3 THEN 'sample' ELSE 'none' END, $4 FROM (
  SELECT order_id, sum(weight)::int AS score FROM (
    SELECT order_id, kind, max(weight) AS weight FROM risk_signals WHERE order_id = ANY($1) GROUP BY order_id, kind) each
  GROUP BY order_id ORDER BY order_id) sums
ON CONFLICT (order_id) DO UPDATE SET score = excluded.score, verdict = excluded.verdict, assessed_at = $4
  WHERE order_risks.score <> excluded.score
RETURNING order_id, score, verdict, (SELECT verdict FROM order_risks b WHERE b.order_id = order_risks.order_id) AS before
"""


async def scan_orders(ctx: Context, limit: int = 200) -> int:
    """Sweep: look at orders that have come into a state since they were last looked at. Returns how many."""
    async with transaction(ctx) as tx:
        orders = {order.id: order for order in await tx.rows(DUE, limit)}
        if not orders:
            return 0
        await _keep(tx, orders, await signals_of(tx, list(orders.values())))
        await tx.run(SCANNED, list(orders), ctx.now)
        return len(orders)


async def signals_of(tx: Transaction, orders: list[Any]) -> list[Signal]:
    parties = {party for order in orders for party in (order.enterprise_id, order.institution_id)}
    found = await risk_traits.refresh(tx, parties)
    return [
        *both_sides(orders, found, await crowded(tx, found)), *quick_confirmations(orders, await _first_handovers(tx, orders)),
        *await _maximum_at_once(tx, orders), *await _cluster_shares(tx, orders), *await _same_texts(tx, orders),
    ]


async def _keep(tx: Transaction, orders: Mapping[int, Any], signals: Iterable[Signal]) -> None:
    found = sorted(signals, key=lambda signal: (signal.order_id, signal.kind, signal.digest))
    if not found:
        return
    kept = [
        {"order_id": each.order_id, "kind": each.kind, "weight": WEIGHTS[each.kind], "digest": each.digest, "facts": each.facts}
        for each in found
    ]
    await tx.run(KEEP, kept, tx.ctx.now)
    risky = sorted({each.order_id for each in found})
    for risk in await tx.rows(ASSESS, risky, FREEZE_FROM, SAMPLE_FROM, tx.ctx.now):
        tx.record("order_risk.assessed", "order_risk", risk.order_id, score=risk.score, verdict=risk.verdict)
        if risk.verdict == Verdict.FREEZE and risk.before != Verdict.FREEZE:
            await _propose(tx, orders[risk.order_id], risk.score)


async def _propose(tx: Transaction, order: Any, score: int) -> None:
    place = await tx.row("SELECT region_code, park_id FROM organisations WHERE id = $1", order.enterprise_id)
    tx.announce(
        "risk_proposed", "order", order.id, role="risk_officer", region_code=place.region_code, park_id=place.park_id,
        number=order.number, service=order.product_name, score=score, at=tx.ctx.now.isoformat(),
    )


# --- both sides are one ------------------------------------------------------------------------------------------------------

CROWDED = """
SELECT digest FROM party_traits WHERE kind = 'address' AND digest = ANY($1) GROUP BY digest HAVING count(*) > $2
"""


async def crowded(tx: Transaction, found: Iterable[Found]) -> set[bytes]:
    addresses = list({one.digest for one in found if one.kind is Trait.ADDRESS})
    return {bytes(crowd.digest) for crowd in await tx.rows(CROWDED, addresses, CROWD)}


def both_sides(orders: Iterable[Any], found: Iterable[Found], crowded: set[bytes]) -> list[Signal]:
    """A person, phone, address, account or device that the enterprise and the institution of an order have in common."""
    of: dict[int, dict[tuple[Trait, bytes], Found]] = {}
    for one in sorted(found, key=lambda one: one.at, reverse=True):  # the earliest that we know stays
        if one.digest not in crowded:
            of.setdefault(one.organisation_id, {})[one.key] = one
    signals = []
    for order in orders:
        buyer, seller = of.get(order.enterprise_id, {}), of.get(order.institution_id, {})
        for key in sorted(buyer.keys() & seller.keys()):
            facts = [_fact(order.enterprise_name, buyer[key]), _fact(order.institution_name, seller[key])]
            signals.append(Signal(order.id, BY_TRAIT[key[0]], key[1].hex(), facts))
    return signals


def _fact(who: str, one: Found) -> FactView:
    return {"who": who, "what": one.what, "value": one.value, "at": one.at.isoformat()}


# --- how it was done -----------------------------------------------------------------------------------------------------------

FIRST_HANDOVERS = "SELECT order_id, min(delivered_at) AS at FROM handovers WHERE order_id = ANY($1) GROUP BY order_id"


async def _first_handovers(tx: Transaction, orders: list[Any]) -> dict[int, datetime]:
    done = [order.id for order in orders if order.completed_at is not None]
    return {first.order_id: first.at for first in await tx.rows(FIRST_HANDOVERS, done)} if done else {}


def quick_confirmations(orders: Iterable[Any], first: Mapping[int, datetime]) -> list[Signal]:
    """Completed within minutes of the first delivery: who has sent it back once has looked at it."""
    return [
        Signal(order.id, SignalKind.QUICK_CONFIRMATION, "", [
            {"who": order.institution_name, "what": "首次提交完成", "value": order.number, "at": first[order.id].isoformat()},
            {"who": order.enterprise_name, "what": "确认完成", "value": order.number, "at": order.completed_at.isoformat()},
        ])
        for order in orders if order.id in first and order.completed_at is not None and order.completed_at - first[order.id] < QUICK
    ]


# Whole deduction, of what had been given within two days before; a deduction of the whole price is no target that one aims at.
MAXIMUM = """
SELECT o.id, e.name, o.voucher_fen, max(l.created_at) AS issued_at, o.paid_at AS at
FROM orders o JOIN organisations e ON e.id = o.enterprise_id JOIN ledger_entries x ON x.order_id = o.id AND x.kind = 'commit'
JOIN lots l ON l.id = x.lot_id AND l.grace_of_id IS NULL
WHERE o.id = ANY($1) AND o.paid_at IS NOT NULL AND o.voucher_fen = o.max_voucher_fen AND o.voucher_fen < o.order_fen
GROUP BY o.id, e.name HAVING o.placed_at - max(l.created_at) < $2
"""


async def _maximum_at_once(tx: Transaction, orders: list[Any]) -> list[Signal]:
    return [
        Signal(found.id, SignalKind.MAXIMUM_AT_ONCE, "", [
            {"who": found.name, "what": "服务券到账", "value": "", "at": found.issued_at.isoformat()},
            {"who": found.name, "what": "按抵扣上限用券（分）", "value": str(found.voucher_fen), "at": found.at.isoformat()},
        ])
        for found in await tx.rows(MAXIMUM, [order.id for order in orders], AFTER_ISSUE)
    ]


# --- in the company of others ----------------------------------------------------------------------------------------------------

# Enterprises that are tied to each other by a legal person, a phone or an address, at whatever distance.
CLUSTER = """
WITH RECURSIVE ties AS (
  SELECT $1::bigint AS id
  UNION
  SELECT b.organisation_id FROM ties t
  JOIN party_traits a ON a.organisation_id = t.id AND a.kind IN ('legal_person', 'phone', 'address')
  JOIN party_traits b ON b.kind = a.kind AND b.digest = a.digest
  JOIN organisations o ON o.id = b.organisation_id AND o.kind = 'enterprise'
  WHERE a.kind <> 'address' OR (
    SELECT count(*) FROM (SELECT 1 FROM party_traits c WHERE c.kind = 'address' AND c.digest = a.digest LIMIT $2 + 1) crowd) <= $2
), members AS (SELECT id FROM ties LIMIT 200)
SELECT o.institution_id, count(*) AS orders, count(DISTINCT o.enterprise_id) AS enterprises,
  sum(count(*)) OVER () AS all_orders, (SELECT count(*) FROM members) AS members
FROM orders o JOIN members m ON m.id = o.enterprise_id
WHERE o.paid_at IS NOT NULL AND o.returned_fen < o.voucher_fen GROUP BY o.institution_id
"""


async def _cluster_shares(tx: Transaction, orders: list[Any]) -> list[Signal]:
    paid = [order for order in orders if order.paid_at is not None]
    shares = {enterprise: await tx.rows(CLUSTER, enterprise, CROWD) for enterprise in {order.enterprise_id for order in paid}}
    signals = []
    for order in paid:
        share = next((each for each in shares[order.enterprise_id] if each.institution_id == order.institution_id), None)
        if share is None or share.enterprises < 2 or share.orders < SHARE_ORDERS:
            continue
        if share.orders * 100 > share.all_orders * SHARE_PERCENT:
            text = f"{share.members} 家关联企业共 {share.all_orders} 单，其中 {share.orders} 单由该机构承接"
            signals.append(Signal(order.id, SignalKind.CLUSTER_SHARE, str(order.institution_id), [
                {"who": order.institution_name, "what": "关联企业订单占比", "value": text, "at": tx.ctx.now.isoformat()},
            ]))
    return signals


# The expression and the length are those of the index handovers_by_text.
SAME_TEXTS = r"""
WITH mine AS (
  SELECT DISTINCT ON (h.order_id) h.order_id, o.institution_id, h.summary, h.delivered_at,
    md5(regexp_replace(normalize(h.summary, NFKC), '\s', '', 'g')) AS text
  FROM handovers h JOIN orders o ON o.id = h.order_id WHERE h.order_id = ANY($1) AND char_length(h.summary) >= 10
  ORDER BY h.order_id, h.id DESC
)
SELECT m.*, s.orders, s.enterprises, i.name FROM mine m JOIN organisations i ON i.id = m.institution_id
CROSS JOIN LATERAL (
  SELECT count(DISTINCT o.id) AS orders, count(DISTINCT o.enterprise_id) AS enterprises FROM handovers h JOIN orders o ON o.id = h.order_id
  WHERE md5(regexp_replace(normalize(h.summary, NFKC), '\s', '', 'g')) = m.text AND char_length(h.summary) >= 10
    AND o.institution_id = m.institution_id
) s WHERE s.orders >= $2 AND s.enterprises >= $3
"""


async def _same_texts(tx: Transaction, orders: list[Any]) -> list[Signal]:
    return [
        Signal(found.order_id, SignalKind.SAME_TEXTS, found.text, [{
            "who": found.name, "what": f"{found.enterprises} 家企业的 {found.orders} 个订单服务成果说明相同",
            "value": found.summary[:100], "at": found.delivered_at.isoformat(),
        }])
        for found in await tx.rows(SAME_TEXTS, [order.id for order in orders], TEXT_ORDERS, TEXT_ENTERPRISES)
    ]
