"""需求对接: enterprises post demands; institutions and their consultants answer them."""

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import demands
from handlers.accounts.consents import ConsentNeeded
from handlers.context import Context
from handlers.demands import (
    AddresseeNotAvailable,
    DemandClosed,
    DemandHeld,
    DemandTaken,
    NotTakenUp,
    OutcomeNotPossible,
    RelatedAddressee,
)
from handlers.institutions import InstitutionNotCertified, InstitutionSuspended
from handlers.paging import PageView
from handlers.qualifications import NotCertified
from handlers.refusals import ChangedMeanwhile, NotFound
from handlers.regions import RegionUnknown
from handlers.texts import LINE, TEXT
from handlers.zones import OutsideZone
from miniapp_api.institutions import Mobile, Name
from miniapp_api.regions import RegionCode
from miniapp_api.routing import Api, Body, Query, Who
from models.demands import DemandState, DemandTarget, ResponseState

api = Api("demands", "需求对接")
Id = Annotated[int, Field(ge=1, lt=2**63)]
Fen = Annotated[int, Field(ge=1, le=10**12)]
Remark = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), TEXT]
TEXT_BYTES = 32 * 1024  # two thousand characters and what JSON makes of them
CONTENT_REFUSALS = (*demands.CONTENT_REFUSALS, RegionUnknown, ConsentNeeded, NotFound)
MINE = (NotFound, DemandTaken, DemandClosed)


class DemandsQuery(Query):
    state: DemandState | None = None


class ReceivedQuery(Query):
    state: ResponseState | None = None


class DemandContactBody(Body):
    name: Name
    phone: Annotated[Mobile, Field(description="手机号，机构接单后可见")]


class DemandContentBody(Body):
    """`attachment_ids`: own files of the slot `demand`. `wanted_by`: 期望完成日期."""

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=50), LINE]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), TEXT]
    category: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    region_code: RegionCode
    budget_fen: Fen | None = None
    wanted_by: Annotated[date | None, Field(strict=False)] = None
    attachment_ids: Annotated[list[Id], Field(max_length=demands.FILES_MAX, default_factory=list)]

    def content(self) -> demands.Content:
        return demands.Content(
            self.title, self.text, self.category, self.region_code, self.budget_fen, self.wanted_by, tuple(self.attachment_ids)
        )


class PostDemandBody(DemandContentBody):
    """`target_id`: of the institution, the consultant or the product; none for an open demand."""

    target: Annotated[DemandTarget, Field(strict=False)]
    target_id: Id | None = None
    contact: DemandContactBody


class EditDemandBody(DemandContentBody):
    """`version`: of the text that was changed. Without `contact` it stays."""

    version: Annotated[int, Field(ge=1, lt=2**31)]
    contact: DemandContactBody | None = None


class CloseDemandBody(Body):
    """`institution_id`: with whom it worked out; none for nobody."""

    institution_id: Id | None = None


class ForwardDemandBody(Body):
    institution_ids: Annotated[list[Id], Field(min_length=1, max_length=3)]


class PassDemandBody(Body):
    """`remark` is shown to the enterprise, too."""

    remark: Remark | None = None


class OutcomeBody(Body):
    """`remark` is shown to the enterprise, too."""

    outcome: Annotated[demands.Outcome, Field(strict=False)]
    remark: Remark | None = None


class OfferBody(Body):
    product_id: Id
    price_fen: Fen


# --- the enterprise --------------------------------------------------------------------------------------------------------------


@api.post(
    "/demands", title="提交需求", who=Who.ENTERPRISE_ACTOR, status=201, body_max_bytes=TEXT_BYTES,
    refusals=(*CONTENT_REFUSALS, demands.TargetWrong, NotCertified, demands.TooManyDemands, AddresseeNotAvailable, RelatedAddressee,
              OutsideZone),
)
async def post_demand(ctx: Context, body: PostDemandBody) -> demands.DemandView:
    """向一个机构、一名顾问或一个产品提交，或按服务类型和区划公开，内容审核通过后送达。公开的需求最多由三家机构接单。"""
    contact = demands.Contact(body.contact.name, body.contact.phone)
    return await demands.post_demand(ctx, body.target, body.target_id, body.content(), contact)


@api.get("/demands", title="本企业的需求", who=Who.ENTERPRISE)
async def list_demands(ctx: Context, query: DemandsQuery) -> PageView[demands.DemandCardView]:
    return await demands.list_demands(ctx, query.state, query.page())


@api.get("/demands/{demand_id}", title="需求及各机构的答复", who=Who.ENTERPRISE)
async def get_demand(ctx: Context, demand_id: int) -> demands.DemandView:
    return await demands.get_demand(ctx, demand_id)


@api.put(
    "/demands/{demand_id}", title="修改需求", who=Who.ENTERPRISE_ACTOR, body_max_bytes=TEXT_BYTES,
    refusals=(*CONTENT_REFUSALS, *MINE, ChangedMeanwhile),
)
async def edit_demand(ctx: Context, demand_id: int, body: EditDemandBody) -> demands.DemandView:
    """无机构接单前可以修改；标题和正文重新审核，通过后已查看的机构会收到更新通知。"""
    contact = demands.Contact(body.contact.name, body.contact.phone) if body.contact else None
    return await demands.edit_demand(ctx, demand_id, body.version, body.content(), contact)


