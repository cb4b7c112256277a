"""The daily records of a charge controller: register 0xF000 + n is the day n days ago.

The address counts days, not words: each day needs a request of its own, and ten words of it exist. Layout after the ROVER
MODBUS document and three independent programs.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from renogybt.devices.controller import CONTROLLER
from renogybt.devices.module import MODULE
from renogybt.protocol.codec import CENTI, DECI, U16
from renogybt.protocol.quantity import CHARGED, CURRENT, DISCHARGED, ENERGY_WH, IDENTITY, POWER, VOLTAGE
from renogybt.protocol.table import Derived, Family, Field, Window

TODAY = 0xF000
DAYS = 7
"""How many days the predecessors publish. Units hold more, but nobody has said how many."""

HISTORY = Family(
    key="history",
    title="Charge controller, daily history",
    client="RoverHistoryClient",
    gatt=MODULE,
    units=CONTROLLER.units,
    record_at=TODAY,
    fields=(
        Field(TODAY + 0, "day_min_voltage", DECI, VOLTAGE, accept=(0, 80)),
        Field(TODAY + 1, "day_max_voltage", DECI, VOLTAGE, accept=(0, 80)),
        Field(TODAY + 2, "day_max_charge_current", CENTI, CURRENT, accept=(0, 120)),
        Field(TODAY + 3, "day_max_discharge_current", CENTI, CURRENT, accept=(0, 60)),
        Field(TODAY + 4, "day_max_charge_power", U16, POWER, accept=(0, 6000)),
        Field(TODAY + 5, "day_max_discharge_power", U16, POWER, accept=(0, 3000)),
        Field(TODAY + 6, "day_charge_ah", U16, CHARGED, accept=(0, 2500)),
        Field(TODAY + 7, "day_discharge_ah", U16, DISCHARGED, accept=(0, 2500)),
        Field(TODAY + 8, "day_generation", U16, ENERGY_WH, accept=(0, 65000)),
        Field(TODAY + 9, "day_consumption", U16, ENERGY_WH, accept=(0, 65000)),
    ),
    derived=(
        Derived("daily_power_generation", (), None, IDENTITY, note="Wh of the last 7 days, oldest first"),
        Derived("daily_charge_ah", (), None, IDENTITY, note="Ah of the last 7 days, oldest first"),
        Derived("daily_max_power", (), None, IDENTITY, note="W of the last 7 days, oldest first"),
        Derived("daily", (), None, IDENTITY, note="one record per day with its date, newest first, without empty days"),
    ),
    windows=tuple(Window(f"day_{ago}", TODAY + ago, 10) for ago in range(DAYS)),
)

_ARRAYS = {
    "daily_power_generation": "day_generation",
    "daily_charge_ah": "day_charge_ah",
    "daily_max_power": "day_max_charge_power",
}


def days_ago(register: int) -> int:
    """Which day the record at `register` is of: 0 = today. Raises `ValueError` outside the history."""
    if not TODAY <= register <= TODAY + 0x3FF:
        raise ValueError(f"register {register} (0x{register:04X}) is no day of the history")
    return register - TODAY


def record(values: Mapping[str, Any], today: date, ago: int) -> dict[str, Any]:
    """The decoded `values` of the day `ago` days before `today`, with their date (ISO 8601).

    The controller has no clock: its days begin when it says so, so the date may be one off around sunrise.
    """
    return {"date": (today - timedelta(days=ago)).isoformat(), "days_ago": ago, **values}


def empty(day: Mapping[str, Any]) -> bool:
    """Whether the controller holds nothing for that day: it then answers with zeros."""
    return not any(value for key, value in day.items() if key.startswith("day_"))


def summary(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is published of the `records` read, in whichever order they come.

    The predecessors' three arrays, oldest day first, with None for a day that was not read; and `daily`, the records
    themselves, newest first, without days of which the controller holds nothing.
    """
    days = {day["days_ago"]: day for day in records}
    arrays = {name: [days.get(ago, {}).get(key) for ago in reversed(range(DAYS))] for name, key in _ARRAYS.items()}
    return arrays | {"daily": [dict(days[ago]) for ago in sorted(days) if not empty(days[ago])]}
