"""A Bluetooth proxy at work: the real radio thread and bleak over the fake BlueZ, and the node that Home Assistant meets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aioesphomeapi import APIClient, BluetoothLERawAdvertisement

from renogybt.ble.adapter import Adapter
from renogybt.ble.manager import BLEManager
from renogybt.proxy.bluetooth import BluetoothRelay
from renogybt.proxy.node import EsphomeNode
from tests.ble.rig import Rig
from tests.proxy.given import HOST, Client, settings, until

FEATURES = 127
Heard = tuple[int, int, int, bytes]


class Lent:
    """`options` are those of [home_assistant_proxy]."""

    def __init__(self, rig: Rig, folder: Path, key: str = "", **options: Any) -> None:
        self.rig = rig
        known = settings(folder, esphome_sensors=False, encryption_key=key, **options)
        self.relay = BluetoothRelay(known.home_assistant_proxy)
        self.node = EsphomeNode(known, (), self.relay, HOST)
        self.key = key

    def start(self) -> None:
        async def begin(manager: BLEManager) -> None:
            await self.relay.start(manager, lambda: self.node.sessions)
            await self.node.start()

        self.rig.do(begin)

    def stop(self) -> None:
        async def end(manager: BLEManager) -> None:
            await self.node.close()
            await self.relay.close()

        self.rig.do(end)

    @property
    def adapter(self) -> Adapter:
        (found,) = self.rig.manager.adapters.values()
        return found

    def wait(self, true: Callable[[], Any], seconds: float = 40.0) -> float:
        """How long it took."""
        began = time.monotonic()
        while not true():
            assert time.monotonic() - began < seconds
            time.sleep(0.01)
        return time.monotonic() - began

    def cpu_seconds(self) -> float:
        """Computing time of the radio thread until now."""

        async def ask(manager: BLEManager) -> float:
            return time.thread_time()

        return self.rig.do(ask)

    def figures(self) -> dict[str, Any]:
        async def ask(manager: BLEManager) -> dict[str, Any]:
            return self.relay.figures()

        return self.rig.do(ask)


@contextmanager
def lent(rig: Rig, folder: Path, key: str = "", **options: Any) -> Iterator[Lent]:
    house = Lent(rig, folder, key, **options)
    house.start()
    try:
        yield house
    finally:
        house.stop()


class Listening:
    """Home Assistant's client, and all advertisements it got."""

    def __init__(self, api: APIClient) -> None:
        self.api = api
        self.heard: list[Heard] = []
        self.batches: list[int] = []
        self.states: list[Any] = []
        self.stop = api.subscribe_bluetooth_le_raw_advertisements(self._take)
        api.subscribe_bluetooth_scanner_state(self.states.append)

    def _take(self, message: Any) -> None:
        self.batches.append(len(message.advertisements))
        each: BluetoothLERawAdvertisement
        for each in message.advertisements:
            self.heard.append((each.address, each.rssi, each.address_type, each.data))

    def of(self, address: str) -> list[Heard]:
        return [each for each in self.heard if each[0] == number(address)]

    async def first(self, address: str, seconds: float = 40.0) -> Heard:
        await until(lambda: bool(self.of(address)), seconds)
        return self.of(address)[0]


async def quiet(heard: list[Any], seconds: float = 1.0) -> int:
    """Until nothing was added for so long; how many there are."""
    while True:
        before = len(heard)
        await asyncio.sleep(seconds)
        if len(heard) == before:
            return before


@asynccontextmanager
async def client(house: Lent) -> Any:
    async with Client(house.node, house.key) as found:
        yield found.api


class Slots:
    """What a client is told about free connections."""

    def __init__(self, api: APIClient) -> None:
        self.told: list[tuple[int, int, list[int]]] = []
        api.subscribe_bluetooth_connections_free(lambda *said: self.told.append(said))

    async def become(self, free: int, *addresses: str, seconds: float = 40.0) -> None:
        wanted = [number(address) for address in addresses]
        await until(lambda: bool(self.told) and self.told[-1][0] == free and self.told[-1][2] == wanted, seconds)


class Link:
    """A connection through the proxy."""

    def __init__(self, api: APIClient, address: str) -> None:
        self.api, self.address = api, number(address)
        self.states: list[tuple[bool, int, int]] = []

    async def connect(self, cached: bool = False, seconds: float = 30.0) -> tuple[bool, int, int]:
        await self.api.bluetooth_device_connect(
            self.address,
            lambda *said: self.states.append(said),
            timeout=seconds,
            feature_flags=FEATURES,
            has_cache=cached,
            address_type=0,
        )
        return self.states[-1]

    async def ended(self, seconds: float = 40.0) -> int:
        """The reason of its end."""
        await until(lambda: bool(self.states) and not self.states[-1][0], seconds)
        return self.states[-1][2]


def number(address: str) -> int:
    return int(address.replace(":", ""), 16)


def run(work: Any, seconds: float = 150.0) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(limited())
