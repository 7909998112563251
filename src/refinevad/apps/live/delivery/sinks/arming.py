"""When messages are wanted: by the hours and days of a week, and not while they are snoozed."""

import re
from datetime import datetime, timedelta

from refinevad.errors import InputError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")


class Arming:
    """A week's schedule in local time.

    Args:
        hours: such as `22:00-06:00`: from the first to before the second, past midnight where that is earlier; empty:
            all day.
        days: those in which such a stretch begins; None: all.

    Raises:
        InputError: what is no time or no day; `where` begins the sentence.
    """

    def __init__(self, hours: str, days: tuple[str, ...] | None, where: str) -> None:
        found = _HOURS.fullmatch(hours or "00:00-24:00")
        if found is None or hours.endswith(tuple(f"24:{minute:02d}" for minute in range(1, 60))):
            raise InputError(f"{where}: hours are written 22:00-06:00; got {hours!r}")
        start, end = (60 * int(found[place]) + int(found[place + 1]) for place in (1, 3))
        if start == end:
            raise InputError(f"{where}: hours {hours} have no length; leave them out for the whole day")
        if wrong := [day for day in days or () if day not in DAYS]:
            raise InputError(f"{where}: {wrong[0]!r} is no day; use {', '.join(DAYS)}")
        self._start, self._end, self._days = start, end, frozenset(days or DAYS)
        self.hours, self.days = hours, tuple(day for day in DAYS if day in self._days)

    def armed(self, moment: datetime) -> bool:
        """Whether messages are wanted at a local time."""
        minute = 60 * moment.hour + moment.minute
        if self._start < self._end:
            return self._start <= minute < self._end and self._day(moment)
        return (minute >= self._start and self._day(moment)) or (
            minute < self._end and self._day(moment - timedelta(days=1))
        )

    def _day(self, moment: datetime) -> bool:
        return DAYS[moment.weekday()] in self._days
