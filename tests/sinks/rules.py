"""What Home Assistant 2024.11 to 2026.11 demands of announcements, as a list of faults found in one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

TOP = {
    "device",
    "origin",
    "components",
    "availability",
    "availability_mode",
    "availability_topic",
    "availability_template",
    "payload_available",
    "payload_not_available",
    "state_topic",
    "command_topic",
    "qos",
    "encoding",
}
DEVICE = {
    "identifiers",
    "connections",
    "name",
    "manufacturer",
    "model",
    "model_id",
    "hw_version",
    "sw_version",
    "serial_number",
    "suggested_area",
    "configuration_url",
    "via_device",
}
ORIGIN = {"name", "sw_version", "support_url"}
COMMON = {
    "platform",
    "unique_id",
    "name",
    "device_class",
    "value_template",
    "state_topic",
    "entity_category",
    "enabled_by_default",
    "icon",
    "json_attributes_topic",
    "json_attributes_template",
    "availability",
    "availability_mode",
}
SENSOR = COMMON | {"unit_of_measurement", "state_class", "suggested_display_precision", "options"}
BINARY = COMMON | {"payload_on", "payload_off"}
BUTTON = {
    "platform",
    "unique_id",
    "name",
    "device_class",
    "command_topic",
    "payload_press",
    "entity_category",
    "enabled_by_default",
    "icon",
    "availability",
    "availability_mode",
}

ENERGY_UNITS = ["J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal", "Mcal", "Gcal", "thm"]
UNITS: dict[str, list[str]] = {
    "voltage": ["μV", "mV", "V", "kV", "MV"],
    "current": ["μA", "mA", "A"],
    "power": ["mW", "W", "kW", "MW", "GW", "TW"],
    "apparent_power": ["mVA", "VA", "kVA"],
    "energy": ENERGY_UNITS,
    "energy_storage": ENERGY_UNITS,
    "battery": ["%"],
    "temperature": ["°C", "°F", "K"],
    "frequency": ["mHz", "Hz", "kHz", "MHz", "GHz"],
    "duration": ["d", "h", "min", "s", "ms", "μs"],
    "signal_strength": ["dB", "dBm"],
}
STATE_CLASSES: dict[str, list[str]] = {name: ["measurement"] for name in UNITS} | {
    "energy": ["total", "total_increasing"],
    "duration": ["measurement", "total", "total_increasing"],
}
BINARY_CLASSES = {"battery_charging", "connectivity", "heat", "power", "problem", "running"}


def faults_of_device_form(payload: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(payload, TOP, "at the top")
    yield from _shared(payload)
    components = payload.get("components")
    if not isinstance(components, dict) or not components:
        yield "no components"
        return
    device = payload["device"]
    ids = [component.get("unique_id") for component in components.values()]
    if len(set(ids)) != len(ids):
        yield "two components share a unique_id"
    for key, component in components.items():
        for fault in faults_of_component(component, payload):
            yield f"{key}: {fault}"
        if component.get("unique_id") != f"{device['identifiers'][0]}_{key}":
            yield f"{key}: unique_id {component.get('unique_id')} is not made of device and key"
        if str(device["name"]).lower() in str(component.get("name")).lower():
            yield f"{key}: repeats the name of the device"


def faults_of_entity_form(topic: str, payload: Mapping[str, Any]) -> Iterator[str]:
    match = re.fullmatch(r"[^/]+/(sensor|binary_sensor|button)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config", topic)
    if match is None:
        yield f"{topic} is no topic for one entity"
        return
    yield from _shared(payload)
    inner = {k: v for k, v in payload.items() if k not in ("device", "origin")}
    yield from faults_of_component({"platform": match[1], **inner}, payload)
    if payload.get("unique_id") != f"{match[2]}_{match[3]}":
        yield "unique_id does not follow from the topic"


def _shared(payload: Mapping[str, Any]) -> Iterator[str]:
    device, origin = payload.get("device"), payload.get("origin")
    if not isinstance(device, dict) or not isinstance(origin, dict):
        yield "device or origin is missing"
        return
    yield from _unknown(device, DEVICE, "in device")
    yield from _unknown(origin, ORIGIN, "in origin")
    if not origin.get("name"):
        yield "origin has no name"
    if not device.get("identifiers") or not device.get("name"):
        yield "device has no identifiers or no name"
    yield from (
        f"device {key} is no text"
        for key in DEVICE - {"identifiers", "connections"}
        if not isinstance(device.get(key, ""), str)
    )
    for kind, address in device.get("connections", []):
        if kind != "bluetooth" or not re.fullmatch(r"([0-9A-F]{2}:){5}[0-9A-F]{2}", address):
            yield f"connection {kind} {address}"
    yield from _availability(payload)


def _availability(payload: Mapping[str, Any]) -> Iterator[str]:
    entries = payload.get("availability", [])
    if entries and payload.get("availability_mode") != "all":
        yield "availability without mode all: the default is latest"
    if entries and "availability_topic" in payload:
        yield "availability and availability_topic together"
    yield from (
        f"availability {entry}"
        for entry in entries
        if set(entry) - {"topic", "payload_available", "payload_not_available", "value_template"}
    )


def _unknown(found: Mapping[str, Any], allowed: set[str], where: str) -> Iterator[str]:
    for key in found:
        if key not in allowed:
            yield f"unknown key {key} {where}"


def faults_of_component(component: Mapping[str, Any], payload: Mapping[str, Any]) -> Iterator[str]:
    platform = component.get("platform")
    if platform == "button":
        yield from _button(component)
        return
    if platform not in ("sensor", "binary_sensor"):
        yield f"platform {platform}"
        return
    yield from _unknown(component, SENSOR if platform == "sensor" else BINARY, f"in a {platform}")
    yield from _named(component)
    if not (component.get("state_topic") or payload.get("state_topic")):
        yield "no state_topic"
    if component.get("entity_category", "diagnostic") != "diagnostic":
        yield "a sensor may only be diagnostic"
    if "icon" in component and component.get("device_class") not in (None, "enum"):
        yield "an icon hides the one of the class"
    yield from _availability(component)
    yield from _sensor(component) if platform == "sensor" else _binary(component)


def _named(component: Mapping[str, Any]) -> Iterator[str]:
    for needed in ("unique_id", "name"):
        if not component.get(needed):
            yield f"no {needed}"
    name = str(component.get("name"))
    if not name[:1].isupper() or "_" in name:
        yield f"{name!r} is no name in sentence case"
    if "icon" in component and not re.fullmatch(r"mdi:[a-z0-9-]+", component["icon"]):
        yield f"icon {component['icon']}"


def _button(component: Mapping[str, Any]) -> Iterator[str]:
    # In entity form the state topic that all have in common stands there too; it means nothing to a button.
    yield from _unknown(component, BUTTON | {"state_topic"}, "in a button")
    yield from _named(component)
    if not component.get("command_topic"):
        yield "no command_topic"
    if component.get("entity_category", "config") not in ("config", "diagnostic"):
        yield f"category {component['entity_category']}"
    if component.get("device_class") not in (None, "identify", "restart", "update"):
        yield f"button class {component['device_class']}"
    yield from _availability(component)


def _binary(component: Mapping[str, Any]) -> Iterator[str]:
    if component.get("device_class") not in BINARY_CLASSES | {None}:
        yield f"binary_sensor class {component['device_class']}"
    if "payload_on" not in component and "value_template" not in component:
        yield "nothing turns the value into ON and OFF"


def _sensor(component: Mapping[str, Any]) -> Iterator[str]:
    kind, unit, state_class = (component.get(key) for key in ("device_class", "unit_of_measurement", "state_class"))
    precision, options = component.get("suggested_display_precision"), component.get("options")
    if precision is not None and (not isinstance(precision, int) or isinstance(precision, bool) or precision < 0):
        yield f"precision {precision!r}"
    if (unit or state_class) and precision is None:
        yield "a number without precision"
    if (options is not None) != (kind == "enum"):
        yield "options go with the class enum and with nothing else"
    if kind == "enum":
        if not options or len(set(options)) != len(options) or not all(isinstance(option, str) for option in options):
            yield f"options {options}"
        if unit or state_class:
            yield "an enum with unit or state class"
    elif kind == "timestamp":
        if unit or state_class:
            yield "a timestamp with unit or state class"
    elif kind is not None:
        if kind not in UNITS:
            yield f"device class {kind}"
        elif unit not in UNITS[kind]:
            yield f"unit {unit} with class {kind}"
        elif state_class is not None and state_class not in STATE_CLASSES[kind]:
            yield f"state class {state_class} with class {kind}"
    elif unit == "Ah" and state_class not in (None, "measurement", "total_increasing"):
        yield f"Ah with state class {state_class}"
    if unit == "days":
        yield "days are written d"
