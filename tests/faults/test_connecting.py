"""Connections that do not come about, and those that somebody only believes in (F20 to F27, F29 to F40).

A connection may take 2 s here (`connection_timeout`) instead of 25; what hangs is waited for that long and not longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from tests.faults.catalogue import fault
from tests.faults.house import Home, House
from tests.faults.watching import asked, drop, forget, part, set_limit
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.faults import FAILED, IN_PROGRESS

ROVER, PACKS = scene.CONTROLLER, scene.BATTERIES
BOTH = (ROVER, PACKS)
LIMIT = 2
DROP = 5.0
"""Seconds from a broken link to everything being read again."""
BEYOND = 15.0
"""Seconds that a hanging connection may cost beyond its time limit."""
UNKNOWN_OBJECT = ("org.freedesktop.DBus.Error.UnknownObject", 'Method "Connect" with signature "" doesn\'t exist')
SLEEPING = "#!/bin/sh\nwhile kill -0 $PPID 2>/dev/null; do sleep 0.2; done\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    def make(number: int) -> House:
        short = {"connection_timeout": LIMIT, "discovery_timeout": 0.5}
        return House(tmp_path_factory.mktemp("house"), sabotage=True, bluetooth=short)

    with Home(make) as home:
        yield home


def soon(house: House, condition: Callable[[], object], what: str) -> None:
    house.until(condition, what=what)


def about(count: int) -> range:
    """As many attempts, or one more: on a busy machine one may take longer than its limit, which is short here."""
    return range(count, count + 2)


def refuse(house: House, address: str, text: str, times: int = 1, name: str = FAILED) -> None:
    house.fake.rule("Connect", (name, text), times=times, path=part(address))


# Refused


@fault("F20", within=DROP)
def test_interference(house: House, within: float) -> None:
    """Once for one module, three times for the other."""
    house.fake.rule("Connect", "abort_local", times=1, path=part(ROVER))
    house.fake.rule("Connect", "abort_local", times=3, path=part(PACKS))
    drop(house, BOTH)
    house.recovers(within)
    assert len(asked(house, "Connect", ROVER)) in about(2)
    assert len(asked(house, "Connect", PACKS)) in about(4)


@fault("F21", within=LIMIT + BEYOND)
def test_interference_and_the_device_is_forgotten(house: House, within: float) -> None:
    """The end of the attempt is never told, because there is nothing left to tell it of."""
    refuse(house, ROVER, "le-connection-abort-by-local")
    drop(house, [ROVER])
    soon(house, lambda: asked(house, "Connect", ROVER), "connecting")
    forget(house, [ROVER])
    house.recovers(within)
    assert asked(house, "StartDiscovery")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("le-connection-abort-by-remote", "le-connection-refused"),
        ("le-connection-busy", "le-connection-unknown"),
        ("Software caused connection abort", "le-connection-timeout"),
        ("le-connection-key-missing", "le-connection-concurrent-connection-limit"),
    ],
)
@fault("F22", within=DROP)
def test_each_reason_to_refuse(house: House, within: float, one: str, other: str) -> None:
    """Twice in a row, for one module this, for the other that."""
    refuse(house, ROVER, one, times=2)
    refuse(house, PACKS, other, times=2)
    drop(house, BOTH)
    house.recovers(within)
    assert not house.fake.calls("RemoveDevice")


@fault("F38", within=DROP)
def test_bluez_believes_to_be_paired(house: House, within: float) -> None:
    """Its keys are thrown away once; nothing is ever paired."""
    for address, name, text in (
        (ROVER, FAILED, "le-connection-key-missing"),
        (PACKS, "org.bluez.Error.AuthenticationFailed", "Authentication Failed"),
    ):
        house.fake.property(address, "Paired", "b", True)
        refuse(house, address, text, name=name)
    drop(house, BOTH)
    house.recovers(within)
    assert len(house.fake.calls("RemoveDevice")) == 2
    assert not house.fake.calls("Pair")


@fault("F40", within=LIMIT + BEYOND)
def test_an_attempt_of_ours_that_bluez_still_makes(house: House, within: float) -> None:
    """One takes longer than its limit and is cancelled; to the other module, BlueZ connects already."""
    house.fake.module(ROVER, connect_s=20.0)
    refuse(house, PACKS, IN_PROGRESS[1], times=2, name=IN_PROGRESS[0])
    drop(house, BOTH)
    soon(house, lambda: asked(house, "Connect", ROVER), "connecting")
    house.fake.module(ROVER, connect_s=0.0)
    house.recovers(within)
    results = [str(call["result"]) for call in house.fake.calls("Connect")]
    assert any("canceled" in result for result in results)


# Hanging


@fault("F23", within=LIMIT + BEYOND)
def test_a_connect_that_is_never_answered(house: House, within: float) -> None:
    house.fake.rule("Connect", "hang", times=1, path=part(ROVER))
    drop(house, [ROVER])
    house.recovers(within)


@fault("F24", within=LIMIT + BEYOND)
def test_neither_connect_nor_disconnect_is_answered(house: House, within: float) -> None:
    """The clean-up of what was cancelled hangs, too. The neighbour waits no longer for the air than that takes."""
    house.fake.rule("Connect", "hang", times=1, path=part(ROVER))
    house.fake.rule("Disconnect", "hang", times=2, path=part(ROVER))
    drop(house, [ROVER])
    soon(house, lambda: asked(house, "Connect", ROVER), "connecting")
    drop(house, [PACKS])
    house.recovers(within)


@fault("F25", within=LIMIT + BEYOND)
def test_the_outer_time_limit_comes_first(house: House, within: float) -> None:
    """Cancelled, bleak disconnects and waits for that; only a second word gets through. (Its own limit is put off here.)"""
    set_limit(house, "connection", "CLEAN_UP_SHARE", -2.0)
    house.fake.rule("Connect", "hang", times=1, path=part(ROVER))
    house.fake.rule("Disconnect", "hang", times=2, path=part(ROVER))
    drop(house, [ROVER])
    soon(house, lambda: asked(house, "Connect", ROVER), "connecting")
    drop(house, [PACKS])
    house.recovers(within)
    set_limit(house, "connection", "CLEAN_UP_SHARE", 0.2)
    assert "cannot be cancelled" not in house.program.output


@fault("F34", within=LIMIT + BEYOND)
def test_services_that_are_never_found(house: House, within: float) -> None:
    house.fake.rule("resolve", "never", times=1, path=part(ROVER))
    house.fake.rule("resolve", "never", times=1, path=part(PACKS))
    drop(house, BOTH)
    house.recovers(within)
    assert not house.fake.calls("RemoveDevice")


@fault("F34", within=2 * LIMIT + DROP)
def test_services_that_are_found_slowly(house: House, within: float) -> None:
    """Long, but within the limit: not given up on before that."""
    house.fake.module(ROVER, resolve_s=1.2)
    drop(house, [ROVER])
    house.recovers(within)
    house.fake.module(ROVER, resolve_s=0.0)
    attempts = asked(house, "Connect", ROVER)
    assert all(later - earlier > 0.9 * LIMIT for earlier, later in pairwise(attempts)), attempts


@fault("F32", within=12)
def test_a_version_probe_that_hangs(house: House, within: float) -> None:
    """bleak would wait for it for ever. The time is that from the start of the program, 3 s of them for our own probe."""
    stub = house.fake.folder / "bin" / "bluetoothctl"
    sound = stub.read_text()
    assert house.program.end()[0] == 0
    stub.write_text(SLEEPING)
    house.start()
    house.recovers(within)
    drop(house, BOTH)
    house.recovers(DROP)
    stub.write_text(sound)
    house.used_now()


# Forgotten


@fault("F26", within=DROP)
def test_the_device_is_forgotten_between_scan_and_connect(house: House, within: float) -> None:
    """Found, then gone: looked for anew at once, and no failure of the device."""
    began = time.monotonic()
    house.fake.rule("StopDiscovery", 1.5, times=1)
    forget(house, [ROVER])
    soon(house, lambda: asked(house, "StopDiscovery"), "found")
    house.fake.module(ROVER, advertising=False)
    forget(house, [ROVER])
    soon(house, lambda: len(asked(house, "StartDiscovery")) > 1, "looking anew")
    house.fake.module(ROVER, advertising=True)
    house.recovers(within)
    assert {state.get("connection_status", "online") for state in house.states("rover_255", began)} == {"online"}


@pytest.mark.parametrize("members", [("Connect",), ("Connect", "Get")])
@fault("F27", within=DROP)
def test_bluez_forgets_the_device_without_a_word(house: House, within: float, members: tuple[str, ...]) -> None:
    """bleak goes on believing in it; asked, BlueZ does not know it either (then nothing that bleak knows is trusted)."""
    for member in members:
        house.fake.rule(member, UNKNOWN_OBJECT, times=1, path=part(ROVER))
    drop(house, [ROVER])
    house.recovers(within)
    assert asked(house, "StartDiscovery") or "GetManagedObjects" in {call["member"] for call in house.fake.calls()}


@fault("F39", within=BEYOND)
def test_the_device_vanishes_while_connecting(house: House, within: float) -> None:
    """And a neighbour's link breaks: the controller has no place for both."""
    house.fake.module(ROVER, connect_s=0.5)
    drop(house, [ROVER])
    soon(house, lambda: asked(house, "Connect", ROVER), "connecting")
    forget(house, [ROVER])
    drop(house, [PACKS])
    house.recovers(within)
    house.fake.module(ROVER, connect_s=0.0)


