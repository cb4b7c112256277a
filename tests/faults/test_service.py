"""The program's own machinery: its loop, its threads, its locks (F58, F60, F61, F63, F64, F65, F67)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from renogybt.ble.resets import HOUR, Resets
from tests.e2e.program import Program
from tests.faults.catalogue import VIRTUAL, fault
from tests.faults.house import Home, House
from tests.peers.bluez import scenarios as scene

ROVER, PACKS = scene.CONTROLLER, scene.BATTERIES
HASTEN = """
from renogybt.service import keeper
keeper.HEARTBEAT_LIMIT, keeper.SHORTEST_LIFE = 3.0, 1.0
"""
"""Half a minute without a heartbeat, and ten seconds between two threads, are long for a test."""
IN_LOOP = """
import gc, time
from renogybt.ble.thread import RadioThread
thread = [one for one in gc.get_objects() if isinstance(one, RadioThread) and one.alive][-1]
loop = thread._loop
"""
RAISE_ONCE = """
import importlib
place = importlib.import_module("{module}").{owner}
whole = place.{method}
async def broken(*given, **named):
    place.{method} = whole
    if {late}:
        await whole(*given, **named)
    raise RuntimeError("staged")
place.{method} = broken
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with Home(lambda number: House(tmp_path_factory.mktemp("house"), sabotage=True)) as home:
        yield home


@fault("F58", "F66", within=5)
def test_started_twice(house: House, within: float) -> None:
    """The second one ends with a line that says who is there, and touches nothing."""
    with Program(house.folder, house.ini(), house.fake) as second:
        assert second.ended() == 75
        assert f"process {house.program.pid}" in second.output
        assert "Traceback" not in second.output
    assert not [call for call in house.fake.calls() if call["member"] in ("StartDiscovery", "Connect", "Disconnect")]
    house.recovers(within)


@fault("F60", within=7)
def test_a_blocked_loop(house: House, within: float) -> None:
    """Its sockets are shut, so that BlueZ lets go of everything, and a new thread goes on. (Limits as in HASTEN.)"""
    house.inside(HASTEN)
    threads = house.used().threads
    house.inside(f"{IN_LOOP}loop.call_soon_threadsafe(time.sleep, 8)")
    house.recovers(within)
    house.says("its event loop has not turned")
    house.until(lambda: house.used().threads <= threads, what="the old thread has ended")


@fault("F61", within=15)
def test_a_loop_that_stopped(house: House, within: float) -> None:
    house.inside(HASTEN)
    house.inside(f"{IN_LOOP}loop.call_soon_threadsafe(loop.stop)")
    house.recovers(within)


@fault("F64", within=6)
def test_a_check_of_the_watchdog_that_always_fails(house: House, within: float) -> None:
    """The other checks go on: the death of bluetoothd is noticed although looking at the power is broken."""
    house.inside(
        """
from renogybt.ble.adapters import Adapters
whole = Adapters.check_power
async def broken(self): raise ZeroDivisionError("staged")
Adapters.check_power = broken
Adapters.whole = whole
"""
    )
    house.says("failed at watching the power")
    house.fake.die()
    time.sleep(1)
    house.fake.restart()
    house.recovers(within)
    house.inside("from renogybt.ble.adapters import Adapters; Adapters.check_power = Adapters.whole")
    assert house.program.output.count("failed at watching the power") == 1


@pytest.mark.parametrize(
    ("module", "owner", "method", "fresh"),
    [
        ("bleak", "BleakClient", "connect", True),
        ("bleak", "BleakClient", "start_notify", True),
        ("bleak", "BleakClient", "write_gatt_char", False),
        ("bleak", "BleakClient", "disconnect", True),
        ("renogybt.ble.module", "Module", "_find", True),
        ("renogybt.sources.modbus_device", "ModbusDevice", "read", False),
    ],
)
@fault("F65", within=8)
def test_an_error_at_any_stage_leaves_nothing_locked(
    house: House, within: float, module: str, owner: str, method: str, fresh: bool
) -> None:
    """Of a kind that nobody foresaw; it is in the log with all details."""
    late = method == "disconnect"  # it must have done its work: nothing else frees bleak's connection to the D-Bus
    house.inside(RAISE_ONCE.format(module=module, owner=owner, method=method, late=late))
    if fresh:
        house.fake.drop_link(ROVER)
        house.fake.drop_link(PACKS)
    house.recovers(within)
    house.says("staged")
    house.calm("Traceback", "nobody foresaw", "never retrieved")


@pytest.mark.parametrize("moment", [0.0, 0.05])
@fault("F63", within=10)
def test_the_link_drops_while_the_program_ends(tmp_path: Path, within: float, moment: float) -> None:
    """Here the time is that until the end of the program."""
    with House(tmp_path) as house:
        end = house.program.told_to_end()
        time.sleep(moment)
        for address in (ROVER, PACKS):
            house.fake.drop_link(address)
        code, seconds = end()
        assert code == 0
        assert seconds < within
        house.goodbye()
        house.until(lambda: house.fake.connections() == [], what="no link is left")


@fault("F67", within=VIRTUAL)
def test_resets_in_any_hour() -> None:
    """Ten and no more; one every fifty minutes for ever; and after a storm they come back one by one."""
    storm = Resets(10)
    assert [storm.take(1000.0 + n) for n in range(11)] == [True] * 10 + [False]
    assert not storm.take(1000.0 + HOUR - 1)
    assert storm.take(1000.0 + HOUR)
    assert not storm.take(1000.0 + HOUR)
    assert storm.take(1001.0 + HOUR)
    steady = Resets(10)
    assert all(steady.take(n * 3000.0) for n in range(200))
    assert not Resets(0).take(0.0)
