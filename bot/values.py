"""From any text to a value that WeChat accepts for a keyword's type: always legal, never empty.

A value that breaks a rule is answered with 47003 and the message is lost, so nothing here refuses; it makes fit.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from handlers.working_days import SHANGHAI

HAN = "〇\u3400-\u4dbf\u4e00-\u9fff"  # without the rare ones beyond the first plane: not every phone has them
NOTHING, NOTHING_IN_LATIN = "无", "-"
# Pictures for phones; they come out as □ or break the message. Signs such as ℃, № and © stay.
PICTURES = re.compile("[\u20e3\u2194-\u2199\u21a9\u21aa\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\u3030\u303d\u3297\u3299"
                      "\U0001f000-\U0001fbff\U000e0000-\U000e0fff]")
# Words of letters that all stay as they are, in every way of writing them, with single spaces.
ORDINARY = re.compile("[!-~\u4e00-\u9fff，。、：；（）《》]+(?: [!-~\u4e00-\u9fff，。、：；（）《》]+)*")
DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}  # controls, joiners and variation selectors' kin, halves of characters, unknown ones
SPACES = {"Zs", "Zl", "Zp"}
AMOUNT = re.compile(r"-?\d+(\.\d+)?")
AMOUNT_DIGITS_MAX = 10
PLAIN_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,6})\.[0-9]{2}")  # as our own notices write it


def plain(text: str) -> str:
    """One line of ordinary characters: no controls, no emoji, single spaces, composed (NFC)."""
    if ORDINARY.fullmatch(text):  # nearly all of them; the long way asks for each letter's category
        return text
    text = PICTURES.sub("", text)
    kept = (" " if unicodedata.category(each) in SPACES or each in "\t\r\n\v\f\x85" else each for each in text)
    line = "".join(each for each in kept if unicodedata.category(each) not in DROPPED and not "\ufe00" <= each <= "\ufe0f")
    # Composed again: what was taken out may have stood between a letter and its mark.
    return unicodedata.normalize("NFC", " ".join(line.split()))


def clusters(text: str) -> Iterator[str]:
    """What a reader calls a character: a base with its marks, or Hangul in parts."""
    cluster = ""
    for each in text:
        joins = unicodedata.category(each)[0] == "M" or "\u1160" <= each <= "\u11ff"
        if cluster and not joins:
            yield cluster
            cluster = ""
        cluster += each
    if cluster:
        yield cluster


def units(text: str) -> int:
    """Length in UTF-16: whichever way the platform counts a rare character, this is not less."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def trimmed(text: str, limit: int, size: Callable[[str], int] = units) -> str:
    """The longest beginning of at most `limit` that does not cut a character in two."""
    result = ""
    for cluster in clusters(text):
        if size(result + cluster) > limit:
            break
        result += cluster
    return result.rstrip()


def thing(text: str) -> str:
    if len(text) <= 20 and ORDINARY.fullmatch(text):
        return text
    value = plain(text)
    if units(value) > 20:
        value = trimmed(value, 19)
        value = value + "…" if value else ""
    # Marks without a base show as nothing at all.
    return value if any(unicodedata.category(each)[0] not in "MZ" for each in value.rstrip("…")) else NOTHING


def character_string(text: str) -> str:
    latin = re.sub(r"[^\x20-\x7e]", "", unicodedata.normalize("NFKC", plain(text)))
    return " ".join(latin.split())[:32].strip() or NOTHING_IN_LATIN


def phrase(text: str) -> str:
    return re.sub(f"[^{HAN}]", "", text)[:5] or NOTHING


def name(text: str) -> str:
    """Up to ten 汉字, or up to twenty letters; mixed counts as 汉字. Digits are not allowed."""
    kept = plain("".join(each for each in plain(text) if each in "〇·•.-' ()（）" or unicodedata.category(each)[0] in "LM"))
    value = trimmed(kept, 20 if kept.isascii() else 10).strip()
    return value if any(each.isalpha() or each == "〇" for each in value) else NOTHING


def amount(text: str) -> str:
    """Yuan, e.g. 5000.00元. Fen are left out where ten digits do not hold them."""
    if PLAIN_AMOUNT.fullmatch(text):
        return f"{text}元"
    match = AMOUNT.search(re.sub(r"[,，\s]", "", unicodedata.normalize("NFKC", text)))
    try:
        yuan = max(Decimal(0), Decimal(match[0]) if match else Decimal(0))  # of two zeros the first, which has no sign
    except InvalidOperation:
        yuan = Decimal(0)
    largest = Decimal(10) ** AMOUNT_DIGITS_MAX - 1
    if yuan >= largest:
        return f"{largest}元"
    precise = f"{yuan:.2f}"
    return f"{precise if len(precise) - 1 <= AMOUNT_DIGITS_MAX else int(yuan)}元"


def number(text: str) -> str:
    match = re.search(r"[0-9]{1,29}(\.[0-9]{1,2})?", unicodedata.normalize("NFKC", text))
    return match[0] if match else "0"


def moment(text: str) -> datetime | date | None:
    """What an ISO 8601 text says, in Shanghai; one without an offset is Shanghai's already."""
    text = text.strip()
    try:
        if len(text) <= 10:
            return date.fromisoformat(text)
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=SHANGHAI) if at.tzinfo is None else at.astimezone(UTC).astimezone(SHANGHAI)
    except (ValueError, OverflowError):
        return None


def day_of(at: date) -> str:
    return f"{at.year:04d}年{at.month}月{at.day}日"


def moment_text(at: datetime | date, *, clock: bool) -> str:
    if not clock:
        return day_of(at)
    return f"{day_of(at)} {at:%H:%M}" if isinstance(at, datetime) else f"{day_of(at)} 00:00"


@lru_cache(maxsize=64)  # a thousand winners are told of the same day
def ranged(text: str, *, clock: bool) -> str | None:
    """One moment or two joined by `~`, or None if that is not what the text is."""
    found = [moment(each) for each in text.split("~")[:2]]
    if any(each is None for each in found):
        return None
    return "~".join(moment_text(each, clock=clock) for each in found if each is not None)


def time(text: str) -> str:
    """The end of the line for a text that is no time: 00:00 is legal and seen at once to be none."""
    return ranged(text, clock=True) or "00:00"


def day(text: str) -> str:
    return ranged(text, clock=False) or "2000年1月1日"


FORMATTERS: Mapping[str, Callable[[str], str]] = {
    "thing": thing, "character_string": character_string, "phrase": phrase, "name": name,
    "amount": amount, "number": number, "time": time, "date": day,
}
