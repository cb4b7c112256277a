"""The D-Bus underneath: restarted, slow, stingy, forbidden (F55, F56, F57, F62, F68)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.e2e.program import wait_until
from tests.faults.catalogue import fault
from tests.faults.house import ROVER as CONTROLLER
from tests.faults.house import House
from tests.peers.bluez import scenarios as scene

ROVER, PACKS = scene.CONTROLLER, scene.BATTERIES
FORBIDDEN = '<deny send_destination="org.bluez"/>'


@fault("F55", within=8)
def test_the_dbus_daemon_restarts(house: House, within: float) -> None:
    """Everybody on it is thrown off: bleak, the watchdog, bluetoothd itself."""
    house.fake.restart_daemon()
    house.recovers(within)
    house.says("the D-Bus daemon was restarted")


@fault("F62", within=5)
def test_nothing_is_begun_anew_for_a_reading(house: House, within: float) -> None:
    """One event loop, one connection, one look at BlueZ's list for the whole life of the program."""

    def begun_anew() -> set[str]:
        house.fake.clear_log()
        for _ in range(3):
            house.recovers(within)
        members = {call["member"] for call in house.fake.calls()}
        return members & {"GetManagedObjects", "StartDiscovery", "Connect", "AddMatch"}

    found = [begun_anew()]
    while found[-1] and len(found) < 4:  # an answer may be late now and then on a busy machine, but not every time
        found.append(begun_anew())
    assert not found[-1], found


@fault("F56", within=16)
def test_a_crowd_of_devices_and_a_list_that_never_comes(tmp_path: Path, within: float) -> None:
    """BlueZ remembers three thousand strangers; then the list is asked for and not given; asking has a limit of 10 s."""
    crowd = scene.scenario(scene.controller(), crowd=3000)
    with House(tmp_path, CONTROLLER, scenario=crowd) as house:
        house.fake.rule("GetManagedObjects", "hang", times=1)
        house.fake.die()
        house.fake.restart()
        house.until(lambda: [c for c in house.fake.calls("GetManagedObjects") if c["rule"]], what="the list is asked for")
        house.fake.clear_rules()
        house.recovers(within)


@fault("F57", within=6)
def test_no_more_match_rules(tmp_path: Path, within: float) -> None:
    """bleak needs three. The watchdog gets none of its own then, and asks instead of being told."""
    with House(tmp_path, CONTROLLER, bluez={"limits": {"max_match_rules_per_connection": 4}}) as house:
        for _ in range(3):  # a rule left behind by each would be too many
            house.fake.drop_link(ROVER)
            house.recovers(within)
        house.fake.die()
        house.fake.restart()
        house.recovers(within)


@fault("F68", within=12)
def test_no_permission(tmp_path: Path, within: float) -> None:
    """Said in words that help, once; as soon as it is permitted it works."""
    with House(tmp_path, CONTROLLER, bluez={"policy": FORBIDDEN}, started=False) as house:
        house.start()
        house.says("AccessDenied")
        time.sleep(2)
        assert house.program.running
        assert house.program.output.count("AccessDenied") == 1, house.tail()
        assert "anew" not in house.program.output, "no reset brings a permission"
        assert not house.states("rover_255")
        configuration = house.fake.folder / "bus.conf"
        configuration.write_text(configuration.read_text().replace(FORBIDDEN, ""))
        os.kill(house.fake.daemon.pid, signal.SIGHUP)
        house.recovers(within)
        wait_until(lambda: house.ears.on("solar/rover_255/availability")[-1:] == ["online"], what="available")
        house.used_now()
