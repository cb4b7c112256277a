"""The watchdog over a real D-Bus and a fake BlueZ: what goes wrong is noticed, mended and said once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from renogybt.ble import adapters, diagnosis, treatment
from renogybt.ble import bus as bus_module
from tests.ble.watched import PATIENCE, Start, View, Watched, Worries, left, settled
from tests.peers.bluez.scenario import Adapter

# bluetoothd


def test_a_bluetoothd_that_dies_and_comes_back(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.die()
        dog.wait(lambda: dog.view.lost)
        dog.wait(lambda: dog.told("bluetoothd"))
        time.sleep(0.5)
        assert [incident.asks for incident in dog.told("bluetoothd")] == [""]
        fake.restart()
        dog.wait(lambda: dog.asked("hasten"))
        time.sleep(0.3)
    assert [incident.asks for incident in dog.told("bluetoothd")] == ["", "hasten"]
    assert dog.resets.count == 0
    left(fake)


def test_a_bluetoothd_that_is_replaced_at_once(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        with dog.deaf(fake):
            fake.restart()
        dog.wait(lambda: dog.asked("hasten"))
        assert dog.view.lost
        assert [incident.asks for incident in dog.told("bluetoothd")] == ["hasten"]


def test_a_bluetoothd_that_is_late(bluez: Start) -> None:
    fake = bluez()
    fake.die()
    with Watched(interval=60) as dog:
        dog.wait(lambda: dog.told("bluetoothd"))
        fake.restart()
        dog.wait(lambda: dog.asked("hasten"))


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
        dog.wait(lambda: dog.asked("hasten"))


def test_a_bluetoothd_that_ends_in_good_order_takes_its_adapter_along(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "GRACE", PATIENCE)
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.remove_adapter()
        dog.wait(lambda: dog.dog is not None and dog.dog._observed.absent)
        fake.die()
        dog.wait(lambda: dog.told("bluetoothd"))
        fake.restart()
        time.sleep(1)
        fake.add_adapter()
        dog.wait(lambda: dog.asked("hasten"))
        time.sleep(1)
    assert dog.kinds() == ["bluetoothd", "bluetoothd"]


@pytest.mark.parametrize("seen", [True, False])
def test_an_adapter_that_was_away_for_a_blink_is_told_to_be_back(
    bluez: Start, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    monkeypatch.setattr(adapters, "GRACE", PATIENCE)
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        with contextlib.nullcontext() if seen else dog.deaf(fake):
            fake.remove_adapter()
            if seen:
                dog.wait(lambda: fake.calls("GetAll")[-1]["result"] != "ok")
            fake.add_adapter()
        dog.wait(lambda: dog.asked("hasten"))
    assert dog.kinds() == ["adapter"]


def test_the_bus_itself_is_restarted(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.restart_daemon()
        dog.wait(lambda: dog.asked("hasten"))
        assert dog.view.lost
        dog.wait(lambda: len(fake.clients()) == 1)


def test_a_bus_that_stays_away_is_said_once(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        fake.stop_daemon()
        dog.wait(lambda: dog.incidents)
        time.sleep(2)
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
    with Watched(interval=60, restart_bluetooth=True) as dog:
        settled(fake, dog)
        fake.die()
        dog.wait(lambda: dog.asked("hasten"))
        assert dog.kinds() == ["bluetoothd", "restart_service", "bluetoothd"]
        assert len(fake.calls("RestartUnit")) == 1


# Power


def test_an_adapter_that_was_switched_off_is_switched_on(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        fake.set_powered(False)
        dog.wait(lambda: dog.asked("hasten"))
        assert [event["what"] for event in fake.events() if "powered" in event["what"]] == ["unpowered", "powered"]
        time.sleep(1.5)
    assert len(dog.told("adapter")) == 1
    assert dog.resets.count == 0


@pytest.mark.parametrize("seen", [True, False])
def test_an_adapter_that_somebody_else_switches_on_again(bluez: Start, monkeypatch: pytest.MonkeyPatch, seen: bool) -> None:
    monkeypatch.setattr(adapters, "OFF_PAUSE", PATIENCE)
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        with contextlib.nullcontext() if seen else dog.deaf(fake):
            fake.set_powered(False)
            if seen:
                dog.wait(lambda: dog.dog is not None and not dog.dog._observed.adapters["hci0"].powered)
            fake.set_powered(True)
        dog.wait(lambda: dog.asked("hasten"))
        time.sleep(0.3)
    assert fake.calls("Set") == []
    assert dog.kinds() == ["adapter"]


def test_an_adapter_that_is_off_from_the_start(bluez: Start) -> None:
    fake = bluez({"adapters": [Adapter(powered=False)]})
    with Watched(View(adapters={})) as dog:
        dog.wait(lambda: dog.asked("hasten"))
        assert fake.events("powered")


def test_a_blocked_adapter_is_unblocked(bluez: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treatment, "UNBLOCK_LIMIT", PATIENCE)
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
        dog.wait(lambda: dog.asked("hasten"))
        assert dog.view.moves == [("hci0", "hci1")]
        fake.remove_adapter("hci1")
        dog.wait(lambda: len(dog.told("adapter")) == 3)
        fake.add_adapter()
        dog.wait(lambda: dog.view.moves == [("hci0", "hci1"), ("hci1", "hci0")])
        time.sleep(0.5)
        assert [incident.asks for incident in dog.told("adapter")] == ["", "hasten", "", "hasten"]


def test_an_adapter_that_is_back_as_it_was(bluez: Start) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        fake.remove_adapter()
        dog.wait(lambda: dog.told("adapter"))
        fake.add_adapter()
        dog.wait(lambda: dog.asked("hasten"))
        assert dog.view.moves == []


def test_an_answer_that_is_older_than_the_news_is_not_believed(bluez: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = bluez()
    with Watched(interval=60) as dog:
        settled(fake, dog)
        assert dog.dog is not None
        bus, observed, news = dog.dog._bus, dog.dog._observed, dog.dog._news
        ask, late = bus.adapter, ["once"]

        async def answered_too_late(name: str) -> dict[str, Any] | None:
            held = await ask(name)
            if late and late.pop():
                await asyncio.to_thread(fake.remove_adapter)
                while not observed.absent:
                    await asyncio.sleep(0.01)
            return held

        async def look() -> None:
            monkeypatch.setattr(bus, "adapter", answered_too_late)
            news.set()

        dog.run(look()).result(PATIENCE)
        dog.wait(lambda: dog.told("adapter"))
        assert [incident.asks for incident in dog.incidents] == [""]


def test_another_adapter_is_not_taken_for_the_one_that_went(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        fake.remove_adapter()
        fake.add_adapter(Adapter(name="hci1", address="B8:27:EB:00:00:02"))
        dog.wait(lambda: dog.told("adapter"))
        time.sleep(2)
        assert dog.view.moves == []
        assert [incident.asks for incident in dog.incidents] == [""]


def test_an_adapter_that_is_late_at_boot(bluez: Start) -> None:
    fake = bluez({"adapters": []})
    with Watched(View(adapters={}), interval=60) as dog:
        dog.wait(lambda: dog.told("adapter"))
        assert "no Bluetooth adapter" in dog.told("adapter")[0].text
        fake.add_adapter()
        dog.wait(lambda: dog.asked("hasten"))
    assert len(dog.incidents) == 2


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
        dog.wait(lambda: dog.asked("hasten"))


def test_after_sleep_everything_is_made_anew(bluez: Start) -> None:
    fake = bluez()
    with Watched() as dog:
        settled(fake, dog)
        assert dog.dog is not None
        suspend = dog.dog._suspend

        async def sleep() -> None:
            suspend._apart -= 3600.0

        dog.run(sleep()).result(PATIENCE)
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
        dog.worries.scanning_since = time.monotonic()
        dog.worries.fail()
        fake.foreign_discovery(True)  # stands for scans of ours whose pauses nobody told of
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
        dog.wait(lambda: len(os.listdir("/proc/self/fd")) <= files + 1)


def test_two_adapters(bluez: Start) -> None:
    second = Adapter(name="hci1", address="B8:27:EB:00:00:02")
    fake = bluez({"adapters": [Adapter(), second]})
    view = View(adapters={"hci0": Worries(), "hci1": Worries("hci1")}, wanted=("hci0", "hci1"))
    with Watched(view) as dog:
        settled(fake, dog)
        view.adapters["hci0"].succeed()
        view.adapters["hci1"].fail()
        fake.foreign_discovery(True, "hci1")
        dog.wait(lambda: dog.told("power_cycle"))
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
    monkeypatch.setattr(bus_module, "CALL_LIMIT", 1.5)
    monkeypatch.setattr(treatment, "EDGE_LIMIT", 0.3)
    fake = bluez()
    fake.rule("GetAll", "hang")
    with Watched(View(adapters={})) as dog:
        dog.wait(lambda: dog.asked("new_loop"))
        assert {call["path"] for call in fake.calls("GetAll")} == {"/org/bluez/hci0"}
        assert "does not answer" in dog.told("new_loop")[0].text
        assert dog.kinds() == ["new_loop"]
