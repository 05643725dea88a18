"""Public randomness for draws: a stand-in for the numbers of the national lottery (双色球)."""

import hashlib
import hmac
import random
from datetime import UTC, datetime
from typing import Any

from simulator.clock import SHANGHAI


def numbers(secret: bytes, at: datetime) -> dict[str, Any]:
    """The drawing of the moment `at`: six of 33 red balls, one of 16 blue ones.

    They hang on the whole moment and not only on its date. Otherwise asking for midnight would tell on the same
    morning what is drawn in the evening.
    """
    digest = hmac.new(secret, at.astimezone(UTC).isoformat().encode(), hashlib.sha256).digest()
    drum = random.Random(digest)
    red = sorted(drum.sample(range(1, 34), 6))
    blue = drum.randint(1, 16)
    text = " ".join(f"{ball:02d}" for ball in red) + f" + {blue:02d}"
    local = at.astimezone(SHANGHAI)
    return {
        "source": "双色球（模拟）",
        "at": local.isoformat(),
        "date": local.date().isoformat(),
        "red": red,
        "blue": blue,
        "text": text,
    }
