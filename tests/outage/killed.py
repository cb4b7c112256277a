"""Run by test_kill.py: lives of the program's delivering half, each ended by kill -9 at a random moment.

`python -m tests.outage.killed FOLDER REMOTE_URL PVOUTPUT_URL INTERVAL ROUNDS SEED` leaves in FOLDER/told.json what was
acknowledged as stored, and what went wrong with the energy totals. A life offers a reading a minute of simulated time, as
fast as it can; it is forked from a process that has everything loaded, so that it is in full work after some milliseconds.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import renogybt.sinks.wire  # noqa: F401  # loaded before the fork
from renogybt import devices
from renogybt.energy.totals import FLUSH_EVERY, EnergyTotals
from renogybt.reading import Identity, Reading
from renogybt.service.enrich import Enricher
from renogybt.settings import Device, Settings
from tests.outage.given import MINUTE, hasten_for_good, moment, reading, running, settings, uploader, yesterday

DAYS = 13
LONGEST_LIFE, MOST = 160, 70
"""Lines it reports (some tenths of a second on an idle machine), and readings, of one life."""
SECONDS = 20.0
"""A life that reports nothing ends all the same."""
STEP, WATTS = 10.0, 3600.0
"""Simulated seconds between two readings of the battery, and its power: 0.01 kWh each."""
BATTERY = Identity("84:28:D7:FF:00:02", 48, "pack")


@dataclass
class Told:
    """What the lives have reported before they were killed."""

    next: int = 0
    stored: list[tuple[str, float]] = field(default_factory=list)
    counted: float = 0.0
    faults: list[str] = field(default_factory=list)


def begin() -> float:
    return moment(yesterday(), 0) - (DAYS - 1) * 24 * 60 * MINUTE


def live(config: Settings, number: int, report: int) -> None:
    """One life, which ends by being killed."""

    def tell(*words: object) -> None:
        os.write(report, (json.dumps(words) + "\n").encode())  # short enough to be written whole or not at all

    hasten_for_good()
    battery, end = Battery(config), number + MOST
    with running(config, lambda logger: watch(uploader(logger).store, tell)) as logger:
        while True:
            if number < end:
                tell("offered", number)
                logger.log(reading(begin() + number * MINUTE, number % 500))
                number += 1
            tell("counted", battery.count())
            time.sleep(0.001)


def watch(store: object, tell: object) -> None:
    """Report what the store has acknowledged: whatever it had accepted when a commit came back with True."""
    accept, commit = store.accept, store.commit  # type: ignore[attr-defined]
    accepted: list[tuple[str, float]] = []

    def accepting(outlet: str, taken_at: float, body: str, now: float) -> None:
        accept(outlet, taken_at, body, now)
        accepted.append((outlet, taken_at))

    def committing(now: float, wall: float) -> bool:
        done = bool(commit(now, wall))
        if done:
            for one in accepted:
                tell("stored", *one)  # type: ignore[operator]
            accepted.clear()
        return done

    store.accept, store.commit = accepting, committing  # type: ignore[attr-defined]


class Battery:
    """Counts energy in simulated time, and writes the totals when a simulated minute is over."""

    def __init__(self, config: Settings) -> None:
        self._device = Device(
            mac_addr=BATTERY.mac, alias=BATTERY.alias, type="RNG_BATT", device_id=(48,), poll_interval=STEP
        )
        self._totals = EnergyTotals(config.path("energy.json"))
        self._enricher = Enricher(config, self._totals)
        self._now = 0.0

    def count(self) -> float:
        """One more reading; the total (kWh) as published."""
        self._now += STEP
        values = devices.family("battery").complete({"voltage": 13.0, "current": WATTS / 13.0})
        taken = Reading(BATTERY, "battery", values, begin() + self._now, self._now)
        total = float(self._enricher.enrich(taken, self._device).values["energy_in_kwh"])
        self._totals.flush_if_due(self._now)
        return total


def killed(config: Settings, told: Told, lines: int) -> None:
    reading_end, writing_end = os.pipe()
    os.set_blocking(reading_end, False)
    child = os.fork()
    if child == 0:
        os.close(reading_end)
        try:
            live(config, told.next, writing_end)
        finally:
            os._exit(1)
    os.close(writing_end)
    said, end = bytearray(), time.monotonic() + SECONDS
    while said.count(b"\n") < lines and time.monotonic() < end:
        said += drained(reading_end)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    said += drained(reading_end)
    os.close(reading_end)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        told.faults.append(f"a life ended by itself: {status}")
    listen(told, said.decode().splitlines(), config.path("energy.json"))


def drained(pipe: int) -> bytes:
    found = bytearray()
    while True:
        try:
            piece = os.read(pipe, 65536)
        except BlockingIOError:
            return bytes(found)
        if not piece:
            return bytes(found)
        found += piece


def listen(told: Told, lines: list[str], energy: Path) -> None:
    counted = 0.0
    for line in lines:
        word, *rest = json.loads(line)
        if word == "offered":
            told.next = rest[0] + 1
        elif word == "stored":
            told.stored.append((rest[0], rest[1]))
        else:
            if rest[0] < counted:
                told.faults.append(f"the total fell from {counted} to {rest[0]} kWh within a life")
            counted = rest[0]
    kept = EnergyTotals(energy).totals(BATTERY.uid, BATTERY.label)[0]
    if kept < told.counted:
        told.faults.append(f"the total fell from {told.counted} to {kept} kWh over a kill")
    most = (FLUSH_EVERY + STEP) * WATTS / 3.6e6  # a kill between counting and writing costs one reading more
    if counted - kept > most:
        told.faults.append(f"{counted - kept} kWh were lost, which is more than a minute ({most} kWh)")
    told.counted = kept


def main(folder: str, remote: str, pvoutput: str, interval: str, rounds: str, seed: str) -> None:
    logging.disable(logging.CRITICAL)
    config = settings(Path(folder), remote=remote, pvoutput=pvoutput, interval=int(interval), flush_seconds=0.02)
    dice, told = random.Random(int(seed)), Told()
    for _ in range(int(rounds)):
        killed(config, told, dice.randrange(LONGEST_LIFE))
    (Path(folder) / "told.json").write_text(json.dumps(asdict(told)))


if __name__ == "__main__":
    main(*sys.argv[1:])
