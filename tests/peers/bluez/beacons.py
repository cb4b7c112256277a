"""Devices of others in the neighbourhood, which only advertise, and a flood of them at a given rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dbus_fast import Variant

from tests.peers.bluez.gatt import uuid
from tests.peers.bluez.scenario import Beacon
from tests.peers.bluez.tree import Properties

if TYPE_CHECKING:
    from tests.peers.bluez.adapter import Adapter

DEVICE = "org.bluez.Device1"
STEP = 0.01
FLOOD_COMPANY = 0xFFFF


class Beacons:
    def __init__(self, adapter: Adapter, beacons: Iterable[Beacon]) -> None:
        self._adapter = adapter
        self.known = {beacon.address: beacon for beacon in beacons}
        self._turn = 0
        self.sent = 0
        """Advertisements of the flood that could be heard."""
        self._flood: asyncio.TimerHandle | None = None

    def beat(self) -> None:
        for beacon in self.known.values():
            if beacon.advertising:
                self.hear(beacon)

    def hear(self, beacon: Beacon, **said: Variant) -> None:
        """It advertises; `said` replaces properties."""
        tree, path = self._adapter.bluez.tree, self._path(beacon)
        self._turn += 1
        rssi = {"RSSI": Variant("n", beacon.rssi + (0, 1, -1, 2)[self._turn % 4])}
        if path not in tree.objects:
            tree.add(path, DEVICE, properties(beacon, self._adapter.path) | rssi | said)
        elif self._adapter.repeats:
            tree.change(path, DEVICE, rssi | content(beacon) | said)
        else:
            tree.change(path, DEVICE, rssi)

    def hush(self) -> None:
        """Discovery ended: the signal strength is no longer known."""
        for beacon in self.known.values():
            if self._adapter.bluez.tree.get(self._path(beacon), DEVICE, "RSSI") is not None:
                self._adapter.bluez.tree.change(self._path(beacon), DEVICE, {}, ["RSSI"])

    def flood(self, devices: int, rate: float, seconds: float) -> None:
        """So many devices advertise `rate` times a second altogether; each says how many came before it."""
        self.sent = 0
        crowd = [Beacon(address=f"C0:00:00:00:{n >> 8:02X}:{n & 0xFF:02X}", advertising=False) for n in range(devices)]
        self.known |= {beacon.address: beacon for beacon in crowd}
        began = time.monotonic()

        def step() -> None:
            now = time.monotonic() - began
            due = int(min(now, seconds) * rate)
            while self.sent < due and self._adapter.listening:
                beacon = crowd[self.sent % devices]
                data = Variant("ay", self.sent.to_bytes(4, "big"))
                self.hear(beacon, ManufacturerData=Variant("a{qv}", {FLOOD_COMPANY: data}))
                self.sent += 1
            self._flood = self._adapter.bluez.loop.call_later(STEP, step) if now < seconds else None

        step()

    @property
    def flooding(self) -> bool:
        return self._flood is not None

    def _path(self, beacon: Beacon) -> str:
        return f"{self._adapter.path}/dev_{beacon.address.replace(':', '_')}"


def properties(beacon: Beacon, adapter: str) -> Properties:
    held: dict[str, Any] = {
        "Address": Variant("s", beacon.address),
        "AddressType": Variant("s", beacon.address_type),
        "Alias": Variant("s", beacon.name or beacon.address.replace(":", "-")),
        "Adapter": Variant("o", adapter),
        "Paired": Variant("b", False),
        "Trusted": Variant("b", False),
        "Blocked": Variant("b", False),
        "LegacyPairing": Variant("b", False),
        "Connected": Variant("b", False),
        "ServicesResolved": Variant("b", False),
        "UUIDs": Variant("as", [uuid(number) for number in beacon.uuids]),
    }
    if beacon.name:
        held["Name"] = Variant("s", beacon.name)
    if beacon.tx_power is not None:
        held["TxPower"] = Variant("n", beacon.tx_power)
    if beacon.flags:
        held["AdvertisingFlags"] = Variant("ay", bytes.fromhex(beacon.flags))
    return held | content(beacon)


def content(beacon: Beacon) -> Properties:
    """What BlueZ repeats with every advertisement when asked for duplicates."""
    held: Properties = {}
    if beacon.manufacturer:
        data = {number: Variant("ay", bytes.fromhex(text)) for number, text in beacon.manufacturer.items()}
        held["ManufacturerData"] = Variant("a{qv}", data)
    if beacon.service_data:
        data_of = {name: Variant("ay", bytes.fromhex(text)) for name, text in beacon.service_data.items()}
        held["ServiceData"] = Variant("a{sv}", data_of)
    return held
