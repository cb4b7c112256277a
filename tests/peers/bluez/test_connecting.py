"""BlueZ's rules of connecting, reading and writing."""

from __future__ import annotations

import asyncio

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDBusError, BleakError

from tests.peers.bluez import scenarios
from tests.peers.bluez.adapter import ADAPTER
from tests.peers.bluez.client import (
    HCI0,
    PATIENCE,
    Bus,
    Radio,
    caught_up,
    characteristic,
    device_path,
    discovered,
    found,
    run,
    talk,
    until,
)
from tests.peers.bluez.device import DEVICE

MODULE = scenarios.CONTROLLER
IN_PROGRESS = "org.bluez.Error.InProgress: Operation already in progress"


# Connecting


def test_the_signals_of_a_connection(radio: Radio) -> None:
    fake = radio(scenarios.controller(resolve_s=0.1))

    async def work() -> None:
        async with Bus(fake.address) as bus:
            await discovered(bus, MODULE)
            await bus.heard()
            assert await bus.device(MODULE, "Connect") is None
            words = await bus.heard("UUIDs=")
            [call], [resolved] = fake.calls("Connect"), fake.events("resolved")
            assert call["replied"] < resolved["t"]
            assert words[0] == "Connected=True"
            assert words[1].startswith("+service")
            assert words[2].startswith("+char")
            assert words[-1].startswith("UUIDs=")
            assert words[-1].endswith("ServicesResolved=True")
            assert await bus.device(MODULE, "Connect") is None
            assert await bus.device(MODULE, "Disconnect") is None
            words = await bus.heard()
            assert words[-2:] == ["ServicesResolved=False", "Connected=False"]
            assert words[-3].startswith("-service")
            assert await bus.device(MODULE, "Disconnect") is None
            assert await bus.heard() == []

    run(work())


def test_disconnect_fails_a_pending_connect(radio: Radio) -> None:
    fake = radio(scenarios.controller(connect_s=60))

    async def work() -> None:
        async with Bus(fake.address) as bus:
            await discovered(bus, MODULE)
            pending = asyncio.create_task(bus.device(MODULE, "Connect"))
            await asyncio.sleep(0.05)
            assert await bus.device(MODULE, "Connect") == IN_PROGRESS
            assert await bus.device(MODULE, "Disconnect") is None
            assert await pending == "org.bluez.Error.Failed: br-connection-canceled"
        with pytest.raises(TimeoutError):
            await BleakClient(await found(MODULE), timeout=0.3).connect()
        assert fake.connections() == []

    run(work())


def test_an_absent_module_cannot_be_reached(radio: Radio) -> None:
    fake = radio(scenarios.controller(), page_s=0.1, page_error="le-connection-timeout")

    async def work() -> None:
        device = await found(MODULE)
        fake.module(MODULE, advertising=False)
        with pytest.raises(BleakDBusError, match="le-connection-timeout"):
            await BleakClient(device).connect()

    run(work())


def test_discovery_while_connecting_is_noticed(radio: Radio) -> None:
    fake = radio(scenarios.controller(connect_s=60))

    async def work() -> None:
        async with Bus(fake.address) as bus:
            await discovered(bus, MODULE)
            pending = asyncio.create_task(bus.device(MODULE, "Connect"))
            await asyncio.sleep(0.02)
            await bus.adapter("StartDiscovery")
            await bus.device(MODULE, "Disconnect")
            await pending
            fake.module(MODULE, connect_s=0.0)
            assert await bus.device(MODULE, "Connect") is None

    run(work())
    assert fake.violations() == ["StartDiscovery while connecting", "Connect while discovering"]


def test_a_link_of_an_earlier_process_is_there(radio: Radio) -> None:
    fake = radio(scenarios.controller(connected=True))

    async def work() -> None:
        assert await BleakScanner.find_device_by_address(MODULE, timeout=0.2) is None
        async with Bus(fake.address) as bus:
            assert await bus.get(device_path(MODULE), DEVICE, "ServicesResolved") is True
            assert await bus.device(MODULE, "Disconnect") is None
        async with talk(MODULE) as link:
            assert len(await link.ask("ff0300000001", 5)) == 5

    run(work())
    assert len(fake.events("disconnected")) == 2


def test_removal_between_scan_and_connect(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        device = await found(MODULE)
        assert fake.remove_device(MODULE)
        await caught_up()
        with pytest.raises(BleakError, match="not found"):
            await BleakClient(device).connect()
        async with Bus(fake.address) as bus:
            answer = await bus.device(MODULE, "Connect")
            assert answer.startswith('org.freedesktop.DBus.Error.UnknownObject: Method "Connect" with signature ""')
            gone = await bus.call(HCI0, ADAPTER, "RemoveDevice", "o", device_path(MODULE))
            assert gone == "org.bluez.Error.DoesNotExist: Does Not Exist"

    run(work())


def test_a_dropped_link_is_told_to_everybody(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        told = asyncio.Event()
        client = BleakClient(await found(MODULE), disconnected_callback=lambda _: told.set())
        await client.connect()
        assert fake.drop_link(MODULE)
        await asyncio.wait_for(told.wait(), PATIENCE)
        assert not client.is_connected
        await client.disconnect()
        assert not fake.drop_link(MODULE)
        [call] = fake.calls("Connect")
        await until(lambda: call["sender"] not in [bus["name"] for bus in fake.clients()])

    run(work())


# Reading and writing


def test_notifications_over_a_socket(radio: Radio) -> None:
    fake = radio(scenarios.batteries(notify_size=20))

    async def work() -> bytes:
        async with talk(scenarios.BATTERIES, bluez={"use_start_notify": False}) as link:
            answer = await link.ask("300313880022", 73)
            assert [len(piece) for piece in link.pieces] == [20, 20, 20, 13]
            return answer

    assert len(run(work())) == 73
    assert [call["result"] for call in fake.calls("AcquireNotify")] == ["ok"]
    assert fake.calls("StartNotify") == []


def test_a_write_with_response_waits_for_the_radio(radio: Radio) -> None:
    fake = radio(scenarios.batteries(latency_ms=50))

    async def work() -> bytes:
        async with talk(scenarios.BATTERIES) as link:
            await link.write("300313b20002", response=True)
            return await link.wait(9)

    assert len(run(work())) == 9
    [call] = fake.calls("WriteValue")
    assert call["body"][1] == {"type": "request"}
    assert call["replied"] - call["t"] >= 0.099
    assert fake.frames()[0]["kind"] == "request"


def test_a_long_blind_write_is_refused(radio: Radio) -> None:
    radio(scenarios.batteries(mtu=23))

    async def work() -> None:
        async with BleakClient(await found(scenarios.BATTERIES)) as client:
            target = characteristic(client, 0xFFD0, 0xFFD1, "write-without-response")
            assert target.max_write_without_response_size == 20
            with pytest.raises(BleakError, match="Failed to initiate write"):
                await client.write_gatt_char(target, bytes(21), response=False)
            await asyncio.sleep(0)

    run(work())
