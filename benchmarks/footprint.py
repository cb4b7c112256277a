"""What 1000 readings leave behind in memory, with every sink switched on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

import psutil

from benchmarks import given
from benchmarks.energy import grown, traced
from benchmarks.peers import Broker, Web, broker
from benchmarks.report import Figure
from renogybt.data_logger import DataLogger

NUMBER, WARM, STEP = 1000, 200, 5.0


def figures() -> Iterator[Figure]:
    with traced(), everything_on() as (logger, server, web):
        items = given.readings(WARM + NUMBER, STEP)
        log(logger, server, web, islice(items, WARM))
        process = psutil.Process()
        resident = process.memory_info().rss
        kept, peak = grown(lambda: log(logger, server, web, items))
        resident = process.memory_info().rss - resident
    method = f"{NUMBER} readings through DataLogger to MQTT, JSON POST, PVOutput, InfluxDB and history"
    yield Figure("1000 readings, memory growth", kept / 1024, 100, "KB", f"{method}, {WARM} before; tracemalloc")
    yield Figure(
        "1000 readings, memory at the peak", peak / 1024, None, "KB", "the same; with what waits to be sent or written"
    )
    yield Figure(
        "1000 readings, growth of the process",
        resident / 1024,
        None,
        "KB",
        "the same; VmRSS, tracemalloc's own needs included",
    )


@contextmanager
def everything_on() -> Iterator[tuple[DataLogger, Broker, Web]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="footprint-")))
        server = stack.enter_context(broker(folder / "broker"))
        web, rest = stack.enter_context(Web()), stack.enter_context(Web())
        configuration = given.settings(
            folder,
            mqtt=given.mqtt(server.port),
            remote_logging=given.remote(web.url("post")),
            pvoutput=given.pvoutput(rest.url("")),
            influxdb=given.influxdb(rest.url("").rstrip("/")),
            history=given.history(),
        )
        yield stack.enter_context(given.running(configuration)), server, web


def log(logger: DataLogger, server: Broker, web: Web, items: Iterator[given.Reading]) -> None:
    given.log_each(logger, items, web=web)
    reason = logger.flush(given.DEADLINE)
    if reason:
        raise RuntimeError(f"not everything was delivered: {reason}")
