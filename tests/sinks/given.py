"""Readings to publish."""

from __future__ import annotations

import configparser
import time
from typing import Any

from renogybt import devices
from renogybt.protocol.table import Row
from renogybt.reading import Failure, Identity, Reading, Stage, Standing
from renogybt.settings import Data, Device, Mqtt, Settings

MAC = "80:6F:B0:0F:12:34"
HOUSE_48 = Identity(MAC, 48, "House", shared=True)
HOUSE_49 = Identity(MAC, 49, "House", shared=True)
HOUSE = Identity(MAC, None, "House", shared=True)
ROVER = Identity("84:28:D7:FF:00:01", 255, "BT-TH-1234")

BATTERY = {
    "cell_count": 4,
    "cell_voltage_0": 3.3,
    "cell_voltage_1": 3.3,
    "cell_voltage_2": 3.4,
    "cell_voltage_3": 3.3,
    "sensor_count": 2,
    "temperature_0": 21.0,
    "temperature_1": -4.0,
    "current": -1.5,
    "voltage": 13.3,
    "remaining_charge": 50.0,
    "capacity": 100.0,
    "model": "RBT100LFP12S",
    "software_version": "0018",
    "protections": ["cell_overvoltage"],
    "warnings": [],
    "problem": True,
    "charge_mosfet": True,
}
CONTROLLER = {
    "model": "RNG-CTRL-RVR40",
    "device_id": 1,
    "battery_percentage": 87,
    "battery_voltage": 13.1,
    "controller_temperature": 25,
    "battery_temperature": -10,
    "pv_power": 34,
    "load_power": 5,
    "load_status": "on",
    "charging_status": "mppt",
    "power_generation_today": 561,
    "power_generation_total": 123456,
    "faults": [],
    "fault_code": 0,
    "problem": False,
}


def reading(identity: Identity = ROVER, family: str = "controller", **values: Any) -> Reading:
    """A reading with the given values; every other key of the device is there as None."""
    given = values or (CONTROLLER if family == "controller" else BATTERY)
    return Reading(identity, family, devices.family(family).complete(given), time.time(), time.monotonic(), "BT-TH-1234")


def battery(identity: Identity = HOUSE_48, **changes: Any) -> Reading:
    return reading(identity, "battery", **(BATTERY | changes))


def failure(identity: Identity) -> Failure:
    return Failure(identity, "no answer", time.monotonic(), time.time())


def standing(identity: Identity, stage: Stage, last: Reading | None = None, age: float | None = None) -> Standing:
    """How it stands with a device; without `last` it was never read."""
    return Standing(identity, stage, last, age)


def settings(mqtt: Mqtt, *identities: Identity, daemon: bool = True, folder: str = ".", **data: Any) -> Settings:
    """A configuration with a section per module of `identities`."""
    units: dict[tuple[str, str], list[int]] = {}
    for identity in identities:
        if identity.unit is not None:
            units.setdefault((identity.mac, identity.alias), []).append(identity.unit)
    sections = tuple(
        Device(section=f"device.{n}", mac_addr=mac, alias=alias, device_id=tuple(ids))
        for n, ((mac, alias), ids) in enumerate(units.items())
    )
    return Settings(devices=sections, data=Data(enable_polling=daemon, **data), mqtt=mqtt, folder=folder)


def something(row: Row) -> Any:
    """Some value such a row could hold; None for lists and names, which are no entities."""
    if row.quantity.platform == "binary_sensor":
        return True
    if row.quantity.device_class == "enum":
        return row.options[0]
    return 1.5 if row.quantity.platform else None


def full(identity: Identity, family: str) -> Reading:
    """A reading in which nothing is missing."""
    table = devices.family(family)
    values = {row.key: something(row) for row in table.rows()}
    counts = {row.only_if: 16 for row in table.fields if row.only_if}
    return Reading(identity, family, values | counts, 0, 0)


def parser(text: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(inline_comment_prefixes=("#",), interpolation=None)
    found.read_string(text)
    return found
