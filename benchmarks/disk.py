"""How often the SD card is written to while everything goes well: one reading a minute for a simulated hour."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import energy, given
from benchmarks.peers import Web
from benchmarks.report import Figure
from benchmarks.simulated import Ahead, run, told_by
from renogybt.energy.days import Days
from renogybt.history.writer import HistorySink
from renogybt.settings import Pvoutput
from renogybt.sinks.outlets import Outlets
from tests.peers.pvoutput import PvoutputPeer
from tests.sinks.pump import Clock

MINUTES, START = 60, datetime(2025, 6, 21, 10, 0, tzinfo=UTC).timestamp()


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="disk-") as name:
        folder = Path(name)
        totals = energy.written(folder / "energy_totals.json", 1.0, 60 * MINUTES)
        rows = history(folder)
        without, commits = outbox(folder / "without", False), outbox(folder / "with", True)
    yield Figure("energy_totals.json, writes per minute", totals / MINUTES, 1, "per min", "an update every second")
    method = "a reading every 5 s, five-minute and hourly means"
    yield Figure("history, transactions per minute", rows / MINUTES, 1, "per min", method)
    method = "a reading a minute to JSON POST and InfluxDB; all goes well"
    yield Figure("outbox, transactions per minute", without / MINUTES, 0, "per min", method)
    method = "the same, and a status every five minutes to PVOutput, which must never get one twice"
    yield Figure("outbox with PVOutput, transactions per minute", commits / MINUTES, 1, "per min", method)


def history(folder: Path) -> int:
    """How many transactions the history makes of an hour with a reading every five seconds."""
    clock = Clock(START)
    sink = HistorySink(given.settings(folder, history=given.history()), Days("UTC").at, clock.wall, clock.mono)
    first, seen, transactions = next(given.readings(1)), 0, -1
    path = folder / "history.sqlite"
    sink.step()
    with closing(sqlite3.connect(path)) as other:
        for second in range(60 * MINUTES):
            if second % 5 == 0:
                sink.offer(replace(first, taken_at=clock.wall(), monotonic=clock.mono()))
            clock.advance(1)
            sink.step()
            (version,) = other.execute("PRAGMA data_version").fetchone()
            transactions, seen = transactions + (version != seen), version
    sink.close()
    return transactions


def outbox(folder: Path, to_pvoutput: bool) -> int:
    """How many transactions the outbox makes of an hour in which every server answers."""
    folder.mkdir()
    clock = Ahead(START)
    with Web() as web, PvoutputPeer(clock.wall) as peer, told_by(clock):
        key, number = peer.system.key, next(iter(peer.systems))
        system = Pvoutput(enabled=to_pvoutput, url=peer.url, api_key=key, system_id=number)
        remote, influx = given.remote(web.url("post")), given.influxdb(web.url("").rstrip("/"))
        configuration = given.settings(folder, remote_logging=remote, influxdb=influx, pvoutput=(system,))
        uploader = Outlets(configuration).uploader
        first = next(given.readings(1))
        for _ in range(MINUTES):
            uploader.offer(replace(first, taken_at=clock.wall(), monotonic=clock.mono()))
            run(uploader, clock, 60.0)
        commits = uploader.store.commits
        uploader.close()
        arrived, statuses = web.requests, len(peer.system.statuses)
    if arrived < 2 * MINUTES or statuses < to_pvoutput * (MINUTES // 5 - 1):
        raise RuntimeError(f"only {arrived} posts and {statuses} statuses arrived; commits would mean nothing")
    return commits
