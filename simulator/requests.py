"""Requests to the control routes: JSON in, JSON out, a Chinese title where it goes wrong."""

import json
from typing import Any, NoReturn

from aiohttp import web

from simulator.traffic import to_json


def refuse(status: int, code: str, title: str) -> NoReturn:
    """End the request with a JSON refusal; the title is for the person who called."""
    error: type[web.HTTPError] = {404: web.HTTPNotFound, 409: web.HTTPConflict, 415: web.HTTPUnsupportedMediaType}.get(
        status, web.HTTPBadRequest
    )
    raise error(text=to_json({"code": code, "title": title}), content_type="application/json")


def answer(body: Any) -> web.Response:
    return web.Response(text=to_json(body), content_type="application/json")


async def read(request: web.Request) -> dict[str, Any]:
    if not request.can_read_body:
        return {}
    # A page of another site can send a form or text without being asked, but not this content type.
    if request.content_type != "application/json":
        refuse(415, "not_json", "请以 application/json 提交")
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        refuse(400, "not_an_object", "请求内容必须是 JSON 对象")
    return body
