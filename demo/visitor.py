"""A browser on a phone without our app: it keeps cookies, and sends the forms that it was shown."""

import re
from html import unescape
from types import TracebackType
from typing import Self

import aiohttp

from demo.phones import RefusedError, WalkFailedError

FORM_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
HEADING = re.compile(r"<h1[^>]*>(.*?)</h1>", re.DOTALL)
STANDING = re.compile(r'<p class="standing[^"]*" role="status">(.*?)</p>', re.DOTALL)
PRIVACY = re.compile(r'name="privacy" type="checkbox" value="([^"]+)"')


class Visitor:
    """`url` is where it stands; a form is sent to the page's own link."""

    def __init__(self, url: str) -> None:
        self.url, self.text = url, ""
        # The address of a development machine is a number, from which cookies are not kept without being asked to.
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=30))

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.close()

    async def open(self, path: str = "") -> None:
        await self._ask("GET", path)

    async def send(self, path: str, fields: list[tuple[str, str]], photo: bytes | None = None) -> None:
        """The form of the page that is shown, with what its reader filled in."""
        form = aiohttp.FormData([("form_token", self.found(FORM_TOKEN)), *fields])
        if photo is not None:
            form.add_field("photo", photo, filename="photo.jpg", content_type="image/jpeg")
        await self._ask("POST", path, form)

    async def _ask(self, method: str, path: str, form: aiohttp.FormData | None = None) -> None:
        async with self._http.request(method, f"{self.url}{path}", data=form) as response:
            self.text = await response.text()
            if response.status >= 400:
                raise RefusedError(f"{method} {path}: {response.status}", self.heading)

    def found(self, pattern: re.Pattern[str]) -> str:
        match = pattern.search(self.text)
        if match is None:
            raise WalkFailedError(f"{self.url}: the page has no {pattern.pattern}: {self.text[:2000]}")
        return unescape(match[1]).strip()

    @property
    def heading(self) -> str:
        return self.found(HEADING)
