"""The value rules of WeChat's subscribe messages, as its table for the send call states them.

Written from that table alone and on purpose not shared with the formatter of the product: two independent readings
have to agree before a message passes.
"""

import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Sequence

HAN = r"〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KEYWORD = re.compile(r"([^\n{}]*?)[:：]?\{\{([a-z_]+?)(\d+)\.DATA\}\}")
DATE = re.compile(
    r"(?:(?P<y>\d{4})年(?P<m>\d{1,2})月(?:(?P<d>\d{1,2})日)?|(?P<m2>\d{1,2})月(?P<d2>\d{1,2})日"
    r"|(?P<y3>\d{4})(?P<s>[-/.])(?P<m3>\d{1,2})(?:(?P=s)(?P<d3>\d{1,2}))?|(?P<m4>\d{1,2})[-/.](?P<d4>\d{1,2}))"
)
TIME = re.compile(r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?")
AMOUNT = re.compile(r"(?P<sign>\D?)(?P<number>\d+(?:\.\d+)?)元?")


def keywords(content: str) -> list[tuple[str, str, str]]:
    """The (label, kind, key) of each keyword in a template's content: `会议时间:{{date2.DATA}}` -> (会议时间, date, date2)."""
    return [(label.strip(), kind, kind + number) for label, kind, number in KEYWORD.findall(content)]


def _is_date(text: str) -> bool:
    match = DATE.fullmatch(text)
    if match is None:
        return False
    part = match.groupdict()
    # A leap year stands in where the format has no year, so that 02-29 is accepted.
    year = int(part["y"] or part["y3"] or 2000)
    month = int(part["m"] or part["m2"] or part["m3"] or part["m4"])
    day = int(part["d"] or part["d2"] or part["d3"] or part["d4"] or 1)
    return year >= 1 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


def _is_moment(text: str, *, time_needed: bool) -> bool:
    date, _, time = text.rpartition(" ")
    if not date:
        return bool(TIME.fullmatch(text)) if time_needed else _is_date(text)
    return _is_date(date.strip()) and bool(TIME.fullmatch(time))


def _is_range(value: str, *, time_needed: bool) -> bool:
    parts = [part.strip() for part in value.split("~")]
    return len(parts) <= 2 and all(_is_moment(part, time_needed=time_needed) for part in parts)


def _is_amount(value: str) -> bool:
    match = AMOUNT.fullmatch(value)
    if match is None:
        return False
    sign = match["sign"]
    digits = match["number"].replace(".", "")
    return len(digits) <= 10 and digits.isascii() and (not sign or unicodedata.category(sign) == "Sc")


def _is_name(value: str) -> bool:
    if any(unicodedata.category(char)[0] == "N" and char != "〇" for char in value):
        return False
    # One Chinese character makes the whole value count as Chinese.
    return len(value) <= (10 if re.search(f"[{HAN}]", value) else 20)


def _is_symbol(value: str) -> bool:
    return len(value) <= 5 and all(unicodedata.category(char)[0] in "PS" for char in value)


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


def _is_number(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9]+(\.[0-9]+)?", value)) and len(value.replace(".", "")) <= 32


RULES: dict[str, Callable[[str], bool]] = {
    "thing": lambda value: len(value) <= 20,
    "number": _is_number,
    "letter": _matches(r"[A-Za-z]{1,32}"),
    "symbol": _is_symbol,
    "character_string": _matches(r"[\x20-\x7e]{1,32}"),
    "time": lambda value: _is_range(value, time_needed=True),
    "date": lambda value: _is_range(value, time_needed=False),
    "amount": _is_amount,
    "phone_number": _matches(r"[0-9+\-() ]{1,17}"),
    "car_number": _matches(f"[{HAN}A-Za-z0-9][A-Za-z0-9]{{0,6}}[{HAN}A-Za-z0-9]"),
    "name": _is_name,
    "phrase": _matches(f"[{HAN}]{{1,5}}"),
}


def fault(kind: str, value: object, allowed: Sequence[str] | None = None) -> str:
    """What is wrong with a value of this kind, in the platform's words, or "" if it may be sent."""
    if not isinstance(value, str):
        return "should be string"
    if not value.strip():
        return "is empty"
    # Cf would also hit the joiner inside an emoji, which is legal; line and paragraph separators break lines too.
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in value):
        return "invalid"
    if kind in {"enum", "enum_string"}:
        return "" if value in (allowed or ()) else "invalid"
    # Kinds without a published rule (short_thing, const) are only held against the general ones.
    return "" if RULES.get(kind, bool)(value) else "invalid"
