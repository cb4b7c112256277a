"""What is measured with: readings of a controller, and a DataLogger that sends them to servers on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers import Broker, Web, wait_until
from renogybt.data_logger import DataLogger
from renogybt.reading import Reading
from renogybt.settings import Data, Device, History, Influxdb, Mqtt, Pvoutput, RemoteLogging, Settings
from renogybt.sinks.mqtt import MqttSink
from renogybt.sinks.upload import Uploader
from tests.sinks.given import CONTROLLER, ROVER, full

TOPIC = "solar/state"
FEW = ("battery_percentage", "battery_voltage", "battery_current", "pv_power", "load_power", "charging_status")
"""Six values, as somebody would choose in `fields`."""
DEADLINE = 60.0


def readings(number: int, step: float = 60.0, start: float | None = None) -> Iterator[Reading]:
    """Readings of one charge controller with nothing missing, `step` seconds apart by their own clock.

    The first was taken at wall-clock second `start`; left out, the last is of now.
    """
    begin = time.time() - step * number if start is None else start
    mono = time.monotonic() - step * number
    values = full(ROVER, "controller").values | CONTROLLER
    for n in range(number):
        now = {"pv_power": 30 + n % 400, "power_generation_today": 5 * (n % 288)}
        yield Reading(ROVER, "controller", values | now, begin + n * step, mono + n * step, ROVER.alias)


def settings(folder: Path, fields: tuple[str, ...] = (), **sections: Any) -> Settings:
    """A configuration with one controller, read for ever; `sections` switch on what is to be measured."""
    device = Device(mac_addr=ROVER.mac, alias=ROVER.alias)
    data = Data(enable_polling=True, fields=fields)
    return Settings(devices=(device,), data=data, folder=str(folder), **sections)


def mqtt(port: int, **more: Any) -> Mqtt:
    return Mqtt(**{"enabled": True, "server": "127.0.0.1", "port": port, "topic": TOPIC, **more})


def remote(url: str) -> RemoteLogging:
    return RemoteLogging(enabled=True, url=url, auth_header="0123456789abcdef")


def pvoutput(url: str) -> tuple[Pvoutput, ...]:
    return (Pvoutput(enabled=True, url=url, api_key="0123456789abcdef", system_id="12345"),)


def influxdb(url: str) -> Influxdb:
    return Influxdb(enabled=True, url=url, org="home", bucket="solar", token="0123456789abcdef")


def history() -> History:
    return History(enabled=True)


@contextmanager
def running(configuration: Settings) -> Iterator[DataLogger]:
    """A DataLogger at work. Its MQTT sink does not space messages out, because an hour passes in a moment here."""
    logger = DataLogger(configuration, [ROVER])
    for sink in logger.sinks:
        if isinstance(sink, MqttSink):
            sink._session.outbox.spacing = 0.0
    logger.start()
    try:
        yield logger
    finally:
        logger.stop(10.0)


def client_of(logger: DataLogger) -> object:
    """The paho client in use."""
    return next(sink._connection._client for sink in logger.sinks if isinstance(sink, MqttSink))


def session_of(logger: DataLogger) -> object:
    """The HTTP session in use."""
    porter = uploader_of(logger).http._porter
    assert porter is not None
    assert porter.wire is not None
    return porter.wire.session


def uploader_of(logger: DataLogger) -> Uploader:
    return next(sink for sink in logger.sinks if isinstance(sink, Uploader))


def log_each(
    logger: DataLogger,
    items: Iterator[Reading],
    broker: Broker | None = None,
    web: Web | None = None,
    after: Callable[[], None] = lambda: None,
) -> int:
    """Log one after the other, each when the one before has arrived at `broker` and `web`. The number of readings."""
    heard = broker.heard(TOPIC) if broker else 0
    asked = web.requests if web else 0
    number = 0
    for item in items:
        number += 1
        logger.log(item)
        if broker:
            wait_until(
                partial(reached, partial(broker.heard, TOPIC), heard + number), DEADLINE, f"reading {number} at the broker"
            )
        if web:
            wait_until(partial(reached, web.posted, asked + number), DEADLINE, f"reading {number} at the web server")
        after()
    return number


def reached(count: Callable[[], int], wanted: int) -> bool:
    return count() >= wanted
