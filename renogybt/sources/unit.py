"""Asking one unit on a module's bus: which address it has, what it does not answer, when to give up."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from renogybt.errors import BadFrame, LinkError, LinkLost, LinkSpent, NoAnswer, Refused
from renogybt.link import Link
from renogybt.protocol import modbus
from renogybt.protocol.table import Window

log = logging.getLogger(__name__)
CHECKSUM_SEEN_WRONG = 5
BUSY = 4


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
    """

    def __init__(self, address: int, candidates: tuple[int, ...], name: str) -> None:
        self.address, self.name = address, name
        self.tally = Tally()
        self.last_error: LinkError | Refused | None = None
        self._configured = address
        self._candidates = [c for c in candidates if c != address] if address == modbus.UNIVERSAL else []
        self._hears_all = False
        self._untried: list[int] = []
        self._spans: dict[str, int] = {}
        self._answered = False
        self._renewals = 0

    def begin(self) -> None:
        """A new cycle: forget what only held for the last one."""
        self._answered, self._renewals, self.last_error = False, 0, None
        self._untried = [a for a in (self._configured, *self._candidates) if a != self.address]

    @property
    def answered(self) -> bool:
        """Whether it has answered anything, be it a refusal, in this cycle."""
        return self._answered

    def span(self, window: Window) -> tuple[int, int] | None:
        """Start and words to ask for `window`, or None when this unit has answered none of its spans."""
        index = self._spans.get(window.name, 0)
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
        silences, patience = 0, 1 if window.optional else 2
        while (span := self.span(window)) is not None:
            try:
                payload = await self._request(link, modbus.read(self.address, *span), timeout, pacing)
            except Refused as error:
                self.tally.refusals += 1
                if error.code in (BUSY, CHECKSUM_SEEN_WRONG):
                    silences += 1
                    if silences > 1:
                        raise
                    continue
                log.debug("%s: %s, for register %d x %d", self.name, error, *span)
                self._advance(window)
            except LinkError as error:
                await self._recover(link, error)
                if isinstance(error, LinkLost):
                    continue  # that says nothing about the unit
                silences += 1
                if not self._answered:
                    self._try_another_address(error)
                elif silences >= patience:
                    self._advance(window)
                    silences = 0
                    if self.span(window) is None:
                        raise
            else:
                return span[0], payload
        return None

    async def _request(self, link: Link, request: modbus.Request, timeout: float, pacing: float) -> bytes:
        try:
            frame = await link.exchange(request.frame, partial(modbus.find_answer, request), timeout, pacing)
        except LinkSpent:
            await link.renew()
            frame = await link.exchange(request.frame, partial(modbus.find_answer, request), timeout, pacing)
        except NoAnswer as error:
            self.tally.timeouts += 1
            raise self._verdict(request, error, timeout) from error
        self._answered = True
        self._learn(request.unit, frame[0])
        return modbus.payload_of(request, frame)

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

    def _try_another_address(self, error: LinkError) -> None:
        """The unit has said nothing in this cycle: ask at the other addresses it may have, or give up until the next."""
        if not self._untried:
            self.address = self._candidates[0] if len(self._candidates) == 1 else self._configured
            raise error
        self.address = self._untried.pop(0)

    def _advance(self, window: Window) -> None:
        self._spans[window.name] = self._spans.get(window.name, 0) + 1
        if self.span(window) is None:
            log.info("%s has no %s block (or does not give it)", self.name, window.name)
