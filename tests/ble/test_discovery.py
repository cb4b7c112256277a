"""Scans that do not begin, do not end, or hear nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from bleak import BleakScanner
from msgspec.structs import replace

from renogybt.ble import adapter as adapter_file
from renogybt.ble import bluez, scan
from renogybt.ble.adapter import Adapter as OurAdapter
from renogybt.errors import ConnectFailed, LinkError, LinkLost, NoAdapter, NotFound
from tests.ble.rig import HASTY, PACK, PATIENCE, PROMPT, QUICK, ROVER, Rig, Start, ask, within
from tests.peers.bluez import scenarios
from tests.peers.bluez.scenario import Adapter

IN_PROGRESS = ("org.bluez.Error.InProgress", "Operation already in progress")
NOT_READY = ("org.bluez.Error.NotReady", "Resource Not Ready")


def adapter_of(radio: Rig) -> OurAdapter:
    (adapter,) = radio.manager.adapters.values()
    return adapter


def test_f01_f04_a_scan_whose_end_hangs_once_is_ended_by_a_second_word(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    radio = rig()
    monkeypatch.setattr(scan, "STOP_LIMIT", 0.5)
    radio.fake.rule("StopDiscovery", "hang", times=1)
    with within(PROMPT):
        radio.read()
    assert radio.kinds() == ["stop_discovery"]
    assert radio.fake.sessions() == []
    assert adapter_of(radio).scanning_since is None
    assert adapter_of(radio).failed_scans == 1


def test_f01_f04_a_scan_whose_end_always_hangs_costs_the_connection_it_belongs_to(
    rig: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    radio = rig()
    monkeypatch.setattr(scan, "STOP_LIMIT", 0.5)
    monkeypatch.setattr(scan, "FREE_LIMIT", 0.5)
    radio.fake.rule("StopDiscovery", "hang")
    with within(PROMPT):
        radio.read()
    assert radio.kinds() == ["drop_bus"]
    radio.until(lambda: not radio.fake.sessions())
    assert adapter_of(radio).scanning_since is None
    radio.fake.clear_rules()
    assert radio.read()


def test_f01_a_scan_of_ours_that_bluez_still_has_does_not_keep_us_from_the_next(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.fake.module(scenarios.CONTROLLER, advertising=False)  # or the forgotten scan would find it for us
    radio.fake.remove_device(scenarios.CONTROLLER)
    assert radio.do(leak_a_scan)
    assert len(radio.fake.sessions()) == 1
    with within(PROMPT):
        reading = radio.begin_read()
        radio.until(radio.kinds)
        radio.fake.module(scenarios.CONTROLLER, advertising=True)
        reading()
    assert radio.kinds() == ["stop_discovery"]


async def leak_a_scan(radio: object) -> bool:
    await bluez.call("/org/bluez/hci0", bluez.ADAPTER, "StartDiscovery")
    return True


def test_f02_somebody_else_is_in_the_way_for_a_second(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("StartDiscovery", IN_PROGRESS, times=1)
    with within(PROMPT):
        radio.read()
    assert radio.members("StartDiscovery", "StopDiscovery")[:2] == ["StartDiscovery", "StopDiscovery"]
    assert radio.incidents == []


def test_f02_somebody_else_is_in_the_way_for_long(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("StartDiscovery", IN_PROGRESS)
    with within(PROMPT), pytest.raises(ConnectFailed, match="another Bluetooth operation is under way"):
        radio.read()
    assert adapter_of(radio).failed_scans == 2
    assert adapter_of(radio).failing_since is not None
    radio.fake.clear_rules()
    radio.read_until()
    assert adapter_of(radio).failed_scans == 0
    assert adapter_of(radio).failing_since is None


def test_f03_the_end_is_refused_although_it_works(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("StopDiscovery", IN_PROGRESS, times=1, effect=True)
    with within(PROMPT):
        radio.read()
    assert adapter_of(radio).scanning_since is None


def test_f03_the_end_is_refused_for_good(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("StopDiscovery", IN_PROGRESS, times=3, effect=True)
    with within(PROMPT):
        radio.read()
    assert adapter_of(radio).failed_scans == 1
    assert adapter_of(radio).scanning_since is None


def test_f05_a_beginning_that_is_not_answered(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "START_LIMIT", 0.5)
    radio = rig()
    radio.fake.rule("StartDiscovery", "hang")
    with within(PROMPT), pytest.raises(LinkError, match="longer than"):
        radio.read()
    assert adapter_of(radio).scanning_since is not None
    assert adapter_of(radio).failed_scans == 2
    radio.fake.clear_rules()
    monkeypatch.setattr(scan, "START_LIMIT", PATIENCE)
    with within(PROMPT):
        radio.read()
    assert adapter_of(radio).scanning_since is None


def test_f08_scans_that_hear_nobody_are_counted(rig: Start) -> None:
    radio = rig(scenarios.controller(advertising=False), bluetooth=HASTY)
    for scans in (2, 4):
        with pytest.raises(NotFound, match="0 other devices"):
            radio.read()
        assert adapter_of(radio).silent_scans == scans
    assert adapter_of(radio).failing_since is not None
    radio.fake.module(scenarios.CONTROLLER, advertising=True)
    radio.read_until()
    assert adapter_of(radio).silent_scans == 0


def test_f09_an_absent_module_is_no_fault_of_the_adapter(rig: Start) -> None:
    radio = rig(scenarios.batteries(), bluetooth=replace(QUICK, discovery_timeout=4, discovery_retries=1))
    with pytest.raises(NotFound, match=r"was not seen in 4 s of scanning \(1 other devices were\).*BT-TH-E3383D0E"):
        radio.read()
    assert adapter_of(radio).silent_scans == 0
    assert adapter_of(radio).failing_since is None


def test_f10_not_ready_for_a_second(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("StartDiscovery", NOT_READY, times=1)
    with within(PROMPT):
        radio.read()


def test_f10_switched_off_is_said_and_over_when_it_is_on(rig: Start) -> None:
    radio = rig(scenarios.controller(), scenarios.dcdc())
    radio.read()
    radio.fake.set_powered(False)
    radio.until_told(lambda: not bluez.adapters()["hci0"]["Powered"])
    with within(PROMPT), pytest.raises(NoAdapter, match="bluetoothctl power on"):
        radio.read()
    radio.fake.set_powered(True)
    radio.read_until()


def test_f11_no_adapter_yet(rig: Start) -> None:
    radio = rig(adapters=[])
    with within(PROMPT), pytest.raises(NoAdapter, match="shows no Bluetooth adapter"):
        radio.read()
    radio.fake.add_adapter(Adapter(powered=False))
    radio.until_told(bluez.adapters)
    with within(PROMPT), pytest.raises(NoAdapter, match="switched on"):
        radio.read()
    radio.fake.set_powered(True)
    radio.read_until()


@pytest.mark.parametrize("wanted", ["", "hci0", "B8:27:EB:00:00:01"])
def test_f14_the_adapter_comes_back_under_another_name(rig: Start, wanted: str) -> None:
    device = replace(ROVER, adapter=wanted)
    radio = rig(wanted=(device,))
    radio.read(device)
    before = adapter_of(radio)
    radio.fake.remove_adapter()
    radio.until_told(lambda: not bluez.adapters())
    with within(PROMPT), pytest.raises(NoAdapter, match="no Bluetooth adapter"):
        radio.read(device)
    radio.fake.add_adapter(Adapter(name="hci1"))
    radio.read_until(device=device)
    assert adapter_of(radio) is before
    assert dict(radio.manager.adapters) == {"hci1": before}
    assert {call["path"] for call in radio.fake.calls("StartDiscovery")} == {"/org/bluez/hci0", "/org/bluez/hci1"}


def test_f14_another_adapter_under_the_same_name_is_another_one(rig: Start) -> None:
    radio = rig()
    radio.read()
    before = adapter_of(radio)
    radio.fake.remove_adapter()
    radio.fake.add_adapter(Adapter(address="B8:27:EB:00:00:09"))
    radio.read_until()
    assert adapter_of(radio) is not before
    assert adapter_of(radio).address == "B8:27:EB:00:00:09"


def test_f15_bluetoothd_away_and_back(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.fake.die()
    for kind in (LinkLost, NoAdapter):
        with within(PROMPT), pytest.raises(kind, match="systemctl restart bluetooth"):
            radio.read()
    radio.fake.restart(announce=False)
    radio.read_until()


def test_a_loss_of_the_bus_at_the_very_beginning_of_a_scan_is_noticed(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    original, losses = BleakScanner.start, [bluez.forget_everything]

    async def start(scanner: BleakScanner) -> None:
        await original(scanner)
        if losses:
            await losses.pop()()

    monkeypatch.setattr(BleakScanner, "start", start)
    radio = rig(bluetooth=replace(QUICK, discovery_timeout=PATIENCE))
    with within(PROMPT):
        radio.read()


def test_f16_properties_that_are_missing_for_a_moment(rig: Start) -> None:
    radio = rig(adapters=[Adapter(omit=["Roles"])])
    with within(PROMPT):
        radio.read()


def test_f55_a_new_dbus_daemon(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.fake.restart_daemon()
    radio.read_until()


def test_f56_three_thousand_forgotten_devices_and_an_answer_that_never_comes(
    rig: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluez, "INIT_LIMIT", 1.5)
    radio = rig(crowd=3000)
    radio.fake.rule("GetManagedObjects", "hang", times=1)
    with within(PROMPT), pytest.raises(LinkError, match="longer than"):
        radio.read()
    monkeypatch.setattr(bluez, "INIT_LIMIT", PATIENCE)
    with within(PROMPT):
        radio.read()


def test_one_scan_serves_two_and_gives_way_to_a_connection(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter_file, "LINGER", PATIENCE)
    radio = rig(scenarios.controller(), scenarios.batteries(), wanted=(ROVER, PACK))

    async def both(manager: Any) -> list[bytes]:
        return await asyncio.gather(ask(manager, ROVER), ask(manager, PACK))

    with within(PROMPT):
        assert [len(answer) for answer in radio.do(both)] == [4, 4]
    assert radio.members("StartDiscovery") == ["StartDiscovery"]


def test_all_attempts_together_are_bounded(rig: Start) -> None:
    slow = replace(HASTY, discovery_timeout=0.5, discovery_retries=3, discovery_delay=0.2)
    radio = rig(scenarios.batteries(), bluetooth=slow)
    began = time.monotonic()
    with pytest.raises(NotFound):
        radio.read()
    assert 1.8 < time.monotonic() - began < PROMPT
    assert len(radio.members("StartDiscovery")) == 3


def test_a_one_shot_run_looks_twice_as_often(rig: Start) -> None:
    radio = rig(scenarios.batteries(), bluetooth=HASTY, patient=True)
    with pytest.raises(NotFound, match=r"2\.4 s"):
        radio.read()
    assert len(radio.members("StartDiscovery")) == 2 * HASTY.discovery_retries
