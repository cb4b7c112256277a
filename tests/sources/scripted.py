"""A link with a register map behind it and faults by script: what a source sees of a module, without any radio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from renogybt.errors import LinkError, LinkLost, LinkSpent, NoAnswer
from renogybt.link import Complete
from renogybt.protocol.modbus import parse_request, sealed
from renogybt.protocol.table import Family


@dataclass
class ScriptedUnit:
    """Words by register; a read must lie inside one of `spans` (start, words), else it is refused with code 2."""

    words: dict[int, int]
    spans: list[tuple[int, int]]
    silent_at: set[int] = field(default_factory=set)
    silences: list[int] = field(default_factory=list)
    """Registers that stay unanswered once each."""
    answers_as: int | None = None
    records: dict[int, bytes] = field(default_factory=dict)
    """Days of a controller by register, each the whole answer to a read that begins there."""

    @classmethod
    def of(cls, family: Family, values: dict[str, Any], spans: list[tuple[int, int]] | None = None) -> ScriptedUnit:
        spans = spans if spans is not None else [span for window in family.windows for span in window.spans]
        words: dict[int, int] = {}
        for start, count in spans:
            data = family.encode(start, count, values)
            words |= {start + n: int.from_bytes(data[2 * n : 2 * n + 2], "big") for n in range(count)}
        return cls(words, spans)

    def answer(self, unit: int, frame: bytes) -> bytes | None:
        request = parse_request(frame)
        if request.register in self.silent_at:
            return None
        if request.register in self.silences:
            self.silences.remove(request.register)
            return None
        sender = self.answers_as if self.answers_as is not None and unit == 255 else unit
        if (record := self.records.get(request.register)) is not None:
            return sealed(bytes((sender, 3, len(record))) + record)
        stop = request.register + request.words
        if not any(start <= request.register and stop <= start + words for start, words in self.spans):
            return sealed(bytes((sender, 0x83, 2)))
        data = b"".join(self.words.get(at, 0).to_bytes(2, "big") for at in range(request.register, stop))
        return sealed(bytes((sender, 3, len(data))) + data)


@dataclass
class ScriptedLink:
    """Implements `renogybt.link.Link`. `asked` lists (unit, register, words) of every request that went out."""

    units: dict[int, ScriptedUnit]
    name: str = "BT-TH-12345678"
    generation: int = 1
    spent: bool = False
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    renewals: int = 0
    renew_error: LinkError | None = None
    late: bytes = b""
    breaks_at: list[int] = field(default_factory=list)
    """Registers at whose request the connection breaks, once each."""

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        if self.spent:
            raise LinkSpent("spent")
        assert frame is not None
        request = parse_request(frame)
        self.asked.append((request.unit, request.register, request.words))
        self.pauses.append(pause)
        if request.register in self.breaks_at:
            self.breaks_at.remove(request.register)
            self.spent = True
            raise LinkLost("the connection broke")
        unit = self.units.get(request.unit)
        reply = unit.answer(request.unit, frame) if unit else None
        received = self.late + (reply or b"")
        self.late = b""
        found = complete(received) if received else None
        if found is None:
            self.spent = True
            raise NoAnswer("no answer", received)
        return found

    async def renew(self) -> None:
        self.renewals += 1
        if self.renew_error:
            raise self.renew_error
        self.spent = False
        self.generation += 1


@dataclass
class ScriptedRadio:
    link: ScriptedLink

    @asynccontextmanager
    async def lend(self, device: Any, gatt: Any) -> AsyncIterator[ScriptedLink]:
        if self.link.spent:
            await self.link.renew()
        yield self.link

    def rssi(self, device: Any) -> int | None:
        return -60

    def connect_seconds(self, device: Any) -> float | None:
        return 1.5

    async def close(self) -> None: ...
