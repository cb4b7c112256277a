import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.ble.airtime import USES, WINDOW, AirTime


def test_shares_are_parts_of_the_time() -> None:
    air = AirTime(100.0)
    air.turn("scanning", 110.0)
    air.turn("connecting", 180.0)
    air.turn("idle", 200.0)
    assert air.shares(200.0) == {"idle": 0.1, "scanning": 0.7, "connecting": 0.2}
    assert air.shares(300.0) == {"idle": 0.55, "scanning": 0.35, "connecting": 0.1}


def test_at_the_beginning_it_is_what_it_is_used_for() -> None:
    air = AirTime(5.0)
    assert air.shares(5.0)["idle"] == 1
    air.turn("scanning", 5.0)
    assert air.shares(5.0) == {"idle": 0, "scanning": 1, "connecting": 0}


def test_what_is_long_ago_does_not_count() -> None:
    air = AirTime(0.0)
    air.turn("connecting", WINDOW)
    air.turn("scanning", WINDOW + 60)
    assert air.shares(2 * WINDOW - 1)["idle"] == pytest.approx(0.5, abs=0.01)
    assert air.shares(2 * WINDOW) == {"idle": 0, "scanning": pytest.approx(0.8), "connecting": pytest.approx(0.2)}
    assert air.shares(3 * WINDOW - 1)["connecting"] == pytest.approx(0.1, abs=0.01)
    assert air.shares(3 * WINDOW) == {"idle": 0, "scanning": 1, "connecting": 0}
    assert air.shares(1e6) == {"idle": 0, "scanning": 1, "connecting": 0}


@given(st.lists(st.tuples(st.sampled_from(USES), st.floats(0, 2000)), max_size=30))
def test_they_add_up_to_one(turns: list[tuple[str, float]]) -> None:
    air, now = AirTime(0.0), 0.0
    for use, seconds in turns:
        air.turn(use, now)  # type: ignore[arg-type]
        now += seconds
        shares = air.shares(now)
        assert sum(shares.values()) == pytest.approx(1)
        assert all(-1e-9 <= share <= 1 + 1e-9 for share in shares.values())
