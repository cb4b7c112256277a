"""A Bluetooth module and the one connection to it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from bleak.backends.device import BLEDevice

from renogybt.ble import bluez
from renogybt.ble.adapter import Adapter
from renogybt.ble.budget import FEWEST, Plan, budget
from renogybt.ble.connection import Connection
from renogybt.ble.discovery import absence, search
from renogybt.ble.faults import TRANSIENT, NoTime, text_of, translate
from renogybt.ble.recovery import Recovery
from renogybt.ble.talk import Talk
from renogybt.errors import ConnectFailed, Held, LinkError, NoAdapter, NotFound, Released
from renogybt.incident import Incident
from renogybt.link import Complete
from renogybt.protocol.table import Gatt

log = logging.getLogger(__name__)
TRUSTED = 55.0
"""Seconds after a good answer in which BlueZ's word that the link is up needs no asking; readings once a minute ask."""
UNSEEN_LIMIT = 15.0
"""Seconds for a module that BlueZ only remembers: it may be gone, and nobody else can connect meanwhile."""


class Module:
    """Connects when needed, talks, and always disconnects. Implements `renogybt.link.Link`.

    Used by one borrower at a time (`lock`). `address` upper case, or "" when the module is looked for by `alias`.
    `used_at`: when it was last handed back. `released_until`: until when it is free for others (monotonic seconds).
    `connect_seconds`: what the last connection took to come about.
    """

    def __init__(self, address: str, alias: str, plan: Plan, report: Callable[[Incident], None]) -> None:
        self.address, self.alias = address, alias
        self.adapter: Adapter | None = None
        self.lock = asyncio.Lock()
        self.generation = 0
        self.opening = False
        self.used_at = self.released_until = 0.0
        self.connect_seconds: float | None = None
        self.name = ""
        """The advertised name, without the spaces some modules pad it with."""
        self._plan = plan
        self._talk = Talk(str(self))
        self._recovery = Recovery(str(self), report)
        self._device: BLEDevice | None = None
        self._connection: Connection | None = None
        self._gatt: Gatt | None = None
        self._failures = 0
        self._connect_until = self._ends = 0.0
        self._must_see = self._seen = self._lost = self._read = False

    @property
    def rssi(self) -> int | None:
        """dBm of the last advertisement that was heard of it."""
        heard = self.adapter.heard.get(self._device.address) if self.adapter and self._device else None
        return heard.rssi if heard is not None else signal_strength(self._device)

    @property
    def spent(self) -> bool:
        return self._talk.spent

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.alive

    @property
    def connection(self) -> Connection | None:
        """The present connection, for whoever has to break it."""
        return self._connection

    def __str__(self) -> str:
        return f"{self.alias} ({self.address})" if self.address else self.alias

    def begin(self, began: float) -> None:
        """A new cycle, which began at that moment (seconds of the event loop): it has to end in time."""
        self._connect_until = began + self._plan.cycle(self._failures)
        self._ends = began + self._plan.longest

    @property
    def connect_until(self) -> float:
        """Until when connections may come about in this cycle (seconds of the event loop)."""
        return self._connect_until

    async def ready(self, adapter: Adapter, gatt: Gatt) -> None:
        """Be connected and unspent. Devices behind one module may need different care: the most that one asked for holds.

        Raises `LinkError`.
        """
        if adapter is not self.adapter:
            await self.close()
            self.adapter, self._device = adapter, None
        before, self._gatt = self._gatt, most(self._gatt, gatt)
        if before is None or before.notify != gatt.notify or not await self._is_healthy():
            await self.renew()
        elif self._gatt.wake and not before.wake:
            assert self._connection is not None
            await self._connection.wake(self._gatt)

    def refuse_if_released(self) -> None:
        """Raises `Released` while it is lent to somebody else."""
        left = self.released_until - time.monotonic()
        if left > 0:
            minutes = max(1, round(left / 60))
            raise Released(f"{self} is free for the phone app; the bridge comes back in {minutes} min", self.released_until)

    async def renew(self) -> None:
        self.refuse_if_released()
        await self.close()
        try:
            await self._open()
        except LinkError as error:
            if isinstance(error, ConnectFailed) and not isinstance(error, NoTime):
                self._failures += 1
            if self.adapter and not isinstance(error, Held | NotFound | NoTime):
                self.adapter.failed()
            raise
        self._failures = 0

    async def close(self) -> None:
        """Disconnect. Also needed when the link is down already: only this releases bleak's connection to the D-Bus."""
        connection, self._connection = self._connection, None
        self._talk.spent = False
        if connection is not None:
            self._talk.stir()
            await connection.close()
            self._recovery.closed(connection.path)

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
            answer = await self._talk.ask(self._connection, frame, complete, timeout, pause, self._ends)
            clean = True
        finally:
            if self.adapter and asked and not clean and self.spent:
                self.adapter.failed()
        self._read = True
        if self.adapter:
            self.adapter.good()
        return answer

    async def _is_healthy(self) -> bool:
        if self._connection is None or self.spent:
            return False
        aged = asyncio.get_running_loop().time() - self._talk.answered_at >= TRUSTED
        return await self._connection.is_healthy(ask=aged)

    def _gone(self) -> None:
        self._lost = True
        log.info("connection to %s is gone", self)
        self._talk.stir()

    async def _open(self) -> None:
        """Find the module if BlueZ does not know it, connect, and subscribe. Raises `LinkError`."""
        limit = budget(self._failures, self._plan.fixed)
        self._recovery.begin()
        self._seen = False
        error: ConnectFailed | None = None
        while True:
            device = await self._find()
            began = asyncio.get_running_loop().time()
            left = min(limit, self._connect_until - began)
            if left < min(FEWEST, limit):
                raise error or NoTime(f"no time left in this cycle to connect to {self}; the next one starts afresh")
            try:
                await self._connect(device, left if self._seen or self._plan.fixed else min(left, UNSEEN_LIMIT))
                break
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
        self._recovery.opened()
        self._must_see = False
        self.generation += 1
        # With per_read this happens at every reading, and an SD card should not have to keep that.
        log.log(logging.INFO if self.generation == 1 or self._lost else logging.DEBUG, "connected to %s", self.name or self)
        self._lost = False

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
        found = await search(self.adapter, self._matches, self._plan, min(self._connect_until, began + self._plan.total))
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
            async with self.adapter.connecting(self._connect_until):
                began = loop.time()
                until = min(began + seconds, self._connect_until)
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


def most(before: Gatt | None, wanted: Gatt) -> Gatt:
    """The care that serves both: as `wanted`, with the wake read of `before` where they use the same characteristics."""
    same = before is not None and (before.write, before.notify) == (wanted.write, wanted.notify)
    return before if before is not None and same and before.wake else wanted


def signal_strength(device: BLEDevice | None) -> int | None:
    """dBm of the last advertisement, where the platform tells."""
    details = device.details if device else None
    props = details.get("props", {}) if isinstance(details, dict) else {}
    value = props.get("RSSI")
    return int(value) if value is not None else None
