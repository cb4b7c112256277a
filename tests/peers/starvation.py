"""How long processes had work to do and no processor: what a busy machine takes from them is no fault of theirs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

MOST = 30.0
"""Seconds that may be made good; whatever hangs must fail all the same."""


class Starvation:
    """Counts from its making on, for the threads that live when it is asked."""

    def __init__(self, *processes: int) -> None:
        self._processes = {os.getpid(), *processes}
        self._before = self._waited()

    def seconds(self) -> float:
        """Of all these processes together: they wait for each other."""
        since = sum(waited - self._before.get(thread, 0) for thread, waited in self._waited().items())
        return min(since / 1e9, MOST)

    def _waited(self) -> dict[str, int]:
        """Nanoseconds in a run queue, by thread."""
        found: dict[str, int] = {}
        for process in self._processes:
            found |= waits(process)
        return found


def waits(process: int) -> dict[str, int]:
    """Nothing where the kernel does not count it, and of a process that has ended."""
    threads: Iterable[str] = ()
    place, found = Path("/proc") / str(process) / "task", {}
    with contextlib.suppress(OSError):
        threads = os.listdir(place)
    for thread in threads:
        with contextlib.suppress(OSError, IndexError):
            found[thread] = int((place / thread / "schedstat").read_text().split()[1])
    return found
