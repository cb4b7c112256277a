"""Means: the whole is what its parts say, however it is cut; and the short form loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.history.means import Stat, merged, merged_by_key, packed, stat, stats, unpacked

values = st.lists(st.floats(-1e4, 1e4).map(lambda value: round(value, 3)), min_size=1, max_size=30)


def test_an_interval_knows_mean_lowest_highest_and_last() -> None:
    assert stat([10, 40, 10, 20]) == Stat(20, 10, 40, 20, 4)


@given(st.lists(values, min_size=1, max_size=12))
def test_merging_intervals_says_the_same_as_all_their_readings(parts: list[list[float]]) -> None:
    together = [value for part in parts for value in part]
    found, whole = merged([stat(part) for part in parts]), stat(together)
    assert found[1:] == whole[1:]
    assert found.mean == pytest.approx(whole.mean, abs=0.002)


def test_an_interval_with_more_readings_weighs_more() -> None:
    assert merged([stat([0.0]), stat([30.0, 30.0])]).mean == 20


def test_a_key_that_was_not_always_read_counts_its_own_readings() -> None:
    found = stats([{"a": 1, "b": 5}, {"a": 3}])
    assert found == {"a": Stat(2, 1, 3, 3, 2), "b": Stat(5, 5, 5, 5, 1)}
    assert merged_by_key([found, {"b": Stat(8, 8, 8, 8, 2)}])["b"] == Stat(7, 5, 8, 8, 3)


@given(values, st.integers(0, 3))
def test_the_short_form_loses_nothing(numbers: list[float], more: int) -> None:
    item = stat(numbers)
    assert unpacked(packed(item, item.readings + more), item.readings + more) == item


def test_a_value_that_stood_still_takes_one_number() -> None:
    assert packed(stat([13.2] * 5), 5) == 13.2
    assert packed(stat([13.2, 13.3]), 2) == [13.25, 13.2, 13.3, 13.3]
    assert packed(stat([13.2]), 5) == [13.2, 13.2, 13.2, 13.2, 1]
