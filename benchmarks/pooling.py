"""One connection for everything: the same MQTT client for every publish, the same HTTP session for every post."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks import given
from benchmarks.peers import Door, Web, broker
from benchmarks.report import Figure

NUMBER = 50


def note(seen: list[object], look: Callable[[], object]) -> None:
    """Keep what is in use now, if it is none of those seen before."""
    thing = look()
    if not any(thing is other for other in seen):
        seen.append(thing)


def mqtt() -> Iterator[Figure]:
    clients: list[object] = []
    with (
        tempfile.TemporaryDirectory(prefix="pooling-") as name,
        broker(Path(name) / "broker") as server,
        Door(server.port) as door,
        given.running(given.settings(Path(name), mqtt=given.mqtt(door.port))) as logger,
    ):
        look = partial(note, clients, partial(given.client_of, logger))
        given.log_each(logger, given.readings(NUMBER), broker=server, after=look)
        arrived, connections, kind = server.heard(given.TOPIC), door.connections, server.name
    yield Figure(
        "MQTT messages that arrived", arrived, NUMBER, "", f"of {NUMBER} readings through DataLogger; {kind}", least=True
    )
    yield Figure("MQTT client objects", len(clients), 1, "", "looked at after each of them")
    yield Figure(
        "MQTT connections for them", connections, 1, "", f"counted before the broker; one per publish would be {NUMBER}"
    )


def http() -> Iterator[Figure]:
    sessions: list[object] = []
    with (
        tempfile.TemporaryDirectory(prefix="pooling-") as name,
        Web() as web,
        given.running(given.settings(Path(name), remote_logging=given.remote(web.url("post")))) as logger,
    ):
        look = partial(note, sessions, partial(given.session_of, logger))
        given.log_each(logger, given.readings(NUMBER), web=web, after=look)
        arrived, connections = web.requests, web.connections
    yield Figure("HTTP posts that arrived", arrived, NUMBER, "", f"of {NUMBER} readings through DataLogger", least=True)
    yield Figure("HTTP session objects", len(sessions), 1, "", "looked at after each of them")
    yield Figure("HTTP connections for them", connections, 1, "", f"counted by the server; one per post would be {NUMBER}")
