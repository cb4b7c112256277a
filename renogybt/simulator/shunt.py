"""The Smart Shunt's notifications: blocks it sends by itself."""

from __future__ import annotations

from renogybt import devices
from renogybt.simulator import instruments
from renogybt.simulator.plant import Plant

RECORDS = 25
SIZE = 8 + 4 * RECORDS + 2
TAGS = (
    (8, b"\xa0"),
    (12, b"\xa1"),
    (16, b"\xa2"),
    (20, b"\xa4"),
    (24, b"\xa6"),
    (28, b"\xa6\x10"),
    (32, b"\xa7\x00"),
    (36, b"\xa7\x10"),
    (64, b"\xad\x00"),
    (68, b"\xad\x10"),
)
"""Where each record begins, and with which tag and channel."""


class Stream:
    """What comes from the shunt of `plant`. It listens to nothing."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    def answer(self, frame: bytes | None) -> bytes | None:
        """The next block; writing to a shunt brings nothing."""
        return self.block() if frame is None else None

    def block(self) -> bytes:
        """A live block of 110 bytes, as it is now."""
        family = devices.family("shunt")
        data = bytearray(family.encode(0, SIZE, instruments.shunt(self._plant)))
        data[:4] = bytes((0x42, 0x57, 0x01, RECORDS))
        for at, tag in TAGS:
            data[at : at + len(tag)] = tag
        return bytes(data)
