"""The JSON of one reading, as the predecessors published it, with every key of the device every time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from renogybt import devices
from renogybt.protocol.table import Family, Row, precision_of
from renogybt.reading import Reading

FUNCTION, DEVICE, CLIENT = "function", "__device", "__client"
CONNECTION_STATUS, DATA_AGE = "connection_status", "data_age"
"""What MQTT adds to a reading; see `standing.py`."""
CELSIUS, FAHRENHEIT = "°C", "°F"
FEWEST, MOST = 3, 6
"""Decimals kept at least and at most: enough for every register, few enough to lose the noise of binary fractions."""
SIMPLE = (int, str, type(None))


def document(reading: Reading, temperature_unit: str, fields: Sequence[str]) -> dict[str, Any]:
    """What goes out for `reading`: `function`, its values in table order, `__device` and `__client`.

    `temperature_unit` C or F; `fields` as in [data], empty for everything. A value that was not read is None.
    """
    columns = columns_of(reading.family)
    found: dict[str, Any] = {FUNCTION: "READ"}
    for key, value in reading.values.items():
        decimals, warmth = columns.get(key, (MOST, False))
        if warmth and temperature_unit == "F":
            value = fahrenheit(value)
        found[key] = cleaned(value, decimals)
    found[DEVICE] = reading.name or reading.identity.alias
    found[CLIENT] = devices.family(reading.family).client
    return {key: value for key, value in found.items() if wanted(key, fields)} if fields else found


def wanted(key: str, fields: Sequence[str]) -> bool:
    """Whether `key` is to be published. A list in which nothing is known publishes nothing, never everything."""
    return not fields or any(fnmatchcase(key, name) for name in fields)


def unknown_fields(fields: Sequence[str], family: Family) -> list[str]:
    """Those names and patterns in `fields` that fit no key of this family; to be reported once."""
    keys = {FUNCTION, DEVICE, CLIENT, CONNECTION_STATUS, DATA_AGE, *family.keys()}
    return [name for name in fields if not any(fnmatchcase(key, name) for key in keys)]


@lru_cache(maxsize=64)
def columns_of(key: str) -> Mapping[str, tuple[int, bool]]:
    """Each name that a device of the table `key` may publish, the predecessors' spellings included: the decimals to keep,
    and whether it is a temperature."""
    family = devices.family(key)
    table: tuple[Row, ...] = (*family.derived, *family.fields)
    columns = {name: (digits(row), row.quantity.unit == CELSIUS) for row in table for name in (row.key, row.was) if name}
    return MappingProxyType(columns)


def digits(row: Row | None) -> int:
    """Decimals to keep of this row's value."""
    own = precision_of(row) if row is not None else MOST
    return min(MOST, max(FEWEST, own or 0))


def fahrenheit(value: Any) -> Any:
    """Degrees Celsius to Fahrenheit, also inside lists; what is no number stays."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return round(value * 9 / 5 + 32, 2)
    if isinstance(value, list | tuple):
        return [fahrenheit(item) for item in value]
    return value


def celsius(value: Any) -> Any:
    """Degrees Fahrenheit to Celsius; what is no number stays."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return round((value - 32) * 5 / 9, 2)


def cleaned(value: Any, decimals: int = MOST) -> Any:
    """`value` as JSON can carry it: floats without noise, None for NaN and infinity, lists and records likewise."""
    if isinstance(value, float):
        return round(value, decimals) if math.isfinite(value) else None
    if isinstance(value, SIMPLE):  # nearly all; what is asked below takes long
        return value
    if isinstance(value, Mapping):
        return {str(key): cleaned(item, decimals) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(item, decimals) for item in value]
    return value


def iso(seconds: float) -> str:
    """Wall-clock seconds as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
