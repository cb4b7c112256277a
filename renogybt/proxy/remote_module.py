"""A Bluetooth module that is reached through an ESPHome proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from renogybt.ble.budget import FEWEST, Attempts, Cure, Plan
from renogybt.ble.hearing import lookalikes
from renogybt.ble.lendable import Lendable
from renogybt.errors import ConnectFailed, Held, LinkError, LinkLost, NotFound, NoTime
from renogybt.proxy.bluetooth_numbers import address_of, number_of
from renogybt.proxy.remote_ears import Heard
from renogybt.proxy.remote_faults import BRIEF, Broken, NoSlot
from renogybt.proxy.remote_host import Host
from renogybt.proxy.remote_link import RemoteConnection

NAME_WAIT = 3.0
"""Seconds to wait for a first advertisement: it tells the name, and while we are connected there is none."""
LATELY = 15.0
"""Seconds in which a module that nobody is connected to is heard."""
STUBBORN = 3
"""So often a proxy may fail to say that a connection has ended; then it is connected to anew."""


class RemoteModule(Lendable[RemoteConnection]):
    """A module in reach of a proxy. `room` makes sure that the proxy has a free slot, and raises `NoSlot` or `NoTime`."""

    def __init__(
        self,
        host: Host,
        address: str,
        alias: str,
        plan: Plan,
        patient: bool,
        room: Callable[[RemoteModule], Awaitable[None]],
    ) -> None:
        super().__init__(address, alias, plan)
        self.host = host
        self._patient, self._room = patient, room
        self._found = number_of(address) if address else None
        self._stubborn = 0
        self._left_at = 0.0
        if self._found is not None:
            host.ears.keep.add(self._found)

    @property
    def rssi(self) -> int | None:
        """As the proxy heard it last (dBm); None before that."""
        heard = self._heard()
        return heard.rssi if heard else None

    async def _end(self, connection: RemoteConnection, seconds: float) -> None:
        if connection.alive:
            self._left_at = asyncio.get_running_loop().time()
        await super()._end(connection, seconds)

    async def _open(self) -> None:
        """Raises `LinkError`."""
        limit, attempts = self.terms.limit, Attempts()
        while True:
            await self.host.ready(self.terms.connect_until, self._patient)
            address = await self._find()
            began = asyncio.get_running_loop().time()
            left = self.terms.share(limit, began)
            try:
                await self._connect(address, left)
                break
            except NoTime:
                raise
            except (ConnectFailed, LinkLost) as error:
                limit -= asyncio.get_running_loop().time() - began
                brief = isinstance(error, LinkLost) or (isinstance(error, Broken) and error.code in BRIEF)
                if not brief or limit < FEWEST or not attempts.allow(Cure.AGAIN):
                    raise self._verdict(address, error) from error
                await asyncio.sleep(attempts.pause)
        self._opened(f" through the {self.host}")

    async def _find(self) -> int:
        """The address of the module. One that is known is only waited for a moment, at first. Raises `LinkError`."""
        host, loop = self.host, asyncio.get_running_loop()
        now = loop.time()
        if self._found is None:
            host.scan_actively()
            until = min(self.terms.connect_until, now + self._plan.total)
            if not await host.hear(lambda: host.ears.named(self.alias, 0.0) is not None, until):
                raise self._absence(now) if host.up else ConnectFailed(f"{self}: the connection to the {host} is gone")
            self._found = host.ears.named(self.alias, 0.0)
            assert self._found is not None
            host.ears.keep.add(self._found)
        elif not self.name and not self.generation:
            await host.hear(self._has_name, min(self.terms.connect_until, host.listening_since + NAME_WAIT))
        if self._has_name():
            self.name = host.ears.known[self._found].name
        return self._found

    def _heard(self) -> Heard | None:
        return self.host.ears.known.get(self._found) if self._found is not None else None

    def _has_name(self) -> bool:
        heard = self._heard()
        return heard is not None and bool(heard.name)

    async def _connect(self, address: int, seconds: float) -> None:
        """Raises `LinkError`."""
        assert self._gatt is not None
        loop, host = asyncio.get_running_loop(), self.host
        self._connection = connection = RemoteConnection(host, address_of(address), str(self), self._talk.hear, self._gone)
        try:
            began = loop.time()
            await self._vacate(connection)
            await self._turn()
            try:
                waited = loop.time() - began
                heard = host.ears.known.get(address)
                await connection.open(heard.address_type if heard else 0, max(FEWEST, seconds - waited))
                await connection.subscribe(self._gatt)
                self.name = self.name or await connection.advertised_name()
            finally:
                host.connecting.release()
        except (LinkError, asyncio.CancelledError):
            await self.close()
            raise
        self._talk.spent = False
        self.connect_seconds = round(loop.time() - began, 2)

    async def _turn(self) -> None:
        """Wait until the proxy has a slot for us and is not connecting to others; `host.connecting` is ours then."""
        host = self.host
        while True:
            await self._room(self)
            try:
                async with asyncio.timeout_at(self.terms.connect_until):
                    await host.connecting.acquire()
            except TimeoutError:
                raise NoTime(f"no time left in this cycle: the {host} was busy connecting to others") from None
            if host.free != 0:
                return
            host.connecting.release()

    async def _vacate(self, connection: RemoteConnection) -> None:
        try:
            await connection.vacate()
        except ConnectFailed:
            self._stubborn += 1
            if self._stubborn >= STUBBORN:
                self._stubborn = 0
                await self.host.restart(f"it does not end its connection to {self}")
            raise
        self._stubborn = 0

    def _gone(self) -> None:
        self._left_at = asyncio.get_running_loop().time()
        super()._gone()

    def _verdict(self, address: int, error: LinkError) -> LinkError:
        """What a failed attempt means: a module that is not heard while others are is not there, or somebody has it."""
        if not isinstance(error, ConnectFailed):
            return ConnectFailed(f"connecting to {self}: {error}")
        since = max(self.host.listening_since, self._left_at)
        heard = self.host.ears.known.get(address)
        silent = asyncio.get_running_loop().time() - since >= LATELY and (heard is None or heard.at < since)
        return self._absence(since) if silent and not isinstance(error, NoSlot) else error

    def _absence(self, since: float) -> LinkError:
        others = self.host.ears.others(since, self._found)
        if self._read and others:
            return Held(
                f"{self} has been read before, but is silent now while the {self.host} hears {len(others)} other devices. A "
                "Renogy module takes one connection and is silent as long as it lasts: probably a phone app is connected to "
                "it, or another program. Close it; the bridge comes back by itself. Otherwise it is out of range or without "
                "power."
            )
        hint = lookalikes({address_of(address): heard.name for address, heard in others.items()})
        return NotFound(
            f"{self} was not heard by the {self.host} ({len(others)} other devices were). {hint} Is it in range and "
            "powered, is mac_addr (or alias) right, and is no phone app connected to it?"
        )
