"""Days of vouchers: dates of Asia/Shanghai, instants of UTC."""

from datetime import UTC, date, datetime, time, timedelta

from handlers.working_days import SHANGHAI


def shanghai_date(now: datetime) -> date:
    return now.astimezone(SHANGHAI).date()


def first_unusable_instant(valid_until: date) -> datetime:
    """Midnight after the last day, Asia/Shanghai, as UTC."""
    return datetime.combine(valid_until + timedelta(days=1), time.min, SHANGHAI).astimezone(UTC)


def give_back_until(issued_on: date, days: int) -> date | None:
    """The last day on which an unused voucher may be given back; none where the policy says no days."""
    return issued_on + timedelta(days=days) if days else None
