"""One outlet on its way: what is under way for it, and how it stands."""

from __future__ import annotations

import logging
from math import inf

from renogybt.outbox.store import Store
from renogybt.sinks.carrier import Carrier, Outcome
from renogybt.sinks.outlet import Call, Outlet, Verdict
from renogybt.sinks.sink import Health

log = logging.getLogger(__name__)

ENOUGH = 2
"""Failures in a row after which nobody waits for an outlet any longer."""


class Route:
    """Belongs to the upload thread; only `health` is for any thread. `readings`: it gets all of them, not only what is
    given to it."""

    def __init__(self, outlet: Outlet, carrier: Carrier, readings: bool) -> None:
        self.outlet, self.carrier, self.readings = outlet, carrier, readings
        self.name = outlet.name
        self.call: Call | None = None
        self.not_before = -inf
        self.turn = 0
        self._delivered = self._refused = 0
        self._trouble = ""

    def judged(self, call: Call, outcome: Outcome, store: Store, now: float, wall: float) -> Verdict:
        if outcome.answer is not None:
            return self.outlet.judge(call, outcome.answer, wall, now)
        if self.outlet.exact and not outcome.sent:
            store.unmark(call.records)
        return Verdict(reason=f"{self.name}: {outcome.fault}", failed=True)

    def settle(self, verdict: Verdict, store: Store, now: float) -> None:
        store.remove(self.name, (*verdict.done, *verdict.dropped), now)
        self._delivered += len(verdict.done)
        self._refused += len(verdict.dropped)
        if verdict.reason or verdict.done:
            self._say(verdict.reason)

    def _say(self, reason: str) -> None:
        """Each trouble is said once, until it changes or is over."""
        if reason and reason != self._trouble:
            log.warning("%s", reason)
        elif not reason and self._trouble:
            log.info("%s works again", self.name)
        self._trouble = reason

    def at_rest(self, store: Store, until: float, now: float) -> bool:
        """Nothing of this outlet waits, or nothing will come of waiting until `until`."""
        if self.call is not None:
            return False
        breaker, later = self.outlet.breaker, max(self.not_before, now + self.carrier.ready_in(self.name, now))
        hopeless = later > until or breaker.state(now) != "closed" or breaker.failures >= ENOUGH
        return hopeless or not store.count(self.name)

    def health(self, store: Store, now: float) -> Health:
        dropped = self._refused + store.dropped[self.name]
        return Health(self.outlet.breaker.state(now), store.count(self.name), self._delivered, dropped, self._trouble)
