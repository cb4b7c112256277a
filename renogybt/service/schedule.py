"""When to read what: pure, the time is an argument (monotonic seconds)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Entry:
    """Turn n is due at `first` + n x `period`."""

    first: float
    period: float
    turn: int = 0
    busy_since: float | None = None

    @property
    def due(self) -> float:
        return self.first + self.turn * self.period

    def move_beyond(self, now: float) -> None:
        """To the first turn that is still to come."""
        self.turn = max(self.turn, int((now - self.first) // self.period))
        while self.due <= now:
            self.turn += 1


class Schedule:
    """Each name has its own period. Turns lie on a fixed grid, so that they do not drift by the length of a reading.

    A name that is still busy gets no new turn; turns it missed are skipped, not made up for.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, period: float, first: float) -> None:
        self._entries[name] = Entry(first, period)

    def begin_due(self, now: float) -> list[str]:
        """The names whose turn it is; they are busy from now on."""
        due = [name for name, entry in self._entries.items() if entry.busy_since is None and entry.due <= now]
        for name in due:
            entry = self._entries[name]
            entry.busy_since = now
            entry.move_beyond(now)
        return due

    def ended(self, name: str, now: float) -> None:
        entry = self._entries[name]
        entry.busy_since = None
        entry.move_beyond(now)

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
