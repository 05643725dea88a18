"""The wallet of an enterprise: voucher lots, what a payment uses of them, bills and expiry (E19-E23, F05, F06).

Every movement is one ledger entry from an account to another; a lot's amounts are the sums of its entries.
The earliest expiry goes first. An expiry date is usable to its last instant in Asia/Shanghai (E22).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

from handlers.context import Context
from handlers.paging import Page, PageView, page_of
from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, rows, transaction

SHANGHAI = ZoneInfo("Asia/Shanghai")


class LotNotUsable(Refusal):
    """`reason`: not_yours | expired | type_not_accepted | above_deduction | above_balance | twice."""

    kind, code, title = Kind.INVALID, "lot_not_usable", "所选服务券不能用于本次支付"


class NotEnoughVouchers(Refusal):
    kind, code, title = Kind.CONFLICT, "not_enough_vouchers", "可用服务券额度不足"


class WalletTab(StrEnum):
    USABLE = "usable"    # 可使用
    USED = "used"        # 已使用
    EXPIRED = "expired"  # 已过期


class LotView(TypedDict):
    id: int
    voucher_type_id: int
    voucher_type: str
    is_universal: bool
    state: str
    face_fen: int
    available_fen: int
    held_fen: int
    spent_fen: int
    valid_from: date
    valid_until: date


class BalanceView(TypedDict):
    voucher_type_id: int
    voucher_type: str
    available_fen: int
    next_expiry: date


class BillView(TypedDict):
    """One line of 账单管理 (E21); `amount_fen` is signed."""

    id: int
    amount_fen: int
    voucher_type: str
    at: datetime
    expires_on: date | None
    remark: str
    order_id: int | None


class SpendView(TypedDict):
    lot_id: int
    voucher_type: str
    fen: int
    valid_until: date


@dataclass(frozen=True, slots=True)
class Spend:
    """So many fen of one lot."""

    lot_id: int
    fen: int


def shanghai_date(now: datetime) -> date:
    return now.astimezone(SHANGHAI).date()


def first_unusable_instant(valid_until: date) -> datetime:
    """Midnight after the last day, Asia/Shanghai, as UTC."""
    return datetime.combine(valid_until + timedelta(days=1), time.min, SHANGHAI).astimezone(UTC)


# --- looking -------------------------------------------------------------------------------------------------------------

LOT_COLUMNS = """
l.id, l.voucher_type_id, t.name AS voucher_type, t.is_universal, l.face_fen, l.available_fen, l.held_fen, l.spent_fen, l.expired_fen,
l.valid_from, l.valid_until, l.expires_at
"""
TABS = {
    WalletTab.USABLE: "l.available_fen > 0 AND l.expires_at > $2",
    WalletTab.USED: "l.available_fen = 0 AND l.expired_fen = 0 AND l.face_fen > 0",
    WalletTab.EXPIRED: "(l.expired_fen > 0 OR l.available_fen > 0 AND l.expires_at <= $2)",
}


async def list_lots(ctx: Context, tab: WalletTab, page: Page) -> PageView[LotView]:
    """Lots of the acting enterprise, soonest expiry first."""
    after = page.key((str, int)) or ["0001-01-01T00:00:00+00:00", 0]
    found = await rows(
        f"SELECT {LOT_COLUMNS} FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id"
        f" WHERE l.organisation_id = $1 AND {TABS[tab]} AND $2::timestamptz IS NOT NULL AND (l.expires_at, l.id) > ($3, $4)"
        " ORDER BY l.expires_at, l.id LIMIT $5",
        ctx.organisation_id, ctx.now, moment_of(after[0]), after[1], page.limit + 1,
    )
    return page_of(found, page, lambda lot: view_lot(lot, tab), lambda lot: [lot.expires_at.isoformat(), lot.id])


def moment_of(text: str) -> datetime:
    from handlers.paging import CursorUnknown

    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CursorUnknown from error
    if found.tzinfo is None:
        raise CursorUnknown
    return found


def view_lot(lot: Any, tab: WalletTab) -> LotView:
    return {
        "id": lot.id, "voucher_type_id": lot.voucher_type_id, "voucher_type": lot.voucher_type, "is_universal": lot.is_universal,
        "state": tab.value, "face_fen": lot.face_fen, "available_fen": lot.available_fen, "held_fen": lot.held_fen,
        "spent_fen": lot.spent_fen, "valid_from": lot.valid_from, "valid_until": lot.valid_until,
    }


async def list_balances(ctx: Context) -> list[BalanceView]:
    """What can be spent now, by voucher type."""
    found = await rows(
        "SELECT l.voucher_type_id, t.name AS voucher_type, sum(l.available_fen)::bigint AS available_fen,"
        " min(l.valid_until) AS next_expiry FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id"
        " WHERE l.organisation_id = $1 AND l.available_fen > 0 AND l.expires_at > $2"
        " GROUP BY l.voucher_type_id, t.name ORDER BY next_expiry, l.voucher_type_id",
        ctx.organisation_id, ctx.now,
    )
    return [{"voucher_type_id": row.voucher_type_id, "voucher_type": row.voucher_type, "available_fen": row.available_fen,
             "next_expiry": row.next_expiry} for row in found]


# What an enterprise calls a movement (E21). Holds and releases change nothing that it owns, so they are no bill lines.
REMARKS = {
    "issue": "发放", "commit": "下单", "reverse": "退回", "expire": "过期", "give_back": "放弃", "revoke": "收回", "grace": "延期",
}
INCOMING = frozenset({"issue", "reverse"})


async def list_bills(ctx: Context, page: Page) -> PageView[BillView]:
    """Newest first. A grace entry is not shown: the same money stays with the enterprise under a later date."""
    after = page.key()
    found = await rows(
        "SELECT e.id, e.kind, e.fen, e.at, e.order_id, t.name AS voucher_type, l.valid_until FROM ledger_entries e"
        " JOIN lots l ON l.id = e.lot_id JOIN voucher_types t ON t.id = l.voucher_type_id"
        " WHERE e.organisation_id = $1 AND e.kind IN ('issue','commit','reverse','expire','give_back','revoke') AND e.id < $2"
        " ORDER BY e.id DESC LIMIT $3",
        ctx.organisation_id, after[0] if after else 2**63 - 1, page.limit + 1,
    )
    return page_of(found, page, view_bill, lambda entry: [entry.id])


def view_bill(entry: Any) -> BillView:
    sign = 1 if entry.kind in INCOMING else -1
    return {
        "id": entry.id, "amount_fen": sign * entry.fen, "voucher_type": entry.voucher_type, "at": entry.at,
        "expires_on": entry.valid_until if entry.kind in INCOMING else None, "remark": REMARKS[entry.kind], "order_id": entry.order_id,
    }


# --- choosing --------------------------------------------------------------------------------------------------------------


def choose_lots(lots: Sequence[Any], deductions: dict[str, int], wanted_fen: int, now: datetime) -> list[Spend]:
    """Earliest expiry first, within what the product takes of each voucher type. Raises NotEnoughVouchers.

    `lots` are ordered by expiry; `deductions` maps a voucher type's id to the most fen of it.
    """
    left, left_of_type, chosen = wanted_fen, dict(deductions), []
    for lot in lots:
        of_type = left_of_type.get(str(lot.voucher_type_id), 0)
        fen = min(left, of_type, lot.available_fen if lot.expires_at > now else 0)
        if fen > 0:
            chosen.append(Spend(lot.id, fen))
            left -= fen
            left_of_type[str(lot.voucher_type_id)] = of_type - fen
    if left:
        raise NotEnoughVouchers(wanted_fen=wanted_fen, usable_fen=wanted_fen - left)
    return chosen


def why_unusable(lot: Any, fen: int, left_of_type_fen: int, now: datetime) -> str | None:
    """The reason, or None: the one rule for a lot that somebody picked, asked by the payment and by its dry run."""
    if lot is None:
        return "not_yours"
    if lot.expires_at <= now:
        return "expired"
    if left_of_type_fen == 0:
        return "type_not_accepted"
    if fen > left_of_type_fen:
        return "above_deduction"
    if fen > lot.available_fen:
        return "above_balance"
    return None


def check_picks(lots: Sequence[Any], deductions: dict[str, int], picks: Sequence[Spend], now: datetime) -> list[Spend]:
    """The amounts that the enterprise chose itself (E29). Raises LotNotUsable for the first that cannot be."""
    by_id, left_of_type = {lot.id: lot for lot in lots}, dict(deductions)
    for pick in picks:
        lot = by_id.pop(pick.lot_id, None)
        key = str(lot.voucher_type_id) if lot else ""
        if reason := why_unusable(lot, pick.fen, left_of_type.get(key, 0), now):
            twice = lot is None and any(other.id == pick.lot_id for other in lots)
            raise LotNotUsable(lot_id=pick.lot_id, reason="twice" if twice else reason)
        left_of_type[key] -= pick.fen
    return list(picks)


async def lock_lots(tx: Transaction, organisation_id: int, programme_id: int, voucher_type_ids: list[int]) -> list[Any]:
    """The enterprise's lots of these types that hold something, earliest expiry first.

    They are locked in order of id, everywhere, so that two payments wait for each other instead of killing each other.
    """
    locked = await tx.rows(
        f"SELECT {LOT_COLUMNS} FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id"
        " WHERE l.organisation_id = $1 AND l.programme_id = $2 AND l.voucher_type_id = ANY($3) AND l.available_fen > 0"
        " ORDER BY l.id FOR UPDATE OF l",
        organisation_id, programme_id, voucher_type_ids,
    )
    return sorted(locked, key=lambda lot: (lot.expires_at, lot.id))


async def find_lots(organisation_id: int, programme_id: int, voucher_type_ids: list[int]) -> list[Any]:
    """The same without locks, for a dry run."""
    return await rows(
        f"SELECT {LOT_COLUMNS} FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id"
        " WHERE l.organisation_id = $1 AND l.programme_id = $2 AND l.voucher_type_id = ANY($3) AND l.available_fen > 0"
        " ORDER BY l.expires_at, l.id",
        organisation_id, programme_id, voucher_type_ids,
    )


# --- moving ----------------------------------------------------------------------------------------------------------------

HOLD = """
WITH spends AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS s(lot_id, fen)),
held AS (
  UPDATE lots l SET available_fen = available_fen - s.fen, held_fen = held_fen + s.fen FROM spends s WHERE l.id = s.lot_id
  RETURNING l.id, l.programme_id, l.organisation_id, s.fen
)
INSERT INTO ledger_entries (programme_id, lot_id, order_id, organisation_id, institution_id, kind, from_account, to_account, fen, at)
SELECT programme_id, id, $3, organisation_id, NULL::bigint, 'hold', 'available', 'held', fen, $4 FROM held
"""

# Without a payment review a hold would live for no time at all: both entries are written, one after the other.
HOLD_AND_COMMIT = """
WITH spends AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS s(lot_id, fen)),
spent AS (
  UPDATE lots l SET available_fen = available_fen - s.fen, spent_fen = spent_fen + s.fen FROM spends s WHERE l.id = s.lot_id
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
            await _give_back(tx, "release", part.lot_id, part.fen, order_id, None, grace_days)


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
            await _give_back(tx, "reverse", lot_id, part_fen, order_id, institution_id, grace_days)


async def _give_back(
    tx: Transaction, kind: str, lot_id: int, fen: int, order_id: int, institution_id: int | None, grace_days: int
) -> None:
    source, account = ("held_fen", "held") if kind == "release" else ("spent_fen", "receivable")
    lot = await tx.row(
        f"UPDATE lots SET {source} = {source} - $2, available_fen = available_fen + $2 WHERE id = $1 RETURNING *", lot_id, fen
    )
    await _enter(tx, lot, kind, account, "available", fen, order_id=order_id, institution_id=institution_id)
    if lot.expires_at <= tx.ctx.now and not lot.grace_of_id and grace_days:
        await _move_to_grace_lot(tx, lot, fen, order_id, grace_days)
    # A grace lot that is over gets no second one: the next sweep expires what came back to it.


async def _move_to_grace_lot(tx: Transaction, lot: Any, fen: int, order_id: int, grace_days: int) -> None:
    """What comes back after its date would be lost through no fault of the enterprise: it gets a lot of its own, once."""
    today = shanghai_date(tx.ctx.now)
    until = today + timedelta(days=grace_days)
    await tx.run("UPDATE lots SET available_fen = available_fen - $2 WHERE id = $1", lot.id, fen)
    grace = await tx.row(
        "INSERT INTO lots (programme_id, voucher_type_id, organisation_id, grace_of_id, face_fen, available_fen, valid_from,"
        " valid_until, expires_at, created_at) VALUES ($1,$2,$3,$4,$5,$5,$6,$7,$8,$9)"
        " ON CONFLICT (grace_of_id) WHERE grace_of_id IS NOT NULL"
        " DO UPDATE SET face_fen = lots.face_fen + $5, available_fen = lots.available_fen + $5 RETURNING id",
        lot.programme_id, lot.voucher_type_id, lot.organisation_id, lot.id, fen, today, until, first_unusable_instant(until), tx.ctx.now,
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


# --- coming and going ------------------------------------------------------------------------------------------------------

ISSUE_ROUND = """
WITH made AS (
  INSERT INTO lots (programme_id, voucher_type_id, organisation_id, reservation_id, face_fen, available_fen, valid_from, valid_until,
                    expires_at, created_at)
  SELECT $2, r.voucher_type_id, r.organisation_id, r.id, t.face_fen, t.face_fen, $3, $4, $5, $6
  FROM reservations r JOIN voucher_types t ON t.id = r.voucher_type_id WHERE r.round_id = $1 AND r.state = 'won' ORDER BY r.id
  RETURNING id, organisation_id, face_fen
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
  SELECT $2, id, organisation_id, 'issue', 'budget', 'available', face_fen, $6 FROM made
)
SELECT count(*) FROM made
"""


async def issue_round(ctx: Context, tx: Transaction, round_: Any) -> int:
    """Put a voucher into the wallet of every winner of a round, in one statement. Returns how many."""
    issued: int = await tx.value(
        ISSUE_ROUND, round_.id, round_.programme_id, shanghai_date(ctx.now), round_.valid_until,
        first_unusable_instant(round_.valid_until), ctx.now,
    )
    return issued


EXPIRE = """
WITH due AS (
  SELECT id, available_fen FROM lots WHERE available_fen > 0 AND expires_at <= $1
  ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
), gone AS (
  UPDATE lots l SET expired_fen = l.expired_fen + due.available_fen, available_fen = 0, expired_at = $1 FROM due WHERE l.id = due.id
  RETURNING l.id, l.programme_id, l.organisation_id, due.available_fen
), entered AS (
  INSERT INTO ledger_entries (programme_id, lot_id, organisation_id, kind, from_account, to_account, fen, at)
  SELECT programme_id, id, organisation_id, 'expire', 'available', 'expired', available_fen, $1 FROM gone
)
SELECT count(*) AS lots, coalesce(sum(available_fen), 0)::bigint AS fen, min(id) AS first_id FROM gone
"""


async def expire_due(ctx: Context, limit: int = 5_000) -> int:
    """Take what is left of lots whose last day is over; what is on hold is protected. Returns how many lots."""
    async with transaction(ctx) as tx:
        gone = await tx.row(EXPIRE, ctx.now, limit)
        if gone.lots:
            tx.record("lots.expired", "lot", gone.first_id, lots=gone.lots, fen=gone.fen)
        return int(gone.lots)
