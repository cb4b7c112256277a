"""Readings of chosen moments, outlets that lead to peers, and time limits short enough for a test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from renogybt import devices
from renogybt.breaker import Breaker
from renogybt.data_logger import DataLogger
from renogybt.reading import Identity, Reading
from renogybt.settings import Data, Device, History, Influxdb, Mqtt, Outbox, Pvoutput, RemoteLogging, Settings
from renogybt.sinks import upload, wire
from renogybt.sinks.document import iso
from renogybt.sinks.upload import Uploader
from tests.peers.web import Asked, Web

ZONE = "Europe/Amsterdam"
ROVER = Identity("84:28:D7:FF:00:01", 255, "rover")
MINUTE, HOUR = 60.0, 3600.0


def moment(day: date, hour: int, minute: int = 0) -> float:
    """Wall-clock seconds of a local time in `ZONE`."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(ZONE)).timestamp()


def yesterday() -> date:
    return datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=1)


def reading(taken_at: float, power: int = 0, at: float | None = None) -> Reading:
    """Of a charge controller; `at` is the same moment on the monotonic clock."""
    given = {
        "battery_voltage": 13.1,
        "controller_temperature": 25,
        "pv_power": power,
        "load_power": 5,
        "power_generation_today": 561,
    }
    values = devices.family("controller").complete(given)
    return Reading(ROVER, "controller", values, taken_at, time.monotonic() if at is None else at, "BT-TH-1")


def settings(
    folder: Path,
    *,
    remote: str = "",
    pvoutput: str = "",
    mqtt: Mqtt | None = None,
    influx: str = "",
    history: bool = False,
    flush_seconds: float = 0.1,
    interval: int = 5,
    **data: Any,
) -> Settings:
    """All outlets that are given an address are on. The outbox writes so often that a test need not wait for it."""
    device = Device(mac_addr=ROVER.mac, alias=ROVER.alias, type="RNG_CTRL", device_id=(255,))
    system = Pvoutput(
        enabled=True,
        api_key="secret-key",
        system_id="1234",
        url=pvoutput,
        status_interval=interval,
        requests_per_hour=1000,
    )
    return Settings(
        devices=(device,),
        data=Data(**{"enable_polling": True, "timezone": ZONE, **data}),
        remote_logging=RemoteLogging(enabled=bool(remote), url=remote),
        mqtt=mqtt or Mqtt(),
        pvoutput=(system,) if pvoutput else (),
        influxdb=Influxdb(enabled=bool(influx), url=influx),
        outbox=Outbox(flush_seconds=flush_seconds),
        history=History(enabled=history, flush_seconds=flush_seconds),
        folder=str(folder),
        file="config.ini",
    )


def through(url: str, port: int) -> str:
    """`url` by way of a door at `port`."""
    return urlsplit(url)._replace(netloc=f"127.0.0.1:{port}").geturl()


def hasten(patch: pytest.MonkeyPatch, silence: float = 0.5) -> None:
    """Seconds become tenths: pauses between attempts, and the silence after which an answer is given up."""
    patch.setattr(upload, "RETRY", 0.05)
    patch.setattr(upload, "LONGEST_RETRY", 0.2)
    patch.setattr(wire, "TIMEOUTS", (silence, silence))


def hasten_for_good(silence: float = 0.5) -> None:
    """The same for a process that exists for a test only."""
    hasten(pytest.MonkeyPatch(), silence)


def uploader(logger: DataLogger) -> Uploader:
    (found,) = (sink for sink in logger.sinks if isinstance(sink, Uploader))
    return found


def short_rests(logger: DataLogger, cooldown: float = 0.3, deadline: float = 1.0) -> None:
    """Breakers as configured, but with short cooldowns; a whole call gets `deadline` seconds instead of thirty."""
    found = uploader(logger)
    found.http._deadline = deadline
    for route in found._routes:
        route.outlet.breaker = Breaker(route.outlet.breaker.threshold, cooldown, cooldown)


@contextmanager
def running(config: Settings, prepare: Callable[[DataLogger], object] = lambda logger: None) -> Iterator[DataLogger]:
    logger = DataLogger(config, [ROVER])
    prepare(logger)
    logger.start()
    try:
        yield logger
    finally:
        logger.stop(4.0)


def until(condition: Callable[[], object], timeout: float = 60, what: Callable[[], object] = lambda: "") -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout} s: {what()}"
        time.sleep(0.01)


def of_time(web: Web) -> list[str]:
    """The times of the records that `web` took, in order; what was sent again counts once."""
    seen: dict[str, Asked] = {}
    for asked in web.asked:
        before = seen.setdefault(asked.key, asked)
        assert before.body == asked.body, f"one key for two records: {before} {asked}"
    return [asked.headers["X-Taken-At"] for asked in seen.values()]


def as_sent(times: Iterable[float]) -> list[str]:
    return [iso(taken_at) for taken_at in times]


def slots(times: Iterable[float], interval: int = 5) -> list[tuple[str, str]]:
    """The statuses (d, t) that PVOutput has to get for readings of these moments, in order."""
    found: dict[tuple[str, str], None] = {}
    for taken_at in times:
        local = datetime.fromtimestamp(taken_at, ZoneInfo(ZONE))
        floor = local.minute // interval * interval
        found[f"{local:%Y%m%d}", f"{local:%H}:{floor:02d}"] = None
    return list(found)
