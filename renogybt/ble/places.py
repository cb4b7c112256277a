"""Which adapter a name in the configuration stands for, also after it was plugged in anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from renogybt.ble import bluez
from renogybt.ble.adapter import Adapter
from renogybt.ble.faults import TRANSIENT, translate
from renogybt.errors import NoAdapter
from renogybt.incident import Incident

log = logging.getLogger(__name__)
REMEDIES = "is it plugged in and switched on? (bluetoothctl list; bluetoothctl power on)"
Found = Mapping[str, Mapping[str, Any]]


class Places:
    """Adapters are known by their address: hci0 may come back as hci1, and is the same one. `in_use` by present name."""

    def __init__(self, report: Callable[[Incident], None]) -> None:
        self.in_use: dict[str, Adapter] = {}
        self._report = report
        self._bound: dict[str, Adapter] = {}

    async def adapter(self, wanted: str) -> Adapter:
        """The one that was meant before, wherever it is now; else the one of this name or address, "" the first that is on.

        Raises `NoAdapter`, and other `LinkError`s when BlueZ cannot be asked.
        """
        try:
            await bluez.meet()
        except TRANSIENT as error:
            raise translate(error, "looking for a Bluetooth adapter") from error
        bound = self._bound.get(wanted)
        if not bluez.LINUX:
            return bound or self._bind(wanted, wanted, "")
        there = bluez.adapters()
        if bound is not None and (name := whereabouts(bound, there)):
            if name != bound.name:
                text = f"{bound.name} is now called {name}"
                log.info("%s", text)
                self._report(Incident("adapter", text))
                self.moved(bound.name, name)
            return bound
        return self._bind(wanted, *choose(wanted, there))

    def moved(self, old: str, new: str) -> None:
        """The adapter that was called `old` is now called `new`."""
        adapter = self.in_use.pop(old, None)
        if adapter is not None:
            adapter.name = new
            self.in_use[new] = adapter

    def _bind(self, wanted: str, name: str, address: str) -> Adapter:
        before, adapter = self._bound.get(wanted), self.in_use.get(name)
        if adapter is None or adapter.address != address:
            adapter = Adapter(name, address, self._report)
        self._bound[wanted] = adapter
        if before is not None and before not in self._bound.values() and self.in_use.get(before.name) is before:
            del self.in_use[before.name]
        self.in_use[name] = adapter
        return adapter


def whereabouts(adapter: Adapter, there: Found) -> str:
    """Its present name, "" when it is not there."""
    named = there.get(adapter.name)
    if named is not None and str(named.get("Address", "")) in (adapter.address, ""):
        return adapter.name
    return next((name for name, held in there.items() if adapter.address and held.get("Address") == adapter.address), "")


def choose(wanted: str, there: Found) -> tuple[str, str]:
    """Name and address of the adapter that `wanted` stands for. Raises `NoAdapter`."""
    if not there:
        raise NoAdapter(f"this machine shows no Bluetooth adapter; {REMEDIES}")
    if not wanted:
        name = bluez.default_adapter()
        if name is None:
            raise NoAdapter(f"no Bluetooth adapter of this machine is switched on ({', '.join(sorted(there))}); {REMEDIES}")
    else:
        name = next((n for n, held in there.items() if wanted in (n, held.get("Address"))), None)
        if name is None:
            raise NoAdapter(f"there is no Bluetooth adapter {wanted}, only {', '.join(sorted(there))}; {REMEDIES}")
    return name, str(there[name].get("Address", ""))
