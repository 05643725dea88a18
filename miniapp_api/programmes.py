"""项目、政策与券种."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import programmes
from handlers.context import Context
from handlers.paging import PageView
from handlers.programmes import (
    BudgetBelowGranted,
    PolicyDecided,
    PolicyView,
    ProgrammeExists,
    ProgrammeNotReady,
    ProgrammeStateWrong,
    ProgrammeView,
    Rules,
    VoucherTypeExists,
    VoucherTypeView,
)
from handlers.refusals import ChangedMeanwhile, SecondPersonNeeded
from handlers.regions import OutsideJurisdiction
from handlers.texts import LINE, ONE_LINE
from miniapp_api.routing import Api, Body, Query, Who

api = Api("programmes", "项目与政策")
# One line without control characters: names stand in notices, and those of rounds in hashed text.
Line = StringConstraints(strip_whitespace=True, min_length=1, pattern=ONE_LINE)


Category = Annotated[str, Line, Field(max_length=64), LINE]


class ProgrammeBody(Body):
    name: Annotated[str, Line, Field(max_length=100), LINE]
    region_code: Annotated[str, StringConstraints(pattern="^[1-9][0-9]{5}$")]


class VoucherTypeBody(Body):
    code: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_.-]{1,16}$")]
    name: Annotated[str, Line, Field(max_length=50), LINE]
    categories: Annotated[list[Category], Field(max_length=50, description="为空即服务通用券")]
    face_fen: Annotated[int, Field(gt=0, le=10**12)]
    annual_win_cap: Annotated[int, Field(ge=1, le=1000)] | None = None


class PolicyBody(Body):
    rules: Rules


@api.get("/programmes", title="项目列表", who=Who.SIGNED_IN)
async def list_programmes(ctx: Context, query: Query) -> PageView[ProgrammeView]:
    return await programmes.list_programmes(ctx, query.page())


@api.get("/programmes/{programme_id}", title="项目详情", who=Who.SIGNED_IN)
async def get_programme(ctx: Context, programme_id: int) -> ProgrammeView:
    return await programmes.get_programme(ctx, programme_id)


@api.post("/programmes", title="新建项目", who=Who.PROGRAMME_MANAGER, status=201, refusals=(ProgrammeExists, OutsideJurisdiction))
async def draft_programme(ctx: Context, body: ProgrammeBody) -> ProgrammeView:
    return await programmes.draft_programme(ctx, body.name, body.region_code)


@api.post("/programmes/{programme_id}/voucher-types", title="添加券种", who=Who.PROGRAMME_MANAGER, status=201,
          refusals=(ProgrammeStateWrong, VoucherTypeExists))
async def add_voucher_type(ctx: Context, programme_id: int, body: VoucherTypeBody) -> VoucherTypeView:
    return await programmes.add_voucher_type(ctx, programme_id, **body.model_dump())


@api.put("/programmes/{programme_id}/publication", title="发布项目", who=Who.PROGRAMME_MANAGER,
         refusals=(ProgrammeStateWrong, ProgrammeNotReady, ChangedMeanwhile))
async def publish_programme(ctx: Context, programme_id: int) -> ProgrammeView:
    return await programmes.publish_programme(ctx, programme_id)


@api.delete("/programmes/{programme_id}/publication", title="结束项目", who=Who.PROGRAMME_MANAGER,
            refusals=(ProgrammeStateWrong, ProgrammeNotReady, ChangedMeanwhile))
async def end_programme(ctx: Context, programme_id: int) -> ProgrammeView:
    return await programmes.end_programme(ctx, programme_id)


@api.get("/programmes/{programme_id}/policies", title="政策版本", who=Who.PROGRAMME_MANAGER)
async def list_policies(ctx: Context, programme_id: int, query: Query) -> PageView[PolicyView]:
    return await programmes.list_policies(ctx, programme_id, query.page())


@api.post("/programmes/{programme_id}/policies", title="起草政策新版本", who=Who.PROGRAMME_MANAGER, status=201,
          refusals=(ProgrammeStateWrong,))
async def draft_policy(ctx: Context, programme_id: int, body: PolicyBody) -> PolicyView:
    return await programmes.draft_policy(ctx, programme_id, body.rules)


@api.put("/programmes/{programme_id}/policies/{policy_id}/confirmation", title="确认政策版本（须另一人）", who=Who.PROGRAMME_MANAGER,
         refusals=(PolicyDecided, SecondPersonNeeded, BudgetBelowGranted, ChangedMeanwhile))
async def confirm_policy(ctx: Context, programme_id: int, policy_id: int) -> PolicyView:
    return await programmes.confirm_policy(ctx, programme_id, policy_id)


@api.delete("/programmes/{programme_id}/policies/{policy_id}", title="作废政策草稿", who=Who.PROGRAMME_MANAGER,
            refusals=(PolicyDecided, ChangedMeanwhile))
async def discard_policy(ctx: Context, programme_id: int, policy_id: int) -> PolicyView:
    return await programmes.discard_policy(ctx, programme_id, policy_id)
