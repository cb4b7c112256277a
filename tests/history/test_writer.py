"""The thread: it writes seldom, waits for nobody, and what it has said is written stays written."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from renogybt.history import History
from renogybt.history import file as file_under_test
from renogybt.history.writer import BURST, MOST_WAITING, PRUNE_EVERY, HistorySink
from renogybt.sinks.sink import Sink
from tests.history.given import DAY, HOUSE, MINUTE, NOON, ROVER, UID, Clock, reading, recorded, sink

LIFE = 1e12
UNITS = (48, 49, 50, 51)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., HistorySink]]:
    """`running(...)` starts a history that is stopped when the test ends."""
    started: list[HistorySink] = []

    def made(**options: Any) -> HistorySink:
        started.append(sink(tmp_path, **options))
        started[-1].start()
        return started[-1]

    yield made
    for found in started:
        found.stop(5)


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every transaction that any history begins from now on."""
    begun: list[str] = []
    opened = file_under_test.opened

    def watched(path: Path) -> sqlite3.Connection:
        db = opened(path)
        db.set_trace_callback(lambda statement: begun.append(statement) if statement.startswith("BEGIN") else None)
        return db

    monkeypatch.setattr(file_under_test, "opened", watched)
    return begun


def powers(path: Path) -> list[int]:
    with History(path) as history:
        return [values["pv_power"] for _, values in history.readings(UID, 0, LIFE)]


def test_it_is_a_sink(tmp_path: Path) -> None:
    found: Sink = sink(tmp_path)
    assert found.name == "history"


def test_what_is_offered_is_in_the_file_after_a_flush(running: Callable[..., HistorySink]) -> None:
    found = running()
    for n in range(5):
        found.offer(reading(NOON + n, pv_power=n))
    assert found.flush(60) == ""
    assert powers(found.path) == [0, 1, 2, 3, 4]
    assert found.flush(0) == ""


def test_stopping_writes_what_waits_and_finishes_the_means(running: Callable[..., HistorySink]) -> None:
    found = running()
    found.flush(60)
    for n in range(5):
        found.offer(reading(NOON + n, pv_power=n))
    assert found.stop(5)
    assert found.stop(5)
    assert [item.name for item in found.path.parent.iterdir()] == ["history.sqlite"]
    assert powers(found.path) == [0, 1, 2, 3, 4]
    with sqlite3.connect(found.path) as db:
        assert db.execute("SELECT span, count FROM means").fetchall() == [(300, 5), (3600, 5)]
        assert db.execute("SELECT count(*) FROM days").fetchone() == (1,)


def test_at_most_one_transaction_per_flush_interval(tmp_path: Path, transactions: list[str]) -> None:
    clock = Clock()
    found = sink(tmp_path, clock)
    end = NOON + 6 * 3600
    while clock.wall() < end:
        for unit in UNITS:
            found.offer(reading(clock.wall(), type(HOUSE)(HOUSE.mac, unit, "house", True), "battery", current=-1.5))
        for _ in range(10):
            pause = found.step()
            assert pause <= MINUTE
            clock.pass_by(1)
    minutes, looks_for_old, tables_made = 6 * 60, 6, 1
    assert minutes * 0.9 <= len(transactions) <= minutes + looks_for_old + tables_made


def test_nothing_is_written_while_nothing_comes_in(tmp_path: Path, transactions: list[str]) -> None:
    clock = Clock()
    found = sink(tmp_path, clock)
    found.offer(reading(clock.wall(), pv_power=1))
    for _ in range(3 * 3600):
        found.step()
        clock.pass_by(1)
    # One for the reading, one each when its five minutes and its hour are over, and two looks for what is too old.
    assert len(transactions) <= 5 + 1


def test_a_burst_is_written_at_once_and_memory_stays_small(running: Callable[..., HistorySink]) -> None:
    found = running(flush_seconds=3600)
    found.flush(60)
    for n in range(BURST):
        found.offer(reading(NOON + n, pv_power=n))
    end = time.monotonic() + 60
    while found.delivered < BURST:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert powers(found.path) == list(range(BURST))


