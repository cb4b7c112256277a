"""A Bluetooth module and the one connection to it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice

from renogybt.ble import bluez
from renogybt.ble.adapter import Adapter, signal_strength
from renogybt.ble.bounded import bounded
from renogybt.ble.faults import TRANSIENT, bluez_is_gone, device_is_gone, translate
from renogybt.errors import ConnectFailed, LinkError, LinkLost, LinkSpent, NoAnswer, NotFound
from renogybt.link import Complete
from renogybt.protocol.table import Gatt

log = logging.getLogger(__name__)
CONNECT_LIMIT = 25.0
OPERATION_LIMIT = 10.0
WRITE_LIMIT = 5.0
DISCONNECT_LIMIT = 5.0
BUFFER = 1024
"""Bytes kept of an answer; the longest known is 255."""
RENOGY_NAMES = ("BT-TH-", "RNG", "BTRIC", "RTMShunt300")


def uuid(short: int) -> str:
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


class Module:
    """Connects when needed, talks, and always disconnects. Implements `renogybt.link.Link`.

    Used by one borrower at a time (`lock`). `address` upper case, or "" when the module is looked for by `alias`.
    """

    def __init__(self, address: str, alias: str, adapter: Adapter, scan_seconds: float, scan_attempts: int) -> None:
        self.address, self.alias, self.adapter = address, alias, adapter
        self.lock = asyncio.Lock()
        self.generation = 0
        self.spent = False
        self._scan_seconds, self._scan_attempts = scan_seconds, scan_attempts
        self._device: BLEDevice | None = None
        self._client: BleakClient | None = None
        self._gatt: Gatt | None = None
        self._write: BleakGATTCharacteristic | None = None
        self._buffer = bytearray()
        self._listening = False
        self._news = asyncio.Event()
        self._answered_at = 0.0
        self._must_see = self._seen = self._lost = False

    @property
    def name(self) -> str:
        """The advertised name, without the spaces some modules pad it with."""
        return (self._device.name or "").strip() if self._device else ""

    @property
    def rssi(self) -> int | None:
        return signal_strength(self._device)

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    def __str__(self) -> str:
        return f"{self.alias} ({self.address})" if self.address else self.alias

    async def ready(self, gatt: Gatt) -> None:
        """Be connected and unspent. Devices behind one module may need different care: the most that one asked for holds.

        Raises `LinkError`.
        """
        before, self._gatt = self._gatt, most(self._gatt, gatt)
        if not self.connected or self.spent or before is None or before.notify != gatt.notify:
            await self.close()
            await self._open()
        elif self._gatt.wake and not before.wake:
            assert self._client is not None
            await self._wake(self._client, self._gatt)

    async def renew(self) -> None:
        await self.close()
        await self._open()

    async def close(self) -> None:
        """Disconnect. Also needed when the link is down already: only this releases bleak's connection to the D-Bus."""
        client, self._client, self._write = self._client, None, None
        self.spent = False
        if client is None:
            return
        try:
            await bounded(client.disconnect(), DISCONNECT_LIMIT, f"disconnecting from {self}")
        except (*TRANSIENT, LinkError) as error:
            log.debug("disconnecting from %s: %s", self, error)

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        if self.spent:
            raise LinkSpent(f"the link to {self} timed out and must be renewed")
        if self._client is None or not self._client.is_connected:
            self.spent = True
            raise LinkLost(f"the connection to {self} is gone")
        loop = asyncio.get_running_loop()
        if (wait := self._answered_at + pause - loop.time()) > 0:
            await asyncio.sleep(wait)
        self._buffer.clear()
        self._news.clear()
        self._listening, clean = True, False
        try:
            if frame is not None:
                await self._send(frame)
            answer = await self._collect(complete, loop.time() + timeout)
            clean = True
        finally:
            self._listening = False
            self.spent = self.spent or not clean
        if answer is None:
            self.spent = True
            raise NoAnswer(f"{self} gave no answer within {timeout:g} s", bytes(self._buffer))
        self._answered_at = loop.time()
        return answer

    async def _send(self, frame: bytes) -> None:
        assert self._client is not None
        assert self._write is not None
        respond = "write-without-response" not in self._write.properties
        try:
            await bounded(
                self._client.write_gatt_char(self._write, frame, response=respond), WRITE_LIMIT, f"writing to {self}"
            )
        except TRANSIENT as error:
            if bluez_is_gone(error):
                await bluez.forget_everything()
            raise LinkLost(str(translate(error, f"writing to {self}"))) from error

    async def _collect(self, complete: Complete, deadline: float) -> bytes | None:
        loop = asyncio.get_running_loop()
        while True:
            if self._buffer and (answer := complete(bytes(self._buffer))) is not None:
                return answer
            if not self.connected:
                raise LinkLost(f"the connection to {self} broke while waiting for an answer")
            left = deadline - loop.time()
            if left <= 0:
                return None
            self._news.clear()
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return None

    def _notified(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        if self._listening:
            self._buffer += data
            del self._buffer[:-BUFFER]
            self._news.set()

    def _disconnected(self, client: BleakClient) -> None:
        if client is self._client:
            self._lost = True
            log.info("connection to %s is gone", self)
            self._news.set()

    async def _open(self) -> None:
        """Find the module if BlueZ does not know it, connect, and subscribe. Raises `LinkError`."""
        from_memory = self._device is None
        if self._device is None:
            self._device = await self._find()
        from_memory = from_memory and not self._seen
        try:
            await self._connect(self._device)
        except ConnectFailed as error:
            self._device, self._must_see = None, True
            gone = error.__cause__ is not None and device_is_gone(error.__cause__)
            if error.__cause__ is not None and bluez_is_gone(error.__cause__):
                await bluez.forget_everything()
            elif not gone and not from_memory:
                raise
            log.debug("what BlueZ remembered of %s was no use (%s); looking for it", self, error)
            self._device = await self._find()
            await self._connect(self._device)
        self._must_see = False
        self.generation += 1
        # With per_read this happens at every reading, and an SD card should not have to keep that.
        log.log(logging.INFO if self.generation == 1 or self._lost else logging.DEBUG, "connected to %s", self.name or self)
        self._lost = False

    async def _find(self) -> BLEDevice:
        """By BlueZ's memory, unless the last attempt with that failed; else by scanning."""
        self._seen = False
        try:
            known = await bluez.known_device(self.adapter.name, self.address, self.alias)
            if known is not None and (not self._must_see or await bluez.is_connected(known)):
                return known
        except TRANSIENT as error:
            raise translate(error, f"looking for {self}") from error
        for _ in range(self._scan_attempts):
            found = await self.adapter.find(self._matches, self._scan_seconds)
            if found is not None:
                self._seen = True
                return found
        raise NotFound(self._absence())

    def _matches(self, device: BLEDevice) -> bool:
        if self.address:
            return device.address.upper() == self.address
        return (device.name or "").strip() == self.alias

    def _absence(self) -> str:
        heard, seconds = self.adapter.seen, self._scan_seconds * self._scan_attempts
        like = [f"{name.strip()} ({address})" for address, (name, _) in heard.items() if name.startswith(RENOGY_NAMES)]
        hint = f"These look like Renogy modules: {', '.join(like)}." if like else "No module with a Renogy name was heard."
        return (
            f"{self} was not seen in {seconds:g} s of scanning ({len(heard)} other devices were). {hint} "
            "Is it in range and powered, is mac_addr right, and is no phone app connected to it?"
        )

    async def _connect(self, device: BLEDevice) -> None:
        client = BleakClient(device, self._disconnected, timeout=CONNECT_LIMIT - 5)
        try:
            async with self.adapter.connecting():
                await self._free(device)
                self._client, self.spent = client, False
                await bounded(client.connect(), CONNECT_LIMIT, f"connecting to {self}")
            await self._subscribe(client)
        except (*TRANSIENT, LinkError) as error:
            await self.close()
            if isinstance(error, LinkError):
                raise
            raise ConnectFailed(str(translate(error, f"connecting to {self}"))) from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def _free(self, device: BLEDevice) -> None:
        """End a link that BlueZ still holds for a program that was killed: nobody receives its notifications."""
        try:
            if not await bluez.is_connected(device):
                return
            log.info("%s is still connected from an earlier run; freeing it", self)
            stale = BleakClient(device, timeout=OPERATION_LIMIT)
            try:
                await bounded(stale.connect(), OPERATION_LIMIT, f"taking over {self}")
            finally:
                await bounded(stale.disconnect(), DISCONNECT_LIMIT, f"freeing {self}")
        except TRANSIENT as error:
            log.debug("freeing %s: %s", self, error)

    async def _subscribe(self, client: BleakClient) -> None:
        assert self._gatt
        gatt = self._gatt
        notify = choose(client.services, gatt.notify_service, gatt.notify, ("notify",))
        if notify is None:
            raise ConnectFailed(f"{self} has no characteristic {gatt.notify:04x} that notifies; is it a Renogy module?")
        if gatt.write:
            self._write = choose(client.services, gatt.write_service, gatt.write, ("write-without-response", "write"))
            if self._write is None:
                raise ConnectFailed(f"{self} has no characteristic {gatt.write:04x} to write to; is it a Renogy module?")
        if gatt.wake:
            await self._wake(client, gatt)
        await bounded(client.start_notify(notify, self._notified), OPERATION_LIMIT, f"subscribing to {self}")

    async def _wake(self, client: BleakClient, gatt: Gatt) -> None:
        """Inverters with Bluetooth inside answer nothing before this was read once; what it holds is irrelevant."""
        await asyncio.sleep(gatt.settle)
        characteristic = choose(client.services, gatt.write_service, gatt.wake, ("read",))
        if characteristic is None:
            return
        try:
            await bounded(client.read_gatt_char(characteristic), WRITE_LIMIT, f"waking {self}")
        except TRANSIENT as error:
            log.debug("waking %s: %s", self, error)


def most(before: Gatt | None, wanted: Gatt) -> Gatt:
    """The care that serves both: as `wanted`, with the wake read of `before` where they use the same characteristics."""
    same = before is not None and (before.write, before.notify) == (wanted.write, wanted.notify)
    return before if before is not None and same and before.wake else wanted


def choose(services: Any, service: int, characteristic: int, properties: tuple[str, ...]) -> BleakGATTCharacteristic | None:
    """The characteristic of that service which can do one of `properties`, the earlier the better.

    Battery Pro modules list ffd1 and fff1 again in other services, where they do not work: service and property decide.
    """
    for wanted in properties:
        for candidate in services:
            if candidate.uuid != uuid(service):
                continue
            for item in candidate.characteristics:
                if item.uuid == uuid(characteristic) and wanted in item.properties:
                    found: BleakGATTCharacteristic = item
                    return found
    return None
