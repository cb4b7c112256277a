"""What renogybt.ble.bluez uses of bleak without being offered it: one test for each, against the real bleak.

When one fails after a new bleak, look at `renogybt/ble/bluez.py` before raising the pin.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import bleak
import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.bluezdbus import manager as backend
from bleak.backends.bluezdbus.utils import assert_reply
from bleak.backends.bluezdbus.version import BlueZFeatures
from dbus_fast import Message

from renogybt.ble import bluez
from renogybt.ble.bleak_bus import stop_discovery
from tests.peers.bluez import scenarios
from tests.peers.bluez.client import PATIENCE, found, run, until
from tests.peers.bluez.control import Fake
from tests.peers.fixtures import FakeBlueZ

MODULE = scenarios.CONTROLLER
PATH = "/org/bluez/hci0/dev_60_98_66_ED_FC_11"


@pytest.fixture
def fake(fake_bluez: FakeBlueZ, monkeypatch: pytest.MonkeyPatch) -> Fake:
    running = fake_bluez(scenarios.scenario(scenarios.controller(), adv_interval_s=0.02))
    for name, value in running.env().items():
        monkeypatch.setenv(name, value)
    return running


def with_manager(work: Callable[[Any], Awaitable[None]]) -> None:
    async def scene() -> None:
        await work(await bluez.meet())
        await bluez.forget_everything()

    run(scene())


def test_global_instances_knows_the_manager_of_each_loop(fake: Fake) -> None:
    async def work(manager: Any) -> None:
        assert backend._global_instances[asyncio.get_running_loop()] is manager
        assert bluez.manager_of(asyncio.get_running_loop()) is manager

    with_manager(work)


def test_properties_is_the_tree_and_is_kept_fresh(fake: Fake) -> None:
    async def work(manager: Any) -> None:
        assert manager._properties["/org/bluez/hci0"][bluez.ADAPTER]["Powered"] is True
        fake.set_powered(False)
        await until(lambda: bluez.adapters()["hci0"]["Powered"] is False)
        fake.set_powered(True)
        await until(lambda: bluez.adapters()["hci0"]["Powered"] is True)
        await found(MODULE)
        assert bluez.about(PATH) is not None
        assert not bluez.linked(PATH)
        fake.remove_device(MODULE)
        await until(lambda: bluez.about(PATH) is None)

    with_manager(work)


def test_the_managers_bus_takes_messages_and_says_whether_it_is_connected(fake: Fake) -> None:
    async def work(manager: Any) -> None:
        assert manager._bus.connected
        assert_reply(await manager._bus.call(Message("org.bluez", "/org/bluez/hci0", bluez.ADAPTER, "StartDiscovery")))
        assert len(fake.sessions()) == 1
        assert await stop_discovery("hci0")
        assert fake.sessions() == []
        assert not await stop_discovery("hci0")

    with_manager(work)


def test_closing_the_managers_bus_makes_bleak_forget_and_begin_anew(fake: Fake) -> None:
    async def work(manager: Any) -> None:
        lost = asyncio.Event()
        client = BleakClient(await found(MODULE), lambda _: lost.set())
        await client.connect()
        await BleakScanner().start()
        before = bluez.losses(asyncio.get_running_loop())
        old = manager._bus
        await bluez.forget_everything()
        await until(manager._bus_watcher_task.done)
        assert not old.connected
        assert bluez.tree() == {}
        assert lost.is_set()
        assert not client.is_connected
        assert bluez.losses(asyncio.get_running_loop()) == before + 1
        await client.disconnect()
        await until(lambda: not fake.sessions())
        assert await bluez.meet() is manager
        assert bluez.about(PATH) is not None

    with_manager(work)


def test_forgetting_needs_no_answer(fake: Fake) -> None:
    """bleak holds its lock while it waits for BlueZ: nothing of ours may need that."""

    async def work(manager: Any) -> None:
        fake.rule("StartDiscovery", "hang")
        stuck = asyncio.create_task(BleakScanner().start())
        await until(lambda: fake.calls("StartDiscovery"))
        assert manager._bus_lock.locked()
        assert await bluez.meet() is manager
        await asyncio.wait_for(bluez.forget_everything(), PATIENCE)
        await until(stuck.done)
        assert isinstance(stuck.exception(), AssertionError | EOFError | OSError)

    with_manager(work)


def test_the_sockets_of_manager_and_clients_can_be_shut(fake: Fake) -> None:
    async def work(manager: Any) -> None:
        client = BleakClient(await found(MODULE))
        await client.connect()
        shut = list(bluez.sockets(asyncio.get_running_loop(), [client]))
        assert len(shut) == 2
        assert all(isinstance(each, socket.socket) for each in shut)
        bluez.shut(shut)
        await until(lambda: not fake.clients())
        await client.disconnect()

    with_manager(work)


def test_a_checked_version_is_not_probed_again(fake_bluez: FakeBlueZ, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fake_bluez(scenarios.scenario(scenarios.controller(), adv_interval_s=0.02), bluetoothctl="hang")
    for name, value in fake.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(BlueZFeatures, "checked_bluez_version", False)
    bluez.defuse_version_probe()
    assert BlueZFeatures.checked_bluez_version

    async def work(manager: Any) -> None:
        client = BleakClient(await found(MODULE))
        await client.connect()
        await client.disconnect()

    with_manager(work)


def test_the_text_by_which_bleak_tells_of_a_bus_that_we_closed(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("bleak.backends.bluezdbus.manager")
    for known in list(log.filters):
        log.removeFilter(known)

    async def nothing(manager: Any) -> None: ...

    with_manager(nothing)
    (record,) = [each for each in caplog.records if each.name == log.name and each.levelno >= logging.WARNING]
    assert not bluez._unexpected(record)
    record.args = (EOFError(),)
    assert bluez._unexpected(record)
    bluez.defuse_version_probe()


def test_this_is_the_bleak_that_was_looked_at() -> None:
    from importlib.metadata import version

    assert bleak.__name__ == "bleak"
    assert version("bleak").startswith("3.")
