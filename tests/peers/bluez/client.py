"""Two ways to talk to a fake BlueZ in its own tests: a bare bus connection, and real bleak."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from bleak import BleakClient, BleakScanner
from bleak.backends.bluezdbus.manager import get_global_bluez_manager
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.peers.bluez.adapter import ADAPTER
from tests.peers.bluez.control import Fake
from tests.peers.bluez.device import DEVICE
from tests.peers.bluez.slave import sealed
from tests.peers.bluez.tree import PROPERTIES

HCI0 = "/org/bluez/hci0"
T = TypeVar("T")
PATIENCE = 30.0
"""Seconds that a busy machine may need for what takes none."""
Radio = Callable[..., Fake]


def run(work: Coroutine[Any, Any, T], seconds: float = 90.0) -> T:
    """On a loop of its own, because bleak keeps one bus connection per loop."""

    async def bounded() -> T:
        return await asyncio.wait_for(work, seconds)

    return asyncio.run(bounded())


def device_path(address: str, adapter: str = HCI0) -> str:
    return f"{adapter}/dev_{address.replace(':', '_')}"


class Bus:
    """A client connection that remembers the signals of the service in order."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.signals: list[Message] = []

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._heard)
        for rule in ("type='signal',path_namespace='/org/bluez'", "type='signal',path='/'", _OWNER):
            await self._send(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", [rule]
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bus.disconnect()
        await asyncio.sleep(0)

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        """The first value of the answer (None: empty), or "error name: text"."""
        return _plain(await self._send("org.bluez", path, interface, member, signature, list(body)))

    async def restart_unit(self, unit: str) -> Any:
        name, path = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
        return _plain(await self._send(name, path, f"{name}.Manager", "RestartUnit", "ss", [unit, "replace"]))

    async def adapter(self, member: str, path: str = HCI0) -> Any:
        return await self.call(path, ADAPTER, member)

    async def device(self, address: str, member: str) -> Any:
        return await self.call(device_path(address), DEVICE, member)

    async def get(self, path: str, interface: str, name: str) -> Any:
        value = await self.call(path, PROPERTIES, "Get", "ss", interface, name)
        return value.value if isinstance(value, Variant) else value

    async def power(self, on: bool) -> Any:
        return await self.call(HCI0, PROPERTIES, "Set", "ssv", ADAPTER, "Powered", Variant("b", on))

    async def heard(self, last: str = "") -> list[str]:
        """All signals so far as short words, and forget them. `last`: wait until one begins like this."""
        if last:
            await until(lambda: any(word.startswith(last) for word in self.words))
        else:
            await self.call("/", "org.freedesktop.DBus.Peer", "Ping")  # answered after everything that was told before
        words = self.words
        self.signals.clear()
        return words

    @property
    def words(self) -> list[str]:
        """The signals so far as short words."""
        return [_word(message) for message in self.signals]

    def _heard(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.member in _MEMBERS:
            self.signals.append(message)

    async def _send(self, to: str, path: str, interface: str, member: str, signature: str, body: list[Any]) -> Message:
        return await self._bus.call(Message(to, path, interface, member, signature=signature, body=body))


def _plain(reply: Message) -> Any:
    if reply.message_type is MessageType.ERROR:
        return f"{reply.error_name}: {reply.body[0]}"
    return reply.body[0] if reply.body else None


_MEMBERS = ("InterfacesAdded", "InterfacesRemoved", "PropertiesChanged", "NameOwnerChanged")
_OWNER = "type='signal',member='NameOwnerChanged',arg0='org.bluez'"


def _word(message: Message) -> str:
    if message.member == "PropertiesChanged":
        changed = [f"{name}={value.value}" for name, value in message.body[1].items()]
        return " ".join(changed + [f"-{name}" for name in message.body[2]])
    if message.member == "NameOwnerChanged":
        return "owner gone" if not message.body[2] else "owner new"
    sign = "+" if message.member == "InterfacesAdded" else "-"
    return sign + str(message.body[0]).rpartition("/")[2]


async def until(true: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """What others do takes the time it takes."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not true():
        assert loop.time() < end, "it does not come about"
        await asyncio.sleep(0.01)


async def caught_up() -> None:
    """bleak's memory of BlueZ's objects holds everything that was told so far."""
    manager = await get_global_bluez_manager()
    assert manager._bus is not None
    await manager._bus.call(Message("org.bluez", "/", "org.freedesktop.DBus.Peer", "Ping"))


async def audible(*wanted: str, **options: Any) -> dict[str, AdvertisementData]:
    """Who is heard from the beginning of a scan until all of `wanted` were, and a few beats longer."""
    async with BleakScanner(**options) as scanner:
        await until(lambda: all(address in _heard_by(scanner) for address in wanted))
        await asyncio.sleep(0.1)
        return _heard_by(scanner)


def _heard_by(scanner: BleakScanner) -> dict[str, AdvertisementData]:
    return {address: data for address, (_, data) in scanner.discovered_devices_and_advertisement_data.items()}


async def discovered(bus: Bus, address: str, seconds: float = PATIENCE) -> None:
    """Discover until the service knows the module."""
    await bus.adapter("StartDiscovery")
    end = time.monotonic() + seconds
    while str(await bus.get(device_path(address), DEVICE, "Address")) != address:
        assert time.monotonic() < end, f"{address} was not seen"
        await asyncio.sleep(0.02)
    await bus.adapter("StopDiscovery")


async def found(address: str, seconds: float = PATIENCE) -> BLEDevice:
    device = await BleakScanner.find_device_by_address(address, timeout=seconds)
    assert device is not None, f"{address} was not seen"
    return device


def characteristic(client: BleakClient, service: int, number: int, flag: str) -> BleakGATTCharacteristic:
    """The one with this number in this service that can do this."""
    return next(
        char
        for group in client.services
        if group.uuid.startswith(f"{service:08x}")
        for char in group.characteristics
        if char.uuid.startswith(f"{number:08x}") and flag in char.properties
    )


class Talk:
    """An open connection to a module: write frames, collect notifications."""

    def __init__(self, client: BleakClient) -> None:
        self.client = client
        self.pieces: list[bytes] = []
        self._more = asyncio.Event()

    def take(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self.pieces.append(bytes(data))
        self._more.set()

    async def write(self, body: str, *, response: bool = False) -> None:
        """Write a frame, given as hex without checksum."""
        flag = "write" if response else "write-without-response"
        target = characteristic(self.client, 0xFFD0, 0xFFD1, flag)
        await self.client.write_gatt_char(target, sealed(bytes.fromhex(body)), response=response)

    async def ask(self, body: str, length: int, seconds: float = PATIENCE) -> bytes:
        """Write a frame and wait for so many bytes; what is there when the time is up is the answer."""
        self.pieces.clear()
        await self.write(body)
        return await self.wait(length, seconds)

    async def wait(self, length: int, seconds: float = PATIENCE) -> bytes:
        end = asyncio.get_running_loop().time() + seconds
        while sum(map(len, self.pieces)) < length:
            self._more.clear()
            left = end - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._more.wait(), max(left, 0))
            except TimeoutError:
                break
        return b"".join(self.pieces)


@asynccontextmanager
async def talk(address: str, *, service: int = 0xFFF0, number: int = 0xFFF1, **options: Any) -> AsyncIterator[Talk]:
    """Find, connect and subscribe with real bleak; disconnect at the end. `options` of start_notify."""
    async with BleakClient(await found(address)) as client:
        open_talk = Talk(client)
        await client.start_notify(characteristic(client, service, number, "notify"), open_talk.take, **options)
        yield open_talk
