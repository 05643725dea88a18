"""待审, 通过, 退回, 驳回, 回避: by cards and by text, under the eight rules of decision 0191."""

from collections.abc import Awaitable, Callable

from bot import actions
from bot.answering import Talk, answers, day, masked_company, say
from bot.cards import CASE_PAGE, outcome
from bot.intents import intents
from bot.slots import case_of, tokens
from bot.talk import Button, Reply, Said
from bot.wording import spelled
from handlers import chat_approvals, recusals
from handlers.approvals import REASON_MAX, AlreadyDecided, Decision
from handlers.bot_cards import key_of
from handlers.chat_approvals import CaseChanged, ChatCaseView

Answering = Callable[[Talk], Awaitable[list[Reply]]]
CARDS = 3
BUTTONS = {Decision.APPROVE: "通过", Decision.RETURN: "退回补正", Decision.REJECT: "驳回"}


# --- cards ----------------------------------------------------------------------------------------------------------------------


async def first_cards(talk: Talk) -> list[Reply]:
    return [card(talk, case) for case in await chat_approvals.first_cases(talk.ctx, CARDS)]


def card(talk: Talk, case: ChatCaseView) -> Reply:
    """A reviewer's card: its buttons are his. Without any, once it is decided, it is what everybody's card says. Masked in a group."""
    approval, in_group = case["approval"], talk.saying.in_group
    name = approval["organisation_name"]
    text = say(
        "approving.card", title=approval["title"], applicant=masked_company(name) if in_group else name,
        submitted=day(approval["submitted_at"]), due=day(approval["due_at"]), late=approval["is_late"] and not approval["decided_at"],
        stage=case["stage"], turns=case["turns"] if case["turns"] > 1 else "", files="" if in_group else case["files"] or "",
        changed="" if in_group else "、".join(case["changed"][:8]), last_reason="" if in_group else case["last_reason"],
        app=case["needs_app"] and not approval["decided_at"],
        outcome=outcome(str(approval["state"]), approval["decided_by"], approval["decided_at"]) if approval["state"] != "open" else "",
    )
    may = approval["state"] == "open" and not case["needs_app"]
    return Reply(text, title=say("approving.title", number=approval["id"]), page=CASE_PAGE.format(approval["id"]),
                 buttons=_buttons(talk, case) if may else (), card_key=key_of(approval["id"]),
                 is_over=approval["state"] != "open")


def _buttons(talk: Talk, case: ChatCaseView) -> tuple[Button, ...]:
    number = case["approval"]["id"]
    return tuple(
        Button(title, f"a.{actions.mint(talk.ctx, number, decision, case['version'])}", f"{title} #{number}")
        for decision, title in BUTTONS.items()
    )


async def _refreshed(talk: Talk, number: int, key: str) -> list[Reply]:
    """Why not, and the card as it is now."""
    fresh = card(talk, await chat_approvals.chat_case(talk.ctx, number))
    return [Reply(say(key, number=number), private=True), fresh]


async def tapped(talk: Talk) -> list[Reply]:
    """A button of a card. Who tapped is the platform's word, whether he may decide the use-case's."""
    action = actions.read(talk.ctx, talk.text)
    if action is None:
        return [Reply(say("general.stale"), private=True)]
    if action.membership_id != talk.ctx.membership_id:
        return [Reply(say("approving.not_your_card"), private=True)]
    if actions.is_over(action, talk.ctx.now):
        return await _refreshed(talk, action.approval_id, "approving.expired")
    name = {Decision.APPROVE: "approve", Decision.RETURN: "return_case", Decision.REJECT: "reject"}[action.decision]
    talk.intent, talk.text = intents()[name], ""
    talk.known = {"case": action.approval_id, "version": action.version}
    if reason := talk.saying.values.get("reason", "").strip():
        talk.known["reason"] = reason
    return await _decide(talk, action.decision)


# --- deciding ---------------------------------------------------------------------------------------------------------------------


@answers("show_case")
async def show_case(talk: Talk) -> list[Reply]:
    number = case_of(list(talk.found))
    if number is None:
        return talk.tell("approving.which") + await first_cards(talk)
    return [card(talk, await chat_approvals.chat_case(talk.ctx, number))]


@answers("approve")
async def approve(talk: Talk) -> list[Reply]:
    return await _decide(talk, Decision.APPROVE)


@answers("reject")
async def reject(talk: Talk) -> list[Reply]:
    return await _decide(talk, Decision.REJECT)


@answers("return_case")
async def return_case(talk: Talk) -> list[Reply]:
    return await _decide(talk, Decision.RETURN)


async def _decide(talk: Talk, decision: Decision) -> list[Reply]:
    number = await _number(talk)
    if isinstance(number, list):
        return number
    reason = _reason(talk)
    if len(reason) > REASON_MAX or (decision is not Decision.APPROVE and not reason):
        case = await chat_approvals.chat_case(talk.ctx, number)
        if case["needs_app"] or case["approval"]["state"] != "open":
            return [card(talk, case)]
        talk.known = {"case": number, "version": talk.known["version"]}
        return talk.ask("reason", say("approving.why", number=number, title=case["approval"]["title"], done=BUTTONS[decision]))
    try:
        decided = await talk.once(chat_approvals.decide_in_chat, number, talk.known["version"], decision, reason or None)
    except AlreadyDecided as late:
        case = await chat_approvals.chat_case(talk.ctx, number)
        told = outcome(late.data["state"], late.data["by"], late.data["at"])
        return [Reply(say("approving.too_late", number=number, outcome=told), private=True), card(talk, case)]
    except CaseChanged:
        return await _refreshed(talk, number, "approving.changed")
    except chat_approvals.DecisionNeedsApp as refusal:
        return [Reply(say("approving.needs_app", number=number, title=refusal.title), page=CASE_PAGE.format(number), private=True)]
    return _told(talk, decided["id"], outcome(decided["state"], decided["decided_by"], decided["decided_at"]),
                 card(talk, await chat_approvals.chat_case(talk.ctx, number)))


def _told(talk: Talk, number: int, told: str, updated: Reply) -> list[Reply]:
    """Everybody's card says it; who typed is answered besides."""
    if talk.saying.kind is Said.CARD:
        return [updated]
    return [Reply(say("approving.done", number=number, outcome=told), page=CASE_PAGE.format(number)), updated]


async def _number(talk: Talk) -> int | list[Reply]:
    """The case that is meant, in the version that stands now, unless a card has said which was shown."""
    if "case" in talk.known:
        return int(talk.known["case"])
    number = case_of(list(talk.found))
    if number is None:
        return talk.tell("approving.which") + await first_cards(talk)
    talk.known |= {"case": number, "version": (await chat_approvals.chat_case(talk.ctx, number))["version"]}
    return number


def _reason(talk: Talk) -> str:
    """What was answered, or what stands behind the number in the sentence."""
    if "reason" in talk.known:
        return str(talk.known["reason"]).strip()
    if talk.step or talk.saying.kind is Said.CARD:
        return ""
    rest = talk.rest
    for token in tokens(spelled(rest)):
        if token.digits == str(talk.known.get("case")):
            rest = rest[:token.start] + rest[token.end:]
            break
    return rest.strip(" \t\n#，,。：:、")


@answers("recuse")
async def recuse(talk: Talk) -> list[Reply]:
    number = await _number(talk)
    if isinstance(number, list):
        return number
    reason = _reason(talk)
    if not reason or len(reason) > REASON_MAX:
        return talk.ask("reason", say("approving.why_recused", number=number))
    await talk.once(recusals.recuse, number, reason)
    return talk.tell("approving.recused", number=number, page="pages/approvals/index")
