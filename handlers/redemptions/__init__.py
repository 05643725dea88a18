"""兑付: claim, review with four eyes, pay out in batches (C39-C43, K1-K6, F16)."""

from handlers.redemptions.claims import (
    EVIDENCE_MAX,
    ActualAmountTooHigh,
    AlreadyClaimed,
    BankAccountMissing,
    GivenInvoice,
    InvoiceNotIssuedYet,
    InvoiceUsed,
    NoRedemption,
    OrderNotClaimable,
    Papers,
    RedemptionNotReturned,
    claim_redemption,
    resubmit_redemption,
)
from handlers.redemptions.payouts import (
    LINES_MAX,
    Answer,
    AnswersIncomplete,
    AnswersWrong,
    BatchStateWrong,
    BatchView,
    FrozenInBatch,
    LineView,
    NothingToPayOut,
    answer_lines,
    bank_file,
    cancel_batch,
    confirm_batch,
    draft_batch,
    list_batches,
    list_lines,
)
from handlers.redemptions.review import (
    NotPrepared,
    RedemptionNotInReview,
    prepare_redemption,
)
from handlers.redemptions.views import (
    RedemptionNotFound,
    RedemptionView,
    get_redemption,
    list_redemptions,
)

__all__ = [
    "EVIDENCE_MAX", "LINES_MAX", "ActualAmountTooHigh", "AlreadyClaimed", "Answer", "AnswersIncomplete", "AnswersWrong",
    "BankAccountMissing", "BatchStateWrong", "BatchView", "FrozenInBatch", "GivenInvoice", "InvoiceNotIssuedYet", "InvoiceUsed",
    "LineView", "NoRedemption", "NotPrepared", "NothingToPayOut", "OrderNotClaimable", "Papers", "RedemptionNotFound",
    "RedemptionNotInReview", "RedemptionNotReturned", "RedemptionView", "answer_lines", "bank_file", "cancel_batch", "claim_redemption",
    "confirm_batch", "draft_batch", "get_redemption", "list_batches", "list_lines", "list_redemptions", "prepare_redemption",
    "resubmit_redemption",
]
