"""One web process: sockets, time-outs that aiohttp does not have, and an end that fails no request.

How a process ends, on SIGTERM or SIGINT:
1. What waits in the socket's queue is accepted, and the socket closed. Its family (family/supervisor.py) holds it open, so that the next
   connections wait for whoever accepts; without a family other processes on the port, or the next machine, get them.
2. `draining` is set: /readyz answers 503, and every answer tells its connection to close (edge.frame).
3. Idle connections stay open for a second. A keep-alive client may have a request on its way at this moment; it is
   answered, and told to go. Closing at once is what fails requests.
4. What is in flight has `drain_seconds` to finish, then it is cancelled (its transaction rolls back).
5. The application cleans up: Redis, then whatever the caller has put into `on_cleanup` (the database).
A second signal skips the waiting.
"""

import asyncio
import signal
import socket
from asyncio import TimerHandle
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from family.garbage import let_garbage_rest
from miniapp_api import problems
from miniapp_api.edge import EDGE

KEEP_ALIVE_SECONDS = 75.0  # longer than the 60 s of the usual proxies: who reuses a connection decides when it ends
QUIET_SECONDS = 1.0  # longer than a request is on its way from a phone
CANCEL_SECONDS = 1.0  # for a cancelled request to roll back
LINGER_SECONDS = 2.0  # so that a client that is still sending gets to read why it was refused
BACKLOG = 1024
ACCEPT_TURNS = 4  # of the loop: it accepts all that wait in one, and makes them connections in the next
log = structlog.get_logger("web")


class Guarded(RequestHandler):
    """A connection whose request head must be complete in time, and whose parse errors are problem documents."""

    __slots__ = ("_head_seconds", "_head_timer")

    def __init__(self, manager: web.Server, *, head_seconds: float, **options: Any) -> None:
        super().__init__(manager, **options)
        self._head_seconds = head_seconds
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        complete = self._request_count
        super().data_received(data)
        if self._request_count != complete:
            self._head_is_here()
        elif self._head_timer is None and self._waiter is not None and not self._waiter.done():
            self._await_head()  # idle until now, and this was the beginning of the next request

    @property
    def busy(self) -> bool:
        """A request is being answered, down to the last byte of a download, or waits for its turn."""
        return self._request_in_progress or bool(self._messages)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None,
    ) -> web.StreamResponse:
        """What never reached the application: a head that is no HTTP, a target that is no URL."""
        if status >= 500 or exc is None:
            return super().handle_error(request, status, exc, message)
        log.info("bad_request", error=type(exc).__name__)
        response = problems.problem(status, "bad_request", "请求有误", "-")
        response.force_close()
        return response

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._head_seconds, self.force_close)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Server(web.Server):
    def __init__(self, handler: Any, *, head_seconds: float, **options: Any) -> None:
        super().__init__(handler, **options)
        self._head_seconds = head_seconds

    def __call__(self) -> RequestHandler:
        return Guarded(self, loop=self._loop, head_seconds=self._head_seconds, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        await super()._make_server()  # starts the application; its own server would make unguarded connections
        return _Server(
            self.app._handle, request_factory=self.app._make_request, loop=asyncio.get_running_loop(),  # noqa: SLF001
            head_seconds=self.app[EDGE].settings.header_timeout_seconds, keepalive_timeout=KEEP_ALIVE_SECONDS, access_log=None,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,  # 300 KB could become 300 MB; `reading` refuses a Content-Encoding
        )


class Serving:
    """An application on a port, or on sockets that listen already, from `start` to `drain`."""

    def __init__(self, app: web.Application, host: str, port: int, sockets: Sequence[socket.socket] = ()) -> None:
        self._app = app
        self._runner = _Runner(app, shutdown_timeout=CANCEL_SECONDS)
        self._host = host
        self._port = port
        self._sockets = sockets
        self.hurry = asyncio.Event()

    async def start(self) -> int:
        """Bind and accept; the port, for a caller that asked for 0."""
        await self._runner.setup()
        for each in self._sockets:
            await web.SockSite(self._runner, each, backlog=BACKLOG).start()
        if not self._sockets:
            await web.TCPSite(self._runner, self._host, self._port, reuse_port=True, backlog=BACKLOG).start()
        return int(self._runner.addresses[0][1])

    async def drain(self, seconds: float) -> None:
        """Steps 1 to 5 of the module's text; returns when everything has ended."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        for site in list(self._runner.sites):
            await site.stop()
        self._app[EDGE].draining.set()  # not before: whoever is told to go connects anew at once, and must not come back to us
        while (connections := self._connections()) and not self.hurry.is_set():
            busy = any(connection.busy for connection in connections)
            if loop.time() - began >= (seconds if busy else min(seconds, QUIET_SECONDS)):
                break
            await asyncio.sleep(0.02)
        if left := sum(connection.busy for connection in self._connections()):
            log.warning("drained_in_vain", in_flight=left)
        await self._runner.cleanup()

    def _connections(self) -> list[Guarded]:
        server = self._runner.server
        return [connection for connection in server.connections if isinstance(connection, Guarded)] if server else []


async def serve(
    app: web.Application, host: str, port: int, drain_seconds: float, sockets: Sequence[socket.socket] = (),
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. Other processes may serve on the same port, or on the same sockets.

    begun: called when connections are accepted.
    """
    loop = asyncio.get_running_loop()
    serving, stop = Serving(app, host, port, sockets), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            serving.hurry.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        bound = await serving.start()
        let_garbage_rest()
        log.info("serving", host=host, port=bound)
        begun()
        await stop.wait()
        log.info("draining", seconds=drain_seconds)
        await serving.drain(drain_seconds)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
