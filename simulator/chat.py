"""The hands of somebody in a chat: follow, scan, say, tap. JSON, under /control/chat/<phone>."""

import base64
import dataclasses
from typing import Any

from aiohttp import web

from simulator.dingtalk_talk import Talk
from simulator.miniprogram import MiniProgram
from simulator.pushing import Pushed
from simulator.requests import answer, read, refuse
from simulator.state import Phone, World
from simulator.wechat import WeChat

TEXT_CHARACTERS_MAX = 2_000


class Chat:
    def __init__(self, world: World, wechat: WeChat, talk: Talk, mini_program: MiniProgram) -> None:
        self._world, self._wechat, self._talk, self._mini_program = world, wechat, talk, mini_program

    def add_to(self, app: web.Application) -> None:
        prefix = "/chat/{id}"
        for name in ("say", "send-file", "tap-menu", "tap-card", "follow", "unfollow", "scan", "enter", "event", "bind"):
            app.router.add_post(f"{prefix}/{name}", getattr(self, name.replace("-", "_")))
        app.router.add_get(prefix, self.show)

    def _phone(self, request: web.Request, *platforms: str) -> Phone:
        phone = self._world.phones.get(request.match_info["id"])
        if phone is None:
            refuse(404, "phone_not_found", "没有这部手机")
        if platforms and phone.platform not in platforms:
            refuse(400, "wrong_platform", "这部手机没有这种操作")
        return phone

    def _speaking(self, request: web.Request, *platforms: str) -> Phone:
        """As in the app: whoever does not follow an account has no field to write in."""
        phone = self._phone(request, *platforms)
        if phone.platform == "wechat_oa" and not phone.is_following:
            refuse(409, "not_following", "还没有关注服务号：请先点「关注服务号」，再发送消息")
        return phone

    async def show(self, request: web.Request) -> web.Response:
        """Everything that is in this chat, oldest first, and its menu."""
        phone = self._phone(request)
        menu = self._wechat.account.menu_of(phone) if phone.platform == "wechat_oa" else []
        return answer({
            "name": phone.name, "platform": phone.platform, "is_following": phone.is_following, "menu": menu,
            "messages": [dataclasses.asdict(message) for message in phone.messages],
        })

    async def say(self, request: web.Request) -> web.Response:
        """{text, group?: [phone ids], ...}; in DingTalk the rest goes into the push as it is."""
        phone, body = self._speaking(request), await read(request)
        text = body.pop("text", None)
        if not isinstance(text, str) or not text.strip() or len(text) > TEXT_CHARACTERS_MAX:
            refuse(400, "text_missing", "请输入要说的话")
        if phone.platform == "wechat_oa":
            return pushed(await self._wechat.account.say(phone, text))
        if phone.platform == "wechat":
            return pushed(await self._wechat.say(phone, text))
        others = [self._world.phones[each] for each in body.pop("group", ()) if each in self._world.phones]
        return pushed(await self._talk.say(phone, text, others, **body))

    async def send_file(self, request: web.Request) -> web.Response:
        """{content: base64, name?}: WeChat knows pictures only, DingTalk files too."""
        phone, body = self._speaking(request), await read(request)
        content = base64.b64decode(str(body.get("content", "")))
        if phone.platform == "wechat_oa":
            return pushed(await self._wechat.account.send_picture(phone, content))
        if phone.platform == "wechat":
            return pushed(await self._wechat.send_picture(phone, content))
        return pushed(await self._talk.send_file(phone, content, str(body.get("name", ""))))

    async def tap_menu(self, request: web.Request) -> web.Response:
        """{key}"""
        phone = self._speaking(request, "wechat_oa")
        return pushed(await self._wechat.account.tap_menu(phone, str((await read(request)).get("key", ""))))

    async def tap_card(self, request: web.Request) -> web.Response:
        """{track_id, action, params?}"""
        phone, body = self._phone(request, "dingtalk"), await read(request)
        found = await self._talk.tap(phone, str(body.get("track_id")), str(body.get("action")), body.get("params") or {})
        if found is None:
            refuse(404, "card_not_found", "没有这张卡片")
        return pushed(found)

    async def follow(self, request: web.Request) -> web.Response:
        """{scene?}"""
        phone = self._phone(request, "wechat_oa")
        return pushed(await self._wechat.account.follow(phone, str((await read(request)).get("scene", ""))))

    async def unfollow(self, request: web.Request) -> web.Response:
        return pushed(await self._wechat.account.unfollow(self._phone(request, "wechat_oa")))

    async def scan(self, request: web.Request) -> web.Response:
        """{url}: what a QR code of ours holds."""
        found = await self._wechat.account.scan(self._phone(request, "wechat_oa"), str((await read(request)).get("url")))
        if found is None:
            refuse(404, "code_over", "二维码不存在或已过期")
        return pushed(found)

    async def bind(self, request: web.Request) -> web.Response:
        """This person's mini-program shows a code, and the chat gets it: scanned where that works, typed elsewhere."""
        phone = self._phone(request)
        shown = await self._mini_program.binding_code(phone.name)
        if shown is None:
            refuse(409, "no_mini_program", "小程序没有给出绑定码，请确认服务正在运行")
        if phone.platform == "wechat_oa":
            found = await self._wechat.account.scan(phone, str(shown["url"]))
            if found is not None:
                return pushed(found)
            return pushed(await self._wechat.account.say(phone, shown["code"]))
        say = self._wechat.say(phone, shown["code"]) if phone.platform == "wechat" else self._talk.say(phone, shown["code"], [])
        return pushed(await say)

    async def enter(self, request: web.Request) -> web.Response:
        return pushed(await self._wechat.enter(self._phone(request, "wechat")))

    async def event(self, request: web.Request) -> web.Response:
        """Any event in this person's name: the fields beside FromUserName, ToUserName and CreateTime; or a corporation's event."""
        phone, body = self._phone(request), await read(request)
        if phone.platform == "wechat_oa":
            return pushed(await self._wechat.account.push_fields(phone, body))
        if phone.platform == "wechat":
            return pushed(await self._wechat.push(phone, body))
        return pushed(await self._talk.tell(body))


def pushed(result: Pushed) -> web.Response:
    found: dict[str, Any] = dataclasses.asdict(result)
    return answer(found)
