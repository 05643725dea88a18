"""评分与排名 (A07, F27): the formula, the scores, what changed them, the rankings."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import score_formula, score_pages
from handlers.context import Context
from handlers.paging import PageView
from handlers.score_pages import (
    ConsultantScoreView,
    RankBy,
    RankedConsultantView,
    RankedInstitutionView,
    ScoreChangeView,
    ScoreView,
)
from miniapp_api.regions import RegionCode
from miniapp_api.routing import Api, Query, Who

api = Api("scores", "评分与排名")
CACHED_SECONDS = 5


class RankingQuery(Query):
    region_code: Annotated[RegionCode | None, Field(description="行政区划，含其下级")] = None
    by: Annotated[RankBy, Field(description="活跃度或综合评分；按月排名时只有活跃度")] = RankBy.ACTIVITY
    month: Annotated[
        Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")] | None,
        Field(description="自然月，如 2026-11；不填则为近十二个月"),
    ] = None


@api.get("/score-formula", title="评分公式", who=Who.ANYONE, cached_seconds=60)
async def get_score_formula(_ctx: Context) -> score_formula.FormulaView:
    return score_formula.formula()


@api.get("/institutions/{institution_id}/score", title="服务机构评分", who=Who.ANYONE)
async def score_of(ctx: Context, institution_id: int) -> ScoreView:
    return await score_pages.get_score(ctx, institution_id)


@api.get("/institutions/{institution_id}/score/changes", title="服务机构评分变动", who=Who.ANYONE)
async def list_score_changes(ctx: Context, institution_id: int, query: Query) -> PageView[ScoreChangeView]:
    return await score_pages.list_score_changes(ctx, institution_id, query.page())


@api.post("/institutions/{institution_id}/score/recomputation", title="重新计算评分", who=Who.ADMIN)
async def recompute_score(ctx: Context, institution_id: int) -> ScoreView:
    return await score_pages.recompute_score(ctx, institution_id)


@api.get("/consultants/{consultant_id}/score", title="服务顾问评分", who=Who.ANYONE)
async def get_consultant_score(ctx: Context, consultant_id: int) -> ConsultantScoreView:
    return await score_pages.get_consultant_score(ctx, consultant_id)


@api.get("/consultants/{consultant_id}/score/changes", title="服务顾问评分变动", who=Who.ANYONE)
async def list_consultant_score_changes(ctx: Context, consultant_id: int, query: Query) -> PageView[ScoreChangeView]:
    return await score_pages.list_consultant_score_changes(ctx, consultant_id, query.page())


@api.get("/rankings/institutions", title="服务机构排名", who=Who.ANYONE, cached_seconds=CACHED_SECONDS)
async def rank_institutions(_ctx: Context, query: RankingQuery) -> PageView[RankedInstitutionView]:
    return await score_pages.rank_institutions(query.region_code, query.by, query.month, query.page())


@api.get("/rankings/consultants", title="服务顾问排名", who=Who.ANYONE, cached_seconds=CACHED_SECONDS)
async def rank_consultants(_ctx: Context, query: RankingQuery) -> PageView[RankedConsultantView]:
    return await score_pages.rank_consultants(query.region_code, query.by, query.month, query.page())
