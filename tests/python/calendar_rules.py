"""The business calendar: local times, calendar arithmetic and windows, worked out again with Python's own zone data.

Everything is exchanged as microseconds since 1970-01-01 UTC, the resolution of the tables.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
BEGINNING = -(2**62)


def micros(instant: datetime) -> int:
    """The instant in microseconds since 1970."""
    return (instant - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Calendar:
    """A business time zone, looked at from one instant."""

    as_of: datetime
    zone: ZoneInfo

    @property
    def as_of_local(self) -> datetime:
        """as_of as a local time, without zone."""
        return self.as_of.astimezone(self.zone).replace(tzinfo=None)

    @property
    def today(self) -> date:
        """The business day of as_of."""
        return self.as_of_local.date()

    def instant_of(self, local: datetime) -> datetime:
        """The first instant that a local time names, or the first one after it where the clocks jump over it."""
        probe = local
        while True:
            instant = probe.replace(tzinfo=self.zone).astimezone(timezone.utc)
            if instant.astimezone(self.zone).replace(tzinfo=None) == probe:
                return instant
            probe += timedelta(minutes=15)

    def start_of_day(self, day: date) -> int:
        """The microsecond at which a business day begins."""
        return micros(self.instant_of(datetime.combine(day, time.min)))

    def time_value(self, text: str) -> int:
        """The microsecond that a time of a definition means: absolute, local, or relative to as_of."""
        relative = re.fullmatch(r"as_of(?: - (\d+) (days?|months?))?", text)
        if relative is None:
            moment = datetime.fromisoformat(text)
            return micros(moment if moment.tzinfo else self.instant_of(moment))
        if relative[1] is None:
            return micros(self.as_of)
        count = int(relative[1])
        local = self.as_of_local
        moved = local - timedelta(days=count) if relative[2].startswith("day") else minus_months(local, count)
        return micros(self.instant_of(moved))

    def window(self, window, include_today: bool) -> tuple[int, int]:
        """The half-open range of microseconds in which events count; never beyond as_of.

        A window relative to as_of ends with the business day before as_of's, or at as_of where today counts too. N days are
        N natural days either way; N months begin on the day of the month that as_of's day is, N months before.
        """
        cut = micros(self.as_of)
        if isinstance(window, dict):
            return self.time_value(window["from"]), min(self.time_value(window["to"]), cut)
        if window == "lifetime":
            return BEGINNING, cut
        first_of_month = self.today.replace(day=1)
        if window == "last_month":
            return self.start_of_day(minus_months(first_of_month, 1)), min(self.start_of_day(first_of_month), cut)
        end = cut if include_today else self.start_of_day(self.today)
        if window == "this_month":
            return self.start_of_day(first_of_month), end
        count, unit = re.fullmatch(r"last_(\d+)_(days|months)", window).groups()
        if unit == "months":
            return self.start_of_day(minus_months(self.today, int(count))), end
        days_back = int(count) - 1 if include_today else int(count)
        return self.start_of_day(self.today - timedelta(days=days_back)), end

    def days(self, first_micros: int, last_micros: int) -> list[tuple[int, int, int]]:
        """The business days that cover a range, as (number, begin, end) in microseconds, end excluded."""
        first = (EPOCH + timedelta(microseconds=first_micros)).astimezone(self.zone).date()
        last = (EPOCH + timedelta(microseconds=last_micros)).astimezone(self.zone).date()
        days = [first + timedelta(days=offset) for offset in range((last - first).days + 2)]
        starts = [self.start_of_day(day) for day in days]
        return [(day.toordinal(), begin, end) for day, begin, end in zip(days, starts, starts[1:])]


def minus_months(day, months: int):
    """A day or local time moved back by calendar months; a day that the month lacks becomes its last one."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    return day.replace(year=year, month=month + 1, day=min(day.day, calendar.monthrange(year, month + 1)[1]))
