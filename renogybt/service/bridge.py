"""The main loop: hands out readings to do, takes finished ones, gives them to the DataLogger."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from renogybt.ble.manager import BLEManager
from renogybt.ble.thread import RadioThread
from renogybt.data_logger import DataLogger
from renogybt.energy.totals import EnergyTotals
from renogybt.errors import RenogyError
from renogybt.reading import Failure, Identity, LinkFigures, Reading
from renogybt.service.enrich import Enricher
from renogybt.service.past import Past
from renogybt.service.schedule import Schedule
from renogybt.settings import Settings
from renogybt.sources.module import Section

log = logging.getLogger(__name__)
LONGEST_WAIT = 1.0
CYCLE_LIMIT = 85.0
"""Seconds after which a reading counts as stuck: more than all time limits of one cycle together."""
SHORTEST_LIFE = 10.0
"""Seconds before a radio thread may be replaced, so that one which cannot even start is no hot loop."""
ONE_SHOT_LIMIT = 240.0
DELIVERY_LIMIT = 15.0
EXIT_OK, EXIT_FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class Ended:
    """The cycle of a section is over; `thread` tells which radio thread it ran in."""

    section: str
    thread: int
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a submitted task, for the one who asked."""

    report: Callable[[Any], None]
    result: Any


class Stop:
    """Put into the inbox to end the main loop."""


class Outlets(Protocol):
    """Where readings go; the DataLogger in the daemon."""

    def start(self) -> None: ...

    def log(self, reading: Reading) -> None: ...

    def log_failure(self, failure: Failure) -> None: ...

    def log_figures(self, identity: Identity, figures: LinkFigures) -> None: ...

    def log_past(self, reading: Reading) -> None: ...

    def flush(self, timeout: float) -> str: ...

    def stop(self, timeout: float, last_words: bool = True) -> bool: ...


