"""A radio: lends modules, one borrower at a time. What is the same for this machine's own and for one elsewhere."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, TypeVar

from renogybt.ble.budget import plan
from renogybt.ble.lendable import Lendable
from renogybt.errors import NoTime, Released
from renogybt.incident import Ask, Incident, Kind
from renogybt.protocol.table import Gatt
from renogybt.settings import Device, Settings

log = logging.getLogger(__name__)
FREE_WAIT = 30.0
"""Seconds for which a reading under way may keep a module that is to be freed."""
M = TypeVar("M", bound=Lendable[Any])


class Lender(Generic[M]):
    """One module per address, shared by all devices behind it. Lives in the radio thread.

    `report` takes what was noticed and done, in the radio thread. `patient`: look longer for a module that is not there
    (one-shot runs, which get no second chance).
    """

    def __init__(self, settings: Settings, report: Callable[[Incident], None], patient: bool) -> None:
        self._report = report
        self._plan = plan(settings.bluetooth, patient)
        self._modules: dict[str, M] = {}
        self._handed_back = asyncio.Event()
        self._asked = False

    # For the sources

    def lend(self, device: Device, gatt: Gatt) -> AbstractAsyncContextManager[M]:
        """A connected module for the length of one reading; others who want the same module wait. Raises `LinkError`.

        The connection stays open afterwards unless the device says `connection = per_read`, or the link is spent.
        """
        raise NotImplementedError

    def rssi(self, device: Device) -> int | None:
        module = self.module_of(device)
        return module.rssi if module else None

    def connected(self, device: Device) -> bool:
        module = self.module_of(device)
        return module is not None and module.connected

    def connect_seconds(self, device: Device) -> float | None:
        """What the last connection took to come about; None before the first."""
        module = self.module_of(device)
        return module.connect_seconds if module else None

    def module_of(self, device: Device) -> M | None:
        return self._modules.get(device.module)

    # For the owner

    async def free(self, device: Device, seconds: float) -> None:
        """Give the module of `device` up for so long, for the phone app; `lend` raises `Released` meanwhile."""
        module = self._module(device)
        module.terms.released_until = time.monotonic() + seconds
        try:
            async with asyncio.timeout(FREE_WAIT):
                await module.lock.acquire()
        except TimeoutError:
            log.info("%s is still being read; freeing it all the same", module)
            await module.release()
        else:
            try:
                await module.release()
            finally:
                module.lock.release()
        log.debug("%s is free for %g minutes", module, seconds / 60)

    async def resume(self, device: Device) -> None:
        """Take it back before that."""
        module = self.module_of(device)
        if module is not None:
            module.terms.released_until = 0.0

    # For the radios

    def _make(self, device: Device) -> M:
        """The module of `device`, which was not wanted before."""
        raise NotImplementedError

    def _module(self, device: Device) -> M:
        module = self.module_of(device)
        if module is None:
            module = self._modules[device.module] = self._make(device)
        return module

    @asynccontextmanager
    async def _borrowed(self, module: M, device: Device, began: float) -> AsyncIterator[None]:
        """Nobody else uses it, and its cycle has begun. Raises `Released` and `NoTime`."""
        await self._acquire(module, began + self._plan.cycle(0))
        try:
            module.begin(began)
            yield
        finally:
            try:
                if device.connection == "per_read" or module.spent:
                    await module.close()
            finally:
                module.used_at = asyncio.get_running_loop().time()
                module.lock.release()
                self._handed_back.set()

    async def _acquire(self, module: M, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await module.lock.acquire()
        except TimeoutError:
            raise NoTime(f"no time left in this cycle: {module} was busy with other devices behind it") from None
        try:
            module.refuse_if_released()
        except Released:
            module.lock.release()
            raise

    async def _give_way(self, held: Iterable[M], limit: str) -> bool:
        """Close the connection of that idle one of `held` which was used least recently. False when all are in use."""
        idle = [module for module in held if not module.lock.locked()]
        if not idle:
            return False
        last = min(idle, key=lambda module: module.used_at)
        async with last.lock:
            log.debug("%s gives way to another module (%s)", last, limit)
            await last.close()
        return True

    async def _next_handed_back(self) -> None:
        """Wait until a module is not used any more."""
        self._handed_back.clear()
        await self._handed_back.wait()

    def _ask_for_new_loop(self, text: str) -> None:
        if not self._asked:
            self._asked = True
            self._tell("new_loop", text, "new_loop", logging.ERROR)

    def _tell(self, kind: Kind, text: str, asks: Ask = "", level: int = logging.INFO) -> None:
        log.log(level, "%s", text)
        self._report(Incident(kind, text, asks))
