"""申诉: against rejections, revocations and freezes; their outcomes are published."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import appeals
from handlers.appeals import FILES_MAX, REFUSALS, STATEMENT_MAX, Against, AppealNotReturned
from handlers.context import Context
from handlers.paging import PageView
from handlers.refusals import NotFound
from handlers.texts import TEXT
from miniapp_api.routing import Api, Body, Query, Who

api = Api("appeals", "申诉")
Id = Annotated[int, Field(ge=1, lt=2**63)]


class SupplementBody(Body):
    """`attachment_ids`: own files of the slot `appeal`."""

    statement: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=STATEMENT_MAX), TEXT]
    attachment_ids: Annotated[list[Id], Field(max_length=FILES_MAX, default_factory=list)]


class AppealBody(SupplementBody):
    """`subject_id`: of the application, product, filing (also for an objection) or redemption; of the order for a payment or a freeze."""

    against: Annotated[Against, Field(strict=False)]
    subject_id: Id


@api.post("/appeals", title="提出申诉", who=Who.ACTOR, status=201, refusals=REFUSALS)
async def file_appeal(ctx: Context, body: AppealBody) -> appeals.AppealView:
    """决定作出后 15 个工作日内，每项决定一次；由原审核人以外的人员办理。"""
    return await appeals.file_appeal(ctx, body.against, body.subject_id, body.statement, body.attachment_ids)


@api.post("/appeals/{appeal_id}/supplement", title="补充申诉材料", who=Who.ACTOR, refusals=(NotFound, AppealNotReturned))
async def supplement_appeal(ctx: Context, appeal_id: int, body: SupplementBody) -> appeals.AppealView:
    return await appeals.supplement_appeal(ctx, appeal_id, body.statement, body.attachment_ids)


@api.get("/appeals", title="我的申诉", who=Who.MEMBER)
async def list_appeals(ctx: Context, query: Query) -> PageView[appeals.AppealView]:
    return await appeals.list_appeals(ctx, query.page())


@api.get("/appeals/{appeal_id}", title="申诉详情", who=Who.MEMBER, refusals=(NotFound,))
async def get_appeal(ctx: Context, appeal_id: int) -> appeals.AppealView:
    return await appeals.get_appeal(ctx, appeal_id)


@api.get("/appeal-statistics", title="申诉结果统计", who=Who.ANYONE)
async def statistics(ctx: Context) -> appeals.StatisticsView:
    return await appeals.statistics(ctx)
