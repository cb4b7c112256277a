"""A Renogy device that answers Modbus requests: reads its windows and makes one reading of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from renogybt import devices
from renogybt.errors import LinkError, NoAnswer, Refused
from renogybt.link import Link
from renogybt.protocol.modbus import UNIVERSAL
from renogybt.protocol.table import Family, When, Window
from renogybt.reading import Identity, Reading
from renogybt.settings import Device
from renogybt.sources.unit import Unit

log = logging.getLogger(__name__)
HOUR, MINUTE = 3600.0, 60.0
Spans = tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Cycle:
    """What one reading has gathered so far."""

    asked: set[tuple[str, Spans]] = field(default_factory=set)
    answered: list[tuple[int, int]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    postponed: Window | None = None
    error: LinkError | Refused | None = None


class ModbusDevice:
    """One unit behind a module.

    Static windows are read once per connection and kept with it; the table is chosen anew as the advertised name and the
    model text become known. `monotonic` and `wall` are the clocks.
    """

    def __init__(
        self,
        identity: Identity,
        device: Device,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.identity, self.device = identity, device
        self.family: Family = devices.for_type(device.type, device.variant)
        self.unit = Unit(identity.unit or UNIVERSAL, self.family.units, identity.label)
        self._monotonic, self._wall = monotonic, wall
        self._generation = -1
        self._model = ""
        self._recognised_by: tuple[str, str] | None = None
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._counts: dict[str, Any] = {}
        self._resting: dict[str, float] = {}
        self._doubted: set[str] = set()

    @property
    def gatt(self) -> Any:
        return self.family.gatt

    async def read(self, link: Link) -> Reading:
        """One reading. Raises `LinkError` or `Refused` when nothing at all could be read."""
        self._meet(link)
        self.unit.begin()
        cycle, now = Cycle(), self._monotonic()
        cycle.missing += [w.name for w in self.family.windows if not w.optional and now < self._resting.get(w.name, 0.0)]
        while (window := self._next(cycle)) is not None:
            cycle.asked.add((window.name, window.spans))
            if window.inside(cycle.answered):
                continue
            try:
                answer = await self.unit.ask(link, window, window.timeout or self.family.timeout, self.family.pacing)
            except (LinkError, Refused) as error:
                self._failed(cycle, window, error)
                continue
            if answer is None:
                self._unanswered(window, cycle.missing, None)
                continue
            self._take(cycle, window, *answer)
            self._recognise(link)
        got = {window.name for window in self.family.windows if window.inside(cycle.answered)}
        cycle.missing = [name for name in cycle.missing if name not in got]
        if not cycle.values:
            raise cycle.error or NoAnswer(f"{self.identity.label} answers, but gives none of its values")
        return self._reading(link, cycle)

    def _failed(self, cycle: Cycle, window: Window, error: LinkError | Refused) -> None:
        """Go on with another window, unless the unit has been silent to two different ones: then it is not there.

        The first silence may be a lost answer: that window is asked once more as soon as the unit answers another.
        """
        cycle.error = error
        if self.unit.answered:
            self._unanswered(window, cycle.missing, error)
        elif cycle.postponed is not None:
            raise error
        else:
            cycle.postponed = window
            if self._next(cycle) is None:
                cycle.asked.discard((window.name, window.spans))

    def _take(self, cycle: Cycle, window: Window, start: int, payload: bytes) -> None:
        decoded = self.family.decode(start, payload)
        cycle.answered.append((start, len(payload) // self.family.stride))
        cycle.dropped += decoded.dropped
        cycle.values |= decoded.values
        self._keep(window, decoded.values)
        if cycle.postponed is not None:
            cycle.asked.discard((cycle.postponed.name, cycle.postponed.spans))
            cycle.postponed = None

    def _meet(self, link: Link) -> None:
        if link.generation != self._generation:
            self._generation = link.generation
            self._kept = {name: kept for name, kept in self._kept.items() if not self._is(name, When.CONNECTION)}
            self._recognise(link)

    def _is(self, name: str, when: When) -> bool:
        return any(window.name == name and window.when is when for window in self.family.windows)

    def _recognise(self, link: Link) -> None:
        self._generation = link.generation
        model = next((kept["model"] for _, kept in self._kept.values() if kept.get("model")), self._model)
        if (link.name, model) == self._recognised_by:
            return
        self._recognised_by = link.name, model
        family = devices.for_type(self.device.type, self.device.variant, link.name, model)
        if family is not self.family:
            log.info("%s is read as %s (%s)", self.identity.label, family.title, model or link.name)
            self.family = family
        if model != self._model:
            self._model = model
            if doubt := devices.doubt(self.device.type, model):
                log.warning("%s: %s", self.identity.label, doubt)

    def _next(self, cycle: Cycle) -> Window | None:
        """The next window to ask: first what every such unit has, so that a unit is known to be there before it is asked
        for something it may not have; and after a silence first something else than what was not answered."""
        now, silent = self._monotonic(), cycle.postponed.spans if cycle.postponed else ()
        due = [w for w in self.family.windows if (w.name, w.spans) not in cycle.asked and self._due(w, now)]
        return min(due, key=lambda w: (w.inside(silent), w.optional), default=None)

    def _due(self, window: Window, now: float) -> bool:
        if now < self._resting.get(window.name, 0.0):
            return False
        kept = self._kept.get(window.name) if window.when is not When.CYCLE else None
        if kept is not None and (window.when is When.CONNECTION or now - kept[0] < HOUR):
            return False
        if self.unit.span(window) is None:
            self.unit.again(window)
        return True

    def _keep(self, window: Window, values: dict[str, Any]) -> None:
        if window.when is not When.CYCLE:
            self._kept[window.name] = (self._monotonic(), values)
        self._counts |= {key: values[key] for key in self.family.counts if key in values}

    def _unanswered(self, window: Window, missing: list[str], error: Exception | None) -> None:
        if self.unit.span(window) is None:
            self._resting[window.name] = self._monotonic() + (HOUR if window.optional else MINUTE)
        elif error is not None:
            log.info("%s: %s not read: %s", self.identity.label, window.name, error)
        if not window.optional:
            missing.append(window.name)

    def _reading(self, link: Link, cycle: Cycle) -> Reading:
        known: dict[str, Any] = {}
        for _, kept in self._kept.values():
            known |= kept
        known |= cycle.values
        if known.get("device_id") is None and self.unit.address != UNIVERSAL:
            known["device_id"] = self.unit.address
        if fresh := set(cycle.dropped) - self._doubted:
            names = ", ".join(sorted(fresh))
            log.warning("%s: left out, because outside the plausible range: %s", self.identity.label, names)
        self._doubted |= fresh
        self.unit.tally.dropped += len(cycle.dropped)
        return Reading(
            self.identity,
            self.family.key,
            self.family.complete(self.family.derive(known), self._counts),
            self._wall(),
            self._monotonic(),
            link.name,
            tuple(cycle.missing),
            tuple(cycle.dropped),
        )
