"""No counter jumps: dips, zeros and impossible steps are held back, what lasts is believed. Virtual time throughout."""

import json
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renogybt import devices
from renogybt.energy.guard import GROWTH, Admitted, Guard, Moment, Rule, powers_of, rules_of
from renogybt.protocol.quantity import INCREASING

TABLES = [*devices.FAMILIES, "bank:48,49"]
CONTROLLER = {rule.key: rule for rule in rules_of(devices.family("controller"))}
BATTERY = {rule.key: rule for rule in rules_of(devices.family("battery"))}
TOTAL, TODAY = CONTROLLER["power_generation_total"], CONTROLLER["power_generation_today"]
OWN_TODAY = BATTERY["energy_in_today_kwh"]
ONE, TWO = date(2026, 7, 1), date(2026, 7, 2)


class Read:
    """One counter read every `period` seconds."""

    def __init__(self, rule: Rule, period: float = 60, guard: Guard | None = None) -> None:
        self.rule, self.period = rule, period
        self.guard = guard or Guard()
        self.now = 1000.0
        self.day = ONE

    def one(self, value: float) -> Admitted:
        self.now += self.period
        return self.guard.admit(self.rule, value, Moment(self.now, 1.7e9 + self.now, self.day))

    def all(self, *values: float) -> list[float]:
        return [self.one(value).value for value in values]


@pytest.mark.parametrize("key", TABLES)
def test_every_increasing_row_has_a_rule(key: str) -> None:
    family = devices.family(key)
    rising = [row for row in family.rows() if row.quantity.state_class == INCREASING]
    assert {row.quantity.unit for row in rising} <= set(GROWTH)
    assert [rule.key for rule in rules_of(family)] == [row.key for row in rising]


def test_the_tables_say_which_counters_are_daily_and_which_are_ours() -> None:
    assert {key for key, rule in CONTROLLER.items() if rule.daily} == {
        "power_generation_today",
        "power_consumption_today",
        "charging_amp_hours_today",
        "discharging_amp_hours_today",
    }
    assert not any(rule.ours for rule in CONTROLLER.values())
    assert {key for key, rule in BATTERY.items() if rule.ours and rule.daily} == {
        "energy_in_today_kwh",
        "energy_out_today_kwh",
    }
    assert {key for key, rule in BATTERY.items() if not rule.ours} == {"cycle_count"}
    assert (TOTAL.span, TODAY.span, OWN_TODAY.span) == (2**32, 2**16, 0)
    assert "pv_power" in powers_of(devices.family("controller"))
    assert "combined_power" in powers_of(devices.family("bank:48,49"))


@pytest.mark.parametrize("glitch", [0, 426000, 20, 4_294_967_295, 426038 + 65536, 426038 - 65536])
def test_a_dip_a_zero_and_an_impossible_jump_are_held_back(glitch: float) -> None:
    counter = Read(TOTAL)
    counter.one(426038)
    assert counter.one(glitch) == Admitted(426038, held=True)
    assert counter.one(glitch) == Admitted(426038, held=True)
    assert counter.one(426040) == Admitted(426040)


@pytest.mark.parametrize("lasting", [(0, 0, 0), (0, 3, 9), (900_000, 900_001, 900_001)])
def test_three_readings_that_agree_are_the_new_truth(lasting: tuple[float, ...]) -> None:
    counter = Read(TOTAL)
    counter.one(426038)
    assert [counter.one(value) for value in lasting] == [
        Admitted(426038, held=True),
        Admitted(426038, held=True),
        Admitted(lasting[2], rebased=True),
    ]
    assert counter.one(lasting[2] + 1) == Admitted(lasting[2] + 1)


def test_readings_that_do_not_agree_are_never_believed() -> None:
    counter = Read(TOTAL)
    wild = [9e5, 3, 2e6, 100, 5e8, 4e5, 1e9, 0] * 3
    assert set(counter.all(426038, *wild)) == {426038}


def test_one_good_reading_in_between_starts_the_count_anew() -> None:
    assert Read(TOTAL).all(1000, 0, 0, 1000, 0, 0, 1001) == [1000, 1000, 1000, 1000, 1000, 1000, 1001]


@pytest.mark.parametrize(
    ("key", "period", "step", "over"),
    [
        ("power_generation_total", 3600, 950, 951),  # 600 W x 1.5 x 1 h + 50 Wh
        ("battery_ah_total_accumulated", 3600, 205, 206),
        ("total_working_days", 86400, 3, 4),
        ("total_working_days", 60, 2, 3),
        ("count_battery_fully_charged", 3600, 20, 21),
        ("count_battery_fully_charged", 60, 10, 11),
    ],
)
def test_growth_has_a_limit_by_kind_and_time(key: str, period: float, step: float, over: float) -> None:
    counter = Read(CONTROLLER[key], period)
    assert counter.all(100, 100 + step) == [100, 100 + step]
    assert Read(CONTROLLER[key], period).all(100, 100 + over) == [100, 100]


def test_our_energy_has_the_same_limit_in_its_own_unit() -> None:
    rule = BATTERY["energy_in_kwh"]
    assert Read(rule, 3600).all(5, 5.949) == [5, 5.949]
    assert Read(rule, 3600).all(5, 5.951) == [5, 5]


def test_a_strong_device_may_grow_faster() -> None:
    counter = Read(TOTAL, 3600)
    counter.one(0)
    counter.guard.saw_power(-4000)
    counter.guard.saw_power(100)
    assert counter.all(6050, 12101) == [6050, 6050]


def test_a_long_silence_allows_what_may_have_grown_meanwhile() -> None:
    counter = Read(TOTAL)
    counter.one(1000)
    counter.now += 7 * 86400
    assert counter.one(150_000) == Admitted(150_000)