def test_offering_never_waits_and_never_grows_without_end(tmp_path: Path) -> None:
    found = sink(tmp_path)
    for n in range(MOST_WAITING + 50):
        found.offer(reading(NOON + n, pv_power=n))
    assert found.dropped == 50
    found.close()
    assert powers(found.path) == list(range(50, MOST_WAITING + 50))


def test_a_file_that_another_program_holds_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_under_test, "LOCKED_FOR", 0.05)
    clock = Clock()
    found = sink(tmp_path, clock)
    found.step()
    other = sqlite3.connect(found.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    found.offer(reading(NOON, pv_power=7))
    clock.pass_by(MINUTE)
    found.step()
    assert "locked" in found.trouble
    other.execute("ROLLBACK")
    other.close()
    clock.pass_by(MINUTE)
    found.step()
    assert found.trouble == ""
    assert powers(found.path) == [7]


def test_recorded_days_go_to_the_controller(running: Callable[..., HistorySink]) -> None:
    found = running()
    found.offer(recorded(NOON, ("2026-07-01", 0, 500), ("2026-06-30", 1, 1700)))
    assert found.flush(60) == ""
    with History(found.path) as history:
        assert [device.uid for device in history.devices()] == [ROVER.uid]
        assert [(day.date, day.generation) for day in history.days(UID, "2026-06-01", "2026-07-31")] == [
            ("2026-06-30", 1700),
            ("2026-07-01", 500),
        ]
        assert history.latest(UID) is None


def old_and_new(found: HistorySink, clock: Clock) -> None:
    found.offer(reading(clock.wall() - 30 * DAY, pv_power=1))
    found.offer(reading(clock.wall(), pv_power=2))
    found.step()


def test_what_is_too_old_goes_after_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    found = sink(tmp_path, clock)
    old_and_new(found, clock)
    assert powers(found.path) == [1, 2]
    clock.pass_by(PRUNE_EVERY)
    found.step()
    assert powers(found.path) == [2]


def test_a_clock_that_was_just_set_makes_nothing_old(tmp_path: Path) -> None:
    clock = Clock()
    found = sink(tmp_path, clock, full_days=60)
    old_and_new(found, clock)
    clock.pass_by(PRUNE_EVERY)
    clock.set(clock.wall() + 10 * 365 * DAY)
    found.step()
    assert powers(found.path) == [1, 2]
    clock.set(NOON + PRUNE_EVERY)
    clock.pass_by(PRUNE_EVERY)
    found.step()
    clock.pass_by(PRUNE_EVERY)
    found.step()
    assert powers(found.path) == [1, 2]


def test_pruning_much_leaves_room_for_writing(tmp_path: Path) -> None:
    clock = Clock()
    found = sink(tmp_path, clock)
    for n in range(1900):
        found.offer(reading(NOON - 30 * DAY + n * MINUTE, pv_power=n))
    found.step()
    clock.pass_by(PRUNE_EVERY)
    found.offer(reading(clock.wall(), pv_power=-1))
    pauses = []
    while len(powers(found.path)) > 1:
        pauses.append(found.step())
        clock.pass_by(pauses[-1])
    assert len(pauses) >= 4
    assert max(pauses[:-1]) <= 0.5
    assert powers(found.path) == [-1]


def test_readers_are_not_in_the_way(running: Callable[..., HistorySink]) -> None:
    """Others read all the time in threads of their own, each what was whole at that moment."""
    found = running()
    found.offer(reading(NOON, pv_power=0))
    assert found.flush(60) == ""
    faults: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen = powers(found.path)
            if seen != list(range(len(seen))):
                faults.append(str(seen))

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(1, 100):
        found.offer(reading(NOON + n, pv_power=n))
        if found.flush(60):
            faults.append(found.trouble or "not written in time")
    over.set()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert powers(found.path) == list(range(100))


def test_two_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.history.crash", str(tmp_path / "history.sqlite"), "200", "20260701"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


def test_sqlite_is_loaded_only_for_those_who_keep_a_history() -> None:
    program = "import sys, renogybt.service.bridge; sys.exit('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
