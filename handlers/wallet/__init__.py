"""The wallet of an enterprise (券包): voucher lots, what a payment uses of them, bills and expiry (E19-E23, F05, F06).

Every movement is one ledger entry from an account to another; a lot's amounts are the sums of its entries.
The earliest expiry goes first. An expiry date is usable to its last instant in Asia/Shanghai (E22).
"""

from handlers.wallet.calendar import first_unusable_instant, give_back_until, shanghai_date
from handlers.wallet.choosing import (
    Direction,
    LotNotUsable,
    NotEnoughVouchers,
    Spend,
    SpendView,
    check_picks,
    choose_lots,
    find_lots,
    lock_lots,
)
from handlers.wallet.giving_back import CannotGiveBack, give_back_lot
from handlers.wallet.lots import ISSUE_TICKET, awarded_on, expire_due, issue_grant, issue_round
from handlers.wallet.moving import commit, hold, release, reverse, spend
from handlers.wallet.views import (
    BalanceView,
    BillView,
    DirectionView,
    LotView,
    WalletTab,
    list_balances,
    list_bills,
    list_lots,
)

__all__ = [
    "ISSUE_TICKET", "BalanceView", "BillView", "CannotGiveBack", "Direction", "DirectionView", "LotNotUsable", "LotView",
    "NotEnoughVouchers", "Spend", "SpendView", "WalletTab", "awarded_on", "check_picks", "choose_lots", "commit", "expire_due", "find_lots",
    "first_unusable_instant", "give_back_lot", "give_back_until", "hold", "issue_grant", "issue_round", "list_balances", "list_bills",
    "list_lots", "lock_lots", "release", "reverse", "shanghai_date", "spend",
]
