"""`python ha_proxy_example.py config.ini`: Home Assistant's own client sees the devices, without a broker and beside one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aioesphomeapi import APIClient, APIConnectionError, ButtonInfo, EntityInfo, EntityState, SensorInfo

from tests.e2e.program import ROOT, Program
from tests.e2e.test_example import HUB, data, latest, mqtt, nothing_left
from tests.peers.bluez import scenarios as scene
from tests.peers.fixtures import FakeBlueZ
from tests.peers.mosquitto import Listener, Mosquitto, free_port

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class Proxy(Program):
    script = "ha_proxy_example.py"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


def node(port: int, **more: object) -> str:
    options = {"native_api_port": port, "mdns_ip": "127.0.0.1", **more}
    return "[home_assistant_proxy]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


class Seen:
    """What the client was told: entities by name of device and entity, and their states."""

    def __init__(self) -> None:
        self.devices: dict[int, str] = {}
        self.entities: dict[tuple[int, int], EntityInfo] = {}
        self.states: dict[tuple[int, int], EntityState] = {}

    def value(self, device: str, key: str) -> Any:
        for place, entity in self.entities.items():
            if self.devices[place[0]] == device and entity.object_id == key:
                state = self.states.get(place)
                return None if state is None or state.missing_state else state.state  # type: ignore[attr-defined]
        raise AssertionError(f"{device} has no {key}; there are {sorted(e.object_id for e in self.entities.values())}")

    @property
    def keys(self) -> dict[tuple[str, str], int]:
        return {(self.devices[place[0]], entity.object_id): place[1] for place, entity in self.entities.items()}


async def client(port: int, key: str = "") -> APIClient:
    """As Home Assistant does, it comes again until it is let in."""
    while True:
        api = APIClient("127.0.0.1", port, None, client_info="test", noise_psk=key or None)
        try:
            await api.connect(login=True)
        except APIConnectionError:
            await asyncio.sleep(0.1)
        else:
            return api


async def look(api: APIClient, enough: Callable[[Seen], bool], seconds: float = 60) -> Seen:
    seen = Seen()
    info = await api.device_info()
    seen.devices = {0: "", **{device.device_id: device.name for device in info.devices}}
    found, _ = await api.list_entities_services()
    seen.entities = {(entity.device_id, entity.key): entity for entity in found}
    api.subscribe_states(lambda state: seen.states.__setitem__((state.device_id, state.key), state))
    async with asyncio.timeout(seconds):
        while not enough(seen):
            await asyncio.sleep(0.02)
    return seen


async def met(port: int, key: str, enough: Callable[[Seen], bool]) -> Seen:
    """Sent away, as it is when there are more entities than before, the client comes again."""
    while True:
        api = await client(port, key)
        try:
            return await look(api, enough, 20)
        except (TimeoutError, APIConnectionError):
            continue
        finally:
            with contextlib.suppress(APIConnectionError):
                await api.disconnect()


def run(work: Awaitable[Any], seconds: float = 110) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(bounded())


@pytest.mark.parametrize("key", ["", KEY])
def test_four_batteries_with_and_without_a_broker(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path, key: str
) -> None:
    fake = fake_bluez(scene.scenario(scene.batteries()))
    port = free_port()
    ini = HUB + data(False) + mqtt(broker) + node(port, encryption_key=key)
    with Listener(broker.port) as ears, Proxy(tmp_path, ini, fake) as program:
        latest(ears, "solar/state/hub_combined")

        def full(seen: Seen) -> bool:
            return sum(not state.missing_state for state in seen.states.values() if hasattr(state, "missing_state")) > 55

        seen = run(met(port, key, full))
        assert len(seen.entities) >= 55
        for pack in scene.PACKS:
            name = f"hub {pack.unit}"
            assert seen.value(name, "voltage") == pytest.approx(pack.voltage, abs=0.001)
            assert seen.value(name, "current") == pytest.approx(pack.current, abs=0.001)
            assert seen.value(name, "remaining_charge") == pytest.approx(pack.remaining, abs=0.001)
        assert seen.value("hub combined", "bank_current") == pytest.approx(sum(p.current for p in scene.PACKS), abs=0.001)
        energy = [e for e in seen.entities.values() if isinstance(e, SensorInfo) and "charged_energy" in e.object_id]
        assert energy
        assert {entity.unit_of_measurement for entity in energy} == {"kWh"}
        code, took = program.end()
        assert code == 0
        assert took < 10
    nothing_left(fake)
    with Proxy(tmp_path, ini, fake) as program:
        assert run(met(port, key, lambda again: len(again.states) > 55)).keys == seen.keys
        assert program.end()[0] == 0


def test_a_silent_device_has_no_values_and_comes_back(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    port = free_port()
    ini = f"[device]\nmac_addr = {scene.CONTROLLER}\nalias = rover\n" + data(True) + node(port)
    ini += (
        "[availability]\nstale_seconds = 3\noffline_seconds = 6\n[bluetooth]\ndiscovery_timeout = 1\ndiscovery_retries = 1\n"
    )
    with Proxy(tmp_path, ini, fake) as program:

        async def work() -> None:
            def volts(seen: Seen) -> Any:
                return seen.value("rover", "battery_voltage")

            while True:  # the client is asked to come again when the entities are known
                api = await client(port)
                seen = await look(api, lambda seen: True)
                if any(entity.object_id == "battery_voltage" for entity in seen.entities.values()):
                    break
                await api.disconnect()
                await asyncio.sleep(0.2)
            async with asyncio.timeout(80):
                while volts(seen) is None:
                    await asyncio.sleep(0.05)
                assert volts(seen) == pytest.approx(14.4, abs=0.001)
                fake.module(scene.CONTROLLER, advertising=False, connect_s=3600)
                fake.drop_link(scene.CONTROLLER)
                while volts(seen) is not None:
                    await asyncio.sleep(0.05)
                fake.module(scene.CONTROLLER, advertising=True, connect_s=0.1)
                while volts(seen) is None:
                    await asyncio.sleep(0.05)
            assert volts(seen) == pytest.approx(14.4, abs=0.001)
            await api.disconnect()

        run(work())
        assert program.end()[0] == 0


HASTY = """
import renogybt.proxy.resident

