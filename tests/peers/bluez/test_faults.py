"""The service misbehaves as told, dies and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDBusError, BleakDeviceNotFoundError, BleakError

from tests.peers.bluez import scenarios
from tests.peers.bluez.adapter import ADAPTER
from tests.peers.bluez.client import HCI0, PATIENCE, Bus, Radio, device_path, found, run, talk, until
from tests.peers.bluez.device import DEVICE
from tests.peers.bluez.scenario import Adapter

MODULE = scenarios.CONTROLLER


# Faults


async def hangs(work: Coroutine[Any, Any, Any], begun: Callable[[], Any]) -> None:
    """It has `begun`, and comes to no end."""
    task = asyncio.create_task(work)
    await until(begun)
    await asyncio.wait({task}, timeout=0.3)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})


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
        await hangs(found(MODULE), lambda: fake.calls(member))
        fake.clear_rules()
        await found(MODULE)

    run(work())
    first = fake.calls(member)[0]
    assert (first["result"], first["rule"]) == (None, "hang")


def test_a_hanging_stop_leaves_the_session(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.rule("StopDiscovery", "hang", times=1)

    async def work() -> None:
        await hangs(found(MODULE), lambda: fake.calls("StopDiscovery"))
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
    assert call["replied"] - call["t"] >= 0.199


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
        await hangs(BleakClient(device).connect(), fake.connections)
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
            assert await bus.heard("owner gone") == ["owner gone"]
            assert client.is_connected
            assert (await bus.adapter("StartDiscovery")).startswith("org.freedesktop.DBus.Error.ServiceUnknown")
            assert fake.connections() == []
            fake.restart()
            words = await bus.heard("+hci0")
            words += await bus.heard()
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
        await asyncio.wait_for(lost.wait(), PATIENCE)
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
            assert await watching.heard("+hci0") == ["owner gone", "owner new", "+bluez", "+hci0"]
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
