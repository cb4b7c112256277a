"""The predecessors' helper functions, for scripts that import `Utils`. Same names and arguments, without their faults."""

from __future__ import annotations

import atexit
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from renogybt.energy.totals import EnergyTotals
from renogybt.protocol.modbus import crc16

_totals: dict[Path, EnergyTotals] = {}
GAP = 3
"""Energy is not counted across more than this many intervals."""


def bytes_to_int(bs: bytes, offset: int, length: int, signed: bool = False, scale: float = 1) -> float:
    """`length` bytes at `offset` as a number times `scale`, high byte first (negative length: low byte first, ending there).

    Raises `ValueError` when `bs` is too short.
    """
    start, stop = (offset, offset + length) if length > 0 else (offset + length + 1, offset + 1)
    if start < 0 or stop > len(bs):
        raise ValueError(f"{len(bs)} bytes hold nothing at {offset}")
    value = int.from_bytes(bs[start:stop], "big" if length > 0 else "little", signed=signed)
    return value if scale == 1 else round(value * scale, 6)


def int_to_bytes(i: int, pos: int = 0) -> int:
    """The high (`pos` 0) or low (`pos` 1) byte of a 16-bit number."""
    return (i >> 8 if pos == 0 else i) & 0xFF


def parse_temperature(raw_value: int, unit: str) -> float:
    """A controller's temperature byte (bit 7 is the sign) in `unit` (C or F)."""
    celsius = -(raw_value & 0x7F) if raw_value & 0x80 else raw_value
    return format_temperature(celsius, unit)


def format_temperature(celcius: float, unit: str = "F") -> float:
    return celcius * 9 / 5 + 32 if unit.strip().upper() == "F" else celcius


def filter_fields(data: Mapping[str, Any], fields_str: str) -> dict[str, Any]:
    """The entries whose name is listed; `*` stands for any letters. An empty list keeps all, an unknown name nothing."""
    patterns = [name.strip() for name in fields_str.split(",") if name.strip()]
    if not patterns:
        return dict(data)
    return {key: value for key, value in data.items() if any(fnmatchcase(key, pattern) for pattern in patterns)}


def add_calculated_values(data: dict[str, Any]) -> dict[str, Any]:
    """Add `power` (W) and `battery_level` (%) to a battery's data, where they are missing and can be known."""
    voltage, current = data.get("voltage"), data.get("current")
    if data.get("power") is None and voltage is not None and current is not None:
        data["power"] = round(voltage * current, 2)
    charge, capacity = data.get("remaining_charge"), data.get("capacity")
    if data.get("battery_level") is None and charge is not None and capacity:
        data["battery_level"] = round(charge / capacity * 100, 2)
    return data


def update_energy_totals(
    data: dict[str, Any], interval_sec: float, file_path: str = "energy_totals.json", alias: str | None = None
) -> None:
    """Count `voltage` x `current` of `data` into the totals of `alias` and put them into `data`.

    Kept in memory, written at most once a minute and when the program ends.
    """
    voltage, current = data.get("voltage"), data.get("current")
    if voltage is None or current is None:
        return
    path = Path(file_path)
    if path not in _totals:
        _totals[path] = EnergyTotals(path)
        atexit.register(_totals[path].flush)
    now, name = time.monotonic(), alias or "default"
    energy_in, energy_out = _totals[path].add(name, name, float(voltage) * float(current), now, GAP * interval_sec)
    data["energy_in_kwh"], data["energy_out_kwh"] = round(energy_in, 6), round(energy_out, 6)
    _totals[path].flush_if_due(now)


def combine_battery_readings(data_map: Mapping[Any, Mapping[str, Any]]) -> dict[str, Any]:
    """One dictionary of the batteries in `data_map` (by device id): sums, and each battery's extremes.

    A sum is None when a battery lacks the value; the state of charge is weighted by capacity.
    """
    combined: dict[str, Any] = {"device_id": "combined"}
    for device_id, data in data_map.items():
        for kind in ("cell_voltage", "temperature"):
            values = [v for k, v in data.items() if k.removeprefix(f"{kind}_").isdigit() and isinstance(v, int | float)]
            if values:
                combined[f"battery_{device_id}_{kind}_min"] = min(values)
                combined[f"battery_{device_id}_{kind}_max"] = max(values)
    for key, digits in (
        ("capacity", 3),
        ("remaining_charge", 3),
        ("power", 2),
        ("current", 2),
        ("energy_in_kwh", 6),
        ("energy_out_kwh", 6),
    ):
        parts = [data.get(key) for data in data_map.values()]
        known = [part for part in parts if part is not None]
        combined[f"combined_{key}"] = round(sum(known), digits) if known and len(known) == len(parts) else None
    charge, capacity = combined["combined_remaining_charge"], combined["combined_capacity"]
    combined["combined_charge_percentage"] = round(charge / capacity * 100, 2) if charge is not None and capacity else None
    return combined


def crc16_modbus(data: bytes) -> bytes:
    """The two check bytes in the order they are sent."""
    return crc16(bytes(data))
