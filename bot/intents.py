"""Which intent a sentence is: the table of bot/phrases, and how near a sentence comes to a phrase of it. No I/O but at the start."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from bot.slots import Kind, Token, tokens, without
from bot.wording import phrases, spelled, squeezed
from handlers.context import Actor
from models.accounts import MEMBER_ROLES, OrganisationKind, Role

PLACE = re.compile(r"\{(\w+)\}")
SLOTS = frozenset({"order", "amount", "month", "voucher", "ticket", "case", "phone", "text"})
DISTRICT = re.compile(r"[\u4e00-\u9fff]{1,6}[区县市]")

EXACT, NAMED = 1.0, 0.98
SURE = 0.75     # from here the intent is taken
THINKABLE = 0.6  # from here it is offered
CLOSE = 0.06    # two intents nearer to each other than this: which of them is asked back
OFFERED_MAX = 3


@dataclass(frozen=True, slots=True)
class Intent:
    """One section of intents.toml. `roles` empty: every role of the groups."""

    name: str
    title: str
    who: frozenset[str]
    roles: frozenset[str]
    page: str
    phrases: tuple[str, ...]

    def is_for(self, group: str) -> bool:
        return group in self.who or "any" in self.who

    def allows(self, actor: Actor) -> bool:
        return self.is_for(group_of(actor)) and (not self.roles or str(actor.role) in self.roles)


@dataclass(frozen=True, slots=True)
class Match:
    """`intent` None: not understood, or between `offered`. `rest`: the free text as typed, `found`: what is named in the sentence."""

    intent: Intent | None
    offered: tuple[Intent, ...] = ()
    rest: str = ""
    found: tuple[Token, ...] = ()
    score: float = 0.0


@cache
def intents() -> dict[str, Intent]:
    return {name: _intent(name, each) for name, each in phrases("intents").items()}


def _intent(name: str, given: dict[str, Any]) -> Intent:
    return Intent(name, given["title"], frozenset(given["who"]), frozenset(given.get("roles", ())), given["page"], tuple(given["phrases"]))


def group_of(actor: Actor) -> str:
    """As whom somebody speaks. A person without an organisation is bound, and nobody yet."""
    if actor.role is None or actor.organisation_id is None:
        return "nobody"
    if actor.role is Role.CONSULTANT:
        return "consultant"
    if actor.role in MEMBER_ROLES:
        return "institution" if actor.organisation_kind is OrganisationKind.INSTITUTION else "enterprise"
    if actor.role in {Role.REVIEWER, Role.CENTRE_REVIEWER, Role.RISK_OFFICER, Role.ADMIN}:
        return "reviewer"
    return "finance" if actor.role in {Role.PAYOUT_OFFICER, Role.PROGRAMME_MANAGER} else "official"


# --- the words of a sentence ------------------------------------------------------------------------------------------------


@cache
def _synonyms() -> tuple[re.Pattern[str], dict[str, str]]:
    words = {spelled(said): spelled(meant) for said, meant in phrases("synonyms")["words"].items()}
    words |= {spelled(filler): "" for filler in phrases("synonyms")["fillers"]}
    return re.compile("|".join(sorted(map(re.escape, words), key=len, reverse=True))), words


@cache
def _vouchers() -> re.Pattern[str]:
    aliases = sorted(map(re.escape, (spelled(alias) for alias in phrases("synonyms")["vouchers"])), key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(aliases)})(?:服务)?(?:专用|通用)?券?")


def words_of(text: str, found: Sequence[Token]) -> str:
    """What remains of a spelled sentence without what it names, without politeness, each word for its synonyms."""
    pattern, words = _synonyms()
    return squeezed(pattern.sub(lambda match: words[match[0]], _vouchers().sub("", squeezed(without(text, list(found))))))


def _literal(phrase: str) -> str:
    return PLACE.sub("", spelled(phrase))


# --- matching ---------------------------------------------------------------------------------------------------------------


class Matcher:
    """All phrases of one group, ready to be compared with."""

    def __init__(self, known: Iterable[Intent]) -> None:
        self.exact: dict[str, Intent] = {}
        self.plain: dict[str, Intent] = {}
        self.heads: dict[str, Intent] = {}
        self.tails: dict[str, Intent] = {}
        self.voucher_heads: dict[str, Intent] = {}
        for intent in known:
            for phrase in intent.phrases:
                self._learn(intent, phrase)
        self.list = list(self.plain)
        self.inside = _any_of(word for word in self.plain if len(word) > 1)
        self.head = re.compile(f"{_fillers()}({_any_of(self.heads).pattern})(.+)", re.DOTALL) if self.heads else None
        self.voucher_head = re.compile(f"{_fillers()}({_any_of(self.voucher_heads).pattern})(.+)") if self.voucher_heads else None
        self.tail = re.compile(f"(.+?)({_any_of(self.tails).pattern})", re.DOTALL) if self.tails else None

    def _learn(self, intent: Intent, phrase: str) -> None:
        plain = words_of(literal := _literal(phrase), tokens(literal))
        if plain:
            self.plain.setdefault(plain, intent)
        if not PLACE.search(phrase):
            self.exact.setdefault(squeezed(spelled(phrase)), intent)
        elif phrase.endswith("{text}"):
            self.heads.setdefault(spelled(phrase[:phrase.index("{")]), intent)
        elif phrase.startswith("{text}"):
            self.tails.setdefault(_literal(phrase), intent)
        elif phrase.endswith("{voucher}"):
            self.voucher_heads.setdefault(spelled(phrase[:phrase.index("{")]), intent)

    def match(self, text: str) -> Match:
        """The intent of a sentence, or those that it may be."""
        said = spelled(text)
        whole = squeezed(said)
        if intent := self.exact.get(whole):
            return Match(intent, score=EXACT, found=tuple(tokens(said)))
        found = tuple(tokens(said))
        plain = words_of(said, found)
        scores: dict[str, tuple[float, Intent, str]] = {}
        self._by_words(plain, scores)
        self._by_shape(text, said, scores)
        best = sorted(scores.values(), key=lambda each: each[0], reverse=True)
        if not best:
            return Match(None, found=found)
        score, intent, rest = best[0]
        if score < SURE or (len(best) > 1 and score < NAMED and score - best[1][0] < CLOSE):
            return Match(None, tuple(each[1] for each in best[:OFFERED_MAX]), found=found, score=score)
        return Match(intent, rest=rest, found=found, score=score)

    def _by_words(self, plain: str, scores: dict[str, tuple[float, Intent, str]]) -> None:
        if not plain:
            return
        if intent := self.plain.get(plain):
            _keep(scores, NAMED, intent)
            return
        for word in dict.fromkeys(self.inside.findall(plain)):
            _keep(scores, min(0.95, 0.72 + 0.04 * len(word)), self.plain[word])
        for phrase, likeness, _ in process.extract(
            plain, self.list, scorer=Levenshtein.normalized_similarity, score_cutoff=THINKABLE, limit=6, processor=None
        ):
            _keep(scores, likeness * 0.97, self.plain[phrase])

    def _by_shape(self, text: str, said: str, scores: dict[str, tuple[float, Intent, str]]) -> None:
        """Sentences with something of one's own in them: 「驳回 1287 缺合同日期」, 「ISO14001 哪家能用券」, 「预约 审计券」."""
        if self.head and (match := self.head.fullmatch(said.strip())) and squeezed(match[2]):
            start = said.index(match[1]) + len(match[1])
            _keep(scores, min(0.97, 0.82 + 0.03 * len(match[1])), self.heads[match[1]], text[start:].strip())
        if self.voucher_head and (match := self.voucher_head.fullmatch(said.strip())) and _vouchers().search(match[2]):
            start = said.index(match[1]) + len(match[1])
            _keep(scores, min(0.97, 0.82 + 0.03 * len(match[1])), self.voucher_heads[match[1]], text[start:].strip())
        if self.tail and (match := self.tail.fullmatch(said.strip().rstrip("?!。. "))) and squeezed(match[1]):
            _keep(scores, min(0.97, 0.84 + 0.03 * len(match[2])), self.tails[match[2]], text.strip()[:len(match[1])].strip())


