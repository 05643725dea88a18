"""Where the platforms push to: verify, read, keep, thank. Nothing is understood here; `bot/worker.py` does that (decision 0180).

GET, POST /bot/wechat/oa          服务号：服务器配置, XML
GET, POST /bot/wechat/miniapp     小程序：消息推送, XML or JSON
POST      /bot/dingtalk/robot     机器人消息接收地址, signed
POST      /bot/dingtalk/cards     互动卡片回调, signed
POST      /bot/dingtalk/events    事件订阅, encrypted, with check_url
"""

import asyncio
import secrets
from typing import Any

import orjson
import structlog
from aiohttp import web

from bot.arrivals import OutsiderError, of_card, of_dingtalk_event, of_robot, of_wechat
from bot.crypto import PushCrypto, PushRefusedError, Sealed, check_card, check_moment, check_robot
from bot.passive import BUSY_TEXT, OUTSIDER_TEXT, passive_xml, sealed_xml
from bot.pushes import MalformedPushError, read_json, read_push, word
from clock import Clock
from handlers.context import SYSTEM, Context
from handlers.inbound import Arrived, receive
from handlers.ports import Ports
from handlers.refusals import Busy
from models.accounts import Platform
from models.inbound import InboundKind
from settings import Settings

log = structlog.get_logger(__name__)

BODY_BYTES_MAX = 64 * 1024  # the largest push that any of them documents has a few KB
BODY_SECONDS = 5.0
PENDING_MAX = 64  # inserts that the database has not answered yet: beyond them it is not asked at all
ENCRYPTED_BODY = "Encrypt"


