"""Modbus RTU frames as they travel inside GATT writes and notifications.

Unlike on a wire there are no silent intervals: an answer comes in pieces cut anywhere, possibly behind junk or behind an
answer meant for another master. A read answer names no register, so the only proof that a frame answers a request is unit,
function, byte count and CRC together, and that nothing else was outstanding.
"""

from __future__ import annotations

from dataclasses import dataclass

from renogybt.errors import BadFrame, Refused

READ, WRITE_ONE, WRITE_MANY = 0x03, 0x06, 0x10
UNIVERSAL = 255
"""Whoever is there answers, possibly with its own address."""
EXCEPTION = 0x80
MAX_WORDS = 125


def _table() -> tuple[int, ...]:
    rows = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        rows.append(value)
    return tuple(rows)


_CRC = _table()


def crc16(data: bytes) -> bytes:
    """The two check bytes of `data`, low byte first (polynomial 0xA001 reflected, start 0xFFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def sealed(body: bytes) -> bytes:
    """`body` with its CRC."""
    return body + crc16(body)


def intact(frame: bytes) -> bool:
    return len(frame) >= 4 and crc16(frame[:-2]) == frame[-2:]


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one unit; `frame` is what goes out."""

    unit: int
    function: int
    register: int
    words: int
    frame: bytes

    @property
    def answer_size(self) -> int:
        """Bytes of the complete, unexceptional answer."""
        return 5 + 2 * self.words if self.function == READ else 8

    def __str__(self) -> str:
        return f"unit {self.unit} register {self.register} (0x{self.register:04X}) x {self.words}"


def read(unit: int, register: int, words: int) -> Request:
    """Function 03: `words` registers from `register`."""
    if not 1 <= words <= MAX_WORDS:
        raise ValueError(f"a read asks for 1 to {MAX_WORDS} words, not {words}")
    body = bytes((unit, READ)) + register.to_bytes(2, "big") + words.to_bytes(2, "big")
    return Request(unit, READ, register, words, sealed(body))


def write(unit: int, register: int, value: int) -> Request:
    """Function 06: one register."""
    body = bytes((unit, WRITE_ONE)) + register.to_bytes(2, "big") + value.to_bytes(2, "big")
    return Request(unit, WRITE_ONE, register, 1, sealed(body))


def write_many(unit: int, register: int, data: bytes) -> Request:
    """Function 10h: `data` is whole words, high byte first."""
    words = len(data) // 2
    if len(data) % 2 or not 1 <= words <= MAX_WORDS - 2:
        raise ValueError("data must be whole words, at most 123")
    head = bytes((unit, WRITE_MANY)) + register.to_bytes(2, "big") + words.to_bytes(2, "big")
    return Request(unit, WRITE_MANY, register, words, sealed(head + bytes((len(data),)) + data))


def parse_request(frame: bytes) -> Request:
    """A request from its bytes (simulator, captured frames). Raises `BadFrame`."""
    if len(frame) < 8:
        raise BadFrame("short", f"a request has at least 8 bytes, these are {len(frame)}")
    if not intact(frame):
        raise BadFrame("crc", f"request with wrong checksum: {frame.hex()}")
    function, register = frame[1], int.from_bytes(frame[2:4], "big")
    if function not in (READ, WRITE_ONE, WRITE_MANY):
        raise BadFrame("function", f"function {function} is not one of 3, 6, 16")
    words = 1 if function == WRITE_ONE else int.from_bytes(frame[4:6], "big")
    return Request(frame[0], function, register, words, frame)


def payload_of(request: Request, frame: bytes) -> bytes:
    """The data bytes of `frame` if it is the whole and sound answer to `request`.

    For a read the registers' bytes; for a write the acknowledged register and value (4 bytes). Raises `Refused` for an
    exception reply and `BadFrame` for anything else. A write may be acknowledged under another register (the ROVER document
    answers 0x010A with 0x0100); unit, function, value and CRC must match.
    """
    if len(frame) < 5:
        raise BadFrame("short", f"{len(frame)} bytes are no frame: {frame.hex()}")
    function, size = frame[1], _size(request, frame)
    if function & ~EXCEPTION != request.function:
        raise BadFrame("function", f"function {function} answers no function {request.function}: {frame.hex()}")
    if len(frame) < size:
        raise BadFrame("short", f"{len(frame)} of {size} bytes: {frame.hex()}")
    if len(frame) > size:
        raise BadFrame("length", f"{len(frame)} bytes where {size} were due: {frame.hex()}")
    if request.unit not in (UNIVERSAL, frame[0]):
        raise BadFrame("address", f"unit {frame[0]} answered for unit {request.unit}: {frame.hex()}")
    if not intact(frame):
        raise BadFrame("crc", f"wrong checksum: {frame.hex()}")
    if function & EXCEPTION:
        raise Refused(frame[0], request.function, frame[2])
    if request.function == READ:
        if frame[2] != 2 * request.words:
            raise BadFrame("length", f"{frame[2]} data bytes where {2 * request.words} were asked for")
        return frame[3:-2]
    if frame[4:6] != request.frame[4:6]:
        raise BadFrame("length", f"acknowledged {frame[4:6].hex()} where {request.frame[4:6].hex()} was written")
    return frame[2:6]


def _size(request: Request, frame: bytes) -> int:
    return 5 if frame[1] & EXCEPTION else request.answer_size


def find_answer(request: Request, buffer: bytes) -> bytes | None:
    """The last sound answer to `request` inside `buffer`, or None while there is none.

    Looks behind leading junk and past foreign or damaged frames; an exception reply is an answer too.
    """
    function, found, end = request.function, None, -1
    if len(buffer) < request.answer_size and function | EXCEPTION not in buffer:
        return None  # as after each piece of an answer but the last
    for start in range(len(buffer) - 4):
        code = buffer[start + 1]
        if code & ~EXCEPTION != function or request.unit not in (UNIVERSAL, buffer[start]):
            continue
        if code == READ and buffer[start + 2] != 2 * request.words:
            continue
        stop = start + (5 if code & EXCEPTION else request.answer_size)
        if stop > len(buffer) or stop <= end or not intact(buffer[start:stop]):
            continue
        if code in (WRITE_ONE, WRITE_MANY) and buffer[start + 4 : start + 6] != request.frame[4:6]:
            continue
        found, end = bytes(buffer[start:stop]), stop
    return found


def explain(request: Request, buffer: bytes) -> BadFrame | None:
    """Why `buffer`, collected until the time was up, holds no answer; None when nothing came at all."""
    if not buffer:
        return None
    for start in range(len(buffer) - 2):
        if buffer[start + 1] & ~EXCEPTION != request.function:
            continue
        size = 5 if buffer[start + 1] & EXCEPTION else 5 + buffer[start + 2] if request.function == READ else 8
        frame = bytes(buffer[start : start + size])
        if len(frame) == size and intact(frame):
            if request.unit not in (UNIVERSAL, frame[0]):
                return BadFrame("address", f"unit {frame[0]} answered instead of unit {request.unit}")
            return BadFrame("length", f"an answer of {frame[2]} bytes where {2 * request.words} were asked for")
        if request.unit in (UNIVERSAL, buffer[start]):
            reason = "crc" if len(frame) == size else "short"
            return BadFrame(reason, f"{'damaged' if reason == 'crc' else 'incomplete'} answer: {frame.hex()}")
    return BadFrame("function", f"{len(buffer)} bytes that are no answer: {bytes(buffer[:40]).hex()}")
