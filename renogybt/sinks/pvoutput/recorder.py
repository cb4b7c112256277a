"""From readings to statuses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from renogybt import devices
from renogybt.protocol.table import Family
from renogybt.reading import Reading
from renogybt.settings import Pvoutput, Settings
from renogybt.sinks.pvoutput.chosen import Chosen
from renogybt.sinks.pvoutput.status import Slots, Status, slot
from renogybt.sinks.pvoutput.values import NEEDED, sources, values_of

log = logging.getLogger(__name__)
SANE = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""A wall clock before this has not been set since the machine was switched on."""


class Recorder:
    """Makes the statuses of one system, each for a slot of its own.

    The log hears once about a device that gives nothing, and about a clock that is not set.
    """

    def __init__(self, system: Pvoutput, settings: Settings, zone: tzinfo | None) -> None:
        self._system, self._zone = system, zone
        self._chosen, self._slots = Chosen(system, settings), Slots(system.status_interval)
        self._warned: set[str] = set()
        if self._chosen.problem:
            self._warn(self._chosen.problem)

    def of(self, reading: Reading, first: bool) -> list[tuple[float, str]]:
        """(taken_at, body) of a status, if the reading is of this system's device and its slot has none yet."""
        family = devices.family(reading.family)
        if not self._chosen.takes(reading.identity, family.client):
            return []
        return self.status(reading.values, family, reading.taken_at, first)

    def status(self, values: Mapping[str, Any], family: Family, taken_at: float, first: bool) -> list[tuple[float, str]]:
        """The same for the values (°C) of any device of that family."""
        wanted = sources(family, self._system)
        if not any(source.parameter in NEEDED for source in wanted):
            self._warn(f"[{self._system.section}] {family.title} measures no power or energy; name values as v1 to v4")
            return []
        if taken_at < SANE:
            self._warn(f"[{self._system.section}] the clock of this machine is not set yet; nothing is kept for PVOutput")
            return []
        found = values_of(values, wanted)
        d, t = slot(taken_at, self._system.status_interval, self._zone)
        if not found or not self._slots.take(d, t):
            return []
        return [(taken_at, Status(d, t, found, first).text())]

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            log.warning("%s", text)
