"""One sentence of one person: understood, continued where a conversation stands, answered. The API's use-cases do it (decision 0190)."""

from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

import bot.topics
from bot.answering import ANSWERS, NO, Talk, refused, say
from bot.binding_talk import HOW_TO
from bot.conversation_help import examples
from bot.intents import NAMED, Intent, Match, group_of, intents, understand
from bot.slots import holds_secret, tokens
from bot.talk import Button, Reply, Said, Saying
from bot.topics import approving
from bot.wording import phrases, spelled, squeezed
from handlers import dialogues, help_requests
from handlers.context import Context
from handlers.dialogues import Dialogue
from handlers.refusals import Kind, Refusal

for _found in iter_modules(bot.topics.__path__):
    import_module(f"bot.topics.{_found.name}")

EXAMPLES_MAX = 8  # 帮助 has all of them
CLEAR = 0.9  # where only yes and no were asked for, a sentence with words of its own is something else from here on
# Steps that take any words. Elsewhere a sentence that is clearly something else is taken as something else.
FREE = frozenset({"reason", "text", "title", "summary", "content"})
PRIVATE = frozenset({"name", "phone"})
# What may be said where others read along: nothing of it shows more than masked data (rule 8 of decision 0191).
IN_GROUPS = frozenset({"help", "human", "announcements", "find_service", "todo", "show_case", "approve", "reject", "return_case", "recuse"})


async def converse(ctx: Context, saying: Saying) -> list[Reply]:
    """`ctx.actor` is the person whom the platform vouches for, in the acting membership; nobody (no person) is told how to bind.

    Raises nothing that a person caused: refusals are answers.
    """
    if ctx.actor.person_id is None:
        return [HOW_TO]
    if any(holds_secret(spelled(typed)) for typed in _typed(saying)):
        return [Reply(say("general.secret"), page="pages/orders/index", private=True)]
    try:
        replies = await _HEARD[saying.kind](ctx, saying)
    except Refusal as refusal:
        replies = [Reply(refused(refusal), private=True)]
    return [replace(reply, private=True) if saying.in_group and not reply.card_key else reply for reply in replies]


def _typed(saying: Saying) -> list[str]:
    if saying.kind is Said.FILE:  # a number and a name
        return []
    return [*([saying.text] if saying.kind is Said.TEXT else []), *saying.values.values()]


# --- what is said -------------------------------------------------------------------------------------------------------------


async def _menu(ctx: Context, saying: Saying) -> list[Reply]:
    intent = intents().get(saying.text)
    return await _begin(ctx, saying, Match(intent)) if intent is not None else _lost(ctx)


async def _card(ctx: Context, saying: Saying) -> list[Reply]:
    """A button: of an approval, of a dialogue as it stood, or one that says a phrase for the membership that it was shown to."""
    form, _, rest = saying.text.partition(".")
    if form == "a":
        return await _run(Talk(ctx, saying, intents()["show_case"], text=rest), None, approving.tapped)
    owner, _, phrase = rest.partition(".")
    if form == "s" and phrase and owner == str(ctx.actor.membership_id or 0):
        return await _text(ctx, replace(saying, kind=Said.TEXT, text=phrase))
    if form == "d" and phrase:
        dialogue = await dialogues.find_dialogue(ctx)
        if dialogue is not None and owner == str(dialogue.version) and _alive(dialogue, saying):
            return await _continue(ctx, saying, dialogue, phrase)
    return [Reply(say("general.stale"), private=True)]


async def _file(ctx: Context, saying: Saying) -> list[Reply]:
    """A file is a result of a service: of the order that is being finished, or of one that is asked for."""
    intent, dialogue = intents()["finish"], await dialogues.find_dialogue(ctx)
    if dialogue is not None and not _alive(dialogue, saying):
        dialogue = None
    if dialogue is not None and dialogue.intent == intent.name:
        talk, left = _talk(ctx, saying, intent, dialogue), None
    else:
        talk, left = Talk(ctx, saying, intent), dialogue
        dialogue = None
    if not saying.values:  # in a group nothing is fetched
        return await _run(talk, None)
    talk.known["attachment_id"] = int(saying.values["attachment_id"])
    talk.private["file"] = saying.values["name"]
    if left is not None:
        await dialogues.finish_dialogue(ctx, saying.message_id)
    replies = await _run(talk, dialogue)
    return replies if left is None else [*replies, Reply(say("general.left", title=intents()[left.intent].title))]


async def _text(ctx: Context, saying: Saying) -> list[Reply]:
    dialogue = await dialogues.find_dialogue(ctx)
    if dialogue is None or not _alive(dialogue, saying):
        await help_requests.remember_line(ctx, saying.text)
        return await _anew(ctx, saying)
    if dialogue.step not in PRIVATE:
        await help_requests.remember_line(ctx, saying.text)
    return await _in_dialogue(ctx, saying, dialogue)


async def _anew(ctx: Context, saying: Saying) -> list[Reply]:
    if squeezed(spelled(saying.text)) in _words("no"):
        return [Reply(say("general.nothing_to_cancel"))]
    match = understand(group_of(ctx.actor), saying.text)
    if match.intent is None:
        return _which(ctx, saying, match) if match.offered else _lost(ctx)
    return await _begin(ctx, saying, match)


_HEARD = {Said.MENU: _menu, Said.CARD: _card, Said.TEXT: _text, Said.FILE: _file}


# --- in a conversation of several steps ---------------------------------------------------------------------------------------


