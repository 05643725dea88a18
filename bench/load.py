"""The load: N keep-alive connections in a process of their own, each with one request under way. `python -m bench.load` reads a Plan.

No wrk, so that a fresh machine measures too: plain sockets and epoll take about a tenth of what the leanest server takes per request.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from bench.report import CALLBACKS, PAGES_OF_TWO, SLOW
from bench.sizes import FIRST_COME_TYPE, SEARCHED, SIZES, SPEND_FEN, Size
from models.categories import CATEGORIES

CONNECTIONS = 32
HEAD_END = b"\r\n\r\n"
LENGTH = b"Content-Length: "
Maker = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Plan:
    """`first`: the number of the first request; each number asks something else, and W2, W2c and W3 can ask it once."""

    port: int
    work: str
    side: str
    size: str
    first: int
    seconds: float
    warm_seconds: float
    connections: int = CONNECTIONS


@dataclass(frozen=True, slots=True)
class Outcome:
    """Rates and milliseconds after the warm-up; `sent` counts all of them, also for the CPU per request."""

    sent: int
    rps: float
    p50_ms: float
    p99_ms: float


def request(method: str, path: str, token: str | None, body: str | None = None, key: str | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"Idempotency-Key: {key}"] if key else []
    lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"] if body is not None else []
    return ("\r\n".join(lines) + "\r\n\r\n" + (body or "")).encode()


def makers(size: Size, side: str) -> dict[str, Maker]:
    """work -> the bytes of request i; the same for both sides but for the path."""
    e, open_first = size.enterprises, size.past_rounds + 1
    ours, categories = side == "ours", tuple(CATEGORIES)

    def wallet(i: int) -> bytes:
        return request("GET", "/api/v1/wallet/lots?limit=20" if ours else "/w1", f"bench-{1 + i * 7919 % e}")

    def reserve(i: int) -> bytes:
        round_id, body = open_first + i // e, f'{{"voucher_type_id":{1 + i % 2}}}'
        path = f"/api/v1/rounds/{round_id}/reservation" if ours else f"/w2/{round_id}"
        return request("POST", path, f"bench-{1 + i % e}", body, f"reserve-{i}")

    def take(i: int) -> bytes:
        round_id = size.past_rounds + size.open_rounds + 2 + i // e
        path = f"/api/v1/rounds/{round_id}/reservation" if ours else f"/w2c/{round_id}"
        return request("POST", path, f"bench-{1 + i % e}", f'{{"voucher_type_id":{FIRST_COME_TYPE}}}', f"take-{i}")

    def pay(i: int) -> bytes:
        path = f"/api/v1/bench/orders/{i + 1}/payment" if ours else f"/w3/{i + 1}"
        return request("POST", path, f"bench-{1 + i % e}", f'{{"voucher_fen":{SPEND_FEN}}}', f"payment-{i}")

    def search(i: int, **more: str) -> bytes:
        query = urlencode({"words": SEARCHED[i % len(SEARCHED)], "category": categories[i % len(categories)], "vouchers_only": "true",
                           "min_price_fen": 20_000, "max_price_fen": 900_000, "sort": "price_asc", **more})
        return request("GET", ("/api/v1/products?" if ours else "/w4?") + query, None)

    def callback(i: int) -> bytes:
        from bench.pushes import target_and_body  # brings the simulator along, which takes longer to load than a turn to warm up

        # The numbers begin anew in each process: a message of the turn before would be known already.
        path, body = target_and_body(time.time_ns() + i)
        return request("POST", path, None, body)

    return {"W1": wallet, "W2": reserve, "W2c": take, "W3": pay, "W4": search, PAGES_OF_TWO: partial(search, limit="2"),
            CALLBACKS: callback, SLOW: callback}


class Connection:
    __slots__ = ("needed", "received", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.needed, self.sent_at = b"", 0, 0.0

    def send(self, content: bytes) -> None:
        self.received, self.needed = b"", 0
        self.sent_at = time.perf_counter()
        self.socket.sendall(content)

    def complete(self) -> bool:
        """Take what has come. True once the answer is whole; raises for any answer but a success."""
        part = self.socket.recv(65_536)
        self.received = self.received + part if self.received else part
        if not part:
            raise ConnectionError("the server has closed the connection")
        if not self.needed:
            head = self.received.find(HEAD_END)
            if head < 0:
                return False
            at = self.received.find(LENGTH, 0, head)
            self.needed = head + 4 + int(self.received[at + len(LENGTH): self.received.find(b"\r", at)])
        if len(self.received) < self.needed:
            return False
        if self.received[9:11] != b"20":
            raise AssertionError(f"not a success: {self.received.decode('utf-8', 'replace')[:1500]}")
        return True


def run(plan: Plan) -> Outcome:
    make = makers(SIZES[plan.size], plan.side)[plan.work]
    connections = [Connection(plan.port) for _ in range(plan.connections)]
    poller, by_fd = select.epoll(), {each.socket.fileno(): each for each in connections}
    number, finished, times = plan.first, 0, []
    begun = time.perf_counter() + plan.warm_seconds
    end = begun + plan.seconds
    for each in connections:
        poller.register(each.socket, select.EPOLLIN)
        each.send(make(number))
        number += 1
    while finished < plan.connections:
        for fd, _ in poller.poll():
            connection = by_fd[fd]
            if not connection.complete():
                continue
            now = time.perf_counter()
            if begun <= now < end:
                times.append(now - connection.sent_at)
            if now >= end:
                finished += 1
            else:
                connection.send(make(number))
                number += 1
    times.sort()
    return Outcome(
        sent=number - plan.first, rps=len(times) / plan.seconds, p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[len(times) * 99 // 100] * 1000,
    )


if __name__ == "__main__":
    outcome = run(Plan(**json.load(sys.stdin)))
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__slots__}))
