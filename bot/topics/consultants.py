"""顾问: an institution's list, invitation and end; a consultant's institution, badge and leaving; the score of both (D07-D11, F27)."""

from typing import Any

from bot.answering import Talk, answers, day, say
from bot.slots import phone_of, tokens
from bot.talk import Reply
from bot.wording import spelled, squeezed
from handlers import consultants, score_pages
from handlers.consultants import ConsultancyView, ConsultantView
from handlers.paging import Page
from handlers.personal import mask_name, mask_phone

SHOWN, NAME_MAX, CHANGES = 10, 20, 3
STATES = {"added": "已添加，未邀请", "invited": "已邀请", "filling": "填写资料中", "in_review": "审核中", "returned": "退回补正",
          "rejected": "审核拒绝", "active": "已认证", "ended": "已解除"}


async def _own(talk: Talk) -> list[ConsultantView]:
    return (await consultants.list_consultants(talk.ctx, None, Page(limit=100)))["items"]


@answers("consultants")
async def show_consultants(talk: Talk) -> list[Reply]:
    found = [one for one in await _own(talk) if one["state"] != "ended"][:SHOWN]
    if not found:
        return talk.tell("consultants.none", buttons=(talk.button("邀请顾问"),))
    lines = [say("consultants.line", name=one["display_name"], state=STATES[one["state"]]) for one in found]
    return talk.tell("consultants.some", lines="\n".join(lines), buttons=(talk.button("邀请顾问"), talk.button("解除顾问")))


@answers("invite_consultant")
async def invite(talk: Talk) -> list[Reply]:
    """邀请顾问 张三 138…: added and invited, after a look at the masked number. Name and phone are kept sealed meanwhile."""
    _heard(talk)
    private = talk.private
    if not 0 < len(private.get("name", "")) <= NAME_MAX:
        return talk.ask("name", say("consultants.ask_name"))
    phone = phone_of(tokens(spelled(private.get("phone", ""))))
    if phone is None:
        private.pop("phone", None)
        return talk.ask("phone", say("consultants.ask_phone", name=mask_name(private["name"])))
    if not talk.confirmed:
        return talk.confirm(say("consultants.confirm_invite", name=mask_name(private["name"]), phone=mask_phone(phone)))
    added = await talk.once(consultants.add_consultant, name=private["name"], display_name=None, phone=phone, email=None, specialities=())
    await talk.once(consultants.invite, added["id"])
    return talk.tell("consultants.invited", name=added["display_name"], page="pages/consultants/index")


def _heard(talk: Talk) -> None:
    """Name and phone where the first sentence had them."""
    if talk.step:
        return
    if phone := phone_of(list(talk.found)):
        talk.private["phone"] = phone
    name = squeezed(spelled(talk.rest).replace(phone or "\0", ""))
    if name and not any(letter.isdecimal() for letter in name):
        talk.private["name"] = name


@answers("end_consultant")
async def end(talk: Talk) -> list[Reply]:
    found = [one for one in await _own(talk) if one["state"] != "ended"]
    if not found:
        return talk.tell("consultants.none")
    said = squeezed(spelled(str(talk.known.get("which") or talk.rest)))
    meant = [one for one in found if one["id"] == talk.known.get("consultant_id")] or [
        one for one in found if said and said in {name := squeezed(spelled(one["display_name"])), name[:1] + "顾问"}
    ]
    if len(meant) != 1:
        talk.known.pop("which", None)
        return talk.ask("which", say("consultants.which"), *(one["display_name"] for one in found[:SHOWN]))
    one = meant[0]
    talk.known["consultant_id"] = one["id"]
    if not talk.confirmed:
        return talk.confirm(say("consultants.confirm_end", name=one["display_name"]))
    await talk.once(consultants.unlink, one["id"])
    return talk.tell("consultants.ended", name=one["display_name"])


# --- the consultant -------------------------------------------------------------------------------------------------------------------


async def _mine(talk: Talk) -> ConsultancyView | None:
    found = (await consultants.list_mine(talk.ctx, Page(limit=100)))["items"]
    return next((one for one in found if one["institution_id"] == talk.ctx.organisation_id and one["state"] == "active"), None)


@answers("my_institution")
async def my_institution(talk: Talk) -> list[Reply]:
    mine = await _mine(talk)
    if mine is None:
        return talk.tell("consultants.not_one")
    return talk.tell("consultants.mine", institution=mine["institution_name"], name=mine["display_name"], state=STATES[mine["state"]],
                     buttons=(talk.button("出示证件"), talk.button("退出机构")))


@answers("leave_institution")
async def leave(talk: Talk) -> list[Reply]:
    mine = await _mine(talk)
    if mine is None:
        return talk.tell("consultants.not_one")
    if not talk.confirmed:
        return talk.confirm(say("consultants.confirm_leave", institution=mine["institution_name"]))
    await talk.once(consultants.leave, mine["id"])
    return talk.tell("consultants.left", institution=mine["institution_name"])


@answers("badge")
async def badge(talk: Talk) -> list[Reply]:
    shown = await consultants.show_badge(talk.ctx)
    return talk.tell("consultants.badge", name=shown["display_name"], institution=shown["institution_name"],
                     until=day(shown["valid_until"]), url=shown["url"])


# --- the score --------------------------------------------------------------------------------------------------------------------------


def _points(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}" if hundredths >= 0 else f"-{_points(-hundredths)}"


@answers("score")
async def score(talk: Talk) -> list[Reply]:
    """The components and what changed them last (F27)."""
    found: Any
    if talk.group == "consultant":
        mine = await _mine(talk)
        if mine is None:
            return talk.tell("consultants.not_one")
        found = await score_pages.get_consultant_score(talk.ctx, mine["id"])
        changes = (await score_pages.list_consultant_score_changes(talk.ctx, mine["id"], Page(limit=CHANGES)))["items"]
    else:
        found = await score_pages.get_score(talk.ctx, talk.ctx.organisation_id)
        changes = (await score_pages.list_score_changes(talk.ctx, talk.ctx.organisation_id, Page(limit=CHANGES)))["items"]
    lines = [say("scores.line", title=one["title"], points=_points(one["hundredths"]), most=_points(one["most_hundredths"]))
             for one in found["components"]]
    told = [say("scores.change", at=day(one["at"]), title=one["title"], before=_points(one["before_hundredths"]),
                after=_points(one["after_hundredths"]), facts="、".join(f"{fact['title']} {fact['count']:+d}" for fact in one["facts"]))
            for one in changes]
    return talk.tell("scores.some", total=_points(found["total_hundredths"]), activity=_points(found["activity_hundredths"]),
                     as_of=found["as_of"], lines="\n".join(lines), changes="\n".join(told))
