"""Run by test_writer.py: writes as fast as it can, in children that are killed at random moments.

`python -m tests.history.crash FILE ROUNDS SEED` prints what went wrong, one line each; nothing when all is well.
"""

import os
import random
import signal
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from renogybt.history import History
from tests.energy.crash import wait_for
from tests.history.given import MINUTE, NOON, UID, solar, store

LIFE = 1e12


def write_for_ever(path: Path, first: int, report: int) -> None:
    """A reading a minute, a transaction each; reports the number of each after it was written."""
    written = store(path)
    for number in range(first, first + 10**9):
        written.write([solar(NOON + number * MINUTE, number)], [], NOON + number * MINUTE)
        os.write(report, struct.pack("q", number))


def killed_after(path: Path, first: int, seconds: float, reports: int = 0) -> int:
    """So many seconds after so many reports. The last reading said to be written when the child was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            write_for_ever(path, first, writing)
        finally:
            os._exit(1)
    os.close(writing)
    wait_for(reading, reports * 8)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    last = first - 1
    with os.fdopen(reading, "rb") as said:
        while len(number := said.read(8)) == 8:
            (last,) = struct.unpack("q", number)
    return last


def kept(path: Path) -> list[int]:
    with History(path) as history:
        return [values["pv_power"] for _, values in history.readings(UID, 0, LIFE)]


def faults(path: Path, rounds: int, seed: int) -> Iterator[str]:
    chance, said = random.Random(seed), -1
    store(path).close()
    for round in range(rounds):
        said = killed_after(path, said + 1, chance.uniform(0.0, 0.03), 2 if round % 4 else 0)
        if round % 20 == 19:
            found = kept(path) if said >= 0 else []
            if found[: said + 1] != list(range(said + 1)):
                yield f"round {round}: {said + 1} readings were said to be written, {len(found)} are there"
            said = len(found) - 1
    if said < rounds:
        yield f"only {said} readings in {rounds} rounds: the kills came too early to say anything"
    written = store(path)
    written.write([], [], None)
    written.close()
    yield from means_faults(path, kept(path))


def means_faults(path: Path, readings: list[int]) -> Iterator[str]:
    """Every reading is in exactly one interval of five minutes, and in one hour."""
    with sqlite3.connect(path) as db:
        if (sound := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            yield sound
    with History(path) as history:
        for span in (300, 3600):
            intervals = list(history.means(UID, span, 0, LIFE))
            per = span // 60
            for interval in intervals:
                first = int((interval.start - NOON) // 60)
                inside = readings[first : first + per]
                found = interval.stats["pv_power"]
                if (found.readings, found.min, found.max) != (len(inside), inside[0], inside[-1]):
                    yield f"{span} s from {first}: {found} instead of {inside}"
            if sum(interval.readings for interval in intervals) != len(readings):
                yield f"{span} s: {sum(interval.readings for interval in intervals)} readings instead of {len(readings)}"


if __name__ == "__main__":
    for fault in faults(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])):
        print(fault)
