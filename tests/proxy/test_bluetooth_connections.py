"""Connections that Home Assistant's client makes through the proxy, to simulated modules, with the real bleak in between."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aioesphomeapi.core import BluetoothConnectionDroppedError, BluetoothGATTAPIError

from renogybt import devices
from renogybt.protocol import modbus
from renogybt.settings import Device
from tests.ble.rig import DCDC, ROVER, Start
from tests.peers.bluez import scenarios
from tests.peers.bluez.gatt import uuid
from tests.proxy.given import KEY, until
from tests.proxy.lent import Lent, Link, Listening, Slots, client, lent, number, run

PRO, CONTROLLER, BATTERIES = scenarios.PRO, scenarios.CONTROLLER, scenarios.BATTERIES
NOT_CONNECTED, INVALID_HANDLE, READ_NOT_PERMITTED, NO_RESOURCES = -1, 1, 2, 17
TIMEOUT, GONE, LET_GO, NOT_ESTABLISHED, BUSY, ERROR, REFUSED_KEYS = 8, 0x13, 0x16, 0x3E, 132, 133, 137


class Table:
    """Handles by the 16-bit numbers of service and characteristic."""

    def __init__(self, services: Any) -> None:
        self.services = services.services
        self.characteristics = {
            (service.uuid, item.uuid): item for service in self.services for item in service.characteristics
        }

    def handle(self, service: int, characteristic: int) -> int:
        return int(self.characteristics[uuid(service), uuid(characteristic)].handle)


async def talk(link: Link, table: Table, request: modbus.Request) -> bytes:
    """One Modbus request over the proxy; the registers of the answer."""
    pieces: list[bytes] = []
    notify = table.handle(0xFFF0, 0xFFF1)
    stop, _ = await link.api.bluetooth_gatt_start_notify(link.address, notify, lambda _, data: pieces.append(bytes(data)))
    await link.api.bluetooth_gatt_write(link.address, table.handle(0xFFD0, 0xFFD1), request.frame, response=False)
    complete = partial(modbus.find_answer, request)
    await until(lambda: complete(b"".join(pieces)) is not None)
    await stop()
    frame = complete(b"".join(pieces))
    assert frame is not None
    return modbus.payload_of(request, frame)


@pytest.mark.parametrize("key", ["", KEY])
def test_a_module_is_read_through_the_proxy(rig: Start, tmp_path: Path, key: str) -> None:
    """The bytes that come through make the same values as those that our own tables make of the recorded ones."""
    radio = rig(scenarios.controller(), scenarios.batteries(), wanted=())
    with lent(radio, tmp_path, key) as house:

        async def work() -> dict[str, Any]:
            async with client(house) as api:
                slots, listening = Slots(api), Listening(api)
                await listening.first(BATTERIES)
                await slots.become(3)
                link = Link(api, BATTERIES)
                connected, mtu, error = await link.connect()
                assert (connected, mtu, error) == (True, 247, 0)
                await slots.become(2, BATTERIES)
                table = Table(await api.bluetooth_gatt_get_services(link.address))
                family = devices.for_type("RNG_BATT", "auto")
                values: dict[str, Any] = {}
                for window in family.windows:
                    if window.optional:
                        continue
                    payload = await talk(link, table, modbus.read(48, window.start, window.words))
                    values |= family.decode(window.start, payload).values
                await api.bluetooth_device_disconnect(link.address)
                assert await link.ended() == LET_GO
                await slots.become(3)
                return family.derive(values)

        values = run(work())
    assert values["current"] == pytest.approx(3.26)
    assert values["voltage"] == pytest.approx(13.3)
    assert values["cell_voltage_2"] == pytest.approx(3.4)
    assert radio.fake.connections() == []


def test_services_as_the_module_shows_them(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> Table:
            async with client(house) as api:
                link = Link(api, CONTROLLER)
                await link.connect(cached=True)
                return Table(await api.bluetooth_gatt_get_services(link.address))

        table = run(work())
    assert [service.handle for service in table.services] == sorted(service.handle for service in table.services)
    request = table.characteristics[uuid(0xFFD0), uuid(0xFFD1)]
    assert request.properties == 0x02 | 0x04 | 0x08
    assert request.descriptors == []
    reply = table.characteristics[uuid(0xFFF0), uuid(0xFFF1)]
    assert reply.properties == 0x02 | 0x10
    ((descriptor),) = reply.descriptors
    assert descriptor.uuid == uuid(0x2902)
    assert descriptor.handle == reply.handle + 1
    whole = "f000ffd1-0451-4000-b000-000000000000"
    assert table.characteristics["f000ffd0-0451-4000-b000-000000000000", whole].properties == 0x04 | 0x08


def test_reading_and_writing_attributes(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                link = Link(api, CONTROLLER)
                await link.connect()
                table, address = Table(await api.bluetooth_gatt_get_services(link.address)), link.address
                maker = table.handle(0x180A, 0x2A29)
                assert await api.bluetooth_gatt_read(address, maker) == b"www.tuner168.com"
                setting = table.handle(0xFFD0, 0xFFD5)
                await api.bluetooth_gatt_write(address, setting, b"\x01\x02", response=True)
                (frame,) = radio.fake.frames(CONTROLLER)
                assert (frame["hex"], frame["kind"]) == ("0102", "request")
                switch = table.characteristics[uuid(0xFFF0), uuid(0xFFF1)].descriptors[0].handle
                assert await api.bluetooth_gatt_read_descriptor(address, switch) == b"\0\0"
                await api.bluetooth_gatt_write_descriptor(address, switch, b"\x01\0")
                codes = []
                for attempt in (
                    api.bluetooth_gatt_read(address, 0x7777),
                    api.bluetooth_gatt_write(address, 0x7777, b"\0", response=True),
                    api.bluetooth_gatt_read_descriptor(address, 0x7777),
                    api.bluetooth_gatt_write_descriptor(address, 0x7777, b"\0"),
                    api.bluetooth_gatt_start_notify(address, 0x7777, print),
                    api.bluetooth_gatt_read(address, table.handle(0xFFD0, 0xFFD3)),
                ):
                    with pytest.raises(BluetoothGATTAPIError) as trouble:
                        await attempt
                    codes.append(trouble.value.error.error)
                assert codes == [INVALID_HANDLE] * 5 + [READ_NOT_PERMITTED]
                assert link.states == [(True, 247, 0)]

        run(work())


def test_notifications_until_they_are_ended(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                link = Link(api, CONTROLLER)
                await link.connect()
                table = Table(await api.bluetooth_gatt_get_services(link.address))
                heard: list[bytes] = []
                handle = table.handle(0xFFF0, 0xFFF1)
                for _ in range(2):
                    stop, _ = await api.bluetooth_gatt_start_notify(
                        link.address, handle, lambda _, data: heard.append(bytes(data))
                    )
                    radio.fake.notify(CONTROLLER, b"one")
                    await until(lambda: heard == [b"one"])
                    await stop()
                    await until(lambda: radio.fake.connections()[0]["notifying"] == {})
                    radio.fake.notify(CONTROLLER, b"two")
                    await asyncio.sleep(0.1)
                    assert heard == [b"one"]
                    heard.clear()

        run(work())


def test_all_slots_in_use(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), scenarios.batteries(), scenarios.pro_battery(), wanted=())
    with lent(radio, tmp_path, max_connections=2) as house:

        async def work() -> None:
            async with client(house) as api:
                slots = Slots(api)
                await slots.become(2)
                first, second, third = (Link(api, address) for address in (CONTROLLER, BATTERIES, PRO))
                assert (await asyncio.gather(first.connect(), second.connect()))[0][0]
                await slots.become(0, CONTROLLER, BATTERIES)
                assert await third.connect() == (False, 0, NO_RESOURCES)
                await slots.become(0, CONTROLLER, BATTERIES)
                await api.bluetooth_device_disconnect(first.address)
                await slots.become(1, BATTERIES)
                assert (await third.connect())[0]
                await slots.become(0, BATTERIES, PRO)

        run(work())
    assert radio.fake.connections() == []


def test_a_proxy_without_connections(rig: Start, tmp_path: Path) -> None:
    radio = rig(wanted=())
    with lent(radio, tmp_path, max_connections=0) as house:

        async def work() -> None:
            async with client(house) as api:
                assert (await api.device_info()).bluetooth_proxy_feature_flags == 97
                assert await Link(api, CONTROLLER).connect() == (False, 0, NO_RESOURCES)

        run(work())


def test_our_own_modules_are_not_lent(rig: Start, tmp_path: Path) -> None:
    """Nor is the one that is read found by its name. What the owner has released is."""
    by_name = Device(section="device.dcdc", alias="BT-TH-66EDFC22", type="RNG_DCC")
    radio = rig(scenarios.controller(), scenarios.dcdc(), wanted=(ROVER, by_name))
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                assert await Link(api, CONTROLLER).connect() == (False, 0, BUSY)
                await asyncio.to_thread(radio.read, by_name)
                assert await Link(api, scenarios.DCDC).connect() == (False, 0, BUSY)
                await asyncio.to_thread(radio.do, lambda manager: manager.free(ROVER, 60))
                assert (await Link(api, CONTROLLER).connect())[0]

        run(work())


def test_our_own_module_is_read_meanwhile(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), scenarios.batteries(), scenarios.dcdc(), wanted=(ROVER, DCDC))
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                listening, link = Listening(api), Link(api, BATTERIES)
                readings = [asyncio.to_thread(radio.read, device) for device in (ROVER, DCDC)]
                _, *own = await asyncio.gather(link.connect(), *readings)
                assert all(len(reading) == 4 for reading in own)
                table = Table(await api.bluetooth_gatt_get_services(link.address))
                for _ in range(10):
                    theirs, ours = await asyncio.gather(
                        talk(link, table, modbus.read(48, 5042, 2)), asyncio.to_thread(radio.read, ROVER)
                    )
                    assert len(theirs) == len(ours) == 4
                before = len(listening.heard)
                radio.fake.add_module(scenarios.shunt())
                await until(lambda: len(listening.heard) > before)

        run(work())
    assert radio.fake.violations() == []


def test_the_device_hangs_up(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                slots, link = Slots(api), Link(api, CONTROLLER)
                await link.connect()
                radio.fake.drop_link(CONTROLLER)
                assert await link.ended() == GONE
                await slots.become(3)
                with pytest.raises(BluetoothGATTAPIError) as trouble:
                    await api.bluetooth_gatt_read(link.address, 12)
                assert trouble.value.error.error == NOT_CONNECTED
                assert (await Link(api, CONTROLLER).connect())[0]

        run(work())


def test_it_hangs_up_during_a_request(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(latency_ms=3000), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                link = Link(api, CONTROLLER)
                await link.connect()
                table = Table(await api.bluetooth_gatt_get_services(link.address))
                reading = asyncio.create_task(api.bluetooth_gatt_read(link.address, table.handle(0x180A, 0x2A29)))
                await until(lambda: bool(radio.fake.calls("ReadValue")))
                radio.fake.drop_link(CONTROLLER)
                with pytest.raises((BluetoothGATTAPIError, BluetoothConnectionDroppedError)):
                    await reading
                assert await link.ended() == GONE

        run(work())


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (("org.bluez.Error.Failed", "le-connection-abort-by-remote"), GONE),
        (("org.bluez.Error.Failed", "something else"), ERROR),
        (("org.bluez.Error.NotReady", "Resource Not Ready"), ERROR),
        ("hang", TIMEOUT),
    ],
)
def test_connections_that_do_not_come_about(
    rig: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: Any, code: int
) -> None:
    from renogybt.ble import guests

    monkeypatch.setattr(guests, "CONNECT_LIMIT", 1.5)
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                slots = Slots(api)
                radio.fake.rule("Connect", rule, times=1)
                assert await Link(api, CONTROLLER).connect() == (False, 0, code)
                await slots.become(3)
                assert (await Link(api, CONTROLLER).connect())[0]

        run(work())


def test_an_unknown_address(rig: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from renogybt.ble import guests

    monkeypatch.setattr(guests, "FIND_LIMIT", 0.5)
    radio = rig(wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                slots = Slots(api)
                assert await Link(api, "11:22:33:44:55:66").connect() == (False, 0, NOT_ESTABLISHED)
                await slots.become(3)

        run(work())


def test_requests_that_get_no_answer_end(rig: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from renogybt.ble import guest

    monkeypatch.setattr(guest, "OPERATION_LIMIT", 0.5)
    monkeypatch.setattr(guest.Guest._do, "__defaults__", (0.5,))
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                link = Link(api, CONTROLLER)
                await link.connect()
                table = Table(await api.bluetooth_gatt_get_services(link.address))
                maker = table.handle(0x180A, 0x2A29)
                radio.fake.rule("ReadValue", "hang", times=1)
                with pytest.raises(BluetoothGATTAPIError) as trouble:
                    await api.bluetooth_gatt_read(link.address, maker)
                assert trouble.value.error.error == ERROR
                assert await api.bluetooth_gatt_read(link.address, maker) == b"www.tuner168.com"

        run(work())


def test_pairing(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(pairs=True), scenarios.batteries(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                link, other = Link(api, CONTROLLER), Link(api, BATTERIES)
                assert (await api.bluetooth_device_pair(link.address)).error == NOT_CONNECTED
                await asyncio.gather(link.connect(), other.connect())
                paired = await api.bluetooth_device_pair(link.address)
                assert (paired.paired, paired.error) == (True, 0)
                refused = await api.bluetooth_device_pair(other.address)
                assert (refused.paired, refused.error) == (False, REFUSED_KEYS)
                done = await api.bluetooth_device_unpair(link.address)
                assert (done.success, done.error) == (True, 0)
                assert await link.ended() == LET_GO
                assert other.states == [(True, 247, 0)]

        run(work())
        assert [call["body"] for call in radio.fake.calls("RemoveDevice")] == [["/org/bluez/hci0/dev_60_98_66_ED_FC_11"]]


def test_clearing_what_bluez_has_stored(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                link = Link(api, CONTROLLER)
                await link.connect()
                assert (await api.bluetooth_device_clear_cache(link.address)).success
                assert link.states == [(True, 247, 0)]
                await api.bluetooth_device_disconnect(link.address)
                await until(lambda: len(radio.fake.calls("RemoveDevice")) == 1)
                assert (await Link(api, CONTROLLER).connect())[0]
                assert (await api.bluetooth_device_clear_cache(number(PRO))).success

        run(work())


def test_a_device_belongs_to_one_client(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as one, client(house) as two:
                assert (await Link(one, CONTROLLER).connect())[0]
                assert (await Link(one, CONTROLLER).connect())[0]
                assert await Link(two, CONTROLLER).connect() == (False, 0, BUSY)
                with pytest.raises(BluetoothGATTAPIError) as trouble:
                    await two.bluetooth_gatt_get_services(number(CONTROLLER))
                assert trouble.value.error.error == NOT_CONNECTED
                await two.bluetooth_device_disconnect(number(CONTROLLER))
                assert (await one.bluetooth_gatt_get_services(number(CONTROLLER))).services
                slots = Slots(two)
                await one.disconnect(force=True)
                await slots.become(3)
                assert (await Link(two, CONTROLLER).connect())[0]

        run(work())


KILLED = """
import asyncio, sys
from aioesphomeapi import APIClient

