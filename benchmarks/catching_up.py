"""After a time without network: a week of statuses to PVOutput, and a long queue of readings to a server."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from msgspec import structs

from benchmarks import given
from benchmarks.peers import Web, wait_until
from benchmarks.report import Figure
from renogybt.outbox.store import Store
from renogybt.reading import Reading
from renogybt.service.bridge import Bridge
from renogybt.settings import Data, Mqtt, Pvoutput, Settings
from renogybt.simulator.plant import Plant
from renogybt.simulator.radio import SimulatedRadio
from renogybt.simulator.system import DEMO_SEED, DEMO_START, demo_settings, faster
from renogybt.sinks.pvoutput import outlets
from renogybt.sinks.remote import RemoteOutlet
from tests.peers.pvoutput import PvoutputPeer
from tests.sinks.pump import Clock, Pump

STATUSES, EVERY, HOUR = 2016, 300, 3600
START = datetime(2025, 6, 14, 12, 1, tzinfo=UTC).timestamp()
ZONE = "Europe/Amsterdam"
QUEUED, PERIOD, DEVICES = 10_000, 1.0, 8


def figures() -> Iterator[Figure]:
    yield from week()
    yield from queue()


def week() -> Iterator[Figure]:
    """A reading a minute, so a status every five, and no network for seven days; by a clock of its own."""
    clock = Clock(START)
    with PvoutputPeer(clock.wall, ZONE) as peer:
        system = Pvoutput(enabled=True, url=peer.url, api_key=peer.system.key, system_id=next(iter(peer.systems)))
        pump = Pump(clock, *outlets(Settings(pvoutput=(system,), data=Data(enable_polling=True, timezone=ZONE))))
        pump.online = False
        first = next(given.readings(1))
        for n in range(STATUSES):
            values = {**first.values, "power_generation_today": 5 * (n % 288)}
            pump.offer(replace(first, values=values, taken_at=clock.wall(), monotonic=clock.mono()))
            pump.run(EVERY)
        back, pump.online = clock.wall(), True
        while any(pump.waiting.values()) and clock.wall() < back + 24 * HOUR:
            pump.run(10)
    there, times = peer.system, [one.at for one in peer.asked]
    method = (
        f"{STATUSES} statuses, one every five minutes, of a simulated week without network; server as strict as PVOutput"
    )
    yield Figure("statuses that arrived", len(there.statuses), STATUSES, "", method, least=True)
    yield Figure("statuses sent more than once", sum(n > 1 for n in there.delivered.values()), 0, "", "as the server counts")
    yield Figure(
        "statuses out of order",
        sum(later < earlier for earlier, later in pairwise(there.times)),
        0,
        "",
        "as the server counts",
    )
    yield Figure("requests for all of them", len(peer.asked), 68, "", "30 in each")
    yield Figure("requests in the busiest hour", max(peer.per_hour()), 60, "", "hours as the server counts them")
    yield Figure("time for all of them", (times[-1] - back) / 60, None, "min", "simulated, from the return of the network")


def queue() -> Iterator[Figure]:
    """What has waited goes to a server that works again, while the bridge goes on reading devices."""
    cycles: dict[str, list[float]] = defaultdict(list)

    def take(reading: Reading) -> None:
        if reading.identity.unit is not None:
            cycles[reading.identity.label].append(time.monotonic())

    with tempfile.TemporaryDirectory(prefix="queue-") as name, Web(remember=True) as web:
        house = demo_settings(1, name, PERIOD)
        data = structs.replace(house.data, fields=given.FEW)
        house = structs.replace(house, mqtt=Mqtt(), data=data, remote_logging=given.remote(web.url("post")))
        expected = fill(house)
        radio = SimulatedRadio(Plant(DEMO_SEED, DEMO_START), house, faster(DEMO_START, 1.0))
        bridge = Bridge(house, radio, on_reading=take)
        thread = threading.Thread(target=bridge.run)
        begun = time.monotonic()
        thread.start()
        try:
            wait_until(lambda: web.requests >= QUEUED, 600, f"{QUEUED} records at the server")
            took = time.monotonic() - begun
            wait_until(lambda: time.monotonic() - begun > 5 * PERIOD, 60, "five cycles")
        finally:
            bridge.stop()
            thread.join(30)
    wrong = sum(arrived != sent for arrived, sent in zip(web.bodies, expected, strict=False))
    gaps = [later - earlier for times in cycles.values() for earlier, later in pairwise(times)]
    missed = sum(round(gap / PERIOD) - 1 for gap in gaps) + (DEVICES - len(cycles))
    method = f"{QUEUED} readings kept in the outbox file, to a server on loopback"
    yield Figure("queued records per second", QUEUED / took, 50, "1/s", method, least=True)
    yield Figure("records out of order, missing or double", wrong, 0, "", "what the server got, against what was kept")
    method = f"{len(cycles)} simulated devices, each read every {PERIOD:g} s meanwhile: {len(gaps) + len(cycles)} readings"
    yield Figure("readings missed meanwhile", missed, 0, "", method)


def fill(settings: Settings) -> list[bytes]:
    """Put `QUEUED` readings into the outbox, as an outage would have; what they must arrive as, in order."""
    outlet, outbox = RemoteOutlet(settings), settings.outbox
    store = Store(settings.path(outbox.file), max_age=30 * 86400.0, max_bytes=64_000_000, flush_seconds=outbox.flush_seconds)
    store.open(0.0)
    bodies = []
    for reading in given.readings(QUEUED, 30.0):
        for taken_at, body in outlet.records(reading):
            store.accept(outlet.name, taken_at, body, 0.0)
            bodies.append(body.encode())
    if not store.commit(0.0, time.time()):
        raise RuntimeError(store.trouble)
    store.close()
    return bodies
