"""The rules of mini-program codes (getwxacodeunlimit) and URL links."""

import io
import re
import secrets
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import qrcode
from PIL import Image

from simulator.state import World
from simulator.wechat_errors import WeChatError

VISIBLE = r"A-Za-z0-9!#$&'()*+,/:;=?@\-._~"
SCENE = re.compile(f"[{VISIBLE}]*")
QUERY = re.compile(f"[{VISIBLE}%]*")
VERSIONS = {"release", "trial", "develop"}
LINK_SECONDS_MIN, LINK_DAYS_MAX, DAY_SECONDS = 60, 30, 86_400


def check_code(body: Mapping[str, Any], pages: Collection[str]) -> tuple[str, str, int]:
    """The (scene, page, width) of a code that may be made."""
    scene, page, width = body.get("scene"), body.get("page", ""), body.get("width", 430)
    if not isinstance(scene, str) or not 1 <= len(scene) <= 32:
        raise WeChatError(40169, "invalid length for scene, or the data is not json string")
    if not SCENE.fullmatch(scene):
        raise WeChatError(40129, "invalid scene")
    if "scancode_time" in scene:
        raise WeChatError(85096, "not allow include scancode_time field")
    if body.get("env_version", "release") not in VERSIONS:
        raise WeChatError(40097, "invalid args, env_version")
    if not isinstance(width, int) or not 280 <= width <= 1280:
        raise WeChatError(40097, "invalid args, width")
    check_path = body.get("check_path", True)
    if not isinstance(page, str) or page.startswith("/") or "?" in page or (check_path and page and page not in pages):
        raise WeChatError(41030, "invalid page")
    return scene, page, width


def draw(scene: str, page: str, width: int, image_format: str) -> bytes:
    """A QR code with page and scene in it. The real one is round, and a phone opens it just the same."""
    code = qrcode.QRCode(border=2)
    code.add_data(f"{page}?scene={quote(scene, safe='')}")
    modules = code.get_matrix()
    side = len(modules)
    image = Image.new("L", (side, side), 255)
    image.putdata([0 if cell else 255 for row in modules for cell in row])
    out = io.BytesIO()
    image.resize((width, width), Image.Resampling.NEAREST).save(out, image_format)
    return out.getvalue()


class UrlLinks:
    """URL links always end, at most 30 days from now."""

    def __init__(self, world: World, pages: Collection[str]) -> None:
        self._world = world
        self._pages = pages
        self._links: dict[str, tuple[str, float]] = {}

    def make(self, body: Mapping[str, Any], prefix: str = "https://wxaurl.cn/") -> str:
        path, query = body.get("path", ""), body.get("query", "")
        if self._world.tally.add("wechat.link", self._world.window(1)) > self._world.limits.wechat_links_per_second:
            raise WeChatError(44990, "reach max api second frequence limit")
        if not isinstance(path, str) or (path and path not in self._pages):
            raise WeChatError(40165, "invalid weapp pagepath")
        if not isinstance(query, str) or len(query) > 1024 or not QUERY.fullmatch(query):
            raise WeChatError(40212, "invalid query")
        if body.get("env_version", "release") not in VERSIONS:
            raise WeChatError(85402, "invalid env_version")
        link = f"{prefix}{secrets.token_urlsafe(8)}"
        self._links[link] = (f"{path}?{query}" if query else path, self._ends(body))
        return link

    def _ends(self, body: Mapping[str, Any]) -> float:
        now = self._world.clock.timestamp()
        kind = body.get("expire_type", 0)
        value = body.get("expire_interval" if kind == 1 else "expire_time")
        if kind not in {0, 1} or not isinstance(value, int):
            raise WeChatError(85401, "invalid expire time")
        end = now + value * DAY_SECONDS if kind == 1 else float(value)
        if not LINK_SECONDS_MIN <= end - now <= LINK_DAYS_MAX * DAY_SECONDS:
            raise WeChatError(85401, "expire time should be between 1 minute and 30 days")
        return end

    def open(self, link: str) -> str | None:
        """The page and query a phone lands on, or None if the link is unknown or over."""
        target, end = self._links.get(link, ("", 0.0))
        return target if self._world.clock.timestamp() < end else None
