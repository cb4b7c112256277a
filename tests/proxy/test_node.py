"""The node with the client that Home Assistant uses, and the readings of simulated devices."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aioesphomeapi import (
    APIConnectionError,
    EncryptionPlaintextAPIError,
    InvalidEncryptionKeyAPIError,
    RequiresEncryptionAPIError,
)

from renogybt import devices
from renogybt.protocol.table import label_of
from renogybt.proxy import node as node_module
from renogybt.proxy.entities import decimals_of
from renogybt.proxy.node import EsphomeNode
from renogybt.proxy.sink import EsphomeSink
from renogybt.reading import LinkFigures, Reading, Standing
from renogybt.settings import Settings
from renogybt.sinks.discovery import entities
from renogybt.sinks.sink import Shows, Watched
from tests.proxy.given import FIGURES, HOST, KEY, OTHER_KEY, START, Client, identities, readings, running, settings, until

BATTERIES = (48, 49, 50, 51)
FORKS = ("voltage", "current", "power", "battery_level", "remaining_charge", "capacity", "cell_voltage_min", "temperature_0")
COMBINED = 23


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[Reading]:
    return readings(settings(tmp_path_factory.mktemp("told")))


def figures(known: Settings) -> list[Any]:
    return [(identity, FIGURES) for identity in identities(known) if identity.unit is not None]


def device_ids(client_devices: list[Any]) -> dict[str, int]:
    return {device.name: device.device_id for device in client_devices}


@pytest.mark.parametrize("key", ["", KEY], ids=["plain", "encrypted"])
def test_every_value_arrives_as_it_was_measured(tmp_path: Path, told: list[Reading], key: str) -> None:
    known = settings(tmp_path, encryption_key=key)

    async def work() -> None:
        async with running(known, [*told, *figures(known)]) as node, Client(node, key) as client:
            info = await client.api.device_info()
            await client.listen()
            assert len(client.entities) > 300
            ids = device_ids(info.devices)
            compared = sum(compare(client, reading, ids[name(reading)]) for reading in told)
            assert compared > 280
            assert client.named(ids["roof"], "Connection").state is True
            assert client.named(ids["bank 48"], "Signal strength").state == -61
            assert client.named(ids["roof"], "Last update").state == "2023-11-14T22:13:20+00:00"

    run(work())


def name(reading: Reading) -> str:
    identity = reading.identity
    if identity.unit is None:
        return f"{identity.alias} combined"
    return f"{identity.alias} {identity.unit}" if identity.shared else identity.alias


def compare(client: Client, reading: Reading, device: int) -> int:
    """Every value of `reading` that can be an entity with the state of that name; how many there were."""
    rows = entities(devices.family(reading.family), reading.values, ())
    count = 0
    for key, row in rows.items():
        value = reading.values.get(key)
        if value is None:
            continue
        state: Any = client.named(device, label_of(row))
        assert not state.missing_state
        if isinstance(value, bool | str):
            assert state.state in (
                value,
                {"on": True, "off": False, "connected": True, "disconnected": False}.get(str(value)),
            )
        else:
            lasting = row.quantity.unit == "Wh" and key.endswith("_total")
            assert state.state == pytest.approx(value / 1000 if lasting else value, rel=1e-6, abs=5e-4), key
            assert decimals_of(row) >= 0
        count += 1
    return count


def test_four_batteries_have_their_own_values(tmp_path: Path, told: list[Reading]) -> None:
    known = settings(tmp_path)

    async def work() -> None:
        async with running(known, told) as node, Client(node) as client:
            info = await client.api.device_info()
            await client.listen()
            ids, by_unit = device_ids(info.devices), {r.identity.unit: r for r in told if r.identity.alias == "bank"}
            charges = set()
            for unit in BATTERIES:
                table = devices.family(by_unit[unit].family)
                for key in FORKS:
                    row = table.row(key)
                    assert row is not None
                    state: Any = client.named(ids[f"bank {unit}"], label_of(row))
                    assert state.state == pytest.approx(by_unit[unit].values[key], abs=5e-4), (unit, key)
                    charges |= {state.state} if key == "remaining_charge" else set()
            assert len(charges) == 4
            bank = ids["bank combined"]
            states = [state for (device, _), state in client.states.items() if device == bank]
            assert len([state for state in states if not state.missing_state]) >= COMBINED

    run(work())


def test_who_the_node_is(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(settings(tmp_path, encryption_key=KEY)) as node, Client(node, KEY) as client:
            info = await client.api.device_info()
            assert info.name == node.name == client.api._connection.received_name
            assert info.name.startswith("renogy-bridge-")
            assert info.friendly_name == "Renogy bridge"
            assert info.mac_address == node.plate.mac == node.plate.mac.upper()
            assert int(info.mac_address[:2], 16) & 3 == 2
            assert info.project_name.count(".") == 1
            assert info.api_encryption_supported
            assert not info.uses_password
            assert info.bluetooth_proxy_feature_flags == 0
            assert client.api.api_version.minor == 14
            assert [device.name for device in info.devices][:3] == ["roof", "bank 48", "bank 49"]

    run(work())


@pytest.mark.parametrize(
    ("ours", "theirs", "error"),
    [
        (KEY, OTHER_KEY, InvalidEncryptionKeyAPIError),
        (KEY, "A" * 43 + "=", InvalidEncryptionKeyAPIError),
        ("", KEY, EncryptionPlaintextAPIError),
        (KEY, "", RequiresEncryptionAPIError),
    ],
    ids=["wrong key", "probing key", "key where there is none", "no key where there is one"],
)
def test_keys_that_do_not_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ours: str, theirs: str, error: type[APIConnectionError]
) -> None:
    async def work() -> None:
        async with running(settings(tmp_path, encryption_key=ours)) as node:
            for _ in range(3):
                with pytest.raises(error):
                    await Client(node, theirs).__aenter__()
            if ours:
                async with Client(node, ours) as client:
                    await client.api.device_info()
            await until(lambda: not node.sessions)

    run(work())
    said = [record.getMessage() for record in caplog.records if "sent away" in record.getMessage()]
    warned = [record for record in caplog.records if record.levelname == "WARNING" and "sent away" in record.getMessage()]
    assert len(warned) == 1, said
    assert "key" in warned[0].getMessage()
    assert KEY not in caplog.text


def test_a_change_arrives_at_once_and_alone(tmp_path: Path, told: list[Reading]) -> None:
    known = settings(tmp_path)
    battery = next(reading for reading in told if reading.identity.unit == 48)

    async def work() -> None:
        async with running(known, told) as node, Client(node) as client:
            await client.listen()
            ids = device_ids((await client.api.device_info()).devices)
            before, delays = client.updates, []
            for step in range(20):
                changed = replace(battery, values=dict(battery.values) | {"voltage": 12.0 + step / 10})
                start = time.perf_counter()
                await asyncio.to_thread(node.offer, changed)
                await until(lambda value=12.0 + step / 10: abs(client.named(ids["bank 48"], "Voltage").state - value) < 1e-4)
                delays.append(time.perf_counter() - start)
            assert client.updates == before + 20
            assert sorted(delays)[10] < 0.5  # a hundredth of a second on an idle machine

    run(work())


def test_pings_are_answered_while_readings_pour_in(tmp_path: Path, told: list[Reading]) -> None:
    known = settings(tmp_path, encryption_key=KEY)

    async def work() -> None:
        async with running(known, told) as node, Client(node, KEY) as client:
            await client.listen()
            delays = []
            for step in range(60):
                for reading in told:
                    if "voltage" in reading.values:
                        node.offer(replace(reading, values=dict(reading.values) | {"voltage": 12.0 + step / 100}))
                start = time.perf_counter()
                await client.api.device_info()
                delays.append(time.perf_counter() - start)
            assert sorted(delays)[-1] < 10
            assert sorted(delays)[30] < 0.5

    run(work())


def test_two_clients_each_have_their_own_session(tmp_path: Path, told: list[Reading]) -> None:
    known = settings(tmp_path)
    battery = next(reading for reading in told if reading.identity.unit == 49)

    async def work() -> None:
        async with running(known, told) as node, Client(node) as one:
            await one.listen()
            async with Client(node) as other:
                assert node.clients == 2
                node.offer(replace(battery, values=dict(battery.values) | {"voltage": 11.5}))
                ids = device_ids((await one.api.device_info()).devices)
                await until(lambda: one.named(ids["bank 49"], "Voltage").state == 11.5)
                assert other.states == {}
                await other.listen()
                assert other.named(ids["bank 49"], "Voltage").state == 11.5
            await until(lambda: node.clients == 1)
            node.offer(replace(battery, values=dict(battery.values) | {"voltage": 11.0}))
            await until(lambda: one.named(ids["bank 49"], "Voltage").state == 11.0)

    run(work())


@pytest.mark.parametrize("key", ["", KEY], ids=["plain", "encrypted"])
def test_a_restart_changes_no_key(tmp_path: Path, told: list[Reading], key: str) -> None:
    """The client that comes back before anything was read finds all entities, with the keys they had, without values."""

    async def listing(news: list[Any]) -> tuple[Any, dict[Any, Any], dict[Any, Any]]:
        async with running(settings(tmp_path, encryption_key=key), news) as node, Client(node, key) as client:
            info = await client.api.device_info()
            await client.listen()
            return info, client.entities, client.states

    async def work() -> None:
        known = settings(tmp_path)
        before, entities_before, states = await listing([*told, *figures(known)])
        after, entities_after, later = await listing([])
        assert (after.mac_address, after.name, after.devices) == (before.mac_address, before.name, before.devices)
        assert entities_after == entities_before
        assert not all(state.missing_state for state in states.values())
        assert all(state.missing_state for state in later.values())
        assert all(math.isnan(state.state) for state in later.values() if type(state).__name__ == "SensorState")

    run(work())


def test_a_device_first_read_later_appears_by_itself(
    tmp_path: Path, told: list[Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "SETTLE", 0.05)
    late = next(reading for reading in told if reading.identity.unit == 51)
    known = settings(tmp_path)

    async def work() -> None:
        async with running(known, [reading for reading in told if reading is not late]) as node:
            async with Client(node) as client:
                await client.listen()
                ids = device_ids((await client.api.device_info()).devices)
                with pytest.raises(ValueError, match="not enough"):
                    client.named(ids["bank 51"], "Voltage")
                before, updates = client.entities, client.updates
                node.offer(late)
                await asyncio.wait_for(client.left.wait(), 40)
                assert client.expected is True
                assert client.updates <= updates + 1  # its status; nothing that is not in this client's list
            async with Client(node) as again:
                await again.listen()
                assert again.named(ids["bank 51"], "Voltage").state == pytest.approx(late.values["voltage"])
                assert {place: again.entities[place] for place in before} == before
                node.offer(late)
                node.offer((late.identity, LinkFigures(connected=True)))
                await asyncio.sleep(0.2)
                assert not again.left.is_set()

    run(work())


def test_a_silent_device_has_missing_states(tmp_path: Path, told: list[Reading]) -> None:
    known = settings(tmp_path)
    roof = next(reading for reading in told if reading.identity.alias == "roof")

    async def work() -> None:
        async with running(known, told) as node, Client(node) as client:
            await client.listen()
            ids, sink = device_ids((await client.api.device_info()).devices), EsphomeSink(node)
            sink.standing(Standing(roof.identity, "stale", roof, 65))
            sink.standing(Standing(roof.identity, "offline", roof, 400))
            sink.figures(roof.identity, LinkFigures(connected=False))
            await until(lambda: client.named(ids["roof"], "Solar power").missing_state)
            assert client.named(ids["roof"], "Connection").state is False
            assert client.named(ids["roof"], "Connection status").state == "offline"
            assert not client.named(ids["bank 48"], "Voltage").missing_state
            sink.offer(roof)
            await until(lambda: not client.named(ids["roof"], "Solar power").missing_state)

    run(work())


def test_the_node_says_goodbye(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(settings(tmp_path)) as node, Client(node) as client:
            start = time.perf_counter()
            await node.close()
            assert time.perf_counter() - start < 20
            await asyncio.wait_for(client.left.wait(), 40)
            assert client.expected is True

    run(work())


def test_a_client_that_reads_nothing_holds_up_nobody(tmp_path: Path, told: list[Reading]) -> None:
    """It asks for the list for ever and never reads an answer; another client notices nothing."""
    known = settings(tmp_path)

    async def work() -> None:
        async with running(known, told) as node:
            _, writer = await asyncio.open_connection(HOST, node.port)
            writer.write(b"\x00\x00\x01" + b"\x00\x00\x0b" * 2000)
            async with Client(node) as client:
                await client.listen()
                await until(lambda: node.clients == 1)
            writer.close()

    run(work())


def test_without_sensors_there_are_none(tmp_path: Path, told: list[Reading]) -> None:
    async def work() -> None:
        async with running(settings(tmp_path, esphome_sensors=False), told) as node, Client(node) as client:
            await client.listen()
            assert client.entities == {}
            assert (await client.api.device_info()).devices == []

    run(work())


def test_one_device_and_fahrenheit(tmp_path: Path, told: list[Reading]) -> None:
    known = settings(tmp_path, temperature_unit="F", esphome_subdevices=False)
    van = next(reading for reading in told if reading.identity.alias == "van")

    async def work() -> None:
        async with running(known, told) as node, Client(node) as client:
            await client.listen()
            assert (await client.api.device_info()).devices == []
            warmth: Any = client.named(0, "van Controller temperature")
            assert warmth.state == pytest.approx(van.values["controller_temperature"] * 1.8 + 32, abs=0.01)
            units = {one.unit_of_measurement for one in client.entities.values() if hasattr(one, "unit_of_measurement")}
            assert "°F" in units
            assert "°C" not in units

    run(work())


def test_an_old_home_assistant_gets_names_that_need_no_sub_devices(tmp_path: Path, told: list[Reading]) -> None:
    """To it an entity is its kind and object_id, and of two with the same it drops one."""

    async def work() -> None:
        async with (
            running(settings(tmp_path), told) as node,
            Client(node, info="Home Assistant 2025.6.3") as old,
            Client(node, info="Home Assistant 2025.7.0") as new,
        ):
            await new.listen()
            await old.listen()
            flat = list(old.entities.values())
            assert len({(type(one), one.object_id) for one in flat}) == len(flat) == len(new.entities)
            assert {one.device_id for one in flat} == {0}
            assert {one.key for one in flat} == {one.key for one in new.entities.values()}
            assert {key for _, key in old.states} == {key for _, key in new.states}
            (volts,) = [one for one in flat if one.name == "bank 48 Voltage"]
            assert volts.object_id == "bank_48_voltage"

    run(work())


def test_news_from_another_thread_before_and_after(tmp_path: Path, told: list[Reading]) -> None:
    """Nothing offered while the node does not run is lost or piles up, and it can run again in another loop."""
    known = settings(tmp_path)
    node = EsphomeNode(known, identities(known), host=HOST)
    for _ in range(50):
        for reading in told:
            node.offer(reading)
    assert len(node._inbox) == len(told)

    async def work() -> None:
        await node.start()
        async with Client(node) as client:
            await client.listen()
            assert len(client.entities) > 250
        await node.close()

    run(work())
    node.offer(readings(known, START + 3600)[0])
    run(work())


def test_a_loop_that_hangs_can_be_left(tmp_path: Path, told: list[Reading]) -> None:
    """The port and the clients of a loop that does nothing any more are given back, and the next loop takes over."""
    known = settings(tmp_path)
    node = EsphomeNode(known, identities(known), host=HOST)
    hung = asyncio.new_event_loop()
    hung.run_until_complete(node.start())
    port = node.port

    async def connect() -> None:
        await Client(node).__aenter__()

    hung.run_until_complete(connect())
    node.abandon()
    known_port = settings(tmp_path, native_api_port=port)
    node._server._port = known_port.home_assistant_proxy.native_api_port

    async def work() -> None:
        await node.start()
        assert node.port == port
        node.offer(told[0])
        async with Client(node) as again:
            await again.listen()
            assert len(again.entities) > 40
        await node.close()

    run(work())
    for task in asyncio.all_tasks(hung):
        task.cancel()
    hung.run_until_complete(asyncio.sleep(0.05))
    hung.close()


def test_the_sink_has_the_shape_of_the_others(tmp_path: Path) -> None:
    known = settings(tmp_path)
    sink = EsphomeSink(EsphomeNode(known, identities(known), host=HOST))
    assert isinstance(sink, Shows)
    assert isinstance(sink, Watched)
    assert sink.health()["esphome"].state == "disconnected"
    sink.start()
    assert sink.flush(1) == ""
    assert sink.stop(1)
