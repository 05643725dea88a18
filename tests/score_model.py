"""The published formula once more, in Python and from raw events: what tests hold the SQL against."""

from collections.abc import Iterable
from dataclasses import dataclass

MONTHS, PRIOR_REVIEWS, PRIOR_VALUE = 12, 5, 70
VALUES = {"good": 100, "medium": 50, "bad": 0}
POINTS = {"order_completed": 120, "transaction_filed": 120, "activity_filed": 240, "demand_answered": 60}
MOST = {"reviews": 4_000, "transactions": 3_000, "activities": 1_500, "answers": 1_500}


@dataclass(frozen=True)
class Event:
    """`month` is year * 12 + month - 1 in Shanghai."""

    kind: str
    month: int
    grade: str = "good"


def score(events: Iterable[Event], now: int) -> dict[str, int]:
    """The parts, `total` and `activity`, as of a month."""
    counted = [(event, min(MONTHS, max(0, MONTHS - (now - event.month)))) for event in events]

    def part(name: str, *kinds: str) -> int:
        return min(MOST[name], sum(POINTS[event.kind] * left for event, left in counted if event.kind in kinds) // MONTHS)

    reviews = [(VALUES[event.grade], left) for event, left in counted if event.kind == "review_received"]
    value = MONTHS * PRIOR_REVIEWS * PRIOR_VALUE + sum(each * left for each, left in reviews)
    parts = {
        "reviews": MOST["reviews"] * value // (100 * (MONTHS * PRIOR_REVIEWS + sum(left for _, left in reviews))),
        "transactions": part("transactions", "order_completed", "transaction_filed"),
        "activities": part("activities", "activity_filed"),
        "answers": part("answers", "demand_answered"),
    }
    activity = sum(POINTS.get(event.kind, 0) for event, left in counted if left)
    return parts | {"total": sum(parts.values()), "activity": activity}
