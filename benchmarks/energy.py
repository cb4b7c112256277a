"""Energy totals kept in memory: what an update costs, and how often the file is written."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from benchmarks.report import Figure
from renogybt.energy.totals import EnergyTotals

UPDATES, ROUNDS, GAP = 100, 31, 180.0
HOUR = 3600
TODAY = date(2025, 6, 21)


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="energy-") as name:
        folder = Path(name)
        took = statistics.median(seconds(folder / f"{n}.json") for n in range(ROUNDS))
        kept, peak = memory(folder / "memory.json")
        writes = written(folder / "writes.json", 1.0, HOUR)
    method = f"{UPDATES} x EnergyTotals.add, one device"
    yield Figure("100 energy updates", 1000 * took, 1, "ms", f"{method}; median of {ROUNDS} rounds")
    yield Figure("100 energy updates, memory at the peak", peak / 1024, 15, "KB", f"{method}; tracemalloc")
    yield Figure("100 energy updates, memory kept", kept / 1024, 15, "KB", f"{method}; tracemalloc")
    yield Figure(
        "energy_totals.json, written per hour",
        writes,
        60,
        "times",
        f"an update every second of a simulated hour; {HOUR} without the cache",
    )


def updates(totals: EnergyTotals, number: int, now: float, step: float) -> None:
    """Charging and discharging in turns, as the main loop counts it."""
    for n in range(number):
        power = 180.5 if n % 20 < 12 else -95.25
        totals.add("806fb00f1234_48", "hub_48", power, now + n * step, GAP, TODAY)
        totals.flush_if_due(now + n * step)


def seconds(path: Path) -> float:
    totals = EnergyTotals(path)
    updates(totals, 2, 0.0, 1.0)
    begun = time.perf_counter()
    updates(totals, UPDATES, 10.0, 0.5)
    return time.perf_counter() - begun


def memory(path: Path) -> tuple[int, int]:
    """Bytes kept after `UPDATES` updates, and at the peak meanwhile."""
    with traced():
        totals = EnergyTotals(path)
        updates(totals, 2, 0.0, 1.0)
        return grown(lambda: updates(totals, UPDATES, 10.0, 0.5))


def grown(work: Callable[[], None]) -> tuple[int, int]:
    """Bytes that `work` leaves allocated, and that it has allocated at its peak. To be called under `traced`."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    work()
    _, peak = tracemalloc.get_traced_memory()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    return after - before, peak - before


@contextmanager
def traced() -> Iterator[None]:
    """Memory allocated meanwhile is counted; only of that is it noticed when it becomes free."""
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def written(path: Path, step: float, length: float) -> int:
    """How often the file changes while simulated time goes on by `length` seconds, one update every `step`."""
    totals, times, seen = EnergyTotals(path), 0, (0, 0)
    for n in range(int(length / step)):
        updates(totals, 1, 1000 + n * step, step)
        found = path.stat() if path.exists() else None
        if found and (found.st_ino, found.st_mtime_ns) != seen:
            seen, times = (found.st_ino, found.st_mtime_ns), times + 1
    return times
