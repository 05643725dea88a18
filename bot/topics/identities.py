"""切换身份: for which organisation somebody acts in this chat, whatever their phone is signed in as (F08)."""

from bot.answering import Talk, answers, say
from bot.slots import case_of
from bot.talk import Reply
from handlers.speakers import choose_membership, list_choices

BUTTONS_MAX = 6
ROLES = {"owner": "负责人", "handler": "经办人", "finance": "财务", "viewer": "只读", "consultant": "服务顾问"}


@answers("switch_identity")
async def switch_identity(talk: Talk) -> list[Reply]:
    """The list with its numbers; with a number, that one from the next sentence on."""
    choices = await list_choices(talk.ctx)
    if not choices:
        return talk.tell("identities.none")
    number = case_of(list(talk.found))
    if number is not None and number <= len(choices):
        chosen = choices[number - 1]
        await choose_membership(talk.ctx, chosen["membership_id"])
        return talk.tell("identities.chosen", name=chosen["organisation_name"], role=ROLES.get(chosen["role"], "工作人员"))
    lines = [
        say("identities.line", number=str(place), name=one["organisation_name"], role=ROLES.get(one["role"], "工作人员"),
            acting="当前" if one["is_acting"] else "")
        for place, one in enumerate(choices, 1)
    ]
    others = [place for place, one in enumerate(choices, 1) if not one["is_acting"]][:BUTTONS_MAX]
    return talk.tell("identities.list", lines="\n".join(lines), buttons=tuple(talk.button(f"切换身份 {place}") for place in others))
