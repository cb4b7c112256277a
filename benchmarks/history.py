"""The history: how fast its file grows, how often it is written, what it takes of memory, how long a year takes to show.

`python -m benchmarks.history` prints the figures.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Figure, machine
from renogybt.energy.days import Days
from renogybt.energy.totals import EnergyTotals
from renogybt.reading import Reading
from renogybt.service.enrich import Enricher
from renogybt.settings import Data, Device, History, Settings
from renogybt.simulator.plant import Plant
from renogybt.simulator.radio import SimulatedRadio
from renogybt.simulator.system import DEMO_SEED
from renogybt.sources.module import Section

START = 20_001 * 86400.0
DAY, FIVE_MINUTES = 86400.0, 300
BANK = Device(section="device", mac_addr="02:00:00:00:00:02", alias="bank", type="RNG_BATT", device_id=(48, 49, 50, 51))
FULL_DAYS, FIVE_MINUTE_DAYS = History().full_days, History().five_minute_days


def measure() -> Iterator[Figure]:
    for period in (60, 10):
        found = in_a_process_of_its_own("day", period)
        days = f"simulated days of four batteries and their sum, every {period} s"
        yield Figure(f"history, full rate ({period} s)", found["readings"] / 1e6, None, "MB/day", f"{days}; sqlite's dbstat")
        yield Figure(f"history, means ({period} s)", found["means"] / 1e6, None, "MB/day", f"{days}; five minutes and hours")
        size = found["readings"] * FULL_DAYS + found["means"] * FIVE_MINUTE_DAYS
        yield Figure(f"history, whole file ({period} s)", size / 1e6, None, "MB", "from these, with the default days kept")
        yield Figure(f"history, transactions ({period} s)", found["transactions"], 1.05, "1/min", f"{days}; with pruning")
        yield Figure(
            f"history, written ({period} s)",
            found["written"] / 1024,
            None,
            "KB/min",
            f"{days}; write() and its like, both to the WAL and from it to the file",
        )
        yield Figure(
            f"history, memory ({period} s)", found["memory"] / 1024, None, "MB", "VmRSS before sqlite3 and after a day"
        )
    found = in_a_process_of_its_own("year")
    yield Figure("history, a year of five minutes", found["five"], None, "s", "one value, 105120 points, History.series")
    yield Figure("history, a year of hours", found["hours"], None, "s", "one value, 8760 points: what a page would ask for")
    yield Figure("history, a day in full", found["day"], None, "s", "one value, 1440 points")


def in_a_process_of_its_own(*words: object) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.history", *map(str, words)]
    answer: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return answer


def readings(period: float, seconds: float, folder: Path) -> Iterator[list[Reading]]:
    """Cycle by cycle, as the bridge makes them, energies included."""
    settings = Settings(devices=(BANK,), data=Data(enable_polling=True, poll_interval=period), folder=str(folder))
    now = [START]
    radio = SimulatedRadio(Plant(DEMO_SEED, START), settings, lambda: now[0])
    section = Section(BANK, settings)
    enricher = Enricher(settings, EnergyTotals(folder / "energy_totals.json"))
    loop = asyncio.new_event_loop()
    while now[0] < START + seconds:
        news: list[object] = []
        loop.run_until_complete(section.cycle(radio, news.append))
        found = [replace(item, taken_at=now[0], monotonic=now[0]) for item in news if isinstance(item, Reading)]
        if section.bank is not None:
            found.append(section.bank.combine({item.identity.unit or 0: item for item in found}, now[0], now[0]))
        yield [enricher.enrich(item, BANK) for item in found]
        now[0] += period
    loop.close()


def a_day(period: float) -> dict[str, float]:
    """Bytes per day by kind, transactions and bytes written per minute, memory (KB)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cycles = readings(period, DAY, folder)
        next(cycles)
        before = resident()
        from renogybt.history import file
        from renogybt.history.writer import HistorySink

        begun: list[str] = []
        opened = file.opened

        def watched(path: Path) -> sqlite3.Connection:
            db = opened(path)
            db.set_trace_callback(lambda statement: begun.append(statement) if statement.startswith("BEGIN") else None)
            return db

        file.opened = watched
        clock = [START]
        wish = Settings(data=Data(enable_polling=True), history=History(enabled=True), folder=name)
        sink = HistorySink(wish, Days("UTC").at, lambda: clock[0], lambda: clock[0])
        written = 0
        for cycle in cycles:
            for item in cycle:
                sink.offer(item)
            clock[0] = cycle[0].taken_at
            before_step = bytes_written()
            sink.step()
            written += bytes_written() - before_step
        memory = resident() - before
        sink.close()
        kinds = bytes_by_table(sink.path)
    means = kinds["means"] + kinds["days"] + kinds["due"]
    per_minute = 60 / DAY
    return {
        "readings": kinds["readings"] + kinds["forms"],
        "means": means,
        "transactions": len(begun) * per_minute,
        "written": written * per_minute,
        "memory": memory,
    }


def a_year() -> dict[str, float]:
    """Seconds that queries of a year take: the readings of a simulated day, again and again."""
    from renogybt.history import FULL, History
    from renogybt.history.kept import kept
    from renogybt.history.store import Store

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        day = [kept(cycle[0]) for cycle in readings(60, DAY, folder)]
        path = folder / "history.sqlite"
        store = Store(path, Days("UTC").at)
        for n in range(365):
            every = day if n == 364 else day[::5]
            store.write([replace(item, taken_at=item.taken_at + n * DAY) for item in every], [], None)
        store.close()
        uid, end = day[0].uid, START + 365 * DAY
        found = {}
        with History(path) as history:
            for what, step, since in (("five", 300, START), ("hours", 3600, START), ("day", FULL, end - DAY)):
                begun = time.perf_counter()
                points = len(history.series(uid, ["voltage"], since, end, step).curves["voltage"].times)
                found[what] = time.perf_counter() - begun
                assert points == {"five": 105120, "hours": 8760, "day": 1440}[what], points
    return found


def bytes_by_table(path: Path) -> dict[str, int]:
    """From sqlite's own statistics; where they are not built in, by the share of the content."""
    db = sqlite3.connect(path)
    try:
        rows = db.execute(
            "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY m.tbl_name"
        ).fetchall()
        return dict(rows)
    finally:
        db.close()


def bytes_written() -> int:
    """What this process has handed to write() and its like since it began."""
    counters = Path("/proc/self/io").read_text("utf-8")
    return int(next(line.split()[1] for line in counters.splitlines() if line.startswith("wchar")))


def resident() -> int:
    """KB."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def main() -> int:
    if len(sys.argv) > 1:
        print(json.dumps(a_day(float(sys.argv[2])) if sys.argv[1] == "day" else a_year()))
        return 0
    print(machine())
    figures = list(measure())
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(figure.line(width))
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
