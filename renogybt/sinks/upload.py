"""The thread `upload`: what must not be lost on its way out, kept in the outbox until it has arrived."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from math import inf

from renogybt.outbox.store import Store
from renogybt.reading import Failure, Identity, LinkFigures, Reading
from renogybt.settings import Settings
from renogybt.sinks.carrier import Carrier, HttpCarrier
from renogybt.sinks.outlet import Call, Outlet, Verdict
from renogybt.sinks.route import Route
from renogybt.sinks.sink import Health
from renogybt.worker import Worker

log = logging.getLogger(__name__)

DAY = 86400.0
INBOX = 16384
"""Readings that may wait for this thread: more than any pause of it, unless the disk hangs for hours."""
AT_ONCE = 200
"""Readings taken from the inbox in one round, so that calls are not held up by many."""
RETRY, LONGEST_RETRY = 1.0, 30.0
"""Seconds before another attempt after a failure; doubled with each until the breaker opens."""
LONGEST_PAUSE = 60.0

Bodies = Iterable[tuple[float, str]]


class Flush:
    """Somebody waits, until `until`, for everything to be delivered or at least stored."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.done = threading.Event()
        self.reason = ""


class Uploader(Worker):
    """Takes readings from any thread and sees to it that every outlet gets its records, in order, each in its turn.

    Calls go out in threads of the carriers, one per carrier at a time; this thread never waits for a network, so that it can
    write the outbox and serve the others meanwhile. Outlets, store and breakers are touched by this thread alone.
    """

    name = "upload"

    def __init__(
        self, settings: Settings, outlets: Iterable[Outlet] = (), on_crash: Callable[[str, Exception], None] | None = None
    ) -> None:
        super().__init__("upload", on_crash)
        outbox = settings.outbox
        self.store = Store(
            settings.path(outbox.file),
            max_age=outbox.max_age_days * DAY,
            max_bytes=round(outbox.max_size_mb * 1_000_000),
            flush_seconds=outbox.flush_seconds,
        )
        self.http = HttpCarrier(self.wake)
        self.overrun = 0
        self._inbox: deque[tuple[str, Callable[[Outlet], Bodies]]] = deque()
        self._flushes: list[Flush] = []
        self._routes: tuple[Route, ...] = ()
        self._turns = count(1)
        self._opened = False
        self._kept = True
        self._said_waiting: dict[str, int] = {}
        for outlet in outlets:
            self.add(outlet)

    def add(self, outlet: Outlet, carrier: Carrier | None = None, *, readings: bool = True) -> None:
        """One more outlet, by HTTP unless it brings its own `carrier`. May be called at any time."""
        self._routes = (*self._routes, Route(outlet, carrier or self.http, readings))

    def has(self, name: str) -> bool:
        return any(route.name == name for route in self._routes)

    # For any thread

    def offer(self, reading: Reading) -> None:
        self._put("", lambda outlet: outlet.records(reading))

    def give(self, name: str, bodies: Callable[[], Bodies]) -> None:
        """Something for the outlet `name` alone; `bodies` is called in the upload thread."""
        self._put(name, lambda _: bodies())

    def _put(self, name: str, make: Callable[[Outlet], Bodies]) -> None:
        if len(self._inbox) >= INBOX:
            self._inbox.popleft()
            self.overrun += 1
        self._inbox.append((name, make))
        self.wake()

    def failed(self, failure: Failure) -> None:
        """Nobody here wants to know."""

    def figures(self, identity: Identity, figures: LinkFigures) -> None:
        """Nobody here wants to know."""

    def flush(self, timeout: float) -> str:
        """Wait until everything offered is delivered, or cannot be now and is stored. "" when so, else why not."""
        if not self.alive:
            return f"{self.name}: {len(self._inbox)} reading(s) wait, and the thread does not run" if self._inbox else ""
        request = Flush(time.monotonic() + timeout)
        self._flushes.append(request)
        self.wake()
        if request.done.wait(timeout + 2):
            return request.reason
        return f"the outbox {self.store.path} was not written within {timeout:g} s"

    def stop(self, timeout: float = 5.0, last_words: bool = True) -> bool:
        """Deliver what can be delivered soon, store the rest. True when nothing was lost."""
        if self.alive and not self.stopping:
            self.flush(timeout * 0.6)
        return super().stop(timeout * 0.4) and self._kept and not self._inbox

    def health(self) -> Mapping[str, Health]:
        now, state = time.monotonic(), "memory" if self.store.trouble else "disk"
        found = {route.name: route.health(self.store, now) for route in self._routes}
        lost = self.overrun + sum(self.store.dropped.values())
        return found | {"outbox": Health(state, self.store.total, 0, lost, self.store.trouble)}

    # In the upload thread

    def step(self) -> float:
        now, wall = time.monotonic(), time.time()
        if not self._opened:
            self._opened = True
            self.store.open(now)
        self._take(now, AT_ONCE)
        for route in self._routes:
            self._finish(route, now, wall)
        pauses = [self._begin(route, now, wall) for route in sorted(self._routes, key=lambda route: route.turn)]
        pauses += [carrier.look_in(now) for carrier in {route.carrier for route in self._routes}]
        pauses += [self._answer(request, now, wall) for request in list(self._flushes)]
        if self.store.due(now) <= 0:
            self.store.commit(now, wall)
        return 0.0 if self._inbox else max(0.0, min([LONGEST_PAUSE, self.store.due(now), *pauses]))

    def close(self) -> None:
        now, wall = time.monotonic(), time.time()
        self._take(now, len(self._inbox))
        for route in self._routes:
            self._finish(route, now, wall)
        self._kept = self.store.commit(now, wall)
        for request in self._flushes:
            request.done.set()
        self.store.close()
        self.http.close()

    def _take(self, now: float, most: int) -> None:
        for _ in range(min(most, len(self._inbox))):
            name, make = self._inbox.popleft()
            for route in self._routes:
                if route.name == name or (not name and route.readings):
                    for taken_at, body in make(route.outlet):
                        self.store.accept(route.name, taken_at, body, now)

    def _begin(self, route: Route, now: float, wall: float) -> float:
        """Let the next call of this outlet go, if it may; else the seconds until it may (infinite: it will be woken)."""
        outlet, carrier = route.outlet, route.carrier
        if carrier.busy:
            return inf
        waiting = self.store.waiting(route.name, outlet.batch, now)
        if not waiting:
            return inf
        calm = outlet.exact and len(waiting) == 1 and not (self._flushes or self.stopping)
        pause = max(
            route.not_before - now,
            outlet.breaker.wait(now),
            carrier.ready_in(route.name, now),
            self.store.may_mark(waiting[0], now) if calm else 0.0,
        )
        if pause > 0:
            return pause
        found = outlet.compose(waiting, wall, now)
        if isinstance(found, Verdict):
            route.settle(found, self.store, now)
            return 0.0
        if not isinstance(found, Call):
            route.not_before = now + found
            return found
        if not outlet.breaker.allow(now):  # its probe never came to an end
            outlet.breaker.abandoned()
            return RETRY
        if outlet.exact and self.store.mark(route.name, [record.number for record in found.records]):
            self.store.commit(now, wall)
        route.call, route.turn = found, next(self._turns)
        carrier.carry(route.name, found, now, again=not outlet.exact)
        return carrier.look_in(now)

    def _finish(self, route: Route, now: float, wall: float) -> None:
        outcome = route.carrier.outcome(now) if route.call is not None else None
        if outcome is None or route.call is None:
            return
        call, route.call = route.call, None
        verdict = route.judged(call, outcome, self.store, now, wall)
        breaker = route.outlet.breaker
        if verdict.failed:
            if breaker.failed(now):
                log.warning("%s failed %d times in a row; it rests for %g s", route.name, breaker.failures, breaker.cooldown)
            pause = min(LONGEST_RETRY, RETRY * 2 ** min(10, breaker.failures - 1))
        else:
            breaker.succeeded()
            pause = 0.0
        route.not_before = now + max(pause, verdict.pause)
        route.settle(verdict, self.store, now)

    def _answer(self, request: Flush, now: float, wall: float) -> float:
        """Tell who waits, when there is no more to wait for; else the seconds until it must be told anyway."""
        if now < request.until and (
            self._inbox or not all(route.at_rest(self.store, request.until, now) for route in self._routes)
        ):
            return request.until - now
        if not self.store.commit(now, wall):
            request.reason = f"{self.store.unsaved} record(s) are neither delivered nor stored: {self.store.trouble}"
        self._say_waiting()
        self._flushes.remove(request)
        request.done.set()
        return 0.0

    def _say_waiting(self) -> None:
        waiting = {route.name: found for route in self._routes if (found := self.store.count(route.name))}
        if waiting and waiting != self._said_waiting:
            parts = ", ".join(f"{number} for {name}" for name, number in waiting.items())
            log.info("kept in the outbox, to be delivered later: %s", parts)
        self._said_waiting = waiting
