"""A verified Official Account (服务号): followers, customer-service and template messages, QR codes with a scene, tags, menus."""

import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from simulator import fields
from simulator.pushing import Pushed, Pusher
from simulator.state import Phone, World
from simulator.wechat_errors import WeChatError, answer
from simulator.wechat_json import read_json
from simulator.wechat_messages import SENSITIVE
from simulator.wechat_tokens import Tokens

DAY_SECONDS = 86_400
WINDOWS = {"message": (5, 48 * 3_600), "tap": (3, 60), "enter": (2, 60)}  # messages, within seconds
TEXT_BYTES_MAX = 2_048
QR_SECONDS_MAX = 30 * DAY_SECONDS
SCENE_MAX = 64
CLIENT_ID_SECONDS, DUPLICATE_SECONDS = 600, 60
ACCOUNT = "gh_simulator"


def open_window(phone: Phone, kind: str, now: float) -> None:
    count, seconds = WINDOWS[kind]
    phone.windows[kind] = (count, now + seconds)


def spend_window(phone: Phone, now: float) -> None:
    """Raise what a customer-service message outside of every window, or beyond its number, is answered."""
    is_open = [kind for kind, (_, until) in phone.windows.items() if now < until]
    if not is_open:
        raise WeChatError(45015, "response out of time limit or subscription is canceled")
    kind = next((kind for kind in sorted(is_open, reverse=True) if phone.windows[kind][0] > 0), None)
    if kind is None:
        raise WeChatError(45047, "out of response count limit")
    left, until = phone.windows[kind]
    phone.windows[kind] = (left - 1, until)


def service_text(world: World, phone: Phone, body: Mapping[str, Any]) -> None:
    """message/custom/send with a text; the other kinds are not used here."""
    content = body.get("text", {}).get("content") if isinstance(body.get("text"), dict) else None
    if body.get("msgtype") != "text" or not isinstance(content, str):
        raise WeChatError(40008, "invalid message type")
    if not content or len(content.encode()) > TEXT_BYTES_MAX:
        raise WeChatError(45002, "content size out of limit")
    spend_window(phone, world.clock.timestamp())
    world.deliver(phone, "service", "", [("", content)], "", dict(body))


@dataclass
class Scene:
    scene: str
    until: float


@dataclass
class Menus:
    everybody: list[dict[str, Any]] | None = None
    by_tag: dict[int, tuple[int, list[dict[str, Any]]]] = field(default_factory=dict)  # menu id -> (tag, buttons)


