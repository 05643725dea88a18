"""评价 (E34-E36), and where both sides review, the institution's as well (D19, D20)."""

from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import reviews, reviews_lists, reviews_mutual, reviews_replies
from handlers.context import Context
from handlers.orders import OrderNotFound, RelatedParties
from handlers.paging import PageView
from handlers.reviews import OrderNotReviewable
from handlers.reviews_lists import EnterpriseReviewView, ReceivedReviewView, ReviewView, WaitingReviewView
from handlers.reviews_mutual import EnterpriseNotReviewable
from handlers.reviews_replies import ReviewNotRepliable
from handlers.texts import TEXT
from miniapp_api.routing import Api, Body, Query, Who
from models.reviews import Grade

api = Api("reviews", "评价")
Text = Annotated[str, StringConstraints(max_length=500), TEXT]


class ReviewBody(Body):
    grade: Annotated[Grade, Field(strict=False)]
    text: Text = ""
    platform_stars: Annotated[int, Field(ge=0, le=5)]
    platform_text: Text = ""


class EnterpriseReviewBody(Body):
    grade: Annotated[Grade, Field(strict=False)]
    text: Text = ""


class ReplyBody(Body):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), TEXT]


class ReviewsQuery(Query):
    product_id: Annotated[int, Field(ge=1, lt=2**63)] | None = None


@api.post("/orders/{order_id}/review", title="评价订单和平台", who=Who.ENTERPRISE_ACTOR, status=201,
          refusals=(OrderNotFound, RelatedParties, OrderNotReviewable))
async def review_order(ctx: Context, order_id: int, body: ReviewBody) -> ReviewView:
    """项目开启双向评价时，双方均已评价或完成后满 14 天才互相可见。"""
    return await reviews.review_order(ctx, order_id, body.grade, body.text, body.platform_stars, body.platform_text)


@api.get("/institutions/{institution_id}/reviews", title="服务机构收到的评价", who=Who.ANYONE)
async def list_reviews(ctx: Context, institution_id: int, query: ReviewsQuery) -> PageView[ReviewView]:
    return await reviews_lists.list_reviews(ctx, institution_id, query.product_id, query.page())


@api.post("/orders/{order_id}/enterprise-review", title="评价企业", who=Who.INSTITUTION_ACTOR, status=201,
          refusals=(OrderNotFound, RelatedParties, EnterpriseNotReviewable))
async def review_enterprise(ctx: Context, order_id: int, body: EnterpriseReviewBody) -> EnterpriseReviewView:
    """双方均已评价或完成后满 14 天才互相可见。"""
    return await reviews_mutual.review_enterprise(ctx, order_id, body.grade, body.text)


@api.get("/institution/reviews/waiting", title="待评价", who=Who.INSTITUTION)
async def list_waiting_reviews(ctx: Context, query: Query) -> PageView[WaitingReviewView]:
    return await reviews_lists.list_waiting(ctx, query.page())


@api.get("/institution/reviews/given", title="对企业的评价", who=Who.INSTITUTION)
async def list_enterprise_reviews_given(ctx: Context, query: Query) -> PageView[EnterpriseReviewView]:
    return await reviews_lists.list_enterprise_given(ctx, query.page())


@api.get("/institution/reviews/received", title="我收到的评价", who=Who.INSTITUTION)
async def list_reviews_received(ctx: Context, query: Query) -> PageView[ReceivedReviewView]:
    return await reviews_lists.list_received(ctx, query.page())


@api.get("/enterprise/reviews/given", title="本企业的评价", who=Who.ENTERPRISE)
async def list_reviews_given(ctx: Context, query: Query) -> PageView[ReviewView]:
    return await reviews_lists.list_given(ctx, query.page())


@api.get("/enterprise/reviews/received", title="本企业收到的评价", who=Who.ENTERPRISE)
async def list_enterprise_reviews_received(ctx: Context, query: Query) -> PageView[EnterpriseReviewView]:
    return await reviews_lists.list_enterprise_received(ctx, query.page())


@api.post("/reviews/{review_id}/reply", title="回复评价", who=Who.INSTITUTION_ACTOR, status=201, refusals=(ReviewNotRepliable,))
async def reply_to_review(ctx: Context, review_id: int, body: ReplyBody) -> ReviewView:
    """每条评价可回复一次，30 天内。"""
    return await reviews_replies.reply_to_review(ctx, review_id, body.text)


@api.post("/enterprise-reviews/{review_id}/reply", title="回复服务机构的评价", who=Who.ENTERPRISE_ACTOR, status=201,
          refusals=(ReviewNotRepliable,))
async def reply_to_enterprise_review(ctx: Context, review_id: int, body: ReplyBody) -> EnterpriseReviewView:
    """每条评价可回复一次，30 天内。"""
    return await reviews_replies.reply_to_enterprise_review(ctx, review_id, body.text)
