"""Lends connections to modules: one per module, shared by all devices behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from renogybt.ble import bluez
from renogybt.ble.adapter import Adapter
from renogybt.ble.faults import TRANSIENT, translate
from renogybt.ble.module import Module
from renogybt.protocol.table import Gatt
from renogybt.settings import Device

log = logging.getLogger(__name__)
SCAN_SECONDS = 10.0


class BLEManager:
    """All modules of this machine. Lives in the radio thread.

    `patient`: look longer for a module that is not there (one-shot runs, which get no second chance).
    """

    def __init__(self, patient: bool = False) -> None:
        self._attempts = 3 if patient else 1
        self._adapters: dict[str, Adapter] = {}
        self._modules: dict[str, Module] = {}
        bluez.defuse_version_probe()

    @asynccontextmanager
    async def lend(self, device: Device, gatt: Gatt) -> AsyncIterator[Module]:
        """A connected module for the length of one reading; others who want the same module wait. Raises `LinkError`.

        The connection stays open afterwards unless the device says `connection = per_read`, or the link is spent.
        """
        module = await self._module(device)
        async with module.lock:
            try:
                await module.ready(gatt)
                yield module
            finally:
                if device.connection == "per_read" or module.spent:
                    await module.close()

    def module_of(self, device: Device) -> Module | None:
        return self._modules.get(device.mac_addr or device.alias)

    def rssi(self, device: Device) -> int | None:
        module = self.module_of(device)
        return module.rssi if module else None

    def connected(self, device: Device) -> bool:
        module = self.module_of(device)
        return module is not None and module.connected

    async def close(self) -> None:
        """Release every connection and stop scanning."""
        for adapter in self._adapters.values():
            await adapter.close()
        await asyncio.gather(*(module.close() for module in self._modules.values()))

    async def _module(self, device: Device) -> Module:
        key = device.mac_addr or device.alias
        if key not in self._modules:
            name = device.adapter or await self._default_adapter()
            adapter = self._adapters.setdefault(name, Adapter(name))
            fresh = Module(device.mac_addr, device.alias, adapter, SCAN_SECONDS, self._attempts)
            # Somebody else may have been faster while the default adapter was looked up.
            return self._modules.setdefault(key, fresh)
        return self._modules[key]

    async def _default_adapter(self) -> str:
        try:
            return await bluez.default_adapter()
        except TRANSIENT as error:
            raise translate(error, "looking for a Bluetooth adapter") from error
