"""Energy is a trapezoid, split by sign, and never counts what nobody saw."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renogybt.energy.meter import Meter

ONE, TWO = date(2026, 7, 1), date(2026, 7, 2)


def test_small_loads_count_in_full() -> None:
    meter = Meter()
    for second in range(0, 36_001, 30):
        meter.add(-30.0, second, 90)
    assert meter.energy_out == pytest.approx(0.3)
    assert meter.energy_in == 0


def test_a_rising_power_counts_as_a_trapezoid() -> None:
    meter = Meter()
    meter.add(0, 0, 90)
    meter.add(100, 60, 90)
    assert meter.energy_in == pytest.approx(50 * 60 / 3.6e6)


def test_a_change_of_sign_counts_on_both_sides() -> None:
    meter = Meter()
    meter.add(100, 0, 90)
    meter.add(-300, 60, 90)
    assert meter.energy_in == pytest.approx(50 * 15 / 3.6e6)
    assert meter.energy_out == pytest.approx(150 * 45 / 3.6e6)


def test_a_gap_counts_nothing_and_counting_resumes_after_it() -> None:
    meter = Meter()
    meter.add(260, 0, 90)
    meter.add(260, 36_000, 90)
    assert meter.energy_in == 0
    meter.add(260, 36_030, 90)
    assert meter.energy_in == pytest.approx(260 * 30 / 3.6e6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-5000, 5000), st.floats(-100, 100)), max_size=40))
def test_the_counters_never_fall(steps: list[tuple[float, float]]) -> None:
    meter, now = Meter(), 1000.0
    for power, pause in steps:
        before = (meter.energy_in, meter.energy_out)
        now += pause
        meter.add(power, now, 90)
        assert meter.energy_in >= before[0]
        assert meter.energy_out >= before[1]


@pytest.mark.parametrize("power", [float("nan"), float("inf"), -float("inf"), 1e12])
def test_what_is_no_power_spoils_nothing(power: float) -> None:
    meter = Meter()
    meter.add(360, 0, 90)
    assert not meter.add(power, 30, 90)
    assert meter.add(360, 60, 90)
    assert meter.energy_in == pytest.approx(0.006)


def test_a_day_begins_at_zero_and_the_stretch_across_midnight_belongs_to_it() -> None:
    meter = Meter()
    meter.turn(ONE)
    meter.add(360, 0, 90)
    meter.add(360, 60, 90)
    assert meter.today_in == pytest.approx(0.006)
    assert meter.turn(TWO)
    assert not meter.turn(TWO)
    assert meter.today_in == 0
    meter.add(360, 120, 90)
    assert meter.today_in == pytest.approx(0.006)
    assert meter.energy_in == pytest.approx(0.012)


def test_a_date_taken_back_takes_nothing_from_the_day() -> None:
    meter = Meter(5.0, 2.0, 1.5, 0.5, TWO)
    assert meter.turn(ONE)
    assert (meter.today_in, meter.today_out, meter.day) == (1.5, 0.5, ONE)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-5000, 5000), st.floats(0, 100), st.integers(0, 2)), max_size=60))
def test_the_days_together_make_the_total(steps: list[tuple[float, float, int]]) -> None:
    meter, now, day = Meter(), 0.0, ONE
    meter.turn(day)
    charged = discharged = 0.0
    for power, pause, days in steps:
        now, day = now + pause, day + timedelta(days)
        if days:
            charged, discharged = charged + meter.today_in, discharged + meter.today_out
        meter.turn(day)
        before = (meter.today_in, meter.today_out)
        meter.add(power, now, 90)
        assert meter.today_in >= before[0]
        assert meter.today_out >= before[1]
    assert charged + meter.today_in == pytest.approx(meter.energy_in)
    assert discharged + meter.today_out == pytest.approx(meter.energy_out)