# Services


@fault("F33", within=DROP)
def test_the_link_breaks_while_services_are_looked_up(house: House, within: float) -> None:
    house.fake.module(ROVER, resolve_s=0.3)
    drop(house, [ROVER])
    soon(house, lambda: len(house.fake.connections()) == 2, "connected")
    drop(house, [ROVER])
    house.recovers(within)
    house.fake.module(ROVER, resolve_s=0.0)
    assert len(asked(house, "Connect", ROVER)) in about(2)


@fault("F35", within=DROP)
def test_connected_but_without_services(house: House, within: float) -> None:
    """Once or twice is no verdict."""
    house.fake.rule("resolve", "empty", times=1, path=part(ROVER))
    house.fake.rule("resolve", "empty", times=2, path=part(PACKS))
    drop(house, BOTH)
    house.recovers(within)
    assert not house.fake.calls("RemoveDevice")
    assert "is it a Renogy module" not in house.program.output


@fault("F36", within=DROP)
def test_services_vanish_while_they_are_looked_through(house: House, within: float) -> None:
    """One characteristic goes at the last moment, which bleak trips over."""
    house.fake.rule("resolve", "torn", times=1, path=part(ROVER))
    house.fake.rule("resolve", "torn", times=2, path=part(PACKS))
    drop(house, BOTH)
    house.recovers(within)
    assert len(asked(house, "Connect", ROVER)) in about(2)
    assert len(asked(house, "Connect", PACKS)) in about(3)


