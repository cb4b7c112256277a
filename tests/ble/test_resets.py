"""The limit holds in any hour, whatever the spacing of the attempts."""

from hypothesis import given
from hypothesis import strategies as st

from renogybt.ble.resets import HOUR, Resets

MINUTE = 60.0


def test_ten_in_any_hour() -> None:
    resets = Resets(10)
    assert [resets.take(float(at)) for at in range(11)] == [True] * 10 + [False]
    assert resets.count == 10
    assert not resets.take(HOUR - 0.5)
    assert resets.take(HOUR)
    assert not resets.take(HOUR + 0.5)
    assert resets.take(HOUR + 1)


def test_a_chain_with_fifty_minutes_between_is_never_refused() -> None:
    resets = Resets(10)
    assert all(resets.take(number * 50 * MINUTE) for number in range(100))
    assert resets.count == 100


def test_eleven_triggers_in_chains_of_growing_spacing() -> None:
    """The eleventh is refused exactly when the first is less than an hour ago."""
    for gap in (1.0, 60.0, 359.0, 359.9, 360.0, 361.0, 3000.0):
        resets = Resets(10)
        taken = [resets.take(number * gap) for number in range(11)]
        assert taken == [True] * 10 + [10 * gap >= HOUR], gap


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=60), st.integers(0, 12))
def test_no_window_ever_holds_more_than_the_limit(gaps: list[float], per_hour: int) -> None:
    resets, now = Resets(per_hour), 0.0
    taken: list[float] = []
    for gap in gaps:
        now += gap
        possible = len([at for at in taken if now - at < HOUR]) < per_hour
        assert resets.allowed(now) is possible
        assert resets.take(now) is possible
        if possible:
            taken.append(now)
    assert resets.count == len(taken)


def test_it_is_exhausted_from_the_first_refusal_until_all_is_well() -> None:
    resets = Resets(2)
    resets.take(0.0)
    resets.take(10.0)
    assert resets.exhausted_since(11.0) is None
    assert not resets.take(20.0)
    assert not resets.take(30.0)
    assert resets.exhausted_since(40.0) == 20.0
    assert resets.take(HOUR)
    assert resets.exhausted_since(HOUR + 1) == 20.0
    resets.calm()
    assert resets.exhausted_since(HOUR + 2) is None
    assert resets.count == 3


def test_exhaustion_is_over_when_nothing_was_tried_for_an_hour() -> None:
    resets = Resets(1)
    resets.take(0.0)
    resets.take(5.0)
    assert resets.exhausted_since(HOUR - 1) == 5.0
    assert resets.exhausted_since(HOUR) is None


def test_resets_that_are_switched_off_are_not_exhausted() -> None:
    resets = Resets(0)
    assert not resets.take(0.0)
    assert resets.exhausted_since(1.0) is None


def test_kinds_are_counted_apart() -> None:
    resets = Resets(10)
    for at, kind in ((0.0, "power_cycle"), (1.0, "restart_service"), (2.0, "restart_service")):
        resets.take(at, kind)
    assert resets.recent(3.0, "restart_service") == 2
    assert resets.recent(HOUR + 1.5, "restart_service") == 1
    assert resets.taken == {"power_cycle": 1, "restart_service": 2}


def test_calm_begins_at_the_lowest_rung_again() -> None:
    resets = Resets(10)
    memory = resets.memory
    memory.rung, memory.rounds, memory.family = "new_loop", 2, "scan"
    memory.addresses["hci0"] = "B8:27:EB:00:00:01"
    resets.calm()
    assert (memory.rung, memory.rounds, memory.family) == ("", 0, "")
    assert memory.addresses == {"hci0": "B8:27:EB:00:00:01"}
