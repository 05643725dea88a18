"""`python -m app simulator`: the platforms' stand-in, with our templates, pages and the demonstration's phones."""

import asyncio
import contextlib
import signal

import aiohttp

from bot.links import PUBLISHED_PAGES
from bot.sms import TEXTS as SMS_TEXTS
from bot.templates import simulator_templates
from demo import people
from settings import Settings
from simulator import serve as serve_simulator
from simulator.app import SmsAccount


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
            links=[("小程序接口文档", f"{settings.public_url}/docs")], smtp_port=settings.simulator_smtp_port, sms=sms_account(settings),
        )
    greeting.cancel()


def sms_account(settings: Settings) -> SmsAccount | None:
    if settings.sms_secret_id is None:
        return None
    return {
        "secret_id": settings.sms_secret_id, "secret_key": settings.sms_secret_key.get_secret_value(),
        "sdk_app_id": settings.sms_sdk_app_id, "sign_name": settings.sms_sign_name,
        "templates": {settings.sms_template_ids[kind]: text for kind, text in SMS_TEXTS.items() if kind in settings.sms_template_ids},
    }


async def _hand_out_phones(settings: Settings) -> None:
    """Whoever the seed knows has a phone: the simulator forgets them when it ends."""
    base = f"http://127.0.0.1:{settings.simulator_port}/control/phones"
    async with aiohttp.ClientSession() as http:
        for name in people.EVERYBODY:
            await _until_it_serves(http, base, {"name": name, "platform": "wechat"})


async def _until_it_serves(http: aiohttp.ClientSession, url: str, body: dict[str, str]) -> None:
    while True:
        try:
            async with http.post(url, json=body):
                return
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)
