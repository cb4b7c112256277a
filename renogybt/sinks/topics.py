"""Which topic says what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from renogybt.reading import Identity
from renogybt.settings import Settings


@lru_cache(maxsize=128)
def plain(name: str) -> str:
    """`name` as one level of a topic: without what MQTT reserves and without blanks."""
    return re.sub(r"[+#/\s\x00-\x1f\x7f]", "_", name)


@lru_cache(maxsize=128)
def slug(name: str) -> str:
    """`name` in the letters Home Assistant allows in discovery topics."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)


def form_of(settings: Settings) -> str:
    """How to announce: device, entity or none."""
    return settings.mqtt.discovery if settings.mqtt.homeassistant_discovery else "none"


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one configuration.

    `single`: one section, one device_id and no discovery, where readings go to `base` itself as the predecessor sent
    them. `form` is device, entity or none; `bridge_node` names this program among the announcements.
    """

    base: str
    single: bool
    form: str
    prefix: str
    birth: str
    bridge_node: str

    @classmethod
    def of(cls, settings: Settings, bridge_id: str) -> Topics:
        mqtt, form = settings.mqtt, form_of(settings)
        single = form == "none" and len(settings.devices) == 1 and len(settings.devices[0].device_id) == 1
        base = re.sub(r"[+#\x00]", "_", mqtt.topic).rstrip("/") or "solar"
        birth = mqtt.birth_topic or f"{mqtt.discovery_prefix}/status"
        return cls(base, single, form, mqtt.discovery_prefix, birth, f"renogy_bridge_{bridge_id}")

    def state(self, identity: Identity) -> str:
        if self.single:
            return self.base
        return f"{self.base}/{plain(identity.label if identity.alias else identity.uid)}"

    def availability(self, identity: Identity) -> str:
        return f"{self.state(identity)}/availability"

    def link(self, identity: Identity) -> str:
        return f"{self.state(identity)}/link"

    def release(self, identity: Identity) -> str:
        """Where somebody asks to have the module of this device for the phone app."""
        return f"{self.state(identity)}/release"

    @property
    def bridge_availability(self) -> str:
        return f"{self.base}/bridge/availability"

    @property
    def bridge_info(self) -> str:
        return f"{self.base}/bridge/info"

    def state_of(self, values: Mapping[str, Any], alias: str, unit: int) -> str:
        """Where the predecessors' `log_mqtt` puts `values`; `alias` and `unit` serve when they name no device."""
        if self.single:
            return self.base
        named = values.get("device_id") or unit
        return f"{self.base}/{plain(f'{alias}_{named}')}"

    def device_config(self, node: str) -> str:
        return f"{self.prefix}/device/{node}/config"

    def entity_config(self, node: str, platform: str, key: str) -> str:
        return f"{self.prefix}/{platform}/{node}/{key}/config"

    @property
    def all_device_configs(self) -> str:
        """Filter for every announcement in device form, others' too."""
        return self.device_config("+")

    def entity_configs(self, node: str) -> str:
        """Filter for the announcements of one device in entity form."""
        return self.entity_config(node, "+", "+")

    def parts_of(self, config_topic: str) -> tuple[str, str, str] | None:
        """(platform, node, key) of a discovery topic; device form has the platform `device` and no key."""
        head, tail = f"{self.prefix}/", "/config"
        if not (config_topic.startswith(head) and config_topic.endswith(tail)):
            return None
        match config_topic[len(head) : -len(tail)].split("/"):
            case ["device", node]:
                return "device", node, ""
            case [platform, node, key]:
                return platform, node, key
        return None


def node_of(identity: Identity) -> str:
    """The device's name in discovery topics and the head of its unique ids; depends on the address, never on the alias."""
    return f"renogy_{slug(identity.uid)}"
