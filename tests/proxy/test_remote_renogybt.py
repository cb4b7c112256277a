"""One bridge reads through the Bluetooth proxy of another: both ours, with the real bleak and a simulated BlueZ behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from renogybt.ble.manager import BLEManager
from renogybt.ble.resets import Resets
from renogybt.errors import ConnectFailed
from renogybt.proxy.choice import SomeRadios
from renogybt.settings import Device, Settings
from tests.ble.rig import PACK, Start
from tests.peers.bluez import scenarios as scene
from tests.peers.esphome.proxy import FakeProxy
from tests.peers.mosquitto import free_port
from tests.proxy.given import HOST, KEY
from tests.proxy.lent import Lent, lent
from tests.proxy.remote_rig import Rig, hub, rover, truth
from tests.proxy.remote_rig import rig as remote_rig

TRUTH = truth(scene.batteries(), hub(""))


def way_to(house: Lent) -> str:
    return f"esphome://{HOST}:{house.node.port}{f'?key={house.key}' if house.key else ''}"


@pytest.mark.parametrize("key", ["", KEY], ids=["plain", "encrypted"])
def test_four_batteries_through_our_own_proxy(rig: Start, tmp_path: Path, key: str) -> None:
    radio = rig(scene.controller(), scene.batteries(), wanted=())
    with lent(radio, tmp_path, key) as house, remote_rig(hub(way_to(house))) as it:
        for _ in range(3):
            assert {unit: dict(reading.values) for unit, reading in it.cycle().items()} == TRUTH
        assert it.radio.rssi(it.settings.devices[0]) is not None
        assert [each["address"] for each in radio.fake.connections()] == [scene.BATTERIES]
        assert len(radio.members("Connect")) == 1
    assert radio.fake.connections() == []


def test_modules_of_every_kind_through_our_own_proxy(rig: Start, tmp_path: Path) -> None:
    """One whose characteristics stand in wrong services too, one that must be woken; by turns, in one slot."""
    radio = rig(scene.pro_battery(), scene.inverter(), wanted=())
    with lent(radio, tmp_path, max_connections=1) as house:
        via = way_to(house)
        pro = Device(section="device.pro", mac_addr=scene.PRO, alias="pro", type="RNG_BATT", device_id=(48,), via=via)
        inverter = Device(
            section="device.inv", mac_addr=scene.INVERTER, alias="inv", type="RNG_INVT", device_id=(32,), via=via
        )
        with remote_rig(pro, inverter) as it:
            for _ in range(2):
                (reading,) = it.cycle("pro").values()
                assert dict(reading.values) == truth(scene.pro_battery(), pro)[48]
                (reading,) = it.cycle("inv").values()
                assert dict(reading.values) == truth(scene.inverter(), inverter)[32]


def test_a_link_that_breaks_and_a_proxy_that_is_started_anew(rig: Start, tmp_path: Path) -> None:
    radio = rig(scene.batteries(), wanted=())
    with lent(radio, tmp_path, native_api_port=free_port()) as house, remote_rig(hub(way_to(house))) as it:
        assert len(it.cycle()) == 4
        radio.fake.quirk(scene.BATTERIES, kind="drop", unit=49, times=1)
        assert {unit: dict(reading.values) for unit, reading in it.cycle().items()} == TRUTH
        house.stop()
        assert radio.fake.connections() == []
        assert it.cycle() == {}
        house.start()
        it.until_read("hub", 15)


def test_no_slot_is_free_while_another_client_has_them_all(rig: Start, tmp_path: Path) -> None:
    radio = rig(scene.batteries(), scene.controller(), wanted=())
    with lent(radio, tmp_path, max_connections=1) as house, remote_rig(rover(way_to(house))) as other:
        assert len(other.cycle("rover")) == 1
        with remote_rig(hub(way_to(house))) as it:
            error = it.error()
            assert isinstance(error, ConnectFailed)
            assert "has no free connection slot: other programs use all 1" in str(error)
            assert other.thread.stop(10)
            it.until_read("hub", 15)


# Some devices here, some elsewhere


def test_some_devices_are_read_here_and_some_elsewhere(rig: Start) -> None:
    here = rig(scene.batteries(), wanted=())
    made: list[Settings] = []

    def local(settings: Settings) -> BLEManager:
        made.append(settings)
        return BLEManager(settings, here.incidents.append, Resets(1))

    with FakeProxy(scene.controller(), key=KEY) as proxy:
        with remote_rig(PACK, rover(proxy.via()), radio=lambda known: choice(known, local)) as it:
            waits = [it.begin_cycle(alias) for alias in ("pack", "rover")]
            for wait in waits:
                wait(90)
            assert it.cycle("pack")[48].values["voltage"] == scene.PACKS[0].voltage
            assert it.cycle("rover")[16].values["battery_voltage"] == 14.4
            for device in it.settings.devices:
                assert it.radio.connected(device)
                assert it.radio.rssi(device) is not None
                assert it.radio.connect_seconds(device) is not None
            for device in it.settings.devices:
                it.do(lambda radio, device=device: radio.free(device, 30))
            assert here.fake.connections() == []
            assert proxy.linked() == []
            for device in it.settings.devices:
                it.do(lambda radio, device=device: radio.resume(device))
            assert len(it.cycle("pack")) == len(it.cycle("rover")) == 1
        assert [device.alias for settings in made for device in settings.devices] == ["pack"]
        assert proxy.faults == []
        assert proxy.linked() == []
    assert here.fake.connections() == []


def choice(known: Settings, local: object) -> SomeRadios:
    return SomeRadios(known, lambda incident: None, local)  # type: ignore[arg-type]


def test_bluetooth_of_this_machine_is_left_alone_when_every_device_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")

    def local(settings: Settings) -> BLEManager:
        raise AssertionError("nobody asked for it")

    with FakeProxy(scene.batteries()) as proxy, remote_rig(hub(proxy.via()), radio=lambda s: choice(s, local)) as it:
        assert len(it.cycle()) == 4


def test_a_stuck_thread_lets_go_of_both_radios(rig: Start) -> None:
    here = rig(scene.batteries(), wanted=())

    def local(settings: Settings) -> BLEManager:
        return BLEManager(settings, here.incidents.append, Resets(1))

    with FakeProxy(scene.controller()) as proxy:
        it = Rig(PACK, rover(proxy.via()), radio=lambda known: choice(known, local))
        assert len(it.cycle("pack")) == len(it.cycle("rover")) == 1
        it.thread.abandon()
        end = time.monotonic() + 40
        while here.fake.clients() or proxy.linked() or it.thread.alive:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert proxy.visits == 1
