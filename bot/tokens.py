"""Access tokens, one per app for all processes: kept in Redis, fetched by one of them, once per expiry.

WeChat's stable_token in normal mode and DingTalk's gettoken both answer the same token again while it is valid, so two
fetches at the same time do no harm; the lock only saves quota, and nothing waits for it longer than a call may take.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from redis import asyncio as aioredis
from redis.exceptions import RedisError

from bot.transport import PlatformError

log = structlog.get_logger(__name__)

MARGIN_SECONDS = 60  # a token is not used in its last minute: the call that carries it takes time as well
LOOK_SECONDS = 0.05  # how often a process looks whether the one that fetches is done
# A fetch that outlived its lock must not replace what another process stored meanwhile.
STORE = """
local current = redis.call('GET', KEYS[1])
if current and redis.call('GET', KEYS[2]) ~= ARGV[1] then return current end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return ARGV[2]
"""
DELETE_IF_EQUAL = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and the seconds it has left, as the platform says."""

    value: str
    expires_in: float


def read_grant(answer: Mapping[str, Any]) -> Grant:
    """From an answer with access_token and expires_in. Raises PlatformError if that is not what it is."""
    token, seconds = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(token, str) or not token or not isinstance(seconds, int | float):
        raise PlatformError("malformed", "no access_token in the answer", retryable=True)
    return Grant(token, seconds)


def usable_seconds(expires_in: float) -> float:
    """How long to use a token of `expires_in` seconds: never zero, or each call would fetch; never up to its end."""
    return max(expires_in - min(MARGIN_SECONDS, expires_in / 2), 1.0)


class TokenStore:
    """`app` names platform, interface and app id, e.g. "wechat:wx123". `fetch` asks the platform; its errors pass through.

    `call_seconds` bounds a fetch, and so the time that others wait for it. `redis` None: this process alone.
    """

    def __init__(
        self, app: str, fetch: Callable[[], Awaitable[Grant]], redis: aioredis.Redis | None, *,
        call_seconds: float = 3, monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key, self._lock_key = f"qifuquan:token:{app}", f"qifuquan:token-lock:{app}"
        self._fetch, self._redis, self._call_seconds, self._monotonic = fetch, redis, call_seconds, monotonic
        self._kept, self._good_until = "", 0.0  # a moment of the monotonic clock
        self._refused = ""
        self._flight: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """A token that should work. Raises PlatformError; all who wait for one fetch share its outcome."""
        if self._kept and self._monotonic() < self._good_until:
            return self._kept
        if self._flight is None:
            self._flight = asyncio.create_task(self._renew())
            self._flight.add_done_callback(self._landed)
        # A caller that gives up must not take the fetch away from the others.
        return await asyncio.shield(self._flight)

    async def refused(self, value: str) -> None:
        """The platform did not take this token. Only this one is forgotten: another process may have stored a newer one."""
        # Until Redis has forgotten it, or if it does not: nobody in this process shall find it there again.
        self._refused = value
        if self._kept == value:
            self._kept = ""
        if self._redis is not None:
            await self._ask(self._redis, DELETE_IF_EQUAL, self._key, value)

    def _landed(self, flight: asyncio.Task[str]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # looked at, so that a fetch nobody waits for any more does not end as a warning

    async def _renew(self) -> str:
        if self._redis is not None:
            try:
                return await self._renew_shared(self._redis)
            except (RedisError, OSError) as error:
                self._away(error)
        grant = await self._fetch()
        return self._keep(grant.value, usable_seconds(grant.expires_in))

    async def _renew_shared(self, redis: aioredis.Redis) -> str:
        owner = secrets.token_hex(8)
        end = self._monotonic() + self._call_seconds
        while True:
            if (known := await self._stored(redis)) is not None:
                return known
            # The lock lasts longer than a fetch can take, so that the fetch ends before it does.
            locked = await redis.set(self._lock_key, owner, nx=True, px=int(self._call_seconds * 1500))
            if locked or self._monotonic() >= end:
                break
            await asyncio.sleep(LOOK_SECONDS)
        try:
            # Between our look and our lock the one before us may have stored it and gone.
            return await self._stored(redis) or await self._fetch_and_store(redis, owner)
        finally:
            await self._ask(redis, DELETE_IF_EQUAL, self._lock_key, owner)

    async def _fetch_and_store(self, redis: aioredis.Redis, owner: str) -> str:
        grant = await self._fetch()
        seconds = usable_seconds(grant.expires_in)
        milliseconds = str(int(seconds * 1000))
        current = await self._ask(redis, STORE, self._key, self._lock_key, owner, grant.value, milliseconds, keys=2)
        if current not in {None, grant.value} and (newer := await self._stored(redis)):
            return newer
        return self._keep(grant.value, seconds)

    async def _stored(self, redis: aioredis.Redis) -> str | None:
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.get(self._key)
            pipeline.pttl(self._key)
            value, milliseconds = await pipeline.execute()
        usable = value and value != self._refused and milliseconds > 0
        return self._keep(value, milliseconds / 1000) if usable else None

    async def _ask(self, redis: aioredis.Redis, script: str, *arguments: str, keys: int = 1) -> object:
        """What the script answers, or None when Redis is away: a token in hand is good without it."""
        try:
            return await redis.eval(script, keys, *arguments)
        except (RedisError, OSError) as error:
            self._away(error)
            return None

    def _keep(self, value: str, seconds: float) -> str:
        # The platform may give the same token again, and then means it.
        self._refused = ""
        self._kept, self._good_until = value, self._monotonic() + seconds
        return value

    def _away(self, error: Exception) -> None:
        # The type alone: the text may hold the address, and with a wrong URL its password.
        log.warning("redis_away", doing="token", error=type(error).__name__)
