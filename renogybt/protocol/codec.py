"""Register bytes to values and back.

Every codec knows its `size` in bytes, its resolution in decimals (`decimals`, None for non-numbers) and both ways.
`decode` takes exactly `size` bytes and returns None for "the device has no such value"; a wrong size raises `ValueError`.
`encode` writes into a copy of the bytes already there, so that several rows can share a word. All words are high byte first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Codec(Protocol):
    @property
    def size(self) -> int: ...

    @property
    def decimals(self) -> int | None: ...

    def decode(self, data: bytes) -> Any: ...

    def encode(self, value: Any, data: bytes) -> bytes: ...


def _check(data: bytes, size: int) -> None:
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes where {size} are due")


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number counted in steps of 1 / `per`; `absent` is the raw word that means "no such value"."""

    size: int = 2
    signed: bool = False
    per: int = 1
    absent: int | None = None

    @property
    def decimals(self) -> int | None:
        return len(str(self.per)) - 1

    def decode(self, data: bytes) -> int | float | None:
        _check(data, self.size)
        if self.absent is not None and int.from_bytes(data, "big") == self.absent:
            return None
        raw = int.from_bytes(data, "big", signed=self.signed)
        return raw / self.per if self.per > 1 else raw

    def encode(self, value: Any, data: bytes) -> bytes:
        raw: int = self.absent if value is None and self.absent is not None else round(value * self.per)
        if raw == self.absent:
            return raw.to_bytes(self.size, "big")
        return raw.to_bytes(self.size, "big", signed=self.signed)


@dataclass(frozen=True, slots=True)
class SignMagnitude:
    """One byte: bit 7 is the minus sign, bits 0-6 the size. 0x81 is -1 (ROVER document; a unit at -0.6 °C)."""

    size: int = 1
    decimals: int | None = 0

    def decode(self, data: bytes) -> int:
        _check(data, 1)
        size = data[0] & 0x7F
        return -size if data[0] & 0x80 else size

    def encode(self, value: Any, data: bytes) -> bytes:
        size = min(127, round(abs(value)))
        return bytes((size | (0x80 if value < 0 and size else 0),))


@dataclass(frozen=True, slots=True)
class Choice:
    """A code that stands for a word. A code without a word reads `unknown (9)`: never hidden, never guessed.

    `mask` cuts the code out of the number after shifting right by `shift`. `absent` is the code for "no such value".
    """

    names: Mapping[int, str]
    size: int = 2
    shift: int = 0
    mask: int = 0xFFFF
    decimals: int | None = None
    absent: int | None = None

    @property
    def options(self) -> list[str]:
        return list(dict.fromkeys(self.names.values()))

    def decode(self, data: bytes) -> str | None:
        _check(data, self.size)
        code = (int.from_bytes(data, "big") >> self.shift) & self.mask
        if self.absent is not None and code == self.absent:
            return None
        return self.names.get(code, f"unknown ({code})")

    def encode(self, value: Any, data: bytes) -> bytes:
        code = self.absent if value is None else next((c for c, name in self.names.items() if name == value), None)
        if code is None:
            raise ValueError(f"{value!r} is none of {', '.join(self.names.values())}")
        width = self.mask & ((1 << (8 * self.size - self.shift)) - 1)
        kept = int.from_bytes(data, "big") & ~(width << self.shift)
        return (kept | code << self.shift).to_bytes(self.size, "big")


@dataclass(frozen=True, slots=True)
class Part:
    """An unsigned number inside a word: (word >> shift) & mask."""

    mask: int
    shift: int = 0
    size: int = 2
    decimals: int | None = 0

    def decode(self, data: bytes) -> int:
        _check(data, self.size)
        return (int.from_bytes(data, "big") >> self.shift) & self.mask

    def encode(self, value: Any, data: bytes) -> bytes:
        kept = int.from_bytes(data, "big") & ~(self.mask << self.shift)
        return (kept | (int(value) & self.mask) << self.shift).to_bytes(self.size, "big")


@dataclass(frozen=True, slots=True)
class Bit:
    """One bit as true or false."""

    bit: int
    size: int = 2
    decimals: int | None = None

    def decode(self, data: bytes) -> bool:
        _check(data, self.size)
        return bool(int.from_bytes(data, "big") >> self.bit & 1)

    def encode(self, value: Any, data: bytes) -> bytes:
        kept = int.from_bytes(data, "big") & ~(1 << self.bit)
        return (kept | int(bool(value)) << self.bit).to_bytes(self.size, "big")


