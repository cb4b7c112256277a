"""Keeps the memory of a program that runs for years where it was after its first minute."""

from __future__ import annotations

import contextlib
import gc
import sys

M_ARENA_MAX = -8
"""Number of an option of glibc's `mallopt` (malloc.h)."""
SETTLED = 60.0
"""Seconds after which everything that a usual day needs has been loaded."""
OFTEN = 5.0
"""Seconds between two looks from then on."""


def one_heap() -> None:
    """Let all threads take their memory from one place, where glibc would give each a place of its own.

    What one thread has freed is then there for the others, which wait for Python's lock anyway. To be called before there
    are threads. The same as MALLOC_ARENA_MAX=1 in the environment; without effect where the C library is another.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import ctypes

        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def look_everywhere() -> None:
    """Free what refers to itself also among what was exempted: a connection that stood at that moment, and is lost now."""
    exempted = gc.get_freeze_count()
    gc.unfreeze()
    gc.collect()
    if exempted:
        gc.freeze()


class Tidy:
    """Frees early what refers to itself, as each connection of bleak does with all its services: 28 kB.

    Python looks for that only when what is new amounts to a quarter of all there is, which takes hundreds of connections.
    Once the program and its libraries are exempted for good, a look takes a fraction of a millisecond (50 before). This is
    for a process of our own: in that of somebody else, what to exempt is not ours to say.
    """

    def __init__(self) -> None:
        self._due: float | None = None
        self._settled = False

    def tick(self, now: float) -> None:
        """To be called every second or so, with monotonic seconds; the first call begins the time."""
        if self._due is None:
            self._due = now + SETTLED
        if now < self._due:
            return
        self._due = now + OFTEN
        gc.collect()
        if not self._settled:
            self._settled = True
            gc.freeze()
