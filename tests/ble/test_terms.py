"""What a module may take of a cycle, what counts as a failure, and who is sent away while others have it."""

from __future__ import annotations

import pytest

from renogybt.ble.budget import FEWEST, plan
from renogybt.ble.terms import Terms
from renogybt.errors import ConnectFailed, Held, LinkError, NoAdapter, NotFound, NoTime, Released
from renogybt.settings import Bluetooth

NOW = 1000.0


def terms(**wish: float) -> Terms:
    return Terms("rover", plan(Bluetooth(**wish)))


def test_only_a_connection_that_did_not_come_about_counts_as_a_failure() -> None:
    it = terms()
    for error in (NoTime(""), NotFound(""), Held(""), NoAdapter(""), LinkError("")):
        it.failed(error)
    assert it.failures == 0
    it.failed(ConnectFailed(""))
    it.failed(ConnectFailed(""))
    assert it.failures == 2
    it.opened()
    assert it.failures == 0


def test_each_failure_gives_the_next_opening_and_cycle_more_time() -> None:
    it = terms()
    it.begin(NOW)
    limit, until, ends = it.limit, it.connect_until, it.ends
    it.failed(ConnectFailed(""))
    it.begin(NOW)
    assert it.limit == it.connect_until - until + limit > limit
    assert it.ends == ends > it.connect_until


def test_the_users_own_figure_holds_whatever_failed() -> None:
    it = terms(connection_timeout=4)
    it.failed(ConnectFailed(""))
    assert it.limit == 4


def test_an_attempt_gets_what_is_left_of_its_opening_and_of_the_cycle() -> None:
    it = terms()
    it.begin(NOW)
    assert it.share(7.0, NOW) == 7.0
    assert it.share(7.0, it.connect_until - 3) == 3.0
    assert it.share(7.0, it.connect_until - FEWEST) == FEWEST


def test_too_little_time_ends_the_opening_with_its_reason() -> None:
    it = terms()
    it.begin(NOW)
    late = it.connect_until - FEWEST + 0.01
    with pytest.raises(NoTime, match="rover; the next one starts afresh"):
        it.share(7.0, late)
    reason = ConnectFailed("it hung up")
    with pytest.raises(ConnectFailed, match="it hung up"):
        it.share(7.0, late, reason)
    assert it.share(0.5, NOW) == 0.5


@pytest.mark.parametrize(("left", "minutes"), [(1.0, 1), (100.0, 2), (600.0, 10)])
def test_it_is_refused_while_others_have_it(left: float, minutes: int) -> None:
    it = terms()
    it.refuse_if_released(NOW)
    it.released_until = NOW + left
    with pytest.raises(
        Released, match=f"rover is free for the phone app; the bridge comes back in {minutes} min"
    ) as refused:
        it.refuse_if_released(NOW)
    assert refused.value.until == NOW + left
    it.refuse_if_released(NOW + left)