renogybt.proxy.resident.AGAIN = 0.3
"""
"""Python loads this at its start: nobody has half a minute here."""


def test_a_port_that_is_taken_is_said_and_had_later(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    import socket

    fake = fake_bluez(scene.scenario(scene.controller()))
    (tmp_path / "sitecustomize.py").write_text(HASTY, "utf-8")
    ini = f"[device]\nmac_addr = {scene.CONTROLLER}\nalias = rover\n" + data(True)
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with Proxy(tmp_path, ini + node(port), fake, PYTHONPATH=f"{tmp_path}:{ROOT}") as program, taken:
        program.says(f"port {port} of the ESPHome native API cannot be opened: another program uses it; end the other")
        program.says("connected to BT-TH-66EDFC11")
        taken.close()
        program.says("Home Assistant can connect to the ESPHome node")
        assert f"on port {port}" in program.output
        assert program.output.count("cannot be opened") == 1
        assert program.end()[0] == 0


WITHOUT = """
from importlib.machinery import PathFinder

real = PathFinder.find_spec


def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] == "aioesphomeapi" else real(name, path, target)


PathFinder.find_spec = find_spec
"""
"""Python loads this at its start: the package is not installed."""


def test_without_the_extra_the_first_program_goes_on_and_the_second_says_what_is_missing(
    fake_bluez: FakeBlueZ, tmp_path: Path
) -> None:
    """Files of the predecessor may have it switched on, and are also given to example.py, which took no notice of it."""
    fake = fake_bluez(scene.scenario(scene.controller()))
    (tmp_path / "sitecustomize.py").write_text(WITHOUT, "utf-8")
    ini = f"[device]\nmac_addr = {scene.CONTROLLER}\nalias = rover\n" + data(True) + node(free_port(), enabled="true")
    with Program(tmp_path, ini, fake, PYTHONPATH=str(tmp_path)) as program:
        program.says("rover_255 =>")
        assert "needs the package aioesphomeapi" in program.output
        assert "All the rest goes on without it" in program.output
        assert program.end()[0] == 0
    with Proxy(tmp_path, ini, fake, PYTHONPATH=str(tmp_path)) as program:
        assert program.ended() == 2
        assert "pip install '.[esphome]'" in program.output
    nothing_left(fake)


SOON = """
import renogybt.command

