"""What happens to every call before a platform sees it: it is recorded, and a queued disturbance may befall it."""

import asyncio
import contextlib
import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from simulator.clock import Clock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PREFIXES = ("/wechat/", "/dingtalk/", "/oapi/", "/sms/")
SECRETS = {"secret", "appsecret", "appSecret", "access_token", "client_secret"}
KINDS = {"errcode", "status", "hang", "delay", "html", "ban", "drop_answer"}
CALLS_KEPT = 5_000
BAN_PAGE = "<!DOCTYPE html><html><head><title>访问被拒绝</title></head><body>您的访问过于频繁，请稍后再试</body></html>"
BAN_JSON = {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "00000000000000000000000000000000"}


def to_json(body: object) -> str:
    """Chinese as itself, the way both platforms answer."""
    return json.dumps(body, ensure_ascii=False)


@dataclass
class Fault:
    """A disturbance that befalls the next `times` calls which match; `times` None means every call until it is cleared."""

    method: str
    path: str
    answer: dict[str, Any]
    times: int | None = 1

    def matches(self, request: web.Request) -> bool:
        return self.times != 0 and fnmatchcase(request.method, self.method) and fnmatchcase(request.path, self.path)


@dataclass
class Traffic:
    clock: Clock
    faults: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT))
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def forget(self) -> None:
        self.faults.clear()
        self.counts.clear()
        self.calls.clear()

    def next_fault(self, request: web.Request) -> dict[str, Any] | None:
        for fault in self.faults:
            if fault.matches(request):
                fault.times = None if fault.times is None else fault.times - 1
                self.faults = [each for each in self.faults if each.times != 0]
                return fault.answer
        return None

    async def record(self, request: web.Request) -> dict[str, Any]:
        self.counts[f"{request.method} {request.path}"] += 1
        call = {
            "at": self.clock.now().isoformat(),
            "method": request.method,
            "path": request.path,
            "query": masked(dict(request.query)),
            "body": masked(readable(await request.read())),
            "status": None,
            "errcode": None,
        }
        self.calls.append(call)
        return call

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(PREFIXES):
            return await handler(request)
        call = await self.record(request)
        try:
            response = await self.disturbed(request, handler, self.next_fault(request))
        except web.HTTPException as error:
            call["status"] = error.status
            raise
        call["status"], call["errcode"] = response.status, errcode_of(response)
        return response

    async def disturbed(self, request: web.Request, handler: Handler, answer: dict[str, Any] | None) -> web.StreamResponse:
        if answer is None:
            return await handler(request)
        if "delay" in answer:
            await self.wait(request, float(answer["delay"]))
            return await handler(request)
        if answer.get("hang"):
            await self.wait(request, None)
            return web.Response(status=503)
        if answer.get("drop_answer"):
            # The work is done and only the answer is lost: the case in which a caller cannot know.
            response = await handler(request)
            if request.transport is not None:
                request.transport.abort()
            return response
        return canned(answer)

    async def wait(self, request: web.Request, seconds: float | None) -> None:
        """Keep the caller waiting (in real time), but not longer than the caller or this server is there."""
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        while not self.closing.is_set() and request.transport is not None and not request.transport.is_closing():
            left = 0.1 if end is None else min(0.1, end - loop.time())
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.closing.wait(), left)


def canned(answer: dict[str, Any]) -> web.Response:
    if answer.get("html"):
        return web.Response(text=BAN_PAGE, content_type="text/html")
    if answer.get("ban"):
        return web.Response(text=to_json(BAN_JSON), content_type="application/json")
    if "errcode" in answer:
        return web.Response(text=to_json({"errmsg": "system error rid: injected", **answer}), content_type="application/json")
    body = answer.get("json")
    status = int(answer["status"])
    if body is None:
        return web.Response(status=status, text=str(answer.get("body", "")))
    return web.Response(status=status, text=to_json(body), content_type="application/json")


def readable(raw: bytes) -> Any:
    """The body as JSON, else as a form, else as text; only for the record of calls."""
    if not raw:
        return None
    text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return dict(parse_qsl(text)) or text


def masked(value: Any) -> Any:
    """Secrets do not belong into a record that a page shows."""
    if not isinstance(value, dict):
        return value
    return {key: "***" if key in SECRETS else each for key, each in value.items()}


def errcode_of(response: web.StreamResponse) -> int | str | None:
    if not isinstance(response, web.Response) or response.content_type not in {"application/json", "text/plain"}:
        return None
    try:
        body = json.loads(response.text or "")
    except ValueError:
        return None
    code = body.get("errcode", body.get("code")) if isinstance(body, dict) else None
    return code if isinstance(code, int | str) else None
