"""Bodies of calls to WeChat."""

import json
import re
from typing import Any

from aiohttp import web

from simulator.wechat_errors import WeChatError

ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u([0-9a-fA-F]{4})")


async def read_json(request: web.Request, *, not_json: tuple[int, str] = (47001, "data format error")) -> dict[str, Any]:
    """The body as an object. Characters beyond ASCII have to come as UTF-8: the platform refuses escaped ones."""
    raw = await request.read()
    try:
        body = json.loads(raw.decode())
    except ValueError:
        raise WeChatError(*not_json) from None
    if not isinstance(body, dict):
        raise WeChatError(*not_json)
    if any(int(code, 16) > 0x7F for code in ESCAPE.findall(raw)):
        raise WeChatError(40033, "invalid charset. please check your request, if include \\uxxxx will create fail!")
    return body
