"""The database: means follow from readings, in whatever order, under whatever clock, after whatever end."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from renogybt.energy.days import Days
from renogybt.history import FIVE_MINUTES, History, Stat
from renogybt.history.kept import Kept, kept, records
from tests.history.given import DAY, HOUR, HOUSE, HOUSE_UID, MINUTE, NOON, UID, at, reading, recorded, solar, store

FOR_EVER = 1e12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def minutes(start: float, count: int, first: float = 0) -> list[Kept]:
    """A reading each minute, whose watts rise by one."""
    return [solar(start + n * MINUTE, first + n) for n in range(count)]


def curve(path: Path, step: int, key: str = "pv_power", uid: str = UID) -> list[tuple[float, float, float, float, float]]:
    with History(path) as history:
        found = history.series(uid, [key], 0, FOR_EVER, step).curves[key]
        return list(zip(found.times, found.mean, found.min, found.max, found.last, strict=True))


def count(path: Path, table: str) -> int:
    with sqlite3.connect(path) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_readings_come_back_as_they_were(path: Path) -> None:
    given = reading(NOON + 0.25, pv_power=34, battery_voltage=13.1, charging_status="mppt", faults=[], problem=False)
    store(path).write([kept(given)], [], NOON)
    with History(path) as history:
        ((when, values),) = history.readings(UID, 0, FOR_EVER)
        assert when == NOON + 0.25
        assert {key: value for key, value in values.items() if value is not None} == {
            key: value for key, value in given.values.items() if value is not None
        }
        assert history.latest(UID) == (when, values)


def test_means_are_made_when_their_time_is_over(path: Path) -> None:
    written = store(path)
    written.write(minutes(NOON, 7), [], NOON + 6 * MINUTE)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT span, start, count FROM means").fetchall() == [(300, NOON, 5)]
    written.write(minutes(NOON + 7 * MINUTE, 60, 7), [], NOON + 67 * MINUTE)
    assert curve(path, 300)[:2] == [(NOON, 2, 0, 4, 4), (NOON + 300, 7, 5, 9, 9)]
    assert curve(path, 3600)[0] == (NOON, 29.5, 0, 59, 59)


def test_what_is_not_over_yet_is_there_for_readers(path: Path) -> None:
    store(path).write(minutes(NOON, 7), [], NOON + 6 * MINUTE)
    assert curve(path, 300) == [(NOON, 2, 0, 4, 4), (NOON + 300, 5.5, 5, 6, 6)]
    assert curve(path, 3600) == [(NOON, 3, 0, 6, 6)]


def test_the_order_in_which_readings_come_makes_no_difference(path: Path, tmp_path: Path) -> None:
    given = minutes(NOON, 3 * 60)
    store(path).write(given, [], None)
    other = tmp_path / "other.sqlite"
    mixed = random.Random(1).sample(given, len(given))
    late = store(other)
    for n, item in enumerate(mixed):
        late.write([item], [], NOON + n * MINUTE)
    late.write([], [], None)
    for step in (0, 300, 3600):
        assert curve(other, step) == curve(path, step)
    with History(path) as one, History(other) as two:
        assert one.days(UID, "2026-07-01", "2026-07-01") == two.days(UID, "2026-07-01", "2026-07-01")


@pytest.mark.parametrize("jump", [-6 * HOUR, 6 * HOUR, -20 * 365 * DAY, 20 * 365 * DAY])
def test_a_clock_that_jumps_and_comes_back_spoils_no_interval(path: Path, jump: float) -> None:
    written = store(path)
    given = minutes(NOON, 30)
    for n, item in enumerate(given):
        away = jump if 10 <= n < 13 else 0.0
        shown = NOON + n * MINUTE + away
        written.write([solar(shown, n) if away else item], [], shown)
    written.write([], [], None)
    found = {when: row for when, *row in curve(path, 300)}
    assert found[NOON] == [2, 0, 4, 4]
    assert found[NOON + 10 * MINUTE] == [13.5, 13, 14, 14]
    assert sum(len(row) for row in found.values()) == 4 * 7
    assert sum(item[1] for item in curve(path, 0)) == sum(range(30))


def test_readings_of_one_interval_from_before_and_after_a_jump_are_merged(path: Path) -> None:
    written = store(path)
    written.write(minutes(NOON, 5), [], NOON + 5 * MINUTE)
    assert curve(path, 300) == [(NOON, 2, 0, 4, 4)]
    written.write([solar(NOON + 30, 100)], [], NOON + 40)
    written.write([], [], NOON + 400)
    assert curve(path, 300) == [(NOON, pytest.approx(18.333), 0, 100, 4)]
    assert curve(path, 3600) == [(NOON, pytest.approx(18.333), 0, 100, 4)]


def test_what_rests_on_less_never_replaces_what_rests_on_more(path: Path) -> None:
    written = store(path)
    written.write(minutes(NOON, 60), [], None)
    while written.prune(NOON + 3 * DAY, 0, 30, 30):
        pass
    assert count(path, "readings") == 0
    written.write([solar(NOON + 30, 9999)], [], None)
    assert curve(path, 300)[0] == (NOON, 2, 0, 4, 4)
    assert curve(path, 3600)[0] == (NOON, 29.5, 0, 59, 59)


def test_a_writer_that_was_killed_leaves_nothing_unfinished(path: Path) -> None:
    first = store(path)
    first.write(minutes(NOON, 14), [], NOON + 13 * MINUTE)
    first.close()
    second = store(path)
    second.write([], [], NOON + 5 * HOUR)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT span, count FROM means ORDER BY span, start").fetchall() == [
            (300, 5),
            (300, 5),
            (300, 4),
            (3600, 14),
        ]
    assert count(path, "due") == 0


def test_nothing_to_write_is_no_transaction(path: Path) -> None:
    written, watcher = store(path), sqlite3.connect(path)
    written.write(minutes(NOON, 3), [], NOON + 3 * MINUTE)
    seen = watcher.execute("PRAGMA data_version").fetchone()
    written.write([], [], NOON + 4 * MINUTE)
    assert watcher.execute("PRAGMA data_version").fetchone() == seen
    written.write([], [], NOON + 5 * MINUTE)
    assert watcher.execute("PRAGMA data_version").fetchone() != seen
    watcher.close()


def test_devices_do_not_mix_and_follow_their_names(path: Path) -> None:
    written = store(path)
    pack = kept(reading(NOON, HOUSE, "battery", cell_count=4, current=-1.5))
    written.write([*minutes(NOON, 5), pack], [], None)
    renamed = type(HOUSE)(HOUSE.mac, HOUSE.unit, "van", True)
    written.write([kept(reading(NOON + 60, renamed, "battery_rngpro", cell_count=4, current=-2.5))], [], None)
    assert curve(path, 300, "current", HOUSE_UID) == [(NOON, -2, -2.5, -1.5, -2.5)]
    with History(path) as history:
        assert [(item.label, item.family) for item in history.devices()] == [
            ("roof_255", "controller"),
            ("van_48", "battery_rngpro"),
        ]
        assert [key.name for key in history.keys(HOUSE_UID) if key.name in ("current", "cell_count")] == [
            "cell_count",
            "current",
        ]


def test_what_seldom_changes_is_stored_once(path: Path) -> None:
    written = store(path)
    written.write([solar(NOON + n, n, model="RVR40", faults=["fan_alarm"] if n == 50 else []) for n in range(100)], [], None)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM forms WHERE fixed != ''").fetchone() == (2,)
    with History(path) as history:
        faults = [values["faults"] for _, values in history.readings(UID, 0, FOR_EVER)]
    assert faults == [*[[]] * 50, ["fan_alarm"], *[[]] * 49]


def test_pruning_goes_by_age_in_small_steps(path: Path) -> None:
    written = store(path)
    old = [solar(NOON - 40 * DAY + n * MINUTE, n, model="old") for n in range(1300)]
    written.write([*old, *minutes(NOON - HOUR, 60)], [], None)
    steps = [count(path, "readings")]
    while written.prune(NOON, 7, 20, 400):
        steps.append(count(path, "readings"))
    assert steps == [1360, 860, 360, 60]
    assert count(path, "readings") == 60
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT span, count(*) FROM means GROUP BY span").fetchall() == [(300, 12), (3600, 23)]
        assert db.execute("SELECT count(*) FROM forms WHERE fixed LIKE '%old%'").fetchone() == (0,)
    with History(path) as history:
        assert len(history.days(UID, "2026-05-01", "2026-12-31")) == 3


def test_pruning_leaves_what_means_are_still_to_be_made_of(path: Path) -> None:
    written = store(path)
    written.write(minutes(NOON, 70), [], NOON + 70 * MINUTE)
    written.prune(NOON + 70 * MINUTE, 0, 1, 1)
    assert count(path, "readings") == 70


def days_of(path: Path, first: str, last: str) -> dict[str, Stat]:
    with History(path) as history:
        return {day.date: day.values["pv_power"] for day in history.days(UID, first, last)}


@pytest.mark.parametrize(
    ("zone", "turn", "date", "hours"),
    [
        ("UTC", "2026-07-01T00:00", "2026-07-01", 24),
        ("Europe/Amsterdam", "2026-03-28T23:00", "2026-03-29", 23),
        ("Europe/Amsterdam", "2026-10-24T22:00", "2026-10-25", 25),
        ("Asia/Kolkata", "2026-07-01T18:30", "2026-07-02", 24),
    ],
)
def test_days_are_local_days_also_when_the_clocks_change(path: Path, zone: str, turn: str, date: str, hours: int) -> None:
    begin, end = at(turn), at(turn) + hours * HOUR
    written = store(path, Days(zone).at)
    given = [solar(begin - 10 * HOUR + n * 5 * MINUTE, 0) for n in range(12 * 46)]
    given = [
        solar(item.taken_at, 1 + (item.taken_at == end - 300) if begin <= item.taken_at < end else 50) for item in given
    ]
    written.write(given, [], None)
    found = days_of(path, date, date)[date]
    assert (found.readings, found.min, found.max, found.last) == (hours * 12, 1, 2, 2)


def test_a_day_begins_at_the_hour_the_owner_wants(path: Path) -> None:
    written = store(path, Days("UTC", 6).at)
    begin = at("2026-07-01T06:00")
    written.write([solar(begin + n * 5 * MINUTE, n) for n in range(-12, 300)], [], None)
    found = days_of(path, "2026-06-30", "2026-07-02")
    assert {day: (item.min, item.max) for day, item in found.items()} == {
        "2026-06-30": (-12, -1),
        "2026-07-01": (0, 287),
        "2026-07-02": (288, 299),
    }


def test_the_day_that_is_not_over_is_renewed_each_hour(path: Path) -> None:
    written = store(path)
    for n in range(0, 180, 5):
        written.write(minutes(NOON + n * MINUTE, 5, n), [], NOON + (n + 5) * MINUTE)
    found = days_of(path, "2026-07-01", "2026-07-01")["2026-07-01"]
    assert (found.min, found.max, found.readings) == (0, 179, 180)


def test_controllers_know_the_days_before_installation(path: Path) -> None:
    written = store(path)
    seen = [solar(NOON + n * MINUTE, 1, power_generation_today=300 + n, power_consumption_today=7) for n in range(60)]
    own = recorded(NOON, ("2026-07-01", 0, 200), ("2026-06-30", 1, 1700), ("2026-06-29", 2, 1812))
    written.write(seen, list(records(own)), None)
    with History(path) as history:
        days = {day.date: day for day in history.days(UID, "2026-06-01", "2026-07-31")}
    assert {date: day.generation for date, day in days.items()} == {
        "2026-06-29": 1812,
        "2026-06-30": 1700,
        "2026-07-01": 359,
    }
    assert days["2026-06-30"].consumption == 850
    assert days["2026-06-30"].values == {}
    assert days["2026-07-01"].controller["day_generation"] == 200
    written.write([], list(records(recorded(NOON + DAY, ("2026-07-02", 0, 10), ("2026-07-01", 1, 1650)))), None)
    written.write([], list(records(recorded(NOON, ("2026-07-01", 0, 3)))), None)
    with History(path) as history:
        (day,) = history.days(UID, "2026-07-01", "2026-07-01")
    assert (day.generation, day.consumption) == (1650, 825)
    assert day.values["power_generation_today"].last == 359
    assert FIVE_MINUTES == 300
