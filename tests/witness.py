"""The real processes on servers of their own, clients that write down what they asked and what they were promised, and kills.

The books cannot see a lost acknowledgement: whoever forgets it forgets both sides. Only who stands outside can.
"""

import asyncio
import hashlib
import os
import random
import secrets
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from embedded import daemon
from embedded.postgres import start_postgres, stop_postgres
from embedded.valkey import start_valkey, stop_valkey
from handlers.orders import AGREEMENT_VERSION
from tests.shop import PASSWORD
from tests.world import Member

ROOT = Path(__file__).parent.parent
FEN = 100
SESSIONS = 200          # of each client: a session may pay ten times a minute
AGAIN_SECONDS = 0.05    # between two tries of the same request
UP_SECONDS = 60
NOWHERE = "http://127.0.0.1:9"


class Servers:
    """PostgreSQL and Valkey of a folder; PostgreSQL can be killed and comes back on its port."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.postgres, self.valkey = start_postgres(folder), start_valkey(folder)
        monkeypatch.setattr(daemon, "free_port", lambda: self.postgres.port)
        self.pid = self.postgres.pid

    async def kill_postgres(self) -> None:
        """The postmaster dies at once, its children as soon as they notice; then everything is recovered from the log."""
        os.kill(self.pid, signal.SIGKILL)
        # The same port means the same lock file of the socket, and the number in it may for a moment be a zombie's.
        for lock in self.postgres.socket_dir.glob(".s.PGSQL.*.lock"):
            lock.unlink()
        self.pid = (await asyncio.to_thread(start_postgres, self.folder)).pid

    def stop(self) -> None:
        stop_valkey(self.folder)
        stop_postgres(self.folder)


@contextmanager
def servers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    running = Servers(folder, monkeypatch)
    try:
        yield running
    finally:
        running.stop()


class Programs:
    """`python -m app ...` as processes that are started again whenever they end, as a supervisor would."""

    def __init__(self, running: Servers) -> None:
        self.port = _port()
        self._log = (running.folder / "app.log").open("wb")
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._up: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._kept: list[asyncio.Task[None]] = []
        self._environment = {
            **os.environ, "DATABASE_URL": running.postgres.app_url, "DATABASE_OWNER_URL": running.postgres.owner_url,
            "REDIS_URL": running.valkey.url, "VAR_DIR": str(running.folder), "PORT": str(self.port), "WEB_PROCESSES": "1",
            "PAYMENT_HASH_MEMORY_KIB": "64", "PAYMENT_HASH_PASSES": "1", "WECHAT_API_BASE_URL": NOWHERE,
            "DINGTALK_API_BASE_URL": NOWHERE, "DINGTALK_OAPI_BASE_URL": NOWHERE, "PYTHONPATH": str(ROOT),
        }

    async def run(self, command: str) -> int:
        return await (await self._spawn(command)).wait()

    def keep(self, name: str, command: str) -> None:
        self._kept.append(asyncio.create_task(self._keep(name, command)))

    async def _keep(self, name: str, command: str) -> None:
        while True:
            self._running[name] = await self._spawn(command)
            self._up[name].set()
            await self._running[name].wait()
            self._up[name].clear()

    async def kill(self, name: str) -> None:
        """What started while the database was away may just have ended by itself; then the next one dies."""
        await self._up[name].wait()
        self._running[name].kill()

    async def stop(self) -> None:
        for task in self._kept:
            task.cancel()
        await asyncio.gather(*self._kept, return_exceptions=True)
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._log.close()

    async def _spawn(self, command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", command, cwd=ROOT, env=self._environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log, stderr=self._log,
        )


def _port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Client:
    """One enterprise's phone. `asked`: marks of orders whose payment was begun; `promised`: the order ids that were acknowledged."""

    base: str
    member: Member
    product_id: int
    programme_id: int
    tokens: Sequence[str]
    asked: list[str] = field(default_factory=list)
    promised: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    _turn: int = 0

    async def shop_until(self, over: asyncio.Event) -> None:
        """Order and pay, one after the other. What was begun is repeated with its key until there is an answer."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for number in count():
                if over.is_set():
                    return
                mark = f"{self.member.organisation_id}-{number}"
                body = {"product_id": self.product_id, "programme_id": self.programme_id, "agreement_version": AGREEMENT_VERSION,
                        "message": mark}
                self.asked.append(mark)
                placed = await self._insist(session, "/orders", body, f"place-{mark}")
                payment = {"voucher_fen": FEN, "password": PASSWORD}
                paid = await self._insist(session, f"/orders/{placed['id']}/payment", payment, f"pay-{mark}")
                assert (paid["id"], paid["state"], paid["voucher_fen"]) == (placed["id"], "paid", FEN)
                self.promised[mark] = paid["id"]

    async def _insist(self, session: aiohttp.ClientSession, path: str, body: dict[str, Any], key: str) -> Any:
        while True:
            self._turn += 1
            headers = {"Authorization": f"Bearer {self.tokens[self._turn % len(self.tokens)]}", "Idempotency-Key": key}
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with session.post(f"{self.base}/api/v1{path}", json=body, headers=headers) as response:
                    answer = await response.json(content_type=None)
                    if response.status in {200, 201}:
                        return answer
                    # Everything else than "try again" would be a wrong answer to a right question.
                    assert response.status in {429, 500, 502, 503}, (response.status, answer)
            self.repeats += 1
            await asyncio.sleep(AGAIN_SECONDS)


async def signed_in(owner: asyncpg.Connection, member: Member, count: int) -> list[str]:
    """Many sessions of one member, so that the limit of each is never reached."""
    tokens = [secrets.token_urlsafe(16) for _ in range(count)]
    await owner.executemany(
        "INSERT INTO sessions (token_hash, person_id, identity_id, membership_id, created_at, expires_at)"
        " SELECT $1, person_id, identity_id, membership_id, created_at, expires_at FROM sessions WHERE membership_id = $2 LIMIT 1",
        [(hashlib.sha256(token.encode()).digest(), member.membership_id) for token in tokens],
    )
    return tokens


async def answers(base: str) -> None:
    """Wait until a web process is ready."""
    async with asyncio.timeout(UP_SECONDS), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.get(f"{base}/readyz", timeout=aiohttp.ClientTimeout(total=2)) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(AGAIN_SECONDS)


@dataclass(frozen=True)
class Plan:
    """Which victim dies after how many further acknowledgements: by progress, not by time, so that each kill meets work."""

    victim: str
    after: int


def plans(seed: int, kills: int) -> list[Plan]:
    """Every victim in turn, in a random order; the moments random too."""
    chance = random.Random(seed)
    victims = [("web-1", "web-2", "jobs", "postgres")[number % 4] for number in range(kills)]
    chance.shuffle(victims)
    return [Plan(victim, chance.randrange(5, 25)) for victim in victims]
