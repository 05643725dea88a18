"""How DingTalk says no: the old host with HTTP 200 and `errcode`, the new one with HTTP 4xx and `code`."""

import secrets
from typing import Any

from aiohttp import web

from simulator.traffic import Handler, to_json


class OldApiError(Exception):
    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errcode, errmsg)
        self.errcode, self.errmsg = errcode, errmsg


class NewApiError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


def old_answer(**body: Any) -> web.Response:
    full = {"errcode": 0, "errmsg": "ok", **body, "request_id": secrets.token_hex(6)}
    return web.Response(text=to_json(full), content_type="application/json")


def new_answer(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(text=to_json(body), status=status, content_type="application/json")


@web.middleware
async def as_dingtalk(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except OldApiError as error:
        return old_answer(errcode=error.errcode, errmsg=error.errmsg)
    except NewApiError as error:
        body = {"code": error.code, "message": error.message, "requestid": secrets.token_hex(16).upper()}
        return new_answer(body, error.status)
