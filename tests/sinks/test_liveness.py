"""Connections to the broker that are dead while they look alive: noticed in time, and nothing newest is lost."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from renogybt.sinks import connection, session
from renogybt.sinks.outbox import Message
from renogybt.sinks.proof import Proof
from tests.peers.door import Door
from tests.peers.mosquitto import Listener, Mosquitto, until
from tests.sinks.conftest import Sinks
from tests.sinks.given import ROVER, reading

STATE, BRIDGE = "solar/BT-TH-1234_255", "solar/bridge/availability"


def nothing(piece: bytes, outward: bool) -> bytes:
    return b""


def everything(piece: bytes, outward: bool) -> bytes:
    return piece


def no_confirmations(piece: bytes, outward: bool) -> bytes:
    """Answers to pings pass, confirmations of messages do not."""
    return piece if outward else re.sub(rb"\x40\x02..", b"", piece, flags=re.DOTALL)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes become seconds."""
    monkeypatch.setattr(connection, "SILENCE", 3.0)
    monkeypatch.setattr(connection, "RESTART_PAUSE", 0.2)
    monkeypatch.setattr(session, "HEARTBEAT", 1.0)
    monkeypatch.setattr(session, "LONGEST", 0.2)


@pytest.fixture
def door(broker: Mosquitto) -> Iterator[Door]:
    with Door(broker.port) as door:
        yield door


def behind(door: Door, folder: Path) -> Mosquitto:
    """The broker as it looks through the door: only its settings are used."""
    seen = Mosquitto(folder / "seen")
    seen.port = door.port
    return seen


def powers(ears: Listener) -> list[int]:
    return [json.loads(payload)["pv_power"] for payload in ears.on(STATE)]


@pytest.mark.parametrize("announce", [True, False])
def test_a_connection_that_leads_nowhere_is_replaced_and_the_newest_arrives(
    hasty: None, door: Door, ears: Listener, sink: Sinks, tmp_path: Path, announce: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sender = sink(ROVER, at=behind(door, tmp_path), announce=announce, discovery="device", keepalive=3600)
    topic = STATE if announce else "solar"
    sender.offer(reading(ROVER, "controller", pv_power=1))
    ears.wait_for(topic)
    door.sieve = nothing
    began = time.monotonic()
    for watts in (2, 3):
        sender.offer(reading(ROVER, "controller", pv_power=watts))
        time.sleep(1.2)  # so that both have left this machine before it is noticed
    until(lambda: "has confirmed nothing for 3 s" in caplog.text)
    assert time.monotonic() - began < 40
    assert sender.trouble
    ears.forget()
    door.sieve = everything
    ears.wait(lambda: any('"pv_power":3' in payload for payload in ears.on(topic)), 60)
    assert not any('"pv_power":2' in payload for payload in ears.on(topic))
    until(lambda: sender.connected and not sender.trouble)
    assert sender.flush(60) == ""
    # its own and the listener's: those that were given up have ended
    until(lambda: sum(thread.name.startswith("paho") for thread in threading.enumerate()) <= 2)


def test_a_broker_that_answers_pings_and_nothing_else(
    hasty: None, door: Door, ears: Listener, sink: Sinks, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sender = sink(ROVER, at=behind(door, tmp_path), keepalive=5)
    sender.offer(reading())
    ears.wait_for(STATE)
    assert sender.flush(60) == ""
    door.sieve = no_confirmations
    until(lambda: "has confirmed nothing for 3 s" in caplog.text)
    door.sieve = everything
    ears.forget()
    sender.offer(reading(ROVER, "controller", pv_power=77))
    ears.wait(lambda: 77 in powers(ears), 60)
    assert sender.flush(60) == ""


def test_an_attempt_that_is_never_answered_ends(
    hasty: None, door: Door, ears: Listener, sink: Sinks, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    door.sieve = nothing
    sender = sink(ROVER, at=behind(door, tmp_path), keepalive=3600)
    sender.offer(reading())
    until(lambda: "has not answered for 3 s" in caplog.text)
    door.sieve = everything
    ears.wait_for(STATE, timeout=60)
    assert sender.flush(60) == ""


def test_nothing_is_done_to_a_connection_that_works(
    hasty: None,
    broker: Mosquitto,
    ears: Listener,
    sink: Sinks,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(connection, "SILENCE", 5.0)  # a busy machine may be silent for a while
    began = time.monotonic()
    sender = sink(ROVER)
    sender.offer(reading())
    ears.wait_for(STATE)
    ears.wait(lambda: len(ears.on(BRIDGE)) >= 8, 60)
    assert broker.log.count(f"as {sender.client_id} ") == 1
    assert caplog.messages == []
    assert len(ears.on(BRIDGE)) <= time.monotonic() - began + 2
    assert powers(ears) == [34]


def test_time_limits_add_up() -> None:
    assert 2 * session.HEARTBEAT < connection.SILENCE <= 150


def test_what_a_confirmation_proves() -> None:
    proof = Proof()
    proof.handed(7, Message("a", "1"))
    proof.handed(8, Message("b", "1"))
    proof.handed(9, Message("beat", "online", 1))
    proof.handed(10, Message("b", "2"))
    proof.handed(3, Message("beat", "online", 1))  # numbers begin again some time
    proof.handed(4, Message("c", "1"))
    proof.confirmed(99)
    proof.confirmed(9)
    assert proof.broken() == ["b", "c"]
    assert proof.broken() == []
    proof.handed(5, Message("c", "2"))
    proof.confirmed(3)  # of the connection before
    assert proof.broken() == ["c"]
