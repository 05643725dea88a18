"""GET /openapi.json, and GET /docs: Swagger UI from an installed package, so that it works without the internet.

The document is the file that `make openapi` writes and a test holds equal to the routes. To make it takes a process most of a second,
in which it answers nobody, and memory that it never gives back; the file is sent by the kernel. Compressed, for whoever asks for
that, it is a fifteenth of it: packed once by each process, beside the requests, and kept.
"""

import asyncio
import gzip
import hashlib
import re
import threading
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiohttp import web

from settings import ROOT

DOCUMENT = ROOT / "docs" / "openapi.json"  # beside the code, also on servers: this is installed as a folder, not as a package
ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js")
PACKING = threading.Lock()  # who comes while it is being packed waits for that
ACCEPTED = re.compile(r"([\w*-]+)(?:\s*;\s*q=([01](?:\.\d{0,3})?))?", re.ASCII)
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


def add_to(app: web.Application) -> None:
    assert DOCUMENT.is_file(), f"{DOCUMENT} is part of an installation: `make openapi` writes it"
    app.router.add_get("/openapi.json", openapi, name="openapi")
    app.router.add_get("/docs", page, name="docs")
    app.router.add_get("/docs/start.js", start, name="docs_start")
    for name in ASSETS:
        app.router.add_get(f"/docs/{name}", _asset(name), name="docs_" + name.replace(".", "_").replace("-", "_"))


async def openapi(request: web.Request) -> web.StreamResponse:
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if not takes_gzip(request.headers.get("Accept-Encoding", "")):
        return web.FileResponse(DOCUMENT, headers=headers)
    packed = await asyncio.to_thread(_packed)
    if any(each.value in (packed.tag, "*") for each in request.if_none_match or ()):
        answer = web.Response(status=304, headers=headers)
    else:
        answer = web.Response(body=packed.content, content_type="application/json", headers=headers | {"Content-Encoding": "gzip"})
    answer.etag = packed.tag
    return answer


def takes_gzip(accepted: str) -> bool:
    """What an Accept-Encoding says of gzip (RFC 9110, 12.5.3): named, or covered by the star, with a weight above nothing."""
    weights = {coding.lower(): float(weight or 1) for coding, weight in ACCEPTED.findall(accepted)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


@dataclass(frozen=True)
class Packed:
    content: bytes
    tag: str


def _packed() -> Packed:
    with PACKING:
        return _pack()


@cache
def _pack() -> Packed:
    content = gzip.compress(DOCUMENT.read_bytes(), mtime=0)  # without its time all processes pack the same bytes
    return Packed(content, hashlib.sha256(content).hexdigest()[:32])


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