async def main() -> None:
    api = APIClient("127.0.0.1", int(sys.argv[1]), None)
    await api.connect(login=True)
    done = lambda *said: print("connected", *said, flush=True)
    connecting = api.bluetooth_device_connect(int(sys.argv[2]), done, feature_flags=127, address_type=0)
    print("asked", flush=True)
    await connecting
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("wait_for", ["asked", "connected"])
def test_a_killed_client_leaves_nothing_behind(rig: Start, tmp_path: Path, wait_for: str) -> None:
    radio = rig(scenarios.controller(connect_s=1.0 if wait_for == "asked" else 0.0), wanted=())
    with lent(radio, tmp_path) as house:
        command = [sys.executable, "-c", KILLED, str(house.node.port), str(number(CONTROLLER))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while wait_for not in process.stdout.readline():
                assert process.poll() is None
            if wait_for == "asked":
                house.wait(lambda: radio.fake.calls("Connect"))
            process.kill()
        house.wait(lambda: not radio.fake.connections() and house.figures()["connections"] == 0, 5)

        async def work() -> None:
            async with client(house) as api:
                assert (await Link(api, CONTROLLER).connect())[0]

        run(work())


def test_a_request_to_connect_can_be_taken_back(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(connect_s=3.0), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                slots, link = Slots(api), Link(api, CONTROLLER)
                connecting = asyncio.create_task(link.connect())
                await until(lambda: bool(radio.fake.calls("Connect")))
                await api.bluetooth_device_disconnect(link.address)
                assert (await connecting)[0] is False
                await slots.become(3)

        run(work())


def test_the_end_of_the_bridge_ends_connections(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), wanted=())
    house = Lent(radio, tmp_path)
    house.start()

    async def work() -> None:
        async with client(house) as api:
            assert (await Link(api, CONTROLLER).connect())[0]
            await asyncio.to_thread(house.stop)
            assert radio.fake.connections() == []

    run(work())
    house.start()

    async def again() -> None:
        async with client(house) as api:
            assert (await Link(api, CONTROLLER).connect())[0]

    run(again())
    house.stop()


def test_a_new_radio_thread_serves_on(rig: Start, tmp_path: Path) -> None:
    """The old one hung: nobody closed anything in it."""
    radio = rig(scenarios.controller(), wanted=())
    house = Lent(radio, tmp_path)
    house.start()

    async def unannounced(manager: Any) -> None:
        assert house.node._announcement is not None
        await house.node._announcement.close()

    async def before() -> None:
        async with client(house) as api:
            listening = Listening(api)
            await listening.first(CONTROLLER)
            assert (await Link(api, CONTROLLER).connect())[0]
            await asyncio.to_thread(radio.do, unannounced)
            house.node.abandon()
            radio.thread.abandon()

    run(before())
    house.wait(lambda: not radio.fake.sessions())
    assert radio.fake.connections()
    old = radio.thread
    radio.new_thread()
    house.start()
    house.wait(lambda: not radio.fake.connections() and not old.alive)

    async def after() -> None:
        async with client(house) as api:
            listening = Listening(api)
            await listening.first(CONTROLLER)
            assert (await Link(api, CONTROLLER).connect())[0]

    run(after())
    house.stop()


def test_a_bluetoothd_that_dies_ends_connections(rig: Start, tmp_path: Path) -> None:
    radio = rig(scenarios.controller(), wanted=())
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                link = Link(api, CONTROLLER)
                await link.connect()
                radio.fake.restart()
                await asyncio.to_thread(radio.do, lambda manager: manager.lose_everything("bluetoothd is another one"))
                assert await link.ended() == GONE
                assert (await Link(api, CONTROLLER).connect())[0]

        run(work())
