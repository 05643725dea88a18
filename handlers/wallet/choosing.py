"""Which lots pay (F06, E29): earliest expiry first, or the amounts that the enterprise chose itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, TypedDict

from handlers.refusals import Kind, Refusal
from handlers.transactions import Transaction, rows
from handlers.wallet.views import LOT_COLUMNS


class LotNotUsable(Refusal):
    """`reason`: not_yours | expired | type_not_accepted | above_deduction | above_balance | twice."""

    kind, code, title = Kind.INVALID, "lot_not_usable", "所选服务券不能用于本次支付"


class NotEnoughVouchers(Refusal):
    kind, code, title = Kind.CONFLICT, "not_enough_vouchers", "可用服务券额度不足"


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


LOCK_LOTS = f"""
SELECT {LOT_COLUMNS} FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id
WHERE l.organisation_id = $1 AND l.programme_id = $2 AND l.voucher_type_id = ANY($3) AND l.available_fen > 0
ORDER BY l.id FOR UPDATE OF l
"""
LOCK_DIRECTED = f"""
SELECT {LOT_COLUMNS} FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id
WHERE l.organisation_id = $1 AND l.programme_id = $2 AND l.voucher_type_id = ANY($3) AND l.available_fen > 0
  AND EXISTS (SELECT FROM grants g WHERE g.id = l.grant_id AND g.directions @> $4)
ORDER BY l.id FOR UPDATE OF l
"""


@dataclass(frozen=True, slots=True)
class Direction:
    """What a voucher was granted for: 服务大类 and 服务小类 (C24)."""

    category: str
    content: str


async def lock_lots(
    tx: Transaction, organisation_id: int, programme_id: int, voucher_type_ids: list[int], direction: Direction | None = None
) -> list[Any]:
    """The enterprise's lots of these types that hold something, earliest expiry first; with a `direction` only those granted for it.

    They are locked in order of id, everywhere, so that two payments wait for each other instead of killing each other.
    """
    if direction is None:
        locked = await tx.rows(LOCK_LOTS, organisation_id, programme_id, voucher_type_ids)
    else:
        locked = await tx.rows(LOCK_DIRECTED, organisation_id, programme_id, voucher_type_ids, [asdict(direction)])
    return sorted(locked, key=lambda lot: (lot.expires_at, lot.id))


async def find_lots(
    organisation_id: int, programme_id: int, voucher_type_ids: list[int], direction: Direction | None = None
) -> list[Any]:
    """The same without locks, for a dry run."""
    if direction is not None:
        unlocked = LOCK_DIRECTED.replace("l.id FOR UPDATE OF l", "l.expires_at, l.id")
        return await rows(unlocked, organisation_id, programme_id, voucher_type_ids, [asdict(direction)])
    return await rows(
        f"SELECT {LOT_COLUMNS} FROM lots l JOIN voucher_types t ON t.id = l.voucher_type_id"
        " WHERE l.organisation_id = $1 AND l.programme_id = $2 AND l.voucher_type_id = ANY($3) AND l.available_fen > 0"
        " ORDER BY l.expires_at, l.id",
        organisation_id, programme_id, voucher_type_ids,
    )
