"""The bot put together, for app.py: its routes in the web processes, its work in the jobs processes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from bot.binding_talk import BindingTalk
from bot.card_callback import CardCallback
from bot.channels import Channels
from bot.deep_links import DeepLinks
from bot.dingtalk_stream import Stream
from bot.events import Events
from bot.files import Files
from bot.gateways import Gateways
from bot.inbound import Inbound
from bot.menus import Tagger
from bot.worker import Converse, Worker
from clock import Clock
from handlers.ports import Ports
from settings import Settings


def mount(app: web.Application, settings: Settings, clock: Clock, ports: Ports, gateways: Gateways) -> None:
    """The callbacks under /bot and the deep links under /go."""
    app.add_subapp("/bot", Inbound(settings, clock, ports).application())
    app.add_subapp("/go", DeepLinks(settings, clock, gateways.wechat).application())


def works(
    settings: Settings, clock: Clock, ports: Ports, gateways: Gateways, converse: Converse,
) -> list[Callable[[asyncio.Event], Coroutine[Any, Any, None]]]:
    """What a jobs process does for the bot, beside its sweeps and deliveries, until the event is set."""
    found: list[Callable[[asyncio.Event], Coroutine[Any, Any, None]]] = [make_worker(settings, clock, ports, gateways, converse).run]
    if settings.dingtalk_mode == "stream":
        found.append(Stream(settings, clock, ports, gateways.transport, gateways.dingtalk_api).run)
    else:
        found.append(CardCallback(settings, gateways.dingtalk_api).run)
    return found


def make_worker(settings: Settings, clock: Clock, ports: Ports, gateways: Gateways, converse: Converse) -> Worker:
    binding = BindingTalk(gateways.oa, settings.wechat_appid)
    channels = Channels(settings, gateways.oa, gateways.wechat, gateways.dingtalk_api)
    files = Files(gateways.oa, gateways.wechat, gateways.dingtalk_api, settings.dingtalk_robot_code)
    return Worker(settings, clock, ports, channels, Events(binding), binding, files, Tagger(gateways.oa), converse)
