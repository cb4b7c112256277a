"""The thread that writes the history."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import date

from renogybt.errors import OutletError
from renogybt.history import file
from renogybt.history.kept import Kept, Record, kept, records
from renogybt.history.store import Store
from renogybt.reading import Failure, Identity, LinkFigures, Reading
from renogybt.settings import Settings
from renogybt.worker import Worker

log = logging.getLogger(__name__)
BURST = 200
"""So many waiting readings are written at once, whatever the time."""
MOST_WAITING, MOST_PENDING = 2000, 5000
"""Readings held in memory at most: as they came, and in their written form (some 400 bytes each) while the disk fails."""
PRUNE_EVERY, PRUNE_PAUSE = 3600.0, 0.5
STEADY = 60.0
"""Nothing is pruned while wall clock and monotonic clock have drifted further apart since the last time: a clock that was
just set may be wrong, and by a wrong one everything is old."""
REMEDY = "check that the folder exists, may be written to, and that the card is not full"


class HistorySink(Worker):
    """One transaction per `flush_seconds`; none while nothing comes in.

    `day_of(wall)` tells which local day a moment belongs to. A file that is damaged is put aside and a new one begun; while
    the disk fails, readings wait in memory, the oldest given up first. Either is said once. `dropped` counts what was given
    up, `trouble` says why the history is not written ("" while it is).
    """

    def __init__(
        self,
        settings: Settings,
        day_of: Callable[[float], date],
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        on_crash: Callable[[str, Exception], None] | None = None,
    ) -> None:
        super().__init__("history", on_crash)
        self._settings, self._day_of = settings.history, day_of
        self._daemon = settings.data.enable_polling
        self._wall, self._monotonic = wall, monotonic
        self.path = settings.path(settings.history.file)
        self._waiting: deque[Reading] = deque()
        self._pending: deque[Kept | Record] = deque()
        self._arrived = self._written = self._failures = 0
        self._news = threading.Condition()
        self._urgent = threading.Event()
        self._store: Store | None = None
        self._next_write = self._next_prune = 0.0
        self._clock: float | None = None
        self.trouble = ""
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Readings that are not in the file yet."""
        return self._arrived - self._written

    @property
    def delivered(self) -> int:
        return self._written - self.dropped

    def offer(self, reading: Reading) -> None:
        with self._news:
            self._waiting.append(reading)
            self._arrived += 1
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            burst = len(self._waiting) >= BURST
        if burst:
            self._hurry()

    def failed(self, failure: Failure) -> None:
        """What was not read leaves no trace."""

    def figures(self, identity: Identity, figures: LinkFigures) -> None:
        """Nobody here wants to know."""

    def flush(self, timeout: float) -> str:
        """Wait until everything offered is in the file. "" when it is, else why not."""
        with self._news:
            wanted, failures = self._arrived, self._failures
            if self._written >= wanted:
                return ""
        self._hurry()
        with self._news:
            self._news.wait_for(lambda: self._written >= wanted or self._failures > failures, timeout)
            done = self._written >= wanted
        return "" if done else self.trouble or f"the history was not written within {timeout:g} s"

    def stop(self, timeout: float = 5.0, last_words: bool = True) -> bool:
        return super().stop(timeout) and not self._waiting and not self._pending

    def step(self) -> float:
        now = self._monotonic()
        if self._urgent.is_set() or now >= self._next_write:
            self._urgent.clear()
            self._next_write = now + self._settings.flush_seconds
            self._write(self._wall())
        if self._store is not None and now >= self._next_prune:
            self._next_prune = now + (PRUNE_PAUSE if self._prune(now) else PRUNE_EVERY)
        return max(0.05, min(self._next_write, self._next_prune if self._store else self._next_write) - self._monotonic())

    def close(self) -> None:
        """The last words: everything that waits, and the means of what is not over yet."""
        self._write(None)
        if self._store is not None:
            if not self._daemon:
                self._attempt(lambda store: store.prune(self._wall(), *self._ages))
            self._store.close()

    def _hurry(self) -> None:
        self._urgent.set()
        self.wake()

    def _write(self, now: float | None) -> None:
        """Everything that waits, in one transaction; `now` as in `Store.write`."""
        with self._news:
            fresh, reached = list(self._waiting), self._arrived
            self._waiting.clear()
        for reading in fresh:
            self._pending.extend(records(reading) if reading.identity.part else (kept(reading),))
        while len(self._pending) > MOST_PENDING:
            self._pending.popleft()
            self.dropped += 1
        readings = [item for item in self._pending if isinstance(item, Kept)]
        days = [item for item in self._pending if isinstance(item, Record)]
        done = self._attempt(lambda store: store.write(readings, days, now))
        if done:
            self._pending.clear()
        with self._news:
            if done:
                self._written = reached
            else:
                self._failures += 1
            self._news.notify_all()

    def _attempt(self, work: Callable[[Store], object]) -> bool:
        """Do `work` with the store, opened if need be; a damaged file is put aside, and the work done with a new one."""
        for again in (True, False):
            try:
                if self._store is None:
                    self._store = Store(self.path, self._day_of)
                work(self._store)
            except (sqlite3.Error, OSError, OutletError) as error:
                if not (self._failed(error) and again):
                    return False
            else:
                if self.trouble:
                    log.info("the history is written to %s again (readings given up: %d)", self.path, self.dropped)
                self.trouble = ""
                return True
        return False

    def _failed(self, error: Exception) -> bool:
        """Give the store up. True when a new one may be tried at once, because the damaged file is out of the way."""
        if self._store is not None:
            self._store.close()
            self._store = None
        if file.broken(error):
            try:
                aside = file.put_aside(self.path)
            except OSError as reason:
                error = reason
            else:
                log.error("the history %s is damaged (%s); it is kept as %s, and a new one begun", self.path, error, aside)
                return True
        trouble = str(error) if isinstance(error, OutletError) else f"{self.path} cannot be written ({error}); {REMEDY}"
        if not self.trouble:
            log.error("history: %s. Readings wait in memory meanwhile", trouble)
        self.trouble = trouble
        return False

    @property
    def _ages(self) -> tuple[float, float, float]:
        return self._settings.full_days, self._settings.five_minute_days, self._settings.hourly_days

    def _prune(self, now: float) -> bool:
        """Remove a little of what is too old, unless the clock cannot be trusted. True when there is more to remove."""
        wall, before = self._wall(), self._clock
        self._clock = wall - now
        if before is None or abs(self._clock - before) > STEADY:
            return False
        more: list[bool] = []
        return self._attempt(lambda store: more.append(store.prune(wall, *self._ages))) and more[-1]
