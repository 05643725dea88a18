"""Deadlines in working days, by the public-holiday calendar of 2026 (F11)."""

from datetime import UTC, date, datetime

import pytest

from handlers.working_days import SHANGHAI, due_after, is_working_day, working_days_left


def at(month: int, day: int, hour: int = 9, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=SHANGHAI)


@pytest.mark.parametrize(("day", "works"), [
    (date(2026, 2, 14), True),    # a Saturday that makes up for the Spring Festival
    (date(2026, 2, 17), False),   # Spring Festival, a Tuesday
    (date(2026, 10, 1), False),   # National Day, a Thursday
    (date(2026, 10, 10), True),   # a Saturday that makes up for it
    (date(2026, 3, 7), False),    # any Saturday
    (date(2026, 3, 9), True),
    (date(2099, 10, 1), True),    # not announced yet: Monday to Friday
    (date(2099, 10, 3), False),
])
def test_working_days_follow_the_announced_calendar(day: date, works: bool) -> None:
    assert is_working_day(day) is works


@pytest.mark.parametrize(("moment", "days", "last"), [
    (at(3, 2), 1, (2026, 3, 3)), (at(3, 6), 1, (2026, 3, 9)), (at(3, 7), 1, (2026, 3, 9)), (at(3, 2), 5, (2026, 3, 9)),
    (at(9, 30), 1, (2026, 10, 8)), (at(2, 27, year=2024), 2, (2024, 2, 29)),
    (datetime(2026, 3, 2, 15, 59, 59, 999_999, tzinfo=UTC), 1, (2026, 3, 3)),  # still Monday in Shanghai
    (datetime(2026, 3, 2, 16, 0, tzinfo=UTC), 1, (2026, 3, 4)),                # already Tuesday
])
def test_a_deadline_is_the_end_of_the_last_day_in_shanghai(moment: datetime, days: int, last: tuple[int, int, int]) -> None:
    assert due_after(moment, days) == datetime(*last, 23, 59, 59, 999_999, tzinfo=SHANGHAI)


@pytest.mark.parametrize(("now", "left"), [(at(3, 2), 5), (at(3, 6), 1), (at(3, 7), 1), (at(3, 9), 0), (at(3, 20), 0)])
def test_what_is_left_counts_the_days_after_today(now: datetime, left: int) -> None:
    assert working_days_left(now, due_after(at(3, 2), 5)) == left
