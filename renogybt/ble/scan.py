"""Our one scan on an adapter: begin it, end it, and get rid of one that got stuck."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError

from renogybt.ble import bluez
from renogybt.ble.bleak_bus import stop_discovery
from renogybt.ble.bounded import bounded
from renogybt.ble.bus import BusError
from renogybt.ble.faults import TRANSIENT, bluez_is_gone, says, text_of, translate
from renogybt.errors import LinkError, Wedged
from renogybt.incident import Incident, Kind

log = logging.getLogger(__name__)
START_LIMIT = 5.0
STOP_LIMIT, FREE_LIMIT = 2.5, 1.5
"""Seconds that ending a scan may take, and then that the second word to end it may take: with the grace of cancelled calls
five, within which an attempt to find a module cleans up."""
ATTEMPTS = 3
PAUSE = 1.0
QUIET = 600.0
"""Seconds for which the same remedy is not logged again."""
ELSEWHERE = ("NotReady", "Blocked", "ServiceUnknown", "AccessDenied", "UnknownObject", "NoReply")
"""Marks of a scan that did not begin for want of power, permission, an adapter or BlueZ: others look after those."""
FLAGS = 0x01
PATTERNS = [(0, FLAGS, bytes((flags,))) for flags in (0x06, 0x04, 0x05, 0x02, 0x1A)]
"""What BlueZ is to listen for passively: devices that say what they can do, which nearly all begin with."""
Hear = Callable[[BLEDevice, AdvertisementData], None]


class Manner(NamedTuple):
    """`passive`: without asking devices for more than they say by themselves. `repeats`: tell also of advertisements that
    say nothing new.
    """

    passive: bool = False
    repeats: bool = False


FIND = Manner()
"""As needed to find a device."""


class Scan:
    """`since`: when the scan that BlueZ has from us began (seconds of the event loop). It stays set until BlueZ has
    confirmed the end, because a scan whose end is unanswered goes on and makes every later one fail. `failed`: scans in a
    row that could not be begun or ended.
    """

    def __init__(self, hear: Hear, report: Callable[[Incident], None]) -> None:
        self.since: float | None = None
        self.failed = 0
        self._hear, self._report = hear, report
        self._scanner: BleakScanner | None = None
        self._told: dict[Kind, float] = {}

    async def start(self, adapter: str, manner: Manner = FIND) -> None:
        """Raises `LinkError`."""
        for attempt in range(1, ATTEMPTS + 1):
            scanner = self._make(adapter, manner)
            before, self.since = self.since, self.since or asyncio.get_running_loop().time()
            try:
                await bounded(scanner.start(), START_LIMIT, "starting to scan")
                self._scanner, self.since = scanner, asyncio.get_running_loop().time()
                return
            except (*TRANSIENT, LinkError) as error:
                unanswered = isinstance(error, TimeoutError | Wedged)
                if not unanswered:
                    self.since = before
                if attempt < ATTEMPTS and await self._mend(error, adapter, attempt):
                    continue
                self.failed += unanswered or (isinstance(error, BleakDBusError) and not says(error, *ELSEWHERE))
                raise translate(error, "scanning") from error

    def _make(self, adapter: str, manner: Manner) -> BleakScanner:
        options: dict[str, Any] = {"adapter": adapter} if adapter else {}
        if manner.passive:
            options["or_patterns"] = PATTERNS
        elif manner.repeats:
            options["filters"] = {"DuplicateData": True}
        mode = "passive" if manner.passive else "active"
        return BleakScanner(self._hear, scanning_mode=mode, bluez=options)  # type: ignore[arg-type]

    async def stop(self, adapter: str) -> None:
        """End the scan, or at least rid BlueZ of it. Raises `Wedged`, nothing else."""
        scanner, self._scanner = self._scanner, None
        if scanner is None:
            return
        try:
            await bounded(scanner.stop(), STOP_LIMIT, "ending the scan")
        except TRANSIENT as error:
            log.debug("ending the scan: %s", text_of(error))
            if bluez_is_gone(error):
                await self._forget()
            elif says(error, "No discovery started"):
                self.since = None
            else:
                self.failed += 1
                await self._free(adapter)
        else:
            self.since, self.failed = None, 0

    async def _mend(self, error: BaseException, adapter: str, attempt: int) -> bool:
        """Do something about a scan that did not begin. True: trying again makes sense."""
        if bluez_is_gone(error):
            await self._forget()
            return False
        if says(error, "InProgress") and await self._free(adapter):
            return True
        if attempt == 1 and says(error, "InProgress", "NotReady"):
            await asyncio.sleep(PAUSE)
            return True
        return attempt == 1 and isinstance(error, KeyError | AttributeError | AssertionError | EOFError)

    async def _free(self, adapter: str) -> bool:
        """Rid BlueZ of a scan that it still has from us. False when it has none: then somebody else is in the way."""
        try:
            ours = await stop_discovery(adapter, FREE_LIMIT)
        except LinkError as error:
            if not isinstance(error, BusError) or not error.name:  # no answer
                done = "closed the D-Bus connection it belongs to"
                self._tell("drop_bus", f"an earlier scan of ours could not be ended; {done}")
                await self._forget()
                return True
            log.debug("ending an earlier scan: %s", error)
            return False  # for all we know it goes on, and the watchdog is to see that
        self.since = None
        if ours:
            self._tell("stop_discovery", "an earlier scan of ours had got stuck; ended it")
        return ours

    async def _forget(self) -> None:
        await bluez.forget_everything()
        self.since = None

    def _tell(self, kind: Kind, text: str) -> None:
        now = asyncio.get_running_loop().time()
        fresh = now - self._told.get(kind, -QUIET) >= QUIET
        log.log(logging.WARNING if fresh else logging.DEBUG, "%s", text)
        if fresh:
            self._told[kind] = now
        self._report(Incident(kind, text))
