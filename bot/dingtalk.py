"""DingTalk's old interface (oapi.dingtalk.com): it has the work notices and the log-in of the mini-program."""

from collections.abc import Mapping
from typing import Any

from redis import asyncio as aioredis

from bot.tokens import Grant, TokenStore, read_grant
from bot.transport import Answer, PlatformError, Transport, check_errcode, secrets_in

TOKEN_REFUSED = frozenset({40001, 40014, 42001})
TOO_OFTEN = frozenset({90018, 90002})  # this app, or all apps, on this interface: wait a second
BUSY = TOO_OFTEN | {-1}


class DingTalk:
    """`call` raises PlatformError. HTTP is 200 whatever happens; only `errcode` tells."""

    def __init__(self, transport: Transport, base_url: str, appkey: str, appsecret: str, redis: aioredis.Redis | None) -> None:
        self._transport, self._base_url, self.appkey, self._appsecret = transport, base_url.rstrip("/"), appkey, appsecret
        # Named after the interface: the new one (api.dingtalk.com) has tokens of its own.
        self.tokens = TokenStore(f"dingtalk-oapi:{appkey}", self._get_token, redis)

    async def _get_token(self) -> Grant:
        return read_grant(await self._once("GET", "/gettoken", {"appkey": self.appkey, "appsecret": self._appsecret}, None))

    async def call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        token = await self.tokens.get()
        try:
            return await self._once("POST", path, {"access_token": token}, body)
        except PlatformError as error:
            if error.code not in TOKEN_REFUSED:
                raise
        await self.tokens.refused(token)
        return await self._once("POST", path, {"access_token": await self.tokens.get()}, body)

    async def _once(self, method: str, path: str, params: Mapping[str, str], body: Mapping[str, Any] | None) -> dict[str, Any]:
        answer = await self._transport.call(method, self._base_url + path, params=params, body=body)
        return understood(answer, BUSY | TOKEN_REFUSED, secrets_in(params, body))


def understood(answer: Answer, retryable: frozenset[int], secrets: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The object of an answer of this host, which says of itself that it is a success. Raises PlatformError."""
    if isinstance(answer.body, bytes) or "errcode" not in answer.body:
        # Every answer of this host has one; without it the answer is from something in between.
        raise PlatformError("malformed", "no errcode in the answer", retryable=True)
    check_errcode(_unwrapped(answer.body), retryable, secrets)
    return answer.body


def _unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """88 is the gateway's envelope; the reason is inside: {"errcode":88,"sub_code":"40014","sub_msg":"..."}."""
    if body.get("errcode") == 88 and str(body.get("sub_code", "")).isdecimal():
        return {"errcode": int(body["sub_code"]), "errmsg": body.get("sub_msg", "")}
    return body
