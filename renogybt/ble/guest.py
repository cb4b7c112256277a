"""One connection made for somebody else, and what can be done over it. Attributes are named by their handles."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice

from renogybt.ble import bluez
from renogybt.ble.bounded import bounded
from renogybt.ble.budget import CLEAN_UP_SHARE, DISCONNECT_LIMIT, OPERATION_LIMIT
from renogybt.ble.faults import TRANSIENT, text_of
from renogybt.ble.status import Denied, Status, status_of
from renogybt.errors import LinkError

T = TypeVar("T")
log = logging.getLogger(__name__)
PAIR_LIMIT = 25.0
SMALLEST_MTU, ATT_HEAD = 23, 3
CCC = "00002902-0000-1000-8000-00805f9b34fb"
"""Descriptor by which a client switches notifications on. BlueZ writes to it itself and lets nobody else."""
TELLING = ("notify", "indicate")


class Descriptor(NamedTuple):
    uuid: str
    handle: int


class Characteristic(NamedTuple):
    """`handle` is that of the value, as everywhere else than in BlueZ's paths."""

    uuid: str
    handle: int
    properties: tuple[str, ...]
    descriptors: tuple[Descriptor, ...]


class Service(NamedTuple):
    uuid: str
    handle: int
    characteristics: tuple[Characteristic, ...]


class Guest:
    """`lost` is called when the connection, once it is there, ends unasked; it may take so many `seconds` to come about.

    `forget`: BlueZ is to forget the device afterwards. Whatever does not work raises `Denied`.
    """

    def __init__(self, device: BLEDevice, address: str, seconds: float, lost: Callable[[], None]) -> None:
        self.address, self.path, self.forget = address, bluez.path_of(device), False
        self.client = BleakClient(device, self._disconnected, timeout=seconds * (1 - CLEAN_UP_SHARE))
        self._seconds, self._told = seconds, lost
        self._lost: Callable[[], None] | None = None
        self._characteristics: dict[int, BleakGATTCharacteristic] = {}
        self._descriptors: dict[int, BleakGATTDescriptor] = {}
        self._switches: set[int] = set()
        self._heard: dict[int, Callable[[bytes], None]] = {}

    async def open(self) -> None:
        """Raises what bleak raises."""
        await bounded(self.client.connect(), self._seconds, f"connecting to {self.address}")
        self._lost = self._told
        for service in self.client.services:
            for item in service.characteristics:
                self._characteristics[value_handle(item)] = item
                self._descriptors |= {descriptor.handle: descriptor for descriptor in item.descriptors}
                self._switches |= {descriptor.handle for descriptor in described(item) if descriptor.uuid == CCC}

    @property
    def connected(self) -> bool:
        return self.client.is_connected

    @property
    def mtu(self) -> int:
        """Largest size of a packet that the two agreed on."""
        sizes = [item.max_write_without_response_size + ATT_HEAD for item in self._characteristics.values()]
        return max(sizes, default=SMALLEST_MTU)

    @property
    def services(self) -> list[Service]:
        """In the order of their handles."""
        found = []
        for service in sorted(self.client.services, key=lambda each: each.handle):
            items = sorted(service.characteristics, key=lambda each: each.handle)
            inside = tuple(
                Characteristic(item.uuid, value_handle(item), tuple(item.properties), described(item)) for item in items
            )
            found.append(Service(service.uuid, service.handle, inside))
        return found

    async def read(self, handle: int) -> bytes:
        item = self._characteristic(handle)
        return bytes(await self._do(self.client.read_gatt_char(item), "reading"))

    async def write(self, handle: int, data: bytes, response: bool) -> None:
        item = self._characteristic(handle)
        await self._do(self.client.write_gatt_char(item, data, response=response), "writing")

    async def read_descriptor(self, handle: int) -> bytes:
        if handle in self._switches and handle not in self._descriptors:
            return b"\0\0"
        item = self._descriptor(handle)
        return bytes(await self._do(self.client.read_gatt_descriptor(item), "reading a descriptor"))

    async def write_descriptor(self, handle: int, data: bytes) -> None:
        if handle in self._switches:  # `notify` has done it, or will
            return
        item = self._descriptor(handle)
        await self._do(self.client.write_gatt_descriptor(item, data), "writing a descriptor")

    async def notify(self, handle: int, hear: Callable[[bytes], None] | None) -> None:
        """From now on `hear` gets what this characteristic notifies; None ends it."""
        item = self._characteristic(handle)
        before = self._heard.get(handle)
        if hear is None:
            if self._heard.pop(handle, None) is not None:
                await self._do(self.client.stop_notify(item), "ending notifications")
            return
        self._heard[handle] = hear
        if before is not None:
            return

        def heard(_: BleakGATTCharacteristic, data: bytearray) -> None:
            if handle in self._heard:
                self._heard[handle](bytes(data))

        try:
            await self._do(self.client.start_notify(item, heard), "subscribing")
        except Denied:
            self._heard.pop(handle, None)
            raise

    async def pair(self) -> None:
        await self._do(self.client.pair(), "pairing", PAIR_LIMIT)

    async def close(self) -> None:
        """Disconnect; also needed when the link is down, because only this releases bleak's connection to the D-Bus."""
        self._lost = None
        try:
            await bounded(self.client.disconnect(), DISCONNECT_LIMIT, f"disconnecting from {self.address}")
        except (*TRANSIENT, LinkError) as error:
            log.debug("disconnecting from %s: %s", self.address, text_of(error))

    def _characteristic(self, handle: int) -> BleakGATTCharacteristic:
        self._check()
        if handle not in self._characteristics:
            raise Denied(Status.INVALID_HANDLE, f"{self.address} has no characteristic {handle}")
        return self._characteristics[handle]

    def _descriptor(self, handle: int) -> BleakGATTDescriptor:
        self._check()
        if handle not in self._descriptors:
            raise Denied(Status.INVALID_HANDLE, f"{self.address} has no descriptor {handle}")
        return self._descriptors[handle]

    def _check(self) -> None:
        if not self.connected:
            raise Denied(Status.NOT_CONNECTED, f"{self.address} is not connected")

    async def _do(self, work: Coroutine[Any, Any, T], what: str, limit: float = OPERATION_LIMIT) -> T:
        try:
            return await bounded(work, limit, f"{what} at {self.address}")
        except (*TRANSIENT, LinkError) as error:
            code = status_of(error) if self.connected else Status.NOT_CONNECTED
            if code == Status.TIMEOUT:  # among the numbers of attributes 8 means something else
                code = Status.ERROR
            raise Denied(code, f"{what} at {self.address}: {text_of(error)}") from error

    def _disconnected(self, _: BleakClient) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            asyncio.get_running_loop().call_soon(lost)


def value_handle(item: BleakGATTCharacteristic) -> int:
    """BlueZ names a characteristic by the handle of its declaration; the value comes right after it."""
    return item.handle + 1 if bluez.LINUX else item.handle


def described(item: BleakGATTCharacteristic) -> tuple[Descriptor, ...]:
    """With the switch for notifications also where BlueZ keeps it to itself: clients look for it."""
    found = [Descriptor(descriptor.uuid, descriptor.handle) for descriptor in item.descriptors]
    if not any(descriptor.uuid == CCC for descriptor in found) and any(name in TELLING for name in item.properties):
        found.append(Descriptor(CCC, max([value_handle(item), *(descriptor.handle for descriptor in found)]) + 1))
    return tuple(sorted(found, key=lambda descriptor: descriptor.handle))
