"""What everybody may ask: 帮助, 人工客服, 公示公告, 切换身份, 待办."""

from bot.answering import Talk, answers, day, say
from bot.conversation_help import examples, sentences
from bot.talk import Reply
from handlers import help_requests, rounds, todo
from handlers.paging import Page
from handlers.rounds import RoundView
from handlers.working_days import SHANGHAI, is_working_day
from models.reservations import Allocation

SHOWN = 5
OPENS, CLOSES = 9, 17  # the hotline's hours on working days, Asia/Shanghai
HELPED = frozenset({"nobody", "enterprise", "institution", "consultant"})
ROUND_STATES = {"announced": "即将开放", "open": "预约中", "closed": "预约已截止", "committed": "待摇号", "drawn": "待公示",
                "publicity": "公示中", "final": "已发券", "voided": "已作废"}


@answers("help")
async def show_help(talk: Talk) -> list[Reply]:
    return talk.tell(
        "general.help", examples=examples(talk.ctx), sentences=sentences(talk.ctx), pays=talk.group == "enterprise",
    )


@answers("human")
async def human(talk: Talk) -> list[Reply]:
    """The hotline; and for whom offices are there, a place in the queue of their division. In a group the hotline alone."""
    here = talk.ctx.now.astimezone(SHANGHAI)
    closed = not (is_working_day(here.date()) and OPENS <= here.hour < CLOSES)
    hotline = talk.ctx.settings.hotline
    if talk.saying.in_group or talk.group not in HELPED:
        return talk.tell("general.human", hotline=hotline, closed=closed)
    asked = await talk.once(help_requests.ask_for_help)
    return talk.tell(
        "general.human", hotline=hotline, closed=closed, number=asked["id"], due=day(asked["due_at"]), waiting=not asked["is_new"],
    )


@answers("announcements")
async def announcements(talk: Talk) -> list[Reply]:
    found = (await rounds.list_rounds(talk.ctx, programme_id=None, open_only=False, page=Page(limit=20)))["items"]
    shown = [one for one in found if one["state"] != "draft"][:SHOWN]
    if not shown:
        return talk.tell("announcements.none")
    lines = [say("announcements.line", name=one["name"], state=ROUND_STATES[str(one["state"])], opens=day(one["opens_at"]),
                 closes=day(one["closes_at"]), publicity=_publicity(one)) for one in shown]
    return talk.tell("announcements.some", lines="\n".join(lines))


def _publicity(one: RoundView) -> str | None:
    return day(one["publicity_at"]) if one["allocation"] == Allocation.LOTTERY else None


@answers("todo")
async def to_do(talk: Talk) -> list[Reply]:
    """What waits, by kind; a reviewer's with a card for each of the oldest cases. In a group numbers only."""
    found = await todo.list_todos(talk.ctx)
    if not found["count"]:
        return talk.tell("todo.none")
    lines = []
    for one in found["items"]:
        lines.append(say("todo.line", title=one["title"], count=one["count"], late=one["late"] or "", due=day(one["due_at"])))
        if not talk.saying.in_group:
            lines += [say("todo.item", title=item["title"], due=day(item["due_at"])) for item in one["items"][:3]]
    replies = talk.tell("todo.some", count=found["count"], lines="\n".join(lines), page=found["items"][0]["page"])
    if talk.group == "reviewer":
        from bot.topics.approving import first_cards

        replies += await first_cards(talk)
    return replies
