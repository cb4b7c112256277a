"""What may be published: what stands in the registers, nothing, or what stood there and is marked as old.

One register of each Modbus unit counts the seconds, so to speak, so that a value tells when it was read. All others stay as
they are; what they read as is taken from readings before the first fault, and compared with what the packs were made of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from tests.peers.bluez import scenarios as scene
from tests.peers.mosquitto import Heard
from tests.soak.rig import ALL, MODULES, TOPIC, Rig

MARKS = {f"hub_{pack.unit}": (MODULES["hub"], pack.unit, 5035, "bms_temperature", 10.0) for pack in scene.PACKS}
MARKS["rover_255"] = (MODULES["rover"], 16, 0x0107, "pv_voltage", 15.0)
"""Label: module, unit, register, key, and the value that tick 0 reads as; each tick adds a tenth."""
TICKS = 300
STATUS, AGE = "connection_status", "data_age"
OF_THE_MOMENT = {STATUS, AGE, "batteries_online", *(key for *_, key, _ in MARKS.values())}
LATENCY = 45.0
"""Seconds at most from reading a register to its arrival here: a whole cycle with new connections on the way."""
GRACE = 1.5
COUNTERS = (("energy_in_kwh", "energy_out_kwh"), ("combined_energy_in_kwh", "combined_energy_out_kwh"))
ROUNDING = 0.001


class Truth:
    def __init__(self) -> None:
        self._ticks: list[tuple[float, float]] = []
        self._known: dict[str, dict[str, Any]] = {}
        self._energy: dict[tuple[str, str], tuple[float, float]] = {}
        self._began = 0.0

    def tick(self, rig: Rig, now: float) -> None:
        """Turn the marking registers on by one."""
        number = len(self._ticks) % TICKS
        for address, unit, register, _, start in MARKS.values():
            rig.fake.registers(address, unit, {register: round(start * 10) + number})
        self._ticks.append((now, now + 3600))
        if len(self._ticks) > 1:
            self._ticks[-2] = (self._ticks[-2][0], now + 0.5)

    def learn(self, messages: list[Heard]) -> list[str]:
        """Take what comes without any fault for the truth about what does not change. Returns what is wrong with it."""
        self._began = messages[0].at if messages else 0.0
        wrong = []
        for label in ALL:
            seen = [json.loads(heard.payload) for heard in messages if heard.topic == f"{TOPIC}/{label}"]
            if len(seen) < 2:
                wrong.append(f"{label}: not read twice before the first fault")
                continue
            self._known[label] = known = {}
            for values in seen[1:]:
                for key, value in values.items():
                    if not passing(key):
                        known.setdefault(key, []).append(value)
            wrong += [f"{label}: {text}" for text in self._doubts(label, known)]
        return wrong

    def faults_of(self, heard: Heard) -> list[str]:
        """What is wrong with a message."""
        label = heard.topic.removeprefix(f"{TOPIC}/")
        if label not in self._known:
            return []
        values = json.loads(heard.payload)
        known = self._known[label]
        wrong = [
            f"{key} is {value!r}, which no register says (known: {known.get(key, 'never seen')})"
            for key, value in values.items()
            if value is not None and not passing(key) and value not in known.get(key, ())
        ]
        wrong += self._too_old(label, values, heard.at)
        wrong += self._energy_faults(label, values, heard.at)
        return [f"{label}: {text}" for text in wrong]

    def _doubts(self, label: str, known: dict[str, list[Any]]) -> Iterator[str]:
        for key, values in independent(label).items():
            for value in known.get(key, [None]):
                if value not in values:
                    yield f"{key} is {value!r} without any fault, but the device has {values}"
            known[key] = list(values)

    def _too_old(self, label: str, values: Mapping[str, Any], at: float) -> Iterator[str]:
        """A value must be from just now, or, when marked as old, as old as it says."""
        if label not in MARKS:
            return
        *_, key, start = MARKS[label]
        value = values.get(key)
        if value is None:
            return
        number = round((value - start) * 10)
        age = values.get(AGE) or 0 if values.get(STATUS) == "offline" else 0
        first, last = at - age - LATENCY - GRACE, at - age + GRACE
        held = [span for n, span in enumerate(self._ticks) if n % TICKS == number and span[0] <= last and span[1] >= first]
        if not held:
            seconds = [round(at - end) for n, (_, end) in enumerate(self._ticks) if n % TICKS == number][-1:]
            said = f"{values.get(STATUS)}, {values.get(AGE)} s"
            yield f"{key} is {value}, which was {seconds or 'never'} s ago; it says {said}"

    def _energy_faults(self, label: str, values: Mapping[str, Any], at: float) -> Iterator[str]:
        """Counters do not run backwards, and not faster than the strongest current of this device."""
        for key in COUNTERS[label == "hub_combined"]:
            value = values.get(key)
            if value is None:
                continue
            before, since = self._energy.get((label, key), (0.0, self._began))
            limit = before + power(label) / 1000 * (at - since + GRACE) / 3600 + ROUNDING
            if not before - ROUNDING <= value <= limit:
                yield f"{key} went from {before} to {value} in {at - since:.0f} s"
            self._energy[label, key] = value, at


def passing(key: str) -> bool:
    """Whether the value belongs to the moment: marks, status, what is counted here."""
    return key in OF_THE_MOMENT or "energy_in" in key or "energy_out" in key


def power(label: str) -> float:
    """W that flow at most, one way or the other."""
    packs = {f"hub_{pack.unit}": abs(pack.voltage * pack.current) for pack in scene.PACKS}
    packs["hub_combined"] = sum(packs.values())
    packs["shunt_255"] = max(abs(block["charge_amps"] * block["main_battery_voltage"]) for block in shunt_blocks())
    return packs.get(label, 0.0)


def fresh(label: str, payload: str) -> bool:
    """Whether a message is a reading of now, and not a word about a device that cannot be read."""
    values = json.loads(payload)
    if values.get(STATUS, "online") != "online":
        return False
    if label == "hub_combined":
        return values.get("combined_current") is not None
    key = MARKS[label][3] if label in MARKS else "charge_amps"
    return values.get(key) is not None


def independent(label: str) -> dict[str, list[Any]]:
    """What the device holds, from the scenario and not from the program."""
    if label == "rover_255":
        moving = {MARKS[label][3]}
        return {key: [value] for key, value in scene.captured("rvr40-dynamic")["expected"].items() if key not in moving}
    if label == "hub_combined":
        return bank()
    if label == "shunt_255":
        found = {key: [block.get(key) for block in shunt_blocks()] for key in shunt_blocks()[0]}
        found["charge_watts"] = [round(block["charge_amps"] * block["main_battery_voltage"], 2) for block in shunt_blocks()]
        return found | {"shunt_status": ["charging", "discharging"], "starter_battery_temperature": [-1.2, None]}
    pack = next(pack for pack in scene.PACKS if label.endswith(str(pack.unit)))
    return {
        "voltage": [pack.voltage],
        "current": [pack.current],
        "power": [round(pack.voltage * pack.current, 2)],
        "remaining_charge": [pack.remaining],
        "capacity": [pack.capacity],
        "cycle_count": [pack.cycles],
        "serial_number": [pack.serial],
        "cell_voltage_0": [pack.cells[0]],
        "cell_voltage_3": [pack.cells[3]],
        "temperature_0": [pack.temperatures[0]],
        "device_id": [pack.unit],
    }


def shunt_blocks() -> list[dict[str, Any]]:
    """What the live blocks that the shunt sends in turn stand for."""
    return [scene.captured(name)["expected"] for name in ("shunt-made-live", "shunt-prefixed", "shunt-frost-charging")]


def bank() -> dict[str, list[Any]]:
    """Sums need all batteries; the voltage is the mean of those that were read."""
    some = [part for size in range(1, 5) for part in combinations([pack.voltage for pack in scene.PACKS], size)]
    found: dict[str, list[Any]] = {
        "combined_current": [round(sum(pack.current for pack in scene.PACKS), 2)],
        "combined_capacity": [round(sum(pack.capacity for pack in scene.PACKS), 6)],
        "combined_remaining_charge": [round(sum(pack.remaining for pack in scene.PACKS), 3)],
        "combined_voltage": [round(sum(part) / len(part), 3) for part in some],
    }
    for pack in scene.PACKS:
        found[f"battery_{pack.unit}_cell_voltage_min"] = [min(pack.cells)]
        found[f"battery_{pack.unit}_cell_voltage_max"] = [max(pack.cells)]
        found[f"battery_{pack.unit}_temperature_min"] = [min(pack.temperatures)]
        found[f"battery_{pack.unit}_temperature_max"] = [max(pack.temperatures)]
    return found
