"""The Official Account as `handlers.ports` wants it: template messages with their results, and QR codes with a scene."""

from collections.abc import Mapping
from urllib.parse import quote

import structlog

from bot.links import page_for
from bot.transport import PlatformError
from bot.wechat import WeChat
from bot.wechat_gateway import Says
from handlers.ports import Message, Outcome, SceneCode, SendResult

log = structlog.get_logger(__name__)

SAYS = Says(
    # Does not follow us (any more), has blocked us, template messages switched off: normal, the next channel has it.
    no_consent=frozenset({43004, 43019, 43101}),
    refused=frozenset({43116, 40003, 40037, 47003, 45168}), our_fault=frozenset({40037, 47003}),
    # Too often to this person; busy, which bursts of some hundred a second bring about.
    retry_seconds={43117: 10, -1: 2, 45011: 60, 45009: 3600},
    sent_already=frozenset({40241}),  # "duplicate in 60 seconds": the first of the two is on its way
)
SHOW_QR = "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket="


class WeChatTemplateSender:
    """Since May 2023 a template message is its typed keywords and nothing else: no first line, no remark, no colour, no line breaks.

    `template_ids` maps a kind to the account's template; kinds without one have the simulator's id.
    """

    def __init__(self, client: WeChat, mini_program_appid: str, template_ids: Mapping[str, str] | None = None) -> None:
        self._client, self._appid, self._ids = client, mini_program_appid, template_ids or {}

    async def send(self, message: Message) -> SendResult:
        answer = await SAYS.send(message, self._client.send_template, lambda template: {
            "template_id": self._ids.get(message.kind, f"oa_{template.default_id}"),
            "miniprogram": {"appid": self._appid, "pagepath": page_for(message.kind, message.page)},
            "client_msg_id": message.reference,  # the same one again within ten minutes is not sent again
        })
        if isinstance(answer, SendResult):
            return answer
        return SendResult(Outcome.ACCEPTED, provider_id=str(answer["msgid"]))

    async def receipt(self, provider_id: str) -> SendResult:
        """Nothing can be asked: the result comes by itself, as TEMPLATESENDJOBFINISH (bot/events.py)."""
        return SendResult(Outcome.RETRY, provider_id=provider_id)


class WeChatScenes:
    def __init__(self, client: WeChat) -> None:
        self._client = client

    async def make(self, scene: str, seconds: int) -> SceneCode | None:
        body = {"expire_seconds": seconds, "action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": scene}}}
        try:
            found = await self._client.qrcode.create(body)
        except PlatformError as error:
            log.warning("scene_not_made", code=error.code, message=error.message)
            return None
        url, ticket = (found.get("url"), found.get("ticket")) if isinstance(found, dict) else (None, None)
        if not isinstance(url, str) or not isinstance(ticket, str):
            log.warning("scene_not_made", code="malformed", message="no ticket in the answer")
            return None
        return SceneCode(url, SHOW_QR + quote(ticket, safe=""))
