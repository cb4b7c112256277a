"""Things to do at given loop times, in order of time and, at equal times, of entry (which asyncio does not promise)."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable


class Agenda:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._count), act))
        self._arm()

    def clear(self) -> None:
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        first = self._heap[0][0] if self._heap else None
        if self._timer is not None:
            if first == self._timer.when():
                return
            self._timer.cancel()
        self._timer = None if first is None else self._loop.call_at(first, self._run)

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()
        self._arm()
