"""预约批次."""

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from handlers import round_voiding, rounds, wins
from handlers.context import Context
from handlers.draw_rules import ValueFormat, draw_source
from handlers.paging import PageView
from handlers.programmes import ProgrammeNotReady, ProgrammeStateWrong
from handlers.refusals import ChangedMeanwhile, SecondPersonNeeded
from handlers.round_plans import Plan, Quota, RoundPlanWrong
from handlers.round_voiding import VoidingNotProposed, VoidingProposed, VoidingView
from handlers.rounds import (
    ProgrammeWithoutDraw,
    PublicityNotOver,
    RoundNumberTaken,
    RoundStateWrong,
    RoundView,
)
from handlers.texts import LINE, TEXT
from handlers.wins import RoundContested, RoundWaitsForOther, VouchersOver
from miniapp_api.programmes import Line
from miniapp_api.routing import Api, Body, Query, Who

api = Api("rounds", "预约批次")
# Far enough for any plan, and no offset carries it out of what a datetime can be.
Moment = Annotated[AwareDatetime, Field(ge=datetime(2020, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC))]


class QuotaBody(Body):
    voucher_type_id: Annotated[int, Field(ge=1, lt=2**63)]
    quota: Annotated[int, Field(ge=0, lt=10**9)]
    alternates: Annotated[int, Field(ge=0, lt=10**9)] = 0


class SourceBody(Body):
    name: Annotated[str, Line, Field(max_length=100, description="公开数的名称，如：中国福利彩票双色球 第2026135期 开奖号码"), LINE]
    at: Moment
    format: ValueFormat


class RoundBody(Body):
    """先到先得的批次（项目政策 allocation 为 first_come）没有摇号、公示、公开数和候补。"""

    number: Annotated[str, StringConstraints(pattern="^[0-9]{1,12}$")]
    name: Annotated[str, Line, Field(max_length=100), LINE]
    opens_at: Moment
    closes_at: Moment
    draw_at: Moment | None = None
    publicity_at: Moment | None = None
    publicity_until: Moment | None = None
    valid_until: Annotated[date, Field(ge=date(2020, 1, 1), lt=date(2100, 1, 1))]
    quotas: Annotated[list[QuotaBody], Field(min_length=1, max_length=50)]
    randomness: Annotated[tuple[SourceBody, ...], Field(max_length=5)] = ()
    notes: Annotated[str, Field(max_length=5000), TEXT] = ""

    def plan(self) -> Plan:
        return Plan(
            number=self.number, name=self.name, opens_at=self.opens_at, closes_at=self.closes_at, draw_at=self.draw_at,
            publicity_at=self.publicity_at, publicity_until=self.publicity_until, valid_until=self.valid_until, notes=self.notes,
            quotas=[Quota(voucher_type_id=q.voucher_type_id, quota=q.quota, alternates=q.alternates) for q in self.quotas],
            randomness=[draw_source(each.name, each.at, each.format) for each in self.randomness],
        )


class RoundsQuery(Query):
    programme_id: Annotated[int, Field(ge=1)] | None = None
    open_only: Annotated[bool, Field(description="只看正在预约的批次（首页预约飘窗）")] = False


class VoidBody(Body):
    reason: Annotated[str, Line, Field(max_length=200), LINE]


@api.get("/rounds", title="批次列表", who=Who.SIGNED_IN)
async def list_rounds(ctx: Context, query: RoundsQuery) -> PageView[RoundView]:
    return await rounds.list_rounds(ctx, programme_id=query.programme_id, open_only=query.open_only, page=query.page())


@api.get("/rounds/{round_id}", title="批次详情", who=Who.SIGNED_IN)
async def get_round(ctx: Context, round_id: int) -> RoundView:
    return await rounds.get_round(ctx, round_id)


@api.post("/programmes/{programme_id}/rounds", title="起草批次", who=Who.PROGRAMME_MANAGER, status=201,
          refusals=(ProgrammeNotReady, ProgrammeStateWrong, ProgrammeWithoutDraw, RoundPlanWrong, RoundNumberTaken))
async def draft_round(ctx: Context, programme_id: int, body: RoundBody) -> RoundView:
    return await rounds.draft_round(ctx, programme_id, body.plan())


@api.put("/rounds/{round_id}", title="修改批次草稿", who=Who.PROGRAMME_MANAGER,
         refusals=(ProgrammeNotReady, ProgrammeWithoutDraw, RoundStateWrong, RoundPlanWrong, RoundNumberTaken))
async def replace_round(ctx: Context, round_id: int, body: RoundBody) -> RoundView:
    return await rounds.replace_draft(ctx, round_id, body.plan())


@api.put("/rounds/{round_id}/confirmation", title="确认并公告批次（须另一人）", who=Who.PROGRAMME_MANAGER,
         refusals=(RoundStateWrong, ProgrammeStateWrong, SecondPersonNeeded, RoundPlanWrong, ChangedMeanwhile))
async def confirm_round(ctx: Context, round_id: int) -> RoundView:
    return await rounds.confirm_round(ctx, round_id)


@api.put("/rounds/{round_id}/voiding", title="作废尚未封存的批次", who=Who.PROGRAMME_MANAGER,
         refusals=(RoundStateWrong, SecondPersonNeeded, ChangedMeanwhile))
async def void_round(ctx: Context, round_id: int, body: VoidBody) -> RoundView:
    """封存以后须由一人提出、另一人确认。"""
    return await round_voiding.void_round(ctx, round_id, body.reason)


@api.get("/rounds/{round_id}/voiding", title="已提出的作废", who=Who.PROGRAMME_MANAGER)
async def get_round_voiding(ctx: Context, round_id: int) -> VoidingView:
    return await round_voiding.get_voiding(ctx, round_id)


@api.post("/rounds/{round_id}/voiding", title="提出作废已封存的批次", who=Who.PROGRAMME_MANAGER, status=201,
          refusals=(RoundStateWrong, VoidingProposed))
async def propose_round_voiding(ctx: Context, round_id: int, body: VoidBody) -> VoidingView:
    return await round_voiding.propose_voiding(ctx, round_id, body.reason)


@api.delete("/rounds/{round_id}/voiding", title="不予作废批次", who=Who.PROGRAMME_MANAGER, refusals=(RoundStateWrong, VoidingNotProposed))
async def drop_round_voiding(ctx: Context, round_id: int) -> RoundView:
    return await round_voiding.drop_voiding(ctx, round_id)


@api.post("/rounds/{round_id}/voiding/confirmation", title="确认作废批次（须另一人）", who=Who.PROGRAMME_MANAGER,
          refusals=(RoundStateWrong, VoidingNotProposed, SecondPersonNeeded, ChangedMeanwhile))
async def confirm_round_voiding(ctx: Context, round_id: int) -> RoundView:
    """所有持签企业收到作废原因。"""
    return await round_voiding.confirm_voiding(ctx, round_id)


@api.put("/rounds/{round_id}/finalisation", title="公示期满发券（须另一人）", who=Who.PROGRAMME_MANAGER, key_required=True,
         refusals=(RoundStateWrong, PublicityNotOver, VouchersOver, SecondPersonNeeded, RoundContested, RoundWaitsForOther,
                   ChangedMeanwhile))
async def finalise_round(ctx: Context, round_id: int) -> RoundView:
    return await wins.finalise_round(ctx, round_id)
