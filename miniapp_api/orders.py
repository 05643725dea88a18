"""订单: from 提交订单 to 确认完成, for both parties."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import accounts, approvals, demands, orders
from handlers.context import Context
from handlers.eligibility import TreeView
from handlers.orders import (
    AgreementNeeded,
    DeductionTooHigh,
    OrderNotAcceptable,
    OrderNotCancellable,
    OrderNotConfirmable,
    OrderNotDeliverable,
    OrderNotFound,
    OrderNotPayable,
    OrderPageView,
    OrderView,
    PreviewView,
)
from handlers.paging import PageView
from handlers.refusals import ChangedMeanwhile, NotFound
from handlers.texts import TEXT
from handlers.wallet import LotNotUsable, NotEnoughVouchers, Spend
from miniapp_api.approvals import REFUSALS as DECIDE_REFUSALS
from miniapp_api.payment_passwords import VERIFY_REFUSALS, Password
from miniapp_api.routing import Api, Body, Parameters, Query, Who
from models.orders import OrderState

api = Api("orders", "订单")
Fen = Annotated[int, Field(ge=1, le=10**12)]
Id = Annotated[int, Field(ge=1, lt=2**63)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), TEXT]
LOTS_REFUSALS = (
    OrderNotFound, orders.RelatedParties, OrderNotPayable, orders.ProductUseCapReached, DeductionTooHigh, orders.SpendsDiffer, LotNotUsable,
    NotEnoughVouchers,
)


class OrdersQuery(Query):
    """`tab`: one of the nine of 订单列表; 全部 is the list without it. `q` is searched in number, product and parties."""

    state: OrderState | None = None
    tab: orders.Tab | None = None
    q: Annotated[str | None, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)] = None


class PlaceOrderBody(Body):
    product_id: Id
    programme_id: Id
    agreement_version: Annotated[str, StringConstraints(max_length=16)]
    message: Annotated[str, StringConstraints(max_length=500), TEXT] = ""
    demand_id: Annotated[Id | None, Field(description="机构针对哪一项需求推荐了该产品")] = None


class SpendBody(Body):
    lot_id: Id
    fen: Fen


class ContractBody(Body):
    """服务合同: a pdf of at most 5 MB in the slot `contract`; `total_fen` and `signed_on` as written in it."""

    attachment_id: Id
    total_fen: Fen
    signed_on: Annotated[date, Field(strict=False)]


class PayOrderBody(Body):
    """Without `spends` the earliest expiry goes first; with them their sum is `voucher_fen`.

    `password` unless the programme's policy asks for none; `contract` where it asks for one with the payment.
    """

    voucher_fen: Fen
    password: Password | None = None
    contract: ContractBody | None = None
    spends: Annotated[list[SpendBody], Field(max_length=50, default_factory=list)]

    def picks(self) -> list[Spend]:
        return [Spend(each.lot_id, each.fen) for each in self.spends]

    def given(self) -> orders.GivenContract | None:
        return orders.GivenContract(**self.contract.model_dump()) if self.contract else None


class PreviewQuery(Parameters):
    """`spends` as the payment's, each written `lot_id:fen`."""

    voucher_fen: Fen
    spends: Annotated[list[Annotated[str, StringConstraints(pattern="^[1-9][0-9]{0,17}:[1-9][0-9]{0,11}$")]],
                      Field(max_length=50, default_factory=list)]

    def picks(self) -> list[Spend]:
        return [Spend(int(lot_id), int(fen)) for lot_id, fen in (each.split(":") for each in self.spends)]


class RulingBody(Body):
    returned_fen: Annotated[int, Field(ge=0, le=10**12)]
    reason: Reason


class ReasonBody(Body):
    reason: Reason


class TerminationBody(Body):
    returned_fen: Fen
    reason: Reason


class AgreementBody(Body):
    """`returned_fen` as it was shown: a proposal that was changed meanwhile is not agreed to."""

    returned_fen: Fen


class PriceBody(Body):
    amount_fen: Fen


class DeliverBody(Body):
    """What was handed over: a file, or five letters or digits that say it, or both."""

    summary: Reason
    attachment_id: Id | None = None


