"""Energy from power: pure arithmetic, the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

JOULES_PER_KWH = 3_600_000.0


@dataclass(slots=True)
class Meter:
    """Two counters that only rise: energy into the battery and out of it, in kWh, in full precision."""

    energy_in: float = 0.0
    energy_out: float = 0.0
    _power: float | None = None
    _at: float = 0.0

    def add(self, power: float, at: float, longest_gap: float) -> None:
        """`power` in watts (positive = charging) was measured at monotonic second `at`.

        The stretch since the last measurement counts as a trapezoid, split where the power changes its sign. A stretch over
        `longest_gap` seconds counts nothing, because nobody saw it; nor does one that runs backwards.
        """
        before, since = self._power, self._at
        self._power, self._at = power, at
        seconds = at - since
        if before is None or not 0 < seconds <= longest_gap:
            return
        if before * power >= 0:
            self._count((before + power) / 2 * seconds)
            return
        crossing = seconds * before / (before - power)
        self._count(before / 2 * crossing)
        self._count(power / 2 * (seconds - crossing))

    def _count(self, joules: float) -> None:
        if joules >= 0:
            self.energy_in += joules / JOULES_PER_KWH
        else:
            self.energy_out -= joules / JOULES_PER_KWH
