"""The serial side of a module: one line, one request at a time, and devices with quirks on it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.peers.bluez.agenda import Agenda
from tests.peers.bluez.journal import Entry
from tests.peers.bluez.scenario import Module, Quirk, Unit
from tests.peers.bluez.slave import Slave, crc, refusal, sealed

Deliver = Callable[[bytes], None]


@dataclass(slots=True)
class Answer:
    """What one unit makes of one request: the bytes (None: silence) and how they travel."""

    data: bytes | None
    extra_s: float = 0.0
    aside_s: float = 0.0
    drop: bool = False


class Line:
    """Carries frames to the units and their answers back, in pieces, with the module's timing.

    `deliver` hands a notification to the radio link that asked, `lose` breaks the link.
    """

    def __init__(self, spec: Module, dice: random.Random) -> None:
        self.spec, self.dice = spec, dice
        self.slaves = [Slave(unit) for unit in spec.units]
        self.awake = not spec.wake
        self.deliver: Deliver = _nobody
        self.lose: Callable[[], None] = lambda: None
        self._loop = asyncio.get_running_loop()
        self._agenda = Agenda()
        self._free_at = 0.0
        self._busy = False
        self._waiting: deque[tuple[float, bytes, Entry]] = deque()

    def attach(self, deliver: Deliver, lose: Callable[[], None]) -> None:
        """A new radio link: unless the line lingers, nothing of an earlier one is left. Units that sleep do so again."""
        self.deliver, self.lose = deliver, lose
        self.awake = not self.spec.wake
        if self.spec.lingers:
            return
        self._agenda.clear()
        self._waiting.clear()
        self._busy = False

    def detach(self) -> None:
        self.attach(_nobody, lambda: None)

    def slave(self, unit: int) -> Slave:
        for slave in self.slaves:
            if slave.spec.id == unit:
                return slave
        raise KeyError(f"no unit {unit} behind {self.spec.address}")

    def add(self, unit: Unit) -> None:
        self.remove(unit.id)
        self.slaves.append(Slave(unit))

    def remove(self, unit: int) -> None:
        self.slaves = [slave for slave in self.slaves if slave.spec.id != unit]

    def request(self, data: bytes, entry: Entry) -> None:
        """A frame was written to the module by radio."""
        self._waiting.append((self._loop.time() + self.spec.latency_ms / 1000, data, entry))
        if not self._busy:
            self._next()

    def notify(self, data: bytes, at: float | None = None) -> None:
        """Send bytes up the radio link as notifications, beginning at loop time `at`."""
        size = self.spec.notify_size or self.spec.mtu - 3
        when = self._loop.time() if at is None else at
        for start in range(0, len(data), size):
            self._agenda.at(when, partial(self._piece, data[start : start + size]))

    def _next(self) -> None:
        if not self._waiting:
            self._busy = False
            return
        self._busy = True
        arrived, data, entry = self._waiting.popleft()
        heard = max(arrived, self._free_at) + len(data) * self.spec.byte_ms / 1000
        self._agenda.at(heard, partial(self._heard, heard, data, entry))

    def _heard(self, heard: float, data: bytes, entry: Entry) -> None:
        self._free_at = heard
        answers = [(slave, self._answer(slave, data)) for slave in self.slaves if self.awake and slave.hears(data)]
        speaking = [(slave, answer) for slave, answer in answers if answer.data is not None]
        if any(answer.drop for _, answer in answers):
            self.lose()
            return
        if len(speaking) > 1:
            slave, first = speaking[0]
            speaking = [(slave, Answer(_collided([answer.data or b"" for _, answer in speaking]), first.extra_s))]
        for slave, answer in speaking:
            self._speak(slave, answer, heard, entry)
        self._agenda.at(self._free_at, self._next)

    def _speak(self, slave: Slave, answer: Answer, heard: float, entry: Entry) -> None:
        data = answer.data or b""
        turnaround = self.spec.turnaround_ms if slave.spec.turnaround_ms is None else slave.spec.turnaround_ms
        begin = heard + turnaround / 1000 + answer.extra_s + answer.aside_s
        byte, size = self.spec.byte_ms / 1000, self.spec.notify_size or self.spec.mtu - 3
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            ready = begin + (start + len(piece)) * byte
            last = start + size >= len(data)
            self._agenda.at(ready + self.spec.latency_ms / 1000, partial(self._piece, piece, entry if last else None))
        entry["answer"] = data.hex()
        if not answer.aside_s:
            self._free_at = begin + len(data) * byte

    def _piece(self, data: bytes, entry: Entry | None = None) -> None:
        if entry is not None:
            entry["done"] = time.monotonic()
        self.deliver(data)

    def _answer(self, slave: Slave, frame: bytes) -> Answer:
        answer = Answer(slave.answer(frame))
        for quirk in list(slave.spec.quirks):
            if self._takes(slave, quirk, frame):
                _spoil(answer, quirk, frame)
        return answer

    def _takes(self, slave: Slave, quirk: Quirk, frame: bytes) -> bool:
        if quirk.register is not None and int.from_bytes(frame[2:4], "big") != quirk.register:
            return False
        if quirk.skip > 0:
            quirk.skip -= 1
            return False
        if quirk.probability < 1.0 and self.dice.random() >= quirk.probability:
            return False
        if quirk.times is not None:
            quirk.times -= 1
            if quirk.times <= 0:
                slave.spec.quirks.remove(quirk)
        return True


def _spoil(answer: Answer, quirk: Quirk, frame: bytes) -> None:
    """Change an answer as the quirk says; one that is silent anyway stays silent, except for an exception or a drop."""
    if quirk.kind == "silent":
        answer.data = None
    elif quirk.kind == "drop":
        answer.drop = True
    elif quirk.kind == "delay":
        answer.extra_s += float(quirk.value or 0)
    elif quirk.kind == "late":
        answer.aside_s += float(quirk.value or 0)
    elif quirk.kind == "exception":
        answer.data = refusal(answer.data[0] if answer.data else frame[0], frame[1], int(quirk.value or 4))
    elif answer.data is None:
        return
    elif quirk.kind == "corrupt_crc":
        answer.data = answer.data[:-2] + bytes(byte ^ 0xFF for byte in answer.data[-2:])
    elif quirk.kind == "wrong_unit":
        answer.data = sealed(bytes((int(quirk.value or 1),)) + answer.data[1:-2])
    elif quirk.kind == "junk":
        answer.data = bytes.fromhex(str(quirk.value or "0000ff")) + answer.data
    elif quirk.kind == "truncate":
        answer.data = answer.data[: int(quirk.value or 0)] or None
    elif quirk.kind == "repeat":
        answer.data = answer.data * 2
    elif quirk.kind == "ack_register" and answer.data[1] in (0x06, 0x10):
        answer.data = sealed(answer.data[:2] + int(quirk.value or 0).to_bytes(2, "big") + answer.data[4:-2])


def _collided(answers: list[bytes]) -> bytes:
    """Several units speaking at once pull the line low together; what arrives is rubbish with a wrong checksum."""
    length = max(map(len, answers))
    mixed = bytes(_all_low([data[at] for data in answers if at < len(data)]) for at in range(length))
    return mixed if crc(mixed[:-2]) != mixed[-2:] else mixed[:-1] + bytes((mixed[-1] ^ 0xFF,))


def _all_low(values: list[int]) -> int:
    result = 0xFF
    for value in values:
        result &= value
    return result


def _nobody(_data: bytes) -> None:
    """Nobody listens."""
