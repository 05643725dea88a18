"""One leader among any number of job processes, by a lock that PostgreSQL holds for a session and lets go when the session ends.

If the leader is killed, its socket closes and the lock is free at once. If it hangs, its session is idle and the server ends it.
If the server goes away, the leader hears it or misses its own probe, and steps down. Two leaders for a moment are harmless: they
only wake sweeps, and those are idempotent.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog

log = structlog.get_logger(__name__)

LEADER_LOCK = 0x51464C44  # "QFLD"
RETRY_SECONDS = 0.5   # how often the others try: with the probe, somebody leads again within two seconds
PROBE_SECONDS = 1.0
PROBE_PATIENCE_SECONDS = 1.0
HUNG_SECONDS = 4      # a leader that has not probed for so long is ended by the server


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url, timeout=5, command_timeout=PROBE_PATIENCE_SECONDS, server_settings={
        "application_name": "qifuquan-leader",
        "idle_session_timeout": f"{HUNG_SECONDS}s",
        # A machine that vanished sends no goodbye.
        "tcp_keepalives_idle": "1", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3",
    })


class Leadership:
    """Held while `lost` is not set."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()


async def _elected(url: str) -> asyncpg.Connection:
    """Wait for the lock, on a connection of its own: the pool's are lent to everybody. No pooler may stand in between."""
    connection = None
    while True:
        try:
            connection = connection or await _connect(url)
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK):
                return connection
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.debug("election_failed", error=type(error).__name__)
            if connection is not None:
                connection.terminate()
            connection = None
        except BaseException:
            if connection is not None:
                connection.terminate()
            raise
        await asyncio.sleep(RETRY_SECONDS)


async def _probe(connection: asyncpg.Connection, leadership: Leadership) -> None:
    """Keep the session from being idle, and notice when it is gone."""
    try:
        while not leadership.lost.is_set():
            await asyncio.sleep(PROBE_SECONDS)
            async with asyncio.timeout(PROBE_PATIENCE_SECONDS):
                await connection.fetchval("SELECT 1")
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("leadership_lost", error=type(error).__name__)
        leadership.lost.set()


@asynccontextmanager
async def leading(url: str) -> AsyncIterator[Leadership]:
    """Wait to be elected; inside, lead until `lost`. On the way out the lock is free at once."""
    connection = await _elected(url)
    leadership = Leadership()
    connection.add_termination_listener(lambda _: leadership.lost.set())
    probe = asyncio.create_task(_probe(connection, leadership))
    try:
        yield leadership
    finally:
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        connection.terminate()
