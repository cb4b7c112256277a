"""A Bluetooth module and the one connection to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bleak.backends.device import BLEDevice

from renogybt.ble import bluez
from renogybt.ble.adapter import Adapter
from renogybt.ble.budget import FEWEST, Plan
from renogybt.ble.connection import Connection
from renogybt.ble.discovery import absence, search
from renogybt.ble.faults import TRANSIENT, text_of, translate
from renogybt.ble.lendable import Lendable
from renogybt.ble.recovery import Recovery
from renogybt.errors import ConnectFailed, Held, LinkError, NoAdapter, NotFound, NoTime
from renogybt.incident import Incident
from renogybt.link import Complete

log = logging.getLogger(__name__)
TRUSTED = 55.0
"""Seconds after a good answer in which BlueZ's word that the link is up needs no asking; readings once a minute ask."""
UNSEEN_LIMIT = 15.0
"""Seconds for a module that BlueZ only remembers: it may be gone, and nobody else can connect meanwhile."""


class Module(Lendable[Connection]):
    """A module in reach of this machine."""

    def __init__(self, address: str, alias: str, plan: Plan, report: Callable[[Incident], None]) -> None:
        super().__init__(address, alias, plan)
        self.adapter: Adapter | None = None
        self.opening = False
        self._recovery = Recovery(str(self), report)
        self._device: BLEDevice | None = None
        self._must_see = self._seen = False

    @property
    def rssi(self) -> int | None:
        """dBm of the last advertisement that was heard of it."""
        heard = self.adapter.heard.get(self._device.address) if self.adapter and self._device else None
        return heard.rssi if heard is not None else signal_strength(self._device)

    async def use(self, adapter: Adapter) -> None:
        """Be reached over this one from now on."""
        if adapter is not self.adapter:
            await self.close()
            self.adapter, self._device = adapter, None

    async def release(self) -> None:
        """As `close`, and make BlueZ end a link of ours that has outlived its connection."""
        await self.close()
        if self._device is not None and self._recovery.ours:
            try:
                await bluez.disconnect(bluez.path_of(self._device), 2.0)
            except (*TRANSIENT, LinkError) as error:
                log.debug("releasing %s: %s", self, text_of(error))

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        asked, clean = self.connected and not self.spent, False
        try:
            answer = await super().exchange(frame, complete, timeout, pause)
            clean = True
        finally:
            if self.adapter and asked and not clean and self.spent:
                self.adapter.failed()
        if self.adapter:
            self.adapter.good()
        return answer

    async def _end(self, connection: Connection, seconds: float) -> None:
        await super()._end(connection, seconds)
        self._recovery.closed(connection.path)

    async def _is_healthy(self) -> bool:
        if self._connection is None or self.spent:
            return False
        aged = asyncio.get_running_loop().time() - self._talk.answered_at >= TRUSTED
        return await self._connection.is_healthy(ask=aged)

    async def _open(self) -> None:
        try:
            await self._reach()
        except LinkError as error:
            if self.adapter and not isinstance(error, Held | NotFound | NoTime):
                self.adapter.failed()
            raise
        self._recovery.opened()
        self._must_see = False
        self._opened()

    async def _reach(self) -> None:
        """Find the module if BlueZ does not know it, connect, and subscribe. Raises `LinkError`."""
        limit = self.terms.limit
        self._recovery.begin()
        self._seen = False
        error: ConnectFailed | None = None
        while True:
            device = await self._find()
            began = asyncio.get_running_loop().time()
            left = self.terms.share(limit, began, error)
            try:
                return await self._connect(device, left if self._seen or self._plan.fixed else min(left, UNSEEN_LIMIT))
            except NoTime:
                raise
            except ConnectFailed as failure:
                error = failure
                if self._seen:
                    limit -= asyncio.get_running_loop().time() - began
                try:
                    look = await self._recovery.after(failure, device, self._seen)
                except LinkError:
                    self._device, self._must_see = None, True
                    raise
                if look:
                    self._device, self._must_see = None, True

    async def _find(self) -> BLEDevice:
        """The one used last, as long as BlueZ knows it; or from BlueZ's memory, unless that failed; else by scanning."""
        assert self.adapter is not None
        try:
            await bluez.meet()
        except TRANSIENT as error:
            raise translate(error, f"looking for {self}") from error
        if self._device is not None and (not bluez.LINUX or bluez.about(bluez.path_of(self._device)) is not None):
            return self._device
        known = bluez.known_device(self.adapter.name, self.address, self.alias)
        if known is not None and (not self._must_see or bluez.linked(bluez.path_of(known))):
            return self._take(known)
        began = asyncio.get_running_loop().time()
        until = min(self.terms.connect_until, began + self._plan.total)
        found = await search(self.adapter, self._matches, self._plan, until)
        if found is None:
            others = self.adapter.heard_since(began)
            if not others:
                self.adapter.failed()
            raise absence(str(self), self._read, others, self._plan.attempts * self._plan.seconds)
        self._seen = True
        return self._take(found)

    def _take(self, device: BLEDevice) -> BLEDevice:
        self._device = device
        self.name = (device.name or "").strip() or self.name
        return device

    def _matches(self, device: BLEDevice) -> bool:
        if self.address:
            return device.address.upper() == self.address
        return (device.name or "").strip() == self.alias

    async def _connect(self, device: BLEDevice, seconds: float) -> None:
        """Raises `ConnectFailed` with bleak's error as its cause, `NoAdapter` and `Held`."""
        assert self.adapter is not None
        assert self._gatt is not None
        loop = asyncio.get_running_loop()
        connection = Connection(device, str(self), self._talk.hear, self._gone)
        try:
            async with self.adapter.connecting(self.terms.connect_until):
                began = loop.time()
                until = min(began + seconds, self.terms.connect_until)
                await self._recovery.free(connection.path, self.generation > 0)
                self._connection, self._talk.spent = connection, False
                self._recovery.ours = True
                await connection.open(max(FEWEST, until - loop.time()))
            await connection.subscribe(self._gatt, max(FEWEST, until - loop.time()))
        except (*TRANSIENT, LinkError) as error:
            await self.close()
            if isinstance(error, LinkError):
                raise
            translated = translate(error, f"connecting to {self}")
            raise (translated if isinstance(translated, NoAdapter) else ConnectFailed(str(translated))) from error
        except asyncio.CancelledError:
            await self.close()
            raise
        self.connect_seconds = round(loop.time() - began, 2)


def signal_strength(device: BLEDevice | None) -> int | None:
    """dBm of the last advertisement, where the platform tells."""
    details = device.details if device else None
    props = details.get("props", {}) if isinstance(details, dict) else {}
    value = props.get("RSSI")
    return int(value) if value is not None else None
