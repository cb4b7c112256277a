"""What has been announced, what is to be announced, and what must be taken back. Pure: messages out, no broker in sight."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import msgspec

from renogybt.protocol.table import Family
from renogybt.reading import Identity, Reading
from renogybt.sinks.discovery import (
    FACTS,
    MIGRATE,
    Config,
    Found,
    attributes,
    bridge_parts,
    device_block,
    device_components,
    entities,
    found,
    link_components,
    shared_part,
)
from renogybt.sinks.link import LINK_ROWS
from renogybt.sinks.outbox import Message
from renogybt.sinks.release import button
from renogybt.sinks.standing import status_rows
from renogybt.sinks.topics import Topics, node_of

LINK_KEYS = tuple(row.key for row in LINK_ROWS)
CONNECTED, RELEASE = "connected", "release"
Wave = list[Message]
"""Messages that may go together; the next wave waits until they have gone."""


def encoded(content: Any) -> str:
    """By msgspec, because `json` makes an object of each word: ten thousands of them when all devices are announced."""
    return msgspec.json.encode(content).decode()


def retained(topic: str, payload: str) -> Message:
    return Message(topic, payload, 1, True)


@dataclass(slots=True)
class Card:
    """What the readings of this process told about one device. `family` is None until it was read."""

    identity: Identity
    family: Family | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> tuple[object, ...]:
        """What an announcement depends on."""
        counts = {key: self.values.get(key) for key in self.family.counts} if self.family else {}
        return self.family and self.family.key, len(self.seen), dict(self.facts), counts


class Announcer:
    """Builds the announcements of all devices and of the bridge.

    `identities` are the configured devices; None when they are not known, and then nothing is ever taken back for being
    no longer configured. `temperature_unit` C or F, `fields` as in [data], `buttons` the nodes that have a release button.
    """

    def __init__(
        self,
        topics: Topics,
        identities: Iterable[Identity] | None = None,
        temperature_unit: str = "C",
        fields: Sequence[str] = (),
        host: str = "",
        buttons: Collection[str] = (),
    ) -> None:
        self.topics, self._unit, self._fields, self._host = topics, temperature_unit, fields, host
        self._buttons = buttons
        self._complete = identities is not None
        self._configured = {node_of(identity): identity for identity in identities or ()}
        self._cards: dict[str, Card] = {}
        self._old: dict[str, dict[str, Found]] = {}

    @property
    def devices(self) -> dict[str, str]:
        """The devices of this bridge: node and label."""
        known = self._configured | {node: card.identity for node, card in self._cards.items()}
        return {node: identity.label for node, identity in known.items()}

    @property
    def announced(self) -> list[str]:
        """The nodes that can be announced: those read at least once in this process."""
        return [node for node, card in self._cards.items() if card.family]

    def remember(self, reading: Reading, family: Family) -> bool:
        """Take note of a reading; True when its device is to be announced anew."""
        card = self._card(reading.identity)
        before = card.state
        card.family, card.values = family, reading.values
        new = {k: v for k, v in reading.values.items() if v is not None and k not in card.seen}
        card.seen |= {key for key, value in new.items() if not isinstance(value, list | tuple | dict)}
        card.facts |= {key: value for key in FACTS if (value := reading.values.get(key)) is not None}
        return before != card.state

    def remember_link(self, identity: Identity, figures: Mapping[str, Any]) -> bool:
        """Take note of a link document; True when its device is to be announced anew."""
        card = self._card(identity)
        before = len(card.seen)
        card.seen |= {key for key in LINK_KEYS if figures.get(key) is not None}
        return card.family is not None and len(card.seen) != before

    def _card(self, identity: Identity) -> Card:
        return self._cards.setdefault(node_of(identity), Card(identity))

    def forget_broker(self) -> None:
        """A new connection: what the broker holds is not known any more."""
        self._old.clear()

    def filters(self) -> list[str]:
        """What to subscribe to for reading back what the broker holds."""
        if self.topics.form == "none":
            return []
        nodes = [*self.devices, self.topics.bridge_node]
        return [self.topics.all_device_configs, *(self.topics.entity_configs(node) for node in nodes)]

    def more_filters(self, info: Mapping[str, Any]) -> list[str]:
        """What to subscribe to besides, for taking back devices that an earlier run, as told by its `info`, announced."""
        listed, former = info.get("devices"), info.get("discovery")
        if info.get("node") != self.topics.bridge_node or not isinstance(listed, dict) or former in (None, "none"):
            return []
        gone = [node for node in listed if self.topics.form == "none" or node not in self.devices]
        if self.topics.form == "none":
            gone.append(self.topics.bridge_node)
        filters = [(self.topics.device_config(node), self.topics.entity_configs(node)) for node in gone]
        return [item for pair in filters for item in pair]

    def read_back(self, topic: str, payload: str) -> list[Message]:
        """Take note of a retained announcement. Returns the messages that take it back when it has no place any more."""
        old = found(self.topics, topic, payload)
        if old is None:
            return []
        known = old.node in self.devices or old.node == self.topics.bridge_node
        if known and self.topics.form != "none":
            self._old.setdefault(old.node, {})[topic] = old
            return []
        if known:
            return [retained(topic, "")]
        if not self._complete or old.via != self.topics.bridge_node:
            return []
        return [retained(topic, ""), *(retained(each, "") for each in self._own(old))]

    def _own(self, old: Found) -> list[str]:
        """The topics of a device that is gone: all below ours, except the bridge's and those still in use."""
        used = {self.topics.state(identity) for identity in self._configured.values()}
        below = [t for t in old.topics if t.startswith(f"{self.topics.base}/") and not t.startswith(self._bridge_topics)]
        states = [topic for topic in below if not topic.endswith(("/availability", "/link"))]
        below += [f"{state}{tail}" for state in states for tail in ("/availability", "/link")]
        return [t for t in dict.fromkeys(below) if t.removesuffix("/availability").removesuffix("/link") not in used]

    @property
    def _bridge_topics(self) -> str:
        return f"{self.topics.base}/bridge/"

    def waves(self, nodes: Iterable[str], bridge: bool = False) -> list[Wave]:
        """The announcements of the devices `nodes`, after the bridge's own if `bridge`."""
        if self.topics.form == "none":
            return []
        several = [self._bridge_waves()] if bridge else []
        several += [self._device_waves(self._cards[node]) for node in nodes]
        merged = [[message for wave in waves for message in wave] for waves in zip_longest(*several, fillvalue=[])]
        return [wave for wave in merged if wave]

    def _bridge_waves(self) -> list[Wave]:
        shared, components = bridge_parts(self.topics, self._host)
        return self._forms(self.topics.bridge_node, shared, components)

    def _device_waves(self, card: Card) -> list[Wave]:
        identity, node, family = card.identity, node_of(card.identity), card.family
        if family is None:
            return []
        before = self._old.get(node, {}).values()
        link_known = set() if identity.unit is None else {CONNECTED}  # a bank has no link of its own
        seen = card.seen | link_known | {key for old in before for key in old.components}
        rows = {key: row for key, row in entities(family, card.values, self._fields).items() if key in seen}
        rows |= status_rows(identity, self._fields)
        explained = attributes(family, self._fields)
        components = device_components(rows, explained, identity, self.topics, self._unit)
        link = link_components([key for key in LINK_KEYS if key in seen and key not in rows], identity, self.topics)
        if node in self._buttons:
            link |= {RELEASE: button(identity, self.topics)}
        former = {named: value for old in before for key, named in FACTS.items() if (value := old.device.get(named))}
        block = device_block(identity, family, card.facts, self.topics)
        if "model" not in card.facts and "model" in former:
            block["model"] = former["model"]
        block = {**{named: value for named, value in former.items() if named not in block}, **block}
        card.seen |= set(components) | set(link)
        left = [topic for old in before for topic in self._own(old)] if self._complete else []
        return self._forms(node, shared_part(identity, block, self.topics), components | link, left)

    def _forms(self, node: str, shared: Config, components: dict[str, Config], left: Iterable[str] = ()) -> list[Wave]:
        """First let go of announcements in the other form, then announce, then clear away what is spent.

        `left` are topics the device does not use any more, because it has another alias now.
        """
        device_topic, before = self.topics.device_config(node), self._old.get(node, {})
        as_device = self.topics.form == "device"
        other = [old for topic, old in before.items() if (topic == device_topic) != as_device]
        gone = [old.topic for old in other if old.key and old.key not in components]
        moving = [old.topic for old in other if old.topic not in gone]
        first = [retained(topic, "") for topic in gone] + [retained(topic, MIGRATE) for topic in moving]
        last = [retained(topic, "") for topic in (*moving, *dict.fromkeys(left))]
        if as_device:
            stubs = self._stubs(before.get(device_topic), components)
            full = retained(device_topic, encoded(shared | {"components": components}))
            second = [retained(device_topic, encoded(shared | {"components": components | stubs}))] if stubs else [full]
            last += [full] if stubs else []
            kept = {device_topic: Found(device_topic, node, "", platforms(components), (), shared["device"])}
        else:
            parts = {self.topics.entity_config(node, c["platform"], key): (key, c) for key, c in components.items()}
            second = [retained(topic, encoded(shared | _bare(c))) for topic, (_, c) in parts.items()]
            second += [retained(topic, "") for topic in before if topic != device_topic and topic not in parts]
            kept = {t: Found(t, node, k, {k: c["platform"]}, (), shared["device"]) for t, (k, c) in parts.items()}
        self._old[node] = kept
        return [first, second, last]

    def _stubs(self, before: Found | None, components: Mapping[str, Config]) -> dict[str, Config]:
        """Components to be removed: Home Assistant drops one that comes with nothing but its platform."""
        gone = {} if before is None else {k: p for k, p in before.components.items() if k not in components and p}
        return {key: {"platform": platform} for key, platform in gone.items()}


def platforms(components: Mapping[str, Config]) -> dict[str, str]:
    return {key: str(component["platform"]) for key, component in components.items()}


def _bare(component: Config) -> Config:
    """In entity form the topic says the platform."""
    return {key: value for key, value in component.items() if key != "platform"}
