"""The radio for devices with `via`: lends connections to modules behind ESPHome proxies. No Bluetooth on this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from renogybt.ble.bounded import when_wedged
from renogybt.ble.lender import Lender
from renogybt.errors import LinkError, NoAdapter, NoTime
from renogybt.incident import Incident
from renogybt.protocol.table import Gatt
from renogybt.settings import Device, Settings
from renogybt.settings.via import parsed

if TYPE_CHECKING:
    from renogybt.proxy.remote_host import Host
    from renogybt.proxy.remote_module import RemoteModule

log = logging.getLogger(__name__)
RELEASE_LIMIT = 2.0
"""Seconds for a disconnection at the end of the program; the proxy ends what is left when we leave it."""
SLOT_NEWS = 1.0
"""Seconds in which a proxy tells that a slot has become free."""


class RemoteRadio(Lender["RemoteModule"]):
    """All modules in reach of ESPHome proxies. `patient`: wait longer also for a proxy that is not there."""

    def __init__(self, settings: Settings, report: Callable[[Incident], None], patient: bool = False) -> None:
        super().__init__(settings, report, patient)
        self._patient = patient
        self._hosts: dict[str, Host] = {}
        self._begun = False

    # For the sources

    @asynccontextmanager
    async def lend(self, device: Device, gatt: Gatt) -> AsyncIterator[RemoteModule]:
        await self._begin()
        began = asyncio.get_running_loop().time()
        module = self._module(device)
        module.refuse_if_released()
        async with self._borrowed(module, device, began):
            await module.ready(gatt)
            yield module

    # For the owner

    async def free(self, device: Device, seconds: float) -> None:
        await self._begin()
        await super().free(device, seconds)

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

    def _make(self, device: Device) -> RemoteModule:
        from renogybt.proxy.remote_host import Host
        from renogybt.proxy.remote_module import RemoteModule

        try:
            via = parsed(device.via)
        except ValueError as error:
            raise NoAdapter(f"via of [{device.section}] {error}") from error
        host = self._hosts.get(via.place)
        if host is None:
            host = self._hosts[via.place] = Host(via, self._report)
        return RemoteModule(host, device.mac_addr, device.alias, self._plan, self._patient, self._make_room)

    async def _make_room(self, module: RemoteModule) -> None:
        """See to it that the proxy of `module` has a free slot: of our own, the one idle for longest gives way."""
        host, loop, until = module.host, asyncio.get_running_loop(), module.terms.connect_until
        while host.free == 0:
            held = [each for each in self._modules.values() if each.host is host and each is not module and each.connected]
            if not held:
                if await host.hear(lambda: host.free != 0, min(until, loop.time() + SLOT_NEWS)):
                    return
                raise no_slot(host)
            if await self._give_way(held, f"all slots of the {host} are in use"):
                await host.hear(lambda: host.free != 0, min(until, loop.time() + SLOT_NEWS))
                continue
            try:
                async with asyncio.timeout_at(until):
                    await self._next_handed_back()
            except TimeoutError:
                raise NoTime(f"no time left in this cycle: all {host.limit} slots of the {host} were in use") from None

    def _wedged(self, text: str) -> None:
        self._ask_for_new_loop(f"an ESPHome proxy hangs: {text}; starting afresh")


def no_slot(host: Host) -> LinkError:
    from renogybt.proxy.remote_faults import NoSlot

    return NoSlot(
        f"the {host} has no free connection slot: other programs use all {host.limit}. End them, raise connection_slots: "
        "below bluetooth_proxy: in its YAML, or use another proxy"
    )
