"""BlueZ's rules of discovery and power."""

from __future__ import annotations

import asyncio

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakError

from tests.peers.bluez import scenarios
from tests.peers.bluez.adapter import ADAPTER
from tests.peers.bluez.client import HCI0, PATIENCE, Bus, Radio, audible, caught_up, discovered, found, run, talk, until
from tests.peers.bluez.scenario import Adapter

MODULE = scenarios.CONTROLLER
IN_PROGRESS = "org.bluez.Error.InProgress: Operation already in progress"
NOT_READY = "org.bluez.Error.NotReady: Resource Not Ready"


# Discovery


def test_what_a_module_advertises(radio: Radio) -> None:
    fake = radio(scenarios.controller(rssi=-71), scenarios.pro_battery(), scenarios.mixed_hub())

    async def work() -> dict[str, tuple[str | None, int, list[str], dict[int, bytes]]]:
        heard = await audible(scenarios.CONTROLLER, scenarios.PRO, scenarios.HUB)
        return {
            address: (data.local_name, data.rssi, data.service_uuids, data.manufacturer_data)
            for address, data in heard.items()
        }

    seen = run(work())
    assert set(seen) == {scenarios.CONTROLLER, scenarios.PRO, scenarios.HUB}
    name, rssi, uuids, maker = seen[scenarios.CONTROLLER]
    assert name == "BT-TH-66EDFC11"
    assert -73 <= rssi <= -69
    assert uuids == ["0000ffd0-0000-1000-8000-00805f9b34fb"]
    assert maker == {0x9860: bytes.fromhex("66edfc11")}
    assert seen[scenarios.PRO][2:] == ([], {0xE14C: bytes.fromhex("7457947b")})
    assert seen[scenarios.HUB][0] == "BT-TH-E3383D60  "
    assert fake.sessions() == []


def test_a_connected_module_does_not_advertise(radio: Radio) -> None:
    radio(scenarios.controller(), scenarios.dcdc())

    async def work() -> None:
        async with talk(MODULE):
            assert set(await audible(scenarios.DCDC)) == {scenarios.DCDC}
        assert MODULE in await audible(MODULE)

    run(work())


