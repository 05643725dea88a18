"""`python -m app simulator`: the platforms' stand-in, with our templates, pages and the demonstration's phones."""

import asyncio
import contextlib
import signal

import aiohttp
from pydantic import SecretStr

from bot.links import PUBLISHED_PAGES
from bot.sms import TEXTS as SMS_TEXTS
from bot.templates import simulator_templates
from demo import people
from family import inherited
from settings import Settings
from simulator import serve as serve_simulator
from simulator.app import SmsAccount
from simulator.pushing import Callbacks, Secrets


async def serve(settings: Settings) -> None:
    """Serve on loopback until SIGTERM or SIGINT."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    greeting = asyncio.create_task(_hand_out_phones(settings))
    with contextlib.suppress(asyncio.CancelledError):
        await serve_simulator(
            "127.0.0.1", settings.simulator_port,
            clock_file=settings.clock_file or settings.var_dir / "clock",
            wechat_appid=settings.wechat_appid, wechat_secret=settings.wechat_secret.get_secret_value(),
            dingtalk_appkey=settings.dingtalk_appkey, dingtalk_appsecret=settings.dingtalk_appsecret.get_secret_value(),
            agent_id=settings.dingtalk_agent_id, templates=simulator_templates(), pages=PUBLISHED_PAGES,
            links=[("对话", "/chat"), ("小程序接口文档", f"{settings.public_url}/docs")],
            smtp_port=settings.simulator_smtp_port, sms=sms_account(settings),
            wechat_oa=(settings.wechat_oa_appid, settings.wechat_oa_secret.get_secret_value()), callbacks=callbacks(settings),
            api_url=f"{settings.local_url}/api/v1", people=people.EVERYBODY,
        )
    greeting.cancel()
    await asyncio.wait((greeting,))


def sms_account(settings: Settings) -> SmsAccount | None:
    if settings.sms_secret_id is None:
        return None
    return {
        "secret_id": settings.sms_secret_id, "secret_key": settings.sms_secret_key.get_secret_value(),
        "sdk_app_id": settings.sms_sdk_app_id, "sign_name": settings.sms_sign_name,
        "templates": {settings.sms_template_ids[kind]: text for kind, text in SMS_TEXTS.items() if kind in settings.sms_template_ids},
    }


def callbacks(settings: Settings) -> Callbacks:
    """Where our web processes listen for pushes, and with which secrets."""
    def secrets(path: str, token: SecretStr, key: SecretStr) -> Secrets:
        return Secrets(f"{base}{path}", token.get_secret_value(), key.get_secret_value())

    base = f"{settings.local_url}/bot"
    return Callbacks(
        oa=secrets("/wechat/oa", settings.wechat_oa_token, settings.wechat_oa_aes_key),
        miniapp=secrets("/wechat/miniapp", settings.wechat_push_token, settings.wechat_push_aes_key),
        events=secrets("/dingtalk/events", settings.dingtalk_event_token, settings.dingtalk_event_aes_key),
        robot_url=f"{base}/dingtalk/robot", card_url=f"{base}/dingtalk/cards",
        card_secret=settings.dingtalk_card_secret.get_secret_value(),
    )


async def _hand_out_phones(settings: Settings) -> None:
    """Whoever the seed knows has a phone: the simulator forgets them when it ends."""
    base = f"http://127.0.0.1:{settings.simulator_port}/control/phones"
    async with aiohttp.ClientSession() as http:
        for name in people.EVERYBODY:
            await _until_it_serves(http, base, {"name": name, "platform": "wechat"})
    inherited.serves()


async def _until_it_serves(http: aiohttp.ClientSession, url: str, body: dict[str, str]) -> None:
    while True:
        try:
            async with http.post(url, json=body):
                return
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)