class Inbound:
    """The callbacks of one web process."""

    def __init__(self, settings: Settings, clock: Clock, ports: Ports) -> None:
        self._settings, self._clock, self._ports = settings, clock, ports
        self._pending: set[asyncio.Task[bool]] = set()
        self._oa = PushCrypto(
            settings.wechat_oa_token.get_secret_value(), settings.wechat_oa_aes_key.get_secret_value(), settings.wechat_oa_appid,
        )
        self._miniapp = PushCrypto(
            settings.wechat_push_token.get_secret_value(), settings.wechat_push_aes_key.get_secret_value(), settings.wechat_appid,
        )
        self._events = PushCrypto(
            settings.dingtalk_event_token.get_secret_value(), settings.dingtalk_event_aes_key.get_secret_value(),
            settings.dingtalk_appkey,
        )

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_refusals])
        app.router.add_get("/wechat/oa", self.verify_oa, name="bot.verify_oa")
        app.router.add_post("/wechat/oa", self.oa, name="bot.oa")
        app.router.add_get("/wechat/miniapp", self.verify_miniapp, name="bot.verify_miniapp")
        app.router.add_post("/wechat/miniapp", self.miniapp, name="bot.miniapp")
        app.router.add_post("/dingtalk/robot", self.robot, name="bot.robot")
        app.router.add_post("/dingtalk/cards", self.card, name="bot.card")
        app.router.add_post("/dingtalk/events", self.event, name="bot.event")
        app.on_cleanup.append(self._finish)
        return app

    async def _finish(self, _: web.Application) -> None:
        if self._pending:
            await asyncio.wait(self._pending, timeout=1)

    # --- WeChat -----------------------------------------------------------------------------------------------------

    async def verify_oa(self, request: web.Request) -> web.Response:
        return self._verify(request, self._oa)

    async def verify_miniapp(self, request: web.Request) -> web.Response:
        return self._verify(request, self._miniapp)

    def _verify(self, request: web.Request, crypto: PushCrypto) -> web.Response:
        """The console's check of the address: the echo comes back as it is, which only the platform can ask for."""
        timestamp = request.query.get("timestamp", "")
        crypto.check_plain(request.query.get("signature", ""), timestamp, request.query.get("nonce", ""))
        check_moment(timestamp, self._clock.now(), self._settings.push_window_seconds)
        return _plain(request.query.get("echostr", "")[:256])

    async def oa(self, request: web.Request) -> web.Response:
        return await self._wechat(request, self._oa, Platform.WECHAT_OA, self._settings.wechat_oa_appid)

    async def miniapp(self, request: web.Request) -> web.Response:
        return await self._wechat(request, self._miniapp, Platform.WECHAT, self._settings.wechat_appid)

    async def _wechat(self, request: web.Request, crypto: PushCrypto, platform: Platform, app_id: str) -> web.Response:
        fields = read_push(await _body(request))
        is_sealed = self._settings.wechat_push_mode == "secure"
        timestamp, nonce = request.query.get("timestamp", ""), request.query.get("nonce", "")
        if is_sealed:
            # Its own signature: `signature` says nothing of the body. A plain body, or the plain half of a mixed one, is not read.
            encrypted = word(fields, ENCRYPTED_BODY)
            fields = read_push(crypto.open(request.query.get("msg_signature", ""), timestamp, nonce, encrypted))
        else:
            crypto.check_plain(request.query.get("signature", ""), timestamp, nonce)
        check_moment(timestamp, self._clock.now(), self._settings.push_window_seconds)
        arrived = of_wechat(platform, app_id, fields, self._clock.now())
        if arrived is None or await self._keep([arrived]):
            return _plain("success")
        if arrived.kind is InboundKind.EVENT or platform is not Platform.WECHAT_OA:
            raise web.HTTPServiceUnavailable  # nobody reads an answer to an event: the platform tries again
        answer = passive_xml(word(fields, "FromUserName"), word(fields, "ToUserName"), BUSY_TEXT, int(self._clock.now().timestamp()))
        if is_sealed:
            answer = sealed_xml(crypto.seal(answer, str(int(self._clock.now().timestamp())), nonce))
        return web.Response(text=answer, content_type="application/xml")

    # --- DingTalk ---------------------------------------------------------------------------------------------------

    async def robot(self, request: web.Request) -> web.Response:
        secret = self._settings.dingtalk_appsecret.get_secret_value()
        check_robot(request.headers.get("sign", ""), request.headers.get("timestamp", ""), secret, self._clock.now())
        try:
            arrived = of_robot(self._settings.dingtalk_appkey, read_json(await _body(request)), self._clock.now())
        except OutsiderError:
            return _said(OUTSIDER_TEXT)
        return _json({}) if await self._keep([arrived]) else _said(BUSY_TEXT)

    async def card(self, request: web.Request) -> web.Response:
        timestamp = request.headers.get("x-ddpaas-signature-timestamp", "")
        secret = self._settings.dingtalk_card_secret.get_secret_value()
        check_card(request.headers.get("x-ddpaas-signature", ""), timestamp, secret, self._clock.now())
        arrived = of_card(self._settings.dingtalk_appkey, read_json(await _body(request)), timestamp, self._clock.now())
        if not await self._keep([arrived]):
            raise web.HTTPServiceUnavailable  # the phone shows that the tap did not work
        return _json({})

    async def event(self, request: web.Request) -> web.Response:
        body = read_json(await _body(request))
        query = request.query
        timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        # Newer consoles call it msg_signature, older ones signature: it is the same, and covers the body.
        signature = query.get("msg_signature") or query.get("signature", "")
        fields = read_json(self._events.open(signature, timestamp, nonce, word(body, "encrypt")))
        check_moment(timestamp, self._clock.now(), self._settings.push_window_seconds, 0.001 if len(timestamp) > 11 else 1)
        arrived = of_dingtalk_event(self._settings.dingtalk_appkey, fields, f"{timestamp}{nonce}", self._clock.now())
        if not await self._keep(arrived):
            raise web.HTTPServiceUnavailable
        # check_url and every other event alike: `success`, sealed.
        sealed = self._events.seal("success", str(int(self._clock.now().timestamp())), secrets.token_hex(8))
        return _json(_dingtalk_answer(sealed))

    # --- keeping ----------------------------------------------------------------------------------------------------

    async def _keep(self, arrived: list[Arrived]) -> bool:
        """True: in the table, or there already. False: the database did not take it in time.

        It is not cancelled then: a cancelled statement holds its connection until the server has noticed, and the row may still
        be written, which the answer allows for.
        """
        if not arrived:
            return True
        if len(self._pending) >= PENDING_MAX:
            log.warning("inbound_not_kept", reason="too many waiting")
            return False
        task = asyncio.create_task(self._receive(arrived))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        await asyncio.wait({task}, timeout=self._settings.push_store_seconds)
        if not task.done():
            log.warning("inbound_not_kept", reason="slow")
            return False
        return task.result()

    async def _receive(self, arrived: list[Arrived]) -> bool:
        ctx = Context(SYSTEM, self._clock.now(), self._settings, self._ports, f"push-{secrets.token_hex(8)}")
        try:
            for each in arrived:
                await receive(ctx, each)
        except Busy:
            log.warning("inbound_not_kept", reason="busy")
            return False
        except Exception:
            log.exception("inbound_broke")
            return False
        return True


@web.middleware
async def _refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """What is not from the platform gets a status and nothing else: no reason, no echo, no row."""
    try:
        return await handler(request)  # type: ignore[no-any-return]
    except PushRefusedError as error:
        log.warning("push_refused", reason=error.reason)
        raise web.HTTPForbidden from None
    except MalformedPushError:
        log.warning("push_malformed")
        raise web.HTTPBadRequest from None


async def _body(request: web.Request) -> bytes:
    """At most 64 kB within five seconds. Compressed bodies are refused: none of the platforms sends one."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX, request.content_length or 0)
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > BODY_BYTES_MAX:
                    raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX, len(raw))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return bytes(raw)


def _plain(text: str) -> web.Response:
    # Never HTML: the echo is somebody else's text.
    return web.Response(text=text, content_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})


def _json(body: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _said(text: str) -> web.Response:
    """The robot's answer in the answer itself: works without the database and without a token."""
    return _json({"msgtype": "text", "text": {"content": text}})


def _dingtalk_answer(sealed: Sealed) -> dict[str, str]:
    return {"msg_signature": sealed.signature, "timeStamp": sealed.timestamp, "nonce": sealed.nonce, "encrypt": sealed.encrypt}
