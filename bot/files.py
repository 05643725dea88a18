"""Files that somebody sends in a chat: fetched from the platform and taken in as the results of a service (O8, decision 0212).

Before a conversation hears of a file it is an attachment like one that was uploaded on a page, of the same types and sizes.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import orjson
import structlog

from bot.answering import say
from bot.dingtalk_api import DingTalkApi
from bot.talk import Reply, Saying
from bot.transport import PlatformError
from bot.wechat import WeChat
from handlers import attachments
from handlers.attachments import AttachmentView
from handlers.context import Actor, Context, Idempotency
from handlers.file_types import MEGABYTE, SLOTS, sniff
from handlers.refusals import Busy, Kind, Refusal
from handlers.sessions import kept_answer
from handlers.working_days import SHANGHAI
from models.accounts import OrganisationKind, Platform, Role

log = structlog.get_logger(__name__)

SLOT = SLOTS["handover"]
OPERATION = "bot.files.take_in"
ONLY_TEXT = Reply("暂时只能看懂文字。请直接输入您要办理的事项，例如「待办」「帮助」。")
FINISHING = frozenset({Role.OWNER, Role.HANDLER})  # who may say 提交完成


@dataclass(frozen=True, slots=True)
class SentFile:
    """`code` fetches it; a picture has no name."""

    code: str
    name: str


class Files:
    def __init__(self, oa: WeChat, wechat: WeChat, dingtalk: DingTalkApi, robot_code: str) -> None:
        self._accounts = {Platform.WECHAT_OA: oa, Platform.WECHAT: wechat}
        self._dingtalk, self._robot_code = dingtalk, robot_code

    async def take_in(self, ctx: Context, saying: Saying, file: SentFile) -> Saying | Reply:
        """The saying with its attachment, or why the file was not taken. Raises Busy, and PlatformError for what may work later.

        Outside of any transaction. A file that is taken in twice for one message is one attachment.
        """
        if not _may_hand_in(ctx.actor):
            return ONLY_TEXT
        if saying.in_group:
            return saying  # the conversation says that this is nothing for a group
        try:
            kept = await self._once(ctx, saying, file)
        except Refusal as refusal:
            if refusal.kind is Kind.UNAVAILABLE:  # our own database or storage: the message waits for it
                raise Busy from refusal
            allowed = "、".join(SLOT.extensions)
            told = say("files.refused", name=file.name, title=refusal.title, allowed=allowed, most=SLOT.max_bytes // MEGABYTE)
            return Reply(told, private=True)
        except PlatformError as error:
            if error.retryable:
                raise
            log.warning("file_not_fetched", code=error.code, message=error.message)
            return Reply(say("files.gone", name=file.name), private=True)
        return replace(saying, values={"attachment_id": str(kept["id"]), "name": kept["name"]})

    async def _once(self, ctx: Context, saying: Saying, file: SentFile) -> AttachmentView:
        message = f"{saying.platform}\n{saying.app_id}\n{saying.message_id}"
        asked = Idempotency(
            f"p{ctx.person_id}:m{ctx.membership_id}", OPERATION, hashlib.sha256(message.encode()).hexdigest(),
            hashlib.sha256(OPERATION.encode()).digest(),
        )
        if kept := await kept_answer(asked):
            found: AttachmentView = orjson.loads(kept.answer)
            return found
        async with self._open(saying.platform, file.code) as chunks:
            head = await anext(chunks, b"")
            name = file.name or _name_of(ctx, head)
            return await attachments.upload(replace(ctx, idempotency=asked), SLOT.name, name, _again(head, chunks))

    def _open(self, platform: Platform, code: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        if platform is Platform.DINGTALK:
            return self._dingtalk.file(self._robot_code, code)
        return self._accounts[platform].media(code)


def _may_hand_in(actor: Actor) -> bool:
    return actor.organisation_kind is OrganisationKind.INSTITUTION and actor.role in FINISHING


def _name_of(ctx: Context, head: bytes) -> str:
    """For a picture: when it came, and what its bytes say that it is."""
    kind = sniff(head)
    return f"聊天图片{ctx.now.astimezone(SHANGHAI):%m%d%H%M%S}.{kind.name if kind else 'dat'}"


async def _again(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for chunk in rest:
        yield chunk
