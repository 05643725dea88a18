"""评价 (E34-E36)."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import reviews
from handlers.context import Context
from handlers.orders import OrderNotFound
from handlers.paging import PageView
from handlers.reviews import OrderNotReviewable, ReviewView, ScoreView
from miniapp_api.routing import Api, Body, Query, Who
from models.reviews import Grade

api = Api("reviews", "评价")
Text = Annotated[str, StringConstraints(max_length=500)]


class ReviewBody(Body):
    grade: Annotated[Grade, Field(strict=False)]
    text: Text = ""
    platform_stars: Annotated[int, Field(ge=0, le=5)]
    platform_text: Text = ""


class ReviewsQuery(Query):
    product_id: Annotated[int, Field(ge=1, lt=2**63)] | None = None


@api.post("/orders/{order_id}/review", title="评价订单和平台", who=Who.ENTERPRISE_ACTOR, status=201,
          refusals=(OrderNotFound, OrderNotReviewable))
async def review_order(ctx: Context, order_id: int, body: ReviewBody) -> ReviewView:
    return await reviews.review_order(ctx, order_id, body.grade, body.text, body.platform_stars, body.platform_text)


@api.get("/institutions/{institution_id}/reviews", title="服务机构收到的评价", who=Who.ANYONE)
async def list_reviews(ctx: Context, institution_id: int, query: ReviewsQuery) -> PageView[ReviewView]:
    return await reviews.list_reviews(ctx, institution_id, query.product_id, query.page())


@api.get("/institutions/{institution_id}/score", title="服务机构评价汇总", who=Who.ANYONE)
async def score_of(ctx: Context, institution_id: int) -> ScoreView:
    return await reviews.score_of(ctx, institution_id)
