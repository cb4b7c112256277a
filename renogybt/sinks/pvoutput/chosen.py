"""Whose readings go to a system at PVOutput."""

from __future__ import annotations

from renogybt.reading import Identity
from renogybt.settings import Pvoutput, Settings

Who = tuple[str, int | None]
"""Address of the module and unit on its bus, None for a bank."""


class Chosen:
    """Whose readings go to `system`: the device that its option `device` names, else the first charge controller.

    An alias (or the name of a section) with several batteries behind it means the bank, with several other units the first;
    `<alias>_<id>` and `<alias>_combined` name one exactly. When no device is configured at all (library users), the first
    controller that is heard is taken. `problem` is a line for the log when `device` names nobody.
    """

    def __init__(self, system: Pvoutput, settings: Settings) -> None:
        self.problem = ""
        name = system.device.strip().casefold()
        self._pinned = _named(name, settings) if name else _controller(settings)
        self._open = not name and not settings.devices
        if name and self._pinned is None:
            self.problem = f"[{system.section}] device = {system.device}: no device has that alias, alias_id or section"

    def takes(self, identity: Identity, client: str) -> bool:
        if identity.part:
            return False
        if self._open and client == "RoverClient":
            self._pinned, self._open = (identity.mac, identity.unit), False
        return (identity.mac, identity.unit) == self._pinned


def _controller(settings: Settings) -> Who | None:
    for device in settings.devices:
        if device.type == "RNG_CTRL":
            return device.module, device.device_id[0]
    return None


def _named(name: str, settings: Settings) -> Who | None:
    """(mac, unit) of the device called `name`; a device whose values are no live ones is never meant."""
    live = [device for device in settings.devices if device.type != "RNG_CTRL_HIST"]
    for device in live:
        mac, alias = device.module, device.alias.casefold()
        bank = device.type == "RNG_BATT" and len(device.device_id) > 1
        for unit in (*device.device_id, *((None,) if bank else ())):
            if name == f"{alias}_{'combined' if unit is None else unit}":
                return mac, unit
        if name in (alias, device.section.casefold(), device.section.casefold().removeprefix("device.")):
            return mac, None if bank else device.device_id[0]
    return None
