"""Sums and lines of the ledger for one holder: an enterprise, an institution, or a programme (F07).

Only `ledger_entries` are summed, and only those before an instant, so what was true at any past instant can be said again.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from handlers.transactions import rows
from models.wallet import Account, EntryKind


class Holder(StrEnum):
    ENTERPRISE = "enterprise"
    INSTITUTION = "institution"
    PROGRAMME = "programme"


ACCOUNTS = {
    Account.AVAILABLE: "可使用", Account.HELD: "占用中", Account.RECEIVABLE: "已使用待兑付", Account.PRE_REDEEMED: "预兑付",
    Account.PAID: "已兑付", Account.SHORTFALL: "未足额兑付", Account.EXPIRED: "已过期",
    Account.REVOKED: "已收回", Account.RETURNED: "已放弃",
}
KINDS = {
    EntryKind.ISSUE: "发放", EntryKind.HOLD: "占用", EntryKind.COMMIT: "下单支付", EntryKind.RELEASE: "释放", EntryKind.REVERSE: "退回",
    EntryKind.EXPIRE: "过期", EntryKind.GIVE_BACK: "放弃", EntryKind.REVOKE: "收回", EntryKind.PRE_REDEEM: "预兑付",
    EntryKind.SHORTFALL: "未足额", EntryKind.PAY_OUT: "兑付", EntryKind.GRACE: "退回延期",
}
_TO_INSTITUTIONS = (Account.RECEIVABLE, Account.PRE_REDEEMED, Account.PAID, Account.SHORTFALL)
# What a holder's statement tells of, and which of it is the holder's balance: vouchers it can still use, money it still waits for.
TOLD = {Holder.ENTERPRISE: tuple(ACCOUNTS), Holder.INSTITUTION: _TO_INSTITUTIONS, Holder.PROGRAMME: tuple(ACCOUNTS)}
OWNED = {
    Holder.ENTERPRISE: frozenset({Account.AVAILABLE, Account.HELD}),
    Holder.INSTITUTION: frozenset({Account.RECEIVABLE, Account.PRE_REDEEMED}),
    Holder.PROGRAMME: frozenset({Account.AVAILABLE, Account.HELD, Account.RECEIVABLE, Account.PRE_REDEEMED}),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose entries. `programme_id` alone for a programme; for an organisation None means all of its programmes."""

    holder: Holder
    organisation_id: int | None
    programme_id: int | None

    @property
    def condition(self) -> str:
        """Uses $1 and $2."""
        match self.holder:
            case Holder.PROGRAMME:
                return "$1::bigint IS NULL AND e.programme_id = $2"
            case Holder.ENTERPRISE:
                return "e.organisation_id = $1 AND ($2::bigint IS NULL OR e.programme_id = $2)"
            case Holder.INSTITUTION:
                return "e.institution_id = $1 AND ($2::bigint IS NULL OR e.programme_id = $2)"

    @property
    def arguments(self) -> tuple[int | None, int | None]:
        return self.organisation_id, self.programme_id

    def change(self, entry: Any) -> int:
        """What an entry, or a sum of entries of its kind, changes of the holder's balance: 1, 0 or -1 times its amount."""
        owned = OWNED[self.holder]
        return (entry["to_account"] in owned) - (entry["from_account"] in owned)


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one kind of entry: `before_fen` before the period, `fen` and `lines` in it."""

    kind: EntryKind
    from_account: Account
    to_account: Account
    before_fen: int
    fen: int
    lines: int

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


async def sums(scope: Scope, since: datetime, before: datetime) -> list[Sums]:
    """Everything of the holder's before the instant `before`, by kind, in the order of EntryKind."""
    found = await rows(
        "SELECT e.kind, e.from_account, e.to_account, count(*) FILTER (WHERE e.at >= $3) AS lines,"
        " coalesce(sum(e.fen) FILTER (WHERE e.at >= $3), 0)::bigint AS fen,"
        " coalesce(sum(e.fen) FILTER (WHERE e.at < $3), 0)::bigint AS before_fen"
        f" FROM ledger_entries e WHERE {scope.condition} AND e.at < $4 GROUP BY e.kind, e.from_account, e.to_account",
        *scope.arguments, since, before,
    )
    made = [Sums(EntryKind(one.kind), Account(one.from_account), Account(one.to_account), one.before_fen, one.fen, one.lines)
            for one in found]
    order = list(EntryKind)
    return sorted(made, key=lambda one: order.index(one.kind))


def balances(found: list[Sums], *, opening: bool) -> dict[Account, int]:
    """What each account held before the period, or at its end. BUDGET is minus what was issued."""
    held = dict.fromkeys(Account, 0)
    for one in found:
        fen = one.before_fen if opening else one.before_fen + one.fen
        held[one.from_account] -= fen
        held[one.to_account] += fen
    return held


# The page is cut before anything is joined to it.
LINES = """
SELECT e.id, e.at, e.kind, e.from_account, e.to_account, e.fen, t.name AS voucher_type, o.number AS order_number,
       buyer.name AS enterprise, seller.name AS institution
FROM (SELECT * FROM ledger_entries e WHERE {condition} AND e.at < $3 AND (e.at, e.id) > ($4, $5) ORDER BY e.at, e.id LIMIT {limit}) e
JOIN lots l ON l.id = e.lot_id JOIN voucher_types t ON t.id = l.voucher_type_id
JOIN organisations buyer ON buyer.id = e.organisation_id LEFT JOIN orders o ON o.id = e.order_id
LEFT JOIN organisations seller ON seller.id = e.institution_id ORDER BY e.at, e.id
"""
CHUNK = 5_000


async def lines(scope: Scope, since: datetime, before: datetime, after: tuple[datetime, int] | None, limit: int) -> list[Any]:
    """Entries of the period in their order, continuing after (at, id)."""
    # The limit stands in the text, and one bound is enough for the beginning (ids are positive): otherwise the server thinks
    # its general plan a bad one and plans each page anew, at four times the page's cost.
    sql = LINES.format(condition=scope.condition, limit=limit)
    return await rows(sql, *scope.arguments, before, *max(after or (since, 0), (since, 0)))


async def all_lines(scope: Scope, since: datetime, before: datetime) -> AsyncIterator[Any]:
    """Every entry of the period. No connection is held between two chunks; the past does not change meanwhile."""
    after = None
    while chunk := await lines(scope, since, before, after, CHUNK):
        for line in chunk:
            yield line
        after = (chunk[-1].at, chunk[-1].id)
