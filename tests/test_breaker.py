"""The circuit breaker, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.breaker import LONGEST, Breaker


def opened(threshold: int = 3, cooldown: float = 100.0) -> Breaker:
    breaker = Breaker(threshold, cooldown)
    assert [breaker.failed(0.0) for _ in range(threshold)] == [False] * (threshold - 1) + [True]
    return breaker


def test_closed_lets_everything_pass() -> None:
    breaker = Breaker(3, 100.0)
    breaker.failed(0.0)
    breaker.failed(0.0)
    assert (breaker.state(0.0), breaker.allow(0.0), breaker.allow(0.0), breaker.wait(0.0)) == ("closed", True, True, 0.0)


def test_only_failures_in_a_row_count() -> None:
    breaker = Breaker(3, 100.0)
    for _ in range(10):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.state(0.0) == "closed"


def test_open_lets_nothing_pass_until_the_cooldown_is_over() -> None:
    breaker = opened()
    assert (breaker.state(0.0), breaker.allow(99.9), breaker.wait(40.0)) == ("open", False, 60.0)
    assert breaker.state(100.0) == "half-open"


def test_exactly_one_probe() -> None:
    breaker = opened()
    assert [breaker.allow(100.0) for _ in range(5)] == [True, False, False, False, False]
    assert breaker.state(100.0) == "half-open"
    breaker.succeeded()
    assert (breaker.state(100.0), breaker.allow(100.0), breaker.failures) == ("closed", True, 0)


def test_a_probe_that_did_not_go_out_makes_place_for_another() -> None:
    breaker = opened()
    assert breaker.allow(100.0)
    breaker.abandoned()
    assert breaker.allow(100.0)


def test_the_cooldown_doubles_while_probes_fail_and_begins_anew_after_a_success() -> None:
    breaker, now, pauses = opened(3, 120.0), 0.0, []
    for _ in range(6):
        pause = breaker.wait(now)
        pauses.append(pause)
        now += pause
        assert breaker.allow(now)
        assert breaker.failed(now) is False
    assert pauses == [120, 240, 480, 900, 900, 900]
    now += breaker.wait(now)
    assert breaker.allow(now)
    breaker.succeeded()
    for _ in range(3):
        breaker.failed(now)
    assert breaker.wait(now) == 120


@pytest.mark.parametrize(("threshold", "cooldown", "limit"), [(5, 120.0, 11), (3, 300.0, 8)])
def test_a_dead_server_is_asked_seldom(threshold: int, cooldown: float, limit: int) -> None:
    breaker, asked = Breaker(threshold, cooldown), 0
    for second in range(3600):
        if breaker.allow(float(second)):
            asked += 1
            breaker.failed(float(second))
    assert threshold < asked <= limit


@given(st.lists(st.tuples(st.floats(0, 2000), st.booleans()), max_size=60))
def test_it_is_never_shut_for_ever_and_never_in_a_hurry(events: list[tuple[float, bool]]) -> None:
    breaker, now, failures = Breaker(3, 100.0), 0.0, 0
    for pause, works in events:
        now += pause
        if not breaker.allow(now):
            assert failures >= 3
            assert 0 < breaker.wait(now) <= LONGEST
            continue
        if works:
            breaker.succeeded()
            failures = 0
        else:
            breaker.failed(now)
            failures += 1
        assert breaker.state(now) == ("open" if failures >= 3 else "closed")
