"""One Bluetooth adapter: who may use the air, and finding devices.

Scanning and connecting at the same time breaks Broadcom chips, and two connection attempts abort each other, so either one
scan or one attempt runs. A scan serves everyone who looks for something, and gives way to a connection attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from renogybt.ble import bluez
from renogybt.ble.air import Air
from renogybt.ble.hearing import Heard, Hearing
from renogybt.ble.listening import Listener, Listening
from renogybt.ble.scan import START_LIMIT, Manner, Scan
from renogybt.ble.searches import Searches, Wanted
from renogybt.errors import LinkError, NotFound, NoTime
from renogybt.incident import Incident

log = logging.getLogger(__name__)
LINGER = 1.0
"""Seconds a scan lasts although somebody waits to connect, while others are still looked for: one scan then serves all."""


class Adapter:
    """`name` may change when it is plugged in anew, `address` does not. Times are seconds of the event loop.

    `good_at`: last good exchange with any module over it. `failing_since`: first failure after that which may be the
    adapter's. `listening`: for whoever wants to hear everything. `air_time`: what the air is used for.
    """

    def __init__(self, name: str, address: str = "", report: Callable[[Incident], None] = lambda incident: None) -> None:
        self.name, self.address = name, address
        self.good_at: float | None = None
        self.failing_since: float | None = None
        self._scan = Scan(self._hear, report)
        self._changed = asyncio.Event()
        self._air = Air(self._changed.set)
        self.air_time = self._air.time
        self.listening = Listening()
        self._searches, self._hearing = Searches(), Hearing()
        self._readings = 0
        self._scanner: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return self.name or "the Bluetooth adapter"

    @property
    def scanning_since(self) -> float | None:
        """When the scan began that BlueZ has from us, None when it has none. Set for long: its end was not confirmed.

        Listening without an end does not count, until it is to end.
        """
        return None if self.listening.open else self._scan.since

    @property
    def listens(self) -> bool:
        """Whether a scan is open on purpose that has no end yet."""
        return self.listening.open

    @property
    def failed_scans(self) -> int:
        """Scans in a row that could not be begun or ended."""
        return self._scan.failed

    @property
    def silent_scans(self) -> int:
        """Scans in a row in which nobody was heard at all."""
        return self._hearing.silent_scans

    @property
    def heard(self) -> dict[str, Heard]:
        """What was heard lately, by address."""
        return self._hearing.heard

    @property
    def busy(self) -> bool:
        """Whether somebody connects, or waits for his turn to."""
        return self._air.wanted > 0

    def good(self) -> None:
        """A module has answered."""
        self.good_at, self.failing_since = asyncio.get_running_loop().time(), None

    def failed(self) -> None:
        """Something went wrong that may be the adapter's fault."""
        if self.failing_since is None:
            self.failing_since = asyncio.get_running_loop().time()

    def lost(self) -> None:
        """The connection to BlueZ that our scan belonged to is gone, and the scan with it."""
        self._scan.since = None
        self._changed.set()

    def heard_since(self, moment: float) -> dict[str, Heard]:
        return {address: heard for address, heard in self.heard.items() if heard.at >= moment}

    @asynccontextmanager
    async def connecting(self, until: float | None = None) -> AsyncIterator[None]:
        """Hold the air for one connection attempt; a running scan stops first.

        Raises `NoTime` when others hold it until that moment.
        """
        async with self._air.connecting(until, self._busy_text()):
            yield

    async def find(
        self, matches: Callable[[BLEDevice], bool], seconds: float, until: float | None = None
    ) -> BLEDevice | None:
        """The first device that `matches`, or None after `seconds` of scanning, or at the moment `until`.

        Raises `LinkError` when scanning fails, or when others did not let it begin until then.
        """
        wanted = Wanted(matches, seconds)
        self._searches.add(wanted)
        self._wake()
        try:
            async with asyncio.timeout_at(until):
                return await wanted.found
        except TimeoutError:
            if wanted.searched:
                return None
            raise NoTime(self._busy_text()) from None
        finally:
            self._searches.remove(wanted)
            self._changed.set()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A module of ours is being read over it."""
        self._readings += 1
        self._changed.set()
        try:
            yield
        finally:
            self._readings -= 1
            self._changed.set()

    def attend(self, listener: Listener) -> None:
        """Let `listener` hear everything from now on, instead of whoever did. Looking for devices uses the same scan."""
        self.listening.attend(listener, asyncio.get_running_loop().time())
        self._wake()

    def dismiss(self, listener: Listener) -> None:
        if self.listening.listener is listener:
            self.listening.dismiss()
            self._changed.set()

    def reconsider(self) -> None:
        """What the listener wants has changed."""
        self._changed.set()

    def _busy_text(self) -> str:
        return f"no time left in this cycle: {self} was busy with other modules"

    def _wake(self) -> None:
        self._changed.set()
        if self._scanner is None or self._scanner.done():
            self._scanner = asyncio.create_task(self._serve())

    async def close(self) -> None:
        if self._scanner:
            self._scanner.cancel()
            await asyncio.wait({self._scanner}, timeout=2 * START_LIMIT)

    async def _serve(self) -> None:
        """Scan in slices while somebody looks for something or listens. Nobody is left waiting, whatever ends this."""
        loop = asyncio.get_running_loop()
        try:
            while self._searches or self.listening.listener is not None:
                await self._air.idle()
                rest = 0.0 if self._searches else self.listening.rest(loop.time(), self._readings > 0)
                if rest > 0:
                    self._changed.clear()
                    await self._news(rest)
                    continue
                async with self._air.scanning() as mine:
                    if mine:
                        await self._slice()
        finally:
            self._searches.give_up(NotFound("scanning ended"))

    async def _slice(self) -> None:
        """Scan until something wanted is seen, somebody wants to connect, or there is no more reason to."""
        loop = asyncio.get_running_loop()
        self._hearing.forget_old(loop.time())
        self._searches.join(loop.time())
        manner = self.listening.manner(bool(self._searches))
        self.listening.starts()
        losses = bluez.losses(loop)
        try:
            await self._scan.start(self.name, manner)
            listening = loop.time()
            self.listening.began(manner)
            try:
                await self._wait_for_news(listening, manner, losses)
            finally:
                self._hearing.judge(listening, self._searches.exhausted(loop.time()), loop.time())
                if self.listening.ends() and self._scan.since is not None:
                    self._scan.since = loop.time()
                self._searches.leave(loop.time())
                await self._scan.stop(self.name)
        except LinkError as error:
            self._searches.give_up(error)
            self.listening.failed(manner, str(error), loop.time())

    async def _wait_for_news(self, began: float, manner: Manner, losses: int) -> None:
        """`losses`: those before the scan was started. What has been lost since, it will not hear of."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            self._searches.join(now)
            if self.listening.open:
                self._searches.answer_used_up(now)
            missing = self._searches.missing
            left = [wanted.left(now) for wanted in missing]
            if missing and (self.busy or (self._searches.found_some and not self.listening.open)):
                left.append(max(began, *(wanted.since or now for wanted in missing)) + LINGER - now)
            if not missing and (self.busy or not self._goes_on(began, manner, losses)):
                return
            if missing and (min(left) <= 0 or (manner.passive and not self.busy) or losses != bluez.losses(loop)):
                return
            if self.listening.open:
                left.append(self.listening.until(now))
            self._changed.clear()
            await self._news(min(left))

    def _goes_on(self, began: float, manner: Manner, losses: int) -> bool:
        """Whether to listen on although nothing is looked for."""
        loop, listening = asyncio.get_running_loop(), self.listening
        now = loop.time()
        self._hearing.forget_old(now)
        if not listening.open or losses != bluez.losses(loop) or listening.is_over(bluez.scans(self.name), now):
            return False
        if self._hearing.is_quiet(began, now):
            listening.silent(manner)
            return False
        return listening.manner(False) == manner and not listening.rest(now, self._readings > 0)

    async def _news(self, seconds: float) -> None:
        waiter = asyncio.ensure_future(self._changed.wait())
        await asyncio.wait({waiter}, timeout=seconds)
        waiter.cancel()

    def _hear(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        now = asyncio.get_running_loop().time()
        self._hearing.take(device.address, device.name or "", advertisement.rssi, now)
        self.listening.hear(device, advertisement)
        if self._searches and self._searches.hear(device):
            self._changed.set()
