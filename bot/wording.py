"""One spelling of what somebody typed: half width, simplified, lower case, character for character, so that places stay places."""

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

PHRASES = Path(__file__).with_name("phrases")
NOT_SAID = re.compile(r"[^0-9a-z\u3400-\u9fff{}#]+")


@cache
def phrases(name: str) -> dict[str, Any]:
    """A table of bot/phrases, which people who write no programs keep."""
    return tomllib.loads((PHRASES / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def traditional() -> dict[str, str]:
    """Traditional character -> simplified one."""
    lines = (PHRASES / "traditional.txt").read_text(encoding="utf-8").splitlines()
    return {pair[0]: pair[1] for line in lines if not line.startswith("#") for pair in line.split()}


class _Spelling(dict[int, str]):
    """Filled as characters turn up: there are a hundred thousand, and a conversation uses a few hundred."""

    def __missing__(self, code: int) -> str:
        narrow = unicodedata.normalize("NFKC", chr(code))
        one = narrow if len(narrow) == 1 else chr(code)
        lower = one.lower()
        self[code] = spelled = traditional().get(one, lower if len(lower) == 1 else one)
        return spelled


_spelling = _Spelling()


def spelled(text: str) -> str:
    """As long as `text`: what stands at a place in one stands there in the other."""
    return text.translate(_spelling)


def squeezed(text: str) -> str:
    """`text`, spelled already, without blanks and punctuation: 「我的 订单？」 is 「我的订单」."""
    return NOT_SAID.sub("", text)
