"""Noticing that the machine slept."""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP = 5.0
"""Seconds. Less than this the two clocks may drift apart."""


def boottime() -> float:
    """Seconds since the machine started, with those it slept; without them where the platform does not tell."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Suspend:
    def __init__(self, counted: Callable[[], float] = boottime, awake: Callable[[], float] = time.monotonic) -> None:
        self._counted, self._awake = counted, awake
        self._apart = counted() - awake()

    def slept(self) -> float:
        """Seconds the machine slept since this was asked last, 0 when it did not."""
        apart = self._counted() - self._awake()
        jump, self._apart = apart - self._apart, apart
        return jump if jump > JUMP else 0.0
