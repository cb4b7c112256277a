"""What the simulated devices hold, and held at any time of the test: nothing else may be published."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.mosquitto import Heard

SLACK = 8.0
"""Seconds that may pass between a measurement and the message about it, slow reading included."""
NAMES_ONLY = ("function", "__device", "__client", "connection_status", "data_age")


@dataclass
class Told:
    """A device behind a module, as it is published: `label` is the last part of its topic.

    `register` holds ten times the value of `key`; it is rewritten to see that what is published is new.
    """

    label: str
    address: str
    unit: int
    values: Mapping[str, Any]
    register: int = 0
    key: str = ""
    _history: list[tuple[float, Any]] = field(default_factory=list)
    _turn: int = 0

    def stamp(self, fake: Fake, now: float) -> Any:
        """Put another value into the register; returns what is to be published from now on."""
        if not self.register:
            return None
        self._turn += 1
        raw = 130 + self._turn % 12
        if not self._history:
            self._history.append((float("-inf"), self.values[self.key]))
        fake.registers(self.address, self.unit, {self.register: raw})
        self._history.append((now, raw / 10))
        return raw / 10

    def possible(self, key: str, begin: float, end: float) -> list[Any]:
        """What `key` may say of a measurement made between these moments."""
        if key != self.key or not self._history:
            return [self.values[key]]
        first = max(0, bisect_right([at for at, _ in self._history], begin) - 1)
        return [value for at, value in self._history[first:] if at <= end]


def rover() -> Told:
    values = dict(scene.captured("rvr40-dynamic")["expected"]) | {"model": "RNG-CTRL-RVR40"}
    return Told("rover_255", scene.CONTROLLER, 16, values, 257, "battery_voltage")


def pack(number: int, address: str = scene.BATTERIES, alias: str = "hub") -> Told:
    """A battery of `scenarios.PACKS` by its number on the bus."""
    (held,) = (each for each in scene.PACKS if each.unit == number)
    values: dict[str, Any] = {"voltage": held.voltage, "current": held.current, "remaining_charge": held.remaining}
    values |= {"capacity": held.capacity, "cell_count": len(held.cells), "serial_number": held.serial}
    values |= {f"cell_voltage_{n}": cell for n, cell in enumerate(held.cells)}
    values |= {f"temperature_{n}": warmth for n, warmth in enumerate(held.temperatures)}
    return Told(f"{alias}_{number}", address, number, values, 5043, "voltage")


def bank(*numbers: int, alias: str = "hub") -> Told:
    """The sum of several batteries; it has no register of its own."""
    held = [each for each in scene.PACKS if each.unit in numbers]
    values = {
        "combined_current": round(sum(each.current for each in held), 2),
        "combined_capacity": round(sum(each.capacity for each in held), 3),
        "combined_remaining_charge": round(sum(each.remaining for each in held), 3),
    }
    return Told(f"{alias}_combined", scene.BATTERIES, 0, values)


def lies(told: Told, heard: Heard) -> list[str]:
    """What is wrong with a message about this device, "" values aside: null is always true."""
    said = json.loads(heard.payload)
    status, age = said.get("connection_status", "online"), said.get("data_age")
    when = f"{told.label} at {heard.at:.2f}"
    if status != "online" and age is None:
        return [f"{when}: {key} = {said[key]!r} without an age" for key in said if unmasked(key, said[key])]
    end = heard.at - (age or 0)
    found = []
    for key in told.values:
        value = said.get(key)
        if value is not None and value not in told.possible(key, end - SLACK, end + 1.0):
            found.append(f"{when} ({status}, {age} s old): {key} = {value!r}, true {told.possible(key, end - SLACK, end)}")
    return found


def unmasked(key: str, value: Any) -> bool:
    return value is not None and key not in NAMES_ONLY
