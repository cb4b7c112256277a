"""Scans that do not begin, do not end, or hear nothing, and scans of others (F01 to F10, F17, F28).

A scan lasts 0.5 s here instead of 5, and the adapter may look busy for 3 s instead of two minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.catalogue import fault
from tests.faults.house import Home, House
from tests.faults.watching import asked, drop, forget, fresh, in_loop, resets, set_limit
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.faults import FAILED, IN_PROGRESS, NOT_READY
from tests.peers.bluez.scenario import Beacon

ROVER, PACKS = scene.CONTROLLER, scene.BATTERIES
BOTH = (ROVER, PACKS)
AT_MOST = 2
"""Power cycles for a trouble that one mends: by the time a test sees the first and ends the trouble, another may be under
way."""
NOT_OURS = (FAILED, "No discovery started")
LEAK = """
from renogybt.ble import bluez
await bluez.call("/org/bluez/hci0", bluez.ADAPTER, "StartDiscovery")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    def make(number: int) -> House:
        return House(tmp_path_factory.mktemp("house"), sabotage=True, bluetooth={"discovery_timeout": 0.5})

    with Home(make) as home:
        yield home


@fault("F01", within=5)
def test_a_scan_of_ours_that_bluez_still_has(house: House, within: float) -> None:
    """Every further one would be refused as in progress."""
    house.fake.module(ROVER, advertising=False)  # otherwise it would be heard by the very scan that is to be in the way
    in_loop(house, LEAK)
    assert len(house.fake.sessions()) == 1
    forget(house, [ROVER])
    house.until(lambda: len(asked(house, "StartDiscovery")) > 1, what="a scan")
    house.fake.module(ROVER, advertising=True)
    house.recovers(within)
    house.says("an earlier scan of ours had got stuck; ended it")
    assert [call["result"] for call in house.fake.calls("StartDiscovery")][1].startswith("org.bluez.Error.InProgress")
    assert not resets(house)


@fault("F01", "F04", within=6)
def test_the_end_of_a_scan_is_not_answered_once(house: House, within: float) -> None:
    """A second word ends it. The time includes the 2.5 s for which the first one is waited for."""
    house.fake.rule("StopDiscovery", "hang", times=1)
    forget(house, [ROVER])
    house.recovers(within)
    assert len(asked(house, "StopDiscovery")) >= 2


@fault("F04", within=10)
def test_the_end_of_a_scan_is_never_answered(house: House, within: float) -> None:
    """Only giving up the connection it belongs to ends it. The time includes the limits of two calls that hang, 4 s."""
    house.fake.rule("StopDiscovery", "hang")
    forget(house, [ROVER])
    house.recovers(within)
    house.says("closed the D-Bus connection it belongs to")
    house.until(lambda: house.fake.sessions() == [], what="no scan is left")


@fault("F02", within=6)
def test_the_controller_is_busy_for_a_moment(house: House, within: float) -> None:
    house.fake.rule("StartDiscovery", IN_PROGRESS, times=3)
    forget(house, BOTH)
    house.recovers(within)
    assert not resets(house)


@fault("F02", within=6)
def test_the_controller_is_busy_until_it_is_switched_off_and_on(house: House, within: float) -> None:
    """The remedies before that are tried first; the time is that after the reset. (A scan is tried again after 0.2 s here
    instead of one.)"""
    fresh(house)
    set_limit(house, "scan", "PAUSE", 0.2)
    house.fake.rule("StartDiscovery", IN_PROGRESS)
    forget(house, BOTH)
    house.until(lambda: resets(house), what="a power cycle")
    house.fake.clear_rules()
    house.recovers(within)
    assert resets(house) <= AT_MOST
    set_limit(house, "scan", "PAUSE", 1.0)


@fault("F03", within=5)
@pytest.mark.parametrize("times", [1, 3])
def test_the_end_of_a_scan_is_refused(house: House, within: float, times: int) -> None:
    """It ends all the same. bleak begins and ends it once more; when that is refused, too, so do we."""
    house.fake.rule("StopDiscovery", IN_PROGRESS, times=times, effect=True)
    forget(house, BOTH)
    house.recovers(within)
    assert len(asked(house, "StopDiscovery")) >= 2
    assert not resets(house)


@fault("F05", within=6)
def test_the_beginning_of_a_scan_is_never_answered(house: House, within: float) -> None:
    """Until the adapter is switched off and on; the time is that after it. (The limit is 0.3 s here instead of 5.)"""
    fresh(house)
    set_limit(house, "scan", "START_LIMIT", 0.3)
    house.fake.rule("StartDiscovery", "hang")
    forget(house, BOTH)
    house.until(lambda: resets(house), 60, "a power cycle")
    house.fake.clear_rules()
    set_limit(house, "scan", "START_LIMIT", 5.0)
    house.recovers(within)


