"""The modules in range of the proxy, and its links to them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

from aioesphomeapi import api_pb2 as pb

from tests.peers.bluez.gatt import BLIND, CCC, NOTIFIES, PRESETS, READS, WRITES, Placed, laid_out, uuid
from tests.peers.bluez.journal import Journal
from tests.peers.bluez.line import Line
from tests.peers.bluez.scenario import Module as Spec

BITS = {READS: 0x02, BLIND: 0x04, WRITES: 0x08, NOTIFIES: 0x10, "indicate": 0x20}


def number(address: str) -> int:
    return int(address.replace(":", ""), 16)


def split_uuid(text: str) -> list[int]:
    value = int(text.replace("-", ""), 16)
    return [value >> 64, value & (1 << 64) - 1]


class Module:
    """`link` is the proxy's connection to it, `taken` somebody else's: it advertises only while there is none.

    Without `scans`, its name is not in what it advertises, as with a proxy that scans passively.
    """

    def __init__(self, spec: Spec, dice: random.Random) -> None:
        self.spec, self.number = spec, number(spec.address)
        self.line = Line(spec, dice)
        self.services, self.placed = laid_out(PRESETS[spec.preset])
        self.link: Link | None = None
        self.taken = False

    def advertisement(self, named: bool) -> pb.BluetoothLERawAdvertisement:
        name = self.spec.name.encode()
        data = b"\x02\x01\x06" + (bytes((len(name) + 1, 0x09)) + name if named else b"")
        kind = int(self.spec.address_type == "random")
        return pb.BluetoothLERawAdvertisement(address=self.number, rssi=self.spec.rssi, address_type=kind, data=data)

    def described(self) -> Iterator[pb.BluetoothGATTService]:
        for head, service in self.services:
            found = pb.BluetoothGATTService(uuid=split_uuid(uuid(service.number)), handle=head)
            for placed in self.placed:
                if placed.service == head:
                    item = found.characteristics.add(
                        uuid=split_uuid(uuid(placed.char.number)),
                        handle=placed.handle + 1,
                        properties=sum(BITS[flag] for flag in placed.char.flags),
                    )
                    if placed.descriptor:
                        item.descriptors.add(uuid=split_uuid(uuid(CCC)), handle=placed.descriptor)
            yield found

    def at(self, handle: int) -> Placed | None:
        return next((placed for placed in self.placed if placed.handle + 1 == handle), None)


class Link:
    """One connection of the proxy to a module. `say` carries notifications, `lose` is told when the link breaks."""

    def __init__(self, module: Module, say: Callable[[int, bytes], None], lose: Callable[[int], None]) -> None:
        self.module, self._say, self._lose = module, say, lose
        self.registered: set[int] = set()
        self.switched_on: set[int] = set()
        self.told_services = False
        self.journal = Journal()
        self._loop = asyncio.get_running_loop()
        self._stream: asyncio.TimerHandle | None = None
        module.link = self
        module.line.attach(self._deliver, lambda: self._lose(0x08))

    def end(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
        self.module.line.detach()
        self.module.link = None

    def write(self, placed: Placed, data: bytes) -> None:
        if placed.char.role == "request":
            entry = self.journal.wrote("", self.module.spec.address, uuid(placed.char.number), "command", data)
            self.module.line.request(data, entry)

    def read(self, placed: Placed) -> bytes:
        if placed.char.role == "wake":
            self.module.line.awake = True
        return placed.char.value

    def switch_on(self, placed: Placed) -> None:
        self.switched_on.add(placed.handle + 1)
        stream = self.module.spec.stream
        if placed.char.role == "stream" and stream is not None and self._stream is None:
            self._stream = self._loop.call_later(stream.interval_s, self._tick, 0)

    def _tick(self, turn: int) -> None:
        stream = self.module.spec.stream
        assert stream is not None
        self.module.line.notify(bytes.fromhex(stream.blocks[turn % len(stream.blocks)]))
        self._stream = self._loop.call_later(stream.interval_s, self._tick, turn + 1)

    def _deliver(self, data: bytes) -> None:
        """From the serial line: out through whatever replies and is both registered and switched on."""
        for placed in self.module.placed:
            handle = placed.handle + 1
            if placed.char.role in ("reply", "stream") and handle in self.registered & self.switched_on:
                self._say(handle, data)
