"""/b/<token>: what anybody sees who scans a consultant's badge."""

from aiohttp import web

from handlers import consultants
from handlers.refusals import NotFound
from miniapp_api.pages.frame import Frame, Visit


class BadgeUnknown(NotFound):
    code, title = "badge_unknown", "这不是有效的顾问工牌"


def add_to(app: web.Application, frame: Frame) -> None:
    app.router.add_get("/b/{token:[^/]{1,128}}", frame.page(badge), name="page_badge")


async def badge(visit: Visit) -> web.StreamResponse:
    try:
        found = await consultants.check_badge(visit.ctx, visit.token)
    except NotFound:
        raise BadgeUnknown from None
    return visit.draw("badge.html", badge=found)
