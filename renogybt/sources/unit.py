"""Asking one unit on a module's bus: which address it has, what it does not answer, when to give up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from renogybt.errors import BadFrame, LinkError, LinkLost, LinkSpent, NoAnswer, Refused
from renogybt.link import Link
from renogybt.protocol import modbus
from renogybt.protocol.table import Window
from renogybt.sources.strays import MOST, Strays

log = logging.getLogger(__name__)
NOT_THERE = (1, 2, 3)
"""Codes of a refusal that are about the question; all others (4 busy, 5 checksum seen wrong, …) are about the moment."""
FAITH = 10
"""Cycles in a row after which a block that was answered once counts as one that the unit does not have."""
TRIES = 4
"""Further questions after which answers that contradict each other are given up."""


@dataclass(slots=True)
class Tally:
    """What went wrong on the way to this unit since the start of the program."""

    timeouts: int = 0
    crc_errors: int = 0
    refusals: int = 0
    reconnects: int = 0
    dropped: int = 0


class Unit:
    """One bus address.

    255 is learned: whoever answers says its own address in the reply, which is used from then on. A unit that ignores 255
    is looked for at `candidates`, the addresses such devices have.

    Some units do not refuse what they do not know, but are silent. Before one that was never heard is given up, it is asked
    for the smallest span of the window; `_narrow`: it may be such a unit, which is asked no wider span twice.
    """

    def __init__(
        self,
        address: int,
        candidates: tuple[int, ...],
        name: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address, self.name = address, name
        self.tally = Tally()
        self._monotonic, self._strays = monotonic, Strays()
        self._heard = self._narrow = self._tried_narrow = False
        self.last_error: LinkError | Refused | None = None
        self._configured = address
        self._candidates = [c for c in candidates if c != address] if address == modbus.UNIVERSAL else []
        self._hears_all = False
        self._untried: list[int] = []
        self._spans: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        """Of windows that were answered: cycles in a row since then in which they were not."""
        self._lacks: set[str] = set()
        self._answered = False
        self._renewals = 0

    def begin(self) -> None:
        """A new cycle: forget what only held for the last one."""
        self._answered, self._renewals, self.last_error = False, 0, None
        self._tried_narrow = False
        self._untried = [a for a in (self._configured, *self._candidates) if a != self.address]

    @property
    def answered(self) -> bool:
        """Whether it has answered anything, be it a refusal, in this cycle."""
        return self._answered

    def span(self, window: Window) -> tuple[int, int] | None:
        """Start and words to ask for `window`, or None when this unit has answered none of its spans."""
        index = self._spans.get(window.name, len(window.spans) - 1 if self._tried_narrow and not self._heard else 0)
        return window.spans[index] if index < len(window.spans) else None

    def again(self, window: Window) -> None:
        """Believe once more that the unit may answer `window`."""
        self._spans.pop(window.name, None)

    async def ask(self, link: Link, window: Window, timeout: float, pacing: float) -> tuple[int, bytes] | None:
        """Start address and payload of `window`, or None when the unit does not have it.

        Falls back on the window's other spans after a refusal, or after silence (twice, unless the window is optional) of a
        unit that answers otherwise.
        Raises `LinkError` when the unit seems not to be there at all, or the connection cannot be kept.
        """
        silences = 0
        while (span := self.span(window)) is not None:
            try:
                payload = await self._request(link, modbus.read(self.address, *span), timeout, pacing)
            except Refused as error:
                self.tally.refusals += 1
                self._heard = True
                if error.code not in NOT_THERE:
                    silences += 1
                    if silences > 1:
                        raise
                    continue
                log.debug("%s: %s, for register %d x %d", self.name, error, *span)
                if not self._advance(window):
                    raise
            except LinkError as error:
                await self._recover(link, error)
                if isinstance(error, LinkLost):
                    continue  # that says nothing about the unit
                silences += 1
                if not self._answered:
                    self._try_otherwise(window, error)
                elif silences >= (1 if window.optional or self._narrow else 2):
                    silences = 0
                    if not self._advance(window, self._narrow) or self.span(window) is None:
                        raise
            else:
                if not self._was_deaf_to_more(window, span):
                    self._missed[window.name] = 0
                    return span[0], payload
        return None

    async def _request(self, link: Link, request: modbus.Request, timeout: float, pacing: float) -> bytes:
        """Payload of an answer that is this question's and no late one to another. Raises `LinkError` and `Refused`."""
        frame, same = await self._exchange(link, request, timeout, pacing), 1
        for _ in range(MOST + TRIES):
            if same >= self._strays.needed(request, frame, self._monotonic()):
                self._strays.taken(request, frame)
                return modbus.payload_of(request, frame)
            again = await self._exchange(link, request, timeout, pacing)
            frame, same = again, same + 1 if again == frame else 1
        raise BadFrame("address", f"answers to different questions get mixed up (register {request.register})")

    async def _exchange(self, link: Link, request: modbus.Request, timeout: float, pacing: float) -> bytes:
        complete = partial(modbus.find_answer, request)
        try:
            try:
                frame = await link.exchange(request.frame, complete, timeout, pacing)
            except LinkSpent:
                await link.renew()
                frame = await link.exchange(request.frame, complete, timeout, pacing)
        except (NoAnswer, LinkLost) as error:
            self._strays.missed(request, self._monotonic())
            if isinstance(error, LinkLost):
                raise
            self.tally.timeouts += 1
            raise self._verdict(request, error, timeout) from error
        self._answered = True
        self._learn(request.unit, frame[0])
        return frame

    def _verdict(self, request: modbus.Request, error: NoAnswer, timeout: float) -> LinkError:
        cause = modbus.explain(request, error.received)
        if cause is None:
            return NoAnswer(f"no answer to register {request.register} within {timeout:g} s; is device_id right?")
        self.tally.crc_errors += cause.reason == "crc"
        return BadFrame(cause.reason, f"{cause} (register {request.register})")

    async def _recover(self, link: Link, error: LinkError) -> None:
        """A new connection after a failure; at most four in a cycle, then the failure stands."""
        self.last_error = error
        self._renewals += 1
        if self._renewals > max(4, len(self._untried) + 2):
            raise error
        log.debug("%s: %s; renewing the connection", self.name, error)
        self.tally.reconnects += 1
        await link.renew()
        if self._answered and self._hears_all:
            # What was learned may have come from a stray answer.
            self.address = self._configured

    def _learn(self, asked: int, sender: int) -> None:
        if self._configured != modbus.UNIVERSAL:
            return
        if asked == modbus.UNIVERSAL:
            self._hears_all, self._candidates = True, []
        else:
            self._candidates = [asked]
        self.address = sender

    def _try_otherwise(self, window: Window, error: LinkError) -> None:
        """The unit has said nothing in this cycle: ask at the other addresses it may have, then for less if it was never
        heard at all, or give up until the next."""
        if self._untried:
            self.address = self._untried.pop(0)
            return
        self.address = self._candidates[0] if len(self._candidates) == 1 else self._configured
        if self._heard or self._tried_narrow or len(window.spans) == 1:
            raise error
        self._tried_narrow = True

    def _was_deaf_to_more(self, window: Window, span: tuple[int, int]) -> bool:
        """The first answer ever, and to a smaller question than that before: it may be deaf to that, or may just have woken
        up. True: ask the wide question once more to know."""
        wide, first = span == window.spans[0], not self._heard
        self._heard = True
        if first and self._tried_narrow and not wide:
            self._narrow = True
            return True
        self._narrow = self._narrow and not (wide and len(window.spans) > 1)
        return False

    def _advance(self, window: Window, to_the_last: bool = False) -> bool:
        """Try another of its spans. False: rather not, because the unit has answered this one before."""
        missed = self._missed.get(window.name)
        if missed is not None and missed + 1 < FAITH:
            self._missed[window.name] = missed + 1
            return False
        self._missed.pop(window.name, None)
        following = self._spans.get(window.name, 0) + 1
        self._spans[window.name] = max(following, len(window.spans) - 1) if to_the_last else following
        if self.span(window) is None:
            level = logging.DEBUG if window.name in self._lacks else logging.INFO
            self._lacks.add(window.name)
            log.log(level, "%s has no %s block (or does not give it)", self.name, window.name)
        return True
