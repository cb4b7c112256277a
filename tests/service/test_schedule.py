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
