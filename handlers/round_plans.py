"""The plan of a round as a manager drafts it, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypedDict

from handlers.draw_rules import DrawSource
from handlers.refusals import Kind, Refusal
from handlers.wallet import shanghai_date
from models.reservations import Allocation


class RoundPlanWrong(Refusal):
    """`problem`: times | past | valid_until | voucher_types | sources | draw | years | overlaps (see `rounds.COMPETING`)."""

    kind, code, title = Kind.INVALID, "round_plan_wrong", "批次的时间、券种或公开数来源设置有误，或与同项目其他批次冲突"


class Quota(TypedDict):
    voucher_type_id: int
    quota: int
    alternates: int


class QuotaView(Quota):
    code: str
    name: str
    face_fen: int
    annual_win_cap: int | None
    left: int | None  # where who comes first is served


@dataclass(frozen=True, slots=True)
class Plan:
    """What a manager drafts. Instants are aware; the sources are made with `draw_rules.draw_source`.

    Without a draw there is neither a time for it, nor a publicity, nor a source, nor an alternate.
    """

    number: str
    name: str
    opens_at: datetime
    closes_at: datetime
    draw_at: datetime | None
    publicity_at: datetime | None
    publicity_until: datetime | None
    valid_until: date
    quotas: Sequence[Quota]
    randomness: Sequence[DrawSource]
    notes: str


def settled(now: datetime, plan: Plan, allocation: Allocation) -> tuple[object, ...]:
    """The columns of a round that its plan says, in the order of `rounds.PLANNED`. Raises RoundPlanWrong."""
    times = _times_of_draw(plan) if allocation is Allocation.LOTTERY else _times_without_draw(plan)
    if sorted(times) != times or plan.opens_at == plan.closes_at:
        raise RoundPlanWrong(problem="times")
    if plan.closes_at <= now:
        raise RoundPlanWrong(problem="past")
    if plan.valid_until < shanghai_date(times[-1]):
        raise RoundPlanWrong(problem="valid_until")
    if allocation is Allocation.LOTTERY:
        _refuse_bad_sources(plan, times[2])
    return allocation, plan.number, plan.name, *times, plan.valid_until, list(plan.randomness), plan.notes


def _times_of_draw(plan: Plan) -> list[datetime]:
    if plan.draw_at is None or plan.publicity_at is None or plan.publicity_until is None:
        raise RoundPlanWrong(problem="times")
    return [plan.opens_at, plan.closes_at, plan.draw_at, plan.publicity_at, plan.publicity_until]


def _refuse_bad_sources(plan: Plan, draw_at: datetime) -> None:
    """They must fall between close and draw: before, they might be known at the commitment; after, there is no draw."""
    falls = [datetime.fromisoformat(source["at"]) for source in plan.randomness]
    if any(not plan.closes_at < at <= draw_at for at in falls):
        raise RoundPlanWrong(problem="sources")
    if not falls or len({source["name"] for source in plan.randomness}) != len(falls):
        raise RoundPlanWrong(problem="sources")


def _times_without_draw(plan: Plan) -> list[datetime]:
    """In one calendar year, since the yearly cap is of the year of the win and all wins of a round count in one."""
    if plan.draw_at or plan.publicity_at or plan.publicity_until or plan.randomness or any(each["alternates"] for each in plan.quotas):
        raise RoundPlanWrong(problem="draw")
    if shanghai_date(plan.opens_at).year != shanghai_date(plan.closes_at).year:
        raise RoundPlanWrong(problem="years")
    return [plan.opens_at, *[plan.closes_at] * 4]
