"""The main loop: hands out readings to do, takes finished ones, gives them to the DataLogger."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

from renogybt.ble.budget import cycle_limit
from renogybt.ble.manager import BLEManager
from renogybt.ble.resets import Resets
from renogybt.command import Command
from renogybt.data_logger import DataLogger
from renogybt.energy.totals import EnergyTotals
from renogybt.errors import RenogyError
from renogybt.incident import Incident
from renogybt.reading import Failure, Identity, Reading, Standing
from renogybt.service.door import Door, place
from renogybt.service.enrich import Enricher
from renogybt.service.esphome import esphome
from renogybt.service.health import Health
from renogybt.service.inbox import Ended, Outcome, Stop
from renogybt.service.keeper import Keeper
from renogybt.service.orders import Orders
from renogybt.service.outlets import Outlets
from renogybt.service.past import Past
from renogybt.service.pulse import Pulse
from renogybt.service.schedule import Schedule
from renogybt.service.standings import Standings
from renogybt.service.systemd import Notifier
from renogybt.service.tidy import Tidy
from renogybt.service.troubles import Troubles
from renogybt.settings import Settings
from renogybt.sources.module import Section

log = logging.getLogger(__name__)
LONGEST_WAIT = 1.0
TICK = 0.5
"""Seconds between two looks at what does not announce itself. A cycle brings a dozen messages; not each needs a look."""
ONE_SHOT_LIMIT = 240.0
DELIVERY_LIMIT = 15.0
EXIT_OK, EXIT_FAILED, EXIT_AGAIN = 0, 1, 75
"""`EXIT_AGAIN`: a new process may help; systemd is to start it."""


class Bridge:
    """Reads the configured devices and delivers the readings, once or for ever.

    `radio` replaces Bluetooth (the simulator); `on_reading(reading)` and `on_failure(failure)` are called in the thread
    that runs `run()`. `stop()` and `command()` may be called from any thread, `stop()` also from a signal handler.
    """

    def __init__(
        self,
        settings: Settings,
        radio: Any = None,
        on_reading: Callable[[Reading], None] | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        logger: Outlets | None = None,
        count_energy: bool = True,
        notifier: Notifier | None = None,
        tidy: Tidy | None = None,
    ) -> None:
        self.settings, self.daemon = settings, settings.data.enable_polling
        self._on_reading, self._on_failure = on_reading, on_failure
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._resets = Resets(settings.watchdog.resets_per_hour)
        self._given = radio
        self._sections = {device.section: Section(device, settings) for device in settings.devices}
        self._totals = EnergyTotals(settings.path(settings.data.energy_file))
        self._enricher = Enricher(settings, self._totals) if count_energy else None
        identities = [identity for section in self._sections.values() for identity in section.identities]
        homely = self.daemon and logger is None
        self._residents, sinks = esphome(settings, identities, radio is None, self.command) if homely else ((), ())
        self.logger: Outlets = logger or DataLogger(
            settings, identities, more=sinks, on_command=self.command, on_crash=self._crashed
        )
        self._schedule = Schedule(settings.bluetooth.battery_retry_seconds)
        self._past = Past(self._sections.values(), self.submit, self.logger.log_past)
        self._health = Health(time.time())
        self._standings = Standings(settings.availability, periods(self._sections.values(), settings))
        self._orders = Orders(self, self._sections)
        self._pulse = Pulse(notifier or Notifier(""))
        door = place(settings) if self.daemon else None
        self._door = Door(door, self.command, self._crashed) if door is not None else None
        self._keeper: Keeper | None = None
        self._longest_cycle = cycle_limit(settings.bluetooth)
        self._heard: dict[str, float] = {}
        self._cycle: dict[str, dict[int, Reading]] = {name: {} for name in self._sections}
        self._troubles = Troubles(aloud=self.daemon)
        self._exit: int | None = None
        self._next_tick = 0.0
        self._tidy = tidy
        for identity in identities:
            self._health.expect(identity)

    def run(self) -> int:
        """Block until stopped (daemon) or until everything was read and delivered once. Returns the exit code."""
        self.logger.start()
        self._keeper = Keeper(self._make_radio, time.monotonic(), self._residents)
        try:
            if self._door is not None:
                self._door.start()
            return self._poll() if self.daemon else self._once()
        finally:
            self._shut_down()

    def _make_radio(self) -> Any:
        if self._given is not None:
            return self._given

        def local(settings: Settings) -> BLEManager:
            return BLEManager(settings, self._inbox.put, self._resets, patient=not self.daemon)

        if not any(device.via for device in self.settings.devices):
            return local(self.settings)
        from renogybt.proxy.choice import SomeRadios

        return SomeRadios(self.settings, self._inbox.put, local, patient=not self.daemon)

    def stop(self) -> None:
        """End `run()` soon. Safe in signal handlers: only puts a word into a queue."""
        self._inbox.put(Stop())

    def last_resort(self) -> None:
        """Save what nothing else can bring back, for a program that is about to end at once."""
        self._totals.flush()

    def command(self, command: Command) -> None:
        """Let the main loop carry out a command."""
        self._inbox.put(command)

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

        assert self._keeper is not None
        self._keeper.submit(job, lambda error: None)

    def hold(self, sections: Iterable[str], until: float) -> None:
        for name in sections:
            self._schedule.hold(name, until)

    def lent(self, identities: Iterable[Identity], until: float | None) -> None:
        for identity in identities:
            if until is None:
                self._standings.resumed(identity)
            else:
                self._standings.released(identity, until)

    def happened(self, incident: Incident) -> None:
        """Take note of an incident, and do what it asks for."""
        self._health.happened(incident)
        now = time.monotonic()
        if incident.asks == "hasten":
            self._schedule.hasten(now)
        elif incident.asks == "new_loop":
            self._replace_radio(now)
        elif incident.asks == "leave":
            self._exit = EXIT_AGAIN

    def health(self) -> dict[str, Any]:
        """How everything does, as JSON can carry it. To be called in the thread of `run()`."""
        thread = {"number": self._keeper.number, "alive": self._keeper.alive} if self._keeper else {}
        esphome = {key: value for resident in self._residents for key, value in resident.figures.items()}
        return self._health.snapshot(time.time(), outlets=self.logger.health(), radio_thread=thread, esphome=esphome)

    def _crashed(self, name: str, error: Exception) -> None:
        self._inbox.put(Incident("thread", f"thread {name} failed: {type(error).__name__}: {error}"))

    def _poll(self) -> int:
        start = time.monotonic()
        for section in self._sections.values():
            self._schedule.add(section.device.section, self.settings.period(section.device), start)
            for identity in section.identities:  # a run that was killed may have left word that it is there
                self.logger.log_standing(Standing(identity, "offline", None, None))
        while self._exit is None:
            for name in self._schedule.begin_due(time.monotonic()):
                self._submit(self._sections[name])
            if self._take(self._wait()):
                return EXIT_OK
            if (now := time.monotonic()) >= self._next_tick:
                self._next_tick = now + TICK
                self._tick(now)
        return self._exit

    def _tick(self, now: float) -> None:
        self._totals.flush_if_due(now)
        if self._tidy is not None:
            self._tidy.tick(now)
        self._keep_radio(now)
        for standing in self._standings.due(now):
            self._health.stands(standing.identity, standing.stage)
            self.logger.log_standing(standing)
        revived = self.logger.supervise()
        if self._door is not None and self._door.revive():
            revived.append(self._door.name)
        for name in revived:
            log.error("thread %s had ended; it was started anew", name)
            self._health.happened(Incident("thread", f"thread {name} had ended and was started anew"))
        assert self._keeper is not None
        self._pulse.tick(now, self._keeper, self._resets.exhausted_since(now), self._health)

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
            self._keep_radio(time.monotonic())
        for name in self._schedule.busy:
            self._troubles.ended(name, f"not read within {ONE_SHOT_LIMIT:g} s")
        reason = self.logger.flush(DELIVERY_LIMIT)
        for error, devices in self._troubles.alike():
            log.error("%s could not be read: %s", ", ".join(devices), error)
        if reason:
            log.error("not everything was delivered: %s", reason)
        return EXIT_FAILED if self._troubles.now or reason else EXIT_OK

    def _submit(self, section: Section) -> None:
        assert self._keeper is not None
        name, thread = section.device.section, self._keeper.number
        self._heard[name] = time.monotonic()

        async def job(radio: Any) -> None:
            await section.cycle(radio, lambda news: self._inbox.put((name, thread, news)))

        self._keeper.submit(job, lambda error: self._inbox.put(Ended(name, thread, error)))

    def _take(self, timeout: float) -> bool:
        """Deal with one message, if one comes within `timeout` seconds. True when it says to stop."""
        try:
            news = self._inbox.get(timeout=timeout)
        except Empty:
            return False
        match news:
            case Stop():
                return True
            case Outcome():
                news.report(news.result)
            case Ended():
                if self._keeper is None or news.thread == self._keeper.number:
                    self._ended(news)
            case Incident():
                self.happened(news)
            case Command():
                self._orders.carry_out(news)
            case (section, thread, item) if self._keeper is None or thread == self._keeper.number:
                self._heard[section] = time.monotonic()
                self._news(section, item)
        return False

    def _news(self, section: str, item: Any) -> None:
        if isinstance(item, Reading):
            self._reading(section, item)
        elif isinstance(item, Failure):
            self._failure(section, item)
        else:
            identity, figures = item
            figures = replace(figures, resets=self._health.resets)
            self._health.figures(identity, figures)
            self.logger.log_figures(identity, figures)

    def _reading(self, section: str, reading: Reading) -> None:
        if self._enricher:
            reading = self._enricher.enrich(reading, self._sections[section].device)
        if reading.identity.unit is not None:
            self._cycle[section][reading.identity.unit] = reading
            self._troubles.read(section, reading.identity, reading.missing)
        self._health.read(reading)
        self._standings.good(reading)
        self.logger.log(reading)
        if self.daemon:
            self._past.seen(section)
        if self._on_reading:
            self._on_reading(reading)

    def _failure(self, section: str, failure: Failure) -> None:
        self._troubles.failed(section, failure)
        self._health.failed(failure)
        self._standings.failed(failure)
        self.logger.log_failure(failure)
        if self._on_failure:
            self._on_failure(failure)

    def _ended(self, news: Ended) -> None:
        now = time.monotonic()
        section, readings = self._sections[news.section], self._cycle[news.section]
        self._schedule.ended(news.section, now, failed=not readings)
        self._troubles.ended(news.section, "" if news.error is None else str(news.error) or type(news.error).__name__)
        self._cycle[news.section] = {}
        if section.bank is None:
            return
        if readings:
            combined = section.bank.combine(readings, time.time(), now)
            self._reading(news.section, combined)
        else:
            failure = Failure(section.bank.identity, "no battery answered", now, time.time())
            self._health.failed(failure)
            self._standings.failed(failure)
            self.logger.log_failure(failure)

    def _keep_radio(self, now: float) -> None:
        assert self._keeper is not None
        self._keeper.bury()
        silent = [name for name in self._schedule.busy if now - self._heard.get(name, now) > self._longest_cycle]
        if reason := self._keeper.trouble(now, silent):
            log.error("the Bluetooth thread is stuck (%s); starting a new one", reason)
            self._health.happened(Incident("new_loop", f"the Bluetooth thread was stuck: {reason}"))
            self._replace_radio(now)

    def _replace_radio(self, now: float) -> None:
        """Go on with a fresh thread and event loop. What was being read counts as failed."""
        assert self._keeper is not None
        hopeful = self._keeper.replace(now)
        error = TimeoutError("the Bluetooth thread was replaced in the middle of reading")
        for name in self._schedule.busy:
            for source in self._sections[name].sources:
                if source.identity.unit not in self._cycle[name]:
                    self._failure(name, Failure(source.identity, str(error), now, time.time()))
            self._ended(Ended(name, self._keeper.number, error))
        self._schedule.hasten(now)
        if not hopeful and self.settings.watchdog.leave_for_systemd:
            log.error("new Bluetooth threads do not help; ending, so that systemd starts the program anew")
            self._exit = EXIT_AGAIN

    def _shut_down(self) -> None:
        """Totals first, because nothing else can bring them back; then the radio, then the outlets."""
        self._pulse.stopping()
        self._totals.flush()
        if self._door is not None:
            self._door.stop(1.0)
        if self._keeper is not None and not self._keeper.stop(5.0):
            log.warning("the Bluetooth thread did not end in time")
        while not self._inbox.empty():
            self._take(0)
        self._totals.flush()
        self.logger.stop(4.0, last_words=self.daemon)


def periods(sections: Iterable[Section], settings: Settings) -> dict[str, float]:
    """Seconds between two readings of each device, by its uid."""
    return {identity.uid: settings.period(section.device) for section in sections for identity in section.identities}
