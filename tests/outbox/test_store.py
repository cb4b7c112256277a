"""The outbox in normal running: order, pace, limits, marks."""

from __future__ import annotations

import logging
import tracemalloc
from math import inf
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as gives
from hypothesis import strategies as st

from renogybt.outbox.queue import KEPT, WINDOW
from renogybt.outbox.store import GONE, MEMORY, SPILL
from tests.outbox.given import OUTLET, PACE, WALL, bodies, drain, fill, on_disk, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def test_what_is_delivered_in_time_never_touches_the_disk(path: Path) -> None:
    found = store(path)
    for minute in range(100):
        now = minute * PACE
        fill(found, minute, now=now)
        assert found.due(now) == PACE
        assert drain(found, now=now) == [str(minute)]
        assert found.due(now) == inf
        assert found.commit(now, WALL)
    assert not path.exists()
    assert found.commits == 0


def test_what_waits_is_written_once_a_minute(path: Path) -> None:
    found = store(path)
    for second in range(600):
        fill(found, second, now=float(second))
        if found.due(float(second)) <= 0:
            assert found.commit(float(second), WALL)
    assert found.commits == 9
    found.close()
    assert len(on_disk(path)) == 9 * (PACE + 1)  # each minute begins with the record after the last write


def test_much_at_once_is_written_before_the_time(path: Path) -> None:
    found = store(path)
    fill(found, "x" * SPILL, "y")
    assert found.due(0.0) == 0
    found.commit(0.0, WALL)
    fill(found, *range(GONE))
    found.commit(0.0, WALL)
    assert found.due(0.0) == inf
    drain(found)
    assert found.due(0.0) == 0


def test_order_over_a_restart_and_over_more_than_the_window(path: Path) -> None:
    first = store(path)
    many = [str(n) for n in range(3 * WINDOW + 7)]
    fill(first, *many[: 2 * WINDOW])
    first.commit(0.0, WALL)
    fill(first, *many[2 * WINDOW :])
    assert first.count(OUTLET) == len(many)
    assert bodies(first, 3) == many[:3]
    first.commit(1.0, WALL)
    first.close()
    second = store(path)
    assert second.count(OUTLET) == len(many)
    fill(second, "last")
    assert drain(second) == [*many, "last"]
    assert second.count(OUTLET) == 0
    second.commit(2.0, WALL)
    second.close()
    assert on_disk(path) == []


def test_memory_lets_go_of_what_the_disk_holds(path: Path) -> None:
    found, letters = store(path), 2000
    tracemalloc.start()
    try:
        fill(found, *(f"{n:0{letters}}" for n in range(8 * KEPT)))
        waiting, _ = tracemalloc.get_traced_memory()
        found.commit(0.0, WALL)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert waiting > 8 * KEPT * letters
    assert kept < 2 * KEPT * letters
    assert drain(found) == [f"{n:0{letters}}" for n in range(8 * KEPT)]


def test_what_an_outlet_was_shown_can_be_removed_after_it_went_to_the_disk(path: Path) -> None:
    found = store(path)
    fill(found, *range(8 * KEPT))
    shown = found.waiting(OUTLET, 6 * KEPT, 0.0)
    found.commit(0.0, WALL)
    found.remove(OUTLET, [record.number for record in shown], 0.0)
    assert found.count(OUTLET) == 2 * KEPT
    assert bodies(found, 3) == [str(6 * KEPT + n) for n in range(3)]
    found.commit(1.0, WALL)
    found.close()
    assert on_disk(path) == [(str(n), False) for n in range(6 * KEPT, 8 * KEPT)]


def test_each_outlet_has_a_queue_of_its_own(path: Path) -> None:
    found = store(path)
    for n in range(10):
        fill(found, n, outlet="ab"[n % 2])
    found.commit(0.0, WALL)
    found.close()
    found = store(path)
    assert drain(found, "b") == ["1", "3", "5", "7", "9"]
    assert bodies(found, outlet="a") == ["0", "2", "4", "6", "8"]
    numbers = [record.number for record in found.waiting("a", 9, 0.0)]
    assert numbers == sorted(numbers)


def test_a_record_comes_back_as_it_was(path: Path) -> None:
    found = store(path)
    found.accept("a", 1234.5678, '{"ü": "\x00 \U0001f600"}', 0.0)
    (before,) = found.waiting("a", 1, 0.0)
    found.commit(0.0, 2000.0)
    found.close()
    assert store(path).waiting("a", 1, 0.0) == [before]


def test_what_is_too_old_is_given_up_counted_and_said_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = store(path, max_age=1000)
    with caplog.at_level(logging.WARNING):
        for n in range(100):
            fill(found, n, taken_at=WALL + n * 100, now=n * 100.0)
            found.commit(n * 100.0, WALL + n * 100)
    assert bodies(found) == [str(n) for n in range(89, 100)]
    assert found.count(OUTLET) == 11
    assert found.dropped[OUTLET] == 89
    assert len(caplog.messages) == 1
    assert "max_age_days" in caplog.messages[0]


