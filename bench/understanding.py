"""How many sentences a second one process understands, by what has to be done for it (`python -m bench.understanding` shows each kind).

The floor is a look-up of the sentence as it stands in a dictionary: what a bot without typos, slots and synonyms would do.
"""

import time
from collections.abc import Callable
from typing import Any

from bench.report import UNDERSTANDING, compare
from bot.intents import intents, understand

SECONDS = 1.0
SENTENCES = {
    "as in the table": ["余额", "我的订单", "查中签", "账单"],
    "with slots": ["订单 8137 到哪了", "账单 6月", "查签 R202307-00001234"],
    "free text": ["好评 很专业，报告也及时", "ISO14001 哪家能用券", "预约 審計券"],
    "typos, politeness": ["请问我们现在还有多少余款可以用呀", "我想看看预越记录", "麻烦查一下定单进渡"],
    "nothing": ["今天天气怎么样", "讲个笑话吧"],
}


def rate(understood: Callable[[str], object], sentences: list[str]) -> float:
    """A second of one after the other."""
    count, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < SECONDS:
        for sentence in sentences:
            understood(sentence)
        count += len(sentences)
    return count / spent


def measured() -> tuple[dict[str, float], float]:
    """(sentences a second of each kind, the floor's)."""
    phrases = {phrase: intent for intent in intents().values() for phrase in intent.phrases}
    understand("enterprise", "余额")  # the tables are read once
    found = {name: rate(lambda text: understand("enterprise", text), sentences) for name, sentences in SENTENCES.items()}
    return found, rate(phrases.get, [sentence for sentences in SENTENCES.values() for sentence in sentences])


def entry() -> dict[str, Any]:
    found, floor = measured()
    return compare(UNDERSTANDING, {"rps": min(found.values())}, {"rps": floor})


def main() -> None:
    found, floor = measured()
    for name, each in [*found.items(), ("floor: a dictionary", floor)]:
        print(f"{name:20} {each:10,.0f}/s")


if __name__ == "__main__":
    main()
