"""Connections that do not come about, links of others, links that break."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest
from msgspec.structs import replace

from renogybt.ble import bluez, connection, module, recovery
from renogybt.errors import ConnectFailed, Held, LinkError, LinkLost, NoAnswer
from renogybt.settings import Watchdog
from tests.ble.rig import ANSWER, PACK, PATIENCE, PROMPT, QUICK, ROVER, Start, within
from tests.peers.bluez import scenarios
from tests.peers.bluez.client import HCI0, Bus, device_path, discovered, run

MODULE = scenarios.CONTROLLER
FAILED = "org.bluez.Error.Failed"
SHORT = replace(QUICK, connection_timeout=2)
AWAY = replace(QUICK, discovery_timeout=4, discovery_retries=1)
"""For a module that is not there, while others are to be heard."""


@pytest.mark.parametrize(
    "text",
    [
        "le-connection-abort-by-remote",
        "le-connection-refused",
        "le-connection-busy",
        "le-connection-unknown",
        "Software caused connection abort",
        "br-connection-canceled",
    ],
)
def test_f22_f40_a_brief_failure_is_tried_again_at_once(rig: Start, text: str) -> None:
    radio = rig()
    radio.fake.rule("Connect", (FAILED, text), times=2)
    with within(PROMPT):
        radio.read()
    assert radio.members("StartDiscovery", "Connect") == ["StartDiscovery", "Connect", "Connect", "Connect"]


def test_f22_but_only_three_times(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("Connect", (FAILED, "le-connection-refused"))
    with within(PROMPT), pytest.raises(ConnectFailed, match="refused"):
        radio.read()
    assert len(radio.members("Connect")) == 4
    radio.fake.clear_rules()
    radio.read()


def test_f20_interference(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("Connect", "abort_local", times=3)
    with within(PROMPT):
        radio.read()


def test_f21_interference_and_the_device_is_forgotten(rig: Start) -> None:
    radio = rig(bluetooth=SHORT)
    radio.fake.rule("Connect", (FAILED, "le-connection-abort-by-local"), times=1)
    with within(PROMPT), pytest.raises(ConnectFailed):
        radio.read()
    radio.fake.remove_device(MODULE)
    radio.read_until()


def test_f23_one_connect_that_hangs(rig: Start) -> None:
    radio = rig(bluetooth=SHORT)
    radio.fake.rule("Connect", "hang", times=1)
    began = time.monotonic()
    with pytest.raises(ConnectFailed):
        radio.read()
    assert 1.2 < time.monotonic() - began < PROMPT
    radio.read_until()


def test_f24_f25_connect_and_disconnect_hang(rig: Start) -> None:
    radio = rig(bluetooth=SHORT)
    radio.fake.rule("Connect", "hang")
    radio.fake.rule("Disconnect", "hang")
    with within(PROMPT), pytest.raises(ConnectFailed):
        radio.read()
    radio.fake.clear_rules()
    radio.read_until()


def test_f26_bluez_has_forgotten_the_device(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.fake.remove_device(MODULE)
    with within(PROMPT):
        radio.read_until()
    assert radio.members("StartDiscovery") == ["StartDiscovery"] * 2


def test_f27_bluez_forgets_it_at_the_last_moment(rig: Start) -> None:
    radio = rig()
    gone = ("org.freedesktop.DBus.Error.UnknownObject", 'Method "Connect" with signature "" doesn\'t exist')
    radio.fake.rule("Connect", gone, times=1)
    with within(PROMPT):
        radio.read()
    assert len(radio.members("StartDiscovery")) == 2


def test_f29_f31_a_bluetoothd_that_was_restarted_without_a_word(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.fake.die()
    radio.fake.restart(announce=False)
    radio.read_until()
    assert len(radio.members("Connect")) == 2


def test_f30_the_link_of_a_killed_run_is_ended_first(rig: Start, caplog: pytest.LogCaptureFixture) -> None:
    radio = rig(scenarios.controller(connected=True))
    with caplog.at_level("INFO"), within(3):
        radio.read()
    assert "still connected from an earlier run; freeing it" in caplog.text
    assert radio.members("Disconnect", "Connect") == ["Disconnect", "Connect"]


def test_f30_a_link_that_bluez_does_not_end(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "END_LIMIT", 0.3)
    radio = rig(scenarios.controller(connected=True))
    radio.fake.rule("Disconnect", "ok_but_nothing")
    with within(PROMPT), pytest.raises(ConnectFailed, match="does not end it"):
        radio.read()
    radio.fake.clear_rules()
    radio.read_until()


def test_f32_a_version_probe_that_hangs(rig: Start) -> None:
    from bleak.backends.bluezdbus.version import BlueZFeatures

    BlueZFeatures.checked_bluez_version = False
    radio = rig(bluetoothctl="hang")
    with within(PROMPT):
        radio.read()


def test_f33_the_link_breaks_while_services_are_discovered(rig: Start) -> None:
    radio = rig(scenarios.controller(resolve_s=3600))
    result = radio.begin_read()
    radio.until(radio.fake.connections)
    radio.fake.module(MODULE, resolve_s=0.0)
    radio.fake.drop_link(MODULE)
    assert len(result()) == 4
    assert len(radio.members("Connect")) == 2
    assert len(radio.members("StartDiscovery")) == 1


def test_f34_services_that_never_come_and_a_longer_time_limit_next_time(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    firsts: list[float] = []  # of each reading
    most = 0.8
    original = connection.Connection.open

    async def watched(self: connection.Connection, seconds: float) -> None:
        limits.append(seconds)
        await original(self, min(seconds, most))

    monkeypatch.setattr(connection.Connection, "open", watched)
    radio = rig()

    def read() -> None:
        limits.clear()
        try:
            radio.read()
        finally:
            firsts.append(limits[0])

    radio.fake.rule("resolve", "never")
    for _ in range(6):
        with pytest.raises(ConnectFailed):
            read()
        radio.fake.drop_link(MODULE)  # over such a link the next one would not look for the module
        radio.until_told(lambda: not bluez.linked(device_path(MODULE)))
    most = PATIENCE
    radio.fake.clear_rules()
    read()
    radio.do(close_modules)
    read()
    assert [5 * math.ceil(limit / 5) for limit in firsts] == [25, 30, 35, 40, 45, 45, 45, 15]


async def close_modules(manager: Any) -> None:
    for each in manager._modules.values():
        await each.close()


def test_f35_services_that_come_empty_are_no_verdict(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("resolve", "empty", times=2)
    with within(PROMPT):
        radio.read()
    assert radio.incidents == []
    assert radio.members("RemoveDevice") == []


def test_f35_f37_three_times_in_a_row_and_the_stored_picture_goes_but_once_an_hour(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("resolve", "empty", times=3)
    with within(PROMPT):
        radio.read()
    assert radio.members("RemoveDevice") == ["RemoveDevice"]
    assert radio.kinds() == ["module"]
    radio.fake.rule("resolve", "empty")
    radio.fake.drop_link(MODULE)
    radio.do(close_modules)
    with within(PROMPT), pytest.raises(ConnectFailed, match="is it a Renogy module"):
        radio.read()
    assert len(radio.members("RemoveDevice")) == 1


@pytest.mark.parametrize("error", [(FAILED, "le-connection-key-missing"), ("org.bluez.Error.AuthenticationFailed", "")])
def test_f38_keys_that_are_not_right_are_thrown_away_once(rig: Start, error: tuple[str, str]) -> None:
    radio = rig(scenarios.controller(paired=True))
    radio.fake.rule("Connect", error, times=1)
    with within(PROMPT):
        radio.read()
    assert radio.members("RemoveDevice", "Pair") == ["RemoveDevice"]
    assert radio.kinds() == ["module"]


def test_f36_services_change_while_bleak_looks_at_them(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from bleak.backends.bluezdbus.manager import BlueZManager

    original, faults = (
        BlueZManager.get_services,
        [KeyError("org.bluez.GattService1"), AttributeError("call"), AssertionError()],
    )

    async def shaky(self: BlueZManager, *arguments: Any) -> Any:
        if faults:
            raise faults.pop()
        return await original(self, *arguments)

    monkeypatch.setattr(BlueZManager, "get_services", shaky)
    radio = rig()
    with within(PROMPT):
        radio.read()
    assert len(radio.members("Connect")) == 4


def test_f39_the_device_vanishes_while_it_is_connected(rig: Start) -> None:
    radio = rig(scenarios.controller(connect_s=3600))
    reading = radio.begin_read()
    radio.until(lambda: radio.members("Connect"))
    radio.fake.module(MODULE, connect_s=0.0)
    radio.fake.remove_device(MODULE)
    assert len(reading()) == 4


def test_f48_a_close_in_the_middle_of_a_write(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.fake.rule("WriteValue", 3600.0, times=1)
    reading = radio.begin_read()
    radio.until(lambda: len(radio.members("WriteValue")) == 2)
    with within(PROMPT):
        radio.do(close_modules)
        with pytest.raises(LinkError):
            reading()
    radio.read()


def test_f57_few_match_rules_are_enough(rig: Start) -> None:
    radio = rig(limits={"max_match_rules_per_connection": 8}, watchdog=Watchdog(interval=1))
    for _ in range(12):
        radio.read()
        radio.fake.drop_link(MODULE)
        radio.read_until()


def test_f68_what_this_user_may_not_do_is_said(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("StartDiscovery", ("org.freedesktop.DBus.Error.AccessDenied", "Rejected send message"))
    with within(PROMPT), pytest.raises(ConnectFailed, match="usermod -aG bluetooth"):
        radio.read()


def test_f38_without_keys_nothing_is_thrown_away(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("Connect", (FAILED, "le-connection-key-missing"))
    with within(PROMPT), pytest.raises(ConnectFailed):
        radio.read()
    assert radio.members("RemoveDevice", "Pair") == []


def test_f40_an_attempt_of_ours_that_bluez_still_makes_is_cancelled(rig: Start) -> None:
    radio = rig(scenarios.controller(connect_s=3600.0))
    radio.do(learn)

    async def pending() -> None:
        async with Bus(radio.fake.address) as bus:
            await discovered(bus, MODULE)
            connecting = asyncio.create_task(bus.device(MODULE, "Connect"))
            await asyncio.to_thread(radio.until, lambda: radio.members("Connect"))
            radio.fake.module(MODULE, connect_s=0.0)
            result = radio.begin_read()
            assert "canceled" in await connecting
            assert len(await asyncio.to_thread(result)) == 4

    run(pending())


async def learn(manager: Any) -> None:
    await bluez.meet()


def test_f41_somebody_else_receives_the_notifications(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("StartNotify", ("org.bluez.Error.NotPermitted", "Notify acquired"), times=1)
    with within(PROMPT):
        radio.read()
    assert radio.members("Connect", "Disconnect")[:3] == ["Connect", "Disconnect", "Connect"]


def test_f42_the_link_ends_while_subscribing(rig: Start) -> None:
    radio = rig()
    radio.fake.rule("StartNotify", ("org.bluez.Error.NotConnected", "Not Connected"), times=1)
    with within(PROMPT):
        radio.read()


def test_f44_f45_a_write_that_does_not_end_costs_the_link(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    radio = rig()
    radio.read()
    monkeypatch.setattr(connection, "WRITE_LIMIT", 0.8)
    for fault in ("hang", ("org.bluez.Error.InProgress", "In Progress")):
        radio.fake.rule("WriteValue", fault)
        with within(PROMPT), pytest.raises(LinkLost, match="writing"):
            radio.read()
        radio.fake.clear_rules()
        assert radio.fake.connections() == []
        radio.read_until()


@pytest.mark.parametrize(
    "error",
    [(FAILED, "Operation failed with ATT error: 0x0e"), (FAILED, "Not connected"), ("org.bluez.Error.NotConnected", "x")],
)
def test_f46_f47_an_error_while_writing_costs_the_link(rig: Start, error: tuple[str, str]) -> None:
    radio = rig()
    radio.read()
    radio.fake.rule("WriteValue", error, times=1)
    with within(PROMPT), pytest.raises(LinkLost):
        radio.read()
    assert radio.fake.connections() == []
    with within(PROMPT):
        radio.read()


@pytest.mark.parametrize("fault", ["hang", "ok_but_nothing", (FAILED, "whatever")])
def test_f50_a_disconnect_that_fails_stops_nobody(rig: Start, fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    device = replace(ROVER, connection="per_read")
    radio = rig(wanted=(device,))
    radio.fake.rule("Disconnect", fault, times=1)
    with within(PROMPT), monkeypatch.context() as patched:
        patched.setattr(connection, "DISCONNECT_LIMIT", 0.5)
        radio.read(device)
    with within(PROMPT):
        radio.read(device)
    assert radio.fake.connections() == []


def test_f51_a_late_answer_is_not_taken_for_another(rig: Start) -> None:
    radio = rig()
    good = radio.read()
    radio.fake.quirk(MODULE, None, "late", ANSWER, times=1)
    with pytest.raises(NoAnswer):
        radio.read(answer=1.0)
    assert radio.fake.connections() == []
    assert radio.read() == good
    assert len(radio.members("Connect")) == 2


def test_a_broken_link_is_back_without_looking_for_the_module(rig: Start) -> None:
    radio = rig()
    radio.read()
    for _ in range(3):
        assert radio.fake.drop_link(MODULE)
        radio.read_until()
    assert len(radio.members("StartDiscovery")) == 1
    radio.until(lambda: len(radio.ours()) == 2)


def test_f49_drops_leak_nothing(rig: Start) -> None:
    """A system bus takes 256 connections of a user, this one 20: whoever leaves one behind at each drop ends there."""
    radio = rig(limits={"max_connections_per_user": 20})
    radio.read()
    before = len(radio.ours())
    for _ in range(50):
        radio.fake.drop_link(MODULE)
        radio.read_until()
    radio.until(lambda: len(radio.ours()) == before)


def test_a_kept_connection_is_asked_about_when_it_was_quiet_for_long(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRUSTED", 0.0)
    radio = rig()
    radio.read()
    radio.read()
    asked = [call["body"][1] for call in radio.fake.calls("Get")]
    assert asked == ["Connected", "ServicesResolved"]
    radio.fake.rule("Get", ("org.freedesktop.DBus.Error.UnknownObject", "gone"), times=1)
    with within(PROMPT):
        radio.read()
    assert len(radio.members("Connect")) == 2


def test_held_by_another_program_on_this_machine(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "SETTLE", PATIENCE)
    radio = rig()
    radio.read()
    radio.do(close_modules)
    held = radio.manager.module_of(ROVER)
    assert held is not None

    async def intrude() -> None:
        async with Bus(radio.fake.address) as other:
            assert await other.device(MODULE, "Connect") is None
            await asyncio.to_thread(radio.until_told, lambda: bluez.linked(device_path(MODULE)))

            def sent_away() -> bool:
                return held._recovery._freed_at is not None

            async def come_back() -> None:
                await asyncio.to_thread(radio.until, sent_away)
                assert await other.device(MODULE, "Connect") is None

            coming = asyncio.create_task(come_back())
            for _ in range(2):
                with pytest.raises(Held, match=f"another program on this machine.*bluetoothctl disconnect {MODULE}"):
                    await asyncio.to_thread(radio.read)
            await coming
            await other.device(MODULE, "Disconnect")

    run(intrude())
    radio.read_until()


def test_held_by_a_phone(rig: Start) -> None:
    radio = rig(scenarios.controller(), scenarios.batteries(), wanted=(ROVER, PACK), bluetooth=AWAY)
    radio.read_until(device=ROVER)
    radio.read_until(device=PACK)
    radio.fake.module(MODULE, advertising=False)
    radio.fake.drop_link(MODULE)
    radio.do(close_modules)
    radio.fake.rule("Connect", (FAILED, "le-connection-abort-by-remote"), path="60_98_66")
    with within(PROMPT), pytest.raises(Held, match="probably a phone app"):
        radio.read(ROVER)
    radio.read_until(device=PACK)
    radio.fake.clear_rules()
    radio.fake.module(MODULE, advertising=True)
    radio.read_until(device=ROVER)


def test_a_missing_module_does_not_disturb_its_neighbour(rig: Start) -> None:
    long = replace(QUICK, discovery_timeout=PATIENCE)
    radio = rig(scenarios.batteries(), scenarios.controller(advertising=False), wanted=(ROVER, PACK), bluetooth=long)
    radio.read(PACK)
    missing = radio.begin_read(ROVER)
    radio.until(radio.fake.sessions)
    for _ in range(5):
        radio.read(PACK)
    assert radio.fake.sessions(), "while it is looked for the other one is read"
    radio.fake.module(MODULE, advertising=True)
    assert len(missing()) == 4
    assert len(radio.members("StartDiscovery")) == 2


def test_the_adapter_path_is_the_one_of_the_fake() -> None:
    assert device_path(MODULE).startswith(HCI0)
