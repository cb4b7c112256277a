"""The service keeps BlueZ's rules, and breaks them when told to. Asked by a bare bus client and by real bleak."""

from __future__ import annotations

import asyncio
import time

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakDeviceNotFoundError, BleakError

from tests.peers.bluez import scenarios
from tests.peers.bluez.adapter import ADAPTER
from tests.peers.bluez.client import HCI0, Bus, Radio, device_path, found, run, talk
from tests.peers.bluez.device import DEVICE
from tests.peers.bluez.scenario import Adapter

MODULE = scenarios.CONTROLLER
IN_PROGRESS = "org.bluez.Error.InProgress: Operation already in progress"
NOT_READY = "org.bluez.Error.NotReady: Resource Not Ready"


async def _seen(bus: Bus, address: str = MODULE, seconds: float = 2.0) -> None:
    """Discover until the service knows the module."""
    await bus.adapter("StartDiscovery")
    until = time.monotonic() + seconds
    while str(await bus.get(device_path(address), DEVICE, "Address")) != address:
        assert time.monotonic() < until, f"{address} was not seen"
        await asyncio.sleep(0.02)
    await bus.adapter("StopDiscovery")


# Discovery


def test_what_a_module_advertises(radio: Radio) -> None:
    fake = radio(scenarios.controller(rssi=-71), scenarios.pro_battery(), scenarios.mixed_hub())

    async def work() -> dict[str, tuple[str | None, int, list[str], dict[int, bytes]]]:
        found_all = await BleakScanner.discover(timeout=0.3, return_adv=True)
        return {
            device.address: (data.local_name, data.rssi, data.service_uuids, data.manufacturer_data)
            for device, data in found_all.values()
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
            others = {device.address for device in await BleakScanner.discover(timeout=0.2)}
            assert others == {scenarios.DCDC}
        assert MODULE in {device.address for device in await BleakScanner.discover(timeout=0.2)}

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
            await asyncio.sleep(0.05)
            assert await mine.get(HCI0, ADAPTER, "Discovering") is False
            assert fake.sessions() == []

    run(work())


def test_the_signals_of_a_scan(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> list[str]:
        async with Bus(fake.address) as bus:
            await bus.adapter("StartDiscovery")
            await asyncio.sleep(0.1)
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
        return {device.address for device in await BleakScanner.discover(timeout=0.2, service_uuids=uuids)}

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
    fake = radio(scenarios.controller(), scenarios.dcdc(), temporary_timeout_s=0.3)

    async def work() -> None:
        async with talk(MODULE):
            pass
        assert {device["address"] for device in fake.devices()} == {MODULE, scenarios.DCDC}
        stale = await found(scenarios.DCDC)
        await asyncio.sleep(0.5)
        assert [device["address"] for device in fake.devices()] == [MODULE]
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
            await _seen(bus)
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
            await _seen(bus)
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


def test_power_can_be_busy_or_blocked(radio: Radio) -> None:
    fake = radio(
        adapters=[Adapter(powered=False, power_s=0.2), Adapter(name="hci1", address="B8:27:EB:00:00:02", blocked=True)]
    )

    async def work() -> None:
        async with Bus(fake.address) as bus:
            first = asyncio.create_task(bus.power(True))
            await asyncio.sleep(0.05)
            assert await bus.get(HCI0, ADAPTER, "PowerState") == "off-enabling"
            assert await bus.power(True) == "org.bluez.Error.Busy: Busy"
            assert await first is None
            assert await bus.get(HCI0, ADAPTER, "Powered") is True
            assert await bus.get("/org/bluez/hci1", ADAPTER, "PowerState") == "off-blocked"
            fake.set_blocked(True)
            await asyncio.sleep(0.05)
            assert await bus.get(HCI0, ADAPTER, "Powered") is False
            assert await bus.power(True) == "org.bluez.Error.Blocked: Blocked through rfkill"

    run(work())


def test_adapters_come_and_go(radio: Radio) -> None:
    fake = radio(scenarios.controller(), adapters=[])

    async def work() -> None:
        with pytest.raises(BleakBluetoothNotAvailableError, match="No Bluetooth adapters"):
            await BleakScanner.discover(timeout=0.1)
        fake.add_adapter(Adapter(name="hci1"))
        await asyncio.sleep(0.05)
        await found(MODULE)
        fake.remove_adapter("hci1")
        await asyncio.sleep(0.05)
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
        device = await BleakScanner.find_device_by_address(MODULE, timeout=2, bluez={"adapter": "hci1"})
        assert device is not None
        async with BleakClient(device):
            assert fake.connections()[0]["adapter"] == "hci1"

    run(work())


# Connecting


def test_the_signals_of_a_connection(radio: Radio) -> None:
    fake = radio(scenarios.controller(resolve_s=0.1))

    async def work() -> None:
        async with Bus(fake.address) as bus:
            await _seen(bus)
            await bus.heard()
            assert await bus.device(MODULE, "Connect") is None
            assert await bus.heard() == ["Connected=True"]
            words = await bus.heard(0.15)
            assert words[0].startswith("+service")
            assert words[1].startswith("+char")
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
            await _seen(bus)
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
    fake = radio(scenarios.controller(connect_s=0.1))

    async def work() -> None:
        async with Bus(fake.address) as bus:
            await _seen(bus)
            pending = asyncio.create_task(bus.device(MODULE, "Connect"))
            await asyncio.sleep(0.02)
            await bus.adapter("StartDiscovery")
            assert await pending is None
            await bus.device(MODULE, "Disconnect")
            await bus.device(MODULE, "Connect")

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
        await asyncio.sleep(0.05)
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
        await asyncio.wait_for(told.wait(), 2)
        assert not client.is_connected
        await client.disconnect()
        assert not fake.drop_link(MODULE)
        [call] = fake.calls("Connect")
        assert call["sender"] not in [bus["name"] for bus in fake.clients()]

    run(work())


# Faults


def test_errors_by_rule_and_by_number(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("StartDiscovery", ("org.bluez.Error.InProgress", "Operation already in progress"), times=2)
    fake.rule("Connect", ("org.bluez.Error.Failed", "le-connection-refused"), skip=1, times=1)

    async def work() -> None:
        for _ in range(2):
            with pytest.raises(BleakDBusError, match="InProgress"):
                await found(MODULE)
        device = await found(MODULE)
        for refused in (False, True, False):
            client = BleakClient(device)
            if refused:
                with pytest.raises(BleakDBusError, match="le-connection-refused"):
                    await client.connect()
            else:
                await client.connect()
                await client.disconnect()

    run(work())
    assert [call["result"] == "ok" for call in fake.calls("StartDiscovery")] == [False, False, True]


@pytest.mark.parametrize("member", ["GetManagedObjects", "StartDiscovery", "SetDiscoveryFilter"])
def test_a_hanging_call_and_its_end(radio: Radio, member: str) -> None:
    fake = radio(scenarios.controller())
    fake.rule(member, "hang")

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(found(MODULE), 0.3)
        fake.clear_rules()
        await found(MODULE)

    run(work())
    first = fake.calls(member)[0]
    assert (first["result"], first["rule"]) == (None, "hang")


def test_a_hanging_stop_leaves_the_session(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("StopDiscovery", "hang", times=1)

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(found(MODULE), 0.5)
        assert len(fake.sessions()) == 1
        with pytest.raises(BleakDBusError, match="InProgress"):
            await found(MODULE)

    run(work())


def test_an_error_with_effect(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("StopDiscovery", ("org.bluez.Error.InProgress", "Operation already in progress"), times=1, effect=True)
    run(found(MODULE))
    assert [call["member"] for call in fake.calls() if "Discovery" in call["member"] and "Filter" not in call["member"]] == [
        "StartDiscovery",
        "StopDiscovery",
        "StartDiscovery",
        "StopDiscovery",
    ]
    assert fake.sessions() == []


def test_a_success_that_does_nothing(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("StartDiscovery", "ok_but_nothing")

    async def work() -> None:
        assert await BleakScanner.find_device_by_address(MODULE, timeout=0.2) is None

    with pytest.raises(BleakDBusError, match="No discovery started"):
        run(work())
    fake.clear_rules("StartDiscovery")
    fake.rule("Set", "ok_but_nothing")

    async def switch() -> None:
        async with Bus(fake.address) as bus:
            assert await bus.power(False) is None
            assert await bus.get(HCI0, ADAPTER, "Powered") is True

    run(switch())


def test_a_delayed_call(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("Connect", 0.2, path="ED_FC_11")

    async def work() -> None:
        async with talk(MODULE):
            pass

    run(work())
    [call] = fake.calls("Connect")
    assert call["replied"] - call["t"] >= 0.2


def test_bleak_retries_after_an_abort(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("Connect", "abort_local", times=2)

    async def work() -> None:
        async with talk(MODULE):
            pass

    run(work())
    assert [call["result"] == "ok" for call in fake.calls("Connect")] == [False, False, True]


def test_services_that_never_come_or_come_empty(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("resolve", "never", times=1)
    fake.rule("resolve", "empty", times=1)

    async def work() -> None:
        device = await found(MODULE)
        with pytest.raises(TimeoutError):
            await BleakClient(device, timeout=0.3).connect()
        async with BleakClient(device) as client:
            assert list(client.services) == []
        async with BleakClient(device) as client:
            assert len(list(client.services)) == 5

    run(work())


def test_writes_can_fail(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("WriteValue", ("org.bluez.Error.Failed", "Operation failed with ATT error: 0x0e"), times=1)
    fake.rule("WriteValue", "ok_but_nothing", times=1)

    async def work() -> None:
        async with talk(MODULE) as link:
            with pytest.raises(BleakError):
                await link.write("ff0300000001")
            assert await link.ask("ff0300000001", 5, 0.1) == b""
            assert len(await link.ask("ff0300000001", 5)) == 5

    run(work())
    assert len(fake.frames()) == 1


def test_somebody_else_holds_the_notifications(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        async with talk(MODULE, bluez={"use_start_notify": False}) as link:
            char = next(c for c in link.client.services.characteristics.values() if c.uuid.startswith("0000fff1"))
            with pytest.raises(BleakDBusError, match="Notify acquired"):
                await link.client.start_notify(char, link.take)

    run(work())
    assert len(fake.calls("StartNotify")) == 1


def test_properties_can_be_missing(radio: Radio) -> None:
    radio(scenarios.controller(omit=["Alias"]), adapters=[Adapter(omit=["Roles"])])

    async def work() -> None:
        with pytest.raises(KeyError, match="Roles"):
            await BleakScanner.discover(timeout=0.1)

    run(work())


# Death and rebirth


def test_death_sends_nothing_but_the_owner_change(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        async with Bus(fake.address) as bus:
            device = await found(MODULE)
            client = BleakClient(device)
            await client.connect()
            await bus.heard()
            fake.die()
            assert await bus.heard() == ["owner gone"]
            assert client.is_connected
            assert (await bus.adapter("StartDiscovery")).startswith("org.freedesktop.DBus.Error.ServiceUnknown")
            assert fake.connections() == []
            fake.restart()
            words = await bus.heard()
            assert words[0] == "owner new"
            assert "+hci0" in words
            assert "+dev_60_98_66_ED_FC_11" in words
            assert client.is_connected

    run(work())

    async def again() -> None:
        async with talk(MODULE) as link:
            assert len(await link.ask("ff0300000001", 5)) == 5

    run(again())


def test_a_silent_rebirth_leaves_bleak_with_a_ghost(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        device = await found(MODULE)
        client = BleakClient(device)
        await client.connect()
        fake.die()
        fake.restart(announce=False)
        before = len(fake.calls("Connect"))
        ghost = BleakClient(device)
        await ghost.connect()
        assert len(fake.calls("Connect")) == before
        assert fake.connections() == []

    run(work())


def test_links_can_survive_the_service(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        await BleakClient(await found(MODULE)).connect()
        fake.die(keep_links=True)
        fake.restart()
        assert [link["address"] for link in fake.connections()] == [MODULE]
        async with Bus(fake.address) as bus:
            assert await bus.get(device_path(MODULE), DEVICE, "Connected") is True

    run(work())


def test_a_new_bus(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> None:
        lost = asyncio.Event()
        client = BleakClient(await found(MODULE), disconnected_callback=lambda _: lost.set())
        await client.connect()
        fake.restart_daemon()
        await asyncio.wait_for(lost.wait(), 2)
        await client.disconnect()
        async with talk(MODULE) as link:
            assert len(await link.ask("ff0300000001", 5)) == 5

    run(work())


def test_systemd_restarts_the_service(radio: Radio) -> None:
    fake = radio(scenarios.controller(), systemd=True)

    async def work() -> None:
        async with Bus(fake.address) as watching:
            assert "NoSuchUnit" in await watching.restart_unit("nginx.service")
            assert await watching.restart_unit("bluetooth.service") == "/org/freedesktop/systemd1/job/1"
            assert await watching.heard(0.5) == ["owner gone", "owner new", "+bluez", "+hci0"]
        await found(MODULE)

    run(work())
    assert len(fake.events("died")) == 1


def test_limits_of_the_bus(fake_bluez: Radio, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fake_bluez(scenarios.scenario(scenarios.controller()), limits={"max_match_rules_per_connection": 2})
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", fake.address)

    async def work() -> None:
        with pytest.raises(BleakError, match="not allowed to add more match rules"):
            await BleakScanner.discover(timeout=0.1)

    run(work())


def test_access_can_be_denied(fake_bluez: Radio, monkeypatch: pytest.MonkeyPatch) -> None:
    deny = '<deny send_destination="org.bluez" send_interface="org.bluez.Adapter1" send_member="StartDiscovery"/>'
    fake = fake_bluez(scenarios.scenario(scenarios.controller()), policy=deny)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", fake.address)

    async def work() -> None:
        with pytest.raises(BleakDBusError, match="AccessDenied"):
            await BleakScanner.discover(timeout=0.1)

    run(work())


def test_a_crowd_of_forgotten_devices(radio: Radio) -> None:
    fake = radio(scenarios.controller(), crowd=3000)

    async def work() -> None:
        async with talk(MODULE) as link:
            assert len(await link.ask("ff0300000001", 5)) == 5

    run(work())
    assert len(fake.devices()) == 3001


def test_a_device_gone_on_the_server_only(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule(
        "Connect",
        ("org.freedesktop.DBus.Error.UnknownObject", 'Method "Connect" with signature "" doesn\'t exist'),
    )

    async def work() -> None:
        with pytest.raises(BleakDeviceNotFoundError):
            await BleakClient(await found(MODULE)).connect()

    run(work())
