"""资格申请, 进度查询, 申诉: where an organisation's cases stand."""

from bot.answering import Talk, answers, day, say
from bot.talk import Reply
from handlers import appeals, applications, qualifications
from handlers.appealable import list_appealable
from handlers.appeals import FILING_WORKING_DAYS
from handlers.application_views import ApplicationView
from handlers.paging import Page
from handlers.refusals import NotFound
from models.approvals import ApplicationKind, ApplicationState

STATES = {
    ApplicationState.DRAFT: "暂存，尚未提交", ApplicationState.SUBMITTED: "审核中", ApplicationState.RETURNED: "退回补正",
    ApplicationState.APPROVED: "审核通过", ApplicationState.REJECTED: "审核拒绝", ApplicationState.WITHDRAWN: "已撤回",
}
OWN_KINDS = {"enterprise": (ApplicationKind.ENTERPRISE_CERTIFICATION,), "institution": (ApplicationKind.INSTITUTION_ADMISSION,)}
APPEAL_STATES = {"in_review": "审核中", "returned": "退回补充", "upheld": "维持原决定", "overturned": "撤销原决定"}


@answers("qualification")
async def qualification(talk: Talk) -> list[Reply]:
    found = (await qualifications.list_standings(talk.ctx))["items"]
    if not found:
        return talk.tell("qualification.none")
    lines = [
        say("qualification.line", name=one["programme_name"],
            state=STATES[one["state"]] if one["state"] else say("qualification.never"),
            outdated=one["state"] is ApplicationState.APPROVED and not one["complete"])
        for one in found
    ]
    return talk.tell("qualification.some", lines="\n".join(lines), buttons=(talk.button("进度查询"), talk.button("预约服务券", "预约")))


@answers("progress")
async def progress(talk: Talk) -> list[Reply]:
    """Each application with its place in the queue (F11)."""
    asked: list[tuple[ApplicationKind, int | None]] = [(kind, None) for kind in OWN_KINDS[talk.group]]
    if talk.group == "enterprise":
        standings = (await qualifications.list_standings(talk.ctx))["items"]
        asked += [(ApplicationKind.QUALIFICATION, one["programme_id"]) for one in standings if one["state"] is not None]
    found = [one for kind, programme in asked if (one := await _application(talk, kind, programme)) is not None]
    if not found:
        return talk.tell("progress.none")
    return talk.tell("progress.some", lines="\n".join(_line(one) for one in found))


async def _application(talk: Talk, kind: ApplicationKind, programme_id: int | None) -> ApplicationView | None:
    try:
        return await applications.get_application(talk.ctx, kind, programme_id)
    except NotFound:
        return None


def _line(one: ApplicationView) -> str:
    queue = one["queue"]
    return say(
        "progress.line", title=one["title"], state=STATES[one["state"]], reason=one["reason"],
        position=queue["position"] if queue else "", days=str(queue["working_days_left"]) if queue else "",
        due=day(queue["due_at"]) if queue else "",
    )


@answers("appeal")
async def appeal(talk: Talk) -> list[Reply]:
    """What may be appealed against and until when, what to bring, and the appeals that run."""
    open_to = await list_appealable(talk.ctx)
    running = [one for one in (await appeals.list_appeals(talk.ctx, Page(limit=5)))["items"] if one["decided_at"] is None]
    lines = [say("appeal.line", title=one["title"], until=day(one["until"]), reason=one["reason"]) for one in open_to]
    lines += [say("appeal.running", title=one["title"], state=APPEAL_STATES[str(one["state"])]) for one in running]
    if not lines:
        return talk.tell("appeal.none", days=FILING_WORKING_DAYS)
    return talk.tell("appeal.some", lines="\n".join(lines), days=FILING_WORKING_DAYS)
