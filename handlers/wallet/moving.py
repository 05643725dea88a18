"""Moving money between accounts: every movement is a ledger entry, and a lot's amounts follow."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from handlers.transactions import Transaction
from handlers.wallet.calendar import first_unusable_instant, shanghai_date
from handlers.wallet.choosing import Spend

HOLD = """
WITH spends AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS s(lot_id, fen)),
held AS (
  UPDATE lots l SET available_fen = available_fen - s.fen, held_fen = held_fen + s.fen, give_back_until = NULL
  FROM spends s WHERE l.id = s.lot_id
  RETURNING l.id, l.programme_id, l.organisation_id, s.fen
)
INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
SELECT programme_id, id, $3, organisation_id, NULL::bigint, 'hold', 'available', 'held', fen, $4 FROM held
"""

# Without a payment review a hold would live for no time at all: both entries are written, one after the other.
HOLD_AND_COMMIT = """
WITH spends AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS s(lot_id, fen)),
spent AS (
  UPDATE lots l SET available_fen = available_fen - s.fen, spent_fen = spent_fen + s.fen, give_back_until = NULL
  FROM spends s WHERE l.id = s.lot_id
  RETURNING l.id, l.programme_id, l.organisation_id, s.fen
)
INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
SELECT programme_id, id, $3::bigint, organisation_id, CASE WHEN e.kind = 'commit' THEN $5::bigint END, e.kind, e.from_account,
       e.to_account, fen, $4
FROM spent CROSS JOIN (VALUES (1, 'hold', 'available', 'held'), (2, 'commit', 'held', 'receivable')) e(step, kind, from_account, to_account)
ORDER BY step, id
"""


async def hold(tx: Transaction, order_id: int, spends: Sequence[Spend]) -> None:
    """Reserve the amounts for an order whose payment will be reviewed (O3). The lots are locked by `lock_lots`."""
    await tx.run(HOLD, [spend.lot_id for spend in spends], [spend.fen for spend in spends], order_id, tx.ctx.now)


async def spend(tx: Transaction, order_id: int, institution_id: int, spends: Sequence[Spend]) -> None:
    """Pay an order: the amounts become the institution's receivable (O3 without review). Lots locked by `lock_lots`."""
    await tx.run(
        HOLD_AND_COMMIT, [spend.lot_id for spend in spends], [spend.fen for spend in spends], order_id, tx.ctx.now, institution_id
    )


COMMIT = """
WITH held AS (
  SELECT lot_id, sum(CASE kind WHEN 'hold' THEN fen ELSE -fen END)::bigint AS fen FROM ledger_entries
  WHERE order_id = $1 AND kind IN ('hold', 'release', 'commit') GROUP BY lot_id
), moved AS (
  UPDATE lots l SET held_fen = l.held_fen - h.fen, spent_fen = l.spent_fen + h.fen FROM held h WHERE l.id = h.lot_id AND h.fen > 0
  RETURNING l.id, l.programme_id, l.organisation_id, h.fen
)
INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
SELECT programme_id, id, $1, organisation_id, $2::bigint, 'commit', 'held', 'receivable', fen, $3 FROM moved
"""


async def commit(tx: Transaction, order_id: int, institution_id: int) -> None:
    """The reviewed payment stands: what the order holds becomes the institution's receivable (O4)."""
    await tx.run(COMMIT, order_id, institution_id, tx.ctx.now)


async def release(tx: Transaction, order_id: int, grace_days: int) -> None:
    """Give back what an order holds to the lots it came from (O5, C38)."""
    held = await tx.rows(
        "SELECT lot_id, sum(CASE kind WHEN 'hold' THEN fen ELSE -fen END)::bigint AS fen FROM ledger_entries"
        " WHERE order_id = $1 AND kind IN ('hold', 'release', 'commit') GROUP BY lot_id ORDER BY lot_id", order_id,
    )
    for part in held:
        if part.fen > 0:
            await _put_back(tx, "release", part.lot_id, part.fen, order_id, None, grace_days)


