"""What an enterprise sees of its wallet: lots by tab, balances, bills (E19, E21)."""

from datetime import UTC, date, datetime
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


class LotState(StrEnum):
    """Of a lot: that of its tab, unless it was given back (主动放弃), which is shown among what is over."""

    USABLE = "usable"
    USED = "used"
    EXPIRED = "expired"
    GIVEN_BACK = "given_back"


class LotView(TypedDict):
    """`directions`: what these vouchers were granted for; empty where they pay for any product that takes their type.
    `give_back_until`: the last day on which the voucher may be given back; null if it never might, or was used or given back.
    """

    id: int
    programme_id: int
    voucher_type_id: int
    voucher_type: str
    is_universal: bool
    directions: list["DirectionView"]
    state: LotState
    face_fen: int
    available_fen: int
    held_fen: int
    spent_fen: int
    valid_from: date
    valid_until: date
    give_back_until: date | None


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
l.id, l.programme_id, l.voucher_type_id, t.name AS voucher_type, t.is_universal, l.face_fen, l.available_fen, l.held_fen, l.spent_fen,
l.expired_fen, l.valid_from, l.valid_until, l.expires_at, l.give_back_until, l.given_back_at
"""
# An amount on hold belongs to a payment under review: it comes back, or is used. A lot whose amount has moved on to a grace lot is
# shown as that one.
TABS = {
    WalletTab.USABLE: "(l.available_fen > 0 OR l.held_fen > 0) AND l.expires_at > $2",
    WalletTab.USED: "l.available_fen = 0 AND l.expired_fen = 0 AND l.spent_fen + l.held_fen > 0 AND (l.held_fen = 0 OR l.expires_at <= $2)",
    WalletTab.EXPIRED: "(l.expired_fen > 0 OR l.available_fen > 0 AND l.expires_at <= $2 OR l.given_back_at IS NOT NULL)",
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
    state = LotState(tab)
    return page_of(
        found, page, lambda lot: view_lot(lot, LotState.GIVEN_BACK if lot["given_back_at"] else state),
        lambda lot: [lot.expires_at.isoformat(), lot.id],
    )


def moment_of(text: str) -> datetime:
    """Of a cursor. Raises CursorUnknown, also for one that only its offset keeps within what a datetime can be."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise CursorUnknown
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CursorUnknown from error


def view_lot(lot: Any, state: LotState) -> LotView:
    # By index: an attribute of a row costs ten times as much, and a wallet reads hundreds of them.
    return {
        "id": lot["id"], "programme_id": lot["programme_id"], "voucher_type_id": lot["voucher_type_id"],
        "voucher_type": lot["voucher_type"], "is_universal": lot["is_universal"], "directions": lot["directions"] or [],
        "state": state, "face_fen": lot["face_fen"], "available_fen": lot["available_fen"],
        "held_fen": lot["held_fen"], "spent_fen": lot["spent_fen"], "valid_from": lot["valid_from"], "valid_until": lot["valid_until"],
        "give_back_until": lot["give_back_until"],
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
# What came back too late is usable until the date of its grace lot, to which it went at the same moment.
BILLS = """
SELECT e.id, e.kind, e.fen, e.at, e.order_id, t.name AS voucher_type, CASE WHEN e.kind = 'reverse' THEN coalesce((
    SELECT later.valid_until FROM ledger_entries g JOIN lots later ON later.id = g.to_lot_id
    WHERE g.lot_id = e.lot_id AND g.order_id = e.order_id AND g.kind = 'grace' AND g.at = e.at), l.valid_until
  ) ELSE l.valid_until END AS valid_until
FROM ledger_entries e JOIN lots l ON l.id = e.lot_id JOIN voucher_types t ON t.id = l.voucher_type_id
WHERE e.organisation_id = $1 AND e.kind IN ('issue','commit','reverse','expire','give_back','revoke') AND e.id < $2
ORDER BY e.id DESC LIMIT $3
"""


async def list_bills(ctx: Context, page: Page) -> PageView[BillView]:
    """Newest first. A grace entry is not shown: the same money stays with the enterprise under a later date."""
    after = page.key()
    found = await rows(BILLS, ctx.organisation_id, after[0] if after else 2**63 - 1, page.limit + 1)
    return page_of(found, page, view_bill, lambda entry: [entry.id])


def view_bill(entry: Any) -> BillView:
    sign = 1 if entry.kind in INCOMING else -1
    return {
        "id": entry.id, "amount_fen": sign * entry.fen, "voucher_type": entry.voucher_type, "at": entry.at,
        "expires_on": entry.valid_until if entry.kind in INCOMING else None, "remark": REMARKS[entry.kind], "order_id": entry.order_id,
    }
