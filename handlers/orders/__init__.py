"""Orders (订单): place, pay, accept, deliver, confirm or send back, dispute (O1-O13).

Under a contract policy (Zhengzhou) the price is settled and the payment reviewed in between.
"""

from handlers.orders.contracts import REFUSALS as CONTRACT_REFUSALS
from handlers.orders.contracts import ContractView, GivenContract, list_contracts
from handlers.orders.disputes import OrderNotDisputable, RulingAmountWrong, dispute_order
from handlers.orders.fulfilment import (
    HandoverSaysTooLittle,
    OrderNotAcceptable,
    OrderNotConfirmable,
    OrderNotDeliverable,
    accept_order,
    confirm_completion,
    decline_order,
    deliver_order,
    remind_unaccepted,
    remind_unconfirmed,
    remind_undelivered,
    says_enough,
    send_back,
)
from handlers.orders.handovers import HandoverView, list_handovers
from handlers.orders.labels import Tab
from handlers.orders.payment import (
    DeductionTooHigh,
    OrderClaimed,
    OrderNotCancellable,
    OrderNotPayable,
    PaymentPasswordNeeded,
    PreviewView,
    SpendsDiffer,
    cancel_order,
    close_unpaid,
    pay_order,
    pay_verified,
    preview_payment,
    take_back_order,
)
from handlers.orders.payment_reviews import OrderFrozen
from handlers.orders.placing import AGREEMENT_VERSION, AgreementNeeded, place_order
from handlers.orders.pricing import OrderNotPriceable, PriceAboveList, PriceAboveOffer, settle_price
from handlers.orders.rules import REFUSALS, ProductUseCapReached, explain_order
from handlers.orders.terminations import (
    OrderNotTerminable,
    TerminationAmountWrong,
    TerminationChanged,
    agree_termination,
    expire_terminations,
    propose_termination,
    refuse_termination,
    withdraw_termination,
)
from handlers.orders.views import OrderNotFound, OrderPageView, OrderView, RelatedParties, get_order, list_orders

__all__ = [
    "AGREEMENT_VERSION", "CONTRACT_REFUSALS", "REFUSALS", "AgreementNeeded", "ContractView", "DeductionTooHigh", "GivenContract",
    "HandoverSaysTooLittle", "HandoverView", "OrderClaimed", "OrderFrozen", "OrderNotAcceptable", "OrderNotCancellable",
    "OrderNotConfirmable",
    "OrderNotDeliverable", "OrderNotDisputable", "OrderNotFound", "OrderNotPayable", "OrderNotPriceable", "OrderNotTerminable",
    "OrderPageView", "OrderView", "PaymentPasswordNeeded", "PreviewView", "PriceAboveList", "PriceAboveOffer", "ProductUseCapReached",
    "RelatedParties",
    "RulingAmountWrong", "SpendsDiffer", "Tab", "TerminationAmountWrong", "TerminationChanged", "accept_order", "agree_termination",
    "cancel_order", "close_unpaid", "confirm_completion", "decline_order", "deliver_order", "dispute_order",
    "expire_terminations", "explain_order", "get_order", "list_contracts", "list_handovers", "list_orders", "pay_order",
    "pay_verified", "place_order", "preview_payment", "propose_termination", "refuse_termination", "remind_unaccepted",
    "remind_unconfirmed", "remind_undelivered", "says_enough", "send_back", "settle_price", "take_back_order",
    "withdraw_termination",
]
