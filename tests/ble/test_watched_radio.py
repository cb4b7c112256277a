"""The watchdog with the real BLEManager: readings come back by themselves."""

from __future__ import annotations

import time

import pytest

from renogybt.ble import treatment
from renogybt.errors import LinkError, NoAdapter
from renogybt.settings import Watchdog
from tests.ble.rig import HASTY, PATIENCE, PROMPT, Rig, Start, within
from tests.peers.bluez import scenarios
from tests.peers.bluez.scenario import Adapter

QUICK = Watchdog(interval=1, stuck_seconds=1, rfkill="")
CALM = Watchdog(interval=60, stuck_seconds=120, rfkill="")


def asked(radio: Rig, what: str) -> bool:
    return any(incident.asks == what for incident in list(radio.incidents))


def wait_for(radio: Rig, what: str) -> None:
    radio.until(lambda: asked(radio, what))


def fail_until_it_is_switched_off(radio: Rig) -> None:
    until = time.monotonic() + PATIENCE
    while not radio.fake.events("unpowered"):
        assert time.monotonic() < until, radio.incidents
        with pytest.raises(LinkError):
            radio.read()
        time.sleep(0.2)


def test_f29_f31_a_restarted_bluetoothd_is_noticed_before_the_next_reading(rig: Start) -> None:
    radio = rig(watchdog=CALM)
    radio.read()
    radio.fake.restart()
    with within(PROMPT):
        wait_for(radio, "hasten")
        radio.read()


def test_f15_a_bluetoothd_that_is_away_for_a_while(rig: Start) -> None:
    radio = rig(watchdog=CALM)
    radio.read()
    radio.fake.die()
    radio.until(lambda: "bluetoothd" in radio.kinds())
    radio.fake.restart()
    with within(PROMPT):
        wait_for(radio, "hasten")
        radio.read_until()
    assert [incident.asks for incident in radio.incidents if incident.kind == "bluetoothd"] == ["", "hasten"]


def test_f10_f11_an_adapter_that_lost_its_power(rig: Start) -> None:
    radio = rig(watchdog=QUICK)
    radio.read()
    radio.fake.set_powered(False)
    with within(PROMPT):
        wait_for(radio, "hasten")
        radio.read_until()


def test_f11_an_adapter_that_is_late_at_boot(rig: Start) -> None:
    radio = rig(watchdog=CALM, adapters=[])
    with pytest.raises(NoAdapter):
        radio.read()
    radio.until(lambda: "adapter" in radio.kinds())
    radio.fake.add_adapter()
    with within(PROMPT):
        wait_for(radio, "hasten")
        radio.read()


def test_f14_an_adapter_that_comes_back_as_hci1(rig: Start) -> None:
    radio = rig(watchdog=CALM)
    radio.read()
    radio.fake.remove_adapter()
    time.sleep(0.5)
    radio.fake.add_adapter(Adapter(name="hci1"))
    with within(PROMPT):
        wait_for(radio, "hasten")
        radio.read()
    assert list(radio.manager.adapters) == ["hci1"]


def test_f55_a_restarted_bus(rig: Start) -> None:
    radio = rig(watchdog=CALM)
    radio.read()
    radio.fake.restart_daemon()
    with within(PROMPT):
        wait_for(radio, "hasten")
        radio.read_until()


def test_f07_a_scan_of_others_while_readings_fail(rig: Start) -> None:
    radio = rig(watchdog=QUICK)
    radio.read()
    radio.fake.foreign_discovery(True)
    radio.fake.drop_link(scenarios.CONTROLLER)
    radio.fake.rule("StartDiscovery", ("org.bluez.Error.InProgress", "Operation already in progress"))
    radio.fake.rule("Connect", ("org.bluez.Error.InProgress", "Operation already in progress"))
    fail_until_it_is_switched_off(radio)
    radio.fake.clear_rules()
    radio.read_until()
    assert radio.resets.count == 1
    radio.fake.clear_log()


def test_f07_a_scan_of_others_while_readings_succeed(rig: Start) -> None:
    radio = rig(watchdog=QUICK)
    radio.fake.foreign_discovery(True)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        radio.read()
        time.sleep(0.1)
    assert radio.fake.events("unpowered") == []
    assert radio.resets.count == 0
    radio.fake.foreign_discovery(False)
    radio.fake.clear_log()  # connecting while the other program scans counts as forbidden, and cannot be helped


def test_f08_scans_that_hear_nothing(rig: Start) -> None:
    radio = rig(watchdog=QUICK, bluetooth=HASTY)
    radio.fake.rule("StartDiscovery", "ok_but_nothing")
    radio.fake.rule("StopDiscovery", "ok_but_nothing")
    fail_until_it_is_switched_off(radio)
    radio.fake.clear_rules()
    radio.read_until()


def test_f17_the_adapter_is_not_switched_under_a_connection_attempt(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("BUSY_LIMIT", "AIR_LIMIT"):  # they are for attempts that hang
        monkeypatch.setattr(treatment, limit, PATIENCE)
    radio = rig(watchdog=QUICK)
    radio.read()
    radio.fake.module(scenarios.CONTROLLER, connect_s=1.5)
    radio.fake.rule("StartNotify", ("org.bluez.Error.Failed", "no"))
    radio.fake.drop_link(scenarios.CONTROLLER)
    radio.fake.foreign_discovery(True)
    fail_until_it_is_switched_off(radio)
    switched = [event["t"] for event in radio.fake.events("unpowered")]
    attempts = [(call["t"], call["replied"]) for call in radio.fake.calls("Connect")]
    assert len(attempts) > 2
    assert [(begin, end) for begin, end in attempts if end is None or any(begin < at < end for at in switched)] == []
    radio.fake.foreign_discovery(False)
    radio.fake.clear_log()
