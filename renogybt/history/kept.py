"""What is kept of a reading, and in which form: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec

from renogybt import devices
from renogybt.protocol.table import Row
from renogybt.reading import Reading

PLACES = 6
"""Decimals of a value: enough for every register, few enough to lose the noise of binary fractions."""
SWITCH = {"on": 1, "off": 0}
DAY_KEY = "day_"


@dataclass(frozen=True, slots=True)
class Kept:
    """A reading as it is stored, its three parts in JSON.

    `data` is the list of the values that change, `keys` their names in the same order; `fixed` holds by name what seldom
    changes (model, settings, alarm words): it is stored once for all readings that have it in common.
    """

    uid: str
    label: str
    family: str
    taken_at: float
    keys: str
    fixed: str
    data: str


@dataclass(frozen=True, slots=True)
class Record:
    """What a charge controller itself recorded of a day (ISO 8601 date); `whole` once that day was over."""

    uid: str
    label: str
    date: str
    whole: bool
    values: Mapping[str, float]


@lru_cache(maxsize=64)
def rows(family: str) -> dict[str, Row]:
    """The rows of a family by their keys; nothing of a family that this program does not know (any more)."""
    try:
        return {row.key: row for row in devices.family(family).rows()}
    except KeyError:
        return {}


def counted(row: Row) -> bool:
    """Whether means are made of this row's values: of measurements, counters and flags, not of settings and names."""
    return bool(row.quantity.state_class) or row.quantity.platform == "binary_sensor"


def changing(row: Row) -> bool:
    return counted(row) or row.quantity.device_class == "enum"


def kept(reading: Reading) -> Kept:
    """`reading` without the predecessors' second spellings."""
    table = rows(reading.family)
    live: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for key, value in reading.values.items():
        row = table.get(key)
        if row is not None and changing(row):
            live[key] = cleaned(value)
        elif row is not None and value is not None:
            fixed[key] = cleaned(value)
    identity = reading.identity
    taken_at = round(reading.taken_at, 3)
    return Kept(
        identity.uid, identity.label, reading.family, taken_at, text(list(live)), text(fixed), text(list(live.values()))
    )


def records(reading: Reading) -> Iterable[Record]:
    """The dated days in a reading of the family "history", as days of the controller that keeps them."""
    owner = replace(reading.identity, part="")
    for day in reading.values.get("daily") or ():
        values = {key: value for key, value in day.items() if key.startswith(DAY_KEY) and value is not None}
        yield Record(owner.uid, owner.label, day["date"], day["days_ago"] > 0, values)


def numbers(family: str, values: Mapping[str, Any]) -> dict[str, float]:
    """Those of the `values` that means are made of; flags as 1 and 0."""
    table = rows(family)
    found: dict[str, float] = {}
    for key, value in values.items():
        row = table.get(key)
        if row is None or value is None or not counted(row):
            continue
        if isinstance(value, bool):
            found[key] = int(value)
        elif isinstance(value, int | float):
            found[key] = value
        elif value in SWITCH:
            found[key] = SWITCH[value]
    return found


def cleaned(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, PLACES) if math.isfinite(value) else None
    return value


def text(content: Any) -> str:
    """JSON."""
    return msgspec.json.encode(content).decode()
