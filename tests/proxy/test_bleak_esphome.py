"""The Bluetooth of Home Assistant itself (habluetooth, bleak-esphome) and the real program: what its integrations get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bleak
import bleak_esphome
import bleak_retry_connector
import pytest
from aioesphomeapi import APIClient, APIConnectionError
from bleak import BleakError
from bluetooth_adapters import BluetoothAdapters
from habluetooth import BluetoothManager, BluetoothScanningMode, set_manager

from renogybt.protocol import modbus
from tests.e2e.program import Program
from tests.e2e.test_esphome import node
from tests.e2e.test_example import ROVER, data
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.bluez.gatt import uuid
from tests.peers.bluez.scenario import Adapter, Beacon
from tests.peers.mosquitto import free_port
from tests.proxy.given import HOST, KEY, until
from tests.proxy.lent import run

THERMOMETER = Beacon(
    address="D1:22:33:44:55:66",
    name="Thermo",
    uuids=[0x181A],
    manufacturer={0x0499: "0102030405"},
    service_data={uuid(0x181A): "aabbcc"},
)
SLOTS = 3
REPLY, REQUEST, MAKER = uuid(0xFFF1), uuid(0xFFD1), uuid(0x2A29)
MODEL = modbus.read(32, 4311, 8)


class Proxy(Program):
    script = "ha_proxy_example.py"


class Bridge:
    """The program, which reads the controller itself, among devices of others. It stays for all tests of this file."""

    def __init__(self, folder: Path, fake: Fake, key: str) -> None:
        self.fake, self.key, self.port = fake, key, free_port()
        ini = ROVER + data(True) + node(self.port, encryption_key=key, max_connections=SLOTS)
        self.program = Proxy(folder, ini, fake)


@pytest.fixture(scope="module", params=["", KEY], ids=["plain", "encrypted"])
def bridge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    modules = (scene.controller(), scene.inverter(pairs=True), scene.batteries(), scene.pro_battery(), scene.dcdc())
    around = scene.scenario(*modules, beacons=[THERMOMETER], adapters=[Adapter(monitors=True)], adv_interval_s=0.1)
    with Fake(around) as fake:
        bridge = Bridge(tmp_path_factory.mktemp("bridge"), fake, request.param)
        with bridge.program:
            yield bridge


class NoAdapters(BluetoothAdapters):
    """Home Assistant's machine has no Bluetooth of its own."""

    async def refresh(self) -> None:
        pass

    @property
    def adapters(self) -> dict[str, Any]:
        return {}

    @property
    def default_adapter(self) -> str:
        return "hci0"


class Manager(BluetoothManager):
    def _discover_service_info(self, service_info: Any) -> None:
        """Here the integrations would hear of it."""


class House:
    """Home Assistant with one proxy."""

    def __init__(self, api: APIClient, manager: BluetoothManager, connected: Any) -> None:
        self.api, self.manager, self.connected = api, manager, connected
        self.lost: list[str] = []

    async def heard(self, address: str) -> Any:
        await until(lambda: self.manager.async_last_service_info(address, True) is not None)
        return self.manager.async_last_service_info(address, True)

    async def connect(self, address: str) -> Any:
        """As integrations do it."""
        await self.heard(address)
        return await bleak_retry_connector.establish_connection(
            bleak_retry_connector.BleakClientWithServiceCache,
            self.manager.async_ble_device_from_address(address, True),
            "test",
            lambda client: self.lost.append(client.address),
            max_attempts=1,
        )

    async def slots(self, *taken: str) -> None:
        def told() -> bool:
            (found,) = self.manager.async_current_allocations() or [None]
            return found is not None and (found.slots, found.free, sorted(found.allocated)) == wanted

        wanted = (SLOTS, SLOTS - len(taken), sorted(taken))
        await until(told)


@asynccontextmanager
async def home_assistant(bridge: Bridge) -> AsyncIterator[House]:
    manager = Manager(NoAdapters())
    set_manager(manager)
    await manager.async_setup()
    api = APIClient(HOST, bridge.port, None, noise_psk=bridge.key or None, client_info="Home Assistant 2026.11.0")
    try:
        while True:  # until the program knows its adapter and has read its device: before that it sends its clients away
            try:
                await api.connect(login=True)
                info, (entities, _) = await api.device_info(), await api.list_entities_services()
                if info.bluetooth_proxy_feature_flags and any(one.object_id == "battery_voltage" for one in entities):
                    break
                await api.disconnect()
            except APIConnectionError:
                pass
            await asyncio.sleep(0.1)
        connected = bleak_esphome.connect_scanner(api, info, True)
        assert connected.scanner is not None
        leave, unregister = connected.scanner.async_setup(), manager.async_register_scanner(connected.scanner)
        yield House(api, manager, connected)
        connected.bluetooth_device.async_set_unavailable()
        unregister()
        leave()
    finally:
        await api.disconnect()
        manager.async_stop()


@pytest.fixture(autouse=True)
def no_radio_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("habluetooth.manager.IS_LINUX", False)  # else it opens the kernel's control socket


