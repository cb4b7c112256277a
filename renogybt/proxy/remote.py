"""The radio for devices with `via`: lends connections to modules behind ESPHome proxies. No Bluetooth on this machine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from renogybt.ble.bounded import when_wedged
from renogybt.ble.budget import plan
from renogybt.errors import LinkError, NoAdapter, NoTime, Released
from renogybt.incident import Ask, Incident, Kind
from renogybt.protocol.table import Gatt
from renogybt.settings import Device, Settings
from renogybt.settings.via import parsed

if TYPE_CHECKING:
    from renogybt.proxy.remote_host import Host
    from renogybt.proxy.remote_module import RemoteModule

log = logging.getLogger(__name__)
FREE_WAIT = 30.0
"""Seconds for which a reading under way may keep a module that is to be freed."""
RELEASE_LIMIT = 2.0
"""Seconds for a disconnection at the end of the program; the proxy ends what is left when we leave it."""
SLOT_NEWS = 1.0
"""Seconds in which a proxy tells that a slot has become free."""


class RemoteRadio:
    """Has the surface of `BLEManager`. Lives in the radio thread, where `report` is told what was noticed.

    `patient`: wait longer for a proxy that is not there (one-shot runs, which get no second chance).
    """

    def __init__(self, settings: Settings, report: Callable[[Incident], None], patient: bool = False) -> None:
        self._report, self._patient = report, patient
        self._plan = plan(settings.bluetooth, patient)
        self._hosts: dict[str, Host] = {}
        self._modules: dict[str, RemoteModule] = {}
        self._handed_back = asyncio.Event()
        self._begun = self._asked = False

    # For the sources

    @asynccontextmanager
    async def lend(self, device: Device, gatt: Gatt) -> AsyncIterator[RemoteModule]:
        """A connected module for the length of one reading; others who want the same module wait. Raises `LinkError`.

        The connection stays open afterwards unless the device says `connection = per_read`, or the link is spent.
        """
        await self._begin()
        began = asyncio.get_running_loop().time()
        module = self._module(device)
        module.refuse_if_released()
        await _acquire(module, began + self._plan.cycle(0))
        try:
            module.begin(began)
            await module.ready(gatt)
            yield module
        finally:
            try:
                if device.connection == "per_read" or module.spent:
                    await module.close()
            finally:
                module.used_at = asyncio.get_running_loop().time()
                module.lock.release()
                self._handed_back.set()

    def rssi(self, device: Device) -> int | None:
        module = self.module_of(device)
        return module.rssi if module else None

    def connected(self, device: Device) -> bool:
        module = self.module_of(device)
        return module is not None and module.connected

    def connect_seconds(self, device: Device) -> float | None:
        """What the last connection took to come about; None before the first."""
        module = self.module_of(device)
        return module.connect_seconds if module else None

    def module_of(self, device: Device) -> RemoteModule | None:
        return self._modules.get(device.mac_addr or device.alias)

    # For the owner

    async def free(self, device: Device, seconds: float) -> None:
        """Give the module of `device` up for so long, for the phone app; `lend` raises `Released` meanwhile."""
        await self._begin()
        module = self._module(device)
        module.released_until = time.monotonic() + seconds
        try:
            async with asyncio.timeout(FREE_WAIT):
                await module.lock.acquire()
        except TimeoutError:
            log.info("%s is still being read; freeing it all the same", module)
            await module.close()
        else:
            try:
                await module.close()
            finally:
                module.lock.release()
        log.debug("%s is free for %g minutes", module, seconds / 60)

    async def resume(self, device: Device) -> None:
        """Take it back before that."""
        module = self.module_of(device)
        if module is not None and module.released_until:
            module.released_until = 0.0

    async def close(self) -> None:
        """Release every connection, and take leave of the proxies."""
        await asyncio.gather(*(module.close(RELEASE_LIMIT) for module in self._modules.values()))
        await asyncio.gather(*(host.close() for host in self._hosts.values()))

    def abandon(self) -> None:
        """Break every connection, so that the proxies free what this loop holds. For another thread; never waits."""
        for host in list(self._hosts.values()):
            host.abandon()

    # Inside

    async def _begin(self) -> None:
        """Load what speaks to the proxies: half a second here, several on a small machine, in which the loop must turn."""
        if self._begun:
            return
        when_wedged(self._wedged)
        try:
            await asyncio.to_thread(import_module, "renogybt.proxy.remote_module")
        except ModuleNotFoundError as error:
            raise NoAdapter(
                f"via needs the package {error.name}, which is not installed; install it with .venv/bin/python -m pip "
                "install '.[esphome]'"
            ) from error
        # At its own levels it would fill the log with every attempt, and at debug level tell a password.
        loud = log.isEnabledFor(logging.DEBUG)
        logging.getLogger("aioesphomeapi").setLevel(logging.INFO if loud else logging.CRITICAL)
        self._begun = True

    def _module(self, device: Device) -> RemoteModule:
        from renogybt.proxy.remote_host import Host
        from renogybt.proxy.remote_module import RemoteModule

        key = device.mac_addr or device.alias
        if key not in self._modules:
            try:
                via = parsed(device.via)
            except ValueError as error:
                raise NoAdapter(f"via of [{device.section}] {error}") from error
            host = self._hosts.get(via.place)
            if host is None:
                host = self._hosts[via.place] = Host(via, self._report)
            self._modules[key] = RemoteModule(
                host, device.mac_addr, device.alias, self._plan, self._patient, self._make_room
            )
        return self._modules[key]

    async def _make_room(self, module: RemoteModule) -> None:
        """See to it that the proxy of `module` has a free slot: of our own, the one idle for longest gives way."""
        host, loop = module.host, asyncio.get_running_loop()
        while host.free == 0:
            held = [each for each in self._modules.values() if each.host is host and each is not module and each.connected]
            idle = [each for each in held if not each.lock.locked()]
            if not held:
                if await host.hear(lambda: host.free != 0, min(module.connect_until, loop.time() + SLOT_NEWS)):
                    return
                raise no_slot(host)
            if idle:
                last = min(idle, key=lambda each: each.used_at)
                async with last.lock:
                    log.debug("%s gives way to another module (all slots of the %s are in use)", last, host)
                    await last.close()
                await host.hear(lambda: host.free != 0, min(module.connect_until, loop.time() + SLOT_NEWS))
            else:
                self._handed_back.clear()
                try:
                    async with asyncio.timeout_at(module.connect_until):
                        await self._handed_back.wait()
                except TimeoutError:
                    raise NoTime(f"no time left in this cycle: all {host.limit} slots of the {host} were in use") from None

    def _wedged(self, text: str) -> None:
        if not self._asked:
            self._asked = True
            self._tell("new_loop", f"an ESPHome proxy hangs: {text}; starting afresh", "new_loop", logging.ERROR)

    def _tell(self, kind: Kind, text: str, asks: Ask = "", level: int = logging.INFO) -> None:
        log.log(level, "%s", text)
        self._report(Incident(kind, text, asks))


def no_slot(host: Host) -> LinkError:
    from renogybt.proxy.remote_faults import NoSlot

    return NoSlot(
        f"the {host} has no free connection slot: other programs use all {host.limit}. End them, raise connection_slots: "
        "below bluetooth_proxy: in its YAML, or use another proxy"
    )


async def _acquire(module: RemoteModule, until: float) -> None:
    """Be the one who uses it. Raises `Released` and `NoTime`."""
    try:
        async with asyncio.timeout_at(until):
            await module.lock.acquire()
    except TimeoutError:
        raise NoTime(f"no time left in this cycle: {module} was busy with other devices behind it") from None
    try:
        module.refuse_if_released()
    except Released:
        module.lock.release()
        raise
