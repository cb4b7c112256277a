"""Told to end while nothing answers (F85), and many readings in a row (F86)."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.faults.catalogue import fault
from tests.faults.house import PATIENCE, House
from tests.peers.bluez import scenarios as scene

EVERYTHING = (
    "StartDiscovery",
    "StopDiscovery",
    "SetDiscoveryFilter",
    "Connect",
    "Disconnect",
    "StartNotify",
    "StopNotify",
    "WriteValue",
    "ReadValue",
    "Get",
    "GetAll",
    "Set",
    "GetManagedObjects",
)


@pytest.mark.parametrize("when", ["reading", "connecting"])
@fault("F85", within=18)
def test_told_to_end_while_everything_hangs(tmp_path: Path, within: float, when: str) -> None:
    """Here the time is that until the end of the program."""
    with House(tmp_path) as house:
        house.recovers(PATIENCE)  # two readings at least make energy
        if when == "connecting":
            house.fake.rule("Connect", "hang")
            house.fake.drop_link(scene.CONTROLLER)
            house.fake.drop_link(scene.BATTERIES)
            house.until(lambda: house.fake.calls("Connect"), what="connecting")
        for member in EVERYTHING:
            house.fake.rule(member, "hang")
        time.sleep(1.5)
        code, seconds = house.program.end()
        assert seconds < within
        assert code == 0
        totals = json.loads((tmp_path / "energy_totals.json").read_text())
        assert totals["c464e3383d0e_48"]["energy_in_kwh"] > 0
        house.until(lambda: house.ears.on("solar/bridge/availability")[-1] == "offline", what="offline")
        house.until(lambda: house.ears.on("solar/hub_48/availability")[-1] == "offline", what="offline")
        house.goodbye()


@fault("F85", within=5)
def test_told_twice(tmp_path: Path, within: float) -> None:
    """The second time it leaves at once; the totals are on the disk all the same."""
    with House(tmp_path) as house:
        house.recovers(PATIENCE)
        for member in EVERYTHING:
            house.fake.rule(member, "hang")
        time.sleep(1.2)
        totals = tmp_path / "energy_totals.json"
        before = totals.stat().st_mtime_ns if totals.exists() else 0
        house.program.told_to_end()
        saved = lambda: totals.exists() and totals.stat().st_mtime_ns != before  # noqa: E731
        house.until(saved, what="the first word has arrived, and they are saved first of all")  # two at once would be one
        assert house.program.running
        code, seconds = house.program.end()
        assert code == 128 + signal.SIGTERM
        assert seconds < within
        assert json.loads((tmp_path / "energy_totals.json").read_text())["c464e3383d0e_48"]["energy_in_kwh"] > 0
        house.goodbye()
