"""Working days of the Chinese public-holiday calendar, counted in Asia/Shanghai (F11)."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
END_OF_DAY = time(23, 59, 59, 999_999, SHANGHAI)
FRIDAY = 4


def is_working_day(day: date) -> bool:
    """By the State Council's calendar; Monday to Friday for years that it has not announced yet."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() <= FRIDAY


def due_after(moment: datetime, days: int) -> datetime:
    """The last microsecond of the `days`-th working day after the day of `moment`; the day itself does not count."""
    day = moment.astimezone(SHANGHAI).date()
    while days > 0:
        day += timedelta(days=1)
        days -= is_working_day(day)
    return datetime.combine(day, END_OF_DAY)


def working_days_left(now: datetime, due: datetime) -> int:
    """Working days after today up to and including the day of `due`; 0 when it is today or past."""
    today, last = now.astimezone(SHANGHAI).date(), due.astimezone(SHANGHAI).date()
    return sum(is_working_day(today + timedelta(days=ahead)) for ahead in range(1, (last - today).days + 1))
