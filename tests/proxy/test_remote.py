"""Reading through ESPHome proxies elsewhere in the house: what is read, and over how many connections."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from renogybt.ble.characteristics import NOTIFY, READ, WRITE, WRITE_BLIND, choose, uuid
from renogybt.errors import Released
from renogybt.proxy.bluetooth_numbers import PROPERTIES
from renogybt.proxy.remote_link import can
from renogybt.reading import Failure, LinkFigures
from renogybt.settings import Bluetooth, Device
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.scenario import Module
from tests.peers.esphome.proxy import FakeProxy
from tests.proxy.remote_rig import KEY, hub, rig, rover, truth


def left(proxy: FakeProxy) -> None:
    """Nothing may be left at the proxy, and nothing have been done that no client may do."""
    end = time.monotonic() + 30
    while proxy.linked() or proxy.sessions:
        assert time.monotonic() < end, "links or clients are left"
        time.sleep(0.02)
    assert proxy.faults == []


@pytest.mark.parametrize("key", ["", KEY], ids=["plain", "encrypted"])
def test_four_batteries_read_as_over_a_wire(key: str) -> None:
    with FakeProxy(scene.batteries(mtu=23), key=key) as proxy:
        with rig(hub(proxy.via())) as it:
            for _ in range(3):
                found = it.cycle()
                assert {unit: dict(reading.values) for unit, reading in found.items()} == truth(scene.batteries(), hub(""))
        assert proxy.connects == [scene.BATTERIES]
        assert proxy.visits == 1
        left(proxy)


FAMILIES: list[tuple[Module, dict[str, Any]]] = [
    (scene.controller(), {"type": "RNG_CTRL", "device_id": (255,)}),
    (scene.pro_battery(), {"type": "RNG_BATT", "device_id": (48,)}),
    (scene.dcdc(), {"type": "RNG_DCC", "device_id": (96,)}),
    (scene.dcdc(g6=True), {"type": "RNG_DCC", "device_id": (96,)}),
    (scene.inverter(), {"type": "RNG_INVT", "device_id": (32,)}),
]


@pytest.mark.parametrize(("module", "what"), FAMILIES, ids=["controller", "pro", "dcdc", "g6", "inverter"])
def test_every_family_reads_as_over_a_wire(module: Module, what: dict[str, Any]) -> None:
    """With modules whose characteristics stand several times in wrong services, and one that has to be woken."""
    with FakeProxy(module) as proxy:
        device = Device(mac_addr=module.address, alias="it", via=proxy.via(), **what)
        with rig(device) as it:
            (reading,) = it.cycle("it").values()
            assert dict(reading.values) == truth(module, device)[device.device_id[0]]
            assert not reading.missing
        left(proxy)


def test_a_shunt_that_talks_unasked_is_heard() -> None:
    with FakeProxy(scene.shunt()) as proxy:
        with rig(Device(mac_addr=scene.SHUNT, alias="shunt", type="RNG_SHNT", via=proxy.via())) as it:
            (reading,) = it.cycle("shunt").values()
            assert reading.values["charge_amps"] == -5.4
        left(proxy)


@pytest.mark.parametrize("kind", ["public", "random"])
def test_a_module_is_found_by_its_name(kind: str) -> None:
    module = scene.batteries(address_type=kind)
    with FakeProxy(module) as proxy:
        proxy.names = False  # until it is asked to scan actively
        with rig(hub(proxy.via(), mac_addr="", alias=module.name), bluetooth=Bluetooth(discovery_timeout=5)) as it:
            assert len(it.cycle(module.name)) == 4
            assert it.radio.rssi(it.settings.devices[0]) == module.rssi
        assert proxy.modes == [1]
        left(proxy)


def test_the_address_type_is_learned_from_what_is_heard() -> None:
    with FakeProxy(scene.batteries(address_type="random")) as proxy:
        with rig(hub(proxy.via())) as it:
            assert len(it.cycle()) == 4
        left(proxy)


def test_a_module_with_an_address_needs_not_be_heard() -> None:
    with FakeProxy(scene.batteries()) as proxy:
        proxy.scanning = False
        with rig(hub(proxy.via())) as it:
            assert len(it.cycle()) == 4
        left(proxy)


def test_figures_tell_how_the_link_does() -> None:
    with FakeProxy(scene.batteries(rssi=-71)) as proxy, rig(hub(proxy.via())) as it:
        figures = [news[1] for news in it.begin_cycle("hub")(30) if isinstance(news, tuple)]
        assert {figure.rssi for figure in figures} == {-71}
        assert all(isinstance(figure, LinkFigures) and figure.connect_seconds is not None for figure in figures)
        assert it.radio.connected(it.settings.devices[0])


def test_per_read_lets_the_module_go_after_each_reading() -> None:
    with FakeProxy(scene.batteries()) as proxy:
        with rig(hub(proxy.via(), connection="per_read")) as it:
            for _ in range(3):
                assert len(it.cycle()) == 4
                assert proxy.linked() == []
        assert proxy.connects == [scene.BATTERIES] * 3
        assert proxy.visits == 1
        left(proxy)


def test_two_sections_behind_one_module_share_its_connection() -> None:
    with FakeProxy(scene.mixed_hub()) as proxy:
        common = {"mac_addr": scene.HUB, "via": proxy.via()}
        packs = Device(section="device.packs", alias="packs", type="RNG_BATT", device_id=(48, 49), **common)
        sun = Device(section="device.sun", alias="sun", type="RNG_CTRL", device_id=(96,), **common)
        with rig(packs, sun) as it:
            waits = [it.begin_cycle(alias) for alias in ("packs", "sun")]
            for wait in waits:
                wait(90)
            assert len(it.cycle("packs")) == 2
            assert len(it.cycle("sun")) == 1
        assert proxy.connects == [scene.HUB]
        left(proxy)


def test_two_devices_through_two_proxies() -> None:
    with FakeProxy(scene.batteries(), key=KEY) as one, FakeProxy(scene.controller()) as other:
        with rig(hub(one.via()), rover(other.via())) as it:
            waits = [it.begin_cycle(alias) for alias in ("hub", "rover")]
            for wait in waits:
                wait(90)
            assert len(it.cycle("hub")) == 4
            assert len(it.cycle("rover")) == 1
        assert one.connects == [scene.BATTERIES]
        assert other.connects == [scene.CONTROLLER]
        for proxy in (one, other):
            assert proxy.visits == 1
            left(proxy)


def test_devices_behind_one_proxy_share_one_connection_to_it() -> None:
    with FakeProxy(scene.batteries(connect_s=0.2), scene.controller(connect_s=0.2)) as proxy:
        with rig(hub(proxy.via()), rover(proxy.via())) as it:
            waits = [it.begin_cycle(alias) for alias in ("hub", "rover")]
            for wait in waits:
                wait(90)
            assert len(it.cycle("hub")) == 4
            assert len(it.cycle("rover")) == 1
            assert sorted(proxy.linked()) == sorted([scene.BATTERIES, scene.CONTROLLER])
        assert proxy.visits == 1
        left(proxy)


def test_a_module_gives_way_when_the_proxy_has_one_slot_only() -> None:
    with FakeProxy(scene.batteries(), scene.controller(), slots=1) as proxy:
        with rig(hub(proxy.via()), rover(proxy.via())) as it:
            for _ in range(2):
                assert len(it.cycle("hub")) == 4
                assert len(it.cycle("rover")) == 1
            waits = [it.begin_cycle(alias) for alias in ("hub", "rover")]
            for wait in waits:
                assert not [news for news in wait(90) if isinstance(news, Failure)]
        assert proxy.connects[:4] == [scene.BATTERIES, scene.CONTROLLER] * 2
        left(proxy)


def test_a_module_is_lent_to_the_phone_app() -> None:
    with FakeProxy(scene.batteries()) as proxy:
        with rig(hub(proxy.via())) as it:
            device = it.settings.devices[0]
            assert len(it.cycle()) == 4
            it.do(lambda radio: radio.free(device, 60))
            assert proxy.linked() == []
            assert isinstance(it.error(), Released)
            it.do(lambda radio: radio.resume(device))
            assert len(it.cycle()) == 4
            assert [incident.kind for incident in it.incidents] == ["adapter"]
        left(proxy)


def test_a_stuck_thread_is_cut_off_from_outside() -> None:
    """`abandon` is called by the main thread: the proxy must notice, although the event loop is not asked."""
    with FakeProxy(scene.batteries()) as proxy:
        with rig(hub(proxy.via())) as it:
            assert len(it.cycle()) == 4
            assert proxy.linked() == [scene.BATTERIES]
            begun, over = threading.Event(), threading.Event()
            wait = it.begin(lambda radio: blocked(begun, over))
            assert begun.wait(30)
            it.radio.abandon()
            end = time.monotonic() + 30
            while proxy.linked():
                assert time.monotonic() < end
                time.sleep(0.02)
            over.set()
            wait(90)
        left(proxy)


async def blocked(begun: threading.Event, over: threading.Event) -> None:
    begun.set()
    over.wait(60)


def test_service_and_property_decide_which_characteristic_is_meant() -> None:
    def item(short: int, handle: int, *able: str) -> SimpleNamespace:
        return SimpleNamespace(uuid=uuid(short), handle=handle, properties=sum(PROPERTIES[what] for what in able))

    decoys = [item(0xFFD1, 1, WRITE_BLIND), item(0xFFF1, 2, NOTIFY)]
    meant = [item(0xFFD1, 3, READ), item(0xFFD1, 4, WRITE, READ), item(0xFFD1, 5, WRITE_BLIND), item(0xFFD2, 6, NOTIFY)]
    services = [SimpleNamespace(uuid=uuid(n), characteristics=c) for n, c in ((0xFFE0, decoys), (0xFFD0, meant))]
    assert choose(services, 0xFFD0, 0xFFD1, (WRITE_BLIND, WRITE), can).handle == 5
    assert choose(services, 0xFFD0, 0xFFD1, (WRITE, WRITE_BLIND), can).handle == 4
    assert choose(services, 0xFFD0, 0xFFF1, (NOTIFY,), can) is None
