"""What each system at PVOutput needs, and systems that would overwrite each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from renogybt.config.checks.data import value_names
from renogybt.config.checks.judge import Judge
from renogybt.config.checks.web import service_address
from renogybt.config.device import labels
from renogybt.config.report import hint
from renogybt.settings import Device, Pvoutput

CONTROLLER, HISTORY, BATTERY = "RNG_CTRL", "RNG_CTRL_HIST", "RNG_BATT"
INTERVALS = (5, 10, 15)
"""Minutes that a system at PVOutput may be set to."""
VALUES = tuple(f"v{number}" for number in range(1, 13))


def check_pvoutput(judge: Judge) -> None:
    systems = [system for system in judge.settings.pvoutput if system.enabled]
    for system in systems:
        _account(judge, system)
        _device(judge, system)
        _values(judge, system)
    for one, other in combinations(systems, 2):
        _same_system(judge, one, other)


def _account(judge: Judge, system: Pvoutput) -> None:
    section, why = system.section, "PVOutput is enabled"
    judge.required(section, "api_key", system.api_key, why)
    if judge.required(section, "system_id", system.system_id, why) and not re.fullmatch(r"[0-9]+", system.system_id):
        judge.fault(section, "system_id", "must be the number of your system, digits only")
    service_address(judge, section, system.url, why, "https://pvoutput.org/service/r2/")
    if system.status_interval not in INTERVALS:
        judge.warn(section, "status_interval", "a system at PVOutput is set to 5, 10 or 15 minutes; use the same here")


def _device(judge: Judge, system: Pvoutput) -> None:
    devices = judge.settings.devices
    if not all(judge.sound(device.section, "mac_addr", "alias", "type", "device_id") for device in devices):
        return
    if target(system, devices):
        return
    if not system.device.strip():
        text = "nothing will be sent, because there is no charge controller; name another device here"
        judge.warn(system.section, "device", text)
        return
    live = [device for device in devices if device.type != HISTORY]
    there = list(dict.fromkeys(name for device in live for name in (device.alias, *labels(device))))
    meant = hint(system.device, there) or f"; there are {', '.join(there)}" * bool(there)
    judge.fault(system.section, "device", f"no device with live values is called so{meant}")


def target(system: Pvoutput, devices: Sequence[Device]) -> str:
    """`<alias>_<id>` of the device whose readings are meant; "" for nobody.

    An alias or a section with several batteries means the bank, one with several other devices the first of them.
    """
    word = system.device.strip().casefold()
    for device in devices:
        each = list(labels(device))
        called = {device.alias.casefold(), device.section.casefold(), device.section.casefold().removeprefix("device.")}
        if device.type == HISTORY or not each:
            continue
        for label in each:
            if label.casefold() == word:
                return label
        if word in called if word else device.type == CONTROLLER:
            return each[-1] if device.type == BATTERY else each[0]
    return ""


def _values(judge: Judge, system: Pvoutput) -> None:
    """A - before a name turns the sign of the value."""
    given = {key: name for key in VALUES if (name := getattr(system, key).strip().removeprefix("-").strip())}
    known = value_names(judge.settings) if given else set()
    for key, name in given.items():
        if name not in known:
            judge.warn(system.section, key, f"no device has a value called {name}{hint(name, known)}")


def _same_system(judge: Judge, one: Pvoutput, other: Pvoutput) -> None:
    devices = judge.settings.devices
    if one.system_id != other.system_id or target(one, devices) != target(other, devices):
        return
    if judge.sound(one.section, "system_id", "device") and judge.sound(other.section, "device"):
        text = f"[{one.section}] already sends the same device to this system; delete one of the two, or name another device"
        judge.fault(other.section, "system_id", text)
