"""How many requests an account at PVOutput has left, and how long to wait for more."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping

from renogybt.sinks.answers import retry_after, server_time

HOUR = 3600.0
MARGIN = 2.0
"""Seconds added to every wait: times come in whole seconds, and a request that is too early costs one."""
SHARE = 0.5
"""At most this part of the hour is kept for other systems."""


def number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if re.fullmatch("[0-9]{1,12}", text) else None


def till_full_hour(at: float) -> float:
    return HOUR - at % HOUR


class Budget:
    """The requests of one account (API key), shared by all its systems.

    Until PVOutput says otherwise: `per_hour` in any 3600 s of the monotonic clock. Once it has told what is left of its hour
    (`X-Rate-Limit-Limit`, `-Remaining`, `-Reset`) that counts, and each new hour begins with the whole limit.
    """

    def __init__(self, per_hour: int) -> None:
        self.limit = per_hour
        self._needs: dict[str, float] = {}
        self._sent: deque[float] = deque()
        self._left: int | None = None
        self._reset = 0.0

    def join(self, system: str, per_hour: float, limit: int) -> None:
        """A system that sends `per_hour` live statuses uses this account too; of differing limits the lowest counts."""
        self._needs[system] = per_hour
        self.limit = min(self.limit, limit)

    def spare(self, system: str, mono: float) -> int:
        """Requests of this hour that `system` must leave to the live statuses of others while it catches up."""
        others = sum(need for name, need in self._needs.items() if name != system)
        part = 1.0 if self._left is None else min(1.0, max(0.0, self._reset - mono) / HOUR)
        return int(min(others * part, self.limit * SHARE))

    def wait(self, mono: float, spare: int = 0) -> float:
        """Seconds until a request may go out that leaves `spare` others."""
        if self._left is not None:
            if mono >= self._reset:
                self._left, self._reset = self.limit, self._reset + HOUR * (1 + (mono - self._reset) // HOUR)
            return 0.0 if self._left > spare else self._reset - mono
        while self._sent and mono - self._sent[0] >= HOUR:
            self._sent.popleft()
        over = len(self._sent) - max(1, self.limit - spare)
        return 0.0 if over < 0 else self._sent[over] + HOUR + MARGIN - mono

    def spend(self, mono: float) -> None:
        """A request goes out."""
        if self._left is None:
            self._sent.append(mono)
        else:
            self._left -= 1

    def told(self, headers: Mapping[str, str], wall: float, mono: float) -> None:
        """Learn from the headers of an answer (names in lower case)."""
        self.limit = number(headers.get("x-rate-limit-limit")) or self.limit
        left = number(headers.get("x-rate-limit-remaining"))
        if left is None:
            return
        now = server_time(headers, wall)
        seconds = (number(headers.get("x-rate-limit-reset")) or now) - now
        if not 0 < seconds <= HOUR:
            seconds = till_full_hour(now)
        self._left, self._reset = left, mono + seconds + MARGIN
        self._sent.clear()

    def exhausted(self, headers: Mapping[str, str], wall: float, mono: float) -> float:
        """PVOutput said that the hour's requests are used up; the seconds until there are new ones."""
        self.told(headers, wall, mono)
        seconds = retry_after(headers, wall)
        if seconds is not None:
            self._reset = mono + seconds + MARGIN
        elif self._left is None or mono >= self._reset:
            self._reset = mono + till_full_hour(server_time(headers, wall)) + MARGIN
        self._left = 0
        return self._reset - mono
