"""GET /openapi.json, and GET /docs: Swagger UI from an installed package, so that it works without the internet."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from miniapp_api.openapi import document
from miniapp_api.routing import Api

ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js")
PAGE = """\
<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><title>企服券 API</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="docs"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body>
</html>
"""
START = """\
SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#docs", deepLinking: true, docExpansion: "none", filter: true, tryItOutEnabled: true,
  persistAuthorization: true, displayOperationId: true, displayRequestDuration: true, defaultModelsExpandDepth: 0
});
"""
# Swagger UI sets style attributes and draws with data: images; it needs nothing from anywhere else.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def add_to(app: web.Application, apis: list[Api]) -> None:
    @cache
    def described() -> bytes:
        return orjson.dumps(document(apis))

    async def openapi(request: web.Request) -> web.Response:  # noqa: ARG001
        return web.Response(body=described(), content_type="application/json")

    app.router.add_get("/openapi.json", openapi, name="openapi")
    app.router.add_get("/docs", page, name="docs")
    app.router.add_get("/docs/start.js", start, name="docs_start")
    for name in ASSETS:
        app.router.add_get(f"/docs/{name}", _asset(name), name="docs_" + name.replace(".", "_").replace("-", "_"))


async def page(request: web.Request) -> web.Response:  # noqa: ARG001
    return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": POLICY})


async def start(request: web.Request) -> web.Response:  # noqa: ARG001
    return web.Response(text=START, content_type="text/javascript")


def _asset(name: str) -> Any:
    file = _assets() / name

    async def asset(request: web.Request) -> web.FileResponse:  # noqa: ARG001
        return web.FileResponse(file, headers={"Cache-Control": "public, max-age=86400"})

    return asset


@cache
def _assets() -> Path:
    """The package's files are used, its code is never imported."""
    found = find_spec("swagger_ui")
    assert found is not None, "swagger-ui-py is a dependency of this project"
    assert found.origin is not None
    return Path(found.origin).parent / "static"
