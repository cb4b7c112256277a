"""The adapter and bluetoothd: away, off, blocked, dead, under another name (F10 to F16, F18)."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.catalogue import fault
from tests.faults.house import Home, House
from tests.faults.watching import asked, forget, fresh, resets, set_limit
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.faults import BLOCKED, BUSY, FAILED
from tests.peers.bluez.scenario import Adapter

ROVER, PACKS = scene.CONTROLLER, scene.BATTERIES
BOTH = (ROVER, PACKS)
POWER_LOSS = 15.0
"""Seconds from the loss of power until everything is read again."""
UNBLOCK = struct.pack("=IBBBB", 0, 2, 3, 0, 0)
"""What the kernel is told: every Bluetooth radio, software block off."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """With a systemd that may restart Bluetooth, and a file in place of /dev/rfkill."""

    def make(number: int) -> House:
        folder = tmp_path_factory.mktemp("house")
        switch(folder).touch()
        world = scene.scenario(scene.controller(), scene.batteries(), systemd=True)
        watchdog = {"rfkill": switch(folder), "restart_bluetooth": "true"}
        short = {"discovery_timeout": 0.5}
        return House(folder, scenario=world, sabotage=True, watchdog=watchdog, bluetooth=short)

    with Home(make) as home:
        yield home


def switch(folder: Path) -> Path:
    return folder / "rfkill"


def unblocked(house: House) -> bool:
    """Whether the kernel was told to lift the block."""
    return switch(house.folder).read_bytes() == UNBLOCK


def off(house: House) -> float:
    """The adapter loses its power, or somebody switches it off."""
    house.fake.set_powered(False)
    return time.monotonic()


@fault("F10", within=POWER_LOSS)
def test_the_adapter_is_switched_off(house: House, within: float) -> None:
    off(house)
    house.recovers(within)
    house.says("hci0 was switched off; switched it on")


@fault("F12", within=POWER_LOSS)
def test_the_radio_is_blocked(house: House, within: float) -> None:
    """The time is that from the block until everything is read."""
    switch(house.folder).write_bytes(b"")
    house.fake.set_blocked(True)
    began, starvation = time.monotonic(), house.starvation()
    house.until(lambda: unblocked(house), what="the block is to be lifted")
    house.fake.set_blocked(False)
    house.recovers(within - (time.monotonic() - began - starvation.seconds()))


@fault("F12", within=POWER_LOSS)
def test_bluez_says_only_when_asked_that_the_radio_is_blocked(house: House, within: float) -> None:
    """And before that it was busy."""
    switch(house.folder).write_bytes(b"")
    house.fake.rule("Set", BUSY, times=1)
    house.fake.rule("Set", BLOCKED, times=1)
    off(house)
    house.recovers(within)
    assert unblocked(house)
    assert len(asked(house, "Set")) == 3


@fault("F13", within=POWER_LOSS)
def test_switching_on_is_confirmed_and_nothing_happens(house: House, within: float) -> None:
    """That is noticed, said, and tried again. (It may take 0.5 s here instead of 5 until the effect shows.)"""
    set_limit(house, "treatment", "EDGE_LIMIT", 0.5)
    house.fake.rule("Set", "ok_but_nothing", times=1)
    off(house)
    house.recovers(within)
    house.says("BlueZ said yes, but the adapter did not go on")
    assert 2 <= len(asked(house, "Set")) <= 3  # the second effect may be late, too, on a busy machine
    set_limit(house, "treatment", "EDGE_LIMIT", 5.0)


@fault("F13", within=8)
def test_a_reset_that_did_nothing_counts_as_none(house: House, within: float) -> None:
    """The next remedy follows, a new thread, and the time is that after it. (0.5 s as above.)"""
    fresh(house)
    set_limit(house, "treatment", "EDGE_LIMIT", 0.5)
    for member in ("Set", "StartDiscovery", "StopDiscovery"):
        house.fake.rule(member, "ok_but_nothing")
    forget(house, BOTH)
    house.says("switched it off and on, in vain: BlueZ said yes, but the adapter did not go off")
    assert resets(house) == 0
    house.says("starting the radio thread anew")
    house.fake.clear_rules()
    set_limit(house, "treatment", "EDGE_LIMIT", 5.0)
    house.recovers(within)


@fault("F18", within=POWER_LOSS)
def test_a_dead_controller(house: House, within: float) -> None:
    """It cannot be switched on until bluetooth.service is restarted; the time is that after it. (A call may take 1 s here
    instead of 5.)"""
    fresh(house)
    set_limit(house, "bus", "CALL_LIMIT", 1.0)
    house.fake.rule("Set", "hang", times=1)
    house.fake.rule("Set", (FAILED, "Failed"))
    off(house)
    house.until(lambda: house.fake.calls("RestartUnit"), what="bluetooth.service is restarted")
    house.fake.clear_rules()
    set_limit(house, "bus", "CALL_LIMIT", 5.0)
    house.recovers(within)
    house.says("hci0 is switched off and could not be switched on")
    assert [call["body"] for call in house.fake.calls("RestartUnit")] == [["bluetooth.service", "replace"]]


@fault("F14", within=5)
def test_the_adapter_comes_back_under_another_name(house: House, within: float) -> None:
    for gone, new in (("hci0", "hci1"), ("hci1", "hci0")):
        house.fake.remove_adapter(gone)
        time.sleep(0.5)
        house.fake.add_adapter(Adapter(name=new))
        house.recovers(within)
        house.says(f"{gone} is now called {new}")


@fault("F15", within=5)
def test_bluetoothd_is_away_for_a_while(house: House, within: float) -> None:
    """(One that is replaced in no time: F29.)"""
    house.fake.die()
    time.sleep(2)
    house.says("bluetoothd is not running; waiting for it")
    house.fake.restart()
    house.recovers(within)
    house.says("bluetoothd was restarted; connections are made anew")
    assert not resets(house)


@fault("F15", within=8)
def test_bluetoothd_does_not_come_back_by_itself(house: House, within: float) -> None:
    """It is started when that is allowed, here after 2 s instead of a minute; the time is that after it."""
    fresh(house)
    set_limit(house, "diagnosis", "ABSENT", 2.0)
    house.fake.die()
    house.until(lambda: house.fake.calls("RestartUnit"), what="bluetooth.service is restarted")
    house.recovers(within)
    set_limit(house, "diagnosis", "ABSENT", 60.0)


@fault("F16", within=5)
def test_half_an_adapter(house: House, within: float) -> None:
    """What bleak takes for granted is missing."""
    house.fake.remove_adapter()
    house.fake.add_adapter(Adapter(omit=["Roles", "PowerState", "Alias"]))
    house.recovers(within)
    house.fake.remove_adapter()
    house.fake.add_adapter()
    house.recovers(within)


@fault("F16", within=6)
def test_half_a_device(house: House, within: float) -> None:
    """bleak fails inside its own handler of signals as long as that is missing."""
    missing = ((ROVER, "Alias", "s", "BT-TH-66EDFC11"), (PACKS, "Adapter", "o", "/org/bluez/hci0"))
    for address, name, _, _ in missing:
        house.fake.module(address, omit=[name])
    forget(house, BOTH)
    house.until(lambda: asked(house, "StartDiscovery"), what="a scan")
    time.sleep(1)
    for address, name, signature, value in missing:
        house.fake.module(address, omit=[])
        house.fake.property(address, name, signature, value)
    house.recovers(within)
    house.calm("Traceback")


@fault("F11", within=5)
def test_an_adapter_that_is_late_at_boot(house: House, within: float) -> None:
    """The program starts before there is any; it comes after 3 s, and is not even on."""
    assert house.program.end()[0] == 0
    house.fake.remove_adapter()
    house.start()
    house.says("this machine shows no Bluetooth adapter (yet); waiting for one")
    time.sleep(3)
    assert house.program.output.count("no Bluetooth adapter (yet)") == 1
    house.fake.add_adapter(Adapter(powered=False))
    house.recovers(within)
    house.used_now()
