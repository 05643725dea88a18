"""DingTalk's Stream mode: messages, taps and events through a websocket that we open, so that no address of ours is public.

Every jobs process holds one: the gateway gives each frame to one of them, and to another one if it is not acknowledged. A frame is
acknowledged when it is in the table, where the key makes one of two that are the same (docs/decisions/0182).
"""

import asyncio
import random
import secrets
from contextlib import suppress
from typing import Any
from urllib.parse import quote_plus

import orjson
import structlog
from aiohttp import ClientError, WSMsgType

from bot.arrivals import OutsiderError, of_card, of_dingtalk_event, of_robot
from bot.dingtalk_api import DingTalkApi
from bot.pushes import MalformedPushError, read_json, word
from bot.transport import PlatformError, Transport
from clock import Clock
from handlers.context import SYSTEM, Context
from handlers.inbound import Arrived, receive
from handlers.ports import Ports
from handlers.refusals import Busy
from settings import Settings

log = structlog.get_logger(__name__)

BOT_TOPIC, CARD_TOPIC = "/v1.0/im/bot/messages/get", "/v1.0/card/instances/callback"
SUBSCRIPTIONS = (
    {"type": "CALLBACK", "topic": BOT_TOPIC}, {"type": "CALLBACK", "topic": CARD_TOPIC}, {"type": "EVENT", "topic": "*"},
)
BACKOFF_SECONDS, BACKOFF_SECONDS_MAX = 1.0, 60.0
STEADY_SECONDS = 5.0
FRAMES_MAX = 64  # being written to the table; beyond them the socket is not read, and the gateway waits


class Stream:
    """`run` keeps one connection open until it is told to stop, whatever happens to it."""

    def __init__(self, settings: Settings, clock: Clock, ports: Ports, transport: Transport, api: DingTalkApi) -> None:
        self._settings, self._clock, self._ports, self._transport, self._api = settings, clock, ports, transport, api
        self.connected = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self._until_closed(stop)
                # A gateway that sends everybody away at once is not asked again and again.
                failures = 0 if asyncio.get_running_loop().time() - began > STEADY_SECONDS else failures + 1
            except (PlatformError, ClientError, OSError, TimeoutError) as error:
                failures += 1
                log.warning("stream_lost", error=type(error).__name__, code=getattr(error, "code", None), failures=failures)
            finally:
                self.connected.clear()
            if failures and not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause_seconds(failures))

    async def _until_closed(self, stop: asyncio.Event) -> None:
        """One connection. It ends when the gateway asks for it, when it breaks, or on `stop`."""
        endpoint, ticket = await self._api.open_stream(SUBSCRIPTIONS)
        async with self._transport.websocket(f"{endpoint}?ticket={quote_plus(ticket)}") as socket:
            self.connected.set()
            reading = asyncio.create_task(self._read(socket))
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
            finally:
                for task in (reading, stopping):
                    task.cancel()
                await asyncio.gather(reading, stopping, return_exceptions=True)

    async def _read(self, socket: Any) -> None:
        """Frames side by side, a bounded number of them; those that were begun are finished before the connection goes."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                if len(tasks) >= FRAMES_MAX:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                message = await socket.receive()
                if message.type is not WSMsgType.TEXT:
                    return  # closed, broken, or binary, which nobody sends
                frame = _frame(message.data)
                if frame.get("type") == "SYSTEM":
                    if not await self._system(socket, frame):
                        return
                    continue
                task = asyncio.create_task(self._take(socket, frame))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        finally:
            if tasks:
                await asyncio.wait(tasks, timeout=1)
            for task in tasks:
                task.cancel()

    async def _system(self, socket: Any, frame: dict[str, Any]) -> bool:
        """Answer a ping with what it carries; False for `disconnect`: go, and come back by a new ticket."""
        headers = _headers(frame)
        if word(headers, "topic") == "disconnect":
            return False
        if word(headers, "topic") == "ping":
            await _acknowledge(socket, headers, 200, word(frame, "data") or "{}")
        return True

    async def _take(self, socket: Any, frame: dict[str, Any]) -> None:
        headers = _headers(frame)
        try:
            for arrived in self._arrived(word(frame, "type"), headers, read_json(word(frame, "data").encode())):
                await receive(self._context(), arrived)
        except (MalformedPushError, OutsiderError) as error:
            # Sent again it would be the same: taken, and dropped.
            log.warning("stream_frame_dropped", error=type(error).__name__)
        except Busy:
            log.warning("stream_frame_not_kept")
            await _acknowledge(socket, headers, 500, "{}")  # not acknowledged as done: it comes again
            return
        except Exception:
            log.exception("stream_frame_broke")
            await _acknowledge(socket, headers, 500, "{}")
            return
        answer = '{"status":"SUCCESS"}' if word(frame, "type") == "EVENT" else '{"response":{}}'
        await _acknowledge(socket, headers, 200, answer)

    def _arrived(self, kind: str, headers: dict[str, Any], fields: dict[str, Any]) -> list[Arrived]:
        app_id, now, mark = self._settings.dingtalk_appkey, self._clock.now(), word(headers, "messageId")
        if kind == "EVENT":
            event = word(headers, "eventType") or word(fields, "EventType")
            return of_dingtalk_event(app_id, {**fields, "EventType": event}, word(headers, "eventId") or mark, now)
        match word(headers, "topic"):
            case topic if topic == BOT_TOPIC:
                return [of_robot(app_id, fields, now)]
            case topic if topic == CARD_TOPIC:
                return [of_card(app_id, fields, mark, now)]
        return []

    def _context(self) -> Context:
        return Context(SYSTEM, self._clock.now(), self._settings, self._ports, f"stream-{secrets.token_hex(8)}")


def pause_seconds(failures: int) -> float:
    """1, 2, 4 ... 60 seconds, each up to half more: a hundred processes that lost the gateway together do not return together."""
    return min(BACKOFF_SECONDS * 2.0 ** min(failures - 1, 10), BACKOFF_SECONDS_MAX) * random.uniform(1.0, 1.5)  # noqa: S311 - no secret


def _frame(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _headers(frame: dict[str, Any]) -> dict[str, Any]:
    headers = frame.get("headers")
    return headers if isinstance(headers, dict) else {}


async def _acknowledge(socket: Any, headers: dict[str, Any], code: int, data: str) -> None:
    ack = {
        "code": code, "headers": {"messageId": word(headers, "messageId"), "contentType": "application/json"},
        "message": "OK" if code == 200 else "later", "data": data,
    }
    with suppress(ConnectionError, RuntimeError):  # the socket went meanwhile: the frame comes again elsewhere
        await socket.send_str(orjson.dumps(ack).decode())
