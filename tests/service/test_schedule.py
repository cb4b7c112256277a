"""Turns on a grid: no drift, no overlap, no queue of missed turns. Virtual time throughout."""

from hypothesis import given
from hypothesis import strategies as st

from renogybt.service.schedule import Schedule


def test_turns_do_not_drift_by_the_length_of_a_reading() -> None:
    schedule = Schedule()
    schedule.add("roof", 60, first=100)
    starts = []
    now = 100.0
    for _ in range(5):
        assert schedule.begin_due(now) == ["roof"]
        starts.append(now)
        schedule.ended("roof", now + 7.3)
        now = schedule.next_due() or 0
    assert starts == [100, 160, 220, 280, 340]


def test_a_busy_device_gets_no_second_turn_and_skips_what_it_missed() -> None:
    schedule = Schedule()
    schedule.add("slow", 10, first=0)
    schedule.begin_due(0)
    assert schedule.begin_due(10) == []
    assert schedule.begin_due(25) == []
    schedule.ended("slow", 27)
    assert schedule.begin_due(28) == []
    assert schedule.begin_due(30) == ["slow"]


def test_a_slow_device_does_not_delay_the_others() -> None:
    schedule = Schedule()
    schedule.add("slow", 10, first=0)
    schedule.add("quick", 10, first=0)
    assert schedule.begin_due(0) == ["slow", "quick"]
    schedule.ended("quick", 1)
    assert schedule.next_due() == 10
    assert schedule.begin_due(10) == ["quick"]
    assert schedule.busy_for("slow", 10) == 10


@given(st.floats(0.1, 1000), st.lists(st.floats(0, 5000), max_size=30))
def test_every_turn_lies_on_the_grid_of_its_period(period: float, lengths: list[float]) -> None:
    schedule = Schedule()
    schedule.add("any", period, first=0)
    now = 0.0
    for length in lengths:
        assert schedule.begin_due(now) == ["any"]
        now += length
        schedule.ended("any", now)
        due = schedule.next_due()
        assert due is not None
        assert now < due <= now + period * 1.000001
        turns = due / period
        assert abs(turns - round(turns)) < 1e-6
        now = due


def test_after_failures_the_pauses_grow_and_one_success_returns_to_the_grid() -> None:
    schedule = Schedule(retry=5, jitter=lambda: 1.0)
    schedule.add("roof", 60, first=0)
    now, pauses = 0.0, []
    for _ in range(6):
        assert schedule.begin_due(now) == ["roof"]
        now += 2
        schedule.ended("roof", now, failed=True)
        due = schedule.next_due() or 0
        assert schedule.begin_due(due - 0.01) == []
        pauses.append(due - now)
        now = due
    assert pauses == [5, 10, 20, 30, 30, 30]
    assert schedule.begin_due(now) == ["roof"]
    schedule.ended("roof", now)
    assert schedule.failures("roof") == 0
    assert (schedule.next_due() or 0) % 60 == 0


def test_a_failing_device_backs_off_alone() -> None:
    schedule = Schedule(retry=5, jitter=lambda: 1.0)
    schedule.add("gone", 1, first=0)
    schedule.add("there", 1, first=0)
    schedule.begin_due(0)
    schedule.ended("gone", 0.5, failed=True)
    schedule.ended("there", 0.5)
    for turn in range(1, 5):
        assert schedule.begin_due(turn) == ["there"]
        schedule.ended("there", turn + 0.5)
    assert sorted(schedule.begin_due(5.5)) == ["gone", "there"]


def test_what_failed_together_does_not_try_again_together() -> None:
    schedule = Schedule(retry=5)
    for number in range(50):
        schedule.add(str(number), 60, first=0)
    for name in schedule.begin_due(0):
        schedule.ended(name, 0, failed=True)
    early, late = schedule.begin_due(3.99), schedule.begin_due(6.01)
    assert early == []
    assert len(late) == 50
    for name in late:
        schedule.ended(name, 7, failed=True)
    assert 0 < len(schedule.begin_due(17)) < 50


def test_a_hint_that_all_is_well_again_brings_waiting_turns_forward_but_not_held_ones() -> None:
    schedule = Schedule(retry=5, jitter=lambda: 1.0)
    for name in ("failed", "held", "fine"):
        schedule.add(name, 60, first=0)
    for name in schedule.begin_due(0):
        schedule.ended(name, 1, failed=name == "failed")
    schedule.hold("held", 600)
    schedule.hasten(2)
    assert schedule.begin_due(2) == ["failed"]
    schedule.ended("failed", 3, failed=True)
    assert schedule.begin_due(7.9) == []
    assert schedule.begin_due(8) == ["failed"]


def test_a_held_name_has_its_turn_when_the_time_is_over_and_not_before() -> None:
    schedule = Schedule(retry=5, jitter=lambda: 1.0)
    schedule.add("module", 10, first=0)
    assert schedule.begin_due(0) == ["module"]
    schedule.hold("module", 600)  # while it is being read
    schedule.ended("module", 1, failed=True)
    assert schedule.begin_due(599) == []
    assert schedule.begin_due(600) == ["module"]
    schedule.ended("module", 601)
    assert schedule.next_due() == 610
