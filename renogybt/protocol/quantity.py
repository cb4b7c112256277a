"""What kind of thing a value is: unit, Home Assistant device class, state class, precision, diagnostic or not.

One instance per kind, so that a table's rows stay short. Classes and units as Home Assistant 2024.11 to 2026.11 accept them;
Ah has no device class there, and energy must never be `measurement`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Quantity:
    """`platform`: sensor, binary_sensor, or "" for a value that is published but is no entity."""

    unit: str = ""
    device_class: str = ""
    state_class: str = ""
    platform: str = "sensor"
    precision: int | None = None
    diagnostic: bool = False
    icon: str = ""

    def but(self, **changes: object) -> Quantity:
        """The same kind with some properties changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


MEASUREMENT, INCREASING = "measurement", "total_increasing"

VOLTAGE = Quantity("V", "voltage", MEASUREMENT)
CURRENT = Quantity("A", "current", MEASUREMENT)
POWER = Quantity("W", "power", MEASUREMENT)
APPARENT_POWER = Quantity("VA", "apparent_power", MEASUREMENT)
FREQUENCY = Quantity("Hz", "frequency", MEASUREMENT)
TEMPERATURE = Quantity("°C", "temperature", MEASUREMENT)
SOC = Quantity("%", "battery", MEASUREMENT)
PERCENT = Quantity("%", "", MEASUREMENT, icon="mdi:gauge")
ENERGY_WH = Quantity("Wh", "energy", INCREASING, precision=0)
ENERGY_KWH = Quantity("kWh", "energy", INCREASING, precision=3)
CHARGE = Quantity("Ah", "", MEASUREMENT, icon="mdi:battery-medium")
CHARGED = Quantity("Ah", "", INCREASING, icon="mdi:battery-arrow-up")
DISCHARGED = Quantity("Ah", "", INCREASING, icon="mdi:battery-arrow-down")
STORED = Quantity("Wh", "energy_storage", MEASUREMENT, precision=0)
DAYS = Quantity("d", "duration", INCREASING, diagnostic=True)
COUNT = Quantity("", "", INCREASING, diagnostic=True)
NUMBER = Quantity("", "", MEASUREMENT, diagnostic=True)
STATE = Quantity(device_class="enum")
TEXT = Quantity(diagnostic=True)
FLAG = Quantity(platform="binary_sensor", diagnostic=True)
PROBLEM = Quantity(device_class="problem", platform="binary_sensor", diagnostic=True)
RSSI = Quantity("dBm", "signal_strength", MEASUREMENT, diagnostic=True)
TIMESTAMP = Quantity(device_class="timestamp", diagnostic=True)
CONNECTED = Quantity(device_class="connectivity", platform="binary_sensor", diagnostic=True)
IDENTITY = Quantity(platform="")
"""Model, serial, versions and raw code words: in the JSON (and the device block), never an entity."""

PEAK_VOLTAGE, PEAK_CURRENT, PEAK_POWER = (kind.but(diagnostic=True) for kind in (VOLTAGE, CURRENT, POWER))
"""A day's lowest or highest value: a measurement, never a total."""
INNER_TEMPERATURE, INNER_FREQUENCY = TEMPERATURE.but(diagnostic=True), FREQUENCY.but(diagnostic=True)
SET_VOLTAGE, SET_CURRENT, SET_TEMPERATURE = (
    kind.but(state_class="", diagnostic=True) for kind in (VOLTAGE, CURRENT, TEMPERATURE)
)
"""What somebody has set: no state class, because statistics of it would say nothing."""
SET_FREQUENCY = FREQUENCY.but(state_class="", diagnostic=True)
SET_PERCENT, SET_CAPACITY = Quantity("%", diagnostic=True), Quantity("Ah", diagnostic=True)
SET_SECONDS, SET_MINUTES, SET_HOURS, SET_DAYS = (
    Quantity(unit, "duration", diagnostic=True) for unit in ("s", "min", "h", "d")
)
SET_NUMBER = Quantity(diagnostic=True)
