"""The hands of a developer or a test: people and their phones, disturbances, the clock. JSON only."""

import dataclasses
import math
import re
import secrets
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from simulator import lottery
from simulator.chat import Chat
from simulator.clock import Clock, ClockError
from simulator.dingtalk import DingTalk
from simulator.mail import Mail
from simulator.miniprogram import MiniProgram
from simulator.requests import answer, read, refuse
from simulator.sms import Sms
from simulator.state import Limits, Phone, World
from simulator.traffic import KINDS, Fault, Handler, Traffic, to_json
from simulator.wechat import WeChat
from simulator.wechat_messages import ANSWERS, PopupError


def moment(text: object) -> datetime:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        refuse(400, "bad_time", "时间格式不正确，应为带时区的 ISO 8601")
    if at.tzinfo is None:
        refuse(400, "bad_time", "时间必须带时区")
    # The first and last years have no room for every zone.
    if not 1970 <= at.year <= 9000:
        refuse(400, "bad_time", "时间超出可表示的范围")
    return at


def view(phone: Phone) -> dict[str, Any]:
    names = ("id", "name", "platform", "unionid", "mobile", "country_code", "consents", "flow_controlled")
    key = "openid" if phone.platform == "wechat" else "userid"
    return {name: getattr(phone, name) for name in names} | {key: phone.id, "messages": len(phone.messages)}