@fault("F28", within=9)
def test_a_search_that_hangs_holds_up_nobody_else(house: House, within: float) -> None:
    """Nothing is connected to that was not found before. The time includes the limit of 5 s for the call that hangs."""
    house.fake.rule("StartDiscovery", "hang", times=1)
    starvation = house.starvation()
    forget(house, [ROVER])
    house.until(lambda: asked(house, "StartDiscovery"), what="a scan")
    began = asked(house, "StartDiscovery")[0]
    house.until(lambda: len(house.heard("hub_48", began)) >= 3, what="its neighbour")  # only the first can be from before
    assert house.heard("hub_48", began)[2].at - began - starvation.seconds() < 4.5
    assert [at for at in asked(house, "Connect", ROVER) if at < began + 4.5] == []
    house.recovers(within)


@fault("F06", within=6)
def test_a_scan_that_is_not_ours_any_more(house: House, within: float) -> None:
    """That BlueZ knows of none is no failure, and needs no remedy."""
    house.fake.rule("StopDiscovery", NOT_OURS, times=1, effect=True)
    forget(house, [ROVER])
    house.recovers(within)
    assert len(asked(house, "StopDiscovery")) == len(asked(house, "StartDiscovery"))


@fault("F07", within=5)
def test_somebody_else_scans_for_long(house: House, within: float) -> None:
    """No reason to do anything as long as readings succeed; said once."""
    before = house.program.output.count("left alone")
    house.fake.foreign_discovery(True)
    house.until(lambda: house.program.output.count("left alone") > before, what="it is said")
    time.sleep(1.5)
    house.recovers(within)
    house.fake.foreign_discovery(False)
    assert house.program.output.count("left alone") == before + 1
    assert not resets(house)
    assert not asked(house, "StopDiscovery")
    assert not asked(house, "Connect")


@fault("F06", "F07", within=6)
def test_somebody_else_scans_and_nothing_can_be_read(house: House, within: float) -> None:
    """The scan cannot be ended as not ours; switching off ends it, once. The time is that after the reset."""
    fresh(house)
    house.fake.foreign_discovery(True)
    for member in ("StartDiscovery", "Connect"):
        house.fake.rule(member, IN_PROGRESS)
    drop(house, BOTH)
    house.until(lambda: resets(house), what="a power cycle")
    house.fake.clear_rules()
    house.recovers(within)
    assert resets(house) <= AT_MOST
    house.says("the scan is not ours")


@fault("F08", within=6)
def test_scans_that_hear_nothing(house: House, within: float) -> None:
    """Three of them, and the adapter is switched off and on; the time is that after it."""
    fresh(house)
    for member in ("StartDiscovery", "StopDiscovery"):
        house.fake.rule(member, "ok_but_nothing")
    forget(house, BOTH)
    house.until(lambda: resets(house), what="a power cycle")
    house.fake.clear_rules()
    house.recovers(within)
    house.says("heard nothing at all")
    assert resets(house) <= AT_MOST


@fault("F09", within=6)
def test_a_module_that_is_held_by_a_phone(house: House, within: float) -> None:
    """It is silent, others are heard: no reset, the neighbours keep their pace, and it is found when it is free again."""
    stranger = Beacon(address="C0:11:22:33:44:55", name="a thermometer")
    house.fake.beacon(stranger)
    house.fake.module(ROVER, advertising=False)
    forget(house, [ROVER])
    began, starvation = time.monotonic(), house.starvation()
    house.until(lambda: len(asked(house, "StartDiscovery")) >= 4, what="four scans")
    house.says("other devices are heard")
    seconds = time.monotonic() - began - starvation.seconds()
    assert len(house.heard("hub_48", began)) >= 0.6 * seconds - 2  # one a second on an idle machine
    assert not resets(house)
    house.fake.module(ROVER, advertising=True)
    stranger.advertising = False
    house.fake.beacon(stranger)
    house.recovers(within)


@fault("F10", within=5)
def test_the_adapter_is_not_ready_for_a_moment(house: House, within: float) -> None:
    for member in ("StartDiscovery", "SetDiscoveryFilter"):
        house.fake.rule(member, NOT_READY, times=1)
    forget(house, [ROVER])
    house.recovers(within)
    assert len([call for call in house.fake.calls() if str(call["result"]).startswith(NOT_READY[0])]) == 2


@fault("F17", within=8)
def test_no_scan_while_connecting(house: House, within: float) -> None:
    """One module takes longer to connect than the other's next reading is away, and the other has to be looked for."""
    house.fake.module(ROVER, connect_s=1.4)
    drop(house, [ROVER])
    house.until(lambda: asked(house, "Connect", ROVER), what="connecting")
    forget(house, [PACKS])
    house.recovers(within)
    house.fake.module(ROVER, connect_s=0.0)
    [connected] = [event["t"] for event in house.fake.events("connected") if event["address"] == ROVER]
    assert asked(house, "StartDiscovery")[0] > connected
    assert house.fake.violations() == []


@fault("F17", within=8)
def test_no_connecting_while_scanning(house: House, within: float) -> None:
    """One module is looked for in vain when the link to the other breaks; connecting goes first."""
    house.fake.module(ROVER, advertising=False)
    forget(house, [ROVER])
    for _ in range(2):
        house.fake.clear_log()
        house.until(lambda: len(house.fake.sessions()) == 1, what="a scan")
        drop(house, [PACKS])
        house.recovers(within, "hub_48", "hub_49", "hub_combined")
        assert house.fake.violations() == []
    house.fake.module(ROVER, advertising=True)
    house.recovers(within)
