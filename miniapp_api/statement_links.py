"""账单链接: fetched without signing in, once, by whoever holds the link."""

from handlers import statement_links
from handlers.context import Context
from handlers.statements import StatementTooLong
from miniapp_api.routing import Api, Download, Who
from miniapp_api.statements import MEDIA_TYPES

api = Api("statement_links", "账单链接")


@api.get("/statement-links/{token}", title="下载账单（一次有效）", who=Who.ANYONE, limit="link", refusals=(StatementTooLong,))
async def fetch_statement(ctx: Context, token: str) -> Download:
    """由聊天机器人发出的链接，十分钟内有效，只能下载一次；无效、过期、已用过的回答相同。"""
    content, name, kind = await statement_links.fetch_statement(ctx, token)
    return Download(content, MEDIA_TYPES[kind], name, len(content))
