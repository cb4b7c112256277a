"""Each device for itself, and devices that would stand in each other's way."""

from __future__ import annotations

import re
from itertools import combinations

from renogybt.config.checks.judge import Judge
from renogybt.config.checks.via import check_via
from renogybt.config.device import labels
from renogybt.devices.recognise import FORCED
from renogybt.settings import Device

ANYBODY = 255
"""The bus address to which every device answers."""


def check_devices(judge: Judge) -> None:
    devices, proxy = judge.settings.devices, judge.settings.home_assistant_proxy
    if not devices and not (proxy.enabled and not proxy.with_renogy_client):
        judge.missing("device", "this section is missing: it must say which device to read (mac_addr, type)")
    for device in devices:
        _device(judge, device)
    check_via(judge, devices)
    sound = [device for device in devices if judge.sound(device.section, "mac_addr", "alias", "type", "device_id")]
    for one, other in combinations(sound, 2):
        if one.module == other.module:
            _same_module(judge, one, other)
        _same_names(judge, one, other)


def _device(judge: Judge, device: Device) -> None:
    ids = device.device_id
    if not ids:
        judge.fault(device.section, "device_id", "must name at least one bus address; 255 reaches whoever is there")
    if twice := sorted({unit for unit in ids if ids.count(unit) > 1}):
        judge.fault(device.section, "device_id", f"{', '.join(map(str, twice))} stands in the list more than once")
    elif ANYBODY in ids and len(ids) > 1:
        text = "255 reaches whoever is there, so it cannot stand in a list with others; name each address"
        judge.fault(device.section, "device_id", text)
    if device.type == "RNG_SHNT" and len(ids) > 1:
        judge.fault(device.section, "device_id", "a Smart Shunt is one device; delete this line")
    fitting = FORCED.get(device.type, {})
    if device.variant not in ("auto", *fitting):
        choice = f"one of auto, {', '.join(fitting)}" if fitting else "auto"
        judge.fault(device.section, "variant", f"must be {choice} for type {device.type}")
    if re.search(r"[+#/]", device.alias):
        judge.fault(device.section, "alias", "must be without + # and /, which have a meaning of their own in topics")


def _same_module(judge: Judge, one: Device, other: Device) -> None:
    same = [unit for unit in other.device_id if unit in one.device_id]
    if one.type == other.type and same:
        text = f"{other.type} {', '.join(map(str, same))} of this module is already read by [{one.section}]"
        judge.fault(other.section, "device_id", f"{text}; delete it from one of the two")
    elif one.device_id != other.device_id and ANYBODY in one.device_id + other.device_id:
        broad = one if ANYBODY in one.device_id else other
        text = "255 reaches whoever is there; where several devices share a module, name the address of each"
        judge.warn(broad.section, "device_id", text)
    elif one.type == other.type == "RNG_BATT" and len(one.device_id) > 1 < len(other.device_id):
        text = f"the batteries of one module make one bank: put these into device_id of [{one.section}]"
        judge.fault(other.section, "device_id", text)
    for key in ("adapter", "connection", "via"):
        if getattr(one, key) != getattr(other, key):
            text = f"must be as in [{one.section}], which shares the connection to this module"
            judge.fault(other.section, key, text)


def _same_names(judge: Judge, one: Device, other: Device) -> None:
    if not judge.sound(other.section, "device_id"):
        return
    if same := [label for label in labels(other) if label in set(labels(one))]:
        text = f"{same[0]} would be the name of this device and of one in [{one.section}]; give it another alias"
        judge.fault(other.section, "alias", text)
