"""The upload thread's work in simulated time, with real requests to real servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from renogybt.sinks import upload
from renogybt.sinks.upload import Uploader
from tests.sinks.pump import Clock


class Ahead(Clock):
    """Begins at the real monotonic time and hurries on, so that a call's time limit is never over for the real clock."""

    def __init__(self, wall: float) -> None:
        super().__init__(wall)
        self._mono = time.monotonic()


def run(uploader: Uploader, clock: Clock, seconds: float) -> None:
    """The upload thread's work without the thread, while simulated time goes on; calls take no simulated time."""
    end = clock.mono() + seconds
    while (left := end - clock.mono()) > 0:
        pause = uploader.step()
        if uploader.http.busy:
            time.sleep(0.0005)
        else:
            clock.advance(min(left, pause))


@contextmanager
def told_by(clock: Clock) -> Iterator[None]:
    """The upload thread takes the time from `clock` meanwhile."""
    real = upload.time
    upload.time = SimpleNamespace(monotonic=clock.mono, time=clock.wall)  # type: ignore[assignment]
    try:
        yield
    finally:
        upload.time = real
