"""What people type and others read: a name that nobody can see, or that reads backwards, is no name.

    Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=60, pattern=ONE_LINE), LINE]

LINE and TEXT stand last: what stands behind a validator is not in the JSON schema.
"""

import unicodedata

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

ONE_LINE = r"^[^\x00-\x1f\x7f]*$"  # what of LINE a regular expression of every language can say: for the JSON schemas
# Of a line: controls, formats (zero-width, directions, tags), halves of pairs, letters of nobody's alphabet, other line ends.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Embeddings, overrides and isolates: what follows reads in another order than it is stored. Joiners and marks that are pasted along
# with a long text do no harm there, and some scripts and emoji need them.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
BREAKS = frozenset("\t\n\r")
SEEN = frozenset("LNSP")
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols that are drawn as nothing


def is_seen(text: str) -> bool:
    """Whether there is a letter, digit, symbol or punctuation mark to look at."""
    return any(unicodedata.category(each)[0] in SEEN and each not in BLANK for each in text)


def is_line(text: str) -> bool:
    return is_seen(text) and not any(unicodedata.category(each) in HIDDEN for each in text)


def is_text(text: str) -> bool:
    """Of several lines. Nothing is taken out of it; what would show it in another order is refused."""
    broken = {each for each in text if unicodedata.category(each) in {"Cc", "Cs"}} - BREAKS
    return is_seen(text) and not broken and TURNING.isdisjoint(text)


def _line(text: str) -> str:
    if text.strip() and not is_line(text):  # whether nothing is enough is the field's own to say
        raise PydanticCustomError("text_hidden", "不能含有看不见的字符，并须有可见的文字")
    return text


def _text(text: str) -> str:
    if text.strip() and not is_text(text):
        raise PydanticCustomError("text_hidden", "不能含有改变文字方向的字符，并须有可见的文字")
    return text


LINE, TEXT = AfterValidator(_line), AfterValidator(_text)
