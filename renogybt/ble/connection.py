"""One connection to a module: bleak's client from its connecting to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice

from renogybt.ble import bluez
from renogybt.ble.bounded import bounded
from renogybt.ble.budget import CLEAN_UP_SHARE, DISCONNECT_LIMIT, OPERATION_LIMIT, WRITE_LIMIT
from renogybt.ble.characteristics import READ, WRITE_BLIND, choose, ends
from renogybt.ble.faults import TRANSIENT, bluez_is_gone, object_is_gone, text_of, translate
from renogybt.errors import LinkError, LinkLost
from renogybt.protocol.table import Gatt

log = logging.getLogger(__name__)


class Connection:
    """Not to be used again once it is closed or lost. `label` names the module in messages."""

    def __init__(self, device: BLEDevice, label: str, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self.device, self.label = device, label
        self.path = bluez.path_of(device)
        self.client: BleakClient | None = None
        self._hear, self._lost = hear, lost
        self._write: BleakGATTCharacteristic | None = None
        self._loop = asyncio.get_running_loop()
        self._losses = bluez.losses(self._loop)

    @property
    def alive(self) -> bool:
        """As far as bleak knows, and unless what it knows is of a bluetoothd that is gone."""
        return self.client is not None and self.client.is_connected and self._losses == bluez.losses(self._loop)

    async def is_healthy(self, ask: bool) -> bool:
        """Whether BlueZ, too, has a usable link; `ask`: by a call of its own instead of what it has told."""
        if not self.alive:
            return False
        if not self.path:
            return True
        known = bluez.about(self.path)
        if known is None or not known.get("Connected") or not known.get("ServicesResolved"):
            return False
        try:
            return not ask or await bluez.is_healthy(self.path)
        except (*TRANSIENT, LinkError) as error:
            log.debug("asking BlueZ for %s: %s", self.label, text_of(error))
            return False

    async def open(self, seconds: float) -> None:
        """Raises what bleak raises."""
        self._losses = bluez.losses(self._loop)
        self.client = BleakClient(self.device, self._disconnected, timeout=seconds * (1 - CLEAN_UP_SHARE))
        await bounded(self.client.connect(), seconds, f"connecting to {self.label}")

    async def subscribe(self, gatt: Gatt, seconds: float) -> None:
        """Be able to write, and receive what the module says. Raises `Bare` and what bleak raises."""
        assert self.client is not None
        notify, self._write = ends(self.client.services, gatt, can, self.label)
        if gatt.wake:
            await self.wake(gatt)
        work = self.client.start_notify(notify, self._notified)
        await bounded(work, min(seconds, OPERATION_LIMIT), f"subscribing to {self.label}")

    async def wake(self, gatt: Gatt) -> None:
        """Inverters with Bluetooth inside answer nothing before this was read once; what it holds is irrelevant."""
        assert self.client is not None
        await asyncio.sleep(gatt.settle)
        try:
            characteristic = choose(self.client.services, gatt.write_service, gatt.wake, (READ,), can)
            if characteristic is not None:
                await bounded(self.client.read_gatt_char(characteristic), WRITE_LIMIT, f"waking {self.label}")
        except TRANSIENT as error:
            log.debug("waking %s: %s", self.label, text_of(error))

    async def write(self, frame: bytes) -> None:
        """Raises `LinkError`."""
        assert self.client is not None
        assert self._write is not None
        respond = not can(self._write, WRITE_BLIND)
        try:
            work = self.client.write_gatt_char(self._write, frame, response=respond)
            await bounded(work, WRITE_LIMIT, f"writing to {self.label}")
        except TRANSIENT as error:
            await self.doubt(error)
            raise LinkLost(str(translate(error, f"writing to {self.label}"))) from error

    async def doubt(self, error: BaseException) -> bool:
        """Forget what BlueZ said if `error` shows that it is gone, or not the one that said it. True: that was so."""
        try:
            stale = bluez_is_gone(error) or (object_is_gone(error) and await bluez.contradicts(self.path))
        except (*TRANSIENT, LinkError) as silence:
            log.debug("asking BlueZ for %s: %s", self.label, text_of(silence))
            stale = bluez_is_gone(silence)
        if stale:
            log.info("what bleak knows is of a bluetoothd that is gone; asking anew")
            await bluez.forget_everything()
        return stale

    async def close(self, seconds: float = 0.0) -> None:
        """Disconnect, in `seconds` or the usual time. Also needed when the link is down already: only this releases bleak's
        connection to the D-Bus.
        """
        client, self.client, self._write = self.client, None, None
        if client is None:
            return
        try:
            await bounded(client.disconnect(), seconds or DISCONNECT_LIMIT, f"disconnecting from {self.label}")
        except (*TRANSIENT, LinkError) as error:
            log.debug("disconnecting from %s: %s", self.label, text_of(error))

    def _notified(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self._hear(bytes(data))

    def _disconnected(self, client: BleakClient) -> None:
        if client is self.client:
            self._lost()


def can(item: BleakGATTCharacteristic, what: str) -> bool:
    return what in item.properties
