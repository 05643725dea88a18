"""人工咨询: who asked for a human in a chat, and the answer."""

from typing import Annotated

from pydantic import StringConstraints

from handlers import help_requests
from handlers.context import Context
from handlers.help_requests import ANSWER_CHARACTERS_MAX, HelpAnswered, HelpAnswerView, HelpRequestView, OwnHelpRequest
from handlers.paging import PageView
from handlers.refusals import NotFound
from handlers.texts import TEXT
from miniapp_api.routing import Api, Body, Query, Who

api = Api("help_requests", "人工咨询")


class HelpAnswerBody(Body):
    answer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=ANSWER_CHARACTERS_MAX), TEXT]


@api.get("/help-requests", title="待答复的人工咨询", who=Who.ADMIN)
async def list_help_requests(ctx: Context, query: Query) -> PageView[HelpRequestView]:
    """在对话中转人工、等待答复的人；附其最近说的几句话，号码已隐去。"""
    return await help_requests.list_help_requests(ctx, query.page())


@api.post("/help-requests/{request_id}/answer", title="答复人工咨询", who=Who.ADMIN, refusals=(NotFound, OwnHelpRequest, HelpAnswered))
async def answer_help_request(ctx: Context, request_id: int, body: HelpAnswerBody) -> HelpAnswerView:
    """答复以消息发给咨询人，其对话内容随即删除。"""
    return await help_requests.answer_help_request(ctx, request_id, body.answer)
