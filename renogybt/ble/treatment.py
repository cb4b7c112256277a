"""The remedies themselves: what is done to an adapter, and whether it had an effect."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from renogybt.ble import rfkill
from renogybt.ble.bounded import bounded
from renogybt.ble.bus import Bus, BusError
from renogybt.ble.faults import TRANSIENT
from renogybt.ble.observed import Observed, Seen
from renogybt.errors import LinkError

if TYPE_CHECKING:
    from renogybt.ble.view import ManagerView

log = logging.getLogger(__name__)
FAULTS = (*TRANSIENT, LinkError)
EDGE_LIMIT = 5.0
"""Seconds an adapter may take to go on or off."""
UNBLOCK_LIMIT = 4.5
LOSE_LIMIT = 15.0
AIR_LIMIT = 8.0
"""Seconds to wait for a connection attempt to end before the adapter is switched off under it."""
BUSY_LIMIT = 3.0
TICK = 0.05
REST = 0.3
"""Seconds an adapter stays off."""
DENIED = "this user may not do that; docs/resilience.md says how to allow it"


class Treatment:
    """Each method returns "" when it worked, else why not."""

    def __init__(self, view: ManagerView, bus: Bus, observed: Observed, rfkill_path: str) -> None:
        self._view, self._bus, self._observed, self._rfkill = view, bus, observed, rfkill_path

    async def lose_everything(self, why: str) -> str:
        try:
            await bounded(self._view.lose_everything(why), LOSE_LIMIT, "dropping all connections")
        except FAULTS as error:
            return plain(error)
        return ""

    async def quiet(self) -> None:
        """Let a connection attempt end, if it does so soon."""
        await _until(lambda: not self._view.busy, BUSY_LIMIT)

    async def power_cycle(self, name: str) -> str:
        """Off and on again. It counts only when both were seen: BlueZ says yes also when it does nothing."""
        async with self._air(name):
            missed = await self._attempt(name, False) if self._powered(name) else ""
            await asyncio.sleep(REST)
            missed = await self._attempt(name, True) or missed
            if seen := self._observed.adapters.get(name):
                seen.went_off = False
            return missed

    async def power_on(self, name: str) -> str:
        """Switch on, and lift a block first if there is one."""
        seen = self._observed.adapters.get(name)
        if seen is not None and seen.blocked and (why := await self._unblock(name)):
            return why
        why = await self._attempt(name, True)
        if "Blocked" in why and not (why := await self._unblock(name)):
            why = await self._attempt(name, True)
        return why

    async def restart_bluetooth(self) -> str:
        try:
            await self._bus.restart_bluetooth()
        except FAULTS as error:
            return plain(error)
        return ""

    async def _unblock(self, name: str) -> str:
        remedy = "sudo rfkill unblock bluetooth"
        if why := rfkill.unblock(self._rfkill):
            return f"it is blocked by rfkill, and that could not be lifted ({why}); do it with: {remedy}"
        if not await self._seen(name, lambda seen: not seen.blocked, UNBLOCK_LIMIT):
            return f"it stays blocked by rfkill; is there a switch for the radio? Else try: {remedy}"
        return ""

    async def _attempt(self, name: str, on: bool) -> str:
        try:
            return await self._switch(name, on)
        except FAULTS as error:
            return plain(error)

    async def _switch(self, name: str, on: bool) -> str:
        """Set Powered and see it happen. Raises `LinkError`."""
        try:
            await self._bus.power(name, on)
        except BusError as error:
            if not error.name.endswith("Busy"):
                raise
            await asyncio.sleep(1)
            await self._bus.power(name, on)
        if await self._seen(name, lambda seen: seen.powered is on, EDGE_LIMIT):
            return ""
        return f"BlueZ said yes, but the adapter did not go {'on' if on else 'off'}"

    async def _seen(self, name: str, wanted: Callable[[Seen], bool], seconds: float) -> bool:
        """Wait until the adapter is as wanted: by the news of it, and by asking twice a second."""
        until = time.monotonic() + seconds
        while True:
            if await _until(lambda: self._is(name, wanted), min(10 * TICK, seconds)):
                return True
            try:
                self._observed.asked(name, await self._bus.adapter(name))
            except LinkError as error:
                log.debug("asking about %s: %s", name, error)
            if self._is(name, wanted) or time.monotonic() >= until:
                return self._is(name, wanted)

    def _is(self, name: str, wanted: Callable[[Seen], bool]) -> bool:
        seen = self._observed.adapters.get(name)
        return seen is not None and wanted(seen)

    def _powered(self, name: str) -> bool:
        return self._is(name, lambda seen: seen.powered)

    @asynccontextmanager
    async def _air(self, name: str) -> AsyncIterator[None]:
        """Nobody scans or connects meanwhile, unless somebody does not let go in time."""
        adapter = self._view.adapters.get(name)
        async with AsyncExitStack() as stack:
            if adapter is not None:
                try:
                    async with asyncio.timeout(AIR_LIMIT):
                        await stack.enter_async_context(adapter.connecting())
                except TimeoutError:
                    log.debug("a connection attempt on %s does not end", name)
            yield


def plain(error: BaseException) -> str:
    if isinstance(error, BusError) and error.denied:
        return DENIED
    return str(error) or type(error).__name__


async def _until(true: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(TICK)
    return True