@api.get("/agreement", title="专项服务券交易协议", who=Who.ANYONE)
async def read_agreement(_ctx: Context) -> accounts.DocumentView:
    """提交订单时须同意的文本；其 version 填入订单的 agreement_version。"""
    return accounts.agreement()


class EligibilityQuery(Parameters):
    programme_id: Annotated[int, Field(ge=1, lt=2**63)]


@api.get("/products/{product_id}/eligibility", title="能否用券购买该产品，为什么", who=Who.ENTERPRISE)
async def explain_order(ctx: Context, product_id: int, query: EligibilityQuery) -> TreeView:
    return await orders.explain_order(ctx, product_id, query.programme_id)


@api.post(
    "/orders", title="提交订单", who=Who.ENTERPRISE_ACTOR, status=201,
    refusals=(AgreementNeeded, NotFound, *orders.REFUSALS, *demands.ORDER_REFUSALS),
)
async def place_order(ctx: Context, body: PlaceOrderBody) -> OrderView:
    return await orders.place_order(
        ctx, body.product_id, body.programme_id, agreement_version=body.agreement_version, message=body.message,
        demand_id=body.demand_id,
    )


@api.get("/orders", title="我的订单", who=Who.MEMBER)
async def list_orders(ctx: Context, query: OrdersQuery) -> PageView[OrderView]:
    return await orders.list_orders(ctx, query.state, query.page(), query.tab, query.q)


@api.get("/orders/{order_id}", title="订单详情", who=Who.MEMBER, refusals=(OrderNotFound,))
async def get_order(ctx: Context, order_id: int) -> OrderPageView:
    return await orders.get_order(ctx, order_id)


@api.get("/orders/{order_id}/handovers", title="服务交付记录", who=Who.MEMBER, refusals=(OrderNotFound,))
async def list_handovers(ctx: Context, order_id: int, query: Query) -> PageView[orders.HandoverView]:
    return await orders.list_handovers(ctx, order_id, query.page())


@api.get("/orders/{order_id}/contracts", title="随支付提交的服务合同", who=Who.MEMBER, refusals=(OrderNotFound,))
async def list_contracts(ctx: Context, order_id: int, query: Query) -> PageView[orders.ContractView]:
    return await orders.list_contracts(ctx, order_id, query.page())


@api.put("/orders/{order_id}/price", title="核定价格", who=Who.INSTITUTION_ACTOR,
         refusals=(OrderNotFound, orders.RelatedParties, orders.OrderNotPriceable, orders.PriceAboveList, orders.PriceAboveOffer))
async def settle_price(ctx: Context, order_id: int, body: PriceBody) -> OrderView:
    """订单金额改为合同总价，不能大于产品价格，由需求转来的订单不能大于报价；若与产品价格一致则无需核价。"""
    return await orders.settle_price(ctx, order_id, body.amount_fen)


@api.get("/orders/{order_id}/payment-preview", title="预览用券支付", who=Who.ENTERPRISE_PAYER, refusals=LOTS_REFUSALS)
async def preview_payment(ctx: Context, order_id: int, query: PreviewQuery) -> PreviewView:
    return await orders.preview_payment(ctx, order_id, query.voucher_fen, query.picks())


@api.post("/orders/{order_id}/payment", title="用券支付", who=Who.ENTERPRISE_PAYER, key_required=True, limit="password",
          refusals=(*LOTS_REFUSALS, *VERIFY_REFUSALS, orders.PaymentPasswordNeeded, *orders.CONTRACT_REFUSALS, ChangedMeanwhile))
async def pay_order(ctx: Context, order_id: int, body: PayOrderBody) -> OrderView:
    return await orders.pay_order(ctx, order_id, body.password, body.voucher_fen, body.picks(), body.given())


@api.post("/orders/{order_id}/cancellation", title="取消订单", who=Who.ENTERPRISE_ACTOR, refusals=(OrderNotFound, OrderNotCancellable))
async def cancel_order(ctx: Context, order_id: int) -> OrderView:
    return await orders.cancel_order(ctx, order_id)


@api.post("/orders/{order_id}/take-back", title="服务商逾期未接单，退回服务券", who=Who.ENTERPRISE_ACTOR,
          refusals=(OrderNotFound, OrderNotCancellable, orders.OrderClaimed))
async def take_back_order(ctx: Context, order_id: int) -> OrderView:
    return await orders.take_back_order(ctx, order_id)


