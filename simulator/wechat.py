"""`https://api.weixin.qq.com`, as far as this project calls it."""

import base64
import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiohttp import web

from simulator.official_account import OfficialAccount, open_window, picture_fields, service_text
from simulator.pushing import Pushed, Pusher
from simulator.state import Phone, World
from simulator.wechat_errors import WeChatError, answer, as_wechat
from simulator.wechat_json import read_json
from simulator.wechat_links import UrlLinks, check_code, draw
from simulator.wechat_messages import SENSITIVE, Subscriptions
from simulator.wechat_tokens import Tokens

DOUBTFUL = ("加微信",)  # words that the content check leaves to a human
IDLE_SECONDS = 7_200  # msg_sec_check wants a user of the last two hours
CHECK_SCENES = {1, 2, 3, 4}


class WeChat:
    def __init__(
        self, world: World, appid: str, secret: str, templates: Iterable[Mapping[str, Any]], pages: Collection[str],
        account: OfficialAccount, pusher: Pusher,
    ) -> None:
        self._world, self._appid, self._secret = world, appid, secret
        self.account, self.pusher = account, pusher
        self._templates, self._pages = tuple(templates), frozenset(pages)
        self.forget()

    def forget(self) -> None:
        self.tokens = Tokens(self._world)
        self.subscriptions = Subscriptions(self._world, self._templates, self._pages)
        self.links = UrlLinks(self._world, self._pages)

    def register(self, name: str) -> Phone:
        return self._world.register("wechat", self._appid, name)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[as_wechat])
        app.router.add_get("/sns/jscode2session", self.code2session)
        app.router.add_get("/cgi-bin/token", self.token)
        app.router.add_post("/cgi-bin/stable_token", self.stable_token)
        app.router.add_post("/wxa/business/getuserphonenumber", self.phone_number)
        app.router.add_post("/cgi-bin/message/subscribe/send", self.send)
        app.router.add_get("/wxaapi/newtmpl/gettemplate", self.list_templates)
        app.router.add_post("/wxa/getwxacodeunlimit", self.code_unlimited)
        app.router.add_post("/wxa/generate_urllink", self.url_link)
        app.router.add_post("/wxa/generatescheme", self.url_scheme)
        app.router.add_post("/cgi-bin/message/custom/send", self.send_service)
        app.router.add_get("/cgi-bin/media/get", self.media)
        self.account.add_to(app)
        app.router.add_post("/wxa/msg_sec_check", self.check_text)
        return app

    def _check_app(self, given: Mapping[str, Any], grant_type: str) -> Tokens:
        """The tokens of the app that proved itself: mini-program and Official Account are two."""
        if not given.get("appid"):
            raise WeChatError(41002, "appid missing")
        if not given.get("secret"):
            raise WeChatError(41004, "appsecret missing")
        apps = {self._appid: (self._secret, self.tokens)}
        if grant_type == "client_credential":
            apps.setdefault(self.account.appid, (self.account.secret, self.account.tokens))
        if given["appid"] not in apps:
            raise WeChatError(40013, "invalid appid")
        secret, tokens = apps[given["appid"]]
        if not hmac.compare_digest(str(given["secret"]).encode(), secret.encode()):
            raise WeChatError(40125, "invalid appsecret")
        if given.get("grant_type") != grant_type:
            raise WeChatError(40002, "invalid grant_type")
        return tokens

    async def code2session(self, request: web.Request) -> web.Response:
        """Success has no errcode, and unionid only if the app is bound to an open-platform account."""
        self._check_app(request.query, "authorization_code")
        if not request.query.get("js_code"):
            raise WeChatError(41008, "missing code")
        code = self._world.code(request.query["js_code"], "wechat", "login")
        if code is None or self._world.clock.timestamp() >= code.expires_at:
            raise WeChatError(40029, "invalid code,")
        if code.used:
            raise WeChatError(40163, "code been used,")
        phone, limits = code.phone, self._world.limits
        if self._world.tally.add(f"wechat.login.{phone.id}", self._world.window(60)) > limits.wechat_logins_per_user_minute:
            raise WeChatError(45011, "api minute-quota reach limit,")
        code.used = True
        # Each login replaces the session key: what was encrypted for the old one can no longer be read.
        phone.session_key = base64.b64encode(secrets.token_bytes(16)).decode()
        body = {"openid": phone.id, "session_key": phone.session_key, "unionid": phone.unionid}
        return answer({key: value for key, value in body.items() if value is not None}, "text/plain")

    async def token(self, request: web.Request) -> web.Response:
        value, seconds = self._check_app(request.query, "client_credential").plain()
        return answer({"access_token": value, "expires_in": seconds})

    async def stable_token(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        tokens = self._check_app(body, "client_credential")
        value, seconds = tokens.stable(force=body.get("force_refresh") is True)
        return answer({"access_token": value, "expires_in": seconds})

    async def phone_number(self, request: web.Request) -> web.Response:
        """The code of the getPhoneNumber button, not of wx.login; with `openid` it has to be that person's."""
        self.tokens.check(request.query.get("access_token"))
        body = await read_json(request)
        code = self._world.code(body.get("code"), "wechat", "phone")
        if code is None or code.used or self._world.clock.timestamp() >= code.expires_at:
            raise WeChatError(40029, "invalid code")
        if "openid" in body and body["openid"] != code.phone.id:
            raise WeChatError(40029, "invalid code")
        code.used = True
        country, mobile = code.phone.country_code, str(code.extra["mobile"])
        info = {
            "phoneNumber": mobile if str(country) == "86" else f"+{country}{mobile}",
            "purePhoneNumber": mobile,
            "countryCode": country,
            "watermark": {
                "timestamp": int(self._world.clock.timestamp()),
                "appid": code.extra.get("watermark_appid") or self._appid,
            },
        }
        return answer({"errcode": 0, "errmsg": "ok", "phone_info": info})

    async def send(self, request: web.Request) -> web.Response:
        self.tokens.check(request.query.get("access_token"))
        await self.subscriptions.send(await read_json(request))
        return answer({"errcode": 0, "errmsg": "ok"})

    async def list_templates(self, request: web.Request) -> web.Response:
        self.tokens.check(request.query.get("access_token"))
        return answer({"errcode": 0, "errmsg": "ok", "data": self.subscriptions.listed()})

    async def code_unlimited(self, request: web.Request) -> web.Response:
        """Image bytes, or JSON with the same status 200: only the content type tells."""
        self.tokens.check(request.query.get("access_token"))
        body = await read_json(request, not_json=(40169, "invalid length for scene, or the data is not json string"))
        scene, page, width = check_code(body, self._pages)
        if self._world.tally.add("wechat.code", self._world.window(60)) > self._world.limits.wechat_codes_per_minute:
            raise WeChatError(45009, "reach max api minute quota limit")
        image_format = "PNG" if body.get("is_hyaline") else "JPEG"
        return web.Response(body=draw(scene, page, width, image_format), content_type=f"image/{image_format.lower()}")

    async def url_link(self, request: web.Request) -> web.Response:
        self.tokens.check(request.query.get("access_token"))
        link = self.links.make(await read_json(request))
        return answer({"errcode": 0, "errmsg": "ok", "url_link": link})

    async def url_scheme(self, request: web.Request) -> web.Response:
        self.tokens.check(request.query.get("access_token"))
        body = await read_json(request)
        page = body.get("jump_wxa")
        link = self.links.make({**body, **(page if isinstance(page, dict) else {})}, "weixin://dl/business/?t=")
        return answer({"errcode": 0, "errmsg": "ok", "openlink": link})

    async def send_service(self, request: web.Request) -> web.Response:
        """Customer-service messages of both apps have one address; the token tells whose it is."""
        token = request.query.get("access_token")
        if self.account.tokens.knows(token):
            self.account.tokens.check(token)
            await self.account.send_service(await read_json(request))
        else:
            self.tokens.check(token)
            body = await read_json(request)
            phone = self._world.person("wechat", body.get("touser"))
            if phone is None:
                raise WeChatError(40003, "invalid openid")
            service_text(self._world, phone, body)
        return answer({"errcode": 0, "errmsg": "ok"})

    async def say(self, phone: Phone, text: str) -> Pushed:
        """In the mini-program's conversation with customer service."""
        open_window(phone, "message", self._world.clock.timestamp())
        self._world.deliver(phone, "said", "", [("", text)], "", {})
        return await self.push(phone, {"MsgType": "text", "Content": text, "MsgId": 24_000_000_000_000_000 + secrets.randbelow(10**15)})

    async def send_picture(self, phone: Phone, content: bytes) -> Pushed:
        open_window(phone, "message", self._world.clock.timestamp())
        return await self.push(phone, picture_fields(self._world, phone, content))

    async def media(self, request: web.Request) -> web.Response:
        """The bytes; or, with the same status, JSON in which only the errcode tells. To the app that it was sent to, and to no other."""
        token, platform = request.query.get("access_token"), "wechat"
        tokens: Tokens = self.tokens
        if self.account.tokens.knows(token):
            platform, tokens = "wechat_oa", self.account.tokens
        tokens.check(token)
        found = self._world.file(request.query.get("media_id"), platform)
        if found is None:
            raise WeChatError(40007, "invalid media_id")
        return web.Response(body=found.content, content_type="image/jpeg", headers={"Content-Disposition": 'attachment; filename="p.jpg"'})

    async def enter(self, phone: Phone) -> Pushed:
        open_window(phone, "enter", self._world.clock.timestamp())
        return await self.push(phone, {"MsgType": "event", "Event": "user_enter_tempsession", "SessionFrom": ""})

    async def push(self, phone: Phone, more: Mapping[str, Any]) -> Pushed:
        fields = {"ToUserName": "gh_mini_program", "FromUserName": phone.id, "CreateTime": self.pusher.seconds(), **more}
        return await self.pusher.wechat(self.pusher.callbacks.miniapp, self._appid, fields)

    async def check_text(self, request: web.Request) -> web.Response:
        """Version 2: the verdict is `result.suggest`, and errcode is 0 even for risky text."""
        self.tokens.check(request.query.get("access_token"))
        body = await read_json(request)
        text = self._text_to_check(body)
        if self._world.tally.add("wechat.check", self._world.window(60)) > self._world.limits.wechat_checks_per_minute:
            raise WeChatError(44991, "reach max api minute frequence limit")
        suggest, label = "pass", 100
        if any(word in text for word in DOUBTFUL):
            suggest, label = "review", 10001
        if any(word in text for word in SENSITIVE):
            suggest, label = "risky", 20006
        detail = [{"strategy": "content_model", "errcode": 0, "suggest": suggest, "label": label, "prob": 90}]
        result = {"suggest": suggest, "label": label}
        trace_id = "-".join(secrets.token_hex(4) for _ in range(3))
        return answer({"errcode": 0, "errmsg": "ok", "result": result, "detail": detail, "trace_id": trace_id})

    def _text_to_check(self, body: Mapping[str, Any]) -> str:
        phone = self._world.person("wechat", body.get("openid"))
        if phone is None:
            raise WeChatError(40003, "invalid openid")
        if body.get("version") != 2:
            raise WeChatError(40097, "invalid args, version")
        if body.get("scene") not in CHECK_SCENES or ("signature" in body and body["scene"] != 1):
            raise WeChatError(40129, "invalid scene")
        if not isinstance(body.get("content"), str) or not body["content"]:
            raise WeChatError(44002, "empty post data")
        if len(body["content"]) > 2500:
            raise WeChatError(45002, "content size out of limit")
        if self._world.clock.timestamp() - phone.last_used > IDLE_SECONDS:
            raise WeChatError(61010, "code is expired")
        return " ".join(str(body.get(key, "")) for key in ("content", "title", "nickname", "signature"))
