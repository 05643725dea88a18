"""/i/<token>: who invites, what becomes public, yes or no, the phone, the form, and what became of it (D08, D09)."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from handlers import accounts, consultants
from handlers.accounts.consents import ConsentNeeded, ConsentOutdated
from handlers.applications import FormIncomplete
from handlers.attachments import FileBroken, FileEmpty, FileTooLarge, FileTypeRefused, TooManyFiles
from handlers.consultants import CodeWrong, PhoneMalformed
from handlers.refusals import NotFound, StorageAway
from miniapp_api.pages.frame import Frame, Visit, titles
from models.categories import CATEGORIES
from models.consultants import ConsultantState, InvitationState

LINK = "{token:[^/]{1,128}}"
PHOTO = f"files.{consultants.PHOTO_SLOT}"
PHOTO_REFUSALS = (FileTypeRefused, FileTooLarge, FileEmpty, FileBroken, TooManyFiles, StorageAway)
CELL_RULE = re.compile(r"^\|[-| ]+\|$")


def add_to(app: web.Application, frame: Frame) -> None:
    for method, path, handler, *limits in (
        ("GET", "", landing), ("POST", "/refusal", decline), ("POST", "/renewal", ask_renewal),
        ("GET", "/phone", ask_phone), ("POST", "/phone", send_code, "phone_code"), ("POST", "/code", check_code, "phone_code"),
        ("GET", "/case", case), ("POST", "/case", submit), ("POST", "/end", end),
    ):
        name = f"page_{handler.__name__}"
        app.router.add_route(method, f"/i/{LINK}{path}", frame.page(handler, *limits), name=name)
    app.router.add_get("/privacy", frame.page(privacy), name="page_privacy")


# --- the invitation ------------------------------------------------------------------------------------------------------------------


async def landing(visit: Visit) -> web.StreamResponse:
    invitation = await opened(visit)
    if invitation["consultancy_id"] is not None:
        return visit.go("/case")
    if invitation["state"] is InvitationState.ACCEPTED:
        return visit.draw("phone.html", invitation=invitation, comes_back=True, wrong={}, phone="")
    template = "expired.html" if invitation["state"] is InvitationState.EXPIRED else "landing.html"
    return visit.draw(template, invitation=invitation)


async def opened(visit: Visit) -> consultants.InvitationView:
    """Raises NotFound, and nothing in its page tells whether there ever was such a link."""
    try:
        return await consultants.open_invitation(visit.ctx, visit.token)
    except NotFound:
        raise LinkUnknown from None


class LinkUnknown(NotFound):
    code, title = "link_unknown", "链接无效：可能已被撤销，或地址不完整"


async def decline(visit: Visit) -> web.StreamResponse:
    await opened(visit)
    await consultants.decline(visit.ctx, visit.token)
    return visit.draw(
        "message.html", title="已谢绝邀请", text="我们已告知服务机构。如果您改变主意，请联系服务机构重新邀请。", mood="good"
    )


async def ask_renewal(visit: Visit) -> web.StreamResponse:
    await opened(visit)
    await consultants.ask_renewal(visit.ctx, visit.token)
    return visit.draw("message.html", title="已请服务机构重新邀请", text="服务机构再次邀请后，您会收到新的链接。", mood="good")


# --- the phone -----------------------------------------------------------------------------------------------------------------------


async def ask_phone(visit: Visit) -> web.StreamResponse:
    return await _phone_page(visit, {})


async def _phone_page(visit: Visit, wrong: Mapping[str, str], status: int = 200) -> web.StreamResponse:
    invitation = await opened(visit)
    if invitation["consultancy_id"] is not None:
        return visit.go("/case")
    if invitation["state"] is InvitationState.EXPIRED:
        return visit.draw("expired.html", invitation=invitation)
    comes_back = invitation["state"] is InvitationState.ACCEPTED
    return visit.draw("phone.html", status, invitation=invitation, comes_back=comes_back, wrong=wrong, phone=visit.text("phone"))


async def send_code(visit: Visit) -> web.StreamResponse:
    await opened(visit)
    phone = visit.text("phone")
    try:
        await consultants.send_phone_code(visit.ctx, visit.token, phone, visit.text("privacy"))
    except PhoneMalformed as refusal:
        return await _phone_page(visit, {"phone": refusal.title}, 422)
    except (ConsentNeeded, ConsentOutdated) as refusal:
        return await _phone_page(visit, {"privacy": refusal.title}, 422)
    except consultants.InvitedOther as refusal:
        return await _phone_page(visit, {"phone": refusal.title}, 403)
    return visit.draw("code.html", phone=phone, wrong="")


async def check_code(visit: Visit) -> web.StreamResponse:
    await opened(visit)
    phone = visit.text("phone")
    try:
        who = await consultants.identify(visit.ctx, visit.token, phone, visit.text("code").strip())
    except CodeWrong as refusal:
        return visit.draw("code.html", 422, phone=phone, wrong=f"{refusal.title}，还可以试 {refusal.data['tries_left']} 次")
    except consultants.CodeExpired as refusal:
        return await _phone_page(visit, {"phone": refusal.title}, 409)
    return visit.prove(visit.go("/case"), who.person_id)


# --- the case ------------------------------------------------------------------------------------------------------------------------


async def case(visit: Visit) -> web.StreamResponse:
    consultancy = await _own(visit)
    return visit.go("/phone") if consultancy is None else _case_page(visit, consultancy)


async def _own(visit: Visit) -> consultants.ConsultancyView | None:
    """The case of who has proved the phone; None for anybody else."""
    invitation = await opened(visit)
    if invitation["consultancy_id"] is None:
        return None
    return await consultants.get_mine(visit.ctx, invitation["consultancy_id"])


def _case_page(
    visit: Visit, consultancy: consultants.ConsultancyView, wrong: Mapping[str, str] | None = None, status: int = 200
) -> web.StreamResponse:
    if "submit" not in consultancy["allowed_actions"]:
        return visit.draw("standing.html", consultancy=consultancy)
    given: dict[str, Any] = {
        "name": visit.text("name"), "title": visit.text("title") or consultancy["title"],
        "introduction": visit.text("introduction") or consultancy["introduction"],
        "specialities": visit.form.get("specialities") or [one["code"] for one in consultancy["specialities"]],
    }
    problems = wrong if wrong is not None else titles([*consultancy["items"]])  # type: ignore[list-item]
    return visit.draw(
        "form.html", status, consultancy=consultancy, given=given, wrong=problems, categories=CATEGORIES, photo_field=PHOTO,
        introduction_max=consultants.INTRODUCTION_MAX, returned=consultancy["state"] is ConsultantState.RETURNED,
        named=consultancy["submitted_at"] is not None,
    )


async def submit(visit: Visit) -> web.StreamResponse:
    consultancy = await _own(visit)
    if consultancy is None:
        return visit.go("/phone")
    if "submit" not in consultancy["allowed_actions"]:  # sent twice, or ended while the page was open: what it is now
        return visit.go("/case")
    values = {name: visit.text(name) for name in ("name", "title", "introduction")} | {"specialities": visit.form.get("specialities", [])}
    try:
        photo_id = await _photo(visit, consultancy["id"])
        await consultants.submit(visit.ctx, consultancy["id"], values, photo_id)
    except FormIncomplete as refusal:
        return _case_page(visit, consultancy, titles(refusal.data["items"]), 422)
    except PHOTO_REFUSALS as refusal:
        return _case_page(visit, consultancy, {PHOTO: refusal.title}, 422)
    return visit.go("/case")


async def _photo(visit: Visit, consultant_id: int) -> int | None:
    if visit.photo is None:
        return None
    name, content = visit.photo
    return (await consultants.upload_photo(visit.ctx, consultant_id, name, _once(content)))["id"]


async def _once(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


async def end(visit: Visit) -> web.StreamResponse:
    consultancy = await _own(visit)
    if consultancy is None:
        return visit.go("/phone")
    await consultants.leave(visit.ctx, consultancy["id"])
    return visit.go("/case")


# --- the privacy text ------------------------------------------------------------------------------------------------------------------


async def privacy(visit: Visit) -> web.StreamResponse:
    return visit.draw("privacy.html", blocks=list(_blocks(accounts.privacy()["text"])))


def _blocks(markdown: str) -> Any:
    """(kind, content) of what that text has: headings, tables, paragraphs."""
    for block in re.split(r"\n\s*\n", markdown.strip()):
        lines = block.splitlines()
        if block.startswith("#"):
            yield "heading", block.lstrip("# ")
        elif block.startswith("|"):
            yield "table", [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not CELL_RULE.match(line)]
        else:
            yield "text", block
