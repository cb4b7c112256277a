"""One Bluetooth adapter: who may use the air, and finding devices.

Scanning and connecting at the same time breaks Broadcom chips, and two connection attempts abort each other, so either one
scan or one attempt runs. A scan serves everyone who looks for something, and gives way to a connection attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from renogybt.ble.bounded import bounded
from renogybt.ble.faults import TRANSIENT, translate
from renogybt.errors import LinkError, NotFound

log = logging.getLogger(__name__)
START_LIMIT = STOP_LIMIT = 5.0
"""Seconds that switching the scan on or off may take."""
LINGER = 1.0
"""Seconds a scan lasts although somebody waits to connect, while others are still looked for: one scan then serves all."""


@dataclass(eq=False)
class Wanted:
    """Somebody looks for a device; `budget` seconds of scanning are left for it."""

    matches: Callable[[BLEDevice], bool]
    budget: float
    found: asyncio.Future[BLEDevice | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Adapter:
    def __init__(self, name: str) -> None:
        self.name = name
        self.scans = 0
        self.seen: dict[str, tuple[str, int]] = {}
        """Address -> name and signal strength (dBm) of everything heard in the last scan."""
        self._air = asyncio.Lock()
        self._wanted: list[Wanted] = []
        self._connecting = 0
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._scanner: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[None]:
        """Hold the air for one connection attempt; a running scan stops first."""
        self._connecting += 1
        self._idle.clear()
        self._changed.set()
        try:
            async with self._air:
                yield
        finally:
            self._connecting -= 1
            if not self._connecting:
                self._idle.set()

    async def find(self, matches: Callable[[BLEDevice], bool], seconds: float) -> BLEDevice | None:
        """The first device that `matches`, or None after `seconds` of scanning. Raises `LinkError` when scanning fails."""
        wanted = Wanted(matches, seconds)
        self._wanted.append(wanted)
        self._changed.set()
        if self._scanner is None or self._scanner.done():
            self._scanner = asyncio.create_task(self._serve())
        try:
            return await wanted.found
        finally:
            if wanted in self._wanted:
                self._wanted.remove(wanted)
            self._changed.set()

    async def close(self) -> None:
        if self._scanner:
            self._scanner.cancel()
            await asyncio.wait({self._scanner}, timeout=START_LIMIT + STOP_LIMIT)

    async def _serve(self) -> None:
        """Scan in slices while somebody looks for something. Nobody is left waiting, whatever ends this."""
        try:
            while self._wanted:
                await self._idle.wait()
                async with self._air:
                    if not self._connecting:
                        await self._slice()
        finally:
            self._give_up(NotFound("scanning ended"))

    def _give_up(self, error: LinkError) -> None:
        for wanted in self._wanted:
            if not wanted.found.done():
                wanted.found.set_exception(error)

    async def _slice(self) -> None:
        """Scan until something wanted is seen, somebody wants to connect, or a budget is used up."""
        loop = asyncio.get_running_loop()
        options: BlueZScannerArgs = {"adapter": self.name} if self.name else {}
        scanner = BleakScanner(self._heard, bluez=options)
        self.scans += 1
        self.seen.clear()
        began = loop.time()
        try:
            await bounded(scanner.start(), START_LIMIT, "starting to scan")
            try:
                began = loop.time()
                await self._wait_for_news(began)
            finally:
                await bounded(scanner.stop(), STOP_LIMIT, "ending the scan")
        except (*TRANSIENT, LinkError) as error:
            self._give_up(translate(error, "scanning"))
        spent = loop.time() - began
        for wanted in self._wanted:
            wanted.budget -= spent
            if wanted.budget <= 0.01 and not wanted.found.done():
                wanted.found.set_result(None)
        self._wanted = [wanted for wanted in self._wanted if not wanted.found.done()]

    async def _wait_for_news(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        while missing := [wanted for wanted in self._wanted if not wanted.found.done()]:
            now = loop.time()
            left = began + min(wanted.budget for wanted in missing) - now
            if self._connecting or len(missing) < len(self._wanted):
                left = min(left, began + LINGER - now)
            if left <= 0:
                return
            self._changed.clear()
            await asyncio.wait({waiter := asyncio.ensure_future(self._changed.wait())}, timeout=left)
            waiter.cancel()

    def _heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.seen[device.address] = (device.name or "", advertisement.rssi)
        for wanted in self._wanted:
            if not wanted.found.done() and wanted.matches(device):
                wanted.found.set_result(device)
                self._changed.set()


def signal_strength(device: Any) -> int | None:
    """dBm of the last advertisement, where the platform tells."""
    details = getattr(device, "details", None)
    props = details.get("props", {}) if isinstance(details, dict) else {}
    value = props.get("RSSI")
    return int(value) if value is not None else None
