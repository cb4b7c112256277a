"""What Home Assistant is told about a device: from rows and values to announcements, and back.

Rules learnt on Home Assistant 2024.11 to 2026.11: an unknown key at the top, in `device` or in `origin` rejects the whole
message; a component needs platform and unique_id; a component that is merely left out of a later message stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from renogybt.protocol.codec import Flags
from renogybt.protocol.table import Family, Row, label_of, precision_of
from renogybt.reading import Identity
from renogybt.sinks.document import CELSIUS, FAHRENHEIT, wanted
from renogybt.sinks.link import LINK_ROWS
from renogybt.sinks.standing import OFFLINE, ONLINE
from renogybt.sinks.topics import Topics, node_of
from renogybt.version import __version__

ORIGIN = {"name": "renogybt", "sw_version": __version__}
MIGRATE = json.dumps({"migrate_discovery": True})
"""Retained on an old topic, it lets the entities move to an announcement in the other form with names and history."""
MAKER = "Renogy"
FACTS = {
    "model": "model",
    "software_version": "sw_version",
    "hardware_version": "hw_version",
    "serial_number": "serial_number",
}
"""Values that describe the device, and their names in the device block."""
EXPLAINING = ("faults", "protections", "warnings", "alarms", "*_alarms", "error", "*_code", "fault_code_*", "status[12]")
"""Keys, as patterns, of the lists and code words that say what a problem consists of."""
DEFAULT_PRECISION = 2
YES, NO = ("[true, 'on', 'connected']", "[false, 'off', 'disconnected']")

Config = dict[str, Any]


def entities(family: Family, values: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Row]:
    """The rows that can be entities of this device, by key, in table order.

    Numbered rows beyond a count that `values` holds are left out; while the count is not known they stay possible. Lists,
    names and codes are no entities.
    """
    rows = (row for row in family.rows() if row.quantity.platform and not isinstance(getattr(row, "codec", None), Flags))
    return {row.key: row for row in rows if wanted(row.key, fields) and not _beyond(row, values)}


def _beyond(row: Row, values: Mapping[str, Any]) -> bool:
    count = values.get(row.only_if) if row.only_if else None
    return count is not None and row.index >= count


def attributes(family: Family, fields: Sequence[str]) -> list[str]:
    """The lists and codes that explain the problem sensor."""
    codes = (row.key for row in family.rows() if not row.quantity.platform)
    return [key for key in codes if wanted(key, EXPLAINING) and wanted(key, fields)]


def component(row: Row, node: str, temperature_unit: str = "C") -> Config:
    """One entity, without its topics."""
    quantity = row.quantity
    found: Config = {
        "platform": quantity.platform,
        "unique_id": f"{node}_{row.key}",
        "name": label_of(row),
        "value_template": template(row),
    }
    device_class = quantity.device_class
    if device_class == "enum" and not row.options:
        device_class = ""  # without options Home Assistant refuses the class
    if device_class:
        found["device_class"] = device_class
    if device_class == "enum":
        found["options"] = list(row.options)
    if numeric(row):
        if quantity.unit:
            found["unit_of_measurement"] = (
                FAHRENHEIT if quantity.unit == CELSIUS and temperature_unit == "F" else quantity.unit
            )
        if quantity.state_class:
            found["state_class"] = quantity.state_class
        precision = precision_of(row)
        found["suggested_display_precision"] = DEFAULT_PRECISION if precision is None else precision
    if quantity.diagnostic:
        found["entity_category"] = "diagnostic"
    if row.hidden:
        found["enabled_by_default"] = False
    if quantity.icon and device_class in ("", "enum"):
        found["icon"] = quantity.icon
    return found


def numeric(row: Row) -> bool:
    quantity = row.quantity
    words = quantity.device_class in ("enum", "timestamp")
    number = bool(quantity.unit or quantity.state_class) or precision_of(row) is not None
    return quantity.platform == "sensor" and number and not words


def template(row: Row) -> str:
    """How Home Assistant finds the value in the JSON; what it cannot take renders as none, which it shows as unknown."""
    value = _value(row.key)
    if row.quantity.platform == "binary_sensor":
        return f"{{{{ 'ON' if {value} in {YES} else 'OFF' if {value} in {NO} else none }}}}"
    if row.quantity.device_class == "enum" and row.options:
        options = ", ".join(_quoted(option) for option in row.options)
        return f"{{{{ {value} if {value} in [{options}] else none }}}}"
    return f"{{{{ {value} }}}}"


def _value(key: str) -> str:
    plain = key.isidentifier() and not hasattr(dict, key)  # value_json.items would be the method
    return f"value_json.{key}" if plain else f"value_json[{_quoted(key)}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def attributes_template(keys: Iterable[str]) -> str:
    return "{{ {" + ", ".join(f"{_quoted(key)}: {_value(key)}" for key in keys) + "} | tojson }}"


def device_components(
    rows: Mapping[str, Row], explained_by: Sequence[str], identity: Identity, topics: Topics, temperature_unit: str
) -> dict[str, Config]:
    """The components made from the device's own rows; the state topic is that of the device unless they say otherwise."""
    found = {key: component(row, node_of(identity), temperature_unit) for key, row in rows.items()}
    if "problem" in found and explained_by:
        found["problem"] |= {
            "json_attributes_topic": topics.state(identity),
            "json_attributes_template": attributes_template(explained_by),
        }
    return found


