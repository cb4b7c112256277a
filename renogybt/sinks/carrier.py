"""Carries HTTP calls in a thread of its own, so that nothing a server, a network or a name lookup does holds up the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from renogybt.sinks.outlet import Answer, Call
from renogybt.worker import Worker

if TYPE_CHECKING:
    from renogybt.sinks.wire import Wire

log = logging.getLogger(__name__)

DEADLINE = 30.0
"""Seconds for a whole call: name lookup, connecting, sending, and the answer to its last byte."""
GRACE = 1.0
STUCK = 120.0
MOST_STUCK = 3
"""A thread that a name lookup holds is left behind at the deadline. The outlet it served gets another after `STUCK` seconds,
and as long as fewer than `MOST_STUCK` of its threads are still held."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: with an answer, or with what went wrong. `sent`: the request may have arrived."""

    answer: Answer | None
    fault: str = ""
    sent: bool = True


class Carrier(Protocol):
    """Does one call at a time. Used by one thread; none of this waits for a network."""

    @property
    def busy(self) -> bool: ...

    def ready_in(self, outlet: str, now: float) -> float:
        """Seconds until a call of `outlet` can be taken, when nothing else is under way."""
        ...

    def carry(self, outlet: str, call: Call, now: float, again: bool) -> None:
        """Begin a call; `again`: it may be sent a second time over a new connection when a kept one was dead."""
        ...

    def outcome(self, now: float) -> Outcome | None:
        """The end of the call, once; None while it is under way."""
        ...

    def look_in(self, now: float) -> float:
        """Seconds until `outcome` has to be asked even without being woken."""
        ...

    def close(self) -> None: ...


class Porter(Worker):
    """Carries one call after the other; left behind when one does not end."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__("upload-http", self._crashed)
        self._tell = wake
        self._job: tuple[Call, float, bool] | None = None
        self.wire: Wire | None = None
        self.outcome: Outcome | None = None

    def carry(self, call: Call, until: float, again: bool) -> None:
        self.outcome = None
        self._job = call, until, again
        self.wake()

    def step(self) -> float:
        job = self._job
        if job is not None:
            self._job = None
            self.outcome = self._carried(*job)
            self._tell()
        return 60.0

    def _carried(self, call: Call, until: float, again: bool) -> Outcome:
        from renogybt.sinks.wire import NoAnswer, Wire

        if self.wire is None:
            self.wire = Wire()
        try:
            return Outcome(self.wire.send(call, until, again))
        except NoAnswer as error:
            return Outcome(None, f"{host(call.url)} {error}", error.sent)

    def _crashed(self, name: str, error: Exception) -> None:
        self.outcome = Outcome(None, f"the call failed ({type(error).__name__})")
        self._tell()

    def interrupt(self) -> None:
        if self.wire is not None:
            self.wire.interrupt()

    def close(self) -> None:
        if self.wire is not None:
            self.wire.close()


class HttpCarrier:
    """The `Carrier` of all HTTP outlets. A call that outlives the deadline is cut off; if even that does not end it, its
    thread is left behind and the next call gets a new one."""

    def __init__(self, wake: Callable[[], None], deadline: float = DEADLINE) -> None:
        self._wake, self._deadline = wake, deadline
        self._porter: Porter | None = None
        self._under_way: tuple[str, Call, float] | None = None
        self._cut_off = False
        self._stuck: list[tuple[str, Porter, float]] = []

    @property
    def busy(self) -> bool:
        return self._under_way is not None

    @property
    def session(self) -> object:
        """The `requests.Session` in use; None before the first call."""
        wire = self._porter.wire if self._porter is not None else None
        return wire.session if wire is not None else None

    def ready_in(self, outlet: str, now: float) -> float:
        self._stuck = [item for item in self._stuck if item[1].alive]
        held = [since for name, _, since in self._stuck if name == outlet]
        if not held:
            return 0.0
        if len(held) >= MOST_STUCK:
            return STUCK
        return max(0.0, max(held) + STUCK - now)

    def carry(self, outlet: str, call: Call, now: float, again: bool) -> None:
        if self._porter is None:
            self._porter = Porter(self._wake)
            self._porter.start()
        self._under_way, self._cut_off = (outlet, call, now), False
        self._porter.carry(call, now + self._deadline, again)

    def outcome(self, now: float) -> Outcome | None:
        if self._under_way is None or self._porter is None:
            return None
        outlet, call, since = self._under_way
        found = self._porter.outcome
        if found is None and now - since >= self._deadline and not self._cut_off:
            self._cut_off = True
            self._porter.interrupt()
        if found is None and now - since < self._deadline + GRACE:
            return None
        self._under_way = None
        if found is None:
            log.warning("a call of %s is held by its name lookup; going on without it", outlet)
            found = Outcome(None, f"{host(call.url)} did not answer within {self._deadline:g} s")
            self._stuck.append((outlet, self._porter, since))
        if self._cut_off:  # a wire that was interrupted is not used again
            self._porter.stop(0)
            self._porter = None
        return found

    def look_in(self, now: float) -> float:
        if self._under_way is None:
            return inf
        end = self._under_way[2] + self._deadline
        return max(0.0, end - now if not self._cut_off else end + GRACE - now)

    def close(self) -> None:
        if self._porter is not None:
            if self.busy:
                self._porter.interrupt()
            self._porter.stop(1.0)


def host(url: str) -> str:
    """The server's name, which is all of an address that may be shown."""
    try:
        return urlsplit(url).hostname or "(no host)"
    except ValueError:
        return "(no host)"
