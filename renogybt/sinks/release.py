"""The buttons, and the topics behind them, by which somebody asks to have a module for the phone app."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

from renogybt.command import RELEASE_MINUTES, Command
from renogybt.reading import Identity
from renogybt.sinks.outbox import Message
from renogybt.sinks.topics import Topics, node_of

log = logging.getLogger(__name__)
KEY, LABEL, ICON = "release", "Release for the phone app", "mdi:cellphone-link"
"""The button as Home Assistant knows it, whichever way it comes there."""
LEAST, MOST = 1, 240
SAID_EVERY = 60.0
"""Seconds between two lines in the log about messages that mean nothing."""


class ReleaseButtons:
    """One per Bluetooth module: at its bank, or else at the first device behind it.

    `on_command` gets what was asked; without it there are no buttons.
    """

    def __init__(self, topics: Topics, identities: Iterable[Identity], on_command: Callable[[Command], None] | None) -> None:
        found = hosts(identities) if on_command is not None else []
        self._devices = {topics.release(identity): identity for identity in found}
        self._on_command = on_command
        self._silent_until = -inf

    @property
    def nodes(self) -> frozenset[str]:
        """The devices that have a button, as discovery topics name them."""
        return frozenset(node_of(identity) for identity in self._devices.values())

    @property
    def topics(self) -> list[str]:
        return list(self._devices)

    def heard(self, topic: str, payload: str, retained: bool, now: float) -> list[Message]:
        """Somebody has said `payload` there; returns what to answer.

        What the broker had kept is not obeyed, because nobody asks for it now, but taken away.
        """
        if retained:
            return [Message(topic, "", 1, True)] if payload else []
        if not payload or self._on_command is None:
            return []  # that was our own word, or somebody else's, that takes a kept message away
        minutes = minutes_of(payload)
        device = self._devices[topic]
        if minutes is None:
            self._say(
                f"{topic}: {payload[:40]!r} is no number of minutes; send {LEAST} to {MOST}, or 0 to end a release", now
            )
        elif minutes:
            self._on_command(Command("release", device.uid, minutes))
        else:
            self._on_command(Command("resume", device.uid))
        return []

    def _say(self, text: str, now: float) -> None:
        if now >= self._silent_until:
            self._silent_until = now + SAID_EVERY
            log.warning("%s", text)


def hosts(identities: Iterable[Identity]) -> list[Identity]:
    """For each module the device that shows its button."""
    found: dict[str, Identity] = {}
    for identity in identities:
        if identity.mac not in found or (identity.unit is None and found[identity.mac].unit is not None):
            found[identity.mac] = identity
    return list(found.values())


def minutes_of(payload: str) -> float | None:
    """The number of minutes in a message, 0 for "come back"; None for anything else."""
    text = payload.strip(" \t\r\n")
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        return None
    minutes = float(text)
    return minutes if minutes == 0 or LEAST <= minutes <= MOST else None


def button(identity: Identity, topics: Topics) -> dict[str, Any]:
    """Its announcement. It hangs on the bridge alone: a device that cannot be read can be released all the same."""
    return {
        "platform": "button",
        "unique_id": f"{node_of(identity)}_{KEY}",
        "name": LABEL,
        "command_topic": topics.release(identity),
        "payload_press": f"{RELEASE_MINUTES:g}",
        "entity_category": "config",
        "icon": ICON,
        "availability": [{"topic": topics.bridge_availability}],
        "availability_mode": "all",
    }
