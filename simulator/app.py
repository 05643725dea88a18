"""Puts the platforms, the control routes and the page on one loopback port."""

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict, Unpack

from aiohttp import web

from simulator.chat_page import ChatPage
from simulator.clock import Clock
from simulator.control import Control
from simulator.dingtalk import DingTalk
from simulator.mail import Mail
from simulator.miniprogram import MiniProgram
from simulator.official_account import OfficialAccount
from simulator.page import Page
from simulator.pushing import Callbacks, Pusher
from simulator.sms import Sms
from simulator.state import World
from simulator.traffic import Traffic
from simulator.wechat import WeChat

BODY_BYTES_MAX = 1 << 20
SMTP_PORT: web.AppKey[int] = web.AppKey("smtp_port", int)


class SmsAccount(TypedDict):
    """An account of the SMS provider; `templates`: id -> approved text with {1}, {2} ..."""

    secret_id: str
    secret_key: str
    sdk_app_id: str
    sign_name: str
    templates: Mapping[str, str]


class Options(TypedDict):
    """What `create_app` takes; `links` are (title, url) pairs for the page."""

    clock_file: Path
    wechat_appid: str
    wechat_secret: str
    dingtalk_appkey: str
    dingtalk_appsecret: str
    agent_id: int | str
    templates: Iterable[Mapping[str, Any]]
    pages: Collection[str]
    links: NotRequired[Sequence[tuple[str, str]]]
    sms: NotRequired[SmsAccount | None]
    smtp_port: NotRequired[int | None]
    wechat_oa: NotRequired[tuple[str, str]]
    callbacks: NotRequired[Callbacks]
    api_url: NotRequired[str]
    people: NotRequired[Iterable[str]]
    real_now: NotRequired[Callable[[], float]]


def create_app(
    *,
    clock_file: Path,
    wechat_appid: str,
    wechat_secret: str,
    dingtalk_appkey: str,
    dingtalk_appsecret: str,
    agent_id: int | str,
    templates: Iterable[Mapping[str, Any]],
    pages: Collection[str],
    links: Sequence[tuple[str, str]] = (),
    sms: SmsAccount | None = None,
    smtp_port: int | None = None,
    wechat_oa: tuple[str, str] = ("wx-oa", "wx-oa-secret"),
    callbacks: Callbacks | None = None,
    api_url: str = "",
    people: Iterable[str] = (),
    real_now: Callable[[], float] = time.time,
) -> web.Application:
    """Platforms under /wechat, /dingtalk, /oapi and /sms, the hands under /control, the page at /; mail on a port of its own.

    `templates` are rows as WeChat's gettemplate shows them (priTmplId, title, content, type, and keywordEnumValueList
    where a keyword is an enum); `pages` the published pages without a leading slash. `clock_file` holds the offset of the
    whole development system in seconds (float64, little-endian) and is made if it is missing; `real_now` is what the
    offset is added to (seconds since 1970). `wechat_oa` is the Official Account's (appid, secret), `callbacks` where the project
    listens for pushes; `api_url` its API, where the phones' mini-program signs in; `people` who is offered in the chat window.
    """
    clock = Clock(clock_file, real_now)
    world, traffic = World(clock), Traffic(clock)
    pusher = Pusher(clock, callbacks or Callbacks())
    templates = tuple(templates)
    account = OfficialAccount(world, pusher, *wechat_oa, templates, wechat_appid, pages)
    wechat = WeChat(world, wechat_appid, wechat_secret, templates, pages, account, pusher)
    dingtalk = DingTalk(world, dingtalk_appkey, dingtalk_appsecret, agent_id, pusher)
    page = Page(world, links)
    mail, messages = Mail(world), Sms(world, **sms) if sms else None
    app = web.Application(middlewares=[traffic.middleware], client_max_size=BODY_BYTES_MAX)
    app.add_subapp("/wechat", wechat.application())
    app.add_subapp("/oapi", dingtalk.old_application())
    app.add_subapp("/dingtalk", dingtalk.new_application())
    if messages is not None:
        app.add_subapp("/sms", messages.application())
    hands = Control(world, traffic, wechat, dingtalk, MiniProgram(world, wechat, api_url), mail, messages)
    app.add_subapp("/control", hands.application())
    app.router.add_get("/", page.show)
    app.router.add_get("/chat", ChatPage(world, people).show)
    app.router.add_post("/clock", page.move_clock)
    app.router.add_post("/phones/{id}/login-code", page.login_code)
    _end_with(app, traffic, pusher, dingtalk, clock)
    return _with_mail(app, mail, smtp_port)


def _end_with(app: web.Application, traffic: Traffic, pusher: Pusher, dingtalk: DingTalk, clock: Clock) -> None:
    async def release(_: web.Application) -> None:
        # Calls that hang on purpose must not hold up the end.
        traffic.closing.set()
        await pusher.close()
        await dingtalk.talk.streams.close()

    async def close(_: web.Application) -> None:
        clock.close()

    app.on_shutdown.append(release)
    app.on_cleanup.append(close)


def _with_mail(app: web.Application, mail: Mail, port: int | None) -> web.Application:
    if port is not None:
        app.cleanup_ctx.append(receiving(mail, port))
    return app


def receiving(mail: Mail, port: int) -> Callable[[web.Application], AsyncIterator[None]]:
    """The mail server, for as long as the application runs."""
    async def run(app: web.Application) -> AsyncIterator[None]:
        app[SMTP_PORT] = await mail.start("127.0.0.1", port)
        yield
        await mail.stop()

    return run


async def serve(host: str, port: int, **options: Unpack[Options]) -> None:
    """Serve until cancelled. Only on loopback: whoever reaches the control routes can log in as anybody."""
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"the simulator listens on loopback only, not on {host}")
    runner = web.AppRunner(create_app(**options), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
