"""A broker for each test, and sinks that are gone when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from renogybt.command import Command
from renogybt.reading import Identity
from renogybt.sinks.mqtt import MqttSink
from tests.peers.mosquitto import Listener, Mosquitto
from tests.sinks.given import settings

Sinks = Callable[..., MqttSink]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def ears(broker: Mosquitto) -> Iterator[Listener]:
    with Listener(broker.port) as listener:
        yield listener


@pytest.fixture
def sink(broker: Mosquitto) -> Iterator[Sinks]:
    """`sink(*identities, discovery=..., daemon=..., **mqtt)`: a started sink at `broker`; `data` are options of [data],
    `on_command`, `on_crash` as in `MqttSink`."""
    with ExitStack() as stack:

        def started(
            *identities: Identity,
            announce: bool = True,
            daemon: bool = True,
            folder: str = ".",
            data: dict[str, Any] | None = None,
            jitter: float = 0.0,
            at: Mosquitto = broker,
            on_command: Callable[[Command], None] | None = None,
            on_crash: Callable[[str, Exception], None] | None = None,
            **mqtt: Any,
        ) -> MqttSink:
            options = at.settings(**{"homeassistant_discovery": announce, **mqtt})
            made = MqttSink(
                settings(options, *identities, daemon=daemon, folder=folder, **data or {}),
                identities,
                jitter=lambda: jitter,
                on_command=on_command,
                on_crash=on_crash,
            )
            stack.callback(made.stop, 1.0, False)
            made.start()
            return made

        yield started