def test_sessions_belong_to_their_sender(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        async with Bus(fake.address) as mine:
            assert await mine.adapter("StopDiscovery") == "org.bluez.Error.Failed: No discovery started"
            assert await mine.adapter("StartDiscovery") is None
            assert await mine.adapter("StartDiscovery") == IN_PROGRESS
            async with Bus(fake.address) as other:
                assert await other.adapter("StopDiscovery") == "org.bluez.Error.Failed: No discovery started"
                assert await other.adapter("StartDiscovery") is None
                assert len(fake.sessions()) == 2
                assert await mine.adapter("StopDiscovery") is None
                assert await other.get(HCI0, ADAPTER, "Discovering") is True
            # The other left without stopping.
            await until(lambda: not fake.sessions())
            assert await mine.get(HCI0, ADAPTER, "Discovering") is False

    run(work())


def test_the_signals_of_a_scan(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> list[str]:
        async with Bus(fake.address) as bus:
            await bus.adapter("StartDiscovery")
            await until(lambda: any(word.startswith("RSSI=") for word in bus.words))
            await bus.adapter("StopDiscovery")
            await asyncio.sleep(0.1)
            return await bus.heard()

    words = run(work())
    assert words[:2] == ["Discovering=True", "+dev_60_98_66_ED_FC_11"]
    assert words[2].startswith("RSSI=")
    assert words[-2:] == ["-RSSI", "Discovering=False"]


def test_a_filter_by_service_hides_others(radio: Radio) -> None:
    radio(scenarios.controller(), scenarios.pro_battery())

    async def work() -> set[str]:
        uuids = ["0000ffd0-0000-1000-8000-00805f9b34fb"]
        return set(await audible(MODULE, service_uuids=uuids))

    assert run(work()) == {MODULE}


def test_a_foreign_scan_keeps_discovering(radio: Radio) -> None:
    fake = radio()

    async def work() -> None:
        async with Bus(fake.address) as bus:
            fake.foreign_discovery(True)
            assert await bus.get(HCI0, ADAPTER, "Discovering") is True
            assert await bus.adapter("StopDiscovery") == "org.bluez.Error.Failed: No discovery started"
            fake.foreign_discovery(False)
            assert await bus.get(HCI0, ADAPTER, "Discovering") is False

    run(work())


def test_an_unconnected_device_is_forgotten_and_a_connected_one_is_not(radio: Radio) -> None:
    fake = radio(scenarios.controller(), scenarios.dcdc(), temporary_timeout_s=0.5)

    async def work() -> None:
        async with talk(MODULE):
            pass
        stale = await found(scenarios.DCDC)
        await until(lambda: [device["address"] for device in fake.devices()] == [MODULE])
        await caught_up()
        with pytest.raises(BleakError, match="not found"):
            await BleakClient(stale).connect()
        async with BleakClient(await _known(MODULE)):
            pass

    async def _known(address: str) -> str:
        return (await found(address)).address

    run(work())


# Power


def test_nothing_works_without_power(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        async with Bus(fake.address) as bus:
            await discovered(bus, MODULE)
            await bus.heard()
            assert await bus.power(False) is None
            assert await bus.heard() == ["PowerState=on-disabling", "Powered=False PowerState=off"]
            assert await bus.adapter("StartDiscovery") == NOT_READY
            assert await bus.adapter("StopDiscovery") == NOT_READY
            assert await bus.device(MODULE, "Connect") == NOT_READY
            assert await bus.power(False) is None
            assert await bus.heard() == []
            assert await bus.power(True) is None
            assert await bus.heard() == ["PowerState=off-enabling", "Powered=True PowerState=on"]
        fake.set_powered(False)
        with pytest.raises(BleakBluetoothNotAvailableError, match="No powered Bluetooth adapters"):
            await BleakScanner.discover(timeout=0.1)

    run(work())


def test_power_off_ends_sessions_and_links(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        async with Bus(fake.address) as bus:
            await discovered(bus, MODULE)
            await bus.device(MODULE, "Connect")
            await bus.adapter("StartDiscovery")
            await bus.heard()
            await bus.power(False)
            words = await bus.heard()
            assert words.index("Discovering=False") < words.index("ServicesResolved=False")
            assert words.index("Connected=False") < words.index("Powered=False PowerState=off")
        assert fake.sessions() == []
        assert fake.connections() == []

    run(work())


def test_power_can_be_busy(radio: Radio) -> None:
    fake = radio(adapters=[Adapter(powered=False, power_s=60)])

    async def work() -> None:
        async with Bus(fake.address) as bus:
            first = asyncio.create_task(bus.power(True))
            await asyncio.sleep(0.05)
            assert await bus.get(HCI0, ADAPTER, "PowerState") == "off-enabling"
            assert await bus.power(True) == "org.bluez.Error.Busy: Busy"
            first.cancel()

    run(work())


def test_power_can_take_its_time_or_be_blocked(radio: Radio) -> None:
    fake = radio(
        adapters=[Adapter(powered=False, power_s=0.2), Adapter(name="hci1", address="B8:27:EB:00:00:02", blocked=True)]
    )

    async def work() -> None:
        async with Bus(fake.address) as bus:
            assert await bus.power(True) is None
            assert await bus.get(HCI0, ADAPTER, "Powered") is True
            assert await bus.get("/org/bluez/hci1", ADAPTER, "PowerState") == "off-blocked"
            fake.set_blocked(True)
            assert await bus.get(HCI0, ADAPTER, "Powered") is False
            assert await bus.power(True) == "org.bluez.Error.Blocked: Blocked through rfkill"

    run(work())


def test_adapters_come_and_go(radio: Radio) -> None:
    fake = radio(scenarios.controller(), adapters=[])

    async def work() -> None:
        with pytest.raises(BleakBluetoothNotAvailableError, match="No Bluetooth adapters"):
            await BleakScanner.discover(timeout=0.1)
        fake.add_adapter(Adapter(name="hci1"))
        await caught_up()
        await found(MODULE)
        fake.remove_adapter("hci1")
        await caught_up()
        assert fake.devices() == []
        with pytest.raises(BleakBluetoothNotAvailableError, match="No Bluetooth adapters"):
            await BleakScanner.discover(timeout=0.1)

    run(work())


def test_two_adapters_have_their_own_range(radio: Radio) -> None:
    fake = radio(
        scenarios.controller(adapters=["hci1"]), adapters=[Adapter(), Adapter(name="hci1", address="B8:27:EB:00:00:02")]
    )

    async def work() -> None:
        assert await BleakScanner.find_device_by_address(MODULE, timeout=0.2, bluez={"adapter": "hci0"}) is None
        device = await BleakScanner.find_device_by_address(MODULE, timeout=PATIENCE, bluez={"adapter": "hci1"})
        assert device is not None
        async with BleakClient(device):
            assert fake.connections()[0]["adapter"] == "hci1"

    run(work())
