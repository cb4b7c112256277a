"""What becomes of a radio thread that was given up."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Iterator

import pytest

from renogybt.service.keeper import Keeper


class Radio:
    """Has a connection that refers to itself, as those of bleak do, and that nobody closes."""

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair()
        self.here_too = self

    async def close(self) -> None:
        pass

    def abandon(self) -> None:
        self.there.close()


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """But the keeper's own."""
    gc.collect()
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("exempted", [False, True])
def test_what_a_thread_that_was_given_up_leaves_open_is_closed(exempted: bool) -> None:
    before = open_files()
    keeper = Keeper(Radio, time.monotonic())
    until = time.monotonic() + 30
    while keeper.heartbeat <= keeper.since and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    one_thread = open_files()
    assert one_thread > before
    if exempted:  # as `Tidy` does with all there is after a minute
        gc.freeze()
    assert keeper.replace(time.monotonic())
    while open_files() > one_thread:
        assert time.monotonic() < until, "the files of the thread before are still open"
        keeper.bury()
        time.sleep(0.02)
    assert keeper.stop(30)
