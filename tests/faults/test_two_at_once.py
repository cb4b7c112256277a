"""Two faults at once, and faults in other shapes than the catalogue's: what users will meet that nobody has listed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from renogybt.cli.ask import ask
from tests.faults.house import HUB, Home, House
from tests.faults.watching import forget, fresh, resets
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.scenario import Adapter, Module

ROVER, PACKS = scene.CONTROLLER, scene.BATTERIES
BOTH = (ROVER, PACKS)
SOON = 30.0
"""Seconds that a busy machine may take for what takes a few; the figures are measured in benchmarks/recovery.py."""
SECTIONS = [(5000, 5016), (5017, 5033), (5042, 5047), (5122, 5129)]
"""What the predecessors ask of a battery, (first, last)."""
OTHER = ("org.bluez.Error.SomethingNew", "nobody has seen this one")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    def made(number: int) -> House:
        return House(tmp_path_factory.mktemp("house"), sabotage=True, bluetooth={"discovery_timeout": 0.5})

    with Home(made) as home:
        yield home


def narrow(**more: object) -> Module:
    """Batteries that answer nothing but `SECTIONS`, over a wire with real delays."""
    module = scene.batteries(*scene.PACKS[:2], **scene.WIRE, **more)
    for unit in module.units:
        unit.spans = list(SECTIONS)
    return module


def test_the_broker_and_the_adapter_are_away(house: House) -> None:
    house.broker.stop()
    house.fake.remove_adapter()
    house.says("hci0 is not there", SOON)
    house.broker.start()
    house.fake.add_adapter()
    house.recovers(SOON)


@pytest.mark.parametrize("stage", ["Connect", "resolve"])
def test_bluetoothd_is_replaced_in_the_middle_of_connecting(house: House, stage: str) -> None:
    house.fake.rule(stage, 60.0 if stage == "Connect" else "never")
    for address in BOTH:
        house.fake.drop_link(address)
    house.until(lambda: house.fake.calls("Connect"), SOON, "a connection attempt")
    house.fake.die()
    house.fake.clear_rules()
    house.fake.restart()
    house.recovers(SOON)


def test_the_adapter_has_another_name_and_another_adapter_has_its_name(house: House) -> None:
    ours, name = Adapter(name="hci1"), "hci0 is now called hci1"
    house.fake.remove_adapter("hci0")
    house.fake.add_adapter(ours)
    house.fake.add_adapter(Adapter(name="hci0", address="00:1A:7D:DA:71:13"))
    house.recovers(SOON)
    house.until(lambda: {link["adapter"] for link in house.fake.connections()} == {"hci1"}, SOON, "all over ours")
    house.says(name, SOON)
    assert house.program.output.count(name) == 1
    house.fake.remove_adapter("hci0")
    house.fake.remove_adapter("hci1")
    house.fake.add_adapter()
    house.recovers(SOON)


def test_a_module_is_released_while_bluetoothd_is_away(house: House) -> None:
    """The button or the command works, and so does the return to the module afterwards."""
    house.fake.die()
    house.says("bluetoothd is not running", SOON)
    assert ask(house.folder / "config.ini.sock", {"do": "release", "device": "rover", "minutes": 0.05})["ok"]
    house.fake.restart()
    house.recovers(SOON)


def test_scans_cannot_start_while_a_neighbour_answers(house: House) -> None:
    """A module that is connected needs no scan. For the other one the ladder is climbed all the same, up to a reset."""
    fresh(house)
    house.fake.rule("StartDiscovery", OTHER)
    forget(house, [ROVER])
    house.until(lambda: resets(house), 2 * SOON, "a power cycle")
    house.fake.clear_rules()
    house.recovers(SOON)
    fresh(house)


def test_the_end_of_a_scan_is_refused_in_words_nobody_knows(house: House) -> None:
    """As long as BlueZ has not confirmed it, the scan is not taken for ended, nor for somebody else's."""
    fresh(house)
    house.fake.rule("StopDiscovery", OTHER, times=3)
    forget(house, BOTH)
    house.recovers(SOON)
    house.until(lambda: not house.fake.sessions(), SOON, "the scan is ended")
    house.fake.clear_log()  # connecting did not wait for the end of it, and the fake takes note of that
    fresh(house)


