"""Demands (需求): an enterprise asks, institutions and their consultants answer (D14-D16)."""

from handlers.demands import checking  # noqa: F401 - registers what follows from a verdict on a demand's words
from handlers.demands.alternatives import AlreadyForwarded, NotAnAlternative, forward_demand, offer_alternatives
from handlers.demands.answering import (
    ContactNotVisible,
    ContactView,
    DemandAlreadyTaken,
    DemandFull,
    DemandPassed,
    NotTakenUp,
    Outcome,
    OutcomeByOrder,
    OutcomeNotPossible,
    contact_made,
    pass_demand,
    record_outcome,
    reveal_contact,
    take_demand,
    view_demand,
)
from handlers.demands.figures import AnswerFiguresView, OwnFiguresView, answer_figures, own_figures
from handlers.demands.offers import REFUSALS as ORDER_REFUSALS
from handlers.demands.offers import OfferAboveList, ProductNotOffered, convert, lock_offer, offer_product
from handlers.demands.posting import (
    CONTENT_REFUSALS,
    FILES_MAX,
    Contact,
    Content,
    DemandNotTaken,
    NotATaker,
    TargetWrong,
    TooManyDemands,
    close_demand,
    edit_demand,
    post_demand,
    withdraw_demand,
)
from handlers.demands.reassigning import reassign_of_consultant
from handlers.demands.rules import AddresseeNotAvailable, DemandClosed, DemandHeld, DemandTaken, RelatedAddressee
from handlers.demands.spreading import spread_due
from handlers.demands.timers import expire_due, forget_contacts, remind_unviewed
from handlers.demands.views import (
    DemandCardView,
    DemandView,
    ReceivedCardView,
    ReceivedView,
    get_demand,
    get_received,
    list_demands,
    list_received,
)

__all__ = [
    "CONTENT_REFUSALS", "FILES_MAX", "ORDER_REFUSALS", "AddresseeNotAvailable", "AlreadyForwarded", "AnswerFiguresView", "Contact",
    "ContactNotVisible", "ContactView", "Content", "DemandAlreadyTaken", "DemandCardView", "DemandClosed", "DemandFull", "DemandHeld",
    "DemandNotTaken", "DemandPassed", "DemandTaken", "DemandView", "NotATaker", "NotAnAlternative", "NotTakenUp", "OfferAboveList",
    "Outcome", "OutcomeByOrder", "OutcomeNotPossible", "OwnFiguresView", "ProductNotOffered", "ReceivedCardView", "ReceivedView",
    "RelatedAddressee", "TargetWrong", "TooManyDemands", "answer_figures", "close_demand", "contact_made", "convert", "edit_demand",
    "expire_due", "forget_contacts", "forward_demand", "get_demand", "get_received", "list_demands", "list_received", "lock_offer",
    "offer_alternatives", "offer_product", "own_figures", "pass_demand", "post_demand", "reassign_of_consultant", "record_outcome",
    "remind_unviewed", "reveal_contact", "spread_due", "take_demand", "view_demand", "withdraw_demand",
]
