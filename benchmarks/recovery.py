"""How soon readings come again after something broke, with the real program and the real bleak backend."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median

from benchmarks.report import Figure
from tests.e2e.program import Program
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.bluez.faults import IN_PROGRESS
from tests.peers.mosquitto import Listener, Mosquitto

PERIOD = 1.0
TIMES = 3
"""How often a quick figure is measured."""
LATEST = 300.0
UNDER_WAY = 0.3
"""Seconds after a fault in which a reading may arrive that was taken before it."""
TOPIC = "solar/state"
CONNECT_LIMIT = 25.0
"""Seconds that a connection may take by default, before any failure."""
DOWN = 3.0
"""Seconds that bluetoothd stays away."""

WEDGE = '''\
"""Put on PYTHONPATH by a benchmark: blocks the event loop of this process when a file appears, as a driver would."""

import asyncio, gc, os, threading, time


def _watch():
    while not os.path.exists(os.environ["WEDGE"]):
        time.sleep(0.05)
    for found in gc.get_objects():
        if isinstance(found, asyncio.AbstractEventLoop) and found.is_running():
            found.call_soon_threadsafe(time.sleep, 3600)


threading.Thread(target=_watch, name="wedge", daemon=True).start()
'''


@dataclass
class Scene:
    folder: Path
    fake: Fake
    ears: Listener
    program: Program

    def reading(self, after: float) -> float:
        """When the first reading after that moment came; never is infinity."""
        until = time.monotonic() + LATEST
        while (found := self._first(after)) is None:
            if time.monotonic() > until:
                return inf
            time.sleep(0.02)
        return found

    def steady(self) -> None:
        """Until three readings came in a row."""
        now = time.monotonic()
        for _ in range(3):
            now = self.reading(now)

    def _first(self, after: float) -> float | None:
        """The first moment after that one at which a reading came, and not a word about a device that is not read."""
        found = (
            heard.at
            for heard in list(self.ears.messages)
            if heard.topic == TOPIC and heard.at > after and '"connection_status":"offline"' not in heard.payload
        )
        return next(found, None)


def figures() -> Iterator[Figure]:
    """The slow ones wait for the program's own time limits, so all are measured at the same time."""
    measured: tuple[Callable[[], Figure], ...] = (
        stuck_discovery,
        deaf_discovery,
        wedged_thread,
        hanging_connect,
        link_drop,
        bluetoothd_restart,
        adapter_power,
    )
    with ThreadPoolExecutor(len(measured)) as pool:
        for started in [pool.submit(measure) for measure in measured]:
            yield started.result()


def link_drop() -> Figure:
    with running() as now:
        spans = [_after(now, lambda: now.fake.drop_link(scene.CONTROLLER)) for _ in range(TIMES)]
    return _figure("link drop", spans, 5, "from the drop to the next reading")


def bluetoothd_restart() -> Figure:
    spans = []
    with running() as now:
        for _ in range(TIMES):
            now.fake.die()
            time.sleep(DOWN)
            spans.append(_after(now, now.fake.restart))
    return _figure("restart of bluetoothd", spans, 5, f"away for {DOWN:g} s; from its return to the next reading")


def adapter_power() -> Figure:
    with running() as now:
        spans = [_after(now, lambda: now.fake.set_powered(False)) for _ in range(TIMES)]
    return _figure("adapter switched off", spans, 15, "somebody switches it off; until the next reading")


def hanging_connect() -> Figure:
    with running() as now:
        now.fake.rule("Connect", "hang", times=1)
        span = _after(now, lambda: now.fake.drop_link(scene.CONTROLLER))
    method = f"one call of Connect unanswered; read again after {span:.1f} s, less the limit of {CONNECT_LIMIT:g} s"
    return _figure("one hanging Connect", [max(0.0, span - CONNECT_LIMIT)], 15, method)


def stuck_discovery() -> Figure:
    """The adapter says it is scanning, for ever; no scan of ours begins, no connection comes about."""
    with running() as now:
        now.fake.rule("StartDiscovery", IN_PROGRESS)
        now.fake.rule("Connect", ("org.bluez.Error.Failed", "le-connection-abort-by-local"))
        span = _until_powered(now, lambda: now.fake.drop_link(scene.CONTROLLER))
    return _figure("stuck discovery, no connection", [span], 150, "scans and connections fail until a power cycle")


def deaf_discovery() -> Figure:
    """The same with a connection that stays and carries nothing."""
    with running() as now:
        span = _until_powered(now, lambda: now.fake.quirk(scene.CONTROLLER, None, "silent"))
    return _figure("stuck discovery, no answers", [span], 150, "connected, but no answers until a power cycle")


def _until_powered(now: Scene, strike: Callable[[], object]) -> float:
    """Seconds from `strike` to the next reading, if all is well as soon as the adapter was switched off and on."""
    now.fake.foreign_discovery(True)
    now.fake.clear_log()
    broken = time.monotonic()
    strike()
    while not now.fake.events("powered") and time.monotonic() < broken + LATEST:
        time.sleep(0.05)
    now.fake.clear_rules()
    now.fake.clear_quirks(scene.CONTROLLER)
    return now.reading(broken + UNDER_WAY) - broken


def wedged_thread() -> Figure:
    with tempfile.TemporaryDirectory(prefix="wedge-") as folder:
        (Path(folder) / "sitecustomize.py").write_text(WEDGE)
        wedge = Path(folder) / "now"
        with running(PYTHONPATH=folder, WEDGE=str(wedge)) as now:
            pid = now.program.pid
            span = _after(now, wedge.touch)
            alive = now.program.running and now.program.pid == pid
    if not alive:
        raise RuntimeError("the program ended instead of starting a new thread")
    return _figure("event loop blocked", [span], 90, "time.sleep in the Bluetooth thread; same process")


@contextmanager
def running(**environment: str) -> Iterator[Scene]:
    """A charge controller, read every second with the settings as they come."""
    with (
        tempfile.TemporaryDirectory(prefix="recovery-") as name,
        Fake(scene.scenario(scene.controller())) as fake,
        Mosquitto(Path(name) / "broker") as broker,
        Listener(broker.port, TOPIC) as ears,
        Program(Path(name), _config(broker.port), fake, **environment) as program,
    ):
        now = Scene(Path(name), fake, ears, program)
        now.steady()
        yield now


def _after(now: Scene, strike: Callable[[], object]) -> float:
    """Seconds from a fault to the next reading, then wait until all is well."""
    began = time.monotonic()
    strike()
    span = now.reading(time.monotonic() + UNDER_WAY) - began
    now.steady()
    return span


def _figure(name: str, spans: list[float], limit: float, method: str) -> Figure:
    worst = max(spans)
    text = f"{method}; {len(spans)} times, median {median(spans):.1f} s" if len(spans) > 1 else method
    return Figure(f"recovery after: {name}", worst, limit, "s", text)


def _config(port: int) -> str:
    return f"""
[device]
mac_addr = {scene.CONTROLLER}
type = RNG_CTRL
[data]
enable_polling = true
poll_interval = {PERIOD}
[mqtt]
enabled = true
server = 127.0.0.1
port = {port}
topic = {TOPIC}
"""
