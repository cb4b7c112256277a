"""Four batteries behind a hub, through the real bleak backend: time, memory, processor, connections, disk writes."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.report import Figure
from tests.e2e.program import Program
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.mosquitto import Listener, Mosquitto

PERIOD = 4.0
UNITS = (48, 49, 50, 51)
TICK = os.sysconf("SC_CLK_TCK")


def measure(seconds: float) -> Iterator[Figure]:
    """Run `example.py` for `seconds` with a reading every `PERIOD` and measure it from outside."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        Fake(scene.scenario(scene.batteries(**scene.WIRE))) as fake,
        Mosquitto(Path(name) / "broker") as broker,
        Listener(broker.port) as ears,
        Program(Path(name), config(broker.port), fake) as program,
    ):
        ears.wait(lambda: len(ears.on("solar/state/hub_combined")) >= 3, 60)
        readings, used = count(ears), processor_seconds(program.pid)
        writes = watch(Path(name) / "energy_totals.json", time.monotonic() + seconds)
        readings, used = count(ears) - readings, processor_seconds(program.pid) - used
        memory = resident_megabytes(program.pid)
        cycles = list(cycles_of(fake.frames(scene.BATTERIES)))[2:]
        program.end()
        connections, scans = broker.log.count("as renogybt-"), len(fake.calls("StartDiscovery"))
    took = statistics.median(span for span, _ in cycles)
    worst = max(span / wire for span, wire in cycles)
    gaps = [later - earlier for earlier, later in pairwise(writes)]
    wire = f"fake BlueZ, 9600 baud, {len(cycles)} cycles of four batteries, connection kept"
    yield Figure("cycle, median", took, 2.5, "s", wire)
    yield Figure("cycle, longest", max(span for span, _ in cycles), 2.5, "s", wire)
    yield Figure("cycle against the bare wire", worst, 1.3, "times", "bytes x 1.04 ms + 20 ms + 2 x 40 ms per request")
    yield Figure("memory (VmRSS)", memory, 34, "MB", f"BLE and MQTT with discovery, after {seconds:g} s")
    yield Figure("processor per battery read", 1000 * used / readings, 5, "ms", f"{readings} readings, utime + stime")
    yield Figure("MQTT connections", connections, 1, "", "broker's log")
    yield Figure("scans", scans, 1, "", "calls of StartDiscovery")
    yield Figure("disk writes", len(writes), seconds // 60 + 1, "", f"changes of energy_totals.json in {seconds:g} s")
    if gaps:
        yield Figure("disk writes per minute", 60 / min(gaps), 1.02, "1/min", "shortest time between two of them")


def config(port: int) -> str:
    return f"""
[device]
mac_addr = {scene.BATTERIES}
alias = hub
type = RNG_BATT
device_id = {",".join(map(str, UNITS))}
[data]
enable_polling = true
poll_interval = {PERIOD}
[mqtt]
enabled = true
server = 127.0.0.1
port = {port}
topic = solar/state
homeassistant_discovery = true
"""


def count(ears: Listener) -> int:
    return sum(len(ears.on(f"solar/state/hub_{unit}")) for unit in UNITS)


def cycles_of(frames: list[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    """Seconds of each cycle, from its first request to the end of its last answer, and seconds the wire alone needs."""
    timing = scene.WIRE
    cycle: list[dict[str, Any]] = []
    for frame in [*frames, None]:
        if cycle and (frame is None or frame["t"] - cycle[-1]["t"] > PERIOD / 4):
            if frame is not None:
                size = [len(each["hex"]) // 2 + len(each["answer"]) // 2 for each in cycle]
                fixed = timing["turnaround_ms"] + 2 * timing["latency_ms"]
                yield cycle[-1]["done"] - cycle[0]["t"], sum(n * timing["byte_ms"] + fixed for n in size) / 1000
            cycle = []
        if frame is not None:
            cycle.append(frame)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def watch(path: Path, until: float) -> list[float]:
    """When the file changed, until then."""
    seen, changes = 0, []
    while time.monotonic() < until:
        stamp = path.stat().st_mtime_ns if path.exists() else 0
        if stamp and stamp != seen:
            seen = stamp
            changes.append(time.monotonic())
            json.loads(path.read_text("utf-8"))
        time.sleep(0.2)
    return changes
