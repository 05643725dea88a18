"""备案: transactions and public-benefit activities, filed, looked at for what is odd, reviewed, counted, revoked (D17, D18, D21)."""

from handlers.filings.decisions import (
    AlreadyProposed,
    CreditsView,
    NotProposed,
    approve_filing,
    confirm_revocation,
    credits_of,
    drop_revocation,
    list_filed,
    open_filed,
    propose_revocation,
)
from handlers.filings.views import FiledCaseView, FilingView
from handlers.filings.writing import (
    EVIDENCE_MAX,
    ActivityForm,
    FilingStateWrong,
    FilingWrong,
    OrderFiled,
    TransactionForm,
    draft_activity,
    draft_transaction,
    edit_activity,
    edit_transaction,
    get_filing,
    list_filings,
    submit_filing,
    withdraw_filing,
)

__all__ = [
    "EVIDENCE_MAX", "ActivityForm", "AlreadyProposed", "CreditsView", "FiledCaseView", "FilingStateWrong", "FilingView", "FilingWrong",
    "NotProposed", "OrderFiled", "TransactionForm", "approve_filing", "confirm_revocation", "credits_of", "draft_activity",
    "draft_transaction", "drop_revocation", "edit_activity", "edit_transaction", "get_filing", "list_filed", "list_filings",
    "open_filed", "propose_revocation", "submit_filing", "withdraw_filing",
]