def _keep(scores: dict[str, tuple[float, Intent, str]], score: float, intent: Intent, rest: str = "") -> None:
    kept = scores.get(intent.name)
    if kept is None or score > kept[0] or (rest and not kept[2]):
        scores[intent.name] = (max(score, kept[0] if kept else 0.0), intent, rest or (kept[2] if kept else ""))


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(re.escape, words), key=len, reverse=True)) or r"(?!)")


@cache
def _fillers() -> str:
    words = sorted((re.escape(spelled(filler)) for filler in phrases("synonyms")["fillers"]), key=len, reverse=True)
    return rf"(?:{'|'.join(words)}|[,，。\s])*"


@cache
def matcher(group: str) -> Matcher:
    return Matcher(intent for intent in intents().values() if intent.is_for(group))


@cache
def _service_words() -> re.Pattern[str]:
    return _any_of(spelled(word) for word in phrases("synonyms")["services"]["words"])


def understand(group: str, text: str) -> Match:
    """What somebody of a group says. An enterprise that names a service or a district, and nothing else that is known, looks for it."""
    match = matcher(group).match(text)
    if match.intent is not None or match.offered:
        return match
    known, said = intents(), spelled(text)
    if group == "enterprise" and (_service_words().search(said) or DISTRICT.search(said)):
        return Match(known["find_service"], rest=text.strip(), found=match.found, score=SURE)
    only = [token for token in match.found if token.kind in {Kind.ORDER, Kind.NUMBER, Kind.HASH}]
    if only and not words_of(said, match.found):
        if group in {"enterprise", "institution"}:
            return Match(known["orders"], found=match.found, score=SURE)
        if group == "reviewer":
            return Match(known["show_case"], found=match.found, score=SURE)
    return match