@api.post("/orders/{order_id}/acceptance", title="接单", who=Who.INSTITUTION_ACTOR,
          refusals=(OrderNotFound, orders.RelatedParties, OrderNotAcceptable))
async def accept_order(ctx: Context, order_id: int) -> OrderView:
    return await orders.accept_order(ctx, order_id)


@api.post("/orders/{order_id}/refusal", title="拒单", who=Who.INSTITUTION_ACTOR,
          refusals=(OrderNotFound, OrderNotAcceptable, orders.OrderClaimed))
async def decline_order(ctx: Context, order_id: int, body: ReasonBody) -> OrderView:
    return await orders.decline_order(ctx, order_id, body.reason)


@api.post("/orders/{order_id}/handovers", title="提交完成", who=Who.INSTITUTION_ACTOR,
          refusals=(OrderNotFound, orders.RelatedParties, OrderNotDeliverable, orders.HandoverSaysTooLittle, NotFound))
async def deliver_order(ctx: Context, order_id: int, body: DeliverBody) -> OrderView:
    return await orders.deliver_order(ctx, order_id, body.summary, body.attachment_id)


@api.post("/orders/{order_id}/completion", title="确认完成", who=Who.ENTERPRISE_ACTOR,
          refusals=(OrderNotFound, orders.RelatedParties, OrderNotConfirmable))
async def confirm_completion(ctx: Context, order_id: int) -> OrderView:
    return await orders.confirm_completion(ctx, order_id)


@api.post("/orders/{order_id}/rework", title="未完成，退回服务商", who=Who.ENTERPRISE_ACTOR, refusals=(OrderNotFound, OrderNotConfirmable))
async def send_back(ctx: Context, order_id: int, body: ReasonBody) -> OrderView:
    return await orders.send_back(ctx, order_id, body.reason)


@api.post("/orders/{order_id}/termination", title="提出协商终止", who=Who.ACTOR,
          refusals=(OrderNotFound, orders.OrderNotTerminable, orders.TerminationAmountWrong))
async def propose_termination(ctx: Context, order_id: int, body: TerminationBody) -> OrderView:
    """服务中的订单，任何一方可提出；对方七天内未答复的，提议失效。"""
    return await orders.propose_termination(ctx, order_id, body.returned_fen, body.reason)


@api.post("/orders/{order_id}/termination/agreement", title="同意终止", who=Who.ACTOR,
          refusals=(OrderNotFound, orders.OrderNotTerminable, orders.TerminationChanged, orders.OrderClaimed))
async def agree_termination(ctx: Context, order_id: int, body: AgreementBody) -> OrderView:
    return await orders.agree_termination(ctx, order_id, body.returned_fen)


@api.post("/orders/{order_id}/termination/refusal", title="不同意终止", who=Who.ACTOR,
          refusals=(OrderNotFound, orders.OrderNotTerminable))
async def refuse_termination(ctx: Context, order_id: int, body: ReasonBody) -> OrderView:
    return await orders.refuse_termination(ctx, order_id, body.reason)


@api.post("/orders/{order_id}/termination/withdrawal", title="撤回终止提议", who=Who.ACTOR,
          refusals=(OrderNotFound, orders.OrderNotTerminable))
async def withdraw_termination(ctx: Context, order_id: int) -> OrderView:
    return await orders.withdraw_termination(ctx, order_id)


@api.post("/orders/{order_id}/dispute", title="服务商逾期未交付，申请争议裁定", who=Who.ENTERPRISE_ACTOR,
          refusals=(OrderNotFound, orders.OrderNotDisputable))
async def dispute_order(ctx: Context, order_id: int, body: ReasonBody) -> OrderView:
    return await orders.dispute_order(ctx, order_id, body.reason)


@api.post("/approvals/{approval_id}/ruling", title="裁定订单争议", who=Who.REVIEWER,
          refusals=(*DECIDE_REFUSALS, orders.RulingAmountWrong, orders.OrderClaimed))
async def rule_dispute(ctx: Context, approval_id: int, body: RulingBody) -> approvals.ApprovalView:
    return await approvals.decide(
        ctx, approval_id, approvals.Decision.APPROVE, reason=body.reason, data={"returned_fen": body.returned_fen}
    )
