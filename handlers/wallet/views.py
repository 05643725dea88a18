"""What an enterprise sees of its wallet: lots by tab, balances, bills (E19, E21)."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypedDict

from handlers.context import Context
from handlers.paging import CursorUnknown, Page, PageView, page_of
from handlers.transactions import rows


class WalletTab(StrEnum):
    USABLE = "usable"    # 可使用
    USED = "used"        # 已使用
    EXPIRED = "expired"  # 已过期


class DirectionView(TypedDict):
    """使用方向: 服务大类 (its code) and 服务小类 (C24)."""

    category: str
    content: str


class LotView(TypedDict):
    """`directions`: what these vouchers were granted for; empty where they pay for any product that takes their type."""

    id: int
    voucher_type_id: int
    voucher_type: str
    is_universal: bool
    directions: list["DirectionView"]
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
    after = page.key((str, int))
    # Asked with a keyset that is always true, the server plans each first page anew, which takes as long as finding it.
    keyset, seen = (" AND (l.expires_at, l.id) > ($4, $5)", [moment_of(after[0]), after[1]]) if after else ("", [])
    found = await rows(
        f"SELECT {LOT_COLUMNS}, g.directions FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id"
        " LEFT JOIN grants g ON g.id = l.grant_id"
        f" WHERE l.organisation_id = $1 AND {TABS[tab]} AND $2::timestamptz IS NOT NULL{keyset} ORDER BY l.expires_at, l.id LIMIT $3",
        ctx.organisation_id, ctx.now, page.limit + 1, *seen,
    )
    state = tab.value  # once: asking an enum takes longer than a row
    return page_of(found, page, lambda lot: view_lot(lot, state), lambda lot: [lot.expires_at.isoformat(), lot.id])


def moment_of(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CursorUnknown from error
    if found.tzinfo is None:
        raise CursorUnknown
    return found


def view_lot(lot: Any, state: str) -> LotView:
    # By index: an attribute of a row costs ten times as much, and a wallet reads hundreds of them.
    return {
        "id": lot["id"], "voucher_type_id": lot["voucher_type_id"], "voucher_type": lot["voucher_type"],
        "is_universal": lot["is_universal"], "directions": lot["directions"] or [], "state": state,
        "face_fen": lot["face_fen"], "available_fen": lot["available_fen"],
        "held_fen": lot["held_fen"], "spent_fen": lot["spent_fen"], "valid_from": lot["valid_from"], "valid_until": lot["valid_until"],
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
