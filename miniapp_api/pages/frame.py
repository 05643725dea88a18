"""Around every page: limits by address and by link, form tokens, who has proved a phone, headers, and refusals as pages."""

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import BodyPartReader, web

from handlers.context import Actor, Context
from handlers.file_types import MEGABYTE
from handlers.refusals import Kind, Refusal
from handlers.signatures import is_signature, signature
from handlers.working_days import SHANGHAI
from miniapp_api.edge import TRACE, Edge
from miniapp_api.limits import client_ip
from miniapp_api.problems import BodyTimedOut, BodyTooLarge, InvalidInput, status_of

HERE = Path(__file__).parent
TEXT_BYTES, PARTS_MAX = 16 * 1024, 40  # of one field; of a form
PHOTO_BYTES = 2 * MEGABYTE + 1         # one more than the slot takes: then it says that the photo is too large
PHOTO_SENT_BYTES = 12 * MEGABYTE       # the largest that a phone's camera makes
VISITOR, PROOF = "visitor", "proof"    # cookies: which browser this is; which phone it has proved
PROOF_SECONDS = 3600                   # a form is filled in within an hour; then the phone is proved again
HEADERS = {
    # No script at all, nothing from anywhere else, and nobody may frame it. data: is the empty icon that saves a request.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()", "Cache-Control": "no-store",
}
Handler = Callable[["Visit"], Awaitable[web.StreamResponse]]


class FormOutdated(Refusal):
    """The form was not drawn for this browser, or its cookies are gone."""

    kind, code, title = Kind.FORBIDDEN, "form_outdated", "页面已失效，请重新打开链接（请允许浏览器保存网站数据）"


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = lambda at: f"{(here := at.astimezone(SHANGHAI)).month}月{here.day}日 {here:%H:%M}"
    return environment


