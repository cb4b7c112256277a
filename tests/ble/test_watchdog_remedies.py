"""The watchdog's remedies over a real D-Bus and a fake BlueZ: one after the other, as few as will do, and said once."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from bleak import BleakScanner

from renogybt.ble import bus as bus_module
from renogybt.ble import treatment
from renogybt.ble.resets import Resets
from tests.ble.watched import PATIENCE, Start, View, Watched, resets_of, settled

# Scans


def test_a_scan_of_others_is_left_alone_while_readings_succeed(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        dog.worries.succeed()
        fake.foreign_discovery(True)
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
        dog.worries.succeed()
        fake.foreign_discovery(True)
        dog.wait(lambda: resets_of(fake) == 1)
        assert fake.sessions() == []


def test_a_scan_of_others_while_nothing_can_be_read_climbs_to_a_power_cycle(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        dog.worries.fail()
        fake.foreign_discovery(True)
        dog.wait(lambda: dog.told("power_cycle"))
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

    with Watched(View(longest_scan=PATIENCE)) as dog:
        settled(fake, dog)
        fake.rule("StopDiscovery", "hang", times=1)
        dog.worries.scanning_since = time.monotonic()
        dog.run(scan_that_cannot_be_ended()).result(PATIENCE)
        dog.wait(lambda: fake.calls("StopDiscovery"))
        assert fake.sessions()
        dog.view.longest_scan = 1.0
        dog.wait(lambda: not fake.sessions())
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
        dog.worries.scanning_since = time.monotonic()
        dog.run(scan()).result(PATIENCE)
        dog.wait(lambda: not fake.sessions())
        dog.wait(lambda: dog.told("drop_bus"))
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
        dog.wait(lambda: dog.resets.memory.rung == "")


# Resets


def test_a_power_cycle_without_effect_does_not_count_as_one(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treatment, "EDGE_LIMIT", 0.5)
    fake = bluez()
    fake.rule("Set", "ok_but_nothing")
    with Watched() as dog:
        settled(fake, dog)
        dog.worries.fail()
        fake.foreign_discovery(True)
        dog.wait(lambda: dog.asked("new_loop"))
        [cycle] = dog.told("power_cycle")
        assert "in vain" in cycle.text
        assert cycle.asks == ""


def test_switching_that_is_never_answered_does_not_hold_the_watchdog(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = bluez()
    fake.rule("Set", "hang")
    with Watched() as dog:
        settled(fake, dog)
        monkeypatch.setattr(bus_module, "CALL_LIMIT", 0.3)
        dog.worries.fail()
        dog.worries.silent_scans = 3
        dog.wait(lambda: dog.told("power_cycle"))
        assert "in vain" in dog.told("power_cycle")[0].text


def test_a_bluez_that_answers_nothing_is_restarted(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treatment, "EDGE_LIMIT", 0.3)
    fake = bluez({"systemd": True})
    with Watched(restart_bluetooth=True) as dog:
        settled(fake, dog)
        monkeypatch.setattr(bus_module, "CALL_LIMIT", 0.4)
        for member in ("GetAll", "Set"):
            fake.rule(member, "hang")
        dog.wait(lambda: dog.told("new_loop"))
        monkeypatch.setattr(bus_module, "CALL_LIMIT", 1.0)
        dog.wait(lambda: dog.told("restart_service"))
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
        dog.worries.fail()
        fake.foreign_discovery(True)
        dog.wait(lambda: dog.asked("leave"))
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