class Bridge:
    """Reads the configured devices and delivers the readings, once or for ever.

    `radio` replaces Bluetooth (the simulator); `on_reading(reading)` and `on_failure(failure)` are called in the thread
    that runs `run()`. `stop()` may be called from any thread and from a signal handler.
    """

    def __init__(
        self,
        settings: Settings,
        radio: Any = None,
        on_reading: Callable[[Reading], None] | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        logger: Outlets | None = None,
        count_energy: bool = True,
    ) -> None:
        self.settings, self.daemon = settings, settings.data.enable_polling
        self._on_reading, self._on_failure = on_reading, on_failure
        self._make_radio = (lambda: radio) if radio is not None else (lambda: BLEManager(patient=not self.daemon))
        self._sections = {device.section: Section(device, settings) for device in settings.devices}
        self._totals = EnergyTotals(settings.path(settings.data.energy_file))
        self._enricher = Enricher(settings, self._totals) if count_energy else None
        identities = [identity for section in self._sections.values() for identity in section.identities]
        self.logger: Outlets = logger or DataLogger(settings, identities)
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._schedule = Schedule()
        self._past = Past(self._sections.values(), self.submit, self.logger.log_past)
        self._threads: list[RadioThread] = []
        self._cycle: dict[str, dict[int, Reading]] = {name: {} for name in self._sections}
        self._failures: dict[str, str] = {}

    def run(self) -> int:
        """Block until stopped (daemon) or until everything was read and delivered once. Returns the exit code."""
        self.logger.start()
        self._new_radio_thread()
        try:
            return self._poll() if self.daemon else self._once()
        finally:
            self._shut_down()

    def stop(self) -> None:
        """End `run()` soon. Safe in signal handlers: only puts a word into a queue."""
        self._inbox.put(Stop())

    def submit(self, task: Callable[[Any], Awaitable[Any]], report: Callable[[Any], None]) -> None:
        """Let the radio thread do `task(radio)` between readings.

        `report` gets its result, or the error, in the thread of `run()`. May be called from any thread while that runs.
        """

        async def job(radio: Any) -> None:
            try:
                outcome = await task(radio)
            except RenogyError as error:
                outcome = error
            self._inbox.put(Outcome(report, outcome))

        self._threads[-1].submit(job, lambda error: None)

    def _poll(self) -> int:
        start = time.monotonic()
        for section in self._sections.values():
            self._schedule.add(section.device.section, self.settings.period(section.device), start)
        while True:
            for name in self._schedule.begin_due(time.monotonic()):
                self._submit(self._sections[name])
            if self._take(self._wait()):
                return EXIT_OK
            self._totals.flush_if_due(time.monotonic())
            self._replace_stuck_radio()

    def _wait(self) -> float:
        due = self._schedule.next_due()
        return LONGEST_WAIT if due is None else min(LONGEST_WAIT, max(0.0, due - time.monotonic()))

    def _once(self) -> int:
        start = time.monotonic()
        for name, section in self._sections.items():
            self._schedule.add(name, ONE_SHOT_LIMIT * 2, start)
            self._submit(section)
        self._schedule.begin_due(start)
        while self._schedule.busy and time.monotonic() - start < ONE_SHOT_LIMIT:
            if self._take(LONGEST_WAIT):
                return EXIT_FAILED
        for name in self._schedule.busy:
            self._failures[name] = f"not read within {ONE_SHOT_LIMIT:g} s"
        reason = self.logger.flush(DELIVERY_LIMIT)
        for device, error in self._failures.items():
            log.error("%s could not be read: %s", device, error)
        if reason:
            log.error("not everything was delivered: %s", reason)
        return EXIT_FAILED if self._failures or reason else EXIT_OK

    def _submit(self, section: Section) -> None:
        name, thread = section.device.section, len(self._threads)

        async def job(radio: Any) -> None:
            await section.cycle(radio, lambda news: self._inbox.put((name, news)))

        self._threads[-1].submit(job, lambda error: self._inbox.put(Ended(name, thread, error)))

    def _take(self, timeout: float) -> bool:
        """Deal with one message, if one comes within `timeout` seconds. True when it says to stop."""
        try:
            news = self._inbox.get(timeout=timeout)
        except Empty:
            return False
        if isinstance(news, Stop):
            return True
        if isinstance(news, Outcome):
            news.report(news.result)
        elif isinstance(news, Ended):
            if news.thread == len(self._threads):
                self._ended(news)
        elif isinstance(news[1], Reading):
            self._reading(news[0], news[1])
        elif isinstance(news[1], Failure):
            self._failure(news[1])
        else:
            identity, figures = news[1]
            self._figures(identity, figures)
        return False

    def _reading(self, section: str, reading: Reading) -> None:
        if self._enricher:
            reading = self._enricher.enrich(reading, self._sections[section].device)
        if reading.identity.unit is not None:
            self._cycle[section][reading.identity.unit] = reading
            if self._failures.pop(reading.identity.label, None) and self.daemon:
                log.info("%s is read again", reading.identity.label)
        if reading.missing and reading.identity.unit is not None:
            log.warning("%s was read in part; missing: %s", reading.identity.label, ", ".join(reading.missing))
        self.logger.log(reading)
        if self.daemon:
            self._past.seen(section)
        if self._on_reading:
            self._on_reading(reading)

    def _failure(self, failure: Failure) -> None:
        label = failure.identity.label
        if self.daemon and gist(self._failures.get(label, "")) != gist(failure.error):
            log.warning("%s: %s", label, failure.error)
        self._failures[label] = failure.error
        self.logger.log_failure(failure)
        if self._on_failure:
            self._on_failure(failure)

    def _figures(self, identity: Identity, figures: LinkFigures) -> None:
        self.logger.log_figures(identity, figures)

    def _ended(self, news: Ended) -> None:
        now = time.monotonic()
        self._schedule.ended(news.section, now)
        if news.error is not None:
            self._failures[news.section] = str(news.error) or type(news.error).__name__
        else:
            self._failures.pop(news.section, None)
        section, readings = self._sections[news.section], self._cycle[news.section]
        self._cycle[news.section] = {}
        if section.bank is None:
            return
        if readings:
            combined = section.bank.combine(readings, time.time(), now)
            self._reading(news.section, combined)
        else:
            self.logger.log_failure(Failure(section.bank.identity, "no battery answered", now, time.time()))

    def _new_radio_thread(self) -> None:
        self._thread_since = time.monotonic()
        self._threads.append(RadioThread(self._make_radio))
        self._threads[-1].start()

    def _replace_stuck_radio(self) -> None:
        """Start anew with a fresh event loop when a reading has outlived every time limit, or the thread has died."""
        now = time.monotonic()
        if now - self._thread_since < SHORTEST_LIFE:
            return
        stuck = [name for name in self._schedule.busy if (self._schedule.busy_for(name, now) or 0) > CYCLE_LIMIT]
        if not stuck and self._threads[-1].alive:
            return
        log.error("the Bluetooth thread is stuck (%s); starting a new one", ", ".join(stuck) or "it has ended")
        self._new_radio_thread()
        for name in self._schedule.busy:
            self._schedule.ended(name, now)
            self._cycle[name] = {}

    def _shut_down(self) -> None:
        """Totals first, because nothing else can bring them back; then the radio, then the outlets."""
        self._totals.flush()
        if not self._threads[-1].stop(5.0):
            log.warning("the Bluetooth thread did not end in time")
        while not self._inbox.empty():
            self._take(0)
        self._totals.flush()
        self.logger.stop(4.0, last_words=self.daemon)


def gist(error: str) -> str:
    """What an error says apart from its numbers and details: the same trouble is not logged at every turn."""
    return re.sub(r"[0-9]+", "", error)[:60]
