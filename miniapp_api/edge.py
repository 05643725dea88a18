"""From a request to one use-case and back: session, permission, limit, body, idempotency, answer, problem, log line."""

import asyncio
import hashlib
import hmac
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from clock import Clock
from handlers.context import Actor, Context, Idempotency
from handlers.ports import Ports
from handlers.refusals import Busy, NotYourRole, Refusal
from handlers.sessions import Kept, NotSignedIn, Resolved, SessionEnded, kept_answer, resolve, worth_another_try
from handlers.signatures import key_of_what_is_asked
from handlers.transactions import AnsweredMeanwhileError
from miniapp_api import problems, reading
from miniapp_api.limits import DEFAULT_READ, DEFAULT_WRITE, Limiter, client_ip
from miniapp_api.measures import Measures
from miniapp_api.problems import IdempotencyKeyInvalid, IdempotencyKeyReused
from miniapp_api.routing import Download, Operation, Upload
from settings import Settings

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,40}")
KEY = re.compile(r"[\x21-\x7e]{1,255}")
TRIES = 3
JSON_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
log = structlog.get_logger("web")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class UndeclaredRefusalError(Exception):
    """An operation refused with a code that its documentation does not have, or did not keep its answer: a bug."""


@dataclass(slots=True)
class Edge:
    """What all requests of one application share. `draining` is set once, by `serving`, when the process is to end."""

    settings: Settings
    clock: Clock
    ports: Ports
    limiter: Limiter
    strict: bool
    measures: Measures = field(default_factory=Measures)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: int = 0
    backlog_at: datetime | None = None  # when /metrics last asked the database


EDGE: web.AppKey[Edge] = web.AppKey("edge", Edge)
TRACE: web.RequestKey[str] = web.RequestKey("trace", str)  # the request id


# --- around every request -------------------------------------------------------------------------------------------


