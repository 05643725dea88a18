"""Filling a text's places with facts, and facts as people here write them; the bot's answers are filled by the same rules."""

import re
from collections.abc import Mapping
from datetime import date, datetime

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
