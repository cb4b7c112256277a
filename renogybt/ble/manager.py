"""Lends connections to modules: one per module, shared by all devices behind it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from renogybt.ble import bluez
from renogybt.ble.adapter import Adapter
from renogybt.ble.bounded import when_wedged
from renogybt.ble.lender import Lender
from renogybt.ble.module import Module
from renogybt.ble.places import Places
from renogybt.errors import NoTime
from renogybt.incident import Incident
from renogybt.protocol.table import Gatt
from renogybt.settings import Device, Settings

if TYPE_CHECKING:
    from renogybt.ble.guests import Guests
    from renogybt.ble.resets import Resets
    from renogybt.ble.watchdog import Watchdog

log = logging.getLogger(__name__)
LATE_END = 5.0
"""Seconds for the scans of an event loop that was given up, and runs all the same."""
FILES, FILES_GROWN, FILES_EVERY = 64, 16, 60.0
"""More open files than this, and so many more than at the start, are a leak; seconds between two counts."""


class BLEManager(Lender[Module]):
    """All modules in reach of this machine. `resets` is the watchdog's memory."""

    def __init__(
        self, settings: Settings, report: Callable[[Incident], None], resets: Resets, patient: bool = False
    ) -> None:
        super().__init__(settings, report, patient)
        self._settings, self._resets = settings, resets
        self._places = Places(report)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchdog: Watchdog | None = None
        self._watch: asyncio.Task[None] | None = None
        self._files_at = self._files_first = 0.0
        self._abandoned = False
        self.guests: Guests | None = None
        """Connections of others over our adapters, which end with ours."""
        bluez.defuse_version_probe()

    # For the sources

    @asynccontextmanager
    async def lend(self, device: Device, gatt: Gatt) -> AsyncIterator[Module]:
        began = self._begin()
        module = self._module(device)
        module.refuse_if_released()
        adapter = await self._places.adapter(device.adapter)
        async with self._borrowed(module, device, began):
            with adapter.reading():
                if not module.connected:
                    await self._make_room(module)
                try:
                    await module.use(adapter)
                    await module.ready(gatt)
                finally:
                    module.opening = False
                yield module

    # For clients of the Bluetooth proxy

    async def adapter_called(self, name: str) -> Adapter:
        """The one with this name or address, "" the first that is on. Raises `LinkError`."""
        self._begin()
        return await self._places.adapter(name)

    def keeps(self, address: str) -> bool:
        """Whether that device is one of ours, and not released to others at the moment."""
        now = time.monotonic()
        for module in self._modules.values():
            link = module.connection
            if module.address == address or (link is not None and link.path.endswith(address.replace(":", "_"))):
                return module.terms.released_until <= now
        return any(device.mac_addr == address for device in self._settings.devices)

    # For the owner

    async def close(self) -> None:
        """Release every connection, stop scanning, leave the D-Bus."""
        if self._watch is not None:
            self._watch.cancel()
        if not self._abandoned:
            if self.guests is not None:
                await self.guests.close()
            await asyncio.gather(*(adapter.close() for adapter in self._places.in_use.values()))
            await asyncio.gather(*(module.release() for module in self._modules.values()))
        elif ends := [asyncio.create_task(adapter.close()) for adapter in self._places.in_use.values()]:
            await asyncio.wait(ends, timeout=LATE_END)  # a scan that ends here may have to reach the D-Bus once more
        if self._watch is not None:
            await asyncio.wait({self._watch}, timeout=2)
        await bluez.forget_everything()

    def abandon(self) -> None:
        """Break every connection to the D-Bus, so that BlueZ frees what this loop holds. For another thread; never waits."""
        self._abandoned = True
        with suppress(RuntimeError):  # a dictionary that changes under our eyes, if the loop is not stuck after all
            connections = [module.connection for module in list(self._modules.values())]
            if self._loop is not None:
                clients: list[Any] = [connection.client for connection in connections if connection is not None]
                clients += self.guests.clients if self.guests is not None else ()
                bluez.shut(bluez.sockets(self._loop, clients))
        if self._watchdog is not None:
            self._watchdog.shut()

    # For the watchdog

    @property
    def adapters(self) -> Mapping[str, Adapter]:
        """Those in use, by their present name."""
        return self._places.in_use

    @property
    def wanted(self) -> Collection[str]:
        """Names of adapters in the configuration; "" stands for the first one that is switched on."""
        return {device.adapter for device in self._settings.devices}

    @property
    def busy(self) -> bool:
        """Whether a connection attempt is under way."""
        return any(adapter.busy for adapter in self._places.in_use.values())

    @property
    def longest_scan(self) -> float:
        return self._plan.seconds

    async def lose_everything(self, why: str) -> None:
        """Forget all that BlueZ said, and make every connection anew when it is wanted next."""
        log.debug("making all connections anew: %s", why)
        await bluez.forget_everything()
        for adapter in self._places.in_use.values():
            adapter.lost()

    def moved(self, old: str, new: str) -> None:
        self._places.moved(old, new)

    # Inside

    def _begin(self) -> float:
        """What the first call in the event loop sets up, and each one looks after. The present moment (loop seconds)."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            when_wedged(self._wedged)
            self._files_at, self._files_first = loop.time(), open_files()
        if bluez.LINUX and self._settings.watchdog.enabled and (self._watch is None or self._watch.done()):
            self._start_watchdog()
        if loop.time() - self._files_at >= FILES_EVERY:
            self._files_at = loop.time()
            if (count := open_files()) > FILES and count > self._files_first + FILES_GROWN:
                self._ask_for_new_loop(f"this program has {count} open files, more than it needs; starting Bluetooth afresh")
        return loop.time()

    def _start_watchdog(self) -> None:
        from renogybt.ble.watchdog import Watchdog

        if self._watch is not None and not self._watch.cancelled():
            self._tell("thread", f"the Bluetooth watchdog ended ({self._watch.exception()!r}) and is started anew")
        self._watchdog = Watchdog(self._settings.watchdog, self, self._resets, self._report)
        self._watch = asyncio.create_task(self._watchdog.run())

    def _wedged(self, text: str) -> None:
        self._ask_for_new_loop(f"Bluetooth hangs: {text}; starting it afresh")

    def _make(self, device: Device) -> Module:
        return Module(device.mac_addr, device.alias, self._plan, self._report)

    async def _make_room(self, module: Module) -> None:
        """Have a place for one more connection: the idle one that was used least recently gives way. Raises `NoTime`."""
        most = self._settings.bluetooth.max_connections
        try:
            async with asyncio.timeout_at(module.terms.connect_until):
                while True:
                    held = [m for m in self._modules.values() if m is not module and (m.connected or m.opening)]
                    if len(held) < most:
                        module.opening = True
                        return
                    if not await self._give_way(held, "max_connections"):
                        await self._next_handed_back()
        except TimeoutError:
            raise NoTime(f"no time left in this cycle: all {most} connections (max_connections) were in use") from None


def open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
