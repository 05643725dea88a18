"""`https://oapi.dingtalk.com` (old) and `https://api.dingtalk.com` (new), as far as this project calls them."""

import hmac
import json
import secrets
from typing import Any

from aiohttp import web

from simulator.dingtalk_errors import NewApiError, OldApiError, as_dingtalk, new_answer, old_answer
from simulator.dingtalk_gate import TOKEN_SECONDS, Gate, read_new, read_old
from simulator.dingtalk_notices import Notices
from simulator.dingtalk_talk import Talk
from simulator.pushing import Pusher
from simulator.state import Phone, World
from simulator.traffic import Handler
from simulator.wechat_messages import SENSITIVE

ROBOT_USERS_MAX = 20
ROBOT_FIELDS = {
    "sampleText": ("content",),
    "sampleMarkdown": ("title", "text"),
    "sampleLink": ("title", "text", "messageUrl", "picUrl"),
    "sampleImageMsg": ("photoURL",),
    "sampleActionCard": ("title", "text", "singleTitle", "singleURL"),
}


def invalid_parameter(name: str, message: str) -> NewApiError:
    return NewApiError(400, f"invalidParameter.{name}", message)


class DingTalk:
    def __init__(self, world: World, appkey: str, appsecret: str, agent_id: int | str, pusher: Pusher) -> None:
        self._world, self._appkey, self._appsecret, self._agent_id = world, appkey, appsecret, str(agent_id)
        self.gate = Gate(self._world)
        self.talk = Talk(world, self.gate, pusher, appkey, appsecret)
        self.forget()

    def forget(self) -> None:
        """Connected streams stay: they are the project's, like its sockets."""
        self.gate.forget()
        self.talk.cards.clear()
        self.notices = Notices(self._world)

    def register(self, name: str) -> Phone:
        return self._world.register("dingtalk", self._appkey, name)

    def old_application(self) -> web.Application:
        app = web.Application(middlewares=[as_dingtalk, self._guard])
        app.router.add_get("/gettoken", self.old_token)
        app.router.add_post("/topapi/v2/user/getuserinfo", self.user_by_code)
        app.router.add_post("/topapi/v2/user/get", self.user)
        notice = "/topapi/message/corpconversation"
        app.router.add_post(f"{notice}/asyncsend_v2", self.send_notice)
        app.router.add_post(f"{notice}/getsendprogress", self.progress)
        app.router.add_post(f"{notice}/getsendresult", self.result)
        app.router.add_post(f"{notice}/recall", self.recall)
        app.router.add_post("/robot/sendBySession", self.talk.session)
        return app

    def new_application(self) -> web.Application:
        app = web.Application(middlewares=[as_dingtalk, self._guard])
        app.router.add_post("/v1.0/oauth2/accessToken", self.new_token)
        app.router.add_post("/v1.0/oauth2/{corp_id}/token", self.unified_token)
        app.router.add_post("/v1.0/robot/oToMessages/batchSend", self.robot_send)
        self.talk.add_to(app)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        ban = self.gate.ban(request)
        if ban is not None:
            return ban
        self.gate.throttle(request)
        return await handler(request)

    def _is_ours(self, key: object, secret: object) -> bool:
        return key == self._appkey and hmac.compare_digest(str(secret).encode(), self._appsecret.encode())

    async def old_token(self, request: web.Request) -> web.Response:
        if not self._is_ours(request.query.get("appkey"), request.query.get("appsecret")):
            raise OldApiError(40089, "不合法的appkey或appsecret")
        return old_answer(access_token=self.gate.issue("old"), expires_in=TOKEN_SECONDS)

    async def new_token(self, request: web.Request) -> web.Response:
        """Mind the names: accessToken and expireIn, without an s."""
        body = await read_new(request)
        if not self._is_ours(body.get("appKey"), body.get("appSecret")):
            raise NewApiError(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
        return new_answer({"accessToken": self.gate.issue("new"), "expireIn": TOKEN_SECONDS})

    async def unified_token(self, request: web.Request) -> web.Response:
        body = await read_new(request)
        if body.get("grant_type") != "client_credentials" or not self._is_ours(body.get("client_id"), body.get("client_secret")):
            raise NewApiError(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
        return new_answer({"access_token": self.gate.issue("unified"), "expires_in": TOKEN_SECONDS})

    async def user_by_code(self, request: web.Request) -> web.Response:
        """免登: the authCode works once and for five minutes."""
        self.gate.check_old(request)
        code = self._world.code((await read_old(request)).get("code"), "dingtalk", "login")
        if code is None or code.used:
            raise OldApiError(40078, "不存在的临时授权码")
        if self._world.clock.timestamp() >= code.expires_at:
            raise OldApiError(40102, "过期的临时授权码")
        code.used = True
        person = {"userid": code.phone.id, "unionid": code.phone.unionid, "associated_unionid": code.phone.unionid}
        device = {"device_id": f"device-{code.phone.id}", "name": code.phone.name, "sys": False, "sys_level": 0}
        return old_answer(result=person | device)

    async def user(self, request: web.Request) -> web.Response:
        self.gate.check_old(request)
        phone = self._world.person("dingtalk", (await read_old(request)).get("userid"))
        if phone is None:
            raise OldApiError(60121, "找不到该用户")
        person = {"userid": phone.id, "unionid": phone.unionid, "name": phone.name, "mobile": phone.mobile}
        return old_answer(result=person | {"state_code": str(phone.country_code), "active": True, "dept_id_list": [1]})

    async def _notice_body(self, request: web.Request) -> dict[str, Any]:
        self.gate.check_old(request)
        body = await read_old(request)
        if str(body.get("agent_id")) != self._agent_id:
            raise OldApiError(40056, "不合法的agentid")
        return body

    async def send_notice(self, request: web.Request) -> web.Response:
        return old_answer(task_id=self.notices.send(await self._notice_body(request)))

    async def progress(self, request: web.Request) -> web.Response:
        return old_answer(progress=self.notices.progress((await self._notice_body(request)).get("task_id")))

    async def result(self, request: web.Request) -> web.Response:
        return old_answer(send_result=self.notices.result((await self._notice_body(request)).get("task_id")))

    async def recall(self, request: web.Request) -> web.Response:
        self.notices.recall((await self._notice_body(request)).get("msg_task_id"))
        return old_answer()

    async def robot_send(self, request: web.Request) -> web.Response:
        """200 with partial failure: the lists in the answer say who got nothing."""
        self.gate.check_new(request)
        body = await read_new(request)
        if body.get("robotCode") != self._appkey:
            raise NewApiError(400, "robot.oto.notExist", "机器人不存在")
        users = body.get("userIds")
        if not isinstance(users, list) or not users:
            raise invalid_parameter("userIds.empty", "userIds不能为空")
        if len(users) > ROBOT_USERS_MAX:
            raise invalid_parameter("userIds.overMax", "userIds数量超过最大限制")
        content = self._robot_content(body)
        phones = {key: self._world.person("dingtalk", key) for key in map(str, users)}
        for phone in phones.values():
            if phone and not phone.flow_controlled:
                self._show(phone, body, content)
        answer = {
            "processQueryKey": secrets.token_urlsafe(24),
            "invalidStaffIdList": [key for key, phone in phones.items() if phone is None],
            "flowControlledStaffIdList": [key for key, phone in phones.items() if phone and phone.flow_controlled],
        }
        return new_answer(answer)

    def _robot_content(self, body: dict[str, Any]) -> dict[str, Any]:
        names = ROBOT_FIELDS.get(str(body.get("msgKey")))
        if names is None:
            raise invalid_parameter("msgKey.invalid", "msgKey无效")
        # msgParam is JSON text; an object in its place is the mistake that everybody makes once.
        try:
            content = json.loads(body["msgParam"]) if isinstance(body.get("msgParam"), str) else None
        except ValueError:
            content = None
        if not isinstance(content, dict) or not all(isinstance(content.get(name), str) and content[name] for name in names):
            raise invalid_parameter("msgParam.invalid", "msgParam无效")
        if any(word in str(value) for value in content.values() for word in SENSITIVE):
            raise NewApiError(400, "contain.notAllowed.content", "消息内容包含不允许发送的内容")
        return content

    def _show(self, phone: Phone, body: dict[str, Any], content: dict[str, Any]) -> None:
        title = str(content.get("title") or "机器人消息")
        text = str(content.get("text") or content.get("content") or content.get("photoURL"))
        link = str(content.get("singleURL") or content.get("messageUrl") or "")
        self._world.deliver(phone, "robot", title, [("", text)], link, dict(body))
