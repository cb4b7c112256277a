"""The bus behind a module: units that answer Modbus requests out of their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from renogybt.errors import BadFrame
from renogybt.protocol.modbus import EXCEPTION, MAX_WORDS, READ, UNIVERSAL, WRITE_ONE, Request, parse_request, sealed
from renogybt.protocol.table import Family

NO_SUCH_REGISTER, TOO_MANY_WORDS, WRONG_CHECKSUM = 2, 3, 5
HISTORY, HISTORY_DAYS, HISTORY_WORDS = 0xF000, 0x400, 10
LOAD_SWITCH = 0x010A


@dataclass
class Station:
    """One unit on the bus: its table, and a way to its values of the moment.

    `history(days ago)` gives the values of a daily record, by the keys of `history_family`. `own` is the address under
    which it answers a request to 255. `mute` are start registers it never answers, as DC-DC chargers of the G6 kind do.
    `switch` is told when somebody writes the load switch.
    """

    family: Family
    measure: Callable[[], Mapping[str, Any]]
    own: int = UNIVERSAL
    history_family: Family | None = None
    history: Callable[[int], Mapping[str, Any]] | None = None
    switch: Callable[[bool], None] | None = None
    mute: frozenset[int] = frozenset()
    written: dict[int, bytes] = field(default_factory=dict)

    def read(self, start: int, words: int) -> bytes | None:
        """The registers' bytes, or None when they are not all there."""
        if HISTORY <= start < HISTORY + HISTORY_DAYS:
            return self._record(start - HISTORY, words)
        if not readable(self.family, start, words):
            return None
        data = bytearray(self.family.encode(start, words, self.measure()))
        for register, word in self.written.items():
            if start <= register < start + words:
                data[2 * (register - start) : 2 * (register - start) + 2] = word
        return bytes(data)

    def write(self, start: int, data: bytes) -> bool:
        """Keep `data`, so that it can be read back. False when there is no such register."""
        if start == LOAD_SWITCH and self.switch:
            self.switch(data[-1] == 1)
            return True
        if not readable(self.family, start, len(data) // 2):
            return False
        for index in range(0, len(data), 2):
            self.written[start + index // 2] = data[index : index + 2]
        return True

    def _record(self, days_ago: int, words: int) -> bytes | None:
        if self.history is None or self.history_family is None or words > HISTORY_WORDS:
            return None
        return self.history_family.encode(HISTORY, words, self.history(days_ago))


class Bus:
    """The units behind one module by their addresses. Nothing on it asks by itself."""

    def __init__(self, stations: Mapping[int, Station]) -> None:
        self.stations = dict(stations)

    def answer(self, frame: bytes | None) -> bytes | None:
        """What comes back for `frame`; None is silence, as from an address nobody has, or when nothing was written.

        255 is answered when there is exactly one unit: the answers of several would collide.
        """
        if frame is None:
            return None
        try:
            request = parse_request(frame)
        except BadFrame as error:
            return self._complaint(frame, error)
        found = self._addressed(request.unit)
        if found is None or request.register in found[1].mute:
            return None
        address, station = found
        head = bytes((address, request.function))
        if request.words > MAX_WORDS:
            return _refusal(head, TOO_MANY_WORDS)
        if request.function == READ:
            data = station.read(request.register, request.words)
            return _refusal(head, NO_SUCH_REGISTER) if data is None else sealed(head + bytes((len(data),)) + data)
        if not station.write(request.register, _written(request)):
            return _refusal(head, NO_SUCH_REGISTER)
        return sealed(head + frame[2:6])

    def _addressed(self, unit: int) -> tuple[int, Station] | None:
        """Who answers to `unit`, and the address it answers with."""
        if unit == UNIVERSAL and len(self.stations) == 1:
            ((address, station),) = self.stations.items()
            return (address if station.own == UNIVERSAL else station.own), station
        for address, station in self.stations.items():
            if unit in (address, station.own) and unit != UNIVERSAL:
                return unit, station
        return None

    def _complaint(self, frame: bytes, error: BadFrame) -> bytes | None:
        """A unit that hears its address but a wrong checksum says so; anything else is noise."""
        found = self._addressed(frame[0]) if error.reason == "crc" else None
        return _refusal(bytes((found[0], frame[1])), WRONG_CHECKSUM) if found else None


def readable(family: Family, start: int, words: int) -> bool:
    """Whether the span lies inside what the family's windows are known to answer, taken together."""
    reach = start
    for first, last in sorted(_spans(family)):
        if first <= reach < last:
            reach = last
    return words > 0 and reach >= start + words


def _spans(family: Family) -> Iterable[tuple[int, int]]:
    return [(start, start + words) for window in family.windows for start, words in window.spans]


def _written(request: Request) -> bytes:
    return request.frame[4:6] if request.function == WRITE_ONE else request.frame[7:-2]


def _refusal(head: bytes, code: int) -> bytes:
    return sealed(bytes((head[0], head[1] | EXCEPTION, code)))
