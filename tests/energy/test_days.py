"""Days turn where people live, and no clock that is set forth and back can turn one. Virtual time throughout."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renogybt.energy.days import SETTLE, Calendar, Days
from renogybt.errors import UserError

AMSTERDAM = "Europe/Amsterdam"
HOUR = 3600.0


def local(text: str, zone: str = AMSTERDAM) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def turns(days: Days, start: float, hours: int) -> list[str]:
    """The moments (UTC) at which the day changes, to the minute."""
    found = []
    for minute in range(hours * 60):
        wall = start + 60 * minute
        if days.at(wall) != days.at(wall - 60):
            found.append(datetime.fromtimestamp(wall, UTC).isoformat(timespec="minutes")[:16])
    return found


def test_a_day_turns_at_local_midnight() -> None:
    days = Days(AMSTERDAM)
    assert days.at(local("2026-07-01T23:59:59")) == date(2026, 7, 1)
    assert days.at(local("2026-07-02T00:00:00")) == date(2026, 7, 2)


@pytest.mark.parametrize(
    ("reset_hour", "before", "named"),
    [(5, "2026-07-02T04:59:59", 1), (12, "2026-07-02T11:59", 1), (23, "2026-07-01T22:59", 1)],
)
def test_a_day_may_begin_at_another_hour_and_is_named_for_most_of_its_hours(
    reset_hour: int, before: str, named: int
) -> None:
    days = Days(AMSTERDAM, reset_hour)
    assert days.at(local(before)) == date(2026, 7, named)
    assert days.at(local(before) + 60) == date(2026, 7, named + 1)
    assert days.at(local("2026-07-02T11:30")) == date(2026, 7, 1 if reset_hour == 12 else 2)


@pytest.mark.parametrize("reset_hour", range(24))
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        (AMSTERDAM, "2026-03-29"),
        (AMSTERDAM, "2026-10-25"),
        ("America/New_York", "2026-11-01"),
        ("America/Havana", "2026-11-01"),
        ("Asia/Beirut", "2026-03-29"),
        ("Asia/Beirut", "2026-10-25"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Africa/Casablanca", "2026-02-15"),
        ("Asia/Kathmandu", "2026-05-05"),
    ],
)
def test_every_day_turns_exactly_once_also_when_the_clocks_change(zone: str, day: str, reset_hour: int) -> None:
    days = Days(zone, reset_hour)
    start = local(f"{day}T12:00", zone) - 48 * HOUR
    seen = [days.at(start + 60 * minute) for minute in range(96 * 60)]
    assert {(after - before).days for before, after in pairwise(seen)} == {0, 1}
    changes = turns(days, start, 96)
    assert len(changes) >= 3
    hours = [
        (datetime.fromisoformat(late) - datetime.fromisoformat(early)) / timedelta(hours=1)
        for early, late in pairwise(changes)
    ]
    assert all(22.9 < length < 25.1 for length in hours)


def test_a_spring_day_has_23_hours_and_an_autumn_day_25() -> None:
    days = Days(AMSTERDAM)
    assert turns(days, local("2026-03-28T12:00"), 48) == ["2026-03-28T23:00", "2026-03-29T22:00"]
    assert turns(days, local("2026-10-24T12:00"), 48) == ["2026-10-24T22:00", "2026-10-25T23:00"]


def test_an_hour_that_does_not_exist_begins_with_the_next() -> None:
    assert turns(Days(AMSTERDAM, 2), local("2026-03-28T12:00"), 24) == ["2026-03-29T01:00"]


def test_without_a_zone_the_machine_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert Days().at(local("2026-07-01T23:59", "Asia/Tokyo")) == date(2026, 7, 1)
        assert Days().at(local("2026-07-02T00:00", "Asia/Tokyo")) == date(2026, 7, 2)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../../etc/passwd", "Europe", "a\0b"])
def test_a_zone_that_does_not_exist_is_the_users_to_mend(zone: str) -> None:
    with pytest.raises(UserError, match="Europe/Amsterdam"):
        Days(zone)


class Clock:
    """A machine whose wall clock can be set while its monotonic clock runs on."""

    def __init__(self, text: str, last: str = "") -> None:
        self.wall, self.at = local(text), 50.0
        self.calendar = Calendar(Days(AMSTERDAM), date.fromisoformat(last) if last else None)

    def run(self, hours: float) -> list[date]:
        """Look once a minute; the days seen."""
        seen = []
        for _ in range(round(hours * 60)):
            self.wall, self.at = self.wall + 60, self.at + 60
            seen.append(self.calendar.day(self.wall, self.at))
        return seen


FIRST, SECOND = date(2026, 7, 1), date(2026, 7, 2)


def test_an_even_clock_is_believed_at_once() -> None:
    assert Clock("2026-07-01T23:00").run(2) == [FIRST] * 59 + [SECOND] * 61


@pytest.mark.parametrize("jump", [6, -6])
@pytest.mark.parametrize("start", ["2026-07-01T20:00", "2026-07-01T03:00"])
def test_a_clock_set_forth_and_back_turns_no_day(jump: int, start: str) -> None:
    clock = Clock(start)
    assert set(clock.run(0.5)) == {FIRST}
    clock.wall += jump * HOUR
    assert set(clock.run(0.2)) == {FIRST}
    clock.wall -= jump * HOUR
    assert set(clock.run(0.5)) == {FIRST}


def test_a_clock_that_was_set_is_believed_when_it_stands_by_it() -> None:
    clock = Clock("2026-07-01T20:00")
    clock.run(0.1)
    clock.wall += 6 * HOUR
    seen = clock.run(0.5)
    assert seen == [FIRST] * int(SETTLE / 60) + [SECOND] * (30 - int(SETTLE / 60))


def test_a_clock_set_back_for_good_takes_the_date_back_and_the_day_turns_again_at_midnight() -> None:
    clock = Clock("2026-07-02T03:00")
    assert set(clock.run(0.1)) == {SECOND}
    clock.wall -= 6 * HOUR
    seen = clock.run(4)
    assert seen[:15] == [SECOND] * 15
    assert [day for day, after in pairwise(seen) if day != after] == [SECOND, FIRST]
    assert seen[-1] == SECOND


def test_downtime_over_midnight_turns_the_day_at_once() -> None:
    assert Clock("2026-07-02T08:00", last="2026-07-01").run(0.1)[0] == SECOND


def test_a_pi_that_boots_with_a_stale_clock_keeps_its_day_until_the_clock_is_set() -> None:
    clock = Clock("2026-07-01T23:17", last="2026-07-02")
    assert set(clock.run(0.2)) == {SECOND}
    clock.wall = local("2026-07-02T00:45")
    assert set(clock.run(2)) == {SECOND}


def test_a_day_from_the_future_in_the_file_does_not_stop_the_days_for_ever() -> None:
    clock = Clock("2026-07-01T22:00", last="2038-01-19")
    seen = clock.run(4)
    assert seen[0] == date(2038, 1, 19)
    assert seen[60:] == [FIRST] * 59 + [SECOND] * 121


@settings(deadline=None)
@given(st.lists(st.sampled_from([-6, -1, 0, 0, 0, 1, 6]), max_size=12), st.integers(0, 23))
def test_whatever_the_clock_does_the_right_day_comes_within_half_an_hour_of_it_running_evenly(
    jumps: list[int], hour: int
) -> None:
    clock = Clock(f"2026-07-01T{hour:02}:30")
    for jump in jumps:
        clock.run(0.1)
        clock.wall += jump * HOUR
    assert clock.run(0.6)[-1] == Days(AMSTERDAM).at(clock.wall)