def through(bridge: Bridge, work: Callable[[House], Any]) -> None:
    async def all_of_it() -> None:
        async with home_assistant(bridge) as house:
            await work(house)

    run(all_of_it())


async def model_of(client: Any) -> bytes:
    """One Modbus request over the connection; the registers of the answer."""
    pieces: list[bytes] = []
    await client.start_notify(REPLY, lambda _, piece: pieces.append(bytes(piece)))
    await client.write_gatt_char(REQUEST, MODEL.frame, response=True)
    await until(lambda: modbus.find_answer(MODEL, b"".join(pieces)) is not None)
    await client.stop_notify(REPLY)
    return modbus.payload_of(MODEL, modbus.find_answer(MODEL, b"".join(pieces)) or b"")


def test_advertisements_of_others_are_heard_whole(bridge: Bridge) -> None:
    async def work(house: House) -> None:
        found = await house.heard(THERMOMETER.address)
        assert (found.name, found.manufacturer_data) == ("Thermo", {0x0499: bytes.fromhex("0102030405")})
        assert found.service_data == {uuid(0x181A): bytes.fromhex("aabbcc")}
        assert found.service_uuids == [uuid(0x181A)]
        assert found.source == house.connected.scanner.source == "B8:27:EB:00:00:01"
        assert found.connectable
        assert house.connected.scanner.scanning

    through(bridge, work)


def test_a_device_is_connected_read_written_and_let_go(bridge: Bridge) -> None:
    async def work(house: House) -> None:
        await house.slots()
        client = await house.connect(scene.INVERTER)
        assert (client.is_connected, client.mtu_size) == (True, 247)
        await house.slots(scene.INVERTER)
        properties = {one.uuid: set(one.properties) for one in client.services.characteristics.values()}
        assert properties[REPLY] == {"read", "notify"}
        assert properties[REQUEST] == {"read", "write", "write-without-response"}
        assert bytes(await client.read_gatt_char(MAKER)) == b"www.tuner168.com"
        await client.read_gatt_char(uuid(0xFFD4))
        assert (await model_of(client)).rstrip(b"\0") == b"RIV1220PU-126"
        assert (await model_of(client)).rstrip(b"\0") == b"RIV1220PU-126"  # what was ended can begin again
        with pytest.raises(BleakError, match="Request not supported"):
            await client.write_gatt_char(MAKER, b"x", response=True)
        assert client.is_connected
        await client.disconnect()
        await house.slots()
        assert house.lost == [scene.INVERTER]

    through(bridge, work)
    assert scene.INVERTER not in {link["address"] for link in bridge.fake.connections()}


def test_a_link_that_breaks_is_told_and_comes_back_with_the_services_known(bridge: Bridge) -> None:
    async def work(house: House) -> None:
        client = await house.connect(scene.INVERTER)
        handles = sorted(client.services.characteristics)
        bridge.fake.drop_link(scene.INVERTER)
        await until(lambda: not client.is_connected)
        await house.slots()
        assert house.lost == [scene.INVERTER]
        client = await house.connect(scene.INVERTER)
        assert sorted(client.services.characteristics) == handles
        assert await client.clear_cache()
        await client.disconnect()
        client = await house.connect(scene.INVERTER)
        assert sorted(client.services.characteristics) == handles
        await client.disconnect()

    through(bridge, work)


def test_no_more_connections_than_there_are_slots(bridge: Bridge) -> None:
    taken = [scene.INVERTER, scene.BATTERIES, scene.PRO]

    async def work(house: House) -> None:
        clients = [await house.connect(address) for address in taken]
        await house.slots(*taken)
        await house.heard(scene.DCDC)
        with pytest.raises(BleakError, match="slot"):
            await bleak.BleakClient(house.manager.async_ble_device_from_address(scene.DCDC, True)).connect()
        await clients.pop().disconnect()
        await house.slots(*taken[:2])
        clients.append(await house.connect(scene.DCDC))
        for client in clients:
            await client.disconnect()
        await house.slots()

    through(bridge, work)


def test_pairing_and_taking_it_back(bridge: Bridge) -> None:
    async def work(house: House) -> None:
        client = await house.connect(scene.INVERTER)
        bridge.fake.clear_log()
        await client.pair()
        await client.unpair()
        assert [len(bridge.fake.calls(member)) for member in ("Pair", "RemoveDevice")] == [1, 1]
        await until(lambda: not client.is_connected)
        await house.slots()

    through(bridge, work)


def test_it_listens_as_home_assistant_wants(bridge: Bridge) -> None:
    async def work(house: House) -> None:
        scanner = house.connected.scanner
        await until(lambda: scanner.current_mode is BluetoothScanningMode.ACTIVE)
        for mode in (BluetoothScanningMode.PASSIVE, BluetoothScanningMode.ACTIVE):
            scanner.async_set_scanning_mode(mode)
            await until(lambda mode=mode: scanner.current_mode is mode)  # type: ignore[misc]

    through(bridge, work)
