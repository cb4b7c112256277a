"""When to read what: pure, the time is an argument (monotonic seconds)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import uniform

MOST = 6.0
"""Times the first pause after a failure that the pauses grow to."""
SPREAD = 0.2


def jitter() -> float:
    """A factor near 1, so that several devices which failed together do not try again together."""
    return uniform(1 - SPREAD, 1 + SPREAD)


@dataclass(slots=True)
class Entry:
    """Turn n is due at `first` + n x `period`; but at `apart`, if that is set: after a failure, or while held back."""

    first: float
    period: float
    turn: int = 0
    busy_since: float | None = None
    failures: int = 0
    apart: float | None = None
    held: bool = False

    @property
    def due(self) -> float:
        return self.first + self.turn * self.period if self.apart is None else self.apart

    def move_beyond(self, now: float) -> None:
        """To the first turn that is still to come."""
        self.turn = max(self.turn, int((now - self.first) // self.period))
        while self.first + self.turn * self.period <= now:
            self.turn += 1


class Schedule:
    """Each name has its own period. Turns lie on a fixed grid, so that they do not drift by the length of a reading.

    A name that is still busy gets no new turn; turns it missed are skipped, not made up for. After a failure the next turn
    comes `retry` seconds later, after a further one twice as late, up to `MOST` times; a success returns to the grid.
    """

    def __init__(self, retry: float = 5.0, jitter: Callable[[], float] = jitter) -> None:
        self._retry, self._jitter = retry, jitter
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, period: float, first: float) -> None:
        self._entries[name] = Entry(first, period)

    def begin_due(self, now: float) -> list[str]:
        """The names whose turn it is; they are busy from now on."""
        due = [name for name, entry in self._entries.items() if entry.busy_since is None and entry.due <= now]
        for name in due:
            entry = self._entries[name]
            entry.busy_since, entry.apart, entry.held = now, None, False
            entry.move_beyond(now)
        return due

    def ended(self, name: str, now: float, failed: bool = False) -> None:
        entry = self._entries[name]
        entry.busy_since = None
        entry.move_beyond(now)
        entry.failures = entry.failures + 1 if failed else 0
        if failed and not entry.held:
            entry.apart = now + self._jitter() * min(MOST, 2 ** min(entry.failures - 1, 9)) * self._retry

    def hold(self, name: str, until: float) -> None:
        """No turn before `until`, and one then."""
        entry = self._entries[name]
        entry.apart, entry.held = until, True

    def hasten(self, now: float) -> None:
        """What waits after a failure has its turn now, and its pauses begin anew: what stood in the way is gone."""
        for entry in self._entries.values():
            entry.failures = 0
            if entry.apart is not None and not entry.held:
                entry.apart = min(entry.apart, now)

    def failures(self, name: str) -> int:
        """Turns in a row that came to nothing."""
        return self._entries[name].failures

    def busy_for(self, name: str, now: float) -> float | None:
        """Seconds since its turn began, None when it is not busy."""
        since = self._entries[name].busy_since
        return None if since is None else now - since

    @property
    def busy(self) -> list[str]:
        return [name for name, entry in self._entries.items() if entry.busy_since is not None]

    def next_due(self) -> float | None:
        """When the next turn comes, None while everything is busy."""
        return min((entry.due for entry in self._entries.values() if entry.busy_since is None), default=None)