@fault("F35", "F37", within=DROP)
def test_bluez_remembers_another_table_of_services(house: House, within: float) -> None:
    """From before the module got new firmware. At the third time BlueZ is made to forget it, and told no more than once."""
    house.fake.rule("resolve", "former", path=part(ROVER))
    drop(house, [ROVER])
    house.until(lambda: house.fake.calls("RemoveDevice"), what="forgotten")
    house.fake.clear_rules()
    house.recovers(within)
    house.says("had BlueZ forget rover")
    assert len(house.fake.calls("RemoveDevice")) == 1


# Believed in


@pytest.mark.parametrize("announce", [False, True])
@fault("F29", within=DROP)
def test_another_bluetoothd_before_anybody_noticed(house: House, within: float, announce: bool) -> None:
    """To bleak the links still stand; connecting would succeed in no time, and nothing would answer."""
    house.fake.die()
    house.fake.restart(announce=announce)
    house.recovers(within)
    for address in BOTH:
        assert len(asked(house, "Connect", address)) in about(1)


@fault("F31", within=DROP)
def test_bluetoothd_dies_without_a_word(house: House, within: float) -> None:
    """It keeps the links while it is away, and has them still when it is back: they are freed before they are made anew."""
    house.fake.die(keep_links=True)
    began = time.monotonic()

    def stages() -> list[bool]:
        return [state.get("connection_status") == "online" for state in house.states("hub_48", began)]

    soon(house, lambda: stages()[-1:] == [False], "what had been read before is published, and then the failure")
    time.sleep(1.5)
    assert stages()[-1] is False
    house.fake.restart(announce=False)
    house.recovers(within)
    for address in BOTH:
        assert asked(house, "Disconnect", address)[0] < asked(house, "Connect", address)[0]


@fault("F30", within=10)
def test_the_links_of_a_program_that_was_killed(house: House, within: float) -> None:
    """BlueZ keeps them, and nobody can connect. The time is that from the start of the new one."""
    house.program._process.kill()
    house.program.ended()
    assert len(house.fake.connections()) == 2
    house.fake.clear_log()
    house.start()
    house.recovers(within)
    house.says("is still connected from an earlier run; freeing it")
    for address in BOTH:
        assert asked(house, "Disconnect", address)[0] < asked(house, "Connect", address)[0]
    house.used_now()
