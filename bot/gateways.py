"""The platforms put together from the settings: what `app.py` gives to the use-cases and jobs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis import asyncio as aioredis

from bot.cards import DingTalkCards
from bot.console import ConsoleSender
from bot.dingtalk import DingTalk
from bot.dingtalk_api import DingTalkApi
from bot.dingtalk_gateway import DingTalkLogin, DingTalkNoticeSender
from bot.mail import MailSender, Server, sender_of
from bot.oa_gateway import WeChatScenes, WeChatTemplateSender
from bot.redis_client import connect
from bot.sms import Account, TencentSms
from bot.transport import Transport
from bot.wechat import WeChat
from bot.wechat_gateway import WeChatCodes, WeChatContentCheck, WeChatLogin, WeChatSubscribeSender
from handlers.ports import Cards, Codes, ContentCheck, Login, Recaller, Scenes, Sender
from settings import Mode, Settings

# The same three versions under the names of messages and under those of codes.
VERSIONS = {"developer": "develop", "trial": "trial", "formal": "release"}


@dataclass(frozen=True, slots=True)
class Gateways:
    """`logins` by platform, `senders` and `recallers` by channel, as Ports has them. `oa` is the Official Account, an app of its own."""

    wechat: WeChat
    oa: WeChat
    dingtalk: DingTalk
    dingtalk_api: DingTalkApi
    transport: Transport
    logins: dict[str, Login]
    senders: dict[str, Sender]
    codes: Codes
    recallers: dict[str, Recaller]
    content_check: ContentCheck
    scenes: Scenes
    cards: Cards


@asynccontextmanager
async def open_gateways(
    settings: Settings, redis_url: str | None, template_ids: Mapping[str, str] | None = None,
) -> AsyncIterator[Gateways]:
    """Clients of both platforms for the life of a process. Nothing is asked before the first use."""
    redis = connect(redis_url) if redis_url else None
    try:
        async with Transport(settings.platform_timeout_seconds) as transport:
            yield assemble(settings, transport, redis, template_ids)
    finally:
        if redis is not None:
            await redis.aclose()


def assemble(
    settings: Settings, transport: Transport, redis: aioredis.Redis | None, template_ids: Mapping[str, str] | None = None,
) -> Gateways:
    wechat = WeChat(
        transport, settings.wechat_api_base_url, settings.wechat_appid, settings.wechat_secret.get_secret_value(), redis,
    )
    oa = WeChat(
        transport, settings.wechat_api_base_url, settings.wechat_oa_appid, settings.wechat_oa_secret.get_secret_value(), redis,
    )
    dingtalk_api = DingTalkApi(
        transport, settings.dingtalk_api_base_url, settings.dingtalk_oapi_base_url, settings.dingtalk_appkey,
        settings.dingtalk_appsecret.get_secret_value(), redis,
    )
    dingtalk = DingTalk(
        transport, settings.dingtalk_oapi_base_url, settings.dingtalk_appkey,
        settings.dingtalk_appsecret.get_secret_value(), redis,
    )
    notices = DingTalkNoticeSender(dingtalk, settings.dingtalk_agent_id)
    return Gateways(
        wechat, oa, dingtalk, dingtalk_api, transport,
        logins={"wechat": WeChatLogin(wechat), "dingtalk": DingTalkLogin(dingtalk)},
        senders={
            "wechat_subscribe": WeChatSubscribeSender(wechat, settings.wechat_miniprogram_state, template_ids),
            "wechat_oa_template": WeChatTemplateSender(oa, settings.wechat_appid, settings.wechat_oa_template_ids),
            "dingtalk_notice": notices, **outside_senders(settings, transport),
        },
        codes=WeChatCodes(wechat, VERSIONS[settings.wechat_miniprogram_state]),
        recallers={"dingtalk_notice": notices},
        content_check=WeChatContentCheck(wechat),
        scenes=WeChatScenes(oa),
        cards=DingTalkCards(dingtalk_api, settings.public_url),
    )


def outside_senders(settings: Settings, transport: Transport) -> dict[str, Sender]:
    """E-mail and SMS, as far as they are set up; development without them writes messages into the log instead."""
    found: dict[str, Sender] = {}
    if settings.mode is Mode.DEVELOPMENT:
        found = {"email": ConsoleSender(), "sms": ConsoleSender()}
    if settings.smtp_url is not None:
        server = Server.of(settings.smtp_url.get_secret_value(), settings.smtp_starttls)
        found["email"] = MailSender(server, sender_of(settings.mail_from), settings.public_url, settings.mail_timeout_seconds)
    if settings.sms_secret_id is not None:
        account = Account(
            settings.sms_secret_id, settings.sms_secret_key.get_secret_value(), settings.sms_sdk_app_id, settings.sms_sign_name,
            settings.sms_region,
        )
        found["sms"] = TencentSms(transport, settings.sms_api_base_url, account, settings.sms_template_ids)
    return found
