"""How often somebody may ask. Counted in Redis across processes; in this process's memory while Redis is away.

Limits protect the machine and the platforms' quotas. What protects money and passwords is counted in PostgreSQL by the
use-cases themselves, because Redis may forget.
"""

import ipaddress
import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from aiohttp import web
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from miniapp_api.problems import TooManyRequests

REDIS_TIMEOUT_SECONDS = 0.3  # on a loopback or a rack it takes one millisecond; redis-py's own default hangs for 40 s
AWAY_SECONDS = 5.0  # then Redis is asked again
DEFAULT_WRITE = "write"
DEFAULT_READ = "read"
STRANGERS = "strangers"
log = structlog.get_logger("limits")


class By(StrEnum):
    IP = "ip"
    SESSION = "session"  # the address, where nobody is signed in


@dataclass(frozen=True, slots=True)
class Policy:
    """`shared`: counted over all processes, at the price of one round trip to Redis."""

    item: RateLimitItem
    by: By
    shared: bool = True


POLICIES: Mapping[str, Policy] = {
    # A whole park may sit behind one address, and each of them signs in once a day; the platforms allow 500 a minute.
    "login": Policy(RateLimitItemPerMinute(30), By.IP),
    # Five wrong tries lock the password anyway (PostgreSQL); this only keeps argon2 from eating a core.
    "password": Policy(RateLimitItemPerMinute(10), By.SESSION),
    # A link from a chat is opened once; who tries others guesses among 2^192.
    "link": Policy(RateLimitItemPerMinute(30), By.IP),
    # The longest form has 12 attachments; nobody picks 30 files in a minute by hand.
    "upload": Policy(RateLimitItemPerMinute(30), By.SESSION),
    # Each invitation may send an SMS and an e-mail; an institution has dozens of consultants, not hundreds a minute.
    "invitation": Policy(RateLimitItemPerMinute(20), By.SESSION),
    # Links and badges that somebody opens: a fair of consultants behind one address, and no guessing of 144 bits at any speed.
    "invitation_link": Policy(RateLimitItemPerMinute(60), By.IP),
    # The same link or badge, whoever opens it from wherever (the pages count by token as well).
    "one_link": Policy(RateLimitItemPerMinute(60), By.IP),
    # Codes by SMS and their tries; PostgreSQL counts five a day for a phone besides.
    "phone_code": Policy(RateLimitItemPerMinute(10), By.IP),
    # A poster costs 50 ms of a core.
    "drawing": Policy(RateLimitItemPerMinute(20), By.SESSION),
    # Two changes per second for a minute is no finger. Each process counts for itself: asking Redis would take a sixth of the
    # time of a reservation, and what must not happen twice is PostgreSQL's to refuse.
    DEFAULT_WRITE: Policy(RateLimitItemPerMinute(120), By.SESSION, shared=False),
    # 20 per second is a loop.
    DEFAULT_READ: Policy(RateLimitItemPerMinute(1200), By.SESSION, shared=False),
    # Refused tokens and roles, which are nobody's session yet: ten per second are no load for PostgreSQL and no people, not even a
    # park's whose phones all signed in a month ago today. Each process counts for itself (docs/decisions/0248).
    STRANGERS: Policy(RateLimitItemPerMinute(600), By.IP, shared=False),
}


class Limiter:
    """`check` raises TooManyRequests; it never fails because Redis does."""

    def __init__(self, redis_url: str | None, policies: Mapping[str, Policy] = POLICIES) -> None:
        self.policies = policies
        self._here = _Here()
        self._pool = _pool(redis_url) if redis_url else None
        self._shared = _shared(self._pool) if self._pool else None
        self._away_until = 0.0

    @property
    def redis_is_away(self) -> bool:
        return time.monotonic() < self._away_until

    async def redis_answers(self) -> bool | None:
        """Whether Redis answers now; None if there is none. For the readiness probe, which only tells it on."""
        if self._pool is None:
            return None
        try:
            return bool(await aioredis.Redis(connection_pool=self._pool).ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def check(self, name: str, session_id: int | None, ip: str) -> None:
        policy = self.policies[name]
        who = f"s{session_id}" if session_id and policy.by is By.SESSION else ip
        if self._shared is not None and policy.shared and not self.redis_is_away:
            try:
                await _count(self._shared, policy.item, name, who)
            except (RedisError, OSError, TimeoutError) as error:
                self._away_until = time.monotonic() + AWAY_SECONDS
                log.warning("redis_away", error=type(error).__name__, counting="in this process")
            else:
                return
        self._here.count(policy.item, name, who)

    def admit(self, ip: str) -> None:
        """Raises TooManyRequests for an address whose tokens were refused too often; costs two look-ups in dictionaries."""
        self._here.look(self.policies[STRANGERS].item, STRANGERS, ip)

    def refused(self, ip: str) -> None:
        """A token or a role was, for somebody from this address."""
        self._here.add(self.policies[STRANGERS].item, STRANGERS, ip)

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.disconnect()


async def _count(counter: MovingWindowRateLimiter, item: RateLimitItem, name: str, who: str) -> None:
    if not await counter.hit(item, name, who):
        window = await counter.get_window_stats(item, name, who)
        raise TooManyRequests(retry_after_seconds=max(1, math.ceil(window.reset_time - time.time())))


class _Here:
    """Fixed windows in this process. The library's memory storages walk all keys, in a task at every hit or in a thread a hundred
    times a second: 100 to 900 microseconds of a request, where this takes one (docs/decisions/0248).
    """

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, Counter[str]]] = {}

    def count(self, item: RateLimitItem, name: str, who: str) -> None:
        if self.add(item, name, who) > item.amount:
            raise _too_many(item)

    def add(self, item: RateLimitItem, name: str, who: str) -> int:
        window = int(time.monotonic() // item.get_expiry())
        begun, counts = self._windows.get(name, (-1, Counter()))
        if begun != window:
            self._windows[name] = (window, counts := Counter())
        counts[who] += 1
        return counts[who]

    def look(self, item: RateLimitItem, name: str, who: str) -> None:
        """Count nothing; refuse whoever has used it all up."""
        found = self._windows.get(name)
        if found and found[1].get(who, 0) >= item.amount and found[0] == int(time.monotonic() // item.get_expiry()):
            raise _too_many(item)


def _too_many(item: RateLimitItem) -> TooManyRequests:
    seconds = item.get_expiry()
    return TooManyRequests(retry_after_seconds=max(1, math.ceil(seconds - time.monotonic() % seconds)))


def _shared(pool: aioredis.ConnectionPool) -> MovingWindowRateLimiter:
    # With a pool given, only the scheme of the URL is looked at.
    options: dict[str, Any] = {"implementation": "redispy", "key_prefix": "qifuquan:limits", "connection_pool": pool}
    return MovingWindowRateLimiter(RedisStorage("async+redis://pool:1", **options))


def _pool(url: str) -> aioredis.ConnectionPool:
    """No retries: a request that waits for a counter is worse off than one that is counted here."""
    return aioredis.ConnectionPool.from_url(
        url, socket_timeout=REDIS_TIMEOUT_SECONDS, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
    )


def client_ip(request: web.Request, trust_forwarded_for: bool) -> str:
    """The address that limits count by; an IPv6 customer has a /64 to himself."""
    address = request.remote or "unknown"
    if trust_forwarded_for and (forwarded := request.headers.get("X-Forwarded-For")):
        # The last one is what our own proxy saw; whatever stands before it, the client may have made up.
        address = forwarded.rsplit(",", 1)[-1].strip()
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address, 64), strict=False))
    except ValueError:
        return address