@dataclass(frozen=True, slots=True)
class NotZero:
    """True unless the word is 0; `absent` is the word that means "no such value"."""

    size: int = 2
    absent: int | None = None
    decimals: int | None = None

    def decode(self, data: bytes) -> bool | None:
        _check(data, self.size)
        raw = int.from_bytes(data, "big")
        return None if raw == self.absent else raw != 0

    def encode(self, value: Any, data: bytes) -> bytes:
        raw: int = self.absent if value is None and self.absent is not None else int(bool(value))
        return raw.to_bytes(self.size, "big")


@dataclass(frozen=True, slots=True)
class Flags:
    """Bits with names: the list of those that are set, in the order of `names`.

    A set bit without a name reads `unknown (bit n)`, unless `others` says that the rest of the word means something else.
    """

    names: Mapping[int, str]
    size: int = 2
    others: bool = False
    decimals: int | None = None

    def decode(self, data: bytes) -> list[str]:
        _check(data, self.size)
        word = int.from_bytes(data, "big")
        known = [name for bit, name in self.names.items() if word >> bit & 1]
        rest = () if self.others else (bit for bit in range(8 * self.size) if bit not in self.names)
        return known + [f"unknown (bit {bit})" for bit in rest if word >> bit & 1]

    def encode(self, value: Any, data: bytes) -> bytes:
        word = int.from_bytes(data, "big")
        for bit, name in self.names.items():
            word = word | 1 << bit if name in value else word & ~(1 << bit)
        return word.to_bytes(self.size, "big")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two-bit codes packed from the lowest bits up: the list of `size` x 4 codes (0 normal, 1 low, 2 high, 3 other)."""

    size: int = 4
    decimals: int | None = None

    def decode(self, data: bytes) -> list[int]:
        _check(data, self.size)
        word = int.from_bytes(data, "big")
        return [word >> 2 * n & 3 for n in range(4 * self.size)]

    def encode(self, value: Any, data: bytes) -> bytes:
        word: int = sum((code & 3) << 2 * n for n, code in enumerate(value))
        return word.to_bytes(self.size, "big")


@dataclass(frozen=True, slots=True)
class Text:
    """ASCII, padded with spaces or NULs on either side; bytes that are no ASCII text are left out. None when empty."""

    size: int
    decimals: int | None = None

    def decode(self, data: bytes) -> str | None:
        _check(data, self.size)
        text = "".join(chr(byte) for byte in data if 32 <= byte < 127).strip()
        return text or None

    def encode(self, value: Any, data: bytes) -> bytes:
        return str(value or "").encode("ascii", "replace")[: self.size].ljust(self.size, b"\0")


@dataclass(frozen=True, slots=True)
class Version:
    """Four bytes, the first unused: 00 03 02 01 is V03.02.01."""

    size: int = 4
    decimals: int | None = None

    def decode(self, data: bytes) -> str:
        _check(data, 4)
        return "V" + ".".join(f"{byte:02d}" for byte in data[1:])

    def encode(self, value: Any, data: bytes) -> bytes:
        return bytes((0, *(int(part) for part in value.lstrip("V").split("."))))


@dataclass(frozen=True, slots=True)
class Split:
    """Two ways to count one word, told apart by its size: below `limit` in 1/`below`, from there on in 1/`above`.

    `encode` counts in 1/`below`, the way that is proven.
    """

    limit: int
    below: int
    above: int
    size: int = 2

    @property
    def decimals(self) -> int | None:
        return len(str(self.below)) - 1

    def decode(self, data: bytes) -> float:
        _check(data, self.size)
        raw = int.from_bytes(data, "big")
        return raw / (self.below if raw < self.limit else self.above)

    def encode(self, value: Any, data: bytes) -> bytes:
        raw: int = round(value * self.below)
        return raw.to_bytes(self.size, "big")


@dataclass(frozen=True, slots=True)
class MaybeSwapped:
    """A small count some firmware sends low byte first: swapped when the word is over 255 and its low byte is 0."""

    size: int = 2
    decimals: int | None = 0

    def decode(self, data: bytes) -> int:
        _check(data, 2)
        return data[0] if data[0] and not data[1] else int.from_bytes(data, "big")

    def encode(self, value: Any, data: bytes) -> bytes:
        return bytes((value, 0)) if 0 < value < 256 else int(value).to_bytes(2, "big")


U8, U16, S16, U32 = Number(1), Number(), Number(signed=True), Number(4)
DECI, CENTI = Number(per=10), Number(per=100)
S_DECI, S_CENTI = Number(signed=True, per=10), Number(signed=True, per=100)
MILLI32 = Number(4, per=1000)
BYTE_TEMPERATURE = SignMagnitude()
