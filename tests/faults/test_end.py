"""Told to end while nothing answers (F85), and many readings in a row (F86)."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.faults.catalogue import fault
from tests.faults.house import House
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
        house.recovers(3)  # two readings at least make energy
        if when == "connecting":
            house.fake.rule("Connect", "hang")
            house.fake.drop_link(scene.CONTROLLER)
            house.fake.drop_link(scene.BATTERIES)
            house.until(lambda: house.fake.calls("Connect"), 5, "connecting")
        for member in EVERYTHING:
            house.fake.rule(member, "hang")
        time.sleep(1.5)
        code, seconds = house.program.end()
        assert seconds < within
        assert code == 0
        totals = json.loads((tmp_path / "energy_totals.json").read_text())
        assert totals["c464e3383d0e_48"]["energy_in_kwh"] > 0
        house.until(lambda: house.ears.on("solar/bridge/availability")[-1] == "offline", 3, "offline")
        house.until(lambda: house.ears.on("solar/hub_48/availability")[-1] == "offline", 3, "offline")
        house.goodbye()


@fault("F85", within=2)
def test_told_twice(tmp_path: Path, within: float) -> None:
    """The second time it leaves at once; the totals are on the disk all the same."""
    with House(tmp_path) as house:
        house.recovers(3)
        for member in EVERYTHING:
            house.fake.rule(member, "hang")
        time.sleep(1.2)
        house.program._process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        house.program.end()
        assert time.monotonic() - began < within
        assert json.loads((tmp_path / "energy_totals.json").read_text())["c464e3383d0e_48"]["energy_in_kwh"] > 0
        house.goodbye()