@web.middleware
async def fresh(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    response.headers["Cache-Control"] = "no-store"
    return response


class Control:
    def __init__(
        self, world: World, traffic: Traffic, wechat: WeChat, dingtalk: DingTalk, mini_program: MiniProgram, mail: Mail,
        sms: Sms | None = None,
    ) -> None:
        self._chat = Chat(world, wechat, dingtalk.talk, mini_program)
        self._world, self._traffic, self._wechat, self._dingtalk, self._mail, self._sms = world, traffic, wechat, dingtalk, mail, sms
        self._lottery_secret = secrets.token_bytes(32)

    @property
    def _clock(self) -> Clock:
        return self._world.clock

    def application(self) -> web.Application:
        app = web.Application(middlewares=[fresh])
        router = app.router
        router.add_get("/phones", self.list_phones)
        router.add_post("/phones", self.register)
        router.add_post("/phones/{id}/login-code", self.login_code)
        router.add_post("/phones/{id}/phone-code", self.phone_code)
        router.add_post("/phones/{id}/consent", self.consent)
        router.add_post("/phones/{id}/flow-control", self.flow_control)
        router.add_get("/phones/{id}/messages", self.messages)
        router.add_post("/mailboxes/{id}/answer", self.answer_mail)
        router.add_post("/templates/{id}/ban", self.ban_template)
        router.add_post("/open-link", self.open_link)
        router.add_post("/inject", self.inject)
        router.add_delete("/inject", self.clear_injections)
        router.add_post("/limits", self.set_limits)
        router.add_post("/expire-tokens", self.expire_tokens)
        router.add_get("/calls", self.calls)
        router.add_post("/reset", self.reset)
        router.add_get("/clock", self.clock)
        router.add_post("/clock", self.move_clock)
        router.add_get("/lottery", self.lottery)
        router.add_post("/pushes", self.set_pushes)
        router.add_post("/stream/disconnect", self.disconnect)
        self._chat.add_to(app)
        return app

    def _phone(self, request: web.Request) -> Phone:
        phone = self._world.phones.get(request.match_info["id"])
        if phone is None:
            refuse(404, "phone_not_found", "没有这部手机")
        return phone

    async def list_phones(self, request: web.Request) -> web.Response:
        del request
        return answer({"phones": [view(phone) for phone in self._world.phones.values()]})

    async def register(self, request: web.Request) -> web.Response:
        """{name, platform, mobile?, country_code?, unionid?}. The same name is the same phone, also after a restart.

        `unionid: null` is an app that is not bound to an open-platform account; `country_code` may be 86 or "86".
        """
        body = await read(request)
        name, platform = body.get("name"), body.get("platform", "wechat")
        if not isinstance(name, str) or not name.strip():
            refuse(400, "name_missing", "请填写姓名")
        registers = {"wechat": self._wechat.register, "wechat_oa": self._wechat.account.register, "dingtalk": self._dingtalk.register}
        if platform not in registers:
            refuse(400, "unknown_platform", "平台只能是 wechat、wechat_oa 或 dingtalk")
        phone = registers[platform](name.strip())
        for key in ("mobile", "country_code", "unionid"):
            setattr(phone, key, body.get(key, getattr(phone, key)))
        return answer(view(phone))

    async def login_code(self, request: web.Request) -> web.Response:
        """wx.login or dd.getAuthCode on this phone."""
        return answer({"code": self._world.mint(self._phone(request), "login")})

    async def phone_code(self, request: web.Request) -> web.Response:
        """The getPhoneNumber button. {mobile?, watermark_appid?}; the latter makes an answer that is not for this app."""
        phone, body = self._phone(request), await read(request)
        mobile = body.get("mobile", phone.mobile)
        return answer({"code": self._world.mint(phone, "phone", mobile=mobile, watermark_appid=body.get("watermark_appid"))})

    async def consent(self, request: web.Request) -> web.Response:
        """wx.requestSubscribeMessage: {template_ids, answer: accept|acceptWithAudio|reject|revoke}."""
        phone, body = self._phone(request), await read(request)
        ids, choice = body.get("template_ids"), body.get("answer", "accept")
        if not isinstance(ids, list) or not all(isinstance(key, str) for key in ids) or choice not in ANSWERS:
            refuse(400, "bad_consent", "请给出模板编号列表和用户的选择")
        if phone.platform != "wechat":
            refuse(400, "not_wechat", "只有微信有订阅消息")
        try:
            result = self._wechat.subscriptions.ask(phone, ids, choice)
        except PopupError as error:
            failure = {"errCode": error.code, "errMsg": f"requestSubscribeMessage:fail {error.message}"}
            raise web.HTTPBadRequest(text=to_json(failure), content_type="application/json") from None
        return answer({"errMsg": "requestSubscribeMessage:ok", **result})

    async def flow_control(self, request: web.Request) -> web.Response:
        """{on: true}: the DingTalk robot reports this person as flow-controlled."""
        phone = self._phone(request)
        phone.flow_controlled = (await read(request)).get("on", True) is True
        return answer(view(phone))

    async def messages(self, request: web.Request) -> web.Response:
        return answer({"messages": [dataclasses.asdict(message) for message in self._phone(request).messages]})

    async def answer_mail(self, request: web.Request) -> web.Response:
        """{answer: "550 5.1.1 no such user"}: what the server says to mails for this address; null takes them again."""
        address, said = request.match_info["id"], (await read(request)).get("answer")
        if said is None:
            self._mail.answers.pop(address, None)
        elif isinstance(said, str) and re.fullmatch(r"[45][0-9]{2} [ -~]{1,200}", said):
            self._mail.answers[address] = said
        else:
            refuse(400, "bad_answer", "应为 SMTP 的 4xx 或 5xx 答复")
        return answer({"answers": self._mail.answers})

    async def ban_template(self, request: web.Request) -> web.Response:
        """{on: true}: the platform has banned this template (43107)."""
        banned, key = self._wechat.subscriptions.banned, request.match_info["id"]
        if key not in self._wechat.subscriptions.templates:
            refuse(404, "template_not_found", "没有这个模板")
        if (await read(request)).get("on", True) is True:
            banned.add(key)
        else:
            banned.discard(key)
        return answer({"banned": sorted(banned)})

    async def open_link(self, request: web.Request) -> web.Response:
        """{url_link}: where a phone that opens the link lands."""
        target = self._wechat.links.open(str((await read(request)).get("url_link")))
        if target is None:
            refuse(404, "link_over", "链接不存在或已过期")
        return answer({"target": target})

    async def inject(self, request: web.Request) -> web.Response:
        """{method?, path, times?, answer}: method and path are shell patterns, times null lasts until cleared.

        answer is one of {errcode, …}, {status, json?|body?}, {hang: true}, {delay: seconds}, {html: true}, {ban: true},
        {drop_answer: true}; the last does the work and cuts the connection.
        """
        body = await read(request)
        disturbance, times = body.get("answer"), body.get("times", 1)
        if not isinstance(body.get("path"), str) or not isinstance(disturbance, dict) or not KINDS & disturbance.keys():
            refuse(400, "bad_injection", "请给出路径和一种答复")
        if times is not None and (type(times) is not int or times < 1):
            refuse(400, "bad_injection", "次数必须是正整数")
        self._traffic.faults.append(Fault(str(body.get("method", "*")).upper(), body["path"], disturbance, times))
        return answer({"queued": len(self._traffic.faults)})

    async def clear_injections(self, request: web.Request) -> web.Response:
        del request
        self._traffic.faults.clear()
        return answer({"queued": 0})

    async def set_limits(self, request: web.Request) -> web.Response:
        """Some fields of `Limits`; answers all of them. `{}` only looks."""
        body = await read(request)
        known = {each.name for each in dataclasses.fields(Limits)}
        for name, value in body.items():
            if name not in known or type(value) not in {int, float} or not math.isfinite(value) or value < 0:
                refuse(400, "bad_limit", "限额名称或数值不正确")
        for name, value in body.items():
            setattr(self._world.limits, name, value)
        return answer(dataclasses.asdict(self._world.limits))

    async def expire_tokens(self, request: web.Request) -> web.Response:
        """{errcode?}: every token out there ends, and WeChat answers 42001 (the default) or 40001 to it."""
        errcode = (await read(request)).get("errcode", 42001)
        if errcode not in {40001, 42001}:
            refuse(400, "bad_errcode", "errcode 只能是 40001 或 42001")
        self._wechat.tokens.expire(errcode)
        self._wechat.account.tokens.expire(errcode)
        self._dingtalk.gate.expire()
        return answer({"ok": True})

    async def calls(self, request: web.Request) -> web.Response:
        """What the project has asked the platforms, secrets masked; `?path=` takes a shell pattern."""
        pattern = request.query.get("path", "*")
        counts = {key: count for key, count in self._traffic.counts.items() if fnmatchcase(key.partition(" ")[2], pattern)}
        calls = [call for call in self._traffic.calls if fnmatchcase(call["path"], pattern)]
        return answer({"counts": counts, "calls": calls})

    async def reset(self, request: web.Request) -> web.Response:
        """Forgets people, tokens, messages, limits, disturbances and calls. The clock stays where it is."""
        del request
        self._world.forget()
        self._traffic.forget()
        self._wechat.forget()
        self._wechat.account.forget()
        self._dingtalk.forget()
        self._mail.forget()
        if self._sms is not None:
            self._sms.forget()
        return answer({"ok": True})

    async def set_pushes(self, request: web.Request) -> web.Response:
        """{plain?, json?, job_status?}: how WeChat pushes, and what becomes of template messages."""
        body, pusher = await read(request), self._wechat.pusher
        pusher.plain, pusher.json = body.get("plain", pusher.plain) is True, body.get("json", pusher.json) is True
        self._wechat.account.job_status = str(body.get("job_status", self._wechat.account.job_status))
        return answer({"plain": pusher.plain, "json": pusher.json, "job_status": self._wechat.account.job_status})

    async def disconnect(self, request: web.Request) -> web.Response:
        """DingTalk's gateway sends its clients away; they come back by a new ticket."""
        del request
        await self._dingtalk.talk.streams.disconnect()
        return answer({"ok": True})

    async def clock(self, request: web.Request) -> web.Response:
        del request
        return answer({"now": self._clock.now().isoformat(), "offset_seconds": self._clock.offset_seconds})

    async def move_clock(self, request: web.Request) -> web.Response:
        """{advance_seconds} or {to} or {reset: true}; only the last may lead backwards."""
        body = await read(request)
        seconds = body.get("advance_seconds")
        try:
            if body.get("reset") is True:
                self._clock.reset()
            elif "to" in body:
                self._clock.move_to(moment(body["to"]))
            elif isinstance(seconds, int | float) and not isinstance(seconds, bool):
                self._clock.advance(float(seconds))
            else:
                refuse(400, "bad_clock", "请给出 advance_seconds、to 或 reset")
        except ClockError as error:
            refuse(409, "clock_refused", str(error))
        except OverflowError:
            refuse(409, "clock_refused", "时间超出可表示的范围")
        return await self.clock(request)

    async def lottery(self, request: web.Request) -> web.Response:
        """The public random numbers of the moment `?at=`, and 404 before it has come."""
        at = moment(request.query.get("at"))
        if self._clock.now() < at:
            refuse(404, "not_drawn_yet", "尚未开奖")
        return answer(lottery.numbers(self._lottery_secret, at))
