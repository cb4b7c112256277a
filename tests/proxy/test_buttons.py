"""The button of each module, by which Home Assistant asks to have it for the phone app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aioesphomeapi import ButtonInfo, EntityCategory

from renogybt.command import RELEASE_MINUTES, Command
from renogybt.proxy import node as node_module
from renogybt.proxy.buttons import AGAIN, Presses
from renogybt.proxy.catalogue import Catalogue
from renogybt.proxy.entities import Button
from renogybt.proxy.node import EsphomeNode
from renogybt.reading import Identity, Standing
from renogybt.settings import Settings
from renogybt.sinks.release import button, hosts
from tests.proxy.given import HOST, KEY, Client, identities, settings, until
from tests.proxy.test_catalogue import ALL, BANK, HOUSE_48, ROVER
from tests.sinks.announced import DEVICE

ROOF = Button("8428d7ff0001", 7, 3, "Release")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


@asynccontextmanager
async def obeying(known: Settings) -> AsyncIterator[tuple[EsphomeNode, list[Command]]]:
    heard: list[Command] = []
    node = EsphomeNode(known, identities(known), None, HOST, heard.append)
    await node.start()
    try:
        yield node, heard
    finally:
        await node.close()


def buttons(client: Client) -> dict[int, ButtonInfo]:
    """By the id of their device."""
    return {one.device_id: one for one in client.entities.values() if isinstance(one, ButtonInfo)}


@pytest.mark.parametrize("key", ["", KEY], ids=["plain", "encrypted"])
def test_each_module_has_one_and_pressing_it_asks_for_a_release(tmp_path: Path, key: str) -> None:
    known = settings(tmp_path, encryption_key=key)

    async def work() -> None:
        async with obeying(known) as (node, heard), Client(node, key) as client:
            names = {device.device_id: device.name for device in (await client.api.device_info()).devices}
            await client.listen()
            found = {names[device]: one for device, one in buttons(client).items()}
            assert sorted(found) == ["bank combined", "inverter", "roof", "shunt", "van"]
            over_mqtt = button(ROVER, DEVICE)
            for one in found.values():
                assert one.name == over_mqtt["name"]
                assert one.icon == over_mqtt["icon"]
                assert one.entity_category == EntityCategory.CONFIG
                assert one.object_id == "release_for_the_phone_app"
            pressed = found["bank combined"]
            client.api.button_command(pressed.key, device_id=pressed.device_id)
            client.api.button_command(found["roof"].key)  # as one that does not know of sub-devices
            await until(lambda: len(heard) == 2)
            (bank,) = [one for one in identities(known) if one.alias == "bank" and one.unit is None]
            assert heard[0] == Command("release", bank.uid, RELEASE_MINUTES)
            assert heard[1].device == next(one.uid for one in identities(known) if one.alias == "roof")

    run(work())


def test_keys_stay_the_same_and_are_nobody_elses(tmp_path: Path) -> None:
    first, second = Catalogue(ALL, buttons=True).listing, Catalogue(reversed(ALL), buttons=True).listing
    assert first.buttons == second.buttons
    assert {one.uid for one in first.buttons.values()} == {ROVER.uid, BANK.uid}
    assert not {entity.number for entity in first.entities.values()} & first.buttons.keys()
    assert [entity.number for entity in first.entities.values()] == [
        entity.number for entity in Catalogue(ALL).listing.entities.values()
    ]


def test_with_one_device_for_all_each_button_tells_whose_it_is() -> None:
    found = Catalogue(ALL, subdevices=False, buttons=True).listing.buttons.values()
    assert {(one.name, one.device) for one in found} == {
        ("roof Release for the phone app", 0),
        ("House combined Release for the phone app", 0),
    }


def test_nobody_hears_it_so_there_is_none() -> None:
    assert Catalogue(ALL).listing.buttons == {}


def test_a_new_device_has_its_button_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "SETTLE", 0.05)
    known = settings(tmp_path)
    newcomer = Identity("AA:BB:CC:00:00:07", 1, "shed")

    async def work() -> None:
        async with obeying(known) as (node, heard):
            async with Client(node) as client:
                await client.listen()
                before = buttons(client)
                node.offer(Standing(newcomer, "stale"))
                await asyncio.wait_for(client.left.wait(), 10)
            async with Client(node) as client:
                await client.listen()
                (new,) = set(buttons(client)) - set(before)
                client.api.button_command(buttons(client)[new].key, device_id=new)
                await until(lambda: bool(heard))
                assert heard[0].device == newcomer.uid

    run(work())


def test_a_button_that_does_not_exist_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = settings(tmp_path)

    async def work() -> None:
        async with obeying(known) as (node, heard), Client(node) as client:
            await client.listen()
            one = next(iter(buttons(client).values()))
            for key, device in ((1, 0), (1, 0), (one.key, 99), (one.key, 99)):
                client.api.button_command(key, device_id=device)
            client.api.button_command(one.key, device_id=one.device_id)
            await until(lambda: bool(heard))
            assert len(heard) == 1

    with caplog.at_level(logging.INFO):
        run(work())
    told = [record.message for record in caplog.records if "does not exist" in record.message]
    assert len(told) == 2
    assert "reload the ESPHome integration" in told[0]


def test_pressing_again_at_once_is_once() -> None:
    heard: list[Command] = []
    presses = Presses(heard.append)
    for now in (5.0, 5.1, 5.0 + AGAIN - 0.01, 5.0 + AGAIN, 5.1 + AGAIN):
        presses.press({7: ROOF}, 7, 3, "a client", now)
    assert len(heard) == 2


def test_what_is_told_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    presses = Presses(lambda command: None)
    for number in range(1000):
        presses.press({7: ROOF}, 1000 + number, 0, "a client", 0.0)
    assert len(presses._told) <= 64


def test_the_same_modules_as_over_mqtt() -> None:
    more = [*ALL, replace(HOUSE_48, mac="", alias="no address")]
    listed = Catalogue(more, buttons=True).listing.buttons.values()
    assert {one.uid for one in listed} == {host.uid for host in hosts(more)}