def link_components(keys: Iterable[str], identity: Identity, topics: Topics) -> dict[str, Config]:
    """The components that tell about the link. They hang on the bridge alone: it knows them while the device is silent."""
    return {
        row.key: component(row, node_of(identity))
        | {
            "state_topic": topics.link(identity),
            "availability": [{"topic": topics.bridge_availability}],
            "availability_mode": "all",
        }
        for row in LINK_ROWS
        if row.key in keys
    }


def device_block(identity: Identity, family: Family, facts: Mapping[str, Any], topics: Topics) -> Config:
    """Who the device is; `facts` are values by the names of `FACTS`."""
    name = identity.alias or identity.mac or family.title
    if identity.unit is None:
        name = f"{name} combined"
    elif identity.shared:
        name = f"{name} {identity.unit}"
    block: Config = {"identifiers": [node_of(identity)], "name": name, "manufacturer": MAKER, "model": family.title}
    if real_mac(identity) and not (identity.shared or identity.unit is None or identity.part):
        # Home Assistant makes one device of all that have a connection in common, so it belongs to one of them only.
        block["connections"] = [["bluetooth", identity.mac.upper()]]
    for key, named in FACTS.items():
        if facts.get(key) is not None:
            block[named] = str(facts[key])
    return block | {"via_device": topics.bridge_node}


def real_mac(identity: Identity) -> bool:
    """False where the address is not known (a module found by its name) or is no MAC (macOS gives out UUIDs)."""
    return re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", identity.mac) is not None


def shared_part(identity: Identity, block: Config, topics: Topics) -> Config:
    """What all announcements of a device have in common."""
    return {
        "device": block,
        "origin": dict(ORIGIN),
        "availability": [{"topic": topics.bridge_availability}, {"topic": topics.availability(identity)}],
        "availability_mode": "all",
        "state_topic": topics.state(identity),
    }


def bridge_parts(topics: Topics, host: str) -> tuple[Config, dict[str, Config]]:
    """The common part and the components of the announcement of this program itself."""
    node = topics.bridge_node
    block = {
        "identifiers": [node],
        "name": f"Renogy bridge {host}".strip(),
        "manufacturer": "renogybt",
        "model": "renogybt",
        "sw_version": __version__,
    }
    shared = {"device": block, "origin": dict(ORIGIN), "state_topic": topics.bridge_info}
    return shared, {
        "status": {
            "platform": "binary_sensor",
            "unique_id": f"{node}_status",
            "name": "Status",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": topics.bridge_availability,
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
        },
        "version": {
            "platform": "sensor",
            "unique_id": f"{node}_version",
            "name": "Version",
            "entity_category": "diagnostic",
            "icon": "mdi:tag-outline",
            "value_template": "{{ value_json.version }}",
        },
    }


@dataclass(frozen=True, slots=True)
class Found:
    """An announcement of this program that the broker had kept.

    `components` gives the platform of each key; `topics` are those it points to; `device` is its device block.
    """

    topic: str
    node: str
    key: str
    components: Mapping[str, str]
    topics: tuple[str, ...]
    device: Mapping[str, Any] = field(default_factory=dict)

    @property
    def via(self) -> str:
        return str(self.device.get("via_device", ""))


def found(topics: Topics, topic: str, payload: str) -> Found | None:
    """What a retained message on a discovery topic announces, None when it is empty or not of this program."""
    parts = topics.parts_of(topic)
    try:
        config = json.loads(payload) if payload and parts else None
    except ValueError:
        return None
    if not isinstance(config, dict) or parts is None:
        return None
    platform, node, key = parts
    if config == json.loads(MIGRATE):
        return Found(topic, node, key, {key: platform} if key else {}, ())
    origin, device = config.get("origin"), config.get("device")
    if not isinstance(origin, dict) or origin.get("name") != ORIGIN["name"] or not isinstance(device, dict):
        return None
    inner = config.get("components")
    components = {k: c for k, c in inner.items() if isinstance(c, dict)} if isinstance(inner, dict) else {}
    named = [config, *components.values()]
    used = [str(part["state_topic"]) for part in named if "state_topic" in part]
    used += [str(a["topic"]) for a in config.get("availability", []) if isinstance(a, dict) and "topic" in a]
    platforms = {key: platform} if key else {k: str(c.get("platform", "")) for k, c in components.items()}
    return Found(topic, node, key, platforms, tuple(dict.fromkeys(used)), device)
