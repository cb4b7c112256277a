"""Which values of a device go to PVOutput, and in which form.

v1 is energy generated and v3 energy consumed (Wh), v2 and v4 are the powers (W), v5 is a temperature (°C), v6 a voltage, and
v7 to v12 are whatever the owner of the account wants.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from renogybt import devices
from renogybt.protocol.table import Family
from renogybt.settings import Pvoutput

BY_CLIENT: dict[str, dict[str, str]] = {
    "RoverClient": {
        "v1": "power_generation_today",
        "v2": "pv_power",
        "v3": "power_consumption_today",
        "v4": "load_power",
        "v5": "controller_temperature",
        "v6": "battery_voltage",
    },
    "DCChargerClient": {
        "v1": "power_generation_today",
        "v2": "pv_power",
        "v4": "output_power",
        "v5": "controller_temperature",
        "v6": "battery_voltage",
    },
    "InverterClient": {"v2": "solar_power", "v4": "load_active_power", "v5": "temperature", "v6": "battery_voltage"},
    "BatteryClient": {
        "v1": "energy_in_kwh",
        "v2": "power",
        "v3": "energy_out_kwh",
        "v4": "-power",
        "v5": "temperature",
        "v6": "voltage",
    },
    "ShuntClient": {
        "v1": "energy_in_kwh",
        "v2": "charge_watts",
        "v3": "energy_out_kwh",
        "v4": "-charge_watts",
        "v5": "battery_temperature",
        "v6": "main_battery_voltage",
    },
}
"""The usual value for each parameter, by kind of device. `-` turns the sign: what is negative then counts.

Charging a battery counts as generation, discharging it as consumption. Inverters of the HF kind measure no power, so nothing
goes out until options name the values.
"""
BANK = {
    "v1": "combined_energy_in_kwh",
    "v2": "combined_power",
    "v3": "combined_energy_out_kwh",
    "v4": "-combined_power",
    "v6": "combined_voltage",
}
PARAMETERS = tuple(f"v{number}" for number in range(1, 13))
NEEDED = frozenset({"v1", "v2", "v3", "v4"})
"""PVOutput takes no status without one of these."""
DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of one parameter comes from: `key` of the reading, times `factor`; `lifetime`: never reset."""

    parameter: str
    key: str
    factor: float
    lifetime: bool


def sources(family: Family, system: Pvoutput) -> tuple[Source, ...]:
    """The values of `family` that go to `system`: the usual ones, unless its options v1 to v12 name others."""
    given = tuple((name, getattr(system, name).strip()) for name in PARAMETERS)
    return _sources(family.key, given)


@lru_cache(maxsize=32)
def _sources(family_key: str, given: tuple[tuple[str, str], ...]) -> tuple[Source, ...]:
    family = devices.family(family_key)
    usual = BANK if family.row("combined_power") else BY_CLIENT.get(family.client, {})
    found = []
    for parameter, option in given:
        name = option or usual.get(parameter, "")
        if name:
            key = name.removeprefix("-").strip()
            row = family.row(key)
            energy = row is not None and row.quantity.device_class == "energy"
            factor = 1000.0 if row is not None and row.quantity.unit == "kWh" and parameter in ("v1", "v3") else 1.0
            sign = -1.0 if name.startswith("-") else 1.0
            found.append(Source(parameter, key, sign * factor, energy and "today" not in key))
    return tuple(found)


def values_of(values: Mapping[str, Any], wanted: tuple[Source, ...]) -> dict[str, int | float]:
    """The parameters that a reading gives; empty when none of v1 to v4 is among them.

    `c1` says which of v1 and v3 are lifetime counters, from which PVOutput makes the day's energy: 1 both, 2 v1, 3 v3.
    """
    found: dict[str, int | float] = {}
    lifetime: set[str] = set()
    for source in wanted:
        value = values.get(source.key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            continue
        number = value * source.factor
        # Energies and powers are whole numbers for PVOutput, and never below zero.
        found[source.parameter] = max(0, round(number)) if source.parameter in NEEDED else round(number, DECIMALS)
        if source.lifetime and source.parameter in ("v1", "v3"):
            lifetime.add(source.parameter)
    if not found.keys() & NEEDED:
        return {}
    if lifetime:
        found["c1"] = 1 if len(lifetime) == 2 else 2 if "v1" in lifetime else 3
    return found
