"""备案: filed, looked at for what is odd, reviewed, counted, objected to, revoked (D17, D18, D21)."""

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
from handlers.filings.objecting import (
    AlreadyObjected,
    NamingFilingView,
    ObjectionTooLate,
    get_naming,
    list_naming,
    object_to_filing,
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
    "EVIDENCE_MAX", "ActivityForm", "AlreadyObjected", "AlreadyProposed", "CreditsView", "FiledCaseView", "FilingStateWrong",
    "FilingView", "FilingWrong", "NamingFilingView", "NotProposed", "ObjectionTooLate", "OrderFiled", "TransactionForm",
    "approve_filing", "confirm_revocation", "credits_of", "draft_activity", "draft_transaction", "drop_revocation", "edit_activity",
    "edit_transaction", "get_filing", "get_naming", "list_filed", "list_filings", "list_naming", "object_to_filing", "open_filed",
    "propose_revocation", "submit_filing", "withdraw_filing",
]
