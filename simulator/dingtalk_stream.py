"""DingTalk's Stream mode: a client asks for an address and a ticket, and gets frames through a websocket, each to be acknowledged."""

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from simulator.state import World
from simulator.traffic import to_json

BOT_TOPIC, CARD_TOPIC = "/v1.0/im/bot/messages/get", "/v1.0/card/instances/callback"
TICKET_SECONDS = 90
ACK_SECONDS, TRIES = 5.0, 3
PING_SECONDS = 30.0


@dataclass
class Ticket:
    subscriptions: list[dict[str, str]]
    until: float


@dataclass(eq=False)
class Client:
    socket: web.WebSocketResponse
    topics: set[tuple[str, str]]
    waiting: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    def takes(self, kind: str, topic: str) -> bool:
        return (kind, topic) in self.topics or (kind, "*") in self.topics


class Streams:
    def __init__(self, world: World) -> None:
        self._world = world
        self._tickets: dict[str, Ticket] = {}
        self.clients: list[Client] = []
        self.frames = 0

    def issue(self, request: web.Request, subscriptions: list[dict[str, str]]) -> dict[str, str]:
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = Ticket(subscriptions, self._world.clock.timestamp() + TICKET_SECONDS)
        scheme = "wss" if request.secure else "ws"
        return {"endpoint": f"{scheme}://{request.host}/dingtalk/connect", "ticket": ticket}

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """A ticket opens one connection."""
        ticket = self._tickets.pop(request.query.get("ticket", ""), None)
        if ticket is None or self._world.clock.timestamp() >= ticket.until:
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = Client(socket, {(each["type"], each["topic"]) for each in ticket.subscriptions})
        self.clients.append(client)
        pinging = asyncio.create_task(self._ping(client))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledged(client, json.loads(message.data))
        finally:
            pinging.cancel()
            self.clients.remove(client)
        return socket

    async def _ping(self, client: Client) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self.system(client, "ping", {"opaque": secrets.token_hex(8)})

    def _acknowledged(self, client: Client, ack: dict[str, Any]) -> None:
        waiting = client.waiting.pop(str(ack.get("headers", {}).get("messageId")), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(ack)

    async def system(self, client: Client, topic: str, data: dict[str, Any]) -> None:
        await client.socket.send_str(self._frame("SYSTEM", topic, secrets.token_hex(12), data))

    def _frame(self, kind: str, topic: str, message_id: str, data: dict[str, Any]) -> str:
        headers = {
            "appId": "simulator", "connectionId": "simulator", "contentType": "application/json", "messageId": message_id,
            "time": str(int(self._world.clock.timestamp() * 1_000)), "topic": topic,
        }
        headers |= {"eventId": message_id, "eventType": str(data.get("EventType", ""))} if kind == "EVENT" else {}
        return to_json({"specVersion": "1.0", "type": kind, "headers": headers, "data": to_json(data)})

    async def deliver(self, kind: str, topic: str, data: dict[str, Any], message_id: str = "") -> dict[str, Any] | None:
        """The acknowledgement of one of the connected clients; without one in time the frame is sent again. None: nobody took it."""
        message_id = message_id or secrets.token_hex(12)
        for _ in range(TRIES):
            client = next((each for each in reversed(self.clients) if each.takes(kind, topic)), None)
            if client is None:
                return None
            waiting = client.waiting[message_id] = asyncio.get_running_loop().create_future()
            self.frames += 1
            with contextlib.suppress(TimeoutError, ConnectionError):
                await client.socket.send_str(self._frame(kind, topic, message_id, data))
                async with asyncio.timeout(ACK_SECONDS):
                    ack: dict[str, Any] = await waiting
                    if ack.get("code") == 200:
                        return ack
        return None

    async def disconnect(self) -> None:
        """The gateway asks every client to go and come back."""
        for client in list(self.clients):
            await self.system(client, "disconnect", {"reason": "going away"})

    async def close(self) -> None:
        for client in list(self.clients):
            await client.socket.close()
