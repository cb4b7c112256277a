"""What is done about which trouble, and when: hours of it, without waiting."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from renogybt.ble.diagnosis import (
    LADDER,
    RESETS,
    AdapterFacts,
    Facts,
    Rung,
    Trouble,
    calm,
    diagnose,
    foreign_and_harmless,
    next_rung,
    next_step,
    settle,
)
from renogybt.ble.resets import HOUR, Memory, Resets
from renogybt.settings import Watchdog

DEFAULT = Watchdog()
EVERYTHING = Watchdog(restart_bluetooth=True, leave_for_systemd=True)
SOUND = AdapterFacts("hci0", good_at=-1.0)
STUCK = AdapterFacts("hci0", discovering_since=0.0, failing_since=0.0)
SILENT = AdapterFacts("hci0", failing_since=0.0, silent_scans=3)
TICK = 2.0
Scene = Callable[[float], Facts]


def facts(now: float, *adapters: AdapterFacts, **more: object) -> Facts:
    return Facts(now, adapters=adapters, **more)  # type: ignore[arg-type]


def played(
    scene: Scene, seconds: float, settings: Watchdog = DEFAULT, resets: Resets | None = None
) -> list[tuple[float, str]]:
    """What was done when, while `scene` tells what holds at each moment."""
    resets = resets or Resets(settings.resets_per_hour)
    done: list[tuple[float, str]] = []
    now = 0.0
    while now <= seconds:
        step = next_step(scene(now), settings, resets)
        if step is not None:
            done.append((now, "refused" if step.refused else step.rung))
        now += TICK
    return done


def rungs(done: list[tuple[float, str]]) -> list[str]:
    return [rung for _, rung in done]


# What is wrong


@pytest.mark.parametrize(
    ("adapter", "now", "first"),
    [
        (SOUND, 1e6, None),
        (STUCK, 84.0, None),
        (STUCK, 85.0, "stop_discovery"),
        (replace(STUCK, failing_since=None, good_at=100.0), 1e6, None),
        (replace(STUCK, failing_since=1000.0), 1080.0, None),
        (replace(STUCK, failing_since=1000.0), 1085.0, "stop_discovery"),
        (replace(STUCK, discovering_since=1000.0), 1080.0, None),
        (replace(SOUND, discovering_since=0.0, session_since=0.0), 19.0, None),
        (replace(SOUND, discovering_since=0.0, session_since=0.0), 21.0, "stop_discovery"),
        (replace(SOUND, session_since=0.0), 1e6, None),
        (SILENT, 60.0, "power_cycle"),
        (replace(SILENT, silent_scans=2), 1e6, None),
        (replace(SILENT, failing_since=None, good_at=50.0), 60.0, None),
        (replace(SILENT, silent_scans=0, failed_scans=3), 60.0, "stop_discovery"),
        (replace(SILENT, silent_scans=0, failed_scans=2), 1e6, None),
        (replace(SOUND, failed_scans=3, good_at=59.0), 60.0, "stop_discovery"),
        (replace(SOUND, unanswered=1), 60.0, None),
        (replace(SOUND, unanswered=2), 60.0, "power_cycle"),
        (replace(STUCK, powered=False), 1e6, None),
        (replace(SOUND, powered=False, power_failures=2), 60.0, None),
        (replace(SOUND, absent_since=0.0), 1e6, None),
    ],
)
def test_what_is_done_first(adapter: AdapterFacts, now: float, first: str | None) -> None:
    step = next_step(facts(now, adapter), DEFAULT, Resets(10))
    assert (step and step.rung) == first


@pytest.mark.parametrize(
    ("given_", "first"),
    [
        (facts(59.0, replace(SOUND, absent_since=0.0)), None),
        (facts(60.0, replace(SOUND, absent_since=0.0)), "restart_service"),
        (facts(60.0, SOUND, gone_since=0.0), "restart_service"),
        (facts(59.0, SILENT, gone_since=0.0), None),
        (facts(9.0, replace(SOUND, powered=False, power_failures=2)), "restart_service"),
        (facts(9.0, replace(SOUND, powered=False, power_failures=9, blocked=True)), None),
    ],
)
def test_what_is_done_first_when_everything_is_allowed(given_: Facts, first: str | None) -> None:
    step = next_step(given_, EVERYTHING, Resets(10))
    assert (step and step.rung) == first


def test_a_scan_of_others_counts_when_it_is_wanted_so() -> None:
    healthy = replace(SOUND, discovering_since=0.0, good_at=119.0)
    assert next_step(facts(120.0, healthy), DEFAULT, Resets(10)) is None
    step = next_step(facts(120.0, healthy), Watchdog(foreign_discovery="reset"), Resets(10))
    assert step is not None
    assert step.rung == "stop_discovery"
    assert "foreign_discovery" in step.trouble.text


def test_a_harmless_scan_of_others_is_worth_a_word() -> None:
    healthy = replace(SOUND, discovering_since=0.0, good_at=99.0)
    assert not foreign_and_harmless(healthy, 99.0, DEFAULT)
    assert foreign_and_harmless(healthy, 100.0, DEFAULT)
    assert not foreign_and_harmless(replace(healthy, session_since=99.0), 100.0, DEFAULT)
    assert not foreign_and_harmless(replace(healthy, failing_since=99.0), 100.0, DEFAULT)
    assert not foreign_and_harmless(healthy, 100.0, Watchdog(foreign_discovery="reset"))


def test_the_trouble_names_its_adapter() -> None:
    second = replace(SILENT, name="hci1")
    step = next_step(facts(60.0, SOUND, second), DEFAULT, Resets(10))
    assert step is not None
    assert step.trouble.adapter == "hci1"
    assert "hci1" in step.trouble.text


# Climbing


def test_stuck_discovery_is_power_cycled_within_the_promised_time() -> None:
    done = played(lambda now: facts(now, STUCK), 150.0)
    assert rungs(done)[:3] == ["stop_discovery", "drop_bus", "power_cycle"]
    assert done[0][0] < done[1][0] < DEFAULT.stuck_seconds <= done[2][0], "what interrupts nothing comes in good time"
    assert done[2][0] <= 105.0


def test_climbing_ends_when_the_trouble_does() -> None:
    done = played(lambda now: facts(now, STUCK if now < 87 else SOUND), 4000.0)
    assert rungs(done) == ["stop_discovery"]


def test_scans_that_cannot_start_are_mended_although_a_neighbour_answers() -> None:
    """A module that is connected needs no scan, so its readings say nothing about those of the others. It loses a moment."""
    done = played(lambda now: facts(now, replace(SOUND, failed_scans=3, good_at=now)), 24 * HOUR)
    assert rungs(done)[:3] == ["stop_discovery", "drop_bus", "power_cycle"]
    resets = [at for at, rung in done if rung in RESETS]
    assert resets[-1] - resets[-3] >= HOUR, "what does not help is done less and less often"
    ill, memory = replace(SOUND, failed_scans=3, good_at=1e6), Memory("power_cycle", at=0.0)
    assert not calm(facts(1000.0, ill), memory, DEFAULT)
    assert calm(facts(1000.0, replace(ill, failed_scans=0)), memory, DEFAULT)


def test_the_whole_ladder() -> None:
    done = played(lambda now: facts(now, STUCK), 400.0, EVERYTHING)
    assert rungs(done)[:6] == list(LADDER)


def test_without_permission_the_upper_rungs_are_left_out() -> None:
    done = played(lambda now: facts(now, STUCK), 6 * HOUR)
    assert not {"restart_service", "leave"} & set(rungs(done))
    assert rungs(done)[:6] == ["stop_discovery", "drop_bus", "power_cycle", "new_loop", "power_cycle", "new_loop"]


def test_after_a_reset_comes_a_wait_that_grows() -> None:
    done = played(lambda now: facts(now, STUCK), 12 * HOUR, Watchdog(resets_per_hour=60))
    cycles = [at for at, rung in done if rung == "power_cycle"]
    waits = [later - sooner for sooner, later in pairwise(cycles)]
    assert waits == sorted(waits)
    assert HOUR <= waits[-1] <= 1.1 * HOUR


@pytest.mark.parametrize("settings", [DEFAULT, EVERYTHING, Watchdog(interval=1, stuck_seconds=1, resets_per_hour=3)])
def test_never_more_resets_in_an_hour_than_allowed(settings: Watchdog) -> None:
    resets = Resets(settings.resets_per_hour)
    done = played(lambda now: facts(now, STUCK), 10 * HOUR, settings, resets)
    taken = [at for at, rung in done if rung in RESETS]
    assert len(taken) == resets.count > settings.resets_per_hour
    for at in taken:
        assert sum(1 for other in taken if at <= other < at + HOUR) <= settings.resets_per_hour


def test_bluetooth_is_restarted_at_most_twice_an_hour() -> None:
    away = replace(SOUND, absent_since=0.0)
    allowed = Watchdog(restart_bluetooth=True, interval=1)
    done = played(lambda now: facts(now, away), 5 * HOUR, allowed)
    assert set(rungs(done)) == {"restart_service"}
    times = [at for at, _ in done]
    assert all(sum(1 for other in times if at <= other < at + HOUR) <= 2 for at in times)


def test_a_refused_reset_is_not_taken_for_tried() -> None:
    resets = Resets(1)
    resets.take(0.0)
    done = played(lambda now: facts(now, STUCK), 3700.0, DEFAULT, resets)
    assert rungs(done)[:3] == ["stop_discovery", "drop_bus", "refused"]
    first = next(at for at, rung in done if rung == "power_cycle")
    assert HOUR <= first <= HOUR + 10
    assert resets.exhausted_since(3700.0) is not None


def test_ladder_goes_on_where_the_radio_thread_before_left_it() -> None:
    resets = Resets(10)
    before = played(lambda now: facts(now, STUCK), 125.0, EVERYTHING, resets)
    assert rungs(before)[-1] == "new_loop"
    at = before[-1][0]
    assert next_step(facts(at + 20, STUCK), EVERYTHING, resets) is None
    step = next_step(facts(at + 30, STUCK), EVERYTHING, resets)
    assert step is not None
    assert step.rung == "restart_service"


def test_another_kind_of_trouble_begins_at_its_own_lowest_rung() -> None:
    resets = Resets(10)
    played(lambda now: facts(now, STUCK), 130.0, EVERYTHING, resets)
    assert resets.memory.rung == "new_loop"
    step = next_step(facts(1000.0, replace(SOUND, unanswered=2)), EVERYTHING, resets)
    assert step is not None
    assert step.rung == "power_cycle"


# Being well again


def test_calm_needs_a_good_reading_and_a_while() -> None:
    memory = Memory(rung="power_cycle", at=1000.0)
    good = replace(SOUND, good_at=1010.0)
    assert not calm(facts(1200.0, good), memory, DEFAULT)
    assert calm(facts(1300.0, good), memory, DEFAULT)
    assert not calm(facts(1300.0, replace(good, good_at=990.0)), memory, DEFAULT)
    assert not calm(facts(1300.0, replace(good, failing_since=1290.0)), memory, DEFAULT)
    assert not calm(facts(1300.0, replace(good, powered=False)), memory, DEFAULT)
    assert not calm(facts(1300.0, good, gone_since=1299.0), memory, DEFAULT)


def test_eleven_troubles_fifty_minutes_apart_all_get_their_reset() -> None:
    """Each is over after its power cycle, so that none may be refused: there is never more than one within any hour."""
    resets = Resets(10)
    cycles = 0
    for number in range(12):
        begin = number * 3000.0
        silent = replace(SILENT, failing_since=begin)
        step = next_step(facts(begin, silent), DEFAULT, resets)
        assert step is not None
        assert (step.rung, step.refused) == ("power_cycle", False)
        cycles += 1
        well = replace(SOUND, good_at=begin + 20)
        assert next_step(facts(begin + 30, well), DEFAULT, resets) is None
        assert calm(facts(begin + 400, well), resets.memory, DEFAULT)
        resets.calm()
    assert resets.count == cycles == 12


def test_eleven_troubles_five_minutes_apart_meet_the_limit() -> None:
    resets = Resets(10)
    outcomes = []
    for number in range(11):
        step = next_step(facts(number * 350.0, replace(SILENT, failing_since=0.0)), DEFAULT, resets)
        assert step is not None
        outcomes.append(step.refused)
        resets.memory.rung = ""
    assert outcomes == [False] * 10 + [True]


# Properties

some_time = st.one_of(st.none(), st.floats(0, 5000))
some_adapter = st.builds(
    AdapterFacts,
    st.just("hci0"),
    powered=st.booleans(),
    blocked=st.booleans(),
    discovering_since=some_time,
    absent_since=some_time,
    session_since=some_time,
    good_at=some_time,
    failing_since=some_time,
    silent_scans=st.integers(0, 5),
    failed_scans=st.integers(0, 5),
    unanswered=st.integers(0, 3),
    power_failures=st.integers(0, 3),
)


@given(some_adapter, st.floats(5000, 6000))
def test_a_readable_adapter_is_never_touched(adapter: AdapterFacts, now: float) -> None:
    """Whatever others scan or heard: while readings and scans succeed, we hold none, and BlueZ answers, nothing is done."""
    well = replace(adapter, powered=True, absent_since=None, session_since=None, failing_since=None, unanswered=0)
    well = replace(well, power_failures=0, failed_scans=min(2, adapter.failed_scans))
    assert diagnose(facts(now, well), DEFAULT) is None


@given(some_adapter, st.floats(5000, 6000), st.booleans(), st.booleans(), st.integers(0, 10))
def test_only_what_is_allowed_is_ever_done(
    adapter: AdapterFacts, now: float, restart: bool, leave: bool, per_hour: int
) -> None:
    settings = Watchdog(restart_bluetooth=restart, leave_for_systemd=leave, resets_per_hour=per_hour)
    resets = Resets(per_hour)
    done = []
    for second in range(0, 600, 5):
        step = next_step(facts(now + second, adapter), settings, resets)
        if step is not None and not step.refused:
            done.append(step.rung)
    assert restart or "restart_service" not in done
    assert leave or "leave" not in done
    assert sum(1 for rung in done if rung in RESETS) <= per_hour
    assert done.count("restart_service") <= 2


@given(st.lists(st.sampled_from(LADDER), min_size=1, unique=True), st.floats(0, 1000), st.sampled_from(LADDER))
def test_no_rung_follows_before_the_one_before_could_work(possible: list[Rung], passed: float, last: Rung) -> None:
    ordered = tuple(rung for rung in LADDER if rung in possible)
    memory = Memory(rung=last, at=5000.0, family="scan")
    rung = next_rung(Trouble("", ordered, "hci0"), memory, 5000.0 + passed, EVERYTHING, True)
    if passed < settle(last, EVERYTHING):
        assert rung is None
    elif any(LADDER.index(other) > LADDER.index(last) for other in ordered):
        assert rung is not None
        assert LADDER.index(rung) > LADDER.index(last)