renogybt.command.RELEASE_MINUTES = 0.05
"""
"""Python loads this at its start: nobody has ten minutes here."""


def test_a_button_frees_the_module_for_the_phone_app_and_it_comes_back(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    (tmp_path / "sitecustomize.py").write_text(SOON, "utf-8")
    port = free_port()
    few = data(True, fields="connection_status")  # a list that does not grow with the first reading, so no new connection
    ini = f"[device]\nmac_addr = {scene.CONTROLLER}\nalias = rover\n" + few + node(port, encryption_key=KEY)
    with Proxy(tmp_path, ini, fake, PYTHONPATH=f"{tmp_path}:{ROOT}") as program:
        program.says("connected to BT-TH-66EDFC11")

        async def work() -> None:
            api = await client(port, KEY)
            seen = await look(api, lambda seen: seen.value("rover", "connection_status") == "online")
            (button,) = [one for one in seen.entities.values() if isinstance(one, ButtonInfo)]
            assert seen.devices[button.device_id] == "rover"
            (status,) = [place for place, one in seen.entities.items() if one.object_id == "connection_status"]
            told: list[str] = []
            api.subscribe_states(lambda one: told.append(one.state) if (one.device_id, one.key) == status else None)  # type: ignore[attr-defined]
            fake.clear_log()
            api.button_command(button.key, device_id=button.device_id)
            async with asyncio.timeout(30):
                while told[-2:] != ["released", "online"]:
                    await asyncio.sleep(0.02)
            assert fake.events("disconnected")
            assert [link["address"] for link in fake.connections()] == [scene.CONTROLLER]
            assert api._connection is not None  # nobody was sent away for it
            await api.disconnect()

        run(work())
        assert "rover is released for 0.05 min" in program.output
        assert program.end()[0] == 0
    nothing_left(fake)


def test_its_section_is_checked_although_the_file_has_it_switched_off(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    faults = node(6053, enabled="false", encryption_key=KEY[:-1], renogy_poll_mode="scheduled", renogy_read_interval=0)
    with Proxy(tmp_path, data(True) + faults.replace("127.0.0.1", "here"), fake) as program:
        assert program.ended() == 2
    assert "(4 problems)" in program.output
    for place in (
        "[device]",
        "encryption_key = ***: must be 32",
        "mdns_ip = here: must be",
        "renogy_read_interval = 0: must be",
    ):
        assert place in program.output
    assert "renogybt esphome-key makes such a key" in program.output
    assert KEY[:-1] not in program.output


def test_a_bluetooth_proxy_needs_no_device(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    port = free_port()
    with Proxy(tmp_path, node(port, with_renogy_client="false", max_connections=0), fake) as program:

        async def work() -> None:
            api = await client(port)
            info = await api.device_info()
            assert info.bluetooth_proxy_feature_flags == 97  # it listens only
            assert (await api.list_entities_services())[0] == []
            heard = asyncio.Event()
            wanted = int(scene.CONTROLLER.replace(":", ""), 16)

            def hear(message: Any) -> None:
                if any(one.address == wanted for one in message.advertisements):
                    heard.set()

            api.subscribe_bluetooth_le_raw_advertisements(hear)
            await asyncio.wait_for(heard.wait(), 20)
            await api.disconnect()

        run(work())
        assert program.end()[0] == 0
    nothing_left(fake)
