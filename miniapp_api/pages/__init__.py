"""Pages for a phone's browser, for people who have no app yet: drawn on the server, and whole without JavaScript."""

from aiohttp import web

from miniapp_api.edge import Edge
from miniapp_api.pages import badges, invitations
from miniapp_api.pages.frame import Frame


def add_to(app: web.Application, edge: Edge) -> None:
    frame = Frame(edge)
    frame.add_static(app)
    invitations.add_to(app, frame)
    badges.add_to(app, frame)
