"""Is it alive, may it get requests, how is it doing. Not part of the API: a reverse proxy keeps /metrics inside."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from handlers.housekeeping import Backlog, backlog
from handlers.readiness import database_takes_writes, pool_use
from handlers.refusals import Busy
from miniapp_api.edge import EDGE, Edge

READY_SECONDS = 1.0  # a database that needs longer to write one record is of no use to a phone
MEASURE_SECONDS = 1.0
BACKLOG_KEPT = timedelta(seconds=5)


def add_to(app: web.Application) -> None:
    app.router.add_get("/livez", livez, name="livez")
    app.router.add_get("/readyz", readyz, name="readyz")
    app.router.add_get("/metrics", metrics, name="metrics")
    if app[EDGE].measures.folder is not None:
        app.cleanup_ctx.append(_measure_every_second)


async def livez(request: web.Request) -> web.Response:  # noqa: ARG001
    """Touches nothing: a restart mends this process, not a database that is away."""
    return web.json_response({"alive": True})


async def readyz(request: web.Request) -> web.Response:
    """200 if PostgreSQL accepts a write within a second (a full disk still answers reads), 503 if not or while draining.

    Redis is told but does not count: everything works without it.
    """
    edge = request.app[EDGE]
    database, redis = await asyncio.gather(_database(), edge.limiter.redis_answers())
    draining = edge.draining.is_set()
    ready = database and not draining
    words = {True: "up", False: "down", None: "none"}
    return web.json_response(
        {"ready": ready, "draining": draining, "database": words[database], "redis": words[redis]},
        status=200 if ready else 503, headers={"Cache-Control": "no-store"},
    )


async def _database() -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await database_takes_writes()
    except (Busy, TimeoutError, OSError):
        return False


async def metrics(request: web.Request) -> web.Response:
    """The gauges of the database are those of up to five seconds ago, however many ask."""
    edge = request.app[EDGE]
    now = edge.clock.now()
    if edge.backlog_at is None or not timedelta(0) <= now - edge.backlog_at < BACKLOG_KEPT:
        edge.backlog_at = now
        edge.measures.backlog(await _backlog(now))
    _measure(edge)
    return web.Response(body=edge.measures.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _measure(edge: Edge) -> None:
    pool_open, pool_idle = pool_use()
    edge.measures.now(in_flight=edge.in_flight, pool_open=pool_open, pool_idle=pool_idle)


async def _measure_every_second(app: web.Application) -> AsyncIterator[None]:
    """Where another process may be asked how this one is doing."""
    async def measuring() -> None:
        while True:
            _measure(app[EDGE])
            await asyncio.sleep(MEASURE_SECONDS)

    task = asyncio.create_task(measuring())
    yield
    task.cancel()
    await asyncio.wait((task,))


async def _backlog(now: datetime) -> Backlog | None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await backlog(now)
    except (Busy, TimeoutError, OSError):
        return None