def test_a_counter_wraps_past_its_last_digit() -> None:
    counter = Read(TOTAL)
    assert counter.all(2**32 - 10, 5, 20) == [2**32 - 10, 5, 20]
    assert Read(TODAY).all(65530, 3) == [65530, 3]
    assert Read(TOTAL).all(2**31, 5) == [2**31, 2**31]


def test_a_new_day_of_the_device_needs_one_reading_to_confirm_it() -> None:
    counter = Read(TODAY)
    counter.one(1500)
    assert [counter.one(value) for value in (0, 0, 0)] == [Admitted(1500, held=True), Admitted(0), Admitted(0)]
    assert Read(TODAY).all(1500, 140, 145) == [1500, 1500, 145]


def test_a_daily_counter_does_not_fall_for_one_wrong_zero() -> None:
    assert Read(TODAY).all(1500, 0, 1502, 0, 1503) == [1500, 1500, 1502, 1502, 1503]


def test_a_daily_counter_that_fell_only_a_little_must_be_confirmed_twice() -> None:
    assert Read(TODAY).all(1500, 800, 802, 803) == [1500, 1500, 1500, 803]


def test_after_a_day_without_a_look_the_devices_day_has_turned() -> None:
    counter = Read(TODAY)
    counter.one(1500)
    counter.now += 86400
    assert counter.one(800) == Admitted(800)


def test_our_own_day_turns_with_the_date_and_only_with_it() -> None:
    counter = Read(OWN_TODAY)
    assert counter.all(2.5, 0.0) == [2.5, 2.5]
    counter.day = TWO
    assert counter.one(0.0) == Admitted(0.0)
    assert counter.one(0.001) == Admitted(0.001)


def test_our_own_day_that_falls_without_a_new_date_must_be_confirmed_like_everything_else() -> None:
    assert Read(OWN_TODAY).all(2.5, 0.0, 0.0, 0.0) == [2.5, 2.5, 2.5, 0.0]


def test_a_restart_remembers_the_last_value() -> None:
    first = Read(TOTAL)
    first.all(426038)
    first.guard.saw_power(2000)
    state = json.loads(json.dumps(first.guard.state()))
    again = Guard()
    again.restore(state)
    # Another boot: the monotonic clock begins anew, the wall clock tells that an hour has passed.
    assert again.power == 2000
    assert again.admit(TOTAL, 0, Moment(3.0, 1.7e9 + first.now + 3600)) == Admitted(426038, held=True)
    assert again.admit(TOTAL, 426038 + 3050, Moment(63.0, 1.7e9 + first.now + 3600)) == Admitted(426038 + 3050)


def test_a_clock_that_was_set_back_between_two_runs_allows_the_slack_only() -> None:
    first = Read(TOTAL)
    first.one(1000)
    again = Guard()
    again.restore(first.guard.state())
    assert again.admit(TOTAL, 1051, Moment(3.0, 1.0)).held
    assert again.admit(TOTAL, 1050, Moment(4.0, 2.0)) == Admitted(1050)


def test_single_runs_confirm_what_lasts_too() -> None:
    state: dict[str, Any] = {}
    published = []
    for run, value in enumerate([1000, 5, 6, 7, 8]):
        guard = Guard()
        guard.restore(state)
        published.append(guard.admit(TOTAL, value, Moment(20.0, 1.7e9 + 300 * run)).value)
        assert guard.changed
        state = json.loads(json.dumps(guard.state()))
    assert published == [1000, 1000, 1000, 7, 8]


def test_what_the_bridge_counts_is_not_remembered_twice() -> None:
    counter = Read(OWN_TODAY)
    counter.one(2.5)
    assert counter.guard.state() == {}
    assert not counter.guard.changed


@pytest.mark.parametrize(
    "state",
    [
        {"counters": []},
        {"counters": {"a": 1}},
        {"counters": {TOTAL.key: ["5", 1]}},
        {"counters": {TOTAL.key: [5]}},
        {"counters": {TOTAL.key: [True, 1]}},
        {"counters": {TOTAL.key: [float("nan"), 1]}},
        {"most_power": "much"},
        {"most_power": float("inf")},
        {},
    ],
)
def test_a_memory_that_makes_no_sense_is_no_memory(state: dict[str, Any]) -> None:
    guard = Guard()
    guard.restore(state)
    assert guard.admit(TOTAL, 7, Moment(1, 1)) == Admitted(7)
    assert guard.power == 600


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 15), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 2**32 - 1)), max_size=10),
)
def test_single_glitches_never_make_a_lifetime_counter_fall_or_leave_the_truth(
    steps: list[int], glitches: list[tuple[int, int]]
) -> None:
    counter, truth, last = Read(TOTAL), 426038, 0.0
    wrong = dict(glitches)
    counter.one(truth)
    for number, step in enumerate(steps):
        truth += step
        glitch = wrong.get(number) if number - 1 not in wrong else None
        published = counter.one(truth if glitch is None else glitch)
        assert published.value >= last
        assert published.value <= truth + 65  # a glitch inside the possible growth of one minute cannot be told apart
        if glitch is None and published.value == truth:
            assert not published.held
        last = published.value


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 5, 6, 426038, 426039])), max_size=60))
def test_only_values_that_were_read_are_ever_published_and_every_fall_was_confirmed(values: list[int]) -> None:
    counter, read, last = Read(TOTAL), [], 0.0
    wraps = 2**32 - 1000  # past this a counter may go on at zero
    for value in values:
        read.append(value)
        published = counter.one(value)
        assert published.value in read
        if published.value < last and not published.rebased:
            assert last >= wraps
        if published.rebased:
            assert all(early <= late or early >= wraps for early, late in pairwise(read[-3:]))
            assert published.value == value
        last = published.value