@pytest.mark.parametrize("member", ["Connect", "StartNotify", "WriteValue", "StartDiscovery", "GetManagedObjects"])
def test_an_error_that_nobody_has_seen(house: House, member: str) -> None:
    house.fake.rule(member, OTHER, times=2)
    forget(house, BOTH)
    house.recovers(SOON)
    assert not resets(house)


def test_refusals_of_a_moment_blank_nothing_for_long(house: House) -> None:
    """A battery that refuses all for a few seconds is asked again, and its neighbour is read as ever."""
    for code in (1, 2, 4, 11):
        house.fake.quirk(PACKS, 48, "exception", code, times=4)
    began = time.monotonic()
    house.recovers(SOON, "hub_49")
    house.until(lambda: not unanswered(house), SOON, "all refusals are used up")
    house.recovers(SOON)
    assert all(said["voltage"] is not None for said in house.states("hub_49", began))


def unanswered(house: House) -> bool:
    """Whether the last frame of the first battery was refused."""
    last = [frame["answer"] for frame in house.fake.frames(PACKS) if frame["hex"].startswith("30") and frame["answer"]]
    return not last or last[-1][2:4] == "83"


def test_an_outage_is_told_once_for_all_behind_the_module(house: House) -> None:
    house.recovers(SOON)
    before = len(house.program.output)
    now = time.monotonic()
    house.until(lambda: house.heard("hub_combined", now), SOON, "a reading has just ended")
    house.fake.rule("Connect", OTHER, path=PACKS.replace(":", "_"))
    house.fake.drop_link(PACKS)

    def told() -> list[str]:
        lines = [line.partition("WARNING ") for line in house.program.output[before:].splitlines() if "SomethingNew" in line]
        return [words.partition(": ")[0] for _, found, words in lines if found]

    house.until(told, SOON, "it is told")
    tries = len(house.fake.calls("Connect"))
    house.until(lambda: len(house.fake.calls("Connect")) >= tries + 2, SOON, "it is tried again")
    house.fake.clear_rules()
    house.recovers(SOON)
    # Of the second alone if the link was dropped after the first had been read; of the module it is said already then.
    assert told() in (["hub_48, hub_49"], ["hub_49"])


def test_an_answer_outlives_the_link_and_is_not_taken_for_another(tmp_path: Path) -> None:
    """What is on the serial line when a link is given up reaches the next one, while something else of the same length is
    asked for: cells for temperatures."""
    with House(tmp_path, HUB, scenario=scene.scenario(narrow(lingers=True))) as house:
        house.fake.quirk(PACKS, 48, "late", 2.2, times=1, register=5000)
        house.until(lambda: house.fake.calls("Connect"), SOON, "another link")
        house.recovers(SOON)


def test_a_killed_run_leaves_no_old_values_behind_as_new_ones(tmp_path: Path) -> None:
    """Its devices are unavailable from the start of the next run until they were read, whatever the broker remembers."""
    with House(tmp_path, HUB) as house:
        topic = "solar/hub_48/availability"
        house.until(lambda: house.ears.on(topic)[-1:] == ["online"], SOON, "available")
        os.kill(house.program.pid, signal.SIGKILL)
        house.program.ended()
        house.ears.caught_up()
        house.fake.module(PACKS, advertising=False)
        house.fake.remove_device(PACKS)
        since, states = len(house.ears.on(topic)), len(house.heard("hub_48"))
        house.start()
        house.until(lambda: house.ears.on(topic)[since:], SOON, "a word about it")
        assert house.ears.on(topic)[since:] == ["offline"]
        assert len(house.heard("hub_48")) == states
        house.fake.module(PACKS, advertising=True)
        house.settled()
        house.until(lambda: house.ears.on(topic)[-1:] == ["online"], SOON, "available again")
