"""[mqtt] replay: what the broker missed comes later, in order, with its own time; and only that."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from renogybt.data_logger import DataLogger
from renogybt.reading import Reading
from tests.outbox.given import on_disk
from tests.peers.mosquitto import Listener, Mosquitto, until
from tests.sinks.given import HOUSE_48, HOUSE_49, ROVER, battery, reading, settings

BASE = time.time() // 1 - 3600 + 0.5
"""Not long ago: what is older than the outbox keeps is given up as soon as it is written to the disk."""
STATE, REPLAY = "solar/BT-TH-1234_255", "solar/replay"
Loggers = Callable[..., DataLogger]


@pytest.fixture
def logger(broker: Mosquitto, tmp_path: Path) -> Iterator[Loggers]:
    """`logger(**mqtt)`: a started DataLogger at `broker` with replay."""
    with ExitStack() as stack:

        def started(*identities: Any, daemon: bool = True, **mqtt: Any) -> DataLogger:
            options = broker.settings(homeassistant_discovery=True, replay=True, **mqtt)
            known = identities or (ROVER,)
            made = DataLogger(settings(options, *known, daemon=daemon, folder=str(tmp_path)), known)
            stack.callback(made.stop, 2.0, False)
            made.start()
            return made

        yield started


def numbered(n: int) -> Reading:
    return replace(reading(pv_power=n), taken_at=BASE + n)


def connected(logger: DataLogger, yes: bool = True) -> None:
    until(lambda: (logger.health()["mqtt"]["state"] == "connected") == yes, 60)


def replayed(ears: Listener, topic: str = REPLAY) -> list[int]:
    return [json.loads(payload)["pv_power"] for payload in ears.on(topic)]


def test_what_was_published_is_not_replayed(broker: Mosquitto, ears: Listener, logger: Loggers, tmp_path: Path) -> None:
    found = logger()
    for n in range(5):
        found.log(numbered(n))
        ears.wait(lambda wanted=n: wanted in replayed(ears, STATE))
    time.sleep(1.5)
    assert replayed(ears) == []
    assert found.stop(30)
    assert not (tmp_path / "outbox.sqlite").exists()


def test_exactly_what_was_missed_comes_later_in_order_with_its_time(
    broker: Mosquitto, logger: Loggers, tmp_path: Path
) -> None:
    found = logger()
    with Listener(broker.port) as ears:
        found.log(numbered(0))
        ears.wait_for(STATE)
        assert found.flush(60) == ""
    broker.stop()
    connected(found, False)
    for n in range(1, 41):
        found.log(numbered(n))
    until(lambda: found.health()["mqtt_replay"]["waiting"] == 40)
    broker.start()
    with Listener(broker.port) as ears:
        ears.wait(lambda: len(ears.on(REPLAY)) >= 40, 60)
        found.log(numbered(41))
        ears.wait(lambda: 41 in replayed(ears, STATE))
        time.sleep(1.5)
        assert replayed(ears) == list(range(1, 41))
        content = json.loads(ears.on(REPLAY)[6])
        assert content["taken_at"] == datetime.fromtimestamp(BASE + 7, UTC).isoformat(timespec="milliseconds")
        assert content["taken_at_epoch"] == BASE + 7
        assert content["topic"] == STATE
        assert content["__client"] == "RoverClient"
        assert not {"connection_status", "data_age"} & set(content)  # they held for the moment of publishing
        assert not any(heard.retained for heard in ears.messages if heard.topic == REPLAY)
        assert replayed(ears, STATE)[-2:] == [40, 41]
    until(lambda: found.health()["mqtt_replay"]["waiting"] == 0)
    assert found.stop(30)


def test_what_was_overtaken_while_topics_were_spaced_out_is_replayed(ears: Listener, logger: Loggers) -> None:
    found = logger(replay_topic="own/history")
    connected(found)
    for n in range(10):
        found.log(numbered(n))
    ears.wait(lambda: len(replayed(ears, STATE)) + len(replayed(ears, "own/history")) >= 10)
    time.sleep(1.5)
    assert sorted(replayed(ears, STATE) + replayed(ears, "own/history")) == list(range(10))
    assert replayed(ears, "own/history") == sorted(replayed(ears, "own/history"))


def test_what_is_missed_outlives_the_program(broker: Mosquitto, logger: Loggers, tmp_path: Path) -> None:
    broker.stop()
    first = logger(HOUSE_48, HOUSE_49)
    for n in range(6):
        first.log(battery((HOUSE_48, HOUSE_49)[n % 2], remaining_charge=float(n)))
    first.stop(3, last_words=False)
    assert len(on_disk(tmp_path / "outbox.sqlite")) == 6
    broker.start()
    with Listener(broker.port) as ears:
        second = logger(HOUSE_48, HOUSE_49)
        ears.wait(lambda: len(ears.on(REPLAY)) >= 6, 60)
        time.sleep(0.5)
        contents = [json.loads(payload) for payload in ears.on(REPLAY)]
        assert [content["remaining_charge"] for content in contents] == [0, 1, 2, 3, 4, 5]
        assert [content["topic"] for content in contents] == ["solar/House_48", "solar/House_49"] * 3
        assert second.stop(30)
    assert on_disk(tmp_path / "outbox.sqlite") == []


def test_an_outage_in_the_middle_of_the_replay(broker: Mosquitto, logger: Loggers) -> None:
    """Nothing is lost and the order is kept; at most the one message under way comes twice."""
    broker.stop()
    found = logger()
    until(lambda: found.health()["mqtt"]["trouble"])
    number = 600
    for n in range(number):
        found.log(numbered(n))
    got: list[int] = []
    for _ in range(2):
        broker.start()
        with Listener(broker.port) as ears:
            connected(found)
            before = len(got)
            ears.wait(lambda: replayed(ears), 60)
            time.sleep(0.02)
            broker.stop()
            got += replayed(ears)
            assert len(got) > before
        connected(found, False)
    broker.start()
    with Listener(broker.port) as ears:
        until(lambda: found.health()["mqtt_replay"]["waiting"] == 0, 60)
        ears.caught_up()
        got += replayed(ears)
    assert found.health()["mqtt_replay"]["delivered"] == number
    assert got == sorted(got)
    assert len(got) - len(set(got)) <= 4
