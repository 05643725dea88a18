"""可验证摇号: 承诺、公开数、公示文件."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import draw_bundles, draws
from handlers.context import Context
from handlers.draw_bundles import DrawView, TicketLineView
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
from handlers.refusals import SecondPersonNeeded
from handlers.rounds import RoundStateWrong, RoundWithoutDraw
from miniapp_api.routing import Api, Body, Download, Query, Who

api = Api("draws", "可验证摇号")


class SecretBody(Body):
    """自备的 32 字节随机数（64 位小写十六进制）；不填由系统生成."""

    secret: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None


class PublicValueBody(Body):
    source: Annotated[str, Field(min_length=1, max_length=100)]
    value: Annotated[str, Field(min_length=1, max_length=200)]


class PublicValuesBody(Body):
    values: Annotated[list[PublicValueBody], Field(min_length=1, max_length=5)]


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
