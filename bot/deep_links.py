"""From a chat into a page of the mini-program (decision 0183): an https address of our own that mints a URL Link when it is opened.

A URL Link ends after at most thirty days, and a message is opened when it is opened. So messages carry /go/<page>?<query>; the link
behind it is made on opening and kept for others until an hour before it ends.
"""

import asyncio
import html
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

import structlog
from aiohttp import web

from bot.links import LINK_DAYS_MAX, PUBLISHED_PAGES, QUERY
from bot.transport import PlatformError
from bot.wechat import WeChat
from clock import Clock
from settings import Settings

log = structlog.get_logger(__name__)

LINK_DAYS = LINK_DAYS_MAX
MARGIN = timedelta(hours=1)  # who has opened our page needs some time to tap
LINKS_MAX = 10_000  # one entry has some 300 bytes
INSIDE_WECHAT = "micromessenger"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
PAGE = """<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>企服券</title><style>body{{font:17px/1.7 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;margin:15vh 24px;text-align:center}}
a{{display:inline-block;padding:12px 40px;border-radius:8px;background:#07c160;color:#fff;text-decoration:none}}p{{color:#646a73}}</style>
</head><body><h1>企服券</h1>{body}</body></html>"""
OPEN = '<p>{hint}</p><a href="{link}">打开小程序</a>'
AWAY = "<p>暂时无法打开小程序，请稍后再试，或在微信中搜索小程序「企服券」。</p>"


def split_page(page: str) -> tuple[str, str] | None:
    """(path, query) of a page that there is, with a query that WeChat takes (40212); None for every other."""
    path, _, query = page.lstrip("/").partition("?")
    return (path, query) if path in PUBLISHED_PAGES and QUERY.fullmatch(query) else None


def go_url(public_url: str, page: str) -> str | None:
    """Our address for a page; None if there is no such page, so that no message carries a link that leads nowhere."""
    found = split_page(page)
    if found is None:
        return None
    path, query = found
    return f"{public_url.rstrip('/')}/go/{quote(path)}" + (f"?{query}" if query else "")


Key = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class _Kept:
    link: str
    until: datetime


class DeepLinks:
    """`/go/...` of one web process. Links are kept here only: another process makes its own, of 500,000 a day."""

    def __init__(self, settings: Settings, clock: Clock, wechat: WeChat) -> None:
        self._settings, self._clock, self._wechat = settings, clock, wechat
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._flights: dict[Key, asyncio.Task[str]] = {}

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.+}", self.open, name="bot.deep_link")
        return app

    async def open(self, request: web.Request) -> web.Response:
        # The query as it was sent: unquoted and quoted again, an & of a value would become one of ours.
        found = split_page(f"{request.match_info['path']}?{request.rel_url.raw_query_string}")
        if found is None:
            raise web.HTTPNotFound
        # Within WeChat a URL Link opens the page at once; from DingTalk or a browser a scheme leads into WeChat without a stop.
        is_inside = INSIDE_WECHAT in request.headers.get("User-Agent", "").lower()
        try:
            link = await self._link(*found, is_inside)
        except PlatformError as error:
            log.warning("deep_link_not_made", code=error.code)
            return _page(AWAY, 503)
        hint = "请点击下方按钮继续办理" if is_inside else "将打开微信中的小程序「企服券」"
        return _page(OPEN.format(hint=hint, link=html.escape(link)))

    async def _link(self, path: str, query: str, is_inside: bool) -> str:
        key = (path, query, is_inside)
        kept = self._kept.get(key)
        if kept is not None and self._clock.now() < kept.until:
            self._kept.move_to_end(key)
            return kept.link
        if key not in self._flights:
            # A hundred who open the same message at once are one call.
            flight = asyncio.create_task(self._mint(*key))
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(self._flights[key])

    async def _mint(self, path: str, query: str, is_inside: bool) -> str:
        until = self._clock.now() + timedelta(days=LINK_DAYS) - MARGIN
        make = self._wechat.url_link if is_inside else self._wechat.url_scheme
        link = await make(path, query, days=LINK_DAYS)
        self._kept[path, query, is_inside] = _Kept(link, until)
        while len(self._kept) > LINKS_MAX:
            self._kept.popitem(last=False)
        return link


def _page(body: str, status: int = 200) -> web.Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=PAGE.format(body=body), status=status, content_type="text/html", headers=headers)
