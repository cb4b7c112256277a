"""Energy is a trapezoid, split by sign, and never counts what nobody saw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.energy.meter import Meter


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


@given(st.lists(st.tuples(st.floats(-5000, 5000), st.floats(-100, 100)), max_size=40))
def test_the_counters_never_fall(steps: list[tuple[float, float]]) -> None:
    meter, now = Meter(), 1000.0
    for power, pause in steps:
        before = (meter.energy_in, meter.energy_out)
        now += pause
        meter.add(power, now, 90)
        assert meter.energy_in >= before[0]
        assert meter.energy_out >= before[1]
