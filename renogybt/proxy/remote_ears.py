"""What an ESPHome proxy hears on the air: who is there, how loud, under which name. Bytes in, no socket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MOST = 256
"""Devices remembered; phones and the like change their address every quarter of an hour."""
SHORT_NAME, NAME = 0x08, 0x09


@dataclass(slots=True)
class Heard:
    """A device, as its last advertisement shows it. `at` in seconds of the event loop, `address_type` 0 public, 1 random."""

    at: float
    rssi: int
    address_type: int
    name: str = ""


class Ears:
    """`known` holds what was heard, by address as a number. `keep` are addresses that are never forgotten."""

    def __init__(self) -> None:
        self.known: dict[int, Heard] = {}
        self.keep: set[int] = set()

    def take(self, advertisements: Iterable[Any], now: float) -> None:
        """A batch of raw advertisements."""
        known = self.known
        for advertisement in advertisements:
            heard = known.get(advertisement.address)
            if heard is None:
                if len(known) >= MOST:
                    self._forget()
                heard = known[advertisement.address] = Heard(now, advertisement.rssi, advertisement.address_type)
            else:
                heard.at, heard.rssi, heard.address_type = now, advertisement.rssi, advertisement.address_type
            if not heard.name:
                heard.name = name_in(advertisement.data)

    def named(self, name: str, since: float) -> int | None:
        """The address of the device that advertised under this name after that moment."""
        return next((address for address, heard in self.known.items() if heard.name == name and heard.at >= since), None)

    def others(self, since: float, *but: int | None) -> dict[int, Heard]:
        return {address: heard for address, heard in self.known.items() if heard.at >= since and address not in but}

    def _forget(self) -> None:
        """The one silent for longest."""
        loose = [(heard.at, address) for address, heard in self.known.items() if address not in self.keep]
        if loose:
            del self.known[min(loose)[1]]


def name_in(data: bytes) -> str:
    """The name in an advertisement, without the spaces some modules pad it with; "" when there is none or it is broken."""
    at = 0
    while at + 1 < len(data):
        length, kind = data[at], data[at + 1]
        if kind in (SHORT_NAME, NAME) and at + 1 + length <= len(data):
            return data[at + 2 : at + 1 + length].decode("utf-8", "replace").strip(" \0")
        at += 1 + length
    return ""
