"""Energy from power: pure arithmetic, the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

JOULES_PER_KWH = 3_600_000.0
ABSURD = 1e9
"""W; at and beyond this (and for what is no number) nothing was measured."""


@dataclass(slots=True)
class Meter:
    """Two counters that only rise, in kWh and full precision: energy into the battery and out of it; the same of `day`."""

    energy_in: float = 0.0
    energy_out: float = 0.0
    today_in: float = 0.0
    today_out: float = 0.0
    day: date | None = None
    _power: float | None = None
    _at: float = 0.0

    def add(self, power: float, at: float, longest_gap: float) -> bool:
        """`power` in watts (positive = charging) was measured at monotonic second `at`. True when it counted anything.

        The stretch since the last measurement counts as a trapezoid, split where the power changes its sign. A stretch over
        `longest_gap` seconds counts nothing, because nobody saw it; nor does one that runs backwards.
        """
        if not -ABSURD < power < ABSURD:
            return False
        before, since = self._power, self._at
        self._power, self._at = power, at
        seconds = at - since
        if before is None or not 0 < seconds <= longest_gap:
            return False
        if before * power >= 0:
            return self._count((before + power) / 2 * seconds)
        crossing = seconds * before / (before - power)
        first = self._count(before / 2 * crossing)
        return self._count(power / 2 * (seconds - crossing)) or first

    def turn(self, day: date) -> bool:
        """It is `day` now. True when that is news.

        A later day begins at zero. An earlier one (the clock had been wrong) only corrects the date: what was counted stays.
        The stretch that crosses the turn is counted where it ends, so that the days together make the total.
        """
        if day == self.day:
            return False
        if self.day is None or day > self.day:
            self.today_in = self.today_out = 0.0
        self.day = day
        return True

    def _count(self, joules: float) -> bool:
        if joules > 0:
            energy = joules / JOULES_PER_KWH
            self.energy_in += energy
            self.today_in += energy
        elif joules < 0:
            energy = -joules / JOULES_PER_KWH
            self.energy_out += energy
            self.today_out += energy
        else:
            return False
        return True
