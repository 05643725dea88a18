"""可验证摇号: 承诺、公开数、公示文件."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import draw_bundles, draw_disqualifications, draw_objections, draws
from handlers.context import Context
from handlers.draw_bundles import DrawView, TicketLineView
from handlers.draw_disqualifications import DisqualificationProposed, DisqualificationsView, DrawWinUnknown
from handlers.draw_objections import (
    FILES_MAX,
    REASON_MAX,
    DrawObjectionClosed,
    DrawObjectionOpen,
    DrawObjectionsView,
    DrawObjectionView,
    DrawObjectionWithoutTicket,
)
from handlers.draws import (
    DrawRoleTaken,
    PublicValueAgreed,
    PublicValuesDiffer,
    PublicValuesView,
    PublicValueTooEarly,
    PublicValueUnknownSource,
    PublicValueWrong,
    SecretView,
)
from handlers.paging import PageView
from handlers.refusals import NotFound, SecondPersonNeeded
from handlers.rounds import RoundStateWrong, RoundWithoutDraw
from handlers.texts import LINE, TEXT
from miniapp_api.routing import Api, Body, Download, Query, Who

api = Api("draws", "可验证摇号")


class SecretBody(Body):
    """自备的 32 字节随机数（64 位小写十六进制）；不填由系统生成."""

    secret: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None


class PublicValueBody(Body):
    source: Annotated[str, Field(min_length=1, max_length=100), LINE]
    value: Annotated[str, Field(min_length=1, max_length=200), LINE]


class PublicValuesBody(Body):
    values: Annotated[list[PublicValueBody], Field(min_length=1, max_length=5)]


class ObjectionBody(Body):
    """`attachment_ids`：用途为 appeal 的本企业文件；不填票号即对整个摇号提出异议。"""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_MAX), TEXT]
    ticket_no: Annotated[str, StringConstraints(pattern="^R[0-9]{1,12}-[0-9]{8}$")] | None = None
    attachment_ids: Annotated[list[Annotated[int, Field(ge=1, lt=2**63)]], Field(max_length=FILES_MAX, default_factory=list)]


class DisqualificationBody(Body):
    ticket_no: Annotated[str, StringConstraints(pattern="^R[0-9]{1,12}-[0-9]{8}$")]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_MAX), TEXT]


@api.put("/rounds/{round_id}/draw-secret", title="提交摇号随机数承诺", who=Who.DRAW_OFFICIALS,
         refusals=(RoundStateWrong, RoundWithoutDraw, DrawRoleTaken, SecondPersonNeeded))
async def put_draw_secret(ctx: Context, round_id: int, body: SecretBody) -> SecretView:
    return await draws.put_secret(ctx, round_id, body.secret)


@api.put("/rounds/{round_id}/public-values", title="填写已公布的公开数", who=Who.DRAW_OFFICIALS, refusals=(
    RoundStateWrong, PublicValueTooEarly, PublicValueUnknownSource, PublicValueWrong, PublicValuesDiffer, PublicValueAgreed,
    SecondPersonNeeded,
))
async def put_public_values(ctx: Context, round_id: int, body: PublicValuesBody) -> PublicValuesView:
    return await draws.put_public_values(ctx, round_id, {each.source: each.value for each in body.values})


@api.get("/rounds/{round_id}/draw", title="摇号公示", who=Who.ANYONE)
async def get_draw(ctx: Context, round_id: int) -> DrawView:
    return await draw_bundles.get_draw(ctx, round_id)


@api.get("/rounds/{round_id}/draw/tickets", title="封存的票号清单", who=Who.ANYONE)
async def list_draw_tickets(ctx: Context, round_id: int, query: Query) -> PageView[TicketLineView]:
    return await draw_bundles.list_tickets(ctx, round_id, query.page())


@api.get("/rounds/{round_id}/draw/bundle", title="下载核对文件（verify_draw.py 使用）", who=Who.ANYONE)
async def download_draw_bundle(ctx: Context, round_id: int) -> Download:
    return Download(await draw_bundles.bundle(ctx, round_id), "application/json", f"draw-{round_id}.json")


@api.post("/rounds/{round_id}/objections", title="对中签结果提出异议", who=Who.ENTERPRISE_ACTOR, status=201, refusals=(
    NotFound, DrawObjectionWithoutTicket, DrawObjectionClosed, DrawWinUnknown, DrawObjectionOpen,
))
async def object_to_draw(ctx: Context, round_id: int, body: ObjectionBody) -> DrawObjectionView:
    """公示期内、参加该批次预约的企业；由未参与该批次的管理员办理，办结前不发券。"""
    return await draw_objections.object_to_draw(ctx, round_id, body.ticket_no, body.reason, body.attachment_ids)


@api.get("/rounds/{round_id}/objections", title="本企业对该批次的异议", who=Who.ENTERPRISE, refusals=(NotFound,))
async def list_draw_objections(ctx: Context, round_id: int) -> DrawObjectionsView:
    return await draw_objections.list_own(ctx, round_id)


@api.post("/rounds/{round_id}/disqualifications", title="提出取消中签资格", who=Who.PROGRAMME_MANAGER, status=201,
          refusals=(RoundStateWrong, DrawWinUnknown, DisqualificationProposed))
async def propose_disqualification(ctx: Context, round_id: int, body: DisqualificationBody) -> DisqualificationsView:
    """公示开始至发券前，说明原因；由管理员在待审事项中确认后，候补递补，企业可申诉。"""
    return await draw_disqualifications.propose_disqualification(ctx, round_id, body.ticket_no, body.reason)


@api.get("/rounds/{round_id}/disqualifications", title="取消中签资格的提议与结果", who=Who.PROGRAMME_MANAGER)
async def list_disqualifications(ctx: Context, round_id: int) -> DisqualificationsView:
    return await draw_disqualifications.list_disqualifications(ctx, round_id)