async def reverse(tx: Transaction, order_id: int, institution_id: int, fen: int, grace_days: int) -> None:
    """Give back `fen` of what an order has paid to the lots it came from, latest expiry first (O7, O12).

    The latest first, so that a partial return gives the enterprise what it can use longest.
    """
    paid = await tx.rows(
        "SELECT e.lot_id, l.expires_at, sum(CASE e.kind WHEN 'commit' THEN e.fen ELSE -e.fen END)::bigint AS fen FROM ledger_entries e"
        " JOIN lots l ON l.id = e.lot_id WHERE e.order_id = $1 AND e.kind IN ('commit', 'reverse')"
        " GROUP BY e.lot_id, l.expires_at ORDER BY l.expires_at DESC, e.lot_id DESC", order_id,
    )
    parts, left = [], fen
    for part in paid:
        parts.append((part.lot_id, min(left, part.fen)))
        left -= parts[-1][1]
    assert left == 0, f"order {order_id} cannot return {fen} fen: {left} fen more than it has paid"
    for lot_id, part_fen in sorted(parts):
        if part_fen > 0:
            await _put_back(tx, "reverse", lot_id, part_fen, order_id, institution_id, grace_days)


async def _put_back(
    tx: Transaction, kind: str, lot_id: int, fen: int, order_id: int, institution_id: int | None, grace_days: int
) -> None:
    source, account = ("held_fen", "held") if kind == "release" else ("spent_fen", "receivable")
    lot = await tx.row(
        f"UPDATE lots SET {source} = {source} - $2, available_fen = available_fen + $2 WHERE id = $1 RETURNING *", lot_id, fen
    )
    await _enter(tx, lot, kind, account, "available", fen, order_id=order_id, institution_id=institution_id)
    if lot.expires_at <= tx.ctx.now and not lot.grace_of_id and grace_days:
        await _move_to_grace_lot(tx, lot, fen, order_id, grace_days)
    # What comes back to a grace lot that is over is not prolonged again: the next sweep expires it.


async def _move_to_grace_lot(tx: Transaction, lot: Any, fen: int, order_id: int, grace_days: int) -> None:
    """What comes back after its date would be lost through no fault of the enterprise: it gets days of its own, once.

    One grace lot for what comes back on one day. Each amount has all of its days, whatever came back earlier.
    """
    today = shanghai_date(tx.ctx.now)
    until = today + timedelta(days=grace_days)
    await tx.run("UPDATE lots SET available_fen = available_fen - $2 WHERE id = $1", lot.id, fen)
    grace = await tx.row(
        "INSERT INTO lots (programme_id, voucher_type_id, organisation_id, grace_of_id, face_fen, available_fen, held_fen, spent_fen,"
        " expired_fen, valid_from, valid_until, expires_at, created_at, grant_id) VALUES ($1,$2,$3,$4,$5,$5,0,0,0,$6,$7,$8,$9,$10)"
        " ON CONFLICT (grace_of_id, valid_until) WHERE grace_of_id IS NOT NULL"
        " DO UPDATE SET face_fen = lots.face_fen + $5, available_fen = lots.available_fen + $5 RETURNING id",
        lot.programme_id, lot.voucher_type_id, lot.organisation_id, lot.id, fen, today, until, first_unusable_instant(until), tx.ctx.now,
        lot.grant_id,
    )
    await _enter(tx, lot, "grace", "available", "available", fen, order_id=order_id, to_lot_id=grace.id)


async def _enter(
    tx: Transaction, lot: Any, kind: str, source: str, target: str, fen: int, *, order_id: int | None = None,
    institution_id: int | None = None, to_lot_id: int | None = None,
) -> None:
    await tx.run(
        "INSERT INTO ledger_entries (programme_id, lot_id, to_lot_id, order_id, organisation_id, institution_id, kind, from_account,"
        " to_account, fen, at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)",
        lot.programme_id, lot.id, to_lot_id, order_id, lot.organisation_id, institution_id, kind, source, target, fen, tx.ctx.now,
    )
