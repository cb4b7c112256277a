"""A simulated module: what the radio sees of it, and the serial line behind."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from tests.peers.bluez.gatt import PRESETS, laid_out
from tests.peers.bluez.line import Line
from tests.peers.bluez.scenario import Module as Spec

if TYPE_CHECKING:
    from tests.peers.bluez.characteristic import Characteristic
    from tests.peers.bluez.device import Device


class Module:
    """`link` is the device object of the adapter it is connected to; one central at a time."""

    def __init__(self, spec: Spec, dice: random.Random) -> None:
        self.spec = spec
        self.line = Line(spec, dice)
        self.services, self.placed = laid_out(PRESETS[spec.preset])
        self.link: Device | None = None
        self._loop = asyncio.get_running_loop()
        self._turn = 0
        self._streaming: object = None

    def in_range(self, adapter: str) -> bool:
        return self.spec.adapters is None or adapter in self.spec.adapters

    @property
    def audible(self) -> bool:
        """Whether it advertises: not while somebody is connected to it."""
        return self.spec.advertising and self.link is None

    def manufacturer(self) -> tuple[int, bytes]:
        """Its own address, of which the first two bytes stand where a company number belongs."""
        raw = bytes.fromhex(self.spec.address.replace(":", ""))
        return int.from_bytes(raw[:2], "little"), raw[2:]

    def rssi(self) -> int:
        """Never twice the same: BlueZ reports a change of it, not its value."""
        self._turn += 1
        return self.spec.rssi + (0, 1, -1, 2)[self._turn % 4]

    def stream(self, char: Characteristic) -> None:
        """Send the blocks in turn while anybody listens."""
        if self.spec.stream is None or self._streaming == (char, char.device.token):
            return
        self._streaming = (char, char.device.token)
        self._loop.call_later(self.spec.stream.interval_s, self._tick, self._streaming, 0)

    def _tick(self, mine: tuple[Characteristic, int], turn: int) -> None:
        char, token = mine
        if self._streaming != mine or char.device.token != token or self.spec.stream is None:
            return
        if not char.listeners and char.socket is None:
            self._streaming = None
            return
        blocks = self.spec.stream.blocks
        if blocks:
            self.line.notify(bytes.fromhex(blocks[turn % len(blocks)]), self._loop.time() + self.spec.latency_ms / 1000)
        self._loop.call_later(self.spec.stream.interval_s, self._tick, mine, turn + 1)
