"""Announcers at work, and what a broker would hold afterwards."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from renogybt import devices
from renogybt.reading import Identity, LinkFigures, Reading
from renogybt.sinks.announce import Announcer
from renogybt.sinks.link import link_document
from renogybt.sinks.outbox import Message
from renogybt.sinks.topics import Topics, node_of

DEVICE = Topics("solar", False, "device", "homeassistant", "homeassistant/status", "renogy_bridge_ab12")
ENTITY = Topics("solar", False, "entity", "homeassistant", "homeassistant/status", "renogy_bridge_ab12")
NONE = Topics("solar", False, "none", "homeassistant", "homeassistant/status", "renogy_bridge_ab12")
CONFIG = "homeassistant/device/renogy_8428d7ff0001/config"


def rendered(template: str, content: dict[str, Any]) -> Any:
    """What Home Assistant makes of a template, for the few expressions that mean the same in Jinja and Python."""
    assert template.startswith("{{ ")
    assert template.endswith(" }}")
    expression = template[3:-3].removesuffix(" | tojson")
    names = {"value_json": SimpleNamespace(**content), "true": True, "false": False, "none": None}
    return eval(expression, {"__builtins__": {}}, names)


def announcer(topics: Topics = DEVICE, *identities: Identity, **more: Any) -> Announcer:
    return Announcer(topics, identities or None, **more)


def told(words: Announcer, reading: Reading, figures: LinkFigures | None = None) -> list[list[Message]]:
    """The waves after one reading."""
    if figures is not None:
        words.remember_link(reading.identity, link_document(figures))
    words.remember(reading, devices.family(reading.family))
    return words.waves([node_of(reading.identity)])


def config(waves: list[list[Message]]) -> dict[str, Any]:
    """The newest device config in `waves`."""
    return json.loads([m for wave in waves for m in wave if m.payload][-1].payload)  # type: ignore[no-any-return]


FIGURES = LinkFigures(
    connected=True,
    rssi=-70,
    reads=1,
    read_errors=2,
    success_rate=33.3,
    connect_seconds=2.25,
    data_age=7.4,
    resets=1,
    crc_errors=3,
    timeouts=4,
    reconnects=5,
    last_update=1_700_000_000.0,
    last_error="no answer",
)


def stored(waves: list[list[Message]]) -> dict[str, str]:
    """What a broker holds after `waves`."""
    held: dict[str, str] = {}
    for message in (m for wave in waves for m in wave):
        held[message.topic] = message.payload
    return {topic: payload for topic, payload in held.items() if payload}


def after_restart(
    held: dict[str, str], topics: Topics, *identities: Identity, **more: Any
) -> tuple[Announcer, list[Message]]:
    """A new process that has read back what the broker holds, and what it says at once."""
    words = Announcer(topics, identities, **more)
    said = [message for topic, payload in held.items() for message in words.read_back(topic, payload)]
    return words, said
