"""A module that can be lent: what is the same over every radio. No bleak in here, nor anything else of a radio."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from renogybt.ble.budget import Plan
from renogybt.ble.characteristics import most, same
from renogybt.ble.talk import Talk
from renogybt.ble.terms import Terms
from renogybt.errors import LinkError
from renogybt.link import Complete
from renogybt.protocol.table import Gatt

if TYPE_CHECKING:  # a Protocol costs memory, and nobody asks for it while the program runs
    from typing import Protocol

    from renogybt.ble.talk import Line

    class Connected(Line, Protocol):
        """A connection to a module, over whatever radio."""

        async def wake(self, gatt: Gatt) -> None:
            """Inverters with Bluetooth inside answer nothing before this was read once; what it holds is irrelevant."""
            ...

        async def close(self, seconds: float = 0.0) -> None:
            """Disconnect; `seconds` that may take, 0: as long as usual."""
            ...


log = logging.getLogger(__name__)
C = TypeVar("C", bound="Connected")


class Lendable(Generic[C]):
    """Connects when needed, talks, and always disconnects. Implements `renogybt.link.Link`.

    Used by one borrower at a time (`lock`). `address` upper case, or "" when the module is looked for by `alias`.
    `used_at`: when it was last handed back. `connect_seconds`: what the last connection took to come about.
    """

    def __init__(self, address: str, alias: str, plan: Plan) -> None:
        self.address, self.alias = address, alias
        self.lock = asyncio.Lock()
        self.terms = Terms(str(self), plan)
        self.generation = 0
        self.used_at = 0.0
        self.connect_seconds: float | None = None
        self.name = ""
        """The advertised name, without the spaces some modules pad it with."""
        self._plan = plan
        self._talk = Talk(str(self))
        self._connection: C | None = None
        self._gatt: Gatt | None = None
        self._lost = self._read = False

    def __str__(self) -> str:
        return f"{self.alias} ({self.address})" if self.address else self.alias

    @property
    def rssi(self) -> int | None:
        """dBm of the last advertisement that was heard of it."""
        raise NotImplementedError

    @property
    def spent(self) -> bool:
        return self._talk.spent

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.alive

    @property
    def connection(self) -> C | None:
        """The present connection, for whoever has to break it."""
        return self._connection

    def begin(self, began: float) -> None:
        """A new cycle, which began at that moment (seconds of the event loop): it has to end in time."""
        self.terms.begin(began)

    def refuse_if_released(self) -> None:
        """Raises `Released` while it is lent to somebody else."""
        self.terms.refuse_if_released(time.monotonic())

    async def ready(self, gatt: Gatt) -> None:
        """Be connected and unspent. Devices behind one module may need different care: the most that one asked for holds.

        Raises `LinkError`.
        """
        before, self._gatt = self._gatt, most(self._gatt, gatt)
        if before is None or not same(before, gatt) or not await self._is_healthy():
            await self.renew()
        elif self._gatt.wake and not before.wake:
            assert self._connection is not None
            await self._connection.wake(self._gatt)

    async def renew(self) -> None:
        self.refuse_if_released()
        await self.close()
        try:
            await self._open()
        except LinkError as error:
            self.terms.failed(error)
            raise
        self.terms.opened()

    async def close(self, seconds: float = 0.0) -> None:
        """Disconnect; `seconds` that may take, 0: as long as usual. Also needed when the link is down already: only this
        frees what it held.
        """
        connection, self._connection = self._connection, None
        self._talk.spent = False
        if connection is not None:
            self._talk.stir()
            await self._end(connection, seconds)

    async def release(self) -> None:
        """As `close`, for somebody else who wants the module."""
        await self.close()

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        answer = await self._talk.ask(self._connection, frame, complete, timeout, pause, self.terms.ends)
        self._read = True
        return answer

    # For the radios

    async def _open(self) -> None:
        """Find the module, connect, subscribe, and say so with `_opened`. Raises `LinkError`."""
        raise NotImplementedError

    async def _end(self, connection: C, seconds: float) -> None:
        await connection.close(seconds)

    async def _is_healthy(self) -> bool:
        return self.connected and not self.spent

    def _opened(self, way: str = "") -> None:
        self.generation += 1
        # With per_read this happens at every reading, and an SD card should not have to keep that.
        level = logging.INFO if self.generation == 1 or self._lost else logging.DEBUG
        log.log(level, "connected to %s%s", self.name or self, way)
        self._lost = False

    def _gone(self) -> None:
        self._lost = True
        log.info("connection to %s is gone", self)
        self._talk.stir()
