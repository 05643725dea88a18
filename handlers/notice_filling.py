"""Filling a text's places with facts, and facts as people here write them; the bot's answers are filled by the same rules."""

import re
from collections.abc import Mapping
from datetime import date, datetime

from handlers.money import yuan
from handlers.notice_words import GROUNDS, WORDS
from handlers.working_days import SHANGHAI

CLAUSE = re.compile(r"\[([^\[\]]*)\]")
PLACE = re.compile(r"\{(\w+)\}")


def fill(template: str, facts: Mapping[str, str]) -> str:
    def clause(match: re.Match[str]) -> str:
        return match[1] if all(facts.get(name) for name in PLACE.findall(match[1])) else ""

    return PLACE.sub(lambda match: facts.get(match[1], ""), CLAUSE.sub(clause, template))


def shown_fact(value: str) -> str:
    """An ISO time as people here write it: 3月2日 09:00, or 2026年3月31日 for a date."""
    if len(value) < 10 or value[4:5] != "-" or not value[:4].isdecimal():
        return value
    try:
        if len(value) == 10:
            day = date.fromisoformat(value)
            return f"{day.year}年{day.month}月{day.day}日"
        at = datetime.fromisoformat(value).astimezone(SHANGHAI)
    except ValueError:
        return value
    return f"{at.month}月{at.day}日 {at:%H:%M}"


def facts_of(data: Mapping[str, object], created_at: datetime) -> dict[str, str]:
    """An event's data as texts: `price_fen` 500000 becomes `price` "5000.00", a code its 中文.

    `time` is there always, and `ground`: what the reviewer's words are called.
    """
    facts = {"time": str(data.get("at") or created_at.isoformat()), "ground": GROUNDS.get(str(data.get("result")), "原因")}
    for name, value in data.items():
        if value is None:
            continue
        if name.endswith("_fen") and isinstance(value, int):
            facts[name.removesuffix("_fen")] = yuan(value)
        else:
            facts[name] = WORDS.get(name, {}).get(str(value), str(value))
    if "amount" not in facts:  # placed: the list price, or what was agreed on; issued: the face value
        facts["amount"] = next((facts[name] for name in ("order", "price", "face") if name in facts), "")
    return facts
