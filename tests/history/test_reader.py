"""What the web page reads: the right resolution by itself, units, and clear words about what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from renogybt.errors import UserError
from renogybt.history import FULL, History, Stat
from tests.history.given import DAY, HOUR, MINUTE, NOON, UID, at, solar, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def year(path: Path) -> Path:
    """A reading every five minutes for ten weeks, then one a minute for two days; readings older than a week are gone."""
    written = store(path)
    written.write([solar(NOON - 70 * DAY + n * 5 * MINUTE, n % 288) for n in range(68 * 288)], [], None)
    written.write([solar(NOON - 2 * DAY + n * MINUTE, n % 1440) for n in range(2 * 1440)], [], None)
    while written.prune(NOON, 7, 30, 3650):
        pass
    written.close()
    return path


def points(path: Path, start: float, end: float = NOON) -> tuple[int, int, float]:
    """Step, number of points, and how far after `start` the first one lies."""
    with History(path) as history:
        found = history.series(UID, ["pv_power"], start, end)
        curve = found.curves["pv_power"]
        return found.step, len(curve.times), curve.times[0] - start


def test_the_resolution_follows_the_length_and_what_is_kept(year: Path) -> None:
    assert points(year, NOON - HOUR) == (FULL, 60, 0)
    assert points(year, NOON - DAY) == (FULL, 1440, 0)
    assert points(year, NOON - 2 * DAY) == (300, 576, 0)
    assert points(year, NOON - 6.5 * DAY) == (300, 1872, 0)
    assert points(year, NOON - 7 * DAY) == (3600, 168, 0)
    assert points(year, NOON - 60 * DAY) == (3600, 60 * 24, 0)
    assert points(year, NOON - 60 * DAY, NOON - 59 * DAY) == (3600, 24, 0)
    assert points(year, NOON - 20 * DAY, NOON - 19 * DAY) == (300, 288, 0)


def test_a_young_history_is_shown_in_full_whatever_is_asked(path: Path) -> None:
    store(path).write([solar(NOON + n * MINUTE, n) for n in range(20)], [], NOON + 20 * MINUTE)
    assert points(path, NOON - 365 * DAY, NOON + DAY)[:2] == (FULL, 20)


def test_an_empty_span_gives_empty_curves(year: Path) -> None:
    with History(year) as history:
        found = history.series(UID, ["pv_power", "battery_voltage", "no such key"], NOON + DAY, NOON + 2 * DAY)
        assert {key: curve.times for key, curve in found.curves.items()} == {
            "pv_power": [],
            "battery_voltage": [],
            "no such key": [],
        }


def test_curves_hold_mean_lowest_highest_and_last(path: Path) -> None:
    store(path).write([solar(NOON + n * MINUTE, n, problem=n == 3, load_status="on") for n in range(10)], [], None)
    with History(path) as history:
        found = history.series(UID, ["pv_power", "problem", "load_status"], NOON, NOON + HOUR, 300).curves
    power = found["pv_power"]
    assert (power.times, power.mean, power.min, power.max, power.last) == (
        [NOON, NOON + 300],
        [2, 7],
        [0, 5],
        [4, 9],
        [4, 9],
    )
    assert found["problem"].mean == [0.2, 0]
    assert found["load_status"].last == [1, 1]


def test_means_come_page_by_page_without_gap_or_double(year: Path) -> None:
    with History(year) as history:
        starts = [item.start for item in history.means(UID, 300, 0, NOON + DAY)]
        assert starts == sorted(set(starts))
        assert len(starts) == (30 * 24 + 2) * 12
        times = [when for when, _ in history.readings(UID, 0, NOON + DAY)]
        assert len(times) == len(set(times)) == 5 * 288 + 24 + 2 * 1440


def test_the_bounds_are_first_included_and_last_not(path: Path) -> None:
    store(path).write([solar(NOON + n * 300, n) for n in range(6)], [], None)
    with History(path) as history:
        assert [when for when, _ in history.readings(UID, NOON + 300, NOON + 900)] == [NOON + 300, NOON + 600]
        assert [item.start for item in history.means(UID, 300, NOON + 300, NOON + 900)] == [NOON + 300, NOON + 600]


def test_only_two_lengths_of_means_exist(year: Path) -> None:
    with History(year) as history, pytest.raises(UserError, match="300 and 3600"):
        history.means(UID, 60, 0, NOON)


def test_latest_may_leave_out_what_a_wrong_clock_has_left(path: Path) -> None:
    store(path).write([solar(NOON, 1), solar(NOON + 400 * DAY, 2)], [], None)
    with History(path) as history:
        found = history.latest(UID, NOON + MINUTE)
        assert found is not None
        assert found[1]["pv_power"] == 1
        found = history.latest(UID)
        assert found is not None
        assert found[1]["pv_power"] == 2
        assert history.latest(UID, NOON - 1) is None


def test_keys_have_units_and_stand_in_the_order_of_the_table(path: Path) -> None:
    store(path).write([solar(NOON, 1, model="RVR40", battery_voltage=13.1, charging_status="mppt")], [], None)
    with History(path) as history:
        keys = {key.name: key for key in history.keys(UID)}
    assert keys["pv_power"].unit == "W"
    assert keys["battery_voltage"].unit == "V"
    assert [keys[name].counted for name in ("pv_power", "charging_status", "model")] == [True, False, False]
    names = list(keys)
    assert names.index("model") < names.index("battery_voltage") < names.index("pv_power")


def test_days_are_asked_for_with_both_ends(path: Path) -> None:
    begin = at("2026-07-01T00:00")
    store(path).write([solar(begin + n * HOUR, n) for n in range(24 * 4)], [], None)
    with History(path) as history:
        found = history.days(UID, "2026-07-02", "2026-07-03")
        assert [day.date for day in found] == ["2026-07-02", "2026-07-03"]
        assert found[0].values["pv_power"] == Stat(35.5, 24, 47, 47, 24)
        assert found[0].generation is None


def test_an_unknown_device_is_named_with_those_there_are(year: Path) -> None:
    with History(year) as history:
        with pytest.raises(UserError, match=f"no device abc; it knows {UID}"):
            history.keys("abc")
        with pytest.raises(UserError, match="no device abc"):
            history.series("abc", ["pv_power"], 0, NOON)


def test_a_path_with_odd_letters_works(tmp_path: Path) -> None:
    odd = tmp_path / "häuser #1 100%?.sqlite"
    store(odd).write([solar(NOON, 1)], [], None)
    with History(odd) as history:
        assert history.devices()[0].uid == UID