@web.middleware
async def frame(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One layer instead of five: request id, problems, drain, measures, log. Each layer would cost its own await."""
    edge = request.app[EDGE]
    started = time.perf_counter()
    request_id = request.headers.get("X-Request-Id", "")
    if not REQUEST_ID.fullmatch(request_id):
        request_id = f"{random.getrandbits(64):016x}"
    request[TRACE] = request_id
    # aiohttp runs each request in a task of its own, so what is bound here ends with the request.
    structlog.contextvars.bind_contextvars(request_id=request_id)
    edge.in_flight += 1
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a problem document
        response = _problem(error, request_id, gone=request.transport is None)
    finally:
        edge.in_flight -= 1
    response.headers["X-Request-Id"] = request_id
    if edge.draining.is_set():
        # Not in on_response_prepare: by then aiohttp has decided to keep the connection.
        response.force_close()
    route = request.match_info.route.name or "-"
    seconds = time.perf_counter() - started
    edge.measures.request(route, response.status, seconds)
    log.info("request", method=request.method, operation=route, status=response.status, ms=round(seconds * 1000, 1))
    return response


def _problem(error: Exception, request_id: str, *, gone: bool) -> web.Response:
    match error:
        case Refusal():
            if isinstance(error, Busy):
                # Whoever runs the system must be able to tell a held row from a database that is away.
                log.warning("busy", cause=type(error.__cause__).__name__)
            return problems.of_refusal(error, request_id)
        case web.HTTPException():
            return problems.of_http(error, request_id)
        case RequestPayloadError():
            return problems.problem(400, "bad_request", "请求有误", request_id)
        case ConnectionError() if gone:
            return problems.problem(400, "bad_request", "请求有误", request_id)  # for the log line; nobody reads it
        case _:
            log.error("internal_error", exc_info=error)
            return problems.internal_error(request_id)


# --- one operation --------------------------------------------------------------------------------------------------


class Endpoint:
    """An operation, ready to be called: nothing of its shape is found out while a request waits."""

    __slots__ = ("_asked_key", "_body_max", "_edge", "_limit", "_seconds", "operation")

    def __init__(self, edge: Edge, operation: Operation) -> None:
        self._edge = edge
        self.operation = operation
        self._limit = operation.limit or (DEFAULT_WRITE if operation.mutating else DEFAULT_READ)
        assert self._limit in edge.limiter.policies, f"{operation.name}: no policy {self._limit} in limits.POLICIES"
        self._body_max = operation.body_max_bytes or edge.settings.body_max_bytes
        self._seconds = edge.settings.body_timeout_seconds
        self._asked_key = key_of_what_is_asked(edge.settings)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        edge, operation = self._edge, self.operation
        now = edge.clock.now()
        key = self._key(request)
        path = {part.name: part.convert(request.match_info[part.name]) for part in operation.parameters}
        ip = client_ip(request, edge.settings.trust_forwarded_for)
        resolved = None if operation.who.anonymous else await self._signed_in(request, ip, now, key, path)
        actor = resolved.actor if resolved else Actor()
        await edge.limiter.check(self._limit, actor.session_id, ip)
        raw = await reading.read_body(request, self._body_max, self._seconds) if operation.body else b""
        asked = self._asked(request, resolved, key, raw)
        kept = resolved.kept if asked and resolved else None
        if asked and kept and not operation.upload:
            return self._replay(kept, asked)
        arguments = await self._arguments(request, raw, path)
        upload: Upload | None = arguments.get("upload")
        if asked and upload:
            upload = arguments["upload"] = self._told(request, upload, asked)
            if kept and await _read_to_its_end(upload, asked):
                return self._replay(kept, asked)
        ctx = Context(actor, now, edge.settings, edge.ports, request[TRACE], asked, resolved.read if resolved else None)
        try:
            return await self._show(request, await self._carry_out(ctx, arguments))
        except (Refusal, AnsweredMeanwhileError) as error:
            # The twin of this request may have been carried out while ours waited; then its answer is ours.
            if asked and (kept := await kept_answer(asked)) and (upload is None or await _read_to_its_end(upload, asked)):
                return self._replay(kept, asked)
            if isinstance(error, AnsweredMeanwhileError):
                raise Busy from error
            if edge.strict and error.code not in operation.codes:
                raise UndeclaredRefusalError(f"{operation.name} refused with {error.code}, which it does not declare") from error
            raise

    async def _signed_in(self, request: web.Request, ip: str, now: datetime, key: str | None, path: dict[str, Any]) -> Resolved:
        """Who is asked for costs a look-up, so whoever invents tokens is stopped before it. Raises NotSignedIn, SessionEnded,
        NotYourRole, TooManyRequests, Busy.
        """
        operation, limiter = self.operation, self._edge.limiter
        limiter.admit(ip)
        try:
            resolved = await resolve(_token(request), now, operation.name, key, operation.reads, tuple(path.values()))
        except (NotSignedIn, SessionEnded):
            limiter.refused(ip)
            raise
        if not operation.who.allows(resolved.actor):
            limiter.refused(ip)
            raise NotYourRole
        return resolved

    async def _carry_out(self, ctx: Context, arguments: dict[str, Any]) -> Any:
        """The use-case, as a whole up to three times where another transaction got in its way."""
        for attempt in range(1, TRIES + 1):
            try:
                answer = await self.operation.function(ctx, **arguments)
            except Busy as busy:
                if attempt == TRIES or not worth_another_try(busy):
                    raise
                # Two that ran into each other should not do so again at the same moment.
                await asyncio.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 - no secret
                ctx = replace(ctx, read=None)  # it is older now than what they changed
            else:
                break
        if self._edge.strict and ctx.idempotency and not await kept_answer(ctx.idempotency):
            raise UndeclaredRefusalError(f"{self.operation.name} did not keep its answer (tx.reply)")
        return answer

    async def _arguments(self, request: web.Request, raw: bytes, path: dict[str, Any]) -> dict[str, Any]:
        operation, arguments = self.operation, path
        if operation.query:
            arguments["query"] = reading.parse_query(request, operation.query, operation.query_lists)
        if operation.body:
            arguments["body"] = reading.parse_body(raw, operation.body)
        if operation.upload:
            arguments["upload"] = await reading.open_upload(request, self._body_max, self._seconds)
        return arguments

    # --- idempotency ------------------------------------------------------------------------------------------------

    def _key(self, request: web.Request) -> str | None:
        if not self.operation.takes_key:
            return None
        key = request.headers.get("Idempotency-Key")
        if key is None and not self.operation.key_required:
            return None
        if key is None or not KEY.fullmatch(key):
            raise IdempotencyKeyInvalid
        return key

    def _asked(self, request: web.Request, resolved: Resolved | None, key: str | None, raw: bytes) -> Idempotency | None:
        """Keyed, for a body may be six digits: a million plain digests are made in a second (docs/decisions/0242)."""
        if resolved is None or key is None:
            return None
        asked = f"{request.method} {request.raw_path}\n".encode() + raw
        body_hash = b"" if self.operation.upload else hmac.digest(self._asked_key, asked, hashlib.sha256)
        return Idempotency(resolved.principal, self.operation.name, key, body_hash)

    def _told(self, request: web.Request, upload: Upload, asked: Idempotency) -> Upload:
        """The upload, told by the name and the bytes of its file while they pass: the boundary around them is new each time."""
        head = f"{request.method} {request.raw_path}\n{upload.file_name}\0".encode("utf-8", "surrogatepass")
        digest = hmac.new(self._asked_key, head, hashlib.sha256)

        async def passing() -> AsyncIterator[bytes]:
            async for chunk in upload.chunks:
                digest.update(chunk)
                yield chunk
            asked.body_hash = digest.digest()

        return Upload(upload.file_name, passing())

    def _replay(self, kept: Kept, asked: Idempotency) -> web.Response:
        if kept.body_hash != asked.body_hash:
            raise IdempotencyKeyReused
        response = self._json(kept.answer)
        response.headers["Idempotency-Replayed"] = "true"
        return response

    # --- the answer -------------------------------------------------------------------------------------------------

    async def _show(self, request: web.Request, answer: Any) -> web.StreamResponse:
        if isinstance(answer, Download):
            return await _file(answer)
        return self._cacheable(request, orjson.dumps(answer)) if self.operation.cached_seconds else self._json(orjson.dumps(answer))

    def _cacheable(self, request: web.Request, answer: bytes) -> web.Response:
        """With its fingerprint: whoever has these bytes already gets none."""
        etag = hashlib.sha256(answer).hexdigest()[:32]
        headers = {"Cache-Control": f"public, max-age={self.operation.cached_seconds}", "ETag": f'"{etag}"'}
        if any(each.value in (etag, "*") for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=answer, headers={**JSON_HEADERS, **headers})

    def _json(self, answer: bytes) -> web.Response:
        if self.operation.status == 204:
            return web.Response(status=204, headers={"Cache-Control": "no-store"})
        return web.Response(status=self.operation.status, body=answer, headers=JSON_HEADERS)


async def _read_to_its_end(upload: Upload, asked: Idempotency) -> bool:
    """What is left of the file, kept nowhere, within its size and time; False if it has broken off before."""
    async for _ in upload.chunks:
        pass
    return bool(asked.body_hash)


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.isascii() or not 1 <= len(token) <= 256:
        raise NotSignedIn
    return token


async def _file(download: Download) -> web.Response:
    headers = {
        "Content-Type": download.media_type, "X-Content-Type-Options": "nosniff",
        "Cache-Control": f"public, max-age={download.cached_seconds}" if download.cached_seconds else "no-store",
        # A browser that shows it after all gives it no origin, no script and no network: a JPEG may be a page, too.
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(download.file_name, safe='')}",
    }
    if isinstance(download.content, bytes):
        return web.Response(body=download.content, headers=headers)
    if download.length is not None:
        headers["Content-Length"] = str(download.length)
    # The first chunk is fetched before the head is sent: a missing file is an honest error, not a broken download.
    first = await anext(download.content, b"")
    return web.Response(body=_from(first, download.content), headers=headers)


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
