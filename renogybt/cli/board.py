"""The demo's table of readings: pure text, no terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from renogybt import devices
from renogybt.protocol.table import Row, label_of, precision_of
from renogybt.reading import Reading

CELL = 26
"""Least characters per value, with the gap after it."""
SHOWN = (
    *("combined_power", "combined_charge_percentage", "combined_voltage", "combined_current", "batteries_online"),
    *("combined_energy_in_kwh", "combined_energy_out_kwh"),
    *("alternator_power", "pv_power", "load_active_power", "charge_watts", "power", "battery_level", "main_battery_percent"),
    *("battery_voltage", "main_battery_voltage", "voltage", "current", "charge_amps", "charging_status", "operating_state"),
    *("power_generation_today", "load_power", "alternator_voltage", "output_voltage", "battery_current"),
    *("controller_temperature", "temperature", "battery_temperature", "starter_battery_voltage", "battery_percentage"),
    *("energy_in_kwh", "energy_out_kwh", "combined_charge_current", "power_generation_total", "pv_voltage"),
)
"""Which values are worth a place, the most telling first; each device shows those it has."""


@dataclass(slots=True)
class Seen:
    """The latest reading of a device, and how many there were."""

    reading: Reading
    count: int = 0


class Board:
    """Collects readings and lays them out."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def take(self, reading: Reading) -> None:
        seen = self._seen.setdefault(reading.identity.uid, Seen(reading))
        seen.reading, seen.count = reading, seen.count + 1

    def rounds(self, expected: int) -> int:
        """How often every one of the `expected` devices has been read; combined readings do not count."""
        counts = [seen.count for seen in self._seen.values() if seen.reading.identity.unit is not None]
        return min(counts) if len(counts) >= expected else 0

    @property
    def readings(self) -> int:
        return sum(seen.count for seen in self._seen.values())

    def lines(self, now: float, width: int = 80, height: int = 0) -> list[str]:
        """The table at `now` (monotonic seconds); `height` 0: as long as it takes, else shortened to fit."""
        seen = sorted(self._seen.values(), key=lambda one: _place(one.reading))
        rows = 2 if not height or 3 * len(seen) <= height else 1
        found: list[str] = []
        for one in seen:
            found.append(_title(one, now, width))
            found += [line[:width] for line in _grid(one.reading, width - 2, rows)]
        return found[:height] if height else found


def shown(row: Row, value: Any) -> str:
    """A value with its unit, in the precision its row states."""
    digits = precision_of(row)
    if isinstance(value, float):
        value = f"{value:.{2 if digits is None else digits}f}"
    return f"{value} {row.quantity.unit}".rstrip()


def _grid(reading: Reading, width: int, rows: int) -> Iterable[str]:
    """The values in columns, as many as have room in `rows` lines."""
    across = max(1, (width + 2) // CELL)
    cell = (width + 2) // across - 2
    table = {row.key: row for row in devices.family(reading.family).rows()}
    chosen = [key for key in SHOWN if key in table and reading.values.get(key) is not None][: rows * across]
    cells = [_cell(label_of(table[key]), shown(table[key], reading.values[key]), cell) for key in chosen]
    for start in range(0, len(cells), across):
        yield "  " + "  ".join(cells[start : start + across])


def _cell(label: str, value: str, width: int) -> str:
    """Label on the left, value on the right; the label gives way."""
    room = max(0, width - len(value) - 1)
    if len(label) > room:
        label = label[: max(0, room - 1)] + "…"
    return f"{label:<{room}} {value}"


def _title(one: Seen, now: float, width: int) -> str:
    reading = one.reading
    name = f"{reading.identity.label}  {devices.family(reading.family).title}"
    age = f"{one.count} readings, {max(0.0, now - reading.monotonic):.1f} s old"
    if reading.missing:
        age = f"missing {', '.join(reading.missing)}; {age}"
    room = max(len(name) + 1, width - len(age))
    return f"{name:<{room}}{age}"[:width]


def _place(reading: Reading) -> tuple[str, bool, int]:
    unit = reading.identity.unit
    return reading.identity.mac, unit is not None, unit or 0
