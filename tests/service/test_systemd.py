"""What systemd is told, by real datagrams, and when it is told nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from renogybt.service.systemd import Notifier, fresh


@pytest.fixture(params=["file", "abstract"])
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    address = str(tmp_path / "notify") if request.param == "file" else f"@renogybt-test-{os.getpid()}-{id(request)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0") if request.param == "abstract" else address)
        listener.settimeout(30)
        yield address, listener


def test_every_word_arrives_as_one_datagram(peer: tuple[str, socket.socket]) -> None:
    address, listener = peer
    notifier = Notifier(address)
    notifier.ready("4 devices")
    notifier.alive()
    notifier.status("two\nlines\nWATCHDOG=trigger")
    notifier.stopping()
    heard = [listener.recv(4096).decode() for _ in range(4)]
    assert heard == [
        "READY=1\nSTATUS=4 devices",
        "WATCHDOG=1",
        "STATUS=two lines WATCHDOG=trigger",
        "STOPPING=1\nSTATUS=ending",
    ]


@pytest.mark.parametrize(
    "address", ["", "relative", "/nowhere/at/all", "@nobody-listens-here", "/" + "x" * 300, "vsock:2:1"]
)
def test_nobody_there_is_no_trouble(address: str) -> None:
    notifier = Notifier(address)
    notifier.ready("x")
    notifier.alive()
    notifier.stopping()


def test_a_deaf_systemd_holds_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        notifier = Notifier(str(path))
        for _ in range(5000):  # far more than the queue holds; a waiting send would hang here
            notifier.alive()
        listener.settimeout(30)
        assert listener.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("usec", "interval"),
    [("", 20.0), ("120000000", 20.0), ("60000000", 15.0), ("4000000", 1.0), ("0", 20.0), ("-5", 20.0), ("soon", 20.0)],
)
def test_the_interval_leaves_room_for_three_lost_signs(usec: str, interval: float) -> None:
    assert Notifier("", usec).interval == interval


WELL: dict[str, Any] = {
    "main_tick": 999.0,
    "worker_heartbeat": 995.0,
    "recycling_since": None,
    "refused_since": None,
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"main_tick": 995.1},
        {"worker_heartbeat": 970.1},
        {"worker_heartbeat": None},
        {"worker_heartbeat": 100.0, "recycling_since": 941.0},
        {"refused_since": -2600.0},
    ],
)
def test_all_is_well(change: dict[str, Any]) -> None:
    assert fresh(1000.0, **{**WELL, **change}) == ""


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"main_tick": 995.0}, "main loop"),
        ({"worker_heartbeat": 970.0}, "Bluetooth thread has not moved for 30 s"),
        ({"recycling_since": 940.0}, "being replaced for 60 s"),
        ({"worker_heartbeat": 999.0, "recycling_since": 900.0}, "being replaced"),
        ({"refused_since": -2601.0}, "60 min"),
    ],
)
def test_one_thing_wrong_is_enough(change: dict[str, Any], word: str) -> None:
    assert word in fresh(1000.0, **{**WELL, **change})
