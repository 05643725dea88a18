"""The inbox, consents to WeChat messages, and what administrators see of messages and sweeps (F19, F23)."""

from typing import Annotated

from pydantic import Field

from handlers import deliveries, housekeeping, notice_consents, notices
from handlers.context import Context
from handlers.paging import PageView
from miniapp_api.routing import Api, Body, Query, Who

api = Api("notices", "消息通知")


class InboxQuery(Query):
    unread: Annotated[bool, Field(description="仅未读")] = False


class ReadAllBody(Body):
    up_to_id: Annotated[int, Field(ge=1, lt=2**63, description="页面上最新一条消息的 id；之后到达的仍为未读")]


class ConsentAnswer(Body):
    template: Annotated[str, Field(min_length=1, max_length=64, description="模板 id")]
    # A word, not one of four: a new one of WeChat must not lose what was said of the other templates.
    answer: Annotated[str, Field(min_length=1, max_length=64, description="wx.requestSubscribeMessage 的结果，原样上报")]


class ConsentsBody(Body):
    nonce: Annotated[str, Field(min_length=8, max_length=notice_consents.NONCE_CHARACTERS_MAX, description="每次弹窗一个，重复只计一次")]
    answers: Annotated[list[ConsentAnswer], Field(min_length=1, max_length=notice_consents.TEMPLATES_PER_TAP_MAX)]


@api.get("/notices", title="我的消息", who=Who.SIGNED_IN)
async def list_notices(ctx: Context, query: InboxQuery) -> PageView[notices.NoticeView]:
    """Newest first."""
    return await notices.list_notices(ctx, query.page(), unread=query.unread)


@api.get("/notices/unread-count", title="未读消息数", who=Who.SIGNED_IN)
async def count_unread(ctx: Context) -> notices.UnreadView:
    return await notices.count_unread(ctx)


@api.post("/notices/{notice_id}/reading", title="将消息标为已读", who=Who.SIGNED_IN)
async def read_notice(ctx: Context, notice_id: int) -> notices.NoticeView:
    return await notices.read_notice(ctx, notice_id)


@api.post("/notices/readings", title="将消息全部标为已读", who=Who.SIGNED_IN)
async def read_all_notices(ctx: Context, body: ReadAllBody) -> notices.UnreadView:
    return await notices.read_all(ctx, body.up_to_id)


@api.get("/notices/consents", title="微信订阅消息余量", who=Who.SIGNED_IN)
async def show_consents(ctx: Context) -> notice_consents.ConsentsView:
    return await notice_consents.show_consents(ctx)


@api.post(
    "/notices/consents", title="上报微信订阅结果", who=Who.SIGNED_IN,
    refusals=(notice_consents.ConsentsElsewhere, notice_consents.TemplateUnknown),
)
async def report_consents(ctx: Context, body: ConsentsBody) -> notice_consents.ConsentsView:
    return await notice_consents.report_consents(ctx, [(each.template, each.answer) for each in body.answers], body.nonce)


@api.get("/deliveries/dead", title="未送达的消息", who=Who.ADMIN)
async def list_dead_deliveries(ctx: Context, query: Query) -> PageView[deliveries.DeadDeliveryView]:
    """Given up after 48 hours of tries."""
    return await deliveries.list_dead(ctx, query.page())


@api.get("/sweeps", title="定时任务运行情况", who=Who.ADMIN)
async def list_sweeps(ctx: Context) -> housekeeping.SweepsView:
    """A sweep that is late does not run."""
    return await housekeeping.list_sweeps(ctx)
