"""Carries out what somebody asks of the running program: free a module for the phone app, come back, say how things are."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from renogybt.command import Command
from renogybt.errors import RenogyError
from renogybt.incident import Incident
from renogybt.reading import Identity
from renogybt.settings import Device
from renogybt.sources.module import Section

log = logging.getLogger(__name__)
ADDRESS = re.compile("[0-9a-f]{2}(-[0-9a-f]{2}){5}")
LEAST, MOST = 1 / 60, 24 * 60.0
"""Minutes a module may be lent out."""


class MainLoop(Protocol):
    """What carrying out a command needs of the bridge."""

    def submit(self, task: Callable[[Any], Any], report: Callable[[Any], None]) -> None: ...

    def hold(self, sections: Iterable[str], until: float) -> None:
        """Give these sections no turn before `until` (monotonic seconds), and one then."""
        ...

    def lent(self, identities: Iterable[Identity], until: float | None) -> None:
        """These devices are out of reach on purpose until then; None: no longer."""
        ...

    def happened(self, incident: Incident) -> None: ...

    def health(self) -> dict[str, Any]: ...


class Orders:
    """Belongs to the main thread."""

    def __init__(self, bridge: MainLoop, sections: Mapping[str, Section]) -> None:
        self._bridge, self._sections = bridge, sections
        self._newest: dict[str, Command] = {}
        """What was asked last of each module."""

    def carry_out(self, command: Command) -> None:
        """Raises nothing; the outcome goes to `command.answer`."""
        if command.do == "status":
            self._answer(command, True, "", **self._bridge.health())
        elif command.do in ("release", "resume"):
            self._module(command)
        else:
            self._answer(command, False, f"unknown command {command.do[:40]!r}; there are release, resume and status")

    def _module(self, command: Command) -> None:
        devices = {section.device.module: section.device for section in self._sought(command)}
        if len(devices) != 1:
            names = ", ".join(self._sections)
            trouble = "which module? " if devices else f"no device is called {command.device[:60]!r}; "
            self._answer(command, False, f"{trouble}name one of: {names}")
        elif command.do == "resume" or not command.minutes:
            self._newest |= dict.fromkeys(devices, command)
            self._resume(command, *devices.values())
        elif LEAST <= command.minutes <= MOST:
            self._newest |= dict.fromkeys(devices, command)
            self._release(command, *devices.values())
        else:
            self._answer(command, False, f"minutes must be a number from 1 to {MOST:g}")

    def _sought(self, command: Command) -> list[Section]:
        """The sections that the name in the command may mean; without a name those of the only module there is."""
        wanted = command.device.strip().lower()
        if ADDRESS.fullmatch(wanted):
            wanted = wanted.replace("-", ":")
        return [section for section in self._sections.values() if not wanted or wanted in names(section)]

    def _neighbours(self, device: Device) -> list[Section]:
        """All sections that read through the same module."""
        return [section for section in self._sections.values() if section.device.module == device.module]

    def _release(self, command: Command, device: Device) -> None:
        seconds, sections = command.minutes * 60, self._neighbours(device)
        self._hold(sections, time.monotonic() + seconds)
        report = partial(self._released, command, device, sections)
        self._bridge.submit(lambda radio: radio.free(device, seconds), report)

    def _released(self, command: Command, device: Device, sections: list[Section], outcome: Any) -> None:
        form = "%H:%M" if command.minutes < MOST / 2 else "%a %H:%M"
        name, back = device.alias, time.strftime(form, time.localtime(time.time() + command.minutes * 60))
        if isinstance(outcome, RenogyError):
            self._hold(sections, time.monotonic(), lent=False)
            self._answer(command, False, f"{name} could not be released: {outcome}")
            return
        # Freeing it took its time, and the module counts from when it was free: a turn just before that would be refused.
        if self._newest.get(device.module) is command:
            self._hold(sections, time.monotonic() + command.minutes * 60)
        text = f"{name} is released for {command.minutes:g} min, until {back}; the phone app can have it now"
        log.info("%s", text)
        self._bridge.happened(Incident("release", text))
        self._answer(command, True, text)

    def _resume(self, command: Command, device: Device) -> None:
        sections = self._neighbours(device)

        def resumed(outcome: Any) -> None:
            if isinstance(outcome, RenogyError):
                self._answer(command, False, f"{device.alias}: {outcome}")
                return
            self._hold(sections, time.monotonic(), lent=False)
            text = f"{device.alias} is read again from now on"
            log.info("%s", text)
            self._answer(command, True, text)

        self._bridge.submit(lambda radio: radio.resume(device), resumed)

    def _hold(self, sections: list[Section], until: float, lent: bool = True) -> None:
        self._bridge.hold([section.device.section for section in sections], until)
        for section in sections:
            self._bridge.lent(section.identities, until if lent else None)

    def _answer(self, command: Command, ok: bool, text: str, **more: Any) -> None:
        if command.answer is not None:
            command.answer({"ok": ok, "text": text, **more})
        elif not ok:
            log.warning("%s: %s", command.do, text)


def names(section: Section) -> set[str]:
    """What a user may call the module of this section, in lower case."""
    device = section.device
    found = {device.section, device.section.removeprefix("device."), device.alias, device.mac_addr}
    found |= {name for identity in section.identities for name in (identity.uid, identity.label)}
    return {name.lower() for name in found if name}
