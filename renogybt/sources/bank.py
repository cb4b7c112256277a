"""Several batteries as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from renogybt import devices
from renogybt.reading import Identity, Reading

HELD = ("capacity",)
"""A silent battery keeps its capacity. Its energy totals are held where they are counted, see `service/enrich.py`."""
EXTREMES = ("cell_voltage_min", "cell_voltage_max", "temperature_min", "temperature_max")


class Bank:
    """Combines the readings of a module's batteries, cycle by cycle.

    `units` are the configured bus addresses. What is known of all batteries is summed; a sum over batteries of which one
    was not read is None, except for `HELD`.
    """

    def __init__(self, identity: Identity, units: tuple[int, ...]) -> None:
        self.identity, self.units = identity, units
        self.family = devices.family("bank:" + ",".join(map(str, units)))
        self._held: dict[int, dict[str, Any]] = {unit: {} for unit in units}

    def combine(self, readings: Mapping[int, Reading], taken_at: float, monotonic: float) -> Reading:
        """One reading of the bank from this cycle's `readings` by unit; batteries that are not there were not read."""
        for unit, reading in readings.items():
            self._held[unit] |= {key: value for key in HELD if (value := reading.values.get(key)) is not None}
        now = [readings[unit].values if unit in readings else {} for unit in self.units]
        capacity, charge = self._held_sum("capacity"), total(now, "remaining_charge", 3)
        voltages = [values.get("voltage") for values in now]
        values: dict[str, Any] = {
            "device_id": "combined",
            "combined_voltage": mean(voltages),
            "combined_current": total(now, "current", 2),
            "combined_power": total(now, "power", 2),
            "combined_remaining_charge": charge,
            "combined_capacity": capacity,
            "combined_charge_percentage": round(charge / capacity * 100, 2) if charge is not None and capacity else None,
            "batteries_online": len(readings),
        }
        for unit, found in zip(self.units, now, strict=True):
            values |= {f"battery_{unit}_{key}": found.get(key) for key in EXTREMES}
        absent = tuple(f"battery {unit}" for unit in self.units if unit not in readings)
        name = next((reading.name for reading in readings.values()), "")
        return Reading(self.identity, self.family.key, self.family.complete(values), taken_at, monotonic, name, absent)

    def _held_sum(self, key: str) -> float | None:
        parts = [self._held[unit].get(key) for unit in self.units]
        return None if any(part is None for part in parts) else round(sum(part for part in parts if part is not None), 6)


def total(readings: list[Mapping[str, Any]], key: str, digits: int) -> float | None:
    """The sum over all batteries, None when one of them lacks the value."""
    parts = [values.get(key) for values in readings]
    return None if any(part is None for part in parts) else round(sum(part for part in parts if part is not None), digits)


def mean(parts: list[float | None]) -> float | None:
    """The mean over the batteries that were read (they are in parallel), None when none was."""
    known = [part for part in parts if part is not None]
    return round(sum(known) / len(known), 3) if known else None
