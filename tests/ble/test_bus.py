"""The watchdog's own D-Bus connection."""

from __future__ import annotations

import asyncio
import time

import pytest
from dbus_fast.aio import MessageBus

from renogybt.ble.bus import Bus
from renogybt.ble.observed import Observed
from tests.peers.bluez import scenarios as scene
from tests.peers.fixtures import FakeBlueZ
from tests.peers.mosquitto import until


def test_cancelled_at_the_moment_it_is_connected_it_leaves_nothing_behind(
    fake_bluez: FakeBlueZ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an event loop that was given up comes back, connects, and is told to end. Nobody else could close it."""
    fake = fake_bluez(scene.scenario())
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", fake.env()["DBUS_SYSTEM_BUS_ADDRESS"])
    whole = MessageBus.connect
    opened: list[MessageBus] = []

    async def work() -> None:
        async def connect(bus: MessageBus) -> MessageBus:
            opened.append(await whole(bus))
            opening.cancel()
            return bus

        monkeypatch.setattr(MessageBus, "connect", connect)
        bus = Bus(Observed(time.monotonic, lambda: None))
        opening = asyncio.create_task(bus.open())
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert not bus.connected
        await asyncio.sleep(0.1)

    asyncio.run(work())
    assert opened
    until(lambda: fake.clients() == [])
