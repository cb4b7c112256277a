"""Which local day a moment belongs to, and when a clock may be believed about it."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo

from renogybt.errors import UserError

SETTLE = 900.0
"""Seconds for which a clock that was set, or went back to an earlier day, has to stand by it."""
JUMP = 60.0
"""Seconds that wall clock and monotonic clock may drift apart between two looks; more means that the clock was set."""
QUARTER = 900
"""All time zones shift at, and by, multiples of so many seconds, so no day turns within a quarter of an hour of UTC."""


class Days:
    """Local days in `timezone` (empty: that of this machine) that begin at `reset_hour`.

    A day bears the date on which most of its hours fall: with `reset_hour` 23, 23:30 on the 5th belongs to the 6th. Raises
    `UserError` for a zone that does not exist.
    """

    def __init__(self, timezone: str = "", reset_hour: int = 0) -> None:
        self._zone = zone(timezone) if timezone else None
        self._reset_hour = reset_hour
        self._quarter: int | None = None
        self._day = date.min

    def at(self, wall: float) -> date:
        """The day of wall-clock second `wall`. Hours are compared, not added: so a day of 23 or 25 hours turns right."""
        quarter = int(wall // QUARTER)
        if quarter != self._quarter:
            local = datetime.fromtimestamp(wall, self._zone)
            begun = local.hour >= self._reset_hour
            late = self._reset_hour > 12
            self._day = local.date() + timedelta(days=begun - (not late))
            self._quarter = quarter
        return self._day


def zone(name: str) -> tzinfo:
    """The time zone of that name. Raises `UserError`."""
    from zoneinfo import ZoneInfo  # most machines stand in the zone they are set to and need not load this

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UserError(
            f"timezone = {name} in [data] is no time zone that this machine knows. Use a name like Europe/Amsterdam "
            "(timedatectl list-timezones shows them; on a bare system: sudo apt install tzdata)"
        ) from error


class Calendar:
    """The day that is believed, from a clock that may be set at any time.

    A new day is believed at once while the clock runs evenly. After the clock was set, a new day waits until the clock has
    run on for `SETTLE` seconds: a clock that is set forth and back turns no day. A day before the believed one is believed
    only after the clock has shown it for `SETTLE` seconds. `last` is the latest day known from an earlier run.
    """

    def __init__(self, days: Days, last: date | None = None) -> None:
        self._days, self._believed = days, last
        self._offset: float | None = None
        self._doubted_until: float | None = None
        self._earlier_since: float | None = None

    def day(self, wall: float, at: float) -> date:
        """The day at wall-clock second `wall`, which is monotonic second `at`."""
        offset = wall - at
        if self._offset is not None and abs(offset - self._offset) > JUMP:
            self._doubted_until = at + SETTLE
        self._offset = offset
        shown = self._days.at(wall)
        if self._believed is None:
            self._believed = shown
        if shown >= self._believed:
            self._earlier_since = None
        elif self._earlier_since is None:
            self._earlier_since = at
        settled = self._doubted_until is None or at >= self._doubted_until
        long_enough = self._earlier_since is None or at >= self._earlier_since + SETTLE
        if settled and long_enough:
            self._believed, self._earlier_since = shown, None
        return self._believed
