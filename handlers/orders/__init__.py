"""Orders (订单): place, pay, accept, deliver, confirm or send back, dispute (section 2.2 for the Jinan policy)."""

from handlers.orders.disputes import RulingAmountWrong
from handlers.orders.fulfilment import (
    OrderNotAcceptable,
    OrderNotConfirmable,
    OrderNotDeliverable,
    accept_order,
    confirm_completion,
    decline_order,
    deliver_order,
    remind_unaccepted,
    remind_unconfirmed,
    send_back,
)
from handlers.orders.handovers import HandoverView, list_handovers
from handlers.orders.payment import (
    DeductionTooHigh,
    OrderNotCancellable,
    OrderNotPayable,
    PreviewView,
    cancel_order,
    close_unpaid,
    pay_order,
    pay_verified,
    preview_payment,
    take_back_order,
)
from handlers.orders.placing import AGREEMENT_VERSION, AgreementNeeded, place_order
from handlers.orders.rules import REFUSALS, explain_order
from handlers.orders.views import OrderNotFound, OrderView, get_order, list_orders

__all__ = [
    "AGREEMENT_VERSION", "REFUSALS", "AgreementNeeded", "DeductionTooHigh", "HandoverView", "OrderNotAcceptable",
    "OrderNotCancellable", "OrderNotConfirmable", "OrderNotDeliverable", "OrderNotFound", "OrderNotPayable", "OrderView",
    "PreviewView", "RulingAmountWrong", "accept_order", "cancel_order", "close_unpaid", "confirm_completion", "decline_order",
    "deliver_order", "explain_order", "get_order", "list_handovers", "list_orders", "pay_order", "pay_verified", "place_order",
    "preview_payment", "remind_unaccepted", "remind_unconfirmed", "send_back", "take_back_order",
]
