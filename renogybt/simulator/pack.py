"""LFP batteries in parallel: what voltage they settle at and how they share a current."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from renogybt.simulator.chance import between

CELLS = 4
_CURVE = (
    (0.00, 2.80),
    (0.05, 3.10),
    (0.10, 3.20),
    (0.20, 3.25),
    (0.30, 3.28),
    (0.40, 3.295),
    (0.60, 3.305),
    (0.70, 3.33),
    (0.90, 3.345),
    (0.97, 3.36),
    (1.00, 3.40),
)
"""Resting voltage of one cell by state of charge (a typical lithium iron phosphate cell at 25 °C)."""
_KNOTS = [charge for charge, _ in _CURVE]


def resting_voltage(charge: float) -> float:
    """Volts of one cell at rest; `charge` 0 … 1."""
    index = min(max(bisect_right(_KNOTS, charge), 1), len(_CURVE) - 1)
    (left, low), (right, high) = _CURVE[index - 1], _CURVE[index]
    return low + (high - low) * (charge - left) / (right - left)


@dataclass
class Pack:
    """One 12 V battery. `capacity` in Ah, `resistance` in ohm with its cables, `charge` 0 … 1, `current` + charging.

    `gauge` is what the battery's own meter believes the charge to be: it miscounts by `miscount` until the next full
    charge. `charged` and `discharged` count Ah since the battery was new.
    """

    capacity: float
    resistance: float
    charge: float
    temperature: float
    spread: tuple[float, ...]
    serial: str
    miscount: float = 0.0
    gauge: float = 0.0
    current: float = 0.0
    charged: float = 0.0
    discharged: float = 0.0

    @classmethod
    def made(cls, seed: int, number: int, charge: float) -> Pack:
        """Battery `number` of the bank; no two are quite alike."""
        made = cls(
            capacity=between(97.0, 102.0, seed, 41, number),
            resistance=between(0.008, 0.0125, seed, 42, number),
            charge=charge + between(-0.015, 0.015, seed, 43, number),
            temperature=between(14.0, 17.0, seed, 44, number),
            spread=tuple(between(-0.012, 0.012, seed, 45, number, cell) for cell in range(CELLS)),
            serial=f"SIM{2024000000 + number * 7919:d}",
            miscount=between(-0.05, 0.05, seed, 48, number),
            charged=between(3000, 5000, seed, 46, number),
            discharged=between(2900, 3000, seed, 47, number),
        )
        made.gauge = made.charge
        return made

    @property
    def rest(self) -> float:
        """Volts the pack would settle at without current."""
        return CELLS * resting_voltage(self.charge)

    @property
    def remaining(self) -> float:
        """Ah, as the battery itself counts them."""
        return self.gauge * self.capacity

    @property
    def cycles(self) -> int:
        return int(self.discharged / self.capacity)

    def barrier(self, charging: bool) -> float:
        """Ohm against a current: a pack that is nearly full takes less and less."""
        return self.resistance + 0.0005 / max(1e-6, 1 - self.charge) if charging else self.resistance

    def carry(self, current: float, seconds: float, air: float) -> None:
        """Let `current` flow for `seconds` in surroundings of `air` °C."""
        hours = seconds / 3600
        self.current = current
        share = current * hours / self.capacity
        self.charge = min(1.0, max(0.0, self.charge + share))
        self.gauge = min(1.0, max(0.0, self.gauge + share * (1 + (self.miscount if current < 0 else 0.0))))
        if self.charge > 0.997:
            self.gauge += (1 - self.gauge) * min(1.0, seconds / 600)
        self.charged += max(0.0, current) * hours
        self.discharged += max(0.0, -current) * hours
        goal = air + 2 + 60 * current * current * self.resistance / 10
        self.temperature += (goal - self.temperature) * min(1.0, seconds / 7200)

    def cells(self, voltage: float) -> list[float]:
        """Volts of each cell. They part ways near the ends, where the curve is steep."""
        stretch = 1 + 3 * max(0.0, self.charge - 0.95) / 0.05 + 3 * max(0.0, 0.1 - self.charge) / 0.1
        middle = sum(self.spread) / CELLS
        return [voltage / CELLS + (offset - middle) * stretch for offset in self.spread]


def current_at(packs: Sequence[Pack], voltage: float, charging: bool = True) -> float:
    """A into the bank when it is held at `voltage`."""
    return sum((voltage - pack.rest) / pack.barrier(charging) for pack in packs)


def voltage_with(packs: Sequence[Pack], current: float, charging: bool) -> float:
    """V across the bank while `current` flows into it."""
    conductance = sum(1 / pack.barrier(charging) for pack in packs)
    return (current + sum(pack.rest / pack.barrier(charging) for pack in packs)) / conductance
