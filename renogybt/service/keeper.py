"""Keeps a radio thread running: notices when it is stuck, lets go of it, starts another."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from renogybt.ble.thread import RadioThread, Resident
from renogybt.service.tidy import look_everywhere

log = logging.getLogger(__name__)
HEARTBEAT_LIMIT = 30.0
SHORTEST_LIFE = 10.0
"""Seconds before a radio thread may be replaced, so that one which cannot even start is no hot loop."""
SETTLED = 45.0
"""Seconds a new thread's event loop must have turned before the trouble counts as over."""
GIVE_UP, RARE = 3, 300.0
"""Stuck threads in a row after which only a new process can help, and the seconds between further attempts all the same:
what is stuck keeps its memory."""


class Keeper:
    """The radio thread and its successors. `number` tells which one is running. Belongs to the main thread."""

    def __init__(self, make_radio: Callable[[], Any], now: float, residents: Sequence[Resident] = ()) -> None:
        self._make_radio, self._residents = make_radio, residents
        self.number = 0
        self.since = now
        self._series = 0
        self._series_since: float | None = None
        self._given_up: list[RadioThread] = []
        self._thread = self._new(now)

    def _new(self, now: float) -> RadioThread:
        self.number, self.since = self.number + 1, now
        thread = RadioThread(self._make_radio, self._residents)
        thread.start()
        return thread

    @property
    def alive(self) -> bool:
        return self._thread.alive

    @property
    def heartbeat(self) -> float:
        """Monotonic seconds at which the thread last showed that its event loop turns."""
        return max(self.since, self._thread.heartbeat)

    def recycling_since(self, now: float) -> float | None:
        """Since when one thread after another has been stuck; None when the present one works."""
        if self._series_since is not None and self._thread.heartbeat - self.since > SETTLED:
            self._series, self._series_since = 0, None
        return self._series_since

    def submit(self, job: Callable[[Any], Awaitable[None]], done: Callable[[BaseException | None], None]) -> None:
        self._thread.submit(job, done)

    def trouble(self, now: float, silent: list[str]) -> str:
        """Why the thread must be replaced, "" when it need not. `silent` are sections that are overdue."""
        if now - self.since < (SHORTEST_LIFE if self._series < GIVE_UP else RARE):
            return ""
        if not self._thread.alive:
            return "it has ended"
        if now - self.heartbeat > HEARTBEAT_LIMIT:
            return f"its event loop has not turned for {now - self.heartbeat:.0f} s"
        return f"reading {', '.join(silent)} does not end" if silent else ""

    def replace(self, now: float) -> bool:
        """Cut the thread off from the D-Bus, so that BlueZ frees what it held, and start another.

        False when that has happened so often in a row that only a new process can help.
        """
        if self.recycling_since(now) is None:
            self._series_since = now
        self._series += 1
        self._thread.abandon()
        self._given_up.append(self._thread)
        self._thread = self._new(now)
        return self._series < GIVE_UP

    def bury(self) -> None:
        """Free what threads that were given up have left, once they have ended. To be called now and then.

        An event loop that ends early leaves connections that nobody closes any more: they refer to themselves, so that their
        sockets stay open until Python looks for such things.
        """
        left = [thread for thread in self._given_up if thread.alive]
        if len(left) < len(self._given_up):
            self._given_up = left
            look_everywhere()

    def stop(self, timeout: float) -> bool:
        return self._thread.stop(timeout)
