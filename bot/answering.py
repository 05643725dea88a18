"""What an answer is made of: the texts of bot/phrases/answers.toml, and a `Talk`, which is one sentence in its conversation."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import orjson

from bot.intents import Intent, group_of, intents
from bot.slots import Token
from bot.talk import Button, Reply, Saying
from bot.wording import phrases
from handlers.context import Context, Idempotency
from handlers.money import grouped_yuan
from handlers.notice_filling import CLAUSE, fill, shown_fact
from handlers.refusals import Busy, Refusal
from handlers.sessions import kept_answer, worth_another_try
from handlers.transactions import AnsweredMeanwhileError
from handlers.working_days import SHANGHAI

IF = re.compile(r"\{(\w+)\?\}")
TRIES = 3
YES, NO = "确认", "取消"


def yuan(fen: int) -> str:
    """1,000 or 1,000.50: as people here write amounts in a message."""
    return grouped_yuan(fen).removesuffix(".00")


def day(value: date | datetime | str | None) -> str:
    """2026年3月31日, or 3月2日 09:00 for an instant, in Asia/Shanghai."""
    return "" if value is None else shown_fact(value if isinstance(value, str) else value.isoformat())


def tail(number: str) -> str:
    """A long number as it is said aloud: 2026…8137."""
    return f"{number[:4]}…{number[-4:]}"


def masked_company(name: str) -> str:
    """For a group: 山东**有限公司 is enough for who knows, and nothing for who does not."""
    return f"{name[:2]}***"


def say(key: str, **facts: object) -> str:
    """A text of answers.toml: `section.name`. A [clause] is left out if a {fact} of it is not there; {fact?} is only asked for.

    Raises KeyError.
    """
    section, _, name = key.partition(".")
    shown = {fact: str(value) for fact, value in facts.items() if value not in (None, "", False)}

    def decided(clause: re.Match[str]) -> str:
        asked = IF.findall(clause[1])
        return f"[{IF.sub('', clause[1])}]" if all(fact in shown for fact in asked) else ""

    filled = fill(CLAUSE.sub(decided, phrases("answers")[section][name]), shown)
    return "\n".join(line for line in filled.splitlines() if line.strip()).strip()


@dataclass
class Talk:
    """`rest` is the free text of the sentence as typed, `found` what it names; `known` and `private` what was answered before.

    An answer that needs more asks for it (`ask`); the conversation then comes back with `answer` for `step`.
    """

    ctx: Context
    saying: Saying
    intent: Intent
    text: str = ""
    rest: str = ""
    found: tuple[Token, ...] = ()
    known: dict[str, Any] = field(default_factory=dict)
    private: dict[str, str] = field(default_factory=dict)
    step: str = ""
    asked: str = ""

    @property
    def group(self) -> str:
        return group_of(self.ctx.actor)

    @property
    def today(self) -> date:
        return self.ctx.now.astimezone(SHANGHAI).date()

    # --- answers ---------------------------------------------------------------------------------------------------------

    def reply(self, text: str, *, page: str | None = None, buttons: tuple[Button, ...] = (), **more: Any) -> list[Reply]:
        """One answer with the page of its intent, unless another is given ("" for none)."""
        return [Reply(text, title=self.intent.title, page=self.intent.page if page is None else page, buttons=buttons, **more)]

    def tell(self, key: str, *, page: str | None = None, buttons: tuple[Button, ...] = (), **facts: object) -> list[Reply]:
        return self.reply(say(key, **facts), page=page, buttons=buttons)

    def button(self, title: str, phrase: str | None = None) -> Button:
        """Says a phrase, in the name of the membership that it was shown to: after a switch of identity it is stale."""
        said = phrase or title
        return Button(title, f"s.{self.ctx.actor.membership_id or 0}.{said}", said)

    def ask(self, step: str, text: str, *choices: str, page: str = "") -> list[Reply]:
        """Wait for the answer to `step`, and offer some."""
        self.asked = step
        buttons = tuple(Button(choice, f"d.{step}.{choice}", choice) for choice in choices)
        return self.reply(text, page=page, buttons=buttons)

    def confirm(self, text: str) -> list[Reply]:
        """Nothing is done before somebody has seen what it is."""
        return self.ask("confirm", text, YES, NO)

    @property
    def confirmed(self) -> bool:
        return self.known.get("confirm") is True

    # --- effects ---------------------------------------------------------------------------------------------------------

    async def once(self, use_case: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Carry out a use-case once for this message, however often it is delivered. Returns its answer as JSON has it."""
        asked = self._idempotency(use_case, args, kwargs)
        if kept := await kept_answer(asked):
            return orjson.loads(kept.answer)
        try:
            return orjson.loads(orjson.dumps(await self._carry_out(replace(self.ctx, idempotency=asked), use_case, args, kwargs)))
        except (Refusal, AnsweredMeanwhileError) as error:
            if kept := await kept_answer(asked):
                return orjson.loads(kept.answer)
            if isinstance(error, AnsweredMeanwhileError):
                raise Busy from error
            raise

    async def _carry_out(
        self, ctx: Context, use_case: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        for attempt in range(1, TRIES + 1):
            try:
                return await use_case(ctx, *args, **kwargs)
            except Busy as busy:
                if attempt == TRIES or not worth_another_try(busy):
                    raise
        raise AssertionError("the last try returns or raises")

    def _idempotency(self, use_case: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Idempotency:
        message = f"{self.saying.platform}\n{self.saying.app_id}\n{self.saying.message_id}"
        # What was asked is told by the message alone: said again it is the same, and a hash of texts would keep a trace of them.
        operation = f"bot.{self.intent.name}.{getattr(use_case, '__name__', 'use_case')}"[:64]
        told = hashlib.sha256(f"{operation}\n{len(args)}\n{sorted(kwargs)}".encode()).digest()
        actor = self.ctx.actor
        return Idempotency(
            f"p{actor.person_id}:m{actor.membership_id or 0}", operation, hashlib.sha256(message.encode()).hexdigest(), told
        )


Answer = Callable[[Talk], Awaitable[list[Reply]]]
ANSWERS: dict[str, Answer] = {}


def answers(name: str) -> Callable[[Answer], Answer]:
    """Register what is said to an intent of the table. A second one for the same is a mistake."""
    assert name in intents(), f"{name} is no intent of bot/phrases/intents.toml"

    def register(answer: Answer) -> Answer:
        assert name not in ANSWERS, f"two answers to {name}"
        ANSWERS[name] = answer
        return answer

    return register


def refused(refusal: Refusal) -> str:
    """A refusal in words: its title, and what mends it where the rules say so."""
    fixes = list(dict.fromkeys(rule["fix"] for rule in refusal.data.get("rules", ()) if rule.get("fix")))
    return say("general.refused", title=refusal.title, fixes="；".join(fixes))
