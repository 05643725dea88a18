"""The mini-program on somebody's phone, as far as a chat needs it: signing in, and asking for a binding code."""

from typing import Any

import aiohttp

from simulator.state import World
from simulator.wechat import WeChat

SECONDS = 10.0


class MiniProgram:
    """`api_url` is the project's; empty: there is none to talk to."""

    def __init__(self, world: World, wechat: WeChat, api_url: str) -> None:
        self._world, self._wechat, self._api_url = world, wechat, api_url.rstrip("/")

    async def binding_code(self, name: str) -> dict[str, Any] | None:
        """What the page 「绑定对话」 shows to this person: {"code", "url", ...}; None if the project does not answer as it should."""
        if not self._api_url:
            return None
        code = self._world.mint(self._wechat.register(name), "login")
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as http:
            try:
                async with http.post(f"{self._api_url}/sessions", json={"platform": "wechat", "code": code}) as response:
                    token = (await response.json())["token"]
                async with http.post(f"{self._api_url}/bindings", headers={"Authorization": f"Bearer {token}"}) as response:
                    found: dict[str, Any] = await response.json()
            except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
                return None
        return found if "code" in found else None
