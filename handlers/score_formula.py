"""The published formula of the scores (F27, docs/scores.md). Integers only: hundredths of a point, whole months, floors.

    left(month) = 12 - age of the month in months, at most 12, at least 0      what happened a year ago counts no more
    part        = min(most, sum over months of (count * points * left) // 12)  for transactions, activities and answers
    reviews     = most * (prior + sum of values * left) // (100 * (12 * PRIOR_REVIEWS + sum of reviews * left))
    score       = the sum of the four parts

`reviews` is the Bayesian average of real reviews: as if PRIOR_REVIEWS reviews of PRIOR_VALUE were there from the beginning, so that
one review neither makes nor breaks anybody. Whoever changes a number here raises VERSION: all scores are then computed anew.
"""

from dataclasses import dataclass
from typing import TypedDict

from models.reviews import Grade
from models.scores import ScoreKind

VERSION = 1
MONTHS = 12
PRIOR_REVIEWS = 5
PRIOR_VALUE = 70
VALUES = {Grade.GOOD: 100, Grade.MEDIUM: 50, Grade.BAD: 0}
VALUE_MAX = 100
# Hundredths of a point for one event. A review has no points: its value is its grade.
POINTS = {
    ScoreKind.ORDER_COMPLETED: 120, ScoreKind.TRANSACTION_FILED: 120, ScoreKind.ACTIVITY_FILED: 240, ScoreKind.DEMAND_ANSWERED: 60,
}
# The column of `score_months` that counts it.
COLUMNS = {
    ScoreKind.ORDER_COMPLETED: "orders", ScoreKind.TRANSACTION_FILED: "transactions", ScoreKind.ACTIVITY_FILED: "activities",
    ScoreKind.DEMAND_ANSWERED: "answers", ScoreKind.REVIEW_RECEIVED: "reviews",
}
TITLES = {
    ScoreKind.ORDER_COMPLETED: "订单完成", ScoreKind.TRANSACTION_FILED: "交易备案通过", ScoreKind.ACTIVITY_FILED: "活动备案通过",
    ScoreKind.DEMAND_ANSWERED: "需求已对接", ScoreKind.REVIEW_RECEIVED: "收到企业评价",
}


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a score. `most` in hundredths; the most of all parts together are 100 points."""

    name: str
    title: str
    most: int
    kinds: tuple[ScoreKind, ...]


COMPONENTS = (
    Component("reviews", "企业评价", 4_000, (ScoreKind.REVIEW_RECEIVED,)),
    Component("transactions", "交易", 3_000, (ScoreKind.ORDER_COMPLETED, ScoreKind.TRANSACTION_FILED)),
    Component("activities", "公益活动", 1_500, (ScoreKind.ACTIVITY_FILED,)),
    Component("answers", "需求对接", 1_500, (ScoreKind.DEMAND_ANSWERED,)),
)
OF_KIND = {kind: component for component in COMPONENTS for kind in component.kinds}


class KindView(TypedDict):
    """`points_hundredths` for one; null for reviews, which count by their grade."""

    kind: ScoreKind
    title: str
    points_hundredths: int | None


class ComponentRuleView(TypedDict):
    component: str
    title: str
    most_hundredths: int
    kinds: list[KindView]


class GradeValueView(TypedDict):
    grade: Grade
    value: int


class FormulaView(TypedDict):
    """All that is needed to compute a score by hand; `text` says it in words."""

    version: int
    months: int
    prior_reviews: int
    prior_value: int
    grades: list[GradeValueView]
    components: list[ComponentRuleView]
    text: list[str]


TEXT = [
    "得分为四个部分之和，满分 100 分：企业评价 40 分、交易 30 分、公益活动 15 分、需求对接 15 分。数值以百分之一分计，只取整数。",
    "按自然月（北京时间）递减：当月发生的全部计入，每过一个月减少十二分之一，满十二个月不再计入。",
    "企业评价为真实评价的贝叶斯平均：好评 100、中评 50、差评 0，并视为已有 5 条 70 分的评价。系统自动评价一律不计入。",
    "交易：每笔完成的订单或审核通过的交易备案 1.20 分；公益活动：每次审核通过的活动备案 2.40 分；需求对接：每次 0.60 分。",
    "备案被撤销的，自撤销时起不再计入。每次变动的时间、部分、前后数值和原因均可查询。",
    "活跃度为近十二个月交易、活动和需求对接的分值之和，不递减、不封顶，仅用于活跃度排名。",
]


def formula() -> FormulaView:
    return {
        "version": VERSION, "months": MONTHS, "prior_reviews": PRIOR_REVIEWS, "prior_value": PRIOR_VALUE,
        "grades": [{"grade": grade, "value": value} for grade, value in VALUES.items()],
        "components": [_rule(component) for component in COMPONENTS],
        "text": TEXT,
    }


def _rule(component: Component) -> ComponentRuleView:
    kinds: list[KindView] = [{"kind": kind, "title": TITLES[kind], "points_hundredths": POINTS.get(kind)} for kind in component.kinds]
    return {"component": component.name, "title": component.title, "most_hundredths": component.most, "kinds": kinds}


# --- the same in SQL ---------------------------------------------------------------------------------------------------------------

# The Shanghai month of an instant as year * 12 + month - 1.
MONTH_OF = (
    "(extract(year FROM {at} AT TIME ZONE 'Asia/Shanghai') * 12 + extract(month FROM {at} AT TIME ZONE 'Asia/Shanghai') - 1)::int"
)
VALUE_OF = "CASE {event}.facts->>'grade' " + " ".join(f"WHEN '{grade}' THEN {value}" for grade, value in VALUES.items()) + " ELSE 0 END"
POINTS_OF = "CASE {event}.kind " + " ".join(f"WHEN '{kind}' THEN {points}" for kind, points in POINTS.items()) + " ELSE 0 END"
# Of a month `m` as of the month $2.
LEFT = f"least({MONTHS}, greatest(0, {MONTHS} - ($2::int - m.month)))"


def _part(name: str) -> str:
    component = next(each for each in COMPONENTS if each.name == name)
    weighed = " + ".join(f"m.{COLUMNS[kind]} * {POINTS[kind]}" for kind in component.kinds)
    return f"least({component.most}, coalesce(sum(({weighed}) * {LEFT}), 0) / {MONTHS})::int AS {name}"


_PRIOR = MONTHS * PRIOR_REVIEWS
_REVIEWS_MOST = OF_KIND[ScoreKind.REVIEW_RECEIVED].most
# The parts of a score from its months `m`, and the activity beside them. A sum of int is a bigint, and `/` of those is a floor.
PARTS = f"""
({_REVIEWS_MOST} * ({_PRIOR * PRIOR_VALUE} + coalesce(sum(m.review_value * {LEFT}), 0))
  / ({VALUE_MAX} * ({_PRIOR} + coalesce(sum(m.reviews * {LEFT}), 0))))::int AS reviews,
{_part('transactions')}, {_part('activities')}, {_part('answers')},
coalesce(sum(m.points), 0)::int AS activity
"""
# Whoever has no months yet: nothing but the prior.
BASE = _REVIEWS_MOST * PRIOR_VALUE // VALUE_MAX
