"""One WeChat app, the mini-program or the Official Account: wechatpy's API classes over our own transport.

wechatpy 1.8 knows hundreds of endpoints and how to ask them, but it blocks, fetches tokens without a limit and ignores
timeouts. Its API methods end in `client.get/post`, and those return here what the overridden `_request` returns: a
coroutine. So `await client.wxa.send_subscribe_message(...)` works, with our token, deadline and errors.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from redis import asyncio as aioredis
from wechatpy import WeChatClient

from bot.links import LINK_DAYS_MAX, QUERY, is_scene
from bot.tokens import Grant, TokenStore, read_grant
from bot.transport import PlatformError, Transport, check_errcode, secrets_in
from handlers.ports import Suggest, Verdict

OFFICIAL = "https://api.weixin.qq.com"
TOKEN_REFUSED = frozenset({40001, 40014, 42001})
# Busy; too often this minute; the same user twice at once; the day's quota; texts to check, this minute.
BUSY = frozenset({-1, 45011, 43108, 45009, 44991})
VERDICTS = {Suggest.PASS, Suggest.REVIEW, Suggest.RISKY}  # "unknown" is a word of ours


class WeChat(WeChatClient):  # type: ignore[misc]  # wechatpy has no types
    """Every method raises PlatformError. Not for wechatpy's few methods that speak HTTP themselves: there is no session here."""

    def __init__(self, transport: Transport, base_url: str, appid: str, secret: str, redis: aioredis.Redis | None) -> None:
        # Not the parent's: it would open a requests session that nobody closes, and keep tokens in its own way.
        self._transport, self._base_url = transport, base_url.rstrip("/")
        self.appid, self.secret = appid, secret
        self.tokens = TokenStore(f"wechat:{appid}", self._stable_token, redis)

    @property
    def access_token(self) -> NoReturn:
        raise AttributeError("a token is awaited here: client.tokens.get()")

    def fetch_access_token(self) -> NoReturn:
        raise AttributeError("tokens are fetched by client.tokens alone")

    async def _stable_token(self) -> Grant:
        # Normal mode, always: force_refresh kills the token that other processes use, and works 20 times a day.
        body = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret, "force_refresh": False}
        return read_grant(_object(await self._once("POST", f"{self._base_url}/cgi-bin/stable_token", {}, body)))

    async def _request(self, method: str, url_or_endpoint: str, **kwargs: Any) -> Any:
        """What wechatpy's methods end in. Takes what they pass: params, data (a dict), api_base_url, result_processor."""
        url = self._address(url_or_endpoint, kwargs.pop("api_base_url", self.API_BASE_URL))
        params, data = kwargs.pop("params", {}), kwargs.pop("data", None)
        process: Callable[[Any], Any] = kwargs.pop("result_processor", None) or (lambda result: result)
        kwargs.pop("timeout", None)  # the transport's deadline holds for all
        if kwargs or not isinstance(data, dict | None):
            raise TypeError(f"this endpoint of wechatpy needs more than JSON: {sorted(kwargs)}")
        # Log-in proves itself with the app's secret; a token has no business in that query.
        if "/sns/" in url:
            return process(await self._once(method.upper(), url, params, data))
        return process(await self._with_token(method.upper(), url, params, data))

    def _address(self, endpoint: str, base: str) -> str:
        url = endpoint if endpoint.startswith(("http://", "https://")) else base + endpoint
        if not url.startswith(f"{OFFICIAL}/"):
            raise ValueError("only endpoints of the open platform: the token goes nowhere else")
        return self._base_url + url.removeprefix(OFFICIAL)

    async def _with_token(self, method: str, url: str, params: Mapping[str, str], data: Mapping[str, Any] | None) -> Any:
        token = await self.tokens.get()
        try:
            return await self._once(method, url, {**params, "access_token": token}, data)
        except PlatformError as error:
            if error.code not in TOKEN_REFUSED:
                raise
        # Once: if the app itself is refused, a second new token is refused like the first.
        await self.tokens.refused(token)
        return await self._once(method, url, {**params, "access_token": await self.tokens.get()}, data)

    async def _once(
        self, method: str, url: str, params: Mapping[str, str], data: Mapping[str, Any] | None,
    ) -> dict[str, Any] | bytes:
        answer = await self._transport.call(method, url, params=params, body=data)
        # Looked at first: what to hide in an error's text is only found out for an error.
        if isinstance(answer.body, dict) and answer.body.get("errcode", 0) != 0:
            check_errcode(answer.body, BUSY | TOKEN_REFUSED, secrets_in(params, data))
        return answer.body

    def _ask(self, path: str, body: Mapping[str, Any]) -> Awaitable[Any]:
        return self._with_token("POST", f"{self._base_url}{path}", {}, body)

    @asynccontextmanager
    async def media(self, media_id: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a picture that somebody sent; the platform has it for three days. A failure is JSON with the same status."""
        url = f"{self._base_url}/cgi-bin/media/get"
        for is_last in (False, True):
            token = await self.tokens.get()
            async with self._transport.download(url, {"access_token": token, "media_id": media_id}) as found:
                if found.is_file:
                    yield found.chunks()
                    return
                answer = await found.refusal()
            body = _object(answer.body)
            if is_last or body.get("errcode") not in TOKEN_REFUSED:
                check_errcode(body, BUSY | TOKEN_REFUSED)
                raise PlatformError("malformed", "no file in the answer", retryable=True)
            await self.tokens.refused(token)

    async def code2session(self, code: str) -> dict[str, Any]:
        """{"openid", "session_key", "unionid"?}. The session key stays with the caller and goes to no phone."""
        query = {"appid": self.appid, "secret": self.secret, "js_code": code, "grant_type": "authorization_code"}
        return _object(await self._once("GET", f"{self._base_url}/sns/jscode2session", query, None))

    async def phone_number(self, code: str, open_id: str) -> dict[str, Any]:
        """`phone_info` for the code of the getPhoneNumber button; with the openid, so that it is that person's code."""
        answer = _object(await self._ask("/wxa/business/getuserphonenumber", {"code": code, "openid": open_id}))
        return _object(answer.get("phone_info"))

    async def send_subscribe(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """{"touser", "template_id", "page", "miniprogram_state", "lang", "data"}; wechatpy lacks the state and language."""
        return await self._sent("/cgi-bin/message/subscribe/send", body)

    async def send_service(self, open_id: str, text: str) -> None:
        """A text in the chat, within what the chat's window allows; wechatpy takes any answer for a success."""
        await self._sent("/cgi-bin/message/custom/send", {"touser": open_id, "msgtype": "text", "text": {"content": text}})

    async def _sent(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = _object(await self._ask(path, body))
        if "errcode" not in answer:
            # Other endpoints prove a success by what they give; these have nothing but their errcode of 0.
            raise PlatformError("malformed", "no errcode in the answer", retryable=True)
        return answer

    async def mini_program_code(self, scene: str, page: str, *, env_version: str = "release", width: int = 430) -> bytes:
        """The picture of a mini-program code. A failure comes as JSON with the same status and is raised, never saved."""
        if not is_scene(scene):
            raise PlatformError(40129, "invalid scene", retryable=False)
        body = {"scene": scene, "page": page.lstrip("/"), "check_path": True, "env_version": env_version, "width": width}
        answer = await self._ask("/wxa/getwxacodeunlimit", body)
        if not isinstance(answer, bytes):
            raise PlatformError("malformed", "no picture in the answer", retryable=True)
        return answer

    async def url_link(self, path: str, query: str, *, days: int, env_version: str = "release") -> str:
        """An https link into the mini-program. It ends after `days` (1 to 30): make it when it is opened, don't keep it."""
        _check_link(query, days)
        body = {"path": path.lstrip("/"), "query": query, "expire_type": 1, "expire_interval": days, "env_version": env_version}
        link = _object(await self._ask("/wxa/generate_urllink", body)).get("url_link")
        if not isinstance(link, str) or not link.startswith("https://"):
            raise PlatformError("malformed", "no link in the answer", retryable=True)
        return link

    async def url_scheme(self, path: str, query: str, *, days: int, env_version: str = "release") -> str:
        """A weixin:// link, for what is no page within WeChat. It ends like a URL Link."""
        _check_link(query, days)
        page = {"path": path.lstrip("/"), "query": query, "env_version": env_version}
        body = {"jump_wxa": page, "is_expire": True, "expire_type": 1, "expire_interval": days}
        link = _object(await self._ask("/wxa/generatescheme", body)).get("openlink")
        if not isinstance(link, str) or not link.startswith("weixin://"):
            raise PlatformError("malformed", "no link in the answer", retryable=True)
        return link

    async def send_template(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A template message of an Official Account; wechatpy lacks `client_msg_id`."""
        answer = _object(await self._ask("/cgi-bin/message/template/send", body))
        if "msgid" not in answer:
            raise PlatformError("malformed", "no msgid in the answer", retryable=True)
        return answer

    async def check_text(self, open_id: str, scene: int, content: str) -> Verdict:
        """Version 2 of msg_sec_check. `scene`: 1 profile, 2 comment, 3 forum, 4 social log; up to 2,500 characters.

        61010 (the user was not here for two hours) is raised as every error: whoever asks has to decide.
        """
        body = {"openid": open_id, "scene": scene, "version": 2, "content": content}
        answer = _object(await self._ask("/wxa/msg_sec_check", body))
        result = answer.get("result")
        if not isinstance(result, dict):
            raise PlatformError("malformed", "no result in the answer", retryable=True)
        suggest, label, trace_id = result.get("suggest"), result.get("label"), answer.get("trace_id")
        # errcode is 0 even for risky text, and a word we don't know is not a "pass".
        return Verdict(
            Suggest(suggest) if suggest in VERDICTS else Suggest.REVIEW, label if isinstance(label, int) else None,
            trace_id[:64] if isinstance(trace_id, str) else None,
        )


def _check_link(query: str, days: int) -> None:
    if not 1 <= days <= LINK_DAYS_MAX:
        raise PlatformError(85401, "a link lasts 1 to 30 days", retryable=False)
    if not QUERY.fullmatch(query):
        raise PlatformError(40212, "invalid query", retryable=False)


def _object(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise PlatformError("malformed", "not an object", retryable=True)
    return body
