"""A Modbus RTU device, written apart from the bridge's own framing so that it can contradict it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.peers.bluez.scenario import Unit

READ, WRITE_ONE, WRITE_MANY = 0x03, 0x06, 0x10
BAD_FUNCTION, BAD_ADDRESS, BAD_COUNT, BAD_CHECKSUM = 1, 2, 3, 5
EVERYBODY = 0xFF


def _table() -> Iterator[int]:
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0xA001 if value & 1 else 0)
        yield value


_CRC = tuple(_table())


def crc(data: bytes) -> bytes:
    """The two check bytes as they stand on the wire, low byte first."""
    value = 0xFFFF
    for byte in data:
        value = (value >> 8) ^ _CRC[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def sealed(body: bytes) -> bytes:
    return body + crc(body)


def refusal(unit: int, function: int, code: int) -> bytes:
    return sealed(bytes((unit, function | 0x80, code)))


class Slave:
    """One unit: its words, and what it answers to a frame."""

    def __init__(self, spec: Unit) -> None:
        self.spec = spec
        self.words: dict[int, int] = dict(spec.registers)
        for start, text in spec.blocks.items():
            self.store(start, bytes.fromhex(text))
        self.records = {start: bytes.fromhex(text) for start, text in spec.records.items()}

    def store(self, start: int, data: bytes) -> None:
        for offset in range(0, len(data), 2):
            self.words[start + offset // 2] = int.from_bytes(data[offset : offset + 2], "big")

    def hears(self, frame: bytes) -> bool:
        """Whether the frame is addressed to this unit."""
        if len(frame) < 4:
            return False
        return frame[0] == self.spec.id or (frame[0] == EVERYBODY and self.spec.echo != "silent")

    def answer(self, frame: bytes) -> bytes | None:
        """The complete answer, or None for silence."""
        name = EVERYBODY if frame[0] == EVERYBODY and self.spec.echo == "255" else self.spec.id
        function = frame[1]
        if crc(frame[:-2]) != frame[-2:]:
            return refusal(name, function, BAD_CHECKSUM)
        if function == READ and len(frame) == 8:
            return self._read(name, frame)
        if function == WRITE_ONE and len(frame) == 8:
            return self._write_one(name, frame)
        if function == WRITE_MANY and len(frame) >= 11 and len(frame) == 9 + frame[6]:
            return self._write_many(name, frame)
        return refusal(name, function, BAD_FUNCTION)

    def _read(self, name: int, frame: bytes) -> bytes | None:
        start, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        if start in self.spec.silent_at:
            return None
        if not 1 <= count <= self.spec.max_words:
            return refusal(name, READ, BAD_COUNT)
        if start in self.records:
            record = self.records[start]
            if 2 * count > len(record):
                return refusal(name, READ, BAD_ADDRESS)
            return sealed(bytes((name, READ, 2 * count)) + record[: 2 * count])
        if not self._readable(start, count):
            return None if self.spec.outside == "silent" else refusal(name, READ, BAD_ADDRESS)
        data = b"".join(self.words.get(at, 0).to_bytes(2, "big") for at in range(start, start + count))
        return sealed(bytes((name, READ, 2 * count)) + data)

    def _readable(self, start: int, count: int) -> bool:
        last = start + count - 1
        if self.spec.spans:
            return any(low <= start and last <= high for low, high in self.spec.spans)
        return all(at in self.words for at in range(start, last + 1))

    def _write_one(self, name: int, frame: bytes) -> bytes | None:
        start = int.from_bytes(frame[2:4], "big")
        if not self._readable(start, 1):
            return None if self.spec.outside == "silent" else refusal(name, WRITE_ONE, BAD_ADDRESS)
        self._set(start, int.from_bytes(frame[4:6], "big"))
        return sealed(bytes((name,)) + frame[1:6])

    def _write_many(self, name: int, frame: bytes) -> bytes | None:
        start, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        if frame[6] != 2 * count:
            return refusal(name, WRITE_MANY, BAD_COUNT)
        if not self._readable(start, count):
            return None if self.spec.outside == "silent" else refusal(name, WRITE_MANY, BAD_ADDRESS)
        for number in range(count):
            self._set(start + number, int.from_bytes(frame[7 + 2 * number : 9 + 2 * number], "big"))
        return sealed(bytes((name,)) + frame[1:6])

    def _set(self, register: int, value: int) -> None:
        self.words[register] = value
        if register in self.spec.effects:
            other, bit = self.spec.effects[register]
            before = self.words.get(other, 0)
            self.words[other] = before | (1 << bit) if value else before & ~(1 << bit)
