"""A platform that takes every message at once: answers any POST with errcode 0, hands out a token, and counts who got what.

A bare protocol, so that it costs less than any client that asks it. `GET /count` answers `{"messages", "receivers"}`.
"""

import asyncio
import json
import re
from typing import cast

import uvloop

LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
RECEIVER = re.compile(rb'"touser":"(o\d+)"')
TAKEN = b'{"errcode":0,"errmsg":"ok","access_token":"bench","expires_in":7200}'


class Endpoint(asyncio.Protocol):
    messages = 0
    receivers: set[bytes] = set()  # noqa: RUF012 - of the process
    _transport: asyncio.Transport
    _received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(self._received, 0, head)
        if len(self._received) < head + 4 + (int(length[1]) if length else 0):
            return
        request, self._received = self._received, b""
        answer = TAKEN
        if request.startswith(b"GET /count"):
            answer = json.dumps({"messages": Endpoint.messages, "receivers": len(Endpoint.receivers)}).encode()
        elif receiver := RECEIVER.search(request, head):
            Endpoint.messages += 1
            Endpoint.receivers.add(receiver[1])
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


async def main() -> None:
    listening = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