def test_the_file_keeps_to_its_size_and_the_oldest_go_first(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = store(path, max_bytes=1_000_000)
    with caplog.at_level(logging.WARNING):
        for n in range(300):
            fill(found, *(f"{n:05}{m:05}" + "x" * 1000 for m in range(10)))
            found.commit(float(n), WALL)
            assert path.stat().st_size < 1_400_000
    left = [body[:10] for body in drain(found)]
    assert left == [f"{n:05}{m:05}" for n in range(300) for m in range(10)][-len(left) :]
    assert 600 < len(left) < 1000
    assert found.dropped[OUTLET] == 3000 - len(left)
    assert len(caplog.messages) == 1


def test_a_clock_that_jumps_by_hours_loses_nothing(path: Path) -> None:
    found = store(path)
    fill(found, "a")
    found.commit(0.0, WALL)
    fill(found, "b", taken_at=WALL + 6 * 3600)
    found.commit(60.0, WALL + 6 * 3600)
    fill(found, "c", taken_at=WALL - 6 * 3600)
    found.commit(120.0, WALL - 6 * 3600)
    assert drain(found) == ["a", "b", "c"]


def test_the_file_shrinks_when_nothing_waits(path: Path) -> None:
    found = store(path)
    fill(found, *("x" * 1000 for _ in range(3000)))
    found.commit(0.0, WALL)
    drain(found)
    found.commit(1.0, WALL)
    found.close()
    assert path.stat().st_size < 100_000


def test_a_mark_is_on_the_disk_before_the_call_and_stays_until_the_record_goes(path: Path, tmp_path: Path) -> None:
    found = store(path)
    fill(found, "old", "older")
    found.commit(0.0, WALL)
    fill(found, "new")
    records = found.waiting(OUTLET, 9, 0.0)
    assert found.mark(OUTLET, [records[0].number, records[2].number])
    found.commit(1.0, WALL)
    assert not found.mark(OUTLET, [records[0].number, records[2].number])
    assert [record.sent_once for record in found.waiting(OUTLET, 9, 0.0)] == [True, False, True]
    found.close()
    assert on_disk(path) == [("old", True), ("older", False), ("new", True)]
    again = store(path)
    assert [record.sent_once for record in again.waiting(OUTLET, 9, 0.0)] == [True, False, True]
    assert not again.mark(OUTLET, [record.number for record in again.waiting(OUTLET, 1, 0.0)])
    assert again.mark(OUTLET, [record.number for record in again.waiting(OUTLET, 2, 0.0)])


def test_a_call_that_never_left_takes_the_mark_back_in_memory_alone(path: Path) -> None:
    found = store(path)
    fill(found, "a")
    before = found.waiting(OUTLET, 1, 0.0)
    found.mark(OUTLET, [before[0].number])
    found.commit(0.0, WALL)
    found.unmark(before)
    assert found.waiting(OUTLET, 1, 0.0) == before
    assert not found.mark(OUTLET, [before[0].number])
    found.close()
    assert on_disk(path) == [("a", True)]


def test_memory_is_bounded_while_there_is_no_disk(tmp_path: Path) -> None:
    found = store(tmp_path / "not there" / "outbox.sqlite")
    size = MEMORY // 100
    fill(found, *(f"{n:03}" + "x" * (size - 3) for n in range(250)))
    assert not found.commit(0.0, WALL)
    assert [body[:3] for body in bodies(found)] == [f"{n:03}" for n in range(150, 250)]
    assert found.dropped[OUTLET] == 150


Step = st.one_of(
    st.tuples(st.just("accept"), st.sampled_from("ab")),
    st.tuples(st.just("deliver"), st.sampled_from("ab")),
    st.tuples(st.just("commit"), st.just("")),
    st.tuples(st.just("restart"), st.just("")),
    st.tuples(st.just("crash"), st.just("")),
)


@gives(st.lists(Step, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_course_of_things_keeps_order_and_loses_nothing_that_was_stored(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    """Against a model: what was stored comes back after a crash, in order; what was not may be gone; nothing is new."""
    path = tmp_path_factory.mktemp("any") / "outbox.sqlite"
    found, waiting, stored, number = store(path), {"a": [], "b": []}, {"a": [], "b": []}, 0
    for what, outlet in steps:
        if what == "accept":
            number += 1
            fill(found, number, outlet=outlet)
            waiting[outlet].append(str(number))
        elif what == "deliver":
            for record in found.waiting(outlet, 2, 0.0):
                assert record.body == waiting[outlet].pop(0)
                found.remove(outlet, [record.number], 0.0)
        else:
            if what != "crash":
                assert found.commit(0.0, WALL)
                stored = {name: list(items) for name, items in waiting.items()}
            if what != "commit":
                found.close()
                found, waiting = store(path), {name: list(items) for name, items in stored.items()}
        for name, items in waiting.items():
            assert bodies(found, outlet=name) == items
            assert found.count(name) == len(items)
    found.close()
