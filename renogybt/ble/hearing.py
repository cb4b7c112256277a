"""What is heard around an adapter, and whether anything is. Pure: the time is an argument, in seconds of the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from renogybt.devices.module import NAMES

REMEMBERED, MOST = 120.0, 256
"""Seconds for which it is known what was heard, and of how many devices at most."""
SILENCE = 2.0
"""Seconds of scanning in which nothing at all was heard that count as a silent scan."""
QUIET = 90.0
"""Seconds without anything after which a scan that has no end is taken for broken, and begun anew."""
UNKNOWN = -127
"""What bleak calls the signal strength (dBm) of a device that was not heard."""


class Heard(NamedTuple):
    """The last advertisement of a device. `rssi` in dBm, `at` in seconds of the event loop."""

    name: str
    rssi: int
    at: float


class Hearing:
    """`heard`: lately, by address. `silent_scans`: scans in a row in which nobody was heard at all."""

    def __init__(self) -> None:
        self.heard: dict[str, Heard] = {}
        self.silent_scans = 0
        self._last = 0.0

    def take(self, address: str, name: str, rssi: int, now: float) -> None:
        if rssi == UNKNOWN:
            return
        self._last, self.silent_scans = now, 0
        if address in self.heard or len(self.heard) < 2 * MOST:
            self.heard.pop(address, None)
            self.heard[address] = Heard(name, rssi, now)

    def forget_old(self, now: float) -> None:
        self.heard = {address: heard for address, heard in self.heard.items() if now - heard.at < REMEMBERED}
        for address in list(self.heard)[:-MOST]:
            del self.heard[address]

    def is_quiet(self, began: float, now: float) -> bool:
        """Whether a scan that began at that moment hears nothing any more."""
        return now - max(self._last, began) >= QUIET

    def judge(self, began: float, exhausted: bool, now: float) -> None:
        """A scan has ended. `exhausted`: it ran as long as it was to."""
        if self._last >= began and not self.is_quiet(began, now):
            self.silent_scans = 0
        elif now - began >= SILENCE or exhausted:
            self.silent_scans += 1


def lookalikes(names: Mapping[str, str]) -> str:
    """A sentence for the user whose module was not heard: what was instead, its names by address."""
    like = [f"{name.strip()} ({address})" for address, name in names.items() if name.startswith(NAMES)]
    return f"These look like Renogy modules: {', '.join(like)}." if like else "No module with a Renogy name was heard."
