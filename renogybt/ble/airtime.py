"""What the air of an adapter is used for. Pure: the time is an argument, in seconds, and never falls."""

from __future__ import annotations

from typing import Literal

Use = Literal["idle", "scanning", "connecting"]
USES: tuple[Use, ...] = ("idle", "scanning", "connecting")
WINDOW = 300.0
"""Seconds that are counted together."""


class AirTime:
    """One use at a time: connecting and scanning exclude each other. Reading over open connections needs no turn."""

    def __init__(self, now: float) -> None:
        self.use: Use = "idle"
        self._since = self._began = now
        self._spent: dict[Use, float] = dict.fromkeys(USES, 0.0)
        self._before: dict[Use, float] = dict.fromkeys(USES, 0.0)

    def turn(self, use: Use, now: float) -> None:
        """From now on it is used for this."""
        self._count(now)
        self.use = use

    def shares(self, now: float) -> dict[Use, float]:
        """Part of each use in the last five to ten minutes, or since the beginning; they add up to 1."""
        self._count(now)
        spent = {use: self._spent[use] + self._before[use] for use in USES}
        whole = sum(spent.values())
        if whole <= 0:
            return {use: float(use == self.use) for use in USES}
        return {use: seconds / whole for use, seconds in spent.items()}

    def _count(self, now: float) -> None:
        while (end := self._began + WINDOW) <= now:
            self._spent[self.use] += end - self._since
            self._before, self._spent = self._spent, dict.fromkeys(USES, 0.0)
            self._since = self._began = end
        self._spent[self.use] += now - self._since
        self._since = now
