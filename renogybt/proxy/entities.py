"""From rows and values to entities and states of the ESPHome native API. The rows are those of the tables, as for MQTT."""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from renogybt.energy.guard import rule_of
from renogybt.protocol.quantity import INCREASING
from renogybt.protocol.table import Row, precision_of
from renogybt.proxy import messages
from renogybt.proxy.plain import Packet
from renogybt.sinks import release
from renogybt.sinks.discovery import DEFAULT_PRECISION, numeric
from renogybt.sinks.document import CELSIUS, FAHRENHEIT, cleaned, digits, fahrenheit

LONGEST_TEXT = 255
LARGEST = 3.4e38
"""The states of sensors are 32-bit floats."""
"""Home Assistant shows longer texts as unknown."""
STATE_CLASSES = {
    "measurement": messages.MEASUREMENT,
    INCREASING: messages.TOTAL_INCREASING,
    "total": messages.TOTAL,
}
STATE_OF = {
    messages.SENSOR: messages.SENSOR_STATE,
    messages.TEXT_SENSOR: messages.TEXT_SENSOR_STATE,
    messages.BINARY_SENSOR: messages.BINARY_SENSOR_STATE,
}
YES, NO = frozenset({"on", "connected"}), frozenset({"off", "disconnected"})
WORDS = frozenset({"", "enum"})
"""Classes that leave the choice of an icon to us; the others have one of their own."""
Shown = float | str | bool | None
"""What a state holds; None is sent as missing."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One value of one device. `kind` is the number of its message, `number` its key and `device` its device's id there.

    `since` is the first version of the list that names it.
    """

    uid: str
    row: Row
    kind: int
    number: int
    device: int
    name: str
    object_id: str
    unit: str
    since: int

    @property
    def place(self) -> tuple[str, str]:
        return self.uid, self.row.key


@dataclass(frozen=True, slots=True)
class Button:
    """Asks to have the module of device `uid` for the phone app. `number` and `device` as for `Entity`; it has no state."""

    uid: str
    number: int
    device: int
    name: str

    @property
    def packet(self) -> Packet:
        """The message that announces it."""
        return messages.packet(
            messages.BUTTON,
            object_id=slug(self.name),
            key=self.number,
            name=self.name,
            icon=release.ICON,
            entity_category=messages.CONFIGURATION,
            device_id=self.device,
        )


def kind_of(row: Row) -> int:
    if row.quantity.platform == "binary_sensor":
        return messages.BINARY_SENSOR
    return messages.SENSOR if numeric(row) else messages.TEXT_SENSOR


def in_kilowatt_hours(row: Row) -> bool:
    """Whether a row in Wh is sent in kWh: a lifetime's energy, in Wh, outgrows what a 32-bit float holds."""
    quantity = row.quantity
    lasting = quantity.state_class == INCREASING and quantity.unit == "Wh"
    return lasting and not rule_of(row).daily


def unit_of(row: Row, temperature_unit: str) -> str:
    if row.quantity.unit == CELSIUS and temperature_unit == "F":
        return FAHRENHEIT
    return "kWh" if in_kilowatt_hours(row) else row.quantity.unit


def decimals_of(row: Row) -> int:
    """Digits after the point that Home Assistant shows."""
    if in_kilowatt_hours(row):
        return 3
    found = precision_of(row)
    return DEFAULT_PRECISION if found is None else found


def shown(row: Row, value: Any, temperature_unit: str) -> Shown:
    """`value` of a reading as the state holds it; None for what was not read and for what does not fit the entity."""
    kind = kind_of(row)
    if kind == messages.BINARY_SENSOR:
        return value if isinstance(value, bool) else _answer(value)
    if kind == messages.TEXT_SENSOR:
        return _text(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        return None
    if row.quantity.unit == CELSIUS and temperature_unit == "F":
        value = fahrenheit(value)
    if in_kilowatt_hours(row):
        return float(value) / 1000
    return None if abs(value) > LARGEST else float(cleaned(float(value), digits(row)))


def _answer(value: Any) -> bool | None:
    """Words for yes and no."""
    if not isinstance(value, str) or value not in YES | NO:
        return None
    return value in YES


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, list | tuple | dict):
        return None
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def described(entity: Entity) -> Packet:
    """The message that announces an entity."""
    row, quantity, kind = entity.row, entity.row.quantity, entity.kind
    device_class = "" if quantity.device_class == "enum" else quantity.device_class
    fields: dict[str, Any] = {
        "object_id": entity.object_id,
        "key": entity.number,
        "name": entity.name,
        "device_class": device_class,
        "icon": quantity.icon if quantity.device_class in WORDS else "",
        "disabled_by_default": row.hidden,
        "entity_category": messages.DIAGNOSTIC if quantity.diagnostic else messages.NO_CATEGORY,
        "device_id": entity.device,
    }
    if kind == messages.SENSOR:
        fields |= {
            "unit_of_measurement": entity.unit,
            "accuracy_decimals": decimals_of(row),
            "state_class": STATE_CLASSES.get(quantity.state_class, messages.NO_STATE_CLASS),
        }
    return messages.packet(kind, **fields)


def state(entity: Entity, value: Shown) -> Packet:
    """The message that tells its state."""
    fields: dict[str, Any] = {"key": entity.number, "device_id": entity.device}
    if value is not None:
        fields["state"] = value
    else:
        fields["missing_state"] = True
        if entity.kind == messages.SENSOR:
            fields["state"] = math.nan
    return messages.packet(STATE_OF[entity.kind], **fields)


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "value"


def numbers(names: Iterable[str]) -> dict[str, int]:
    """For each name its number, which is never 0 and stays the same for ever; no two have the same.

    Should two names come to the same number, the one later in the alphabet gets another.
    """
    found: dict[str, int] = {}
    taken = {0}
    for name in sorted(names):
        number, salt = _hash(name), 0
        while number in taken:
            salt += 1
            number = _hash(f"{name}#{salt}")
        taken.add(number)
        found[name] = number
    return found


def _hash(name: str) -> int:
    return binascii.crc32(name.encode("utf-8", "surrogatepass"))
