"""How WeChat says no: HTTP 200, `errcode`, and an `errmsg` that ends with a request id."""

import secrets
from typing import Any

from aiohttp import web

from simulator.traffic import Handler, to_json


class WeChatError(Exception):
    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errcode, errmsg)
        self.errcode, self.errmsg = errcode, errmsg

    def body(self) -> dict[str, Any]:
        rid = "-".join(secrets.token_hex(4) for _ in range(3))
        return {"errcode": self.errcode, "errmsg": f"{self.errmsg} rid: {rid}"}


def answer(body: dict[str, Any], content_type: str = "application/json") -> web.Response:
    return web.Response(text=to_json(body), content_type=content_type)


@web.middleware
async def as_wechat(request: web.Request, handler: Handler) -> web.StreamResponse:
    # code2session answers text/plain, for errors too.
    content_type = "text/plain" if request.path.endswith("/jscode2session") else "application/json"
    try:
        return await handler(request)
    except WeChatError as error:
        return answer(error.body(), content_type)
    except web.HTTPMethodNotAllowed as error:
        wanted = (43002, "require POST method") if "POST" in error.allowed_methods else (43001, "require GET method")
        return answer(WeChatError(*wanted).body(), content_type)
