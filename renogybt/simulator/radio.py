"""The radio of the simulator: lends links to simulated modules, as the Bluetooth radio lends real ones."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from renogybt.errors import LinkSpent, NoAnswer, NotFound, Released
from renogybt.link import Complete
from renogybt.protocol.table import Gatt
from renogybt.settings import Device, Settings
from renogybt.simulator.module import Module, modules
from renogybt.simulator.plant import Plant

PIECE = 20
"""Bytes per notification at the smallest MTU, 23."""


@dataclass
class Faults:
    """What goes wrong, each a probability per exchange, drawn from `seed` in order.

    `silence`: no answer · `damage`: one bit of the answer is turned · `junk`: bytes of something else come first ·
    `cut`: the answer ends early. `away` are addresses of modules nobody can see.
    """

    silence: float = 0.0
    damage: float = 0.0
    junk: float = 0.0
    cut: float = 0.0
    seed: int = 1
    away: set[str] = field(default_factory=set)
    _dice: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._dice = Random(self.seed)

    def spoil(self, answer: bytes | None) -> bytes | None:
        """`answer` as it arrives."""
        silence, damage, junk, cut = (self._dice.random() for _ in range(4))
        if answer is None or silence < self.silence:
            return None
        if damage < self.damage:
            place = self._dice.randrange(len(answer))
            answer = answer[:place] + bytes((answer[place] ^ 1 << self._dice.randrange(8),)) + answer[place + 1 :]
        if junk < self.junk:
            answer = self._dice.randbytes(self._dice.randrange(1, 30)) + answer
        if cut < self.cut:
            answer = answer[: self._dice.randrange(len(answer))]
        return answer


class Answers(Protocol):
    """What a link needs of the radio it belongs to."""

    def reply(self, module: Module, frame: bytes | None) -> bytes | None: ...


class SimulatedLink:
    """A connection to one simulated module. Answers and silences come at once: nobody waits for a simulation."""

    def __init__(self, module: Module, answers: Answers) -> None:
        self._module, self._answers = module, answers
        self._generation = 0
        self.spent = False
        self.connected = False

    @property
    def name(self) -> str:
        return self._module.name

    @property
    def generation(self) -> int:
        return self._generation

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        """As `Link.exchange`, but without any waiting."""
        if self.spent:
            raise LinkSpent(f"{self.name}: the link timed out before and was not renewed")
        arrived = self._answers.reply(self._module, frame) or b""
        for end in range(PIECE, len(arrived) + PIECE, PIECE):
            found = complete(arrived[:end])
            if found is not None:
                return found
        self.spent = True
        raise NoAnswer(f"{self.name}: no answer within {timeout:g} s (simulated)", arrived)

    async def renew(self) -> None:
        """A new connection, unspent."""
        self._generation += 1
        self.spent, self.connected = False, True

    def close(self) -> None:
        self.connected = False


class SimulatedRadio:
    """All modules of the simulated system. Has the surface of the Bluetooth radio.

    `now` gives the plant's time (seconds of local time); without it the plant stands still at its start. Before every
    answer the plant is advanced to it.
    """

    def __init__(
        self, plant: Plant, settings: Settings, now: Callable[[], float] | None = None, faults: Faults | None = None
    ) -> None:
        self._plant, self._now, self._faults = plant, now, faults or Faults()
        self._released: dict[str, float] = {}
        self._links = {key: SimulatedLink(module, self) for key, module in modules(plant, settings).items()}

    @asynccontextmanager
    async def lend(self, device: Device, gatt: Gatt) -> AsyncIterator[SimulatedLink]:
        """A connected, unspent link for the length of one reading.

        Raises `NotFound` for a module that is not there, `Released` for one that was freed.
        """
        self._refuse_released(device)
        link = self._link(device)
        if not link.connected or link.spent:
            await link.renew()
        try:
            yield link
        finally:
            if device.connection == "per_read" or link.spent:
                link.close()

    def reply(self, module: Module, frame: bytes | None) -> bytes | None:
        """What arrives on a module after `frame` was written, or by itself."""
        if self._now:
            self._plant.advance(self._now())
        return self._faults.spoil(module.answer(frame))

    def rssi(self, device: Device) -> int | None:
        """dBm; None while there is no such module."""
        key = device.module
        return -55 - len(key) - sum(key.encode()) % 20 if self._seen(key) else None

    def connected(self, device: Device) -> bool:
        link = self._links.get(device.module)
        return link is not None and link.connected

    def connect_seconds(self, device: Device) -> float | None:
        """What the last connection took to come about: nothing, in a simulation."""
        return 0.0 if self.connected(device) else None

    async def free(self, device: Device, seconds: float) -> None:
        """Give the module up for so long; `lend` raises `Released` meanwhile."""
        key = device.module
        self._released[key] = time.monotonic() + seconds
        if key in self._links:
            self._links[key].close()

    async def resume(self, device: Device) -> None:
        """Take it back before that."""
        self._released.pop(device.module, None)

    async def close(self) -> None:
        for link in self._links.values():
            link.close()

    def abandon(self) -> None:
        """Nothing is held here that somebody could wait for."""

    def _refuse_released(self, device: Device) -> None:
        until = self._released.get(device.module, 0.0)
        if (left := until - time.monotonic()) > 0:
            raise Released(f"{device.alias} is free for the phone app for another {max(1, round(left / 60))} min", until)

    def _seen(self, key: str) -> bool:
        return key in self._links and key not in self._faults.away

    def _link(self, device: Device) -> SimulatedLink:
        key = device.module
        if not self._seen(key):
            raise NotFound(
                f"{device.alias or key} is not among the simulated modules; is mac_addr in [{device.section}] right?"
            )
        return self._links[key]