class Frame:
    """Makes handlers of aiohttp out of pages. A page gets a `Visit` and returns what the visit draws."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge

    def add_static(self, app: web.Application) -> None:
        style = (HERE / "pages.css").read_bytes()

        async def css(_: web.Request) -> web.Response:
            headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
            return web.Response(body=style, content_type="text/css", charset="utf-8", headers=headers)

        app.router.add_get("/pages.css", css, name="pages_css")

    def page(self, handler: Handler, *limits: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """`limits`: policies besides the two that hold for every link."""
        async def answer(request: web.Request) -> web.StreamResponse:
            visit = Visit(self.edge, request)
            try:
                await self._count(visit, limits)
                if request.method == "POST":
                    await visit.read_form()
                return await handler(visit)
            except Refusal as refusal:
                return visit.refuse(refusal)

        return answer

    async def _count(self, visit: "Visit", limits: tuple[str, ...]) -> None:
        limiter = self.edge.limiter
        for name in ("invitation_link", *limits):
            await limiter.check(name, None, client_ip(visit.request, self.edge.settings.trust_forwarded_for))
        await limiter.check("one_link", None, hashlib.sha256(visit.token.encode()).hexdigest()[:16])


class Visit:
    """One request for a page. `form`: the texts of what was sent; `photo`: (file name, bytes) of the file beside them."""

    def __init__(self, edge: Edge, request: web.Request) -> None:
        self.request, self._edge = request, edge
        self.token = request.match_info.get("token", "")
        self.now = edge.clock.now()
        self.form: dict[str, list[str]] = {}
        self.photo: tuple[str, bytes] | None = None
        known = request.cookies.get(VISITOR, "")
        self._is_known = len(known) == 32 and known.isascii()
        self._visitor = known if self._is_known else secrets.token_hex(16)
        self.person_id = self._proved()

    @property
    def ctx(self) -> Context:
        edge = self._edge
        return Context(Actor(person_id=self.person_id), self.now, edge.settings, edge.ports, self.request[TRACE])

    def text(self, name: str) -> str:
        return next(iter(self.form.get(name, ())), "")

    # --- what goes out ----------------------------------------------------------------------------------------------------------

    def draw(self, template: str, status: int = 200, **values: Any) -> web.Response:
        text = _templates().get_template(template).render(token=self.token, form_token=self._form_token(), **values)
        response = web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=HEADERS)
        if not self._is_known:
            self._keep(response, VISITOR, self._visitor, "/i")
        return response

    def refuse(self, refusal: Refusal) -> web.Response:
        status = status_of(type(refusal))
        response = self.draw("message.html", status, title=refusal.title, text="", mood="bad")
        if status in {429, 503}:
            response.headers["Retry-After"] = str(max(1, int(refusal.data.get("retry_after_seconds", 1))))
        if status in {408, 413}:
            response.force_close()
        return response

    def go(self, path: str) -> web.Response:
        """To another page of the same link, by GET."""
        return web.Response(status=303, headers={**HEADERS, "Location": f"/i/{self.token}{path}"})

    def prove(self, response: web.Response, person_id: int) -> web.Response:
        """This browser has proved that person's phone, for this link and an hour."""
        head = b"%d|%d" % (person_id, int(self.now.timestamp()) + PROOF_SECONDS)
        value = base64.urlsafe_b64encode(head + b"|" + signature(self._edge.settings, PROOF, self._bound(head))).decode()
        self._keep(response, PROOF, value, f"/i/{self.token}")
        return response

    def _keep(self, response: web.Response, name: str, value: str, path: str) -> None:
        secure = self._edge.settings.public_url.startswith("https://")
        # Lax: a link that is opened from a chat brings its cookie; a form of another site does not.
        response.set_cookie(name, value, path=path, httponly=True, secure=secure, samesite="Lax", max_age=PROOF_SECONDS)

    # --- what comes in ----------------------------------------------------------------------------------------------------------

    def _bound(self, head: bytes) -> bytes:
        return head + b"|" + self.token.encode() + b"|" + self._visitor.encode()

    def _proved(self) -> int | None:
        try:
            raw = base64.b64decode(self.request.cookies.get(PROOF, "").encode(), altchars=b"-_", validate=True)
            head, mac = raw[:-33], raw[-32:]
            person_id, until = (int(part) for part in head.split(b"|"))
        except (ValueError, binascii.Error):
            return None
        right = is_signature(self._edge.settings, PROOF, self._bound(head), mac)
        return person_id if right and self.now.timestamp() < until else None

    def _form_token(self) -> str:
        return signature(self._edge.settings, "page form", f"{self._visitor}|{self.token}".encode(), 16).hex()

    async def read_form(self) -> None:
        """Raises FormOutdated, BodyTooLarge, BodyTimedOut, InvalidInput."""
        if self.request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise FormOutdated
        try:
            async with asyncio.timeout(self._edge.settings.body_timeout_seconds):
                await self._read()
        except TimeoutError as error:
            raise BodyTimedOut from error
        except (ValueError, AssertionError, RuntimeError, web.HTTPException) as error:
            raise InvalidInput(fields=[]) from error
        if not self._is_known or not secrets.compare_digest(self.text("form_token").encode(), self._form_token().encode()):
            raise FormOutdated

    async def _read(self) -> None:
        if self.request.content_type == "multipart/form-data":
            await self._read_parts()
            return
        if (self.request.content_length or TEXT_BYTES + 1) > TEXT_BYTES:
            raise BodyTooLarge(max_bytes=TEXT_BYTES)
        sent = await self.request.post()
        self.form = {name: [str(value) for value in sent.getall(name)] for name in sent}

    async def _read_parts(self) -> None:
        reader = await self.request.multipart()
        for _ in range(PARTS_MAX):
            part = await reader.next()
            if part is None:
                return
            if not isinstance(part, BodyPartReader) or not part.name:
                raise InvalidInput(fields=[])
            if part.filename is None:
                self.form.setdefault(part.name, []).append((await _bounded(part, TEXT_BYTES, TEXT_BYTES)).decode())
            elif part.filename:
                self.photo = (part.filename, await _bounded(part, PHOTO_BYTES, PHOTO_SENT_BYTES))
            else:
                await part.release()
        raise InvalidInput(fields=[])


async def _bounded(part: BodyPartReader, kept_bytes: int, max_bytes: int) -> bytes:
    """What is over `kept_bytes` is received and thrown away, so that the page can say what was wrong with it."""
    content, received = bytearray(), 0
    while chunk := await part.read_chunk():
        received += len(chunk)
        if received > max_bytes:
            raise BodyTooLarge(max_bytes=max_bytes)
        content += chunk[: kept_bytes - len(content)]
    return bytes(content)


def titles(problems: list[Mapping[str, str]]) -> dict[str, str]:
    """What is wrong with each field, by its name."""
    return {problem["field"]: problem["problem"] for problem in problems}
