"""What a sentence names: order numbers, amounts, months, tickets, phones. Pure functions over spelled text (bot/wording.py)."""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from handlers.outside import MOBILE_PATTERN

DIGITS = {digit: value for value, digits in enumerate(("零〇", "一", "二两", "三", "四", "五", "六", "七", "八", "九")) for digit in digits}
UNITS = {"十": 10, "百": 100, "千": 1_000}
NUMERAL = "零〇一二两三四五六七八九十百千万"
# Each alternative is one kind of thing that people name by number; the longest first. Not inside a word: ISO14001 is no order.
TOKEN = re.compile(rf"""
    (?P<order>(?<!\d)\d{{24}}(?!\d))
  | (?P<ticket>r\d{{1,12}}-\d{{8}}(?!\d))
  | (?P<phone>(?<![\da-z]){MOBILE_PATTERN}(?!\d))
  | (?P<month>(?<!\d)20\d\d\s*(?:年|[-./])\s*(?:1[0-2]|0?[1-9])(?!\d)\s*(?:月份?)?
      | (?<![\d.])(?:1[0-2]|0?[1-9])\s*月份? | 十[一二]?月份? | [一二三四五六七八九]月份? | 上个?月 | 这个?月 | 本月 | 当月)
  | (?P<amount>(?<![\da-z])\d[\d,]*(?:\.\d+)?\s*(?:万元?|千元?|百元?|元|块钱?)
      | [{NUMERAL}]*[一二两三四五六七八九十][{NUMERAL}]*(?:元|块钱?) | [一二两三四五六七八九十][{NUMERAL}]*[千万](?:[{NUMERAL}]+)?元?)
  | (?P<hash>\#\s*\d{{1,12}})
  | (?P<number>(?<![\da-z])\d[\d,]*(?:\.\d+)?(?![\da-z]))
""", re.VERBOSE)
ORDER_TAIL = re.compile(r"\d{4}")
SIX_DIGITS = re.compile(r"(?<!\d)(?:\d[\s,.\-_]*){6}(?!\d)")
SIX_ALONE = re.compile(r"[^\d\u4e00-\u9fff]*(?:\d[\s,.\-_]*){6}[^\d\u4e00-\u9fff]*")
SECRET_WORD = re.compile(r"密码|口令|支付码|password|passwd|pin码|(?<![a-z])(?:pin|pwd|mm)(?![a-z])")


class Kind(StrEnum):
    ORDER = "order"
    TICKET = "ticket"
    PHONE = "phone"
    MONTH = "month"
    AMOUNT = "amount"
    HASH = "hash"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    start: int
    end: int

    @property
    def digits(self) -> str:
        return re.sub(r"\D", "", self.text)


@dataclass(frozen=True, slots=True)
class Month:
    year: int
    month: int

    @property
    def first(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def after(self) -> date:
        return date(self.year + self.month // 12, self.month % 12 + 1, 1)

    @property
    def before(self) -> "Month":
        return Month(self.year - 1, 12) if self.month == 1 else Month(self.year, self.month - 1)


def tokens(text: str) -> list[Token]:
    return [Token(Kind(str(match.lastgroup)), match[0], match.start(), match.end()) for match in TOKEN.finditer(text)]


def without(text: str, found: list[Token]) -> str:
    """The words around what is named."""
    for token in reversed(found):
        text = text[:token.start] + " " + text[token.end:]
    return text


def holds_secret(text: str) -> bool:
    """Whether this may be a payment password: six digits by themselves, however spaced, or six digits beside a word for one."""
    if SECRET_WORD.search(text) is not None and SIX_DIGITS.search(_counted(text)) is not None:
        return True
    others = [token for token in tokens(text) if token.kind is not Kind.NUMBER]
    return SIX_ALONE.fullmatch(_counted(without(text, others))) is not None


def _counted(text: str) -> str:
    return "".join(str(DIGITS[letter]) if letter in DIGITS and letter != "两" else letter for letter in text)


def order_of(found: list[Token]) -> str | None:
    """A whole order number, or its last four digits."""
    for token in found:
        if token.kind is Kind.ORDER or (token.kind in {Kind.NUMBER, Kind.HASH} and ORDER_TAIL.fullmatch(token.digits)
                                        and "." not in token.text and "," not in token.text):
            return token.digits
    return None


def case_of(found: list[Token]) -> int | None:
    """The number of a case in the reviewers' queue: #1287 or 1287."""
    for token in found:
        if token.kind in {Kind.HASH, Kind.NUMBER} and token.digits == token.text.lstrip("# ") and 0 < int(token.digits) < 10**12:
            return int(token.digits)
    return None


def amount_of(found: list[Token], *, besides: str | None = None) -> int | None:
    """Fen. With a unit it is an amount; a bare number is one if it is not the order (`besides`)."""
    for token in found:
        if token.kind is Kind.AMOUNT:
            return fen_of(token.text)
    taken = False
    for token in found:
        if token.kind is Kind.NUMBER:
            if not taken and besides is not None and token.digits == besides:
                taken = True
                continue
            return fen_of(token.text)
    return None


def fen_of(text: str) -> int | None:
    """三万, 3万, 30000元, 1,000, 1.5万: fen, or None for what is no amount of whole fen."""
    plain = re.sub(r"[,\s]|元|块钱?", "", text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([百千万]?)", plain)
    if match:
        try:
            value = Decimal(match[1]) * {"": 1, "百": 100, "千": 1_000, "万": 10_000}[match[2]] * 100
        except InvalidOperation:
            return None
        return int(value) if value == int(value) and 0 < value < 10**15 else None
    whole = _numeral(plain)
    return whole * 100 if whole else None


def _numeral(text: str) -> int | None:
    """三万五千 is 35000, 三万五 too, 十二 is 12. None if it is no numeral."""
    if not text or any(letter not in NUMERAL for letter in text):
        return None
    total = section = digit = 0
    last_unit = 1
    for letter in text:
        if letter in DIGITS:
            digit = DIGITS[letter]
            last_unit = 1 if digit == 0 else last_unit
        elif letter == "万":
            total, section, digit, last_unit = total + (section + digit) * 10_000, 0, 0, 10_000
        else:
            section, digit, last_unit = section + (digit or 1) * UNITS[letter], 0, UNITS[letter]
    return total + section + digit * (last_unit // 10 or 1 if last_unit >= 100 else 1)


def month_of(found: list[Token], today: date) -> Month | None:
    """6月 is the last June that has begun; 上个月 the one before this."""
    here = Month(today.year, today.month)
    for token in found:
        if token.kind is not Kind.MONTH:
            continue
        text = re.sub(r"\s", "", token.text)
        if text.startswith("上"):
            return here.before
        if text[0] in "这本当":
            return here
        if match := re.match(r"(20\d\d)(?:年|[-./])(\d{1,2})", text):
            return Month(int(match[1]), int(match[2]))
        name = re.sub(r"月份?", "", text)
        number = int(name) if name.isdecimal() else _numeral(name) or 0
        return Month(today.year if number <= today.month else today.year - 1, number)
    return None


def phone_of(found: list[Token]) -> str | None:
    return next((token.text for token in found if token.kind is Kind.PHONE), None)


def ticket_of(found: list[Token]) -> str | None:
    return next((token.text.upper() for token in found if token.kind is Kind.TICKET), None)