def _alive(dialogue: Dialogue, saying: Saying) -> bool:
    return not dialogue.finished or dialogue.message_id == saying.message_id


async def _in_dialogue(ctx: Context, saying: Saying, dialogue: Dialogue) -> list[Reply]:
    intent, said = intents()[dialogue.intent], squeezed(spelled(saying.text))
    if dialogue.message_id == saying.message_id and not dialogue.finished:  # delivered again: the same question again
        return await _run(_talk(ctx, saying, intent, dialogue), dialogue)
    if said in _words("no") and (dialogue.step not in FREE or said in {NO, "退出"}):
        await dialogues.finish_dialogue(ctx, saying.message_id)
        return [Reply(say("general.cancelled", title=intent.title))]
    if not (said in _words("yes") and dialogue.step == "confirm"):
        match = understand(group_of(ctx.actor), saying.text)
        if match.intent is not None and _is_another(match, dialogue):
            return await _leave_for(ctx, saying, match, intent)
    return await _continue(ctx, saying, dialogue, saying.text)


def _is_another(match: Match, dialogue: Dialogue) -> bool:
    """A sentence that is wholly a phrase of the table; where any words may stand, only one of another intent."""
    assert match.intent is not None
    if dialogue.step in FREE:
        return match.score >= NAMED and match.intent.name != dialogue.intent
    return match.score >= NAMED or (dialogue.step == "confirm" and match.score >= CLEAR)


async def _leave_for(ctx: Context, saying: Saying, match: Match, left: Intent) -> list[Reply]:
    """Another thing in the middle: it is done, and the one before is given up aloud, so that nothing happens unnoticed later."""
    await dialogues.finish_dialogue(ctx, saying.message_id)
    replies = await _begin(ctx, saying, match)
    return [*replies, Reply(say("general.left", title=left.title))]


async def _continue(ctx: Context, saying: Saying, dialogue: Dialogue, answer: str) -> list[Reply]:
    talk = _talk(ctx, saying, intents()[dialogue.intent], dialogue)
    talk.step, talk.text, talk.found = dialogue.step, answer, tuple(tokens(spelled(answer)))
    if dialogue.step == "confirm":
        if squeezed(spelled(answer)) not in _words("yes"):
            return [Reply(say("general.confirm_again", title=talk.intent.title))]
        talk.known["confirm"] = True
    elif dialogue.step in PRIVATE:
        talk.private[dialogue.step] = answer.strip()
    else:
        talk.known[dialogue.step] = answer.strip()
    return await _run(talk, dialogue)


def _talk(ctx: Context, saying: Saying, intent: Intent, dialogue: Dialogue) -> Talk:
    return Talk(ctx, saying, intent, text=saying.text, known=dict(dialogue.slots), private=dict(dialogue.private))


# --- answering ------------------------------------------------------------------------------------------------------------------


async def _begin(ctx: Context, saying: Saying, match: Match) -> list[Reply]:
    assert match.intent is not None
    text = saying.text if saying.kind is Said.TEXT else ""
    return await _run(Talk(ctx, saying, match.intent, text=text, rest=match.rest, found=match.found), None)


async def _run(talk: Talk, dialogue: Dialogue | None, answer: approving.Answering | None = None) -> list[Reply]:
    """The answer, and the dialogue as it leaves it: waiting for the next step, or over."""
    ctx, message = talk.ctx, talk.saying.message_id
    if not talk.intent.allows(ctx.actor):
        return [Reply(say("general.not_yours", title=talk.intent.title), buttons=(talk.button("切换身份"),), private=True)]
    if talk.saying.in_group and talk.intent.name not in IN_GROUPS:
        return [Reply(say("general.not_in_groups", title=talk.intent.title), page=talk.intent.page, private=True)]
    try:
        replies = await (answer or ANSWERS[talk.intent.name])(talk)
    except Refusal as refusal:
        if dialogue is not None and refusal.kind is not Kind.UNAVAILABLE:
            await dialogues.finish_dialogue(ctx, message)
        raise
    if talk.asked:
        known = {name: value for name, value in talk.known.items() if name != "confirm"}
        after = dialogue.version if dialogue is not None and not dialogue.finished else 0
        version = await dialogues.keep_dialogue(
            ctx, talk.intent.name, talk.asked, known, talk.private, message_id=message, after=after
        )
        return [replace(reply, buttons=tuple(_numbered(button, version) for button in reply.buttons)) for reply in replies]
    if dialogue is not None:
        await dialogues.finish_dialogue(ctx, message)
    return replies


def _numbered(button: Button, version: int) -> Button:
    """A button of a dialogue answers the question that it was shown with, and no later one."""
    form, _, rest = button.action.partition(".")
    return replace(button, action=f"d.{version}.{rest.partition('.')[2]}") if form == "d" else button


def _which(ctx: Context, saying: Saying, match: Match) -> list[Reply]:
    talk = Talk(ctx, saying, match.offered[0])
    titles = [intent.title for intent in match.offered]
    return [Reply(say("general.which", titles="、".join(f"「{title}」" for title in titles)),
                  buttons=tuple(talk.button(intent.title, intent.phrases[0]) for intent in match.offered))]


def _lost(ctx: Context) -> list[Reply]:
    """What somebody in this role can say: the first phrase of what is for this role alone, then of what is for everybody."""
    return [Reply(say("general.lost", examples=examples(ctx, EXAMPLES_MAX)), page="pages/help/index")]


def _words(kind: str) -> frozenset[str]:
    return frozenset(spelled(word) for word in phrases("synonyms")["answers"][kind])
