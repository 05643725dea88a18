"""Talking to a DingTalk robot: what people say and tap, where it goes, and the interactive cards in between."""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from simulator.dingtalk_errors import NewApiError, new_answer, old_answer
from simulator.dingtalk_gate import Gate, read_new
from simulator.dingtalk_stream import BOT_TOPIC, CARD_TOPIC, Streams
from simulator.pushing import Pushed, Pusher
from simulator.state import Message, Phone, World

TRACK_CHARACTERS_MAX = 100
SESSION_SECONDS = 5_400
CORP = "ding-simulator-corp"
SPACE = "dtv1.card//im_robot."


@dataclass
class Card:
    track_id: str
    data: dict[str, str]
    via_stream: bool
    route: str = ""
    shown: list[tuple[Phone, Message]] = field(default_factory=list)


@dataclass
class Session:
    """Where a group's answers may go for a while."""

    phones: list[Phone]
    until: float


class Talk:
    def __init__(self, world: World, gate: Gate, pusher: Pusher, appkey: str, appsecret: str) -> None:
        self._world, self._gate, self._pusher = world, gate, pusher
        self._appkey, self._appsecret = appkey, appsecret
        self.streams = Streams(world)
        self.cards: dict[str, Card] = {}
        self._routes: dict[str, tuple[str, str]] = {}  # callbackRouteKey -> address and secret
        self._sessions: dict[str, Session] = {}

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/v1.0/card/instances/createAndDeliver", self.create)
        app.router.add_post("/v1.0/card/instances/deliver", self.deliver_again)
        app.router.add_put("/v1.0/card/instances", self.update)
        app.router.add_post("/v1.0/card/callbacks/register", self.register)
        app.router.add_post("/v1.0/gateway/connections/open", self.open)
        app.router.add_post("/v1.0/robot/messageFiles/download", self.file_address)
        app.router.add_get("/files/{key}", self.file)
        app.router.add_get("/connect", self.streams.connect)

    # --- what the project calls ---------------------------------------------------------------------------------------

    async def open(self, request: web.Request) -> web.Response:
        body = await read_new(request)
        if body.get("clientId") != self._appkey or body.get("clientSecret") != self._appsecret:
            raise NewApiError(401, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
        subscriptions = body.get("subscriptions")
        if not isinstance(subscriptions, list) or not subscriptions:
            raise NewApiError(400, "invalidParameter.subscriptions", "subscriptions不能为空")
        return new_answer(self.streams.issue(request, subscriptions))

    async def file_address(self, request: web.Request) -> web.Response:
        """A signed address of the storage, which is asked without a token."""
        self._gate.check_new(request)
        body = await read_new(request)
        if body.get("robotCode") != self._appkey:
            raise NewApiError(400, "robot.notExist", "机器人不存在")
        if self._world.file(body.get("downloadCode"), "dingtalk") is None:
            raise NewApiError(400, "downloadCode.invalid", "downloadCode有误或已过期")
        root = str(request.url.origin()) + request.path.removesuffix("/v1.0/robot/messageFiles/download")
        return new_answer({"downloadUrl": f"{root}/files/{body['downloadCode']}?Signature={secrets.token_hex(8)}"})

    async def file(self, request: web.Request) -> web.Response:
        found = self._world.file(request.match_info["key"], "dingtalk")
        if found is None:
            raise web.HTTPForbidden
        return web.Response(body=found.content, content_type="application/octet-stream")

    async def register(self, request: web.Request) -> web.Response:
        self._gate.check_new(request)
        body = await read_new(request)
        route, url, secret = (str(body.get(name) or "") for name in ("callbackRouteKey", "callbackUrl", "apiSecret"))
        if not route:
            raise NewApiError(400, "param.callbackRouteKeyEmpty", "callbackRouteKey不能为空")
        if not url.startswith(("https://", "http://")) or not secret:
            raise NewApiError(400, "param.error", "callbackUrl或apiSecret无效")
        self._routes[route] = (url, secret)
        return new_answer({"success": True, "result": True})

    def _data(self, body: dict[str, Any]) -> dict[str, str]:
        given = body.get("cardData")
        data = given.get("cardParamMap") if isinstance(given, dict) else None
        if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
            raise NewApiError(400, "param.cardDataInvalid", "cardParamMap的值必须是字符串")
        return dict(data)

    def _receiver(self, body: dict[str, Any]) -> Phone:
        space = str(body.get("openSpaceId", ""))
        if not space.startswith(SPACE) or body.get("imRobotOpenDeliverModel", {}).get("spaceType") != "IM_ROBOT":
            raise NewApiError(400, "param.openSpaceIdInvalid", "openSpaceId无效")
        phone = self._world.person("dingtalk", space.removeprefix(SPACE))
        if phone is None:
            raise NewApiError(400, "param.userIdNotExist", "用户不存在")
        return phone

    async def create(self, request: web.Request) -> web.Response:
        self._gate.check_new(request)
        body = await read_new(request)
        track_id = body.get("outTrackId")
        if not isinstance(track_id, str) or not 1 <= len(track_id) <= TRACK_CHARACTERS_MAX:
            raise NewApiError(400, "param.outTrackIdEmpty", "outTrackId无效")
        if not body.get("cardTemplateId"):
            raise NewApiError(400, "param.cardTemplateIdEmpty", "cardTemplateId不能为空")
        if body.get("callbackType") == "HTTP" and not body.get("callbackRouteKey"):
            raise NewApiError(400, "param.callbackRouteKeyEmpty", "callbackRouteKey不能为空")
        if track_id in self.cards:
            raise NewApiError(400, "param.outTrackIdExist", "outTrackId已存在")
        phone, via_stream = self._receiver(body), body.get("callbackType") == "STREAM"
        card = Card(track_id, self._data(body), via_stream, str(body.get("callbackRouteKey", "")))
        self.cards[track_id] = card
        self._show(card, phone)
        return new_answer({"success": True, "result": {"outTrackId": track_id, "deliverResults": [{"success": True}]}})

    async def deliver_again(self, request: web.Request) -> web.Response:
        self._gate.check_new(request)
        body = await read_new(request)
        self._show(self._card(body), self._receiver(body))
        return new_answer({"success": True})

    async def update(self, request: web.Request) -> web.Response:
        """Every place where the card is shown changes."""
        self._gate.check_new(request)
        body = await read_new(request)
        card = self._card(body)
        card.data |= self._data(body)
        for _, message in card.shown:
            fill(message, card)
        return new_answer({"success": True})

    def _card(self, body: dict[str, Any]) -> Card:
        card = self.cards.get(str(body.get("outTrackId")))
        if card is None:
            raise NewApiError(400, "param.cardNotExist", "卡片不存在")
        return card

    def _show(self, card: Card, phone: Phone) -> None:
        message = self._world.deliver(phone, "card", "", [], "", {"track_id": card.track_id})
        fill(message, card)
        card.shown.append((phone, message))

    async def session(self, request: web.Request) -> web.Response:
        """Answering into the group, while the address is good."""
        session = self._sessions.get(request.query.get("session", ""))
        if session is None or self._world.clock.timestamp() >= session.until:
            return old_answer(errcode=310000, errmsg="session expired")
        body = json.loads(await request.read())
        for phone in session.phones:
            self._world.deliver(phone, "robot", "群消息", [("", str(body["text"]["content"]))], "", dict(body))
        return old_answer()

    # --- what people do -----------------------------------------------------------------------------------------------

    async def say(self, phone: Phone, text: str, group: list[Phone], /, **more: Any) -> Pushed:
        """To the robot alone, or in a group where the others read along."""
        self._world.deliver(phone, "said", "", [("", text)], "", {})
        now = int(self._world.clock.timestamp() * 1_000)
        session = secrets.token_hex(16)
        self._sessions[session] = Session([phone, *group], now / 1_000 + SESSION_SECONDS)
        fields = {
            "conversationId": f"cid{secrets.token_hex(8)}", "chatbotCorpId": CORP, "msgId": f"msg{secrets.token_hex(12)}",
            "senderNick": phone.name, "isAdmin": False, "senderStaffId": phone.id, "senderId": f"$:LWCP_v1:${secrets.token_hex(8)}",
            "sessionWebhookExpiredTime": now + SESSION_SECONDS * 1_000, "createAt": now, "senderCorpId": CORP,
            "conversationType": "2" if group else "1",
            "sessionWebhook": f"https://oapi.dingtalk.com/robot/sendBySession?session={session}",
            "robotCode": self._appkey, "msgtype": "text", "text": {"content": f" {text} " if group else text}, **more,
        }
        return await self._push(phone, "CALLBACK", BOT_TOPIC, fields)

    async def send_file(self, phone: Phone, content: bytes, name: str) -> Pushed:
        """A file has a name, a picture has none."""
        code = self._world.keep_file(phone, content)
        kind = {"fileName": name, "spaceId": "1", "fileId": "1"} if name else {"pictureDownloadCode": code}
        fields = {"msgtype": "file" if name else "picture", "content": {"downloadCode": code, **kind}, "text": None}
        return await self.say(phone, f"［{name or '图片'}］", [], **fields)

    async def tap(self, phone: Phone, track_id: str, action: str, params: dict[str, str]) -> Pushed | None:
        """A button of a card that this phone shows; None if it shows no such card."""
        card = self.cards.get(track_id)
        if card is None:
            return None
        content = {"cardPrivateData": {"actionIds": [action], "params": params}}
        fields = {
            "outTrackId": track_id, "corpId": CORP, "userId": phone.id, "userIdType": 1, "type": "actionCallback",
            "content": json.dumps(content, ensure_ascii=False), "value": json.dumps(content, ensure_ascii=False),
        }
        if self.streams.clients:
            return await self._push(phone, "CALLBACK", CARD_TOPIC, fields)
        return await self._pusher.card(fields, self._routes.get(card.route))

    async def tell(self, event: dict[str, Any]) -> Pushed:
        """An event of the corporation."""
        if self.streams.clients:
            ack = await self.streams.deliver("EVENT", "*", event)
            return Pushed(200 if ack else None, 1, "" if ack is None else "success")
        return await self._pusher.event(self._appkey, event)

    async def _push(self, phone: Phone, kind: str, topic: str, fields: dict[str, Any]) -> Pushed:
        if self.streams.clients:
            ack = await self.streams.deliver(kind, topic, fields)
            return Pushed(200 if ack else None, 1, "")
        pushed = await self._pusher.robot(self._appsecret, fields)
        answered = json.loads(pushed.body) if pushed.status == 200 and pushed.body else {}
        if answered.get("msgtype") == "text":
            self._world.deliver(phone, "robot", "", [("", str(answered["text"]["content"]))], "", {"passive": answered})
        return pushed


def fill(message: Message, card: Card) -> None:
    message.title, message.link = card.data.get("title", ""), card.data.get("url", "")
    message.fields = [("", card.data.get("text", ""))]
    message.raw = {"track_id": card.track_id, "buttons": json.loads(card.data.get("buttons", "[]")), "state": card.data.get("state", "")}
