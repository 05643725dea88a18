"""`python -m bench.understanding`: how many sentences a second one process understands, by what has to be done to understand them.

The floor is a look-up of the sentence as it stands in a dictionary: what a bot without typos, slots and synonyms would do.
"""

import sys
import time
from collections.abc import Callable

from bot.intents import intents, understand

MUST = 5_000  # a second, in one process
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


def main() -> int:
    phrases = {phrase: intent for intent in intents().values() for phrase in intent.phrases}
    understand("enterprise", "余额")  # the tables are read once
    found = {name: rate(lambda text: understand("enterprise", text), sentences) for name, sentences in SENTENCES.items()}
    floor = rate(phrases.get, [sentence for sentences in SENTENCES.values() for sentence in sentences])
    for name, each in found.items():
        print(f"{name:20} {each:10,.0f}/s")
    print(f"{'floor: a dictionary':20} {floor:10,.0f}/s")
    return 0 if min(found.values()) >= MUST else 1


if __name__ == "__main__":
    sys.exit(main())
