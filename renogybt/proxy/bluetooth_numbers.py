"""What Bluetooth itself numbers, as ESPHome's API hands it on: addresses, and what a characteristic can do."""

from __future__ import annotations

from types import MappingProxyType

PROPERTIES = MappingProxyType(
    {
        "broadcast": 0x01,
        "read": 0x02,
        "write-without-response": 0x04,
        "write": 0x08,
        "notify": 0x10,
        "indicate": 0x20,
        "authenticated-signed-writes": 0x40,
        "extended-properties": 0x80,
    }
)
"""By bleak's names."""


def number_of(address: str) -> int:
    return int(address.replace(":", ""), 16)


def address_of(number: int) -> str:
    return ":".join(f"{octet:02X}" for octet in (number & (1 << 48) - 1).to_bytes(6, "big"))
