"""Run by test_crash.py: counts and writes as fast as it can, in children that are killed at random moments.

`python -m tests.energy.crash FILE ROUNDS SEED` prints what went wrong, one line each; nothing when all is well.
"""

import fcntl
import json
import os
import random
import signal
import struct
import sys
import termios
import time
from array import array
from datetime import date, timedelta
from pathlib import Path

from renogybt.energy.totals import EnergyTotals

ONCE_A_MINUTE = 60
POWER = 6000.0
STEP = POWER * ONCE_A_MINUTE / 3.6e6
"""kWh between two writes: all that a kill may cost."""
REPORT = 9
"""Bytes of a report."""
DAY = date(2026, 7, 1)


def count_for_ever(path: Path, report: int) -> None:
    """Each round is a minute of energy and a write; reports the total before the write, and again after it."""
    totals, minute = EnergyTotals(path), 0
    while True:
        day = DAY + timedelta(minute // 50)
        counted = totals.add("a", "a", POWER, minute * ONCE_A_MINUTE, 180, day)[0]
        os.write(report, b"?" + struct.pack("d", counted))
        totals.flush()
        os.write(report, b"!" + struct.pack("d", counted))
        minute += 1


def wait_for(pipe: int, size: int, seconds: float = 30.0) -> None:
    """Until so many bytes are in the pipe."""
    end, held = time.monotonic() + seconds, array("i", [0])
    while time.monotonic() < end:
        fcntl.ioctl(pipe, termios.FIONREAD, held)
        if held[0] >= size:
            return
        time.sleep(0.0005)


def killed_at(path: Path, seconds: float, lines: int = 0) -> tuple[float, float]:
    """So many seconds after so many reports were made; on a busy machine, nothing would be reported otherwise.

    The last total that was begun to be written, and the last whose writing had ended, when the child was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            count_for_ever(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    wait_for(reading, lines * REPORT)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    begun = ended = -1.0
    with os.fdopen(reading, "rb") as said:
        while len(line := said.read(REPORT)) == REPORT:
            (value,) = struct.unpack("d", line[1:])
            begun, ended = (value, ended) if line[:1] == b"?" else (begun, value)
    return begun, ended


def faults(path: Path, rounds: int, seed: int) -> list[str]:
    found, chance, before, writes = [], random.Random(seed), 0.0, 0
    for number in range(rounds):
        begun, ended = killed_at(path, chance.uniform(0.0, 0.03), 2 if number % 2 else 0)
        if not path.exists():
            if ended >= 0:
                found.append(f"round {number}: the file is gone")
            continue
        try:
            entry = json.loads(path.read_text("utf-8"))["a"]
            date.fromisoformat(entry["day"])
        except (ValueError, KeyError) as error:
            found.append(f"round {number}: torn: {error}")
            continue
        kept = entry["energy_in_kwh"]
        writes += ended >= 0
        if kept < max(before, ended):
            found.append(f"round {number}: {kept} kWh in the file after {max(before, ended)} had been written")
        if begun >= 0 and kept < begun - STEP * 1.000001:
            found.append(f"round {number}: more than a minute of energy lost: {kept} of {begun}")
        if not 0 <= entry["energy_in_today_kwh"] <= kept:
            found.append(f"round {number}: {entry['energy_in_today_kwh']} kWh today of {kept}")
        if EnergyTotals(path).totals("a", "a")[0] != kept:
            found.append(f"round {number}: the next run reads something else than the file says")
        before = kept
    if writes < rounds / 3:
        found.append(f"only {writes} of {rounds} children had written before they were killed; this proves too little")
    return found


if __name__ == "__main__":
    print("\n".join(faults(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))), end="")
