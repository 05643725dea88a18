"""HTTP to the platforms: one session, one deadline, one kind of error, and no secret in anything that is raised or logged."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
from aiohttp.payload import BytesPayload
from yarl import URL

ANSWER_BYTES_MAX = 4 << 20  # the largest answer is a mini-program code of 1280 px, below 1 MB
DOWNLOAD_SECONDS = 20.0  # 20 MB over a slow line; a worker has thirty for a message
WORDS = frozenset({"application/json", "text/plain", "text/html"})  # no file that we ask for is one of these
REFUSAL_BYTES_MAX = 256 * 1024
ERROR_CHARACTERS_MAX = 160  # an error has to fit into deliveries.error
WEBSOCKET_HEARTBEAT_SECONDS = 20.0
WEBSOCKET_BYTES_MAX = 256 * 1024  # the largest frame carries a message of 64 kB
SECRET_NAMES = frozenset({
    "access_token", "accessToken", "secret", "appsecret", "appSecret", "client_secret", "clientSecret", "js_code", "code", "session_key",
    "ticket",
})
SECRET_PAIR = re.compile(
    r"(?i)\b(access_?token|app_?secret|client_secret|secret|js_code|session_key)(\"?\s*[=:]\s*\"?)[^&\s\"',}]+",
)
# A token that some answer repeats although this call did not send it. Request ids are shorter.
TOKEN_LIKE = re.compile(r"[A-Za-z0-9_-]{32,}")


class PlatformError(Exception):
    """A call that did not work. `message` holds no secret.

    `code` is the platform's own, or one of ours: unreachable, html, banned, malformed, http_<3xx>; and timeout, answer_lost and
    http_<5xx>, after which the platform may have done what was asked. What proves a success: docs/decisions/0214.
    """

    def __init__(self, code: int | str, message: str, *, retryable: bool) -> None:
        super().__init__(code, message)
        self.code, self.message, self.retryable = code, message, retryable

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is the JSON object of an answer, or its bytes if it is a picture."""

    status: int
    body: dict[str, Any] | bytes


class Download:
    """A file, or, where the platform has none to give, its answer in words (`refusal`)."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def is_gone(self) -> bool:
        """An address that was signed for a while, and is over."""
        return self._response.status in {403, 404, 410}

    @property
    def is_file(self) -> bool:
        return self._response.status == 200 and self._response.content_type not in WORDS

    async def chunks(self) -> AsyncIterator[bytes]:
        failure: PlatformError
        try:
            async for chunk in self._response.content.iter_chunked(1 << 16):
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = as_failure(error)
        else:
            return
        raise failure

    async def refusal(self) -> Answer:
        """What it says, or the beginning of what has no end."""
        raw = bytearray()
        async for chunk in self.chunks():
            raw += chunk
            if len(raw) > REFUSAL_BYTES_MAX:
                break
        return understand(self._response.status, self._response.content_type, bytes(raw), frozenset())


def scrub(text: str, secrets: frozenset[str] = frozenset()) -> str:
    """One line without secrets: the values that this call sent, what stands behind such a name, what looks like one."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = TOKEN_LIKE.sub("***", SECRET_PAIR.sub(r"\1\2***", text))
    return " ".join(text.split())[:ERROR_CHARACTERS_MAX]


def secrets_in(*values: Mapping[str, Any] | None) -> frozenset[str]:
    found = {str(value) for each in values if each for name, value in each.items() if name in SECRET_NAMES}
    return frozenset(each for each in found if len(each) > 3)  # a shorter one would blank out ordinary words


