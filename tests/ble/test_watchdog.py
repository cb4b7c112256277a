"""The watchdog over a real D-Bus and a fake BlueZ: what goes wrong is noticed, mended and said once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bleak import BleakScanner

from renogybt.ble import bus as bus_module
from renogybt.ble import diagnosis, treatment
from renogybt.ble.resets import Resets
from tests.ble.watched import View, Watched, Worries
from tests.peers.bluez import scenarios
from tests.peers.bluez.control import Fake
from tests.peers.bluez.scenario import Adapter
from tests.peers.fixtures import FakeBlueZ

Start = Callable[..., Fake]


@pytest.fixture
def bluez(fake_bluez: FakeBlueZ, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a fake for this process. `options` of `Fake`, fields of `Scenario` as `world`."""

    def started(world: dict[str, Any] | None = None, **options: Any) -> Fake:
        fake = fake_bluez(scenarios.scenario(scenarios.controller(), **(world or {})), **options)
        for name, value in fake.env().items():
            monkeypatch.setenv(name, value)
        return fake

    return started


def resets_of(fake: Fake) -> int:
    """How often the adapter was switched off."""
    return len(fake.events("unpowered"))


def settled(fake: Fake, dog: Watched) -> None:
    """The watchdog is on the bus and has looked at the adapter."""
    dog.wait(lambda: fake.calls("GetAll"))


# bluetoothd


