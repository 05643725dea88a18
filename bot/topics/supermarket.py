"""新需求, 顾问, 我的评分, 我的机构, 退出机构: what the enterprise-service supermarket knows of whoever asks."""

from bot.answering import Talk, answers, day, say, yuan
from bot.talk import Reply
from handlers import consultants, demands, score_pages
from handlers.consultants import ConsultancyView
from handlers.paging import Page
from handlers.refusals import NotFound
from handlers.score_pages import ScoreChangeView
from models.consultants import ConsultantState
from models.demands import DemandState, ResponseState

SHOWN, LOOKED_AT = 5, 50
DEMAND_STATES = {DemandState.OPEN: "待接单", DemandState.TAKEN: "对接中"}
# What an institution has still to do something about; the others have ended for it.
RESPONSE_STATES = {
    ResponseState.NOTIFIED: "待查看", ResponseState.VIEWED: "已查看，待接单", ResponseState.TAKEN: "已接单，待联系",
    ResponseState.CONTACTED: "已联系，待登记结果",
}
CONSULTANT_STATES = {
    ConsultantState.ADDED: "已添加，尚未邀请", ConsultantState.INVITED: "已邀请", ConsultantState.FILLING: "填写中",
    ConsultantState.IN_REVIEW: "审核中", ConsultantState.RETURNED: "退回补正", ConsultantState.REJECTED: "审核拒绝",
    ConsultantState.ACTIVE: "已认证", ConsultantState.ENDED: "已解除",
}
CAUSES = {"decay": "较早的业务不再全额计入", "formula": "评分公式更新", "recomputed": "重新计算"}


@answers("demands")
async def show_demands(talk: Talk) -> list[Reply]:
    """An enterprise's own with how far they have got; of an institution or a consultant what waits for them."""
    return await (_own_demands(talk) if talk.group == "enterprise" else _received_demands(talk))


async def _own_demands(talk: Talk) -> list[Reply]:
    found = (await demands.list_demands(talk.ctx, None, Page(limit=LOOKED_AT)))["items"]
    running = [one for one in found if one["state"] in DEMAND_STATES][:SHOWN]
    if not running:
        return talk.tell("demands.none_own", buttons=(talk.button("发需求"),))
    lines = [say("demands.own", title=one["title"], state=DEMAND_STATES[one["state"]], told=one["told"], viewed=one["viewed"],
                 taken=one["taken"], until=day(one["expires_at"])) for one in running]
    return talk.tell("demands.some_own", lines="\n".join(lines), page=_page([one["id"] for one in running]))


async def _received_demands(talk: Talk) -> list[Reply]:
    found = (await demands.list_received(talk.ctx, None, Page(limit=LOOKED_AT)))["items"]
    waiting = [one for one in found if one["state"] in RESPONSE_STATES and one["demand_state"] is not DemandState.CLOSED][:SHOWN]
    if not waiting:
        return talk.tell("demands.none_received")
    lines = [say("demands.received", enterprise=one["enterprise"], title=one["title"], category=one["category_title"],
                 budget=yuan(one["budget_fen"]) if one["budget_fen"] is not None else "", state=RESPONSE_STATES[one["state"]])
             for one in waiting]
    return talk.tell("demands.some_received", lines="\n".join(lines), page=_page([one["id"] for one in waiting]))


def _page(ids: list[int]) -> str | None:
    return f"pages/demands/show?id={ids[0]}" if len(ids) == 1 else None


@answers("consultants")
async def show_consultants(talk: Talk) -> list[Reply]:
    found = (await consultants.list_consultants(talk.ctx, None, Page(limit=LOOKED_AT)))["items"]
    there = [one for one in found if one["state"] is not ConsultantState.ENDED]
    if not there:
        return talk.tell("consultants.none", buttons=(talk.button("邀请顾问"),))
    lines = [say("consultants.line", name=one["display_name"], state=CONSULTANT_STATES[one["state"]], reason=one["reason"])
             for one in there[:SHOWN]]
    return talk.tell("consultants.some", count=len(there), lines="\n".join(lines))


@answers("score")
async def score(talk: Talk) -> list[Reply]:
    """The parts of the score and what has changed it lately: of the consultant who asks, or of the institution."""
    if talk.group == "consultant":
        own = (await _active(talk))["id"]
        shown: score_pages.ScoreView | score_pages.ConsultantScoreView = await score_pages.get_consultant_score(talk.ctx, own)
        changes = await score_pages.list_consultant_score_changes(talk.ctx, own, Page(limit=SHOWN))
    else:
        shown = await score_pages.get_score(talk.ctx, talk.ctx.organisation_id)
        changes = await score_pages.list_score_changes(talk.ctx, talk.ctx.organisation_id, Page(limit=SHOWN))
    parts = [say("scores.part", title=one["title"], points=points(one["hundredths"]), most=points(one["most_hundredths"]))
             for one in shown["components"]]
    return talk.tell("scores.shown", total=points(shown["total_hundredths"]), parts="\n".join(parts),
                     changes="\n".join(_change(one) for one in changes["items"]))


def points(hundredths: int) -> str:
    return f"{hundredths / 100:g}"


def _change(one: ScoreChangeView) -> str:
    facts = "、".join(f"{fact['title']} {fact['count']:+d}" for fact in one["facts"])
    return say("scores.change", at=day(one["at"]), title=one["title"], why=facts or CAUSES.get(one["cause"]),
               change=f"{(one['after_hundredths'] - one['before_hundredths']) / 100:+g}")


# --- the consultant ------------------------------------------------------------------------------------------------------------------


async def _active(talk: Talk) -> ConsultancyView:
    """The consultancy as which somebody speaks. Raises NotFound when it has ended in this instant."""
    found = (await consultants.list_mine(talk.ctx, Page(limit=LOOKED_AT)))["items"]
    for one in found:
        if one["institution_id"] == talk.ctx.organisation_id and one["state"] is ConsultantState.ACTIVE:
            return one
    raise NotFound


@answers("my_institution")
async def my_institution(talk: Talk) -> list[Reply]:
    """Every institution that the person represents or has a case with."""
    found = (await consultants.list_mine(talk.ctx, Page(limit=LOOKED_AT)))["items"]
    lines = [say("consultants.mine", institution=one["institution_name"], state=CONSULTANT_STATES[one["state"]],
                 specialities="、".join(each["title"] for each in one["specialities"]), reason=one["reason"])
             for one in found if one["state"] is not ConsultantState.ENDED]
    return talk.tell("consultants.institutions", lines="\n".join(lines))


@answers("leave_institution")
async def leave_institution(talk: Talk) -> list[Reply]:
    own = await _active(talk)
    if not talk.confirmed:
        return talk.confirm(say("consultants.confirm_leave", institution=own["institution_name"]))
    done = await talk.once(consultants.leave, own["id"])
    return talk.tell("consultants.left", institution=done["institution_name"], page="")