class Transport:
    """The one session of a process. Async context manager; `timeout_seconds` is for a whole call, name lookup to last byte."""

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # One platform that hangs must not take the connections of the other. No cookies: the answer to one user's
        # log-in must not colour the next.
        connector = aiohttp.TCPConnector(limit=160, limit_per_host=80)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, url: str, *, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send `body` as JSON in real UTF-8 (WeChat answers 40033 to escapes). Raises PlatformError."""
        failure: PlatformError
        try:
            data = None if body is None else to_json(body)
            status, content_type, raw = await self._exchange(method, url, params, data, headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            failure = as_failure(error)
        else:
            return understand(status, content_type, raw, secrets_in(params, body) if status >= 500 else frozenset())
        # Outside of the except block, so that the error does not carry aiohttp's, whose text is the URL with its token.
        raise failure

    @asynccontextmanager
    async def download(self, url: str, params: Mapping[str, str] | None = None) -> AsyncIterator["Download"]:
        """What is at `url`, as it comes in: never as a whole in memory. Raises PlatformError, in `chunks` too."""
        assert self._session is not None, "used outside of its `async with`"
        failure: PlatformError
        try:
            async with self._session.get(
                address(url, tuple(params.items())) if params else url, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=DOWNLOAD_SECONDS, sock_read=self.timeout_seconds),
            ) as response:
                yield Download(response)
                return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = as_failure(error)
        raise failure

    def websocket(self, url: str) -> Any:
        """A websocket to `url`, for `async with`: no deadline for the whole, but one for each ping."""
        assert self._session is not None, "used outside of its `async with`"
        return self._session.ws_connect(
            url, heartbeat=WEBSOCKET_HEARTBEAT_SECONDS, timeout=aiohttp.ClientWSTimeout(ws_close=1), max_msg_size=WEBSOCKET_BYTES_MAX,
        )

    async def _exchange(
        self, method: str, url: str, params: Mapping[str, str] | None, data: bytes | None, own: Mapping[str, str] | None,
    ) -> tuple[int, str, bytes]:
        assert self._session is not None, "used outside of its `async with`"
        # Ready-made: asking aiohttp what kind of payload bytes are costs as much as looking a connection up.
        payload = BytesPayload(data, content_type="application/json; charset=utf-8") if data is not None else None
        # A redirect would carry the token to wherever it points.
        async with self._session.request(
            method, address(url, tuple(params.items())) if params else url, data=payload, headers=own, allow_redirects=False,
        ) as response:
            if response.content_length is not None and response.content_length <= ANSWER_BYTES_MAX:
                return response.status, response.content_type, await response.read()
            raw = b""
            async for chunk in response.content.iter_chunked(1 << 16):
                raw += chunk
                if len(raw) > ANSWER_BYTES_MAX:
                    raise aiohttp.ClientPayloadError
            return response.status, response.content_type, raw


@lru_cache(maxsize=16)  # a thousand messages go to the same address with the same token: quoting it costs as much as their JSON
def address(url: str, params: tuple[tuple[str, str], ...]) -> URL:
    return URL(url).extend_query(params)


def to_json(body: Mapping[str, Any]) -> bytes:
    """Raises PlatformError for half a surrogate pair, which no platform takes."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        pass
    raise PlatformError("malformed", "the text is not Unicode", retryable=False)


def as_failure(error: Exception) -> PlatformError:
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL | aiohttp.ConnectionTimeoutError):
        return PlatformError("unreachable", name, retryable=True)
    if isinstance(error, TimeoutError):
        return PlatformError("timeout", "no answer in time", retryable=True)
    if isinstance(error, UnicodeError):
        return PlatformError("malformed", "the text is not Unicode", retryable=False)
    return PlatformError("answer_lost", name, retryable=True)


def understand(status: int, content_type: str, raw: bytes, secrets: frozenset[str]) -> Answer:
    """What the bytes say, whatever content type they claim: WeChat sends JSON as text/plain. Raises PlatformError."""
    if content_type.startswith("image/") and status == 200:
        return Answer(status, raw)
    body = _forgiving(raw)
    if isinstance(body, dict):
        if body.get("status") == 1111 and "errcode" not in body:
            raise PlatformError("banned", "this address is shut out", retryable=True)
        if status >= 500 or 300 <= status < 400:
            raise PlatformError(f"http_{status}", scrub(str(body.get("message", "")), secrets), retryable=True)
        return Answer(status, body)
    if status >= 500 or 300 <= status < 400:
        raise PlatformError(f"http_{status}", "not an answer of the interface", retryable=True)
    if raw.lstrip()[:1] == b"<":
        raise PlatformError("html", "a page instead of an answer", retryable=True)
    raise PlatformError("malformed", f"status {status}, {len(raw)} bytes that are not a JSON object", retryable=True)


def _forgiving(raw: bytes) -> Any:
    """JSON, also with a broken character or a raw line feed in it, which both platforms have sent; None if it is none."""
    try:
        return orjson.loads(raw)
    except ValueError:
        try:
            return json.loads(raw.decode("utf-8", "replace"), strict=False)
        except ValueError:
            return None


def check_errcode(body: Mapping[str, Any], retryable: frozenset[int], secrets: frozenset[str] = frozenset()) -> None:
    """Raise what `errcode` says. WeChat leaves it out of a success; its texts end with a request id that we keep."""
    code = body.get("errcode", 0)
    if isinstance(code, str) and code.lstrip("-").isdecimal():
        code = int(code)
    if code == 0:
        return
    if not isinstance(code, int):
        raise PlatformError("malformed", "errcode is not a number", retryable=True)
    raise PlatformError(code, scrub(str(body.get("errmsg", "")), secrets), retryable=code in retryable)
