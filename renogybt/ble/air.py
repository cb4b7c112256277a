"""The air of an adapter: one connection attempt, or one scan. Whoever wants to connect goes first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from renogybt.ble.airtime import AirTime
from renogybt.errors import NoTime


class Air:
    """`wanted`: how many connect, or wait for their turn; `news` is called when that rises. `time`: what it is used for."""

    def __init__(self, news: Callable[[], None]) -> None:
        self.wanted = 0
        self.time = AirTime(time.monotonic())
        self._news = news
        self._lock = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    def locked(self) -> bool:
        return self._lock.locked()

    async def idle(self) -> None:
        """Wait until nobody wants to connect."""
        await self._idle.wait()

    @asynccontextmanager
    async def connecting(self, until: float | None, busy: str) -> AsyncIterator[None]:
        """Raises `NoTime`, with the text `busy`, when others hold it until that moment (seconds of the event loop)."""
        self.wanted += 1
        self._idle.clear()
        self._news()
        try:
            try:
                async with asyncio.timeout_at(until):
                    await self._lock.acquire()
            except TimeoutError:
                raise NoTime(busy) from None
            self.time.turn("connecting", time.monotonic())
            try:
                yield
            finally:
                self.time.turn("idle", time.monotonic())
                self._lock.release()
        finally:
            self.wanted -= 1
            if not self.wanted:
                self._idle.set()

    @asynccontextmanager
    async def scanning(self) -> AsyncIterator[bool]:
        """False: somebody wanted to connect meanwhile, so there is to be no scan now."""
        async with self._lock:
            if self.wanted:
                yield False
                return
            self.time.turn("scanning", time.monotonic())
            try:
                yield True
            finally:
                self.time.turn("idle", time.monotonic())