def test_a_bluetoothd_that_dies_and_comes_back(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.die()
        assert dog.wait(lambda: dog.view.lost) < 1
        dog.wait(lambda: dog.told("bluetoothd"))
        time.sleep(0.5)
        assert [incident.asks for incident in dog.told("bluetoothd")] == [""]
        fake.restart()
        assert dog.wait(lambda: dog.asked("hasten")) < 2
        time.sleep(0.3)
    assert [incident.asks for incident in dog.told("bluetoothd")] == ["", "hasten"]
    assert dog.resets.count == 0
    assert fake.clients() == []


def test_a_bluetoothd_that_is_replaced_at_once(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.restart()
        assert dog.wait(lambda: dog.asked("hasten")) < 2
        assert dog.view.lost


def test_a_bluetoothd_that_is_late(bluez: Start) -> None:
    fake = bluez()
    fake.die()
    with Watched(interval=60) as dog:
        dog.wait(lambda: dog.told("bluetoothd"))
        fake.restart()
        assert dog.wait(lambda: dog.asked("hasten")) < 2


def test_a_new_bluetoothd_is_waited_for_until_its_adapter_is_on(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.die()
        dog.wait(lambda: dog.told("bluetoothd"))
        fake.remove_adapter()
        fake.restart()
        dog.wait(lambda: len(dog.view.lost) >= 2)
        time.sleep(0.5)
        assert not dog.asked("hasten")
        fake.add_adapter()
        assert dog.wait(lambda: dog.asked("hasten")) < 2


def test_a_bluetoothd_that_ends_in_good_order_takes_its_adapter_along(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.remove_adapter()
        time.sleep(0.1)
        fake.die()
        dog.wait(lambda: dog.told("bluetoothd"))
        fake.restart()
        time.sleep(1)
        fake.add_adapter()
        dog.wait(lambda: dog.asked("hasten"))
        time.sleep(1)
    assert dog.kinds() == ["bluetoothd", "bluetoothd"]


def test_an_adapter_that_was_away_for_a_blink_is_told_to_be_back(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.remove_adapter()
        time.sleep(0.2)
        fake.add_adapter()
        dog.wait(lambda: dog.asked("hasten"))
    assert dog.kinds() == ["adapter"]


def test_the_bus_itself_is_restarted(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.restart_daemon()
        assert dog.wait(lambda: dog.asked("hasten")) < 3
        assert dog.view.lost
        assert len(fake.clients()) == 1


def test_a_bus_that_stays_away_is_said_once(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        fake.stop_daemon()
        time.sleep(3)
        assert ["D-Bus" in incident.text for incident in dog.incidents] == [True]
        fake.restart_daemon()
        dog.wait(lambda: dog.asked("hasten"))


def test_no_bus_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with Watched() as dog:
        dog.wait(lambda: dog.incidents)
        time.sleep(2)
        assert [incident.kind for incident in dog.incidents] == ["bluetoothd"]
        assert "D-Bus" in dog.incidents[0].text


def test_a_bluetoothd_that_does_not_come_back_is_started_by_systemd(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "ABSENT", 1.0)
    fake = bluez({"systemd": True})
    with Watched(restart_bluetooth=True) as dog:
        settled(fake, dog)
        fake.die()
        dog.wait(lambda: dog.asked("hasten"), 8)
        assert dog.kinds() == ["bluetoothd", "restart_service", "bluetoothd"]
        assert len(fake.calls("RestartUnit")) == 1


# Power


def test_an_adapter_that_was_switched_off_is_switched_on(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        fake.set_powered(False)
        assert dog.wait(lambda: dog.asked("hasten")) < 5
        assert [event["what"] for event in fake.events() if "powered" in event["what"]] == ["unpowered", "powered"]
        time.sleep(1.5)
    assert len(dog.told("adapter")) == 1
    assert dog.resets.count == 0


def test_an_adapter_that_somebody_else_switches_on_again(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.set_powered(False)
        time.sleep(0.3)
        fake.set_powered(True)
        assert dog.wait(lambda: dog.asked("hasten")) < 1
    assert fake.calls("Set") == []


def test_an_adapter_that_is_off_from_the_start(bluez: Start) -> None:
    fake = bluez({"adapters": [Adapter(powered=False)]})
    with Watched(View(adapters={})) as dog:
        assert dog.wait(lambda: dog.asked("hasten")) < 5
        assert fake.events("powered")


def test_a_blocked_adapter_is_unblocked(bluez: Start, tmp_path: Path) -> None:
    fake = bluez()
    switch = tmp_path / "rfkill"
    switch.touch()
    with Watched(rfkill=str(switch)) as dog:
        settled(fake, dog)
        fake.set_blocked(True)
        dog.wait(switch.read_bytes)
        fake.set_blocked(False)
        dog.wait(lambda: dog.asked("hasten"))
    assert switch.read_bytes() == struct.pack("=IBBBB", 0, 2, 3, 0, 0)
    assert fake.events("powered")
    assert len(dog.told("adapter")) == 1


def test_a_block_that_cannot_be_lifted_is_said_once_with_the_remedy(bluez: Start, tmp_path: Path) -> None:
    fake = bluez()
    with Watched(rfkill=str(tmp_path / "none")) as dog:
        settled(fake, dog)
        fake.set_blocked(True)
        dog.wait(lambda: dog.told("adapter"))
        time.sleep(2.5)
        [incident] = dog.told("adapter")
        assert "sudo rfkill unblock bluetooth" in incident.text
        assert str(tmp_path / "none") in incident.text
        fake.set_blocked(False)
        dog.wait(lambda: dog.asked("hasten"))


def test_a_block_that_stays(bluez: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treatment, "UNBLOCK_LIMIT", 0.3)
    fake = bluez({"adapters": [Adapter(blocked=True)]})
    switch = tmp_path / "rfkill"
    switch.touch()
    with Watched(rfkill=str(switch)) as dog:
        dog.wait(lambda: dog.told("adapter"))
        assert "stays blocked" in dog.told("adapter")[0].text
        time.sleep(2)
        assert len(dog.told("adapter")) == 1
        assert fake.events("powered") == []


def test_bluez_may_be_busy_switching(bluez: Start) -> None:
    fake = bluez({"adapters": [Adapter(powered=False)]})
    fake.rule("Set", ("org.bluez.Error.Busy", "Busy"), times=1)
    with Watched() as dog:
        dog.wait(lambda: dog.asked("hasten"))
    assert len(fake.calls("Set")) == 2
    assert len(dog.incidents) == 1


def test_a_user_who_may_not_switch_adapters_is_told_once(bluez: Start) -> None:
    fake = bluez(
        policy='<deny send_destination="org.bluez" send_interface="org.freedesktop.DBus.Properties" send_member="Set"/>'
    )
    with Watched() as dog:
        settled(fake, dog)
        fake.set_powered(False)
        dog.wait(lambda: dog.told("adapter"))
        time.sleep(2.5)
        [incident] = dog.told("adapter")
        assert "docs/resilience.md" in incident.text
        fake.set_powered(True)
        dog.wait(lambda: dog.asked("hasten"))


# Coming and going


def test_an_adapter_that_comes_back_under_another_name(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.remove_adapter()
        dog.wait(lambda: dog.told("adapter"))
        fake.add_adapter(Adapter(name="hci1"))
        assert dog.wait(lambda: dog.asked("hasten")) < 2
        assert dog.view.moves == [("hci0", "hci1")]
        fake.remove_adapter("hci1")
        dog.wait(lambda: len(dog.told("adapter")) == 3)
        fake.add_adapter()
        dog.wait(lambda: dog.view.moves == [("hci0", "hci1"), ("hci1", "hci0")], 3)
        time.sleep(0.5)
        assert [incident.asks for incident in dog.told("adapter")] == ["", "hasten", "", "hasten"]


def test_an_adapter_that_is_back_as_it_was(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.remove_adapter()
        dog.wait(lambda: dog.told("adapter"))
        fake.add_adapter()
        assert dog.wait(lambda: dog.asked("hasten")) < 2
        assert dog.view.moves == []


def test_another_adapter_is_not_taken_for_the_one_that_went(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        fake.remove_adapter()
        fake.add_adapter(Adapter(name="hci1", address="B8:27:EB:00:00:02"))
        dog.wait(lambda: dog.told("adapter"))
        time.sleep(2)
        assert dog.view.moves == []
        assert not dog.asked("hasten")


def test_an_adapter_that_is_late_at_boot(bluez: Start) -> None:
    fake = bluez({"adapters": []})
    with Watched(View(adapters={}), interval=60) as dog:
        dog.wait(lambda: dog.told("adapter"))
        assert "no Bluetooth adapter" in dog.told("adapter")[0].text
        fake.add_adapter()
        assert dog.wait(lambda: dog.asked("hasten")) < 2
    assert len(dog.incidents) == 2


# Scans


def test_a_scan_of_others_is_left_alone_while_readings_succeed(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        fake.foreign_discovery(True)
        dog.worries.succeed()
        dog.wait(lambda: dog.incidents)
        time.sleep(4)
        assert dog.kinds() == ["adapter"]
        assert "left alone" in dog.incidents[0].text
        assert resets_of(fake) == 0
        assert fake.sessions()


def test_a_scan_of_others_is_ended_when_that_is_wanted(bluez: Start) -> None:
    fake = bluez()
    with Watched(foreign_discovery="reset") as dog:
        settled(fake, dog)
        fake.foreign_discovery(True)
        dog.worries.succeed()
        dog.wait(lambda: resets_of(fake) == 1, 10)
        assert fake.sessions() == []


def test_a_scan_of_others_while_nothing_can_be_read_climbs_to_a_power_cycle(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        fake.foreign_discovery(True)
        dog.worries.fail()
        dog.wait(lambda: dog.told("power_cycle"), 10)
        assert dog.kinds() == ["stop_discovery", "drop_bus", "power_cycle"]
        assert "not ours" in dog.told("stop_discovery")[0].text
        assert dog.told("power_cycle")[0].asks == "hasten"
        assert dog.worries.held == 1
        assert resets_of(fake) == 1
        assert fake.sessions() == []
        time.sleep(2)
        assert dog.resets.count == 1


def test_our_own_stuck_scan_is_ended_on_the_connection_it_belongs_to(bluez: Start) -> None:
    fake = bluez()

    async def scan_that_cannot_be_ended() -> None:
        scanner = BleakScanner()
        await scanner.start()
        stopping = asyncio.create_task(scanner.stop())
        await asyncio.sleep(0.2)
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopping

    with Watched() as dog:
        settled(fake, dog)
        fake.rule("StopDiscovery", "hang", times=1)
        began = time.monotonic()
        dog.run(scan_that_cannot_be_ended()).result(5)
        dog.worries.scanning_since = began
        assert fake.sessions()
        dog.wait(lambda: not fake.sessions(), 6)
        dog.wait(lambda: dog.told("stop_discovery"))
        time.sleep(2.5)
        assert dog.kinds() == ["stop_discovery"]
        assert "ended our scan" in dog.incidents[0].text
        assert resets_of(fake) == 0


def test_a_scan_whose_end_is_never_answered_ends_with_its_connection(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renogybt.ble.bleak_bus.CALL_LIMIT", 0.3)
    fake = bluez()

    async def scan() -> None:
        await BleakScanner().start()

    with Watched() as dog:
        settled(fake, dog)
        fake.rule("StopDiscovery", "hang")
        dog.run(scan()).result(5)
        dog.worries.scanning_since = time.monotonic()
        dog.wait(lambda: not fake.sessions(), 10)
        assert dog.kinds()[:2] == ["stop_discovery", "drop_bus"]
        assert "could not end" in dog.incidents[0].text
        assert resets_of(fake) == 0


def test_scans_that_hear_nothing_are_cured_by_a_power_cycle(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        dog.worries.fail()
        dog.worries.silent_scans = 3
        dog.wait(lambda: dog.told("power_cycle"))
        assert resets_of(fake) == 1
        dog.worries.silent_scans = 5
        time.sleep(3)
        assert dog.resets.count == 1
        dog.worries.silent_scans = 6
        dog.wait(lambda: dog.asked("new_loop"))


def test_all_is_well_again(bluez: Start) -> None:
    fake = bluez()
    with Watched(stuck_seconds=1) as dog:
        settled(fake, dog)
        dog.worries.fail()
        dog.worries.silent_scans = 3
        dog.wait(lambda: dog.told("power_cycle"))
        dog.worries.succeed()
        dog.wait(lambda: dog.resets.memory.rung == "", 8)


# Resets


def test_a_power_cycle_without_effect_does_not_count_as_one(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treatment, "EDGE_LIMIT", 0.5)
    fake = bluez()
    fake.rule("Set", "ok_but_nothing")
    with Watched() as dog:
        settled(fake, dog)
        fake.foreign_discovery(True)
        dog.worries.fail()
        dog.wait(lambda: dog.asked("new_loop"), 12)
        [cycle] = dog.told("power_cycle")
        assert "in vain" in cycle.text
        assert cycle.asks == ""


def test_switching_that_is_never_answered_does_not_hold_the_watchdog(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "CALL_LIMIT", 0.3)
    fake = bluez()
    fake.rule("Set", "hang")
    with Watched() as dog:
        settled(fake, dog)
        dog.worries.fail()
        dog.worries.silent_scans = 3
        dog.wait(lambda: dog.told("power_cycle"), 12)
        assert "in vain" in dog.told("power_cycle")[0].text


def test_a_bluez_that_answers_nothing_is_restarted(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "CALL_LIMIT", 0.2)
    monkeypatch.setattr(treatment, "EDGE_LIMIT", 0.3)
    fake = bluez({"systemd": True})
    with Watched(restart_bluetooth=True) as dog:
        settled(fake, dog)
        for member in ("GetAll", "Set"):
            fake.rule(member, "hang")
        dog.wait(lambda: dog.told("restart_service"), 25)
        fake.clear_rules()
        dog.wait(lambda: any(incident.kind == "bluetoothd" and incident.asks == "hasten" for incident in dog.incidents))
        assert dog.kinds()[:3] == ["power_cycle", "new_loop", "restart_service"]
        [call] = fake.calls("RestartUnit")
        assert call["body"] == ["bluetooth.service", "replace"]


def test_the_whole_ladder_ends_with_leaving(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treatment, "EDGE_LIMIT", 0.2)
    fake = bluez({"systemd": True}, policy='<deny send_destination="org.freedesktop.systemd1"/>')
    fake.rule("Set", "ok_but_nothing")
    with Watched(restart_bluetooth=True, leave_for_systemd=True) as dog:
        settled(fake, dog)
        fake.foreign_discovery(True)
        dog.worries.fail()
        dog.wait(lambda: dog.asked("leave"), 20)
        assert dog.kinds() == ["stop_discovery", "drop_bus", "power_cycle", "new_loop", "restart_service", "leave"]
        assert "docs/resilience.md" in dog.told("restart_service")[0].text
        assert fake.calls("RestartUnit") == []


def test_a_reset_too_many_is_refused_and_said_once(bluez: Start) -> None:
    fake = bluez()
    resets = Resets(1)
    resets.take(time.monotonic())
    with Watched(resets=resets, resets_per_hour=1) as dog:
        settled(fake, dog)
        dog.worries.fail()
        dog.worries.silent_scans = 3
        dog.wait(lambda: dog.told("refused"))
        time.sleep(3)
        assert dog.kinds() == ["refused"]
        assert resets_of(fake) == 0
        assert resets.exhausted_since(time.monotonic()) is not None


def test_a_new_watchdog_goes_on_where_the_one_before_stopped(bluez: Start) -> None:
    fake = bluez()
    resets = Resets(10)
    with Watched(resets=resets) as dog:
        settled(fake, dog)
        dog.worries.fail()
        dog.worries.silent_scans = 3
        dog.wait(lambda: dog.told("power_cycle"))
    with Watched(resets=resets) as dog:
        dog.worries.fail()
        dog.worries.silent_scans = 3
        dog.wait(lambda: dog.asked("new_loop"))
        assert dog.kinds() == ["new_loop"]
    assert resets.count == 2


# The watchdog itself


def test_nothing_is_done_about_a_sound_adapter(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        dog.worries.succeed()
        time.sleep(3)
        assert dog.incidents == []
        assert len(fake.clients()) == 1
        assert {call["member"] for call in fake.calls()} == {"GetAll"}


def test_a_check_that_fails_does_not_end_the_others(bluez: Start) -> None:
    fake = bluez()

    class Broken(View):
        @property
        def longest_scan(self) -> float:
            raise ZeroDivisionError("a fault of ours")

        @longest_scan.setter
        def longest_scan(self, value: float) -> None: ...

    with Watched(Broken()) as dog:
        dog.wait(lambda: dog.told("thread"))
        time.sleep(2.5)
        fake.set_powered(False)
        dog.wait(lambda: dog.asked("hasten"))
        assert len(dog.told("thread")) == 1
        assert "a fault of ours" in dog.told("thread")[0].text


def test_a_watchdog_that_dies_is_started_anew(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        assert dog.dog is not None
        with monkeypatch.context() as patched:
            patched.setattr(dog.dog, "_until_next_look", lambda: 1 / 0)
            dog.wait(lambda: dog.told("thread"))
        fake.set_powered(False)
        dog.wait(lambda: dog.asked("hasten"), 8)


def test_after_sleep_everything_is_made_anew(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        assert dog.dog is not None
        dog.dog._suspend._apart -= 3600.0
        dog.wait(lambda: dog.asked("hasten"))
        assert dog.view.lost == ["this machine slept for 3600 s"]
        time.sleep(1.5)
        assert len(dog.incidents) == 1


@pytest.mark.parametrize(("limit", "tells"), [(8, True), (1, False)])
def test_a_daemon_that_allows_few_match_rules(bluez: Start, limit: int, tells: bool) -> None:
    fake = bluez(limits={"max_match_rules_per_connection": limit})
    with Watched() as dog:
        settled(fake, dog)
        assert dog.dog is not None
        assert dog.dog._bus.tells is tells
        fake.set_powered(False)
        dog.wait(lambda: dog.asked("hasten"))
        fake.restart()
        dog.wait(lambda: dog.told("bluetoothd"))


def test_without_news_our_own_scans_are_not_taken_for_anothers(bluez: Start) -> None:
    fake = bluez(limits={"max_match_rules_per_connection": 1})
    with Watched() as dog:
        settled(fake, dog)
        fake.foreign_discovery(True)  # stands for scans of ours whose pauses nobody told of
        dog.worries.fail()
        until = time.monotonic() + 4
        while time.monotonic() < until:
            dog.worries.scanning_since = time.monotonic()
            time.sleep(0.05)
        assert dog.incidents == []


def test_its_connection_can_be_cut_from_another_thread(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        [before] = fake.clients()
        assert dog.dog is not None
        dog.dog.shut()
        dog.wait(lambda: fake.clients() and fake.clients() != [before])
        dog.dog.shut()
        dog.dog.shut()


def test_switched_off_it_does_nothing(bluez: Start) -> None:
    fake = bluez()
    with Watched(enabled=False):
        time.sleep(0.5)
        assert fake.clients() == []


def test_many_losses_of_the_bus_leak_nothing(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        assert dog.dog is not None
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            dog.wait(lambda: dog.dog is not None and dog.dog._bus.connected)  # the daemon knows of it a little earlier
            client = fake.clients()
            dog.dog.shut()
            dog.wait(lambda client=client: fake.clients() and fake.clients() != client)  # type: ignore[misc]
        time.sleep(0.3)
        assert len(os.listdir("/proc/self/fd")) <= files + 1


def test_two_adapters(bluez: Start) -> None:
    second = Adapter(name="hci1", address="B8:27:EB:00:00:02")
    fake = bluez({"adapters": [Adapter(), second]})
    view = View(adapters={"hci0": Worries(), "hci1": Worries("hci1")}, wanted=("hci0", "hci1"))
    with Watched(view) as dog:
        settled(fake, dog)
        fake.foreign_discovery(True, "hci1")
        view.adapters["hci0"].succeed()
        view.adapters["hci1"].fail()
        dog.wait(lambda: dog.told("power_cycle"), 10)
        assert {event["adapter"] for event in fake.events("unpowered")} == {"hci1"}


def test_while_it_is_not_decided_which_adapter_is_used_one_that_is_on_is_enough(bluez: Start) -> None:
    fake = bluez({"adapters": [Adapter(), Adapter(name="hci1", address="B8:27:EB:00:00:02", powered=False)]})
    with Watched(View(adapters={})) as dog:
        settled(fake, dog)
        time.sleep(3)
        assert fake.calls("Set") == []
        assert dog.incidents == []


def test_an_adapter_that_is_given_by_its_address(bluez: Start) -> None:
    address = "B8:27:EB:00:00:02"
    fake = bluez({"adapters": [Adapter(powered=False), Adapter(name="hci1", address=address, powered=False)]})
    with Watched(View(adapters={}, wanted=(address,))) as dog:
        dog.wait(lambda: dog.asked("hasten"))
        time.sleep(2)
        assert {call["path"] for call in fake.calls("Set")} == {"/org/bluez/hci1"}


def test_a_bluez_that_answers_nothing_from_the_start(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "CALL_LIMIT", 0.2)
    monkeypatch.setattr(treatment, "EDGE_LIMIT", 0.3)
    fake = bluez()
    fake.rule("GetAll", "hang")
    with Watched(View(adapters={})) as dog:
        dog.wait(lambda: dog.asked("new_loop"), 15)
        assert {call["path"] for call in fake.calls("GetAll")} == {"/org/bluez/hci0"}
        assert "does not answer" in dog.told("new_loop")[0].text
        assert dog.kinds() == ["new_loop"]