class OfficialAccount:
    def __init__(
        self, world: World, pusher: Pusher, appid: str, secret: str, templates: Iterable[Mapping[str, Any]], mini_program: str,
        pages: Collection[str],
    ) -> None:
        self.world, self._pusher, self.appid, self.secret = world, pusher, appid, secret
        self._templates = {f"oa_{template['priTmplId']}": dict(template) for template in templates}
        self._mini_program, self._pages = mini_program, frozenset(pages)
        self.forget()

    def forget(self) -> None:
        self.tokens = Tokens(self.world)
        self.scenes: dict[str, Scene] = {}
        self.tags: dict[int, str] = {2: "星标组"}
        self.menus = Menus()
        self.job_status = "success"
        self._sent: dict[tuple[str, str], float] = {}

    def register(self, name: str) -> Phone:
        return self.world.register("wechat_oa", self.appid, name)

    def add_to(self, app: web.Application) -> None:
        routes = {
            "message/template/send": self.send_template, "qrcode/create": self.make_scene, "menu/create": self.menu_create,
            "menu/addconditional": self.menu_add, "menu/delconditional": self.menu_remove, "tags/create": self.tag_create,
            "tags/members/batchtagging": self.tag_members, "tags/members/batchuntagging": self.untag_members,
        }
        for path, handler in routes.items():
            app.router.add_post(f"/cgi-bin/{path}", handler)
        app.router.add_get("/cgi-bin/user/info", self.user_info)
        app.router.add_get("/cgi-bin/menu/get", self.menu_get)
        app.router.add_get("/cgi-bin/tags/get", self.tags_get)

    async def _body(self, request: web.Request) -> dict[str, Any]:
        self.tokens.check(request.query.get("access_token"))
        return await read_json(request)

    def follower(self, key: object) -> Phone:
        phone = self.world.person("wechat_oa", key)
        if phone is None:
            raise WeChatError(40003, "invalid openid")
        return phone

    # --- what is sent -------------------------------------------------------------------------------------------------

    async def send_service(self, body: dict[str, Any]) -> None:
        phone = self.follower(body.get("touser"))
        if not phone.is_following:
            raise WeChatError(45015, "response out of time limit or subscription is canceled")
        service_text(self.world, phone, body)

    async def send_template(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        phone = self.follower(body.get("touser"))
        if not phone.is_following:
            raise WeChatError(43004, "require subscribe")
        template = self._templates.get(str(body.get("template_id")))
        if template is None:
            raise WeChatError(40037, "invalid template_id")
        page = self._page(body)
        shown = self._check_data(template, body.get("data"))
        msgid, now = 200_000_000 + self.world.number(), self.world.clock.timestamp()
        client_id = (phone.id, str(body.get("client_msg_id")))
        if body.get("client_msg_id") and now < self._sent.get(client_id, 0.0):
            return answer({"errcode": 0, "errmsg": "ok", "msgid": msgid})  # sent already: nothing happens
        self._sent[client_id] = now + CLIENT_ID_SECONDS
        if self.job_status == "success":
            self.world.deliver(phone, "oa_template", str(template["title"]), shown, page, dict(body))
        self._pusher.later(self.push(phone, "TEMPLATESENDJOBFINISH", {"MsgID": msgid, "Status": self.job_status}))
        return answer({"errcode": 0, "errmsg": "ok", "msgid": msgid})

    def _page(self, body: Mapping[str, Any]) -> str:
        target = body.get("miniprogram")
        if target is None:
            return str(body.get("url") or "")
        page = str(target.get("pagepath", "")) if isinstance(target, dict) else ""
        if not isinstance(target, dict) or target.get("appid") != self._mini_program or page.partition("?")[0] not in self._pages:
            raise WeChatError(40165, "invalid weapp pagepath")
        return page

    def _check_data(self, template: Mapping[str, Any], data: object) -> list[tuple[str, str]]:
        """The rules of 2023: typed keywords, complete, within their lengths; no first, no remark, no colour, one line each."""
        if not isinstance(data, dict):
            raise WeChatError(47003, "argument invalid! data should be object")
        expected = fields.keywords(str(template["content"]))
        if unknown := data.keys() - {key for _, _, key in expected}:
            raise WeChatError(47003, f"argument invalid! data.{min(unknown)} is not in the template")
        shown = []
        for label, kind, key in expected:
            entry = data.get(key)
            value = entry.get("value", "") if isinstance(entry, dict) else ""
            if isinstance(entry, dict) and entry.keys() - {"value"}:
                raise WeChatError(47003, f"argument invalid! data.{key} has more than a value")
            if fault := fields.fault(kind, value, None):
                raise WeChatError(47003, f"argument invalid! data.{key}.value {fault}")
            shown.append((label or key, value))
        if any(word in value for _, value in shown for word in SENSITIVE):
            raise WeChatError(45168, "message contains sensitive word")
        return shown

    # --- codes, people, tags, menus -------------------------------------------------------------------------------------

    async def make_scene(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        scene = body.get("action_info", {}).get("scene", {}).get("scene_str")
        seconds = body.get("expire_seconds", 60)
        if body.get("action_name") != "QR_STR_SCENE" or not isinstance(scene, str) or not 1 <= len(scene) <= SCENE_MAX:
            raise WeChatError(40053, "invalid action info")
        if not isinstance(seconds, int) or not 1 <= seconds <= QR_SECONDS_MAX:
            raise WeChatError(40052, "invalid expire seconds")
        url = f"http://weixin.qq.com/q/{secrets.token_urlsafe(12)}"
        self.scenes[url] = Scene(scene, self.world.clock.timestamp() + seconds)
        return answer({"ticket": secrets.token_urlsafe(48), "expire_seconds": seconds, "url": url})

    async def user_info(self, request: web.Request) -> web.Response:
        """Without nickname and picture since 2021; unionid only where the account is bound to an open platform."""
        self.tokens.check(request.query.get("access_token"))
        phone = self.follower(request.query.get("openid"))
        if not phone.is_following:
            return answer({"subscribe": 0, "openid": phone.id})
        found = {"subscribe": 1, "openid": phone.id, "language": "zh_CN", "subscribe_scene": "ADD_SCENE_QR_CODE",
                 "tagid_list": sorted(phone.tags)}
        return answer(found | ({"unionid": phone.unionid} if phone.unionid else {}))

    async def tags_get(self, request: web.Request) -> web.Response:
        self.tokens.check(request.query.get("access_token"))
        return answer({"tags": [{"id": key, "name": name, "count": 0} for key, name in self.tags.items()]})

    async def tag_create(self, request: web.Request) -> web.Response:
        name = (await self._body(request)).get("tag", {}).get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= 30:
            raise WeChatError(45158, "tag name too long")
        if name in self.tags.values():
            raise WeChatError(45157, "invalid tag name")
        key = 100 + len(self.tags)
        self.tags[key] = name
        return answer({"tag": {"id": key, "name": name}})

    async def _tagged(self, request: web.Request) -> tuple[int, list[Phone]]:
        body = await self._body(request)
        key = body.get("tagid")
        if not isinstance(key, int) or key not in self.tags:
            raise WeChatError(45159, "invalid tag id")
        return key, [self.follower(each) for each in body.get("openid_list", ())]

    async def tag_members(self, request: web.Request) -> web.Response:
        key, phones = await self._tagged(request)
        for phone in phones:
            phone.tags.add(key)
        return answer({"errcode": 0, "errmsg": "ok"})

    async def untag_members(self, request: web.Request) -> web.Response:
        key, phones = await self._tagged(request)
        for phone in phones:
            phone.tags.discard(key)
        return answer({"errcode": 0, "errmsg": "ok"})

    async def menu_create(self, request: web.Request) -> web.Response:
        self.menus.everybody = check_menu((await self._body(request)).get("button"))
        return answer({"errcode": 0, "errmsg": "ok"})

    async def menu_add(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        tag = str(body.get("matchrule", {}).get("tag_id", ""))
        if self.menus.everybody is None:
            raise WeChatError(65303, "please create default menu")
        if not tag.isdecimal() or int(tag) not in self.tags:
            raise WeChatError(65305, "invalid tag id")
        key = 400_000 + self.world.number()
        self.menus.by_tag[key] = (int(tag), check_menu(body.get("button")))
        return answer({"menuid": str(key)})

    async def menu_remove(self, request: web.Request) -> web.Response:
        self.menus.by_tag.pop(int((await self._body(request)).get("menuid", 0)), None)
        return answer({"errcode": 0, "errmsg": "ok"})

    async def menu_get(self, request: web.Request) -> web.Response:
        self.tokens.check(request.query.get("access_token"))
        if self.menus.everybody is None:
            raise WeChatError(46003, "menu no exist")
        by_tag = [
            {"button": with_empty(buttons), "matchrule": {"group_id": str(tag)}, "menuid": key}
            for key, (tag, buttons) in self.menus.by_tag.items()
        ]
        return answer({"menu": {"button": with_empty(self.menus.everybody), "menuid": 1}, "conditionalmenu": by_tag})

    def menu_of(self, phone: Phone) -> list[dict[str, Any]]:
        """The newest menu that matches, as on the phone."""
        matching = [buttons for tag, buttons in self.menus.by_tag.values() if tag in phone.tags]
        return matching[-1] if matching else self.menus.everybody or []

    # --- what people do ---------------------------------------------------------------------------------------------------

    async def push(self, phone: Phone, event: str, more: Mapping[str, Any]) -> Pushed:
        fields_ = {"MsgType": "event", "Event": event, **more}
        return await self.push_fields(phone, fields_)

    async def push_fields(self, phone: Phone, more: Mapping[str, Any]) -> Pushed:
        pushed_fields = {"ToUserName": ACCOUNT, "FromUserName": phone.id, "CreateTime": self._pusher.seconds(), **more}
        pushed = await self._pusher.wechat(self._pusher.callbacks.oa, self.appid, pushed_fields)
        if found := re.search(r"<Content>(.*?)</Content>", pushed.body, re.DOTALL):
            text = "".join(re.findall(r"<!\[CDATA\[(.*?)\]\]>", found[1], re.DOTALL))
            self.world.deliver(phone, "service", "", [("", text)], "", {"passive": pushed.body})
        return pushed

    async def say(self, phone: Phone, text: str) -> Pushed:
        open_window(phone, "message", self.world.clock.timestamp())
        self.world.deliver(phone, "said", "", [("", text)], "", {})
        message = {"MsgType": "text", "Content": text, "MsgId": 24_000_000_000_000_000 + secrets.randbelow(10**15)}
        return await self.push_fields(phone, message)

    async def send_picture(self, phone: Phone, content: bytes) -> Pushed:
        open_window(phone, "message", self.world.clock.timestamp())
        return await self.push_fields(phone, picture_fields(self.world, phone, content))

    async def tap_menu(self, phone: Phone, key: str) -> Pushed:
        open_window(phone, "tap", self.world.clock.timestamp())
        name = next((each["name"] for column in self.menu_of(phone) for each in column["sub_button"] if each["key"] == key), key)
        self.world.deliver(phone, "said", "", [("", f"［菜单］{name}")], "", {})
        return await self.push(phone, "CLICK", {"EventKey": key})

    async def follow(self, phone: Phone, scene: str = "") -> Pushed:
        """Following by a QR code puts `qrscene_` before its scene."""
        phone.is_following = True
        open_window(phone, "tap", self.world.clock.timestamp())
        more = {"EventKey": f"qrscene_{scene}", "Ticket": secrets.token_urlsafe(24)} if scene else {"EventKey": ""}
        return await self.push(phone, "subscribe", more)

    async def unfollow(self, phone: Phone) -> Pushed:
        phone.is_following = False
        phone.windows.clear()
        return await self.push(phone, "unsubscribe", {"EventKey": ""})

    async def scan(self, phone: Phone, url: str) -> Pushed | None:
        """The code at `url`; None if it is over or nobody's."""
        scene = self.scenes.get(url)
        if scene is None or self.world.clock.timestamp() >= scene.until:
            return None
        if not phone.is_following:
            return await self.follow(phone, scene.scene)
        open_window(phone, "tap", self.world.clock.timestamp())
        return await self.push(phone, "SCAN", {"EventKey": scene.scene, "Ticket": secrets.token_urlsafe(24)})


def with_empty(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As menu/get shows them: each entry with an empty list of its own."""
    return [
        {**one, "sub_button": [{**each, "sub_button": []} for each in one.get("sub_button", ())]} for one in buttons
    ]


def check_menu(buttons: object) -> list[dict[str, Any]]:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        raise WeChatError(40017, "invalid button size")
    for one in buttons:
        entries = one.get("sub_button", [])
        if not 1 <= len(str(one.get("name", ""))) <= 4:
            raise WeChatError(40018, "invalid button name size")
        if not 1 <= len(entries) <= 5:
            raise WeChatError(40023, "invalid sub button size")
        for each in entries:
            if not 1 <= len(str(each.get("name", ""))) <= 7:
                raise WeChatError(40025, "invalid sub button name size")
            if each.get("type") != "click" or not 1 <= len(str(each.get("key", "")).encode()) <= 128:
                raise WeChatError(40019, "invalid button key size")
    return list(buttons)


def picture_fields(world: World, phone: Phone, content: bytes) -> dict[str, Any]:
    world.deliver(phone, "said", "", [("", "［图片］")], "", {})
    media_id = world.keep_file(phone, content)
    number = 24_000_000_000_000_000 + secrets.randbelow(10**15)
    return {"MsgType": "image", "PicUrl": f"http://mmbiz.qpic.cn/{media_id[:8]}", "MediaId": media_id, "MsgId": number}
