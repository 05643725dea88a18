"""The web application, put together from what `app.py` gives it."""

from collections.abc import Mapping

from aiohttp import web

from clock import Clock
from handlers.ports import Ports
from miniapp_api import documents, pages, probes
from miniapp_api.edge import EDGE, Edge, Endpoint, frame
from miniapp_api.limits import POLICIES, Limiter, Policy
from miniapp_api.routing import Api
from settings import Settings


def create_app(
    *, settings: Settings, clock: Clock, ports: Ports, apis: list[Api], redis_url: str | None,
    strict_refusals: bool = False, policies: Mapping[str, Policy] = POLICIES,
) -> web.Application:
    """The web application over `apis`. The caller connects the database before the first request and disconnects it after.

    redis_url: where limits are counted; None counts them in this process only.
    strict_refusals: for tests, an undeclared refusal is an internal error, so that the documentation cannot drift.
    policies: instead of `limits.POLICIES`, with the same names.
    """
    edge = Edge(settings, clock, ports, Limiter(redis_url, policies), strict_refusals)
    app = web.Application(middlewares=[frame])
    app[EDGE] = edge
    names: set[str] = set()
    for operation in (operation for api in apis for operation in api.operations):
        assert operation.name not in names, f"two operations are called {operation.name}"
        names.add(operation.name)
        app.router.add_route(operation.method, operation.pattern, Endpoint(edge, operation).answer, name=operation.name)
    probes.add_to(app)
    documents.add_to(app)
    pages.add_to(app, edge)
    app.on_cleanup.append(_close)
    return app


async def _close(app: web.Application) -> None:
    await app[EDGE].limiter.close()
