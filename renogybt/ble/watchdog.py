"""Watches over the adapter and bluetoothd, and mends what can be mended."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from renogybt.ble.adapters import Adapters
from renogybt.ble.bus import Bus
from renogybt.ble.ladder import Ladder
from renogybt.ble.observed import Observed
from renogybt.ble.resets import Resets
from renogybt.ble.suspend import Suspend
from renogybt.ble.teller import Teller
from renogybt.ble.treatment import FAULTS, Treatment, plain
from renogybt.incident import Incident
from renogybt.settings import Watchdog as Settings

if TYPE_CHECKING:
    from renogybt.ble.view import ManagerView

log = logging.getLogger(__name__)
SLICE = 2.0
"""Seconds between two thoughts about what is known already. BlueZ is asked every `interval`, and when there are news."""
RECONNECT = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds until the next attempt to reach the D-Bus."""
RETURN_LIMIT = 15.0
"""Seconds that a new bluetoothd is asked twice a second for its adapters."""


Check = tuple[str, Callable[[], Awaitable[None]]]


class Watchdog:
    """`run()` for ever in the radio thread, until it is cancelled. `resets` outlives it."""

    def __init__(self, settings: Settings, view: ManagerView, resets: Resets, report: Callable[[Incident], None]) -> None:
        self._settings, self._view, self._resets = settings, view, resets
        self._news = asyncio.Event()
        self._observed = Observed(time.monotonic, self._news.set)
        self._bus = Bus(self._observed)
        self._treatment = Treatment(view, self._bus, self._observed, settings.rfkill)
        self._teller = Teller(report, resets.memory.said)
        self._adapters = Adapters(settings, view, self._bus, self._observed, self._treatment, self._teller, resets.memory)
        self._ladder = Ladder(settings, resets, self._adapters, self._treatment, self._teller)
        self._suspend = Suspend()
        self._attempts = 0
        self._returning = ""
        self._returned_at = 0.0

    async def run(self) -> None:
        if not self._settings.enabled or sys.platform != "linux":
            return
        try:
            while True:
                error = await _outcome(self._watch())
                self._teller.tell(logging.ERROR, "thread", f"the Bluetooth watchdog failed and starts anew: {error!r}")
                await asyncio.sleep(min(self._settings.interval, 5.0))
        finally:
            await self._bus.close()

    def shut(self) -> None:
        """Shut the D-Bus socket down. For another thread, when this one is wedged; never blocks, never raises."""
        with suppress(OSError):
            self._bus.shut()

    async def _watch(self) -> None:
        look_at = 0.0
        while True:
            if self._news.is_set() or time.monotonic() >= look_at:
                self._news.clear()
                await self._guard(("asking BlueZ", self._look))
                look_at = time.monotonic() + self._until_next_look()
            await self._guard(
                ("noticing sleep", self._check_sleep),
                ("watching bluetoothd", self._check_owner),
                ("watching the power", self._adapters.check_power),
                ("the diagnosis", self._check_health),
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(min(SLICE, self._settings.interval, max(0.0, look_at - time.monotonic()))):
                    await self._news.wait()

    async def _guard(self, *checks: Check) -> None:
        """One check that fails must not end the others. As long as none does they share a task: each costs the processor
        more than what it is for."""
        left = deque(checks)
        while left:
            error = await _outcome(self._go_through(left))
            what, _ = left.popleft() if left else ("", None)
            if error is not None:
                text = f"the Bluetooth watchdog failed at {what} and goes on: {error!r}"
                self._teller.once(f"check {what}", logging.ERROR, "thread", text)

    async def _go_through(self, left: deque[Check]) -> None:
        """Takes out of `left` what went well."""
        while left:
            what, check = left[0]
            await check()
            self._teller.over(f"check {what}")
            left.popleft()

    # What is

    async def _look(self) -> None:
        """Ask for all that signals may have left out."""
        if not self._bus.connected:
            await self._connect()
        if not self._bus.connected:
            return
        try:
            self._observed.owner_changed(await self._bus.owner())
        except FAULTS as error:
            log.debug("asking who is org.bluez: %s", error)
            return
        if self._observed.owner:
            await self._adapters.ask(quiet=self._is_returning)

    async def _connect(self) -> None:
        try:
            await self._bus.open()
        except FAULTS as error:
            self._attempts += 1
            if self._attempts > 1:
                text = f"{plain(error)}; without it nobody watches over Bluetooth"
                self._teller.once("bus", logging.WARNING, "bluetoothd", text)
        else:
            self._attempts = 0
            self._teller.over("bus")

    def _until_next_look(self) -> float:
        interval = self._settings.interval
        if not self._bus.connected:
            return min(interval, RECONNECT[self._attempts]) if self._attempts < len(RECONNECT) else interval
        return min(interval, 0.5) if self._is_returning or self._adapters.unsure else interval

    @property
    def _is_returning(self) -> bool:
        """A new bluetoothd has just begun, and has no adapters yet."""
        fresh = self._observed.changed_owner or (self._returning and time.monotonic() - self._returned_at < RETURN_LIMIT)
        return bool(fresh)

    # What is done at once

    async def _check_sleep(self) -> None:
        slept = self._suspend.slept()
        if slept:
            await self._lose(f"this machine slept for {slept:.0f} s")
            self._teller.tell(
                logging.INFO, "drop_bus", f"this machine slept for {slept:.0f} s; connections are made anew", "hasten"
            )
            self._news.set()

    async def _check_owner(self) -> None:
        """Another bluetoothd knows nothing of what the one before promised, and bleak does not notice."""
        observed = self._observed
        if observed.lost_bus and self._bus.connected and observed.owner is not None:
            observed.lost_bus, observed.changed_owner = False, True
            self._returning = "the D-Bus daemon was restarted; connections are made anew"
        if observed.changed_owner:
            observed.changed_owner = False
            if observed.owner:
                self._returning = self._returning or "bluetoothd was restarted; connections are made anew"
                self._returned_at = time.monotonic()
            else:
                self._returning = ""
                text = "bluetoothd is not running; waiting for it (systemctl status bluetooth tells why)"
                self._teller.once("gone", logging.WARNING, "bluetoothd", text)
            await self._lose("bluetoothd is not the one it was")
        if self._returning and observed.owner and any(seen.powered for seen in observed.adapters.values()):
            text, self._returning = self._returning, ""
            self._teller.over("gone")
            self._teller.tell(logging.INFO, "bluetoothd", text, "hasten")

    async def _check_health(self) -> None:
        if self._observed.owner is not None:
            await self._ladder.climb()

    async def _lose(self, why: str) -> None:
        if failed := await self._treatment.lose_everything(why):
            log.warning("dropping all connections: %s", failed)


async def _outcome(work: Awaitable[None]) -> BaseException | None:
    """The exception that `work` ended with, None when it ended well. Cancelled when the caller is."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=10)
        raise
    return task.exception() if not task.cancelled() else None
