"""Which radio reads which device: this machine's own, or an ESPHome proxy elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from msgspec.structs import replace

from renogybt.incident import Incident
from renogybt.link import Link
from renogybt.protocol.table import Gatt
from renogybt.proxy.remote import RemoteRadio
from renogybt.settings import Device, Settings


class SomeRadios:
    """Has the surface of `BLEManager`, and hands everything on to the radio that has the device.

    `make_local` makes the one of this machine from settings that hold only the devices it is to read. It is not called, and
    so nothing asks for Bluetooth here, as long as every device has a `via` and nobody wants `local`. `report` and `patient`
    as for `BLEManager`. Lives in the radio thread.
    """

    def __init__(
        self,
        settings: Settings,
        report: Callable[[Incident], None],
        make_local: Callable[[Settings], Any],
        patient: bool = False,
    ) -> None:
        mine = tuple(device for device in settings.devices if not device.via)
        self._settings, self._make_local = replace(settings, devices=mine), make_local
        self._local: Any = make_local(self._settings) if mine else None
        self._remote = RemoteRadio(settings, report, patient)

    @property
    def local(self) -> Any:
        """This machine's radio; made now if no device needed it so far."""
        if self._local is None:
            self._local = self._make_local(self._settings)
        return self._local

    def lend(self, device: Device, gatt: Gatt) -> AbstractAsyncContextManager[Link]:
        lent: AbstractAsyncContextManager[Link] = self._of(device).lend(device, gatt)
        return lent

    def rssi(self, device: Device) -> int | None:
        found: int | None = self._of(device).rssi(device)
        return found

    def connected(self, device: Device) -> bool:
        return bool(self._of(device).connected(device))

    def connect_seconds(self, device: Device) -> float | None:
        found: float | None = self._of(device).connect_seconds(device)
        return found

    async def free(self, device: Device, seconds: float) -> None:
        await self._of(device).free(device, seconds)

    async def resume(self, device: Device) -> None:
        await self._of(device).resume(device)

    async def close(self) -> None:
        await asyncio.gather(*(radio.close() for radio in self._all()))

    def abandon(self) -> None:
        for radio in self._all():
            radio.abandon()

    def _of(self, device: Device) -> Any:
        return self._remote if device.via else self.local

    def _all(self) -> list[Any]:
        return [radio for radio in (self._remote, self._local) if radio is not None]