@api.post("/demands/{demand_id}/withdrawal", title="撤回需求", who=Who.ENTERPRISE_ACTOR, refusals=MINE)
async def withdraw_demand(ctx: Context, demand_id: int) -> demands.DemandView:
    return await demands.withdraw_demand(ctx, demand_id)


@api.post(
    "/demands/{demand_id}/closing", title="关闭需求", who=Who.ENTERPRISE_ACTOR,
    refusals=(NotFound, DemandClosed, demands.DemandNotTaken, demands.NotATaker),
)
async def close_demand(ctx: Context, demand_id: int, body: CloseDemandBody) -> demands.DemandView:
    """说明与哪家机构达成合作，或均未达成。关闭后不能恢复，可另提需求。"""
    return await demands.close_demand(ctx, demand_id, body.institution_id)


@api.post(
    "/demands/{demand_id}/forwarding", title="转发给推荐的机构", who=Who.ENTERPRISE_ACTOR,
    refusals=(*MINE, DemandHeld, demands.NotAnAlternative, demands.AlreadyForwarded, AddresseeNotAvailable, RelatedAddressee, OutsideZone),
)
async def forward_demand(ctx: Context, demand_id: int, body: ForwardDemandBody) -> demands.DemandView:
    """四个工作日无机构接单的，平台推荐三家同类机构。"""
    return await demands.forward_demand(ctx, demand_id, body.institution_ids)


# --- the institution -------------------------------------------------------------------------------------------------------------


@api.get("/institution/demands", title="需求管理", who=Who.INSTITUTION_OR_ITS_CONSULTANT)
async def list_received_demands(ctx: Context, query: ReceivedQuery) -> PageView[demands.ReceivedCardView]:
    return await demands.list_received(ctx, query.state, query.page())


@api.get("/institution/demands/{demand_id}", title="收到的需求", who=Who.INSTITUTION_OR_ITS_CONSULTANT)
async def get_received_demand(ctx: Context, demand_id: int) -> demands.ReceivedView:
    """正文和附件在“查看需求”之后显示。"""
    return await demands.get_received(ctx, demand_id)


@api.post(
    "/institution/demands/{demand_id}/view", title="查看需求", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(NotFound, DemandClosed, DemandHeld),
)
async def view_demand(ctx: Context, demand_id: int) -> demands.ReceivedView:
    """记录首次查看的人和时间。"""
    return await demands.view_demand(ctx, demand_id)


@api.post(
    "/institution/demands/{demand_id}/passing", title="无意向", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(NotFound, DemandClosed, DemandHeld, demands.DemandAlreadyTaken, demands.DemandPassed),
)
async def pass_demand(ctx: Context, demand_id: int, body: PassDemandBody) -> demands.ReceivedView:
    return await demands.pass_demand(ctx, demand_id, body.remark)


@api.post(
    "/institution/demands/{demand_id}/taking", title="接单", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(NotFound, DemandClosed, DemandHeld, demands.DemandAlreadyTaken, demands.DemandPassed, demands.DemandFull,
              RelatedAddressee, OutsideZone, InstitutionNotCertified, InstitutionSuspended),
)
async def take_demand(ctx: Context, demand_id: int) -> demands.ReceivedView:
    return await demands.take_demand(ctx, demand_id)


@api.get(
    "/institution/demands/{demand_id}/contact", title="查看需求联系人", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(NotFound, demands.ContactNotVisible),
)
async def reveal_demand_contact(ctx: Context, demand_id: int) -> demands.ContactView:
    """接单后可见；每次查看均记入审计。"""
    return await demands.reveal_contact(ctx, demand_id)


@api.post(
    "/institution/demands/{demand_id}/contacting", title="已联系企业", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(NotFound, NotTakenUp, OutcomeNotPossible),
)
async def contact_made(ctx: Context, demand_id: int) -> demands.ReceivedView:
    return await demands.contact_made(ctx, demand_id)


@api.post(
    "/institution/demands/{demand_id}/outcome", title="维护对接结果", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(NotFound, NotTakenUp, OutcomeNotPossible, demands.OutcomeByOrder),
)
async def record_demand_outcome(ctx: Context, demand_id: int, body: OutcomeBody) -> demands.ReceivedView:
    return await demands.record_outcome(ctx, demand_id, body.outcome, body.remark)


@api.put(
    "/institution/demands/{demand_id}/offer", title="向企业推荐产品和报价", who=Who.INSTITUTION_OR_CONSULTANT,
    refusals=(NotFound, DemandClosed, NotTakenUp, OutcomeNotPossible, demands.ProductNotOffered, demands.OfferAboveList),
)
async def offer_demand_product(ctx: Context, demand_id: int, body: OfferBody) -> demands.ReceivedView:
    """企业据此下单（下单时填写 demand_id）；价格按原流程核定。"""
    return await demands.offer_product(ctx, demand_id, body.product_id, body.price_fen)


# --- figures ---------------------------------------------------------------------------------------------------------------------


@api.get("/institution/demand-figures", title="本机构需求对接统计", who=Who.INSTITUTION)
async def get_own_demand_figures(ctx: Context) -> demands.OwnFiguresView:
    return await demands.own_figures(ctx)


@api.get("/institutions/{institution_id}/demand-figures", title="机构需求对接情况", who=Who.ANYONE)
async def get_demand_figures(_ctx: Context, institution_id: int) -> demands.AnswerFiguresView:
    return await demands.answer_figures(institution_id)
