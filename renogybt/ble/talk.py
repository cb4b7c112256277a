"""Question and answer over a connection to a module: one at a time, and nothing of an earlier one passes for the next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from renogybt.errors import LinkLost, LinkSpent, NoAnswer, NoTime

if TYPE_CHECKING:  # a Protocol costs memory, and nobody asks for it while the program runs
    from typing import Protocol

    from renogybt.link import Complete

    class Line(Protocol):
        """A connection, over whatever radio."""

        @property
        def alive(self) -> bool: ...

        async def write(self, frame: bytes) -> None:
            """Raises `LinkError`."""
            ...


BUFFER = 1024
"""Bytes kept of an answer; the longest known is 255."""


class Talk:
    """`hear` takes what the module says, `stir` is called when the line broke. `label` names the module in messages.

    `spent`: an answer did not come in time; until there is a new line, nothing more may be asked. `answered_at`: when the
    last answer was complete (seconds of the event loop).
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self.spent = False
        self.answered_at = float("-inf")
        self._buffer = bytearray()
        self._complete: Complete | None = None
        """What tells when the answer is whole; None while nobody asks."""
        self._answer: bytes | None = None
        self._late = False
        self._news = asyncio.Event()

    def hear(self, data: bytes) -> None:
        if self._complete is None:
            return
        self._buffer += data
        del self._buffer[:-BUFFER]
        self._answer = self._complete(bytes(self._buffer))
        if self._answer is not None:  # it comes in many pieces, of which only the last needs to wake somebody
            self._news.set()

    def stir(self) -> None:
        self._news.set()

    async def ask(
        self, line: Line | None, frame: bytes | None, complete: Complete, timeout: float, pause: float, ends: float
    ) -> bytes:
        """As `Link.exchange`; at `ends` (seconds of the event loop) there is no time left. Raises `LinkError`."""
        loop = asyncio.get_running_loop()
        if self.spent:
            raise LinkSpent(f"the link to {self._label} timed out and must be renewed")
        if line is None or not line.alive:
            self.spent = True
            raise LinkLost(f"the connection to {self._label} is gone")
        if loop.time() >= ends:
            raise NoTime(f"no time left in this cycle to ask {self._label}; the next one starts afresh")
        if (wait := self.answered_at + pause - loop.time()) > 0:
            await asyncio.sleep(wait)
        self._buffer.clear()
        self._answer, self._late = None, False
        self._complete, clean = complete, False
        try:
            if frame is not None:
                await line.write(frame)
            answer = await self._collect(line, min(loop.time() + timeout, ends))
            clean = answer is not None
        finally:
            self._complete = None
            self.spent = not clean
        if answer is None:
            raise NoAnswer(f"{self._label} gave no answer within {timeout:g} s", bytes(self._buffer))
        self.answered_at = loop.time()
        return answer

    async def _collect(self, line: Line, deadline: float) -> bytes | None:
        timer = asyncio.get_running_loop().call_at(deadline, self._give_up)
        try:
            while self._answer is None and not self._late:
                if not line.alive:
                    raise LinkLost(f"the connection to {self._label} broke while waiting for an answer")
                self._news.clear()
                await self._news.wait()
        finally:
            timer.cancel()
        return self._answer

    def _give_up(self) -> None:
        self._late = True
        self._news.set()
