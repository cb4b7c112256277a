"""A Bluetooth module that is reached through an ESPHome proxy."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from renogybt.ble.budget import FEWEST, Attempts, Cure, Plan, budget
from renogybt.ble.talk import Talk
from renogybt.errors import ConnectFailed, Held, LinkError, LinkLost, NotFound, NoTime, Released
from renogybt.link import Complete
from renogybt.protocol.table import Gatt
from renogybt.proxy.remote_ears import as_number, as_text
from renogybt.proxy.remote_faults import BRIEF, Broken, NoSlot
from renogybt.proxy.remote_host import Host
from renogybt.proxy.remote_link import RemoteConnection

log = logging.getLogger(__name__)
NAME_WAIT = 3.0
"""Seconds to wait for a first advertisement: it tells the name, and while we are connected there is none."""
LATELY = 15.0
"""Seconds in which a module that nobody is connected to is heard."""
STUBBORN = 3
"""So often a proxy may fail to say that a connection has ended; then it is connected to anew."""
RENOGY_NAMES = ("BT-TH-", "RNG", "BTRIC", "RTMShunt300")


class RemoteModule:
    """Connects when needed, talks, and always disconnects. Implements `renogybt.link.Link`; `ble.module.Module` elsewhere.

    Used by one borrower at a time (`lock`). `address` upper case, or "" when the module is looked for by `alias`. `room`
    makes sure that the proxy has a free slot, and raises `NoSlot` or `NoTime`. The other attributes are as there.
    """

    def __init__(
        self,
        host: Host,
        address: str,
        alias: str,
        plan: Plan,
        patient: bool,
        room: Callable[[RemoteModule], Awaitable[None]],
    ) -> None:
        self.host, self.address, self.alias = host, address, alias
        self.lock = asyncio.Lock()
        self.generation = 0
        self.used_at = self.released_until = 0.0
        self.connect_seconds: float | None = None
        self.name = ""
        self._plan, self._patient, self._room = plan, patient, room
        self._talk = Talk(str(self))
        self._connection: RemoteConnection | None = None
        self._gatt: Gatt | None = None
        self._found = as_number(address) if address else None
        self._failures = self._stubborn = 0
        self._connect_until = self._ends = self._left_at = 0.0
        self._lost = self._read = False
        if self._found is not None:
            host.ears.keep.add(self._found)

    def __str__(self) -> str:
        return f"{self.alias} ({self.address})" if self.address else self.alias

    @property
    def spent(self) -> bool:
        return self._talk.spent

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.alive

    @property
    def rssi(self) -> int | None:
        """As the proxy heard it last (dBm); None before that."""
        heard = self.host.ears.known.get(self._found) if self._found is not None else None
        return heard.rssi if heard else None

    @property
    def connect_until(self) -> float:
        """Until when connections may come about in this cycle (seconds of the event loop)."""
        return self._connect_until

    def begin(self, began: float) -> None:
        """A new cycle, which began at that moment (seconds of the event loop): it has to end in time."""
        self._connect_until = began + self._plan.cycle(self._failures)
        self._ends = began + self._plan.longest

    async def ready(self, gatt: Gatt) -> None:
        """Be connected and unspent. Devices behind one module may need different care: the most that one asked for holds.

        Raises `LinkError`.
        """
        before = self._gatt
        same = before is not None and (before.write, before.notify) == (gatt.write, gatt.notify)
        self._gatt = before if before is not None and same and before.wake else gatt
        if not same or self.spent or not self.connected:
            await self.renew()
        elif self._gatt.wake and before is not None and not before.wake:
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
        except ConnectFailed as error:
            self._failures += not isinstance(error, NoTime)
            raise
        self._failures = 0

    async def close(self, seconds: float = 0.0) -> None:
        """`seconds` that may take, 0: as long as usual."""
        connection, self._connection = self._connection, None
        self._talk.spent = False
        if connection is not None:
            self._talk.stir()
            if connection.alive:
                self._left_at = asyncio.get_running_loop().time()
            await connection.close(seconds)

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        answer = await self._talk.ask(self._connection, frame, complete, timeout, pause, self._ends)
        self._read = True
        return answer

    async def _open(self) -> None:
        """Raises `LinkError`."""
        limit, attempts = budget(self._failures, self._plan.fixed), Attempts()
        while True:
            await self.host.ready(self._connect_until, self._patient)
            address = await self._find()
            began = asyncio.get_running_loop().time()
            left = min(limit, self._connect_until - began)
            if left < min(FEWEST, limit):
                raise NoTime(f"no time left in this cycle to connect to {self}; the next one starts afresh")
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
        self.generation += 1
        fresh = self.generation == 1 or self._lost
        log.log(logging.INFO if fresh else logging.DEBUG, "connected to %s through the %s", self.name or self, self.host)
        self._lost = False

    async def _find(self) -> int:
        """The address of the module. One that is known is only waited for a moment, at first. Raises `LinkError`."""
        host, loop = self.host, asyncio.get_running_loop()
        now = loop.time()
        if self._found is None:
            host.scan_actively()
            until = min(self._connect_until, now + self._plan.total)
            if not await host.hear(lambda: host.ears.named(self.alias, 0.0) is not None, until):
                raise self._absence(now) if host.up else ConnectFailed(f"{self}: the connection to the {host} is gone")
            self._found = host.ears.named(self.alias, 0.0)
            assert self._found is not None
            host.ears.keep.add(self._found)
        elif not self.name and not self.generation:
            await host.hear(self._has_name, min(self._connect_until, host.listening_since + NAME_WAIT))
        if self._has_name():
            self.name = host.ears.known[self._found].name
        return self._found

    def _has_name(self) -> bool:
        heard = self.host.ears.known.get(self._found) if self._found is not None else None
        return heard is not None and bool(heard.name)

    async def _connect(self, address: int, seconds: float) -> None:
        """Raises `LinkError`."""
        assert self._gatt is not None
        loop, host = asyncio.get_running_loop(), self.host
        self._connection = connection = RemoteConnection(host, as_text(address), str(self), self._talk.hear, self._gone)
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
                async with asyncio.timeout_at(self._connect_until):
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
        self._lost, self._left_at = True, asyncio.get_running_loop().time()
        log.info("connection to %s is gone", self)
        self._talk.stir()

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
        like = [f"{h.name} ({as_text(address)})" for address, h in others.items() if h.name.startswith(RENOGY_NAMES)]
        hint = f"These look like Renogy modules: {', '.join(like)}." if like else "No module with a Renogy name was heard."
        return NotFound(
            f"{self} was not heard by the {self.host} ({len(others)} other devices were). {hint} Is it in range and "
            "powered, is mac_addr (or alias) right, and is no phone app connected to it?"
        )
