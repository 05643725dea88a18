"""What DingTalk checks before it looks at a call: the caller's address, its rate, its monthly quota, its token."""

import json
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from simulator.dingtalk_errors import NewApiError, OldApiError
from simulator.state import World
from simulator.traffic import canned

TOKEN_SECONDS = 7_200
BAN_SECONDS = 300
Issuer = Literal["old", "new", "unified"]
# Tokens, login and contacts do not count against the monthly quota.
FREE = ("/gettoken", "/oauth2/", "/topapi/v2/user/")


@dataclass
class Token:
    value: str
    expires_at: float


class Gate:
    """Each issuer has its own token; the platform's pages let any of them serve both hosts, so does this."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.forget()

    def forget(self) -> None:
        self._tokens: dict[Issuer, Token] = {}
        self._known: dict[str, Token] = {}
        self._banned_until = 0.0
        self._bans_shown = 0

    def issue(self, issuer: Issuer) -> str:
        """Inside its validity the same token again, renewed; so nobody's token dies by another one's call."""
        now = self._world.clock.timestamp()
        token = self._tokens.get(issuer)
        if token is None or now >= token.expires_at:
            token = Token(secrets.token_hex(16), 0.0)
        token.expires_at = now + TOKEN_SECONDS
        self._tokens[issuer] = self._known[token.value] = token
        return token.value

    def expire(self) -> None:
        for token in self._known.values():
            token.expires_at = 0.0
        self._tokens.clear()

    def check_old(self, request: web.Request) -> None:
        value = request.query.get("access_token")
        if not value:
            raise OldApiError(41001, "缺少access_token")
        if value not in self._known:
            raise OldApiError(40014, "不合法的access_token")
        if self._world.clock.timestamp() >= self._known[value].expires_at:
            raise OldApiError(42001, "access_token超时")

    def check_new(self, request: web.Request) -> None:
        token = self._known.get(request.headers.get("x-acs-dingtalk-access-token", ""))
        if token is None or self._world.clock.timestamp() >= token.expires_at:
            raise NewApiError(400, "InvalidAuthentication", "不合法的access_token")

    def ban(self, request: web.Request) -> web.Response | None:
        """Above 10,000 calls in 20 s an address is blocked for five minutes, with answers that have no errcode."""
        now, limits = self._world.clock.timestamp(), self._world.limits
        if now >= self._banned_until:
            window = self._world.window(20)
            if self._world.tally.add(f"ip.{request.remote}", window) <= limits.dingtalk_calls_per_ip:
                return None
            self._banned_until = now + BAN_SECONDS
        # Both documented forms turn up, in turn.
        self._bans_shown += 1
        return canned({"html": True} if self._bans_shown % 2 else {"ban": True})

    def throttle(self, request: web.Request) -> None:
        """90018 per app and API, 90020 per organisation and month; the new host has names for both."""
        path, limits, tally = request.path, self._world.limits, self._world.tally
        if tally.add(f"qps.{path}", self._world.window(1)) > limits.dingtalk_calls_per_second:
            raise refusal(path, 90018, "您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了", "QpsLimitForAppkeyAndApi")
        if any(part in path for part in FREE) or not limits.dingtalk_calls_per_month:
            return
        if tally.add("dingtalk.month", self._world.clock.day()[:7]) > limits.dingtalk_calls_per_month:
            raise refusal(path, 90020, "当前组织本月的接口调用次数已用完", "ApiCountLimitForOrg")


def refusal(path: str, errcode: int, message: str, name: str) -> OldApiError | NewApiError:
    if path.startswith("/oapi/"):
        return OldApiError(errcode, message)
    return NewApiError(403, f"Forbidden.AccessDenied.{name}", message)


async def read_old(request: web.Request) -> dict[str, Any]:
    """The old host takes a form or JSON; in a form, objects come as JSON text."""
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(await request.post())
    body = _parsed(await request.read())
    if body is None:
        raise OldApiError(40035, "不合法的参数")
    return body


async def read_new(request: web.Request) -> dict[str, Any]:
    body = _parsed(await request.read()) if request.content_type == "application/json" else None
    if body is None:
        raise NewApiError(400, "Missingbody", "body is mandatory for this action.")
    return body


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw.decode())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
