"""The broker and the way to it (F69 to F77)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.catalogue import fault
from tests.faults.house import ROVER as CONTROLLER
from tests.faults.house import Home, House
from tests.faults.wire import Wire
from tests.peers.mosquitto import kept

KILL_PAHO = """
import gc, threading
from renogybt.sinks.connection import PlainNames
threading.excepthook = lambda *_: None
for client in [one for one in gc.get_objects() if isinstance(one, PlainNames) and one.is_connected()]:
    client._sock = object()
del client
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with Home(lambda number: House(tmp_path_factory.mktemp("house"), sabotage=True)) as home:
        yield home


@fault("F69", within=12)
def test_the_network_thread_of_the_library_dies(house: House, within: float) -> None:
    """It goes on claiming to be connected, and to have published."""
    house.inside(KILL_PAHO)
    house.recovers(within)
    house.says("the network thread to broker")


@fault("F70", "F77", within=10)
def test_the_broker_is_away_and_comes_back_without_memory(house: House, within: float) -> None:
    """What it had forgotten is there again: announcements, availability and the newest values."""
    before = kept(house.broker.port)
    house.broker.stop()
    time.sleep(2.5)
    house.broker.start()
    house.recovers(within)
    house.until(lambda: set(kept(house.broker.port)) >= set(before), what="everything is announced again")


@fault("F76", within=6)
def test_a_storm_of_messages_from_outside(house: House, within: float) -> None:
    """Every one of them is answered from a callback of the library, while readings are published."""
    for number in range(150):
        house.ears.say("homeassistant/status", "online" if number % 3 else "offline")
        house.ears.say("solar/rover_255/release", "soon")
        house.ears.say("solar/bridge/availability", "offline")
    house.recovers(within)
    house.until(lambda: house.ears.on("solar/bridge/availability")[-1] == "online", what="it contradicts")


@fault("F72", within=10)
def test_a_connection_that_is_dead_but_not_closed(tmp_path: Path, within: float) -> None:
    """With the shortest keepalive (5 s) it is noticed within 10 s. Nothing else waits for it."""
    with Wire() as wire, House(tmp_path, CONTROLLER, mqtt={"port": wire.port, "keepalive": 5}, started=False) as house:
        wire.leads_to(house.broker.port)
        house.start()
        house.settled()
        wire.cut()
        asked = len(house.fake.frames())
        house.says("lost; connecting again")
        assert "did not accept" not in house.program.output, "nobody was asked yet"
        assert len(house.fake.frames()) - asked >= 4, "readings went on"
        wire.mend()
        house.recovers(within)


@fault("F75", within=10)
def test_the_broker_confirms_nothing_at_the_end(tmp_path: Path, within: float) -> None:
    """Here the time is that until the end of the program."""
    with Wire() as wire, House(tmp_path, CONTROLLER, mqtt={"port": wire.port}, started=False) as house:
        wire.leads_to(house.broker.port)
        house.start()
        house.settled()
        wire.cut()
        time.sleep(1.2)
        code, seconds = house.program.end()
        assert code == 0
        assert seconds < within
        house.goodbye()
        assert house.fake.connections() == []
