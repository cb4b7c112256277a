"""What can go wrong with a connection that stands: writing, notifications, and ending it (F41 to F50)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.catalogue import fault
from tests.faults.house import Home, House
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.faults import LINK_LOST, NOT_CONNECTED, NOTIFY_ACQUIRED

ROVER, PACKS = scene.CONTROLLER, scene.BATTERIES
RAISE_ONCE = """
from bleak import BleakClient
whole = BleakClient.{method}
async def broken(self, *given, **named):
    BleakClient.{method} = whole
    raise {error}
BleakClient.{method} = broken
"""
SERVICE_UNKNOWN = ("org.freedesktop.DBus.Error.ServiceUnknown", "The name org.bluez was not provided by any .service files")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with Home(lambda number: House(tmp_path_factory.mktemp("house"), sabotage=True)) as home:
        yield home


def part(address: str) -> str:
    """The address as it stands in object paths."""
    return address.replace(":", "_")


def asked(house: House, member: str, address: str) -> list[float]:
    """When this was asked of the module."""
    return [call["t"] for call in house.fake.calls(member) if part(address) in call["path"]]


@fault("F41", within=6)
def test_somebody_else_holds_the_notifications(house: House, within: float) -> None:
    for address in (ROVER, PACKS):
        house.fake.rule("StartNotify", NOTIFY_ACQUIRED, times=1, path=part(address))
        house.fake.drop_link(address)
    house.recovers(within)
    for address in (ROVER, PACKS):
        first, again = asked(house, "Connect", address)[:2]
        assert any(first < at < again for at in asked(house, "Disconnect", address)), "the device was not freed in between"


@fault("F42", within=6)
def test_the_link_ends_before_notifications_are_on(house: House, within: float) -> None:
    house.fake.rule("StartNotify", NOT_CONNECTED, times=2)
    for address in (ROVER, PACKS):
        house.fake.drop_link(address)
    house.recovers(within)


@fault("F43", within=6)
def test_notifications_that_stop(house: House, within: float) -> None:
    """The link stands, writes are confirmed, nothing comes back: noticed by the silence, mended by a new link."""
    house.fake.mute(PACKS)
    house.fake.mute(ROVER)
    house.recovers(within)
    for address in (ROVER, PACKS):
        assert asked(house, "Disconnect", address)[0] < asked(house, "Connect", address)[0]


@fault("F44", "F45", within=6)
def test_a_write_that_is_refused_for_ever_and_one_that_is_not_answered(house: House, within: float) -> None:
    """bleak tries a refused one again every 10 ms without end, and waits for an answer without end. The bridge gives up
    after 5 s and makes a new link."""
    house.fake.rule("WriteValue", ("org.bluez.Error.InProgress", "In Progress"), path=part(ROVER))
    house.fake.rule("WriteValue", "hang", times=1, path=part(PACKS))
    house.until(lambda: asked(house, "Disconnect", ROVER) and asked(house, "Disconnect", PACKS), what="new links")
    house.fake.clear_rules()
    house.recovers(within)


@fault("F46", within=5)
def test_a_write_into_a_dying_link(house: House, within: float) -> None:
    house.fake.rule("WriteValue", LINK_LOST, times=1, path=part(ROVER))
    house.fake.rule("WriteValue", LINK_LOST, times=1, path=part(PACKS))
    house.until(lambda: asked(house, "Disconnect", ROVER) and asked(house, "Disconnect", PACKS), what="new links")
    house.recovers(within)


@fault("F47", within=5)
def test_links_that_break_at_any_moment(house: House, within: float) -> None:
    """Between connecting and writing, between request and answer, and in quiet times."""
    for address in (ROVER, PACKS):
        house.fake.quirk(address, None, "drop", times=2)
    for pause in (0.9, 0.4, 0.25, 0.15, 0.05):
        for address in (ROVER, PACKS):
            house.fake.drop_link(address)
        time.sleep(pause)
    house.recovers(within)


@pytest.mark.parametrize(
    ("method", "error"),
    [("write_gatt_char", "AssertionError()"), ("start_notify", "AttributeError('_bus')"), ("connect", "KeyError('Alias')")],
)
@fault("F48", within=6)
def test_the_library_fails_inside(house: House, within: float, method: str, error: str) -> None:
    """What bleak raises when its connection to the D-Bus goes away under its hands."""
    house.inside(RAISE_ONCE.format(method=method, error=error))
    if method != "write_gatt_char":
        house.fake.drop_link(ROVER)
        house.until(lambda: asked(house, "Connect", ROVER), what="connecting again")
    house.recovers(within)


@fault("F49", within=6)
def test_no_connection_is_left_behind(tmp_path_factory: pytest.TempPathFactory, within: float) -> None:
    """The D-Bus daemon allows nine connections; every drop that left one behind would be one of the last."""
    limits = {"max_connections_per_user": 9, "max_completed_connections": 11}
    with House(tmp_path_factory.mktemp("house"), bluez={"limits": limits}) as house:
        for _ in range(4):
            house.fake.drop_link(ROVER)
            house.fake.drop_link(PACKS)
            house.recovers(within)


@fault("F50", within=12)
def test_disconnecting_fails(house: House, within: float) -> None:
    """It has a limit of 5 s; afterwards the link that BlueZ still holds is freed first."""
    house.fake.rule("Disconnect", "hang", times=1, path=part(ROVER))
    house.fake.rule("Disconnect", "ok_but_nothing", times=1, path=part(PACKS))
    house.fake.quirk(ROVER, None, "silent", times=1)
    house.fake.quirk(PACKS, None, "silent", times=1)
    house.until(lambda: asked(house, "Disconnect", ROVER) and asked(house, "Disconnect", PACKS), what="disconnecting")
    house.recovers(within)


@fault("F50", within=6)
def test_disconnecting_is_refused(house: House, within: float) -> None:
    house.fake.rule("Disconnect", SERVICE_UNKNOWN, times=1, path=part(ROVER))
    house.fake.quirk(ROVER, None, "silent", times=1)
    house.until(lambda: asked(house, "Disconnect", ROVER), what="disconnecting")
    house.recovers(within)
