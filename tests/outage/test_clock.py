"""Clocks that are set while the program runs, and the days on which summer time begins and ends."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from renogybt import devices
from renogybt.data_logger import DataLogger
from renogybt.energy.totals import EnergyTotals
from renogybt.history import History
from renogybt.reading import Identity, Reading
from renogybt.service.enrich import Enricher
from renogybt.settings import Device, Settings
from renogybt.sinks import upload
from tests.outage.given import (
    HOUR,
    MINUTE,
    ROVER,
    ZONE,
    as_sent,
    hasten,
    moment,
    of_time,
    reading,
    running,
    settings,
    short_rests,
    slots,
    through,
    until,
    yesterday,
)
from tests.peers.door import Door
from tests.peers.pvoutput import PvoutputPeer
from tests.peers.web import Web

PACK = Identity("84:28:D7:FF:00:02", 48, "pack")
KILOWATT = {"voltage": 12.5, "current": 80.0}


class World:
    """`truth` is the time everywhere; the bridge's own clock is wrong by `error` seconds."""

    def __init__(self, patch: pytest.MonkeyPatch, truth: float) -> None:
        self.truth, self.error = truth, 0.0
        patch.setattr(upload, "time", SimpleNamespace(time=self.wall, monotonic=time.monotonic))

    def now(self) -> float:
        return self.truth

    def wall(self) -> float:
        return self.truth + self.error


class Daily:
    """Counts a battery that is charged with a kilowatt all the time."""

    def __init__(self, config: Settings) -> None:
        self._device = Device(mac_addr=PACK.mac, alias=PACK.alias, type="RNG_BATT", device_id=(48,), poll_interval=300)
        self._enricher = Enricher(config, EnergyTotals(config.path("energy.json")))

    def count(self, wall: float, at: float) -> tuple[float, float]:
        """kWh of all time and of the day, at this wall clock and monotonic second."""
        values = devices.family("battery").complete(KILOWATT)
        found = self._enricher.enrich(Reading(PACK, "battery", values, wall, at), self._device).values
        return found["energy_in_kwh"], found["energy_in_today_kwh"]


def settled(logger: DataLogger, web: Web, count: int) -> None:
    """Everything offered so far has left, or can never."""
    until(lambda: len(of_time(web)) == count, what=lambda: logger.health())
    assert logger.flush(60) == ""


def test_a_clock_that_is_set_forth_and_back_by_six_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    world = World(monkeypatch, moment(yesterday(), 20))
    began, taken, right, early = world.truth, list[float](), list[float](), list[float]()
    with Web() as web, PvoutputPeer(world.now, ZONE, 1_000_000) as service:
        config = settings(tmp_path, remote=web.url, pvoutput=service.url, history=True)
        daily, sums = Daily(config), list[tuple[float, float]]()
        with running(config, short_rests) as logger:
            for error, count in ((0.0, 30), (6 * HOUR, 10), (0.0, 30), (-6 * HOUR, 10), (0.0, 30)):
                world.error = error
                for _ in range(count):
                    at = world.truth - began
                    sums.append(daily.count(world.wall(), at))
                    logger.log(reading(world.wall(), at=at))
                    taken.append(world.wall())
                    if error <= 0:
                        (early if error else right).append(world.wall())
                    world.truth += MINUTE
                settled(logger, web, len(taken))
            health = logger.health()
        assert of_time(web) == as_sent(taken)
        assert health["remote_logging"]["dropped"] == 0
        assert set(service.system.delivered.values()) == {1}
        assert set(service.system.times) == {*slots(right), *slots(early)}
        assert health["pvoutput"]["dropped"] == 2, "the two statuses of a time to come, which PVOutput refuses"
    expected = [pytest.approx(minute / 60, abs=1e-5) for minute in range(len(taken))]
    assert [total for total, _ in sums] == expected
    assert [today for _, today in sums] == expected, "no day turns because a clock is wrong for ten minutes"
    with History(tmp_path / "history.sqlite") as history:
        kept = [at for at, _ in history.readings(ROVER.uid, min(taken), max(taken) + 1)]
    assert kept == sorted(taken)


def test_a_clock_that_is_not_set_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pi has no clock of its own: until the network is there it believes in 1970."""
    hasten(monkeypatch)
    world = World(monkeypatch, moment(yesterday(), 9))
    world.error = -world.truth + 100.0
    with Web() as web, PvoutputPeer(world.now, ZONE, 1_000_000) as service:
        config = settings(tmp_path, remote=web.url, pvoutput=service.url)
        right = []
        with running(config, short_rests) as logger:
            for number in range(60):
                if number == 20:
                    world.error = 0.0
                logger.log(reading(world.wall(), number))
                right += [world.wall()] if number >= 20 else []
                world.truth += MINUTE
                settled(logger, web, number + 1)
            until(lambda: len(service.system.times) == len(slots(right)), what=lambda: logger.health())
        assert service.system.times == slots(right)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)], ids=["summer time begins", "summer time ends"]
)
def test_a_day_on_which_the_clocks_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, day: date, hours: int) -> None:
    hasten(monkeypatch)
    midnight = moment(day, 0)
    world = World(monkeypatch, midnight - HOUR)
    with Web() as web, PvoutputPeer(world.now, ZONE, 1_000_000) as service:
        own = int(service.url.split(":")[2].split("/")[0])
        with Door(web.port) as to_web, Door(own) as to_service:
            config = settings(
                tmp_path, remote=through(web.url, to_web.port), pvoutput=through(service.url, to_service.port), history=True
            )
            daily, taken, today = Daily(config), list[float](), {}
            with running(config, short_rests) as logger:
                while world.truth < midnight + (hours + 1) * HOUR:
                    if world.truth == midnight + 1.5 * HOUR:
                        settled(logger, web, len(taken))
                        to_web.shut()
                        to_service.shut()
                    if world.truth == midnight + 4.5 * HOUR:
                        assert len(of_time(web)) == len(taken) - 36
                        to_web.open()
                        to_service.open()
                    logger.log(reading(world.truth))
                    taken.append(world.truth)
                    today[world.truth] = daily.count(world.truth, world.truth - midnight)[1]
                    world.truth += 5 * MINUTE
                settled(logger, web, len(taken))
        assert of_time(web) == as_sent(taken)
        assert service.system.times == slots(taken)
        assert set(service.system.delivered.values()) == {1}
        of_day = [slot for slot in service.system.times if slot[0] == f"{day:%Y%m%d}"]
        assert len(of_day) == 12 * min(24, hours), "the hour that comes twice can be shown once"
    assert today[midnight - 5 * MINUTE] == pytest.approx(55 / 60, abs=1e-5)
    assert today[midnight + hours * HOUR - 5 * MINUTE] == pytest.approx(hours, abs=1e-3)
    assert today[midnight + hours * HOUR + 5 * MINUTE] < 0.2
    with History(tmp_path / "history.sqlite") as history:
        assert [at for at, _ in history.readings(ROVER.uid, taken[0], taken[-1] + 1)] == taken
        (known,) = history.days(ROVER.uid, day, day)
    assert known.values["pv_power"].readings == 12 * hours
