"""Frames of the ESPHome native API without encryption: bytes in, messages out, no socket in sight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

LIMIT = 32768
"""Bytes of one message that a client may send; the firmware's own limit. The largest real one has a few hundred."""
LONGEST_VARINT = 4
PLAIN, ENCRYPTED = 0x00, 0x01
"""First byte of every frame, from which both sides see whether the other encrypts."""
PROTOCOL = "Noise_NNpsk0_25519_ChaChaPoly_SHA256"
"""The way of encrypting, where there is any."""
BAD_INDICATOR = "Bad indicator byte"
Packet = tuple[int, bytes]
"""The number of a message and its content."""


@dataclass(frozen=True, slots=True)
class Fed:
    """What came of some bytes. `reply` is to be sent; `fault` says why the connection is to be closed after it."""

    packets: list[Packet]
    reply: bytes = b""
    fault: str = ""


class Framing(Protocol):
    """One side of one connection. After a fault nothing is taken any more."""

    @property
    def ready(self) -> bool:
        """Whether messages may be sent."""
        ...

    def feed(self, data: bytes) -> Fed:
        """Take bytes as they arrive, in pieces of any size."""
        ...

    def encode(self, packets: Iterable[Packet]) -> bytes:
        """The bytes that carry these messages."""
        ...


class Malformed(Exception):
    """The bytes are no frame. `reply` tells the other side in a way it understands."""

    def __init__(self, why: str, reply: bytes = b"") -> None:
        super().__init__(why)
        self.reply = reply


class Plain:
    """Frames of `00 | length | number | content`, length and number as varints."""

    ready = True

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._fault = ""

    def feed(self, data: bytes) -> Fed:
        packets: list[Packet] = []
        reply = b""
        if not self._fault:
            self._buffer += data
            start = 0
            try:
                while (found := _next(self._buffer, start)) is not None:
                    packet, start = found
                    packets.append(packet)
            except Malformed as error:
                self._fault, reply, start = str(error), error.reply, len(self._buffer)
            del self._buffer[:start]
        return Fed(packets, reply, self._fault)

    def encode(self, packets: Iterable[Packet]) -> bytes:
        out = bytearray()
        for number, content in packets:
            out.append(PLAIN)
            out += varint(len(content))
            out += varint(number)
            out += content
        return bytes(out)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _next(buffer: bytearray, start: int) -> tuple[Packet, int] | None:
    """The frame that begins at `start` and where it ends; None while a part of it is missing. Raises `Malformed`."""
    if start >= len(buffer):
        return None
    if buffer[start] != PLAIN:
        # An encrypting client needs three bytes, the first of them 00, to see that this side does not encrypt.
        raise Malformed(_stranger(buffer[start]), bytes([PLAIN]) + BAD_INDICATOR.encode())
    length = _varint(buffer, start + 1)
    if length is None:
        return None
    if length[0] > LIMIT:
        raise Malformed(f"it announced a message of {length[0]} bytes, more than {LIMIT}")
    number = _varint(buffer, length[1])
    if number is None:
        return None
    end = number[1] + length[0]
    if end > len(buffer):
        return None
    return (number[0], bytes(buffer[number[1] : end])), end


def _varint(buffer: bytearray, start: int) -> tuple[int, int] | None:
    """The number that begins at `start` and where it ends; None while a part of it is missing. Raises `Malformed`."""
    value = 0
    for place in range(LONGEST_VARINT):
        if start + place >= len(buffer):
            return None
        byte = buffer[start + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, start + place + 1
    raise Malformed("a number in the head of a frame is too long")


def _stranger(byte: int) -> str:
    if byte == ENCRYPTED:
        return "it encrypts, but this bridge has no encryption_key; delete the key there, or set it here"
    return f"it does not speak the ESPHome native API (first byte {byte:#04x})"
