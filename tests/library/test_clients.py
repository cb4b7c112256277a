"""The predecessors' library interface, used as their README shows it."""

import configparser
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import renogybt
from renogybt.clients import BatteryClient, InverterClient, RoverClient, RoverHistoryClient, ShuntClient
from renogybt.errors import ConfigError
from renogybt.settings import Settings
from renogybt.simulator.plant import Plant
from renogybt.simulator.radio import Faults, SimulatedRadio
from renogybt.simulator.system import DEMO_SEED, DEMO_START, demo_settings
from tests.peers.bluez import scenarios as scene
from tests.peers.fixtures import FakeBlueZ

MAC = {device.type: device for device in demo_settings(1883).devices}
SCRIPT = """
import configparser, json, sys
from renogybt import RoverClient

config = configparser.ConfigParser(inline_comment_prefixes=('#'))
config.read(sys.argv[1])

def on_data_received(client, data):
    print("DATA", client.ble_manager.device.name, json.dumps(data), flush=True)
    if not config['data'].getboolean('enable_polling') or on_data_received.count == 2:
        client.stop()
    on_data_received.count += 1

on_data_received.count = 0

def on_error(client, error):
    print("ERROR", error, flush=True)

RoverClient(config, on_data_received, on_error).start()
print("ENDED", flush=True)
"""


def config(type: str, polling: bool = False, **more: str) -> configparser.ConfigParser:
    device = MAC[type]
    parser = configparser.ConfigParser(inline_comment_prefixes=("#",))
    parser.read_dict(
        {
            "device": {
                "mac_addr": device.mac_addr,
                "alias": device.alias,
                "type": "RNG_CTRL",
                "device_id": ",".join(map(str, device.device_id)),
                **more,
            },
            "data": {"enable_polling": str(polling), "poll_interval": "1", "temperature_unit": "F", "fields": ""},
        }
    )
    return parser


def radio(faults: Faults | None = None) -> SimulatedRadio:
    return SimulatedRadio(Plant(DEMO_SEED, DEMO_START), demo_settings(1883), faults=faults)


def collect(
    client_class: Any, parser: configparser.ConfigParser, faults: Faults | None = None
) -> tuple[list[Any], list[Any]]:
    data: list[Any] = []
    errors: list[Any] = []
    client = client_class(
        parser,
        lambda client, found: data.append((client, found)),
        lambda client, error: errors.append((client, error)),
        radio=radio(faults),
    )
    client.start()
    return data, errors


def test_a_controller_is_read_once_and_the_client_returns() -> None:
    ((client, data),), errors = collect(RoverClient, config("RNG_CTRL"))
    assert isinstance(client, RoverClient)
    assert data["function"] == "READ"
    assert data["__client"] == "RoverClient"
    assert data["__device"] == client.ble_manager.device.name
    assert data["battery_temperature"] > 32
    assert not errors


def test_the_class_decides_the_type_whatever_the_file_says() -> None:
    data, _ = collect(BatteryClient, config("RNG_BATT"))
    assert sorted(found["device_id"] for _, found in data) == [48, 49, 50, 51]
    assert all(client.device_ids == [48, 49, 50, 51] for client, _ in data)
    assert all(found["energy_in_kwh"] is None for _, found in data)


@pytest.mark.parametrize(("client_class", "type"), [(InverterClient, "RNG_INVT"), (ShuntClient, "RNG_SHNT")])
def test_the_other_clients_work_the_same_way(client_class: Any, type: str) -> None:
    ((_, data),), errors = collect(client_class, config(type))
    assert data["__client"] == client_class.__name__
    assert not errors


def test_the_history_has_the_three_arrays_and_dates() -> None:
    ((_, data),), _ = collect(RoverHistoryClient, config("RNG_CTRL"))
    assert [len(data[key]) for key in ("daily_power_generation", "daily_charge_ah", "daily_max_power")] == [7, 7, 7]
    assert data["daily"][0]["date"]


def test_stop_from_the_callback_ends_polling() -> None:
    heard: list[Any] = []

    def on_data(client: Any, data: Any) -> None:
        heard.append(data)
        if len(heard) == 2:
            client.stop()

    RoverClient(config("RNG_CTRL", polling=True), on_data, radio=radio()).start()
    assert len(heard) == 2


def test_callbacks_run_in_the_thread_that_called_start() -> None:
    threads: list[Any] = []
    client = RoverClient(config("RNG_CTRL"), lambda *_: threads.append(threading.current_thread()), radio=radio())
    client.start()
    assert threads == [threading.current_thread()]


def test_a_device_that_is_not_there_is_reported_to_on_error() -> None:
    data, errors = collect(RoverClient, config("RNG_CTRL"), Faults(away={MAC["RNG_CTRL"].mac_addr}))
    assert not data
    ((client, error),) = errors
    assert isinstance(client, RoverClient)
    assert "not among the simulated modules" in str(error)


def test_the_load_is_switched_and_the_state_read_back() -> None:
    outcomes: list[Any] = []

    def on_data(client: Any, data: Any) -> None:
        outcomes.append(data)
        if data["function"] == "WRITE":
            client.stop()
        elif len(outcomes) == 1:
            client.set_load(0)

    RoverClient(config("RNG_CTRL", polling=True), on_data, radio=radio()).start()
    assert {"function": "WRITE", "load_status": "off"} in outcomes


def test_a_configuration_that_cannot_be_used_says_why() -> None:
    with pytest.raises(ConfigError, match="device_id"):
        RoverClient(config("RNG_CTRL", device_id="none"))


def test_nothing_is_written_to_disk_for_a_library_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    collect(BatteryClient, config("RNG_BATT"))
    assert list(tmp_path.iterdir()) == []


def test_every_published_name_is_there_and_loads_nothing_before_it_is_used() -> None:
    for name in renogybt.__all__:
        assert getattr(renogybt, name)
    code = "import sys, renogybt; sys.exit(any(m in sys.modules for m in ('bleak', 'paho', 'asyncio', 'requests')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_settings_may_be_handed_over_instead_of_a_parser() -> None:
    settings = Settings(devices=(MAC["RNG_CTRL"],))
    heard: list[Any] = []
    RoverClient(settings, lambda client, data: heard.append(data), radio=radio()).start()
    assert heard[0]["model"]


@pytest.mark.parametrize(("polling", "count"), [("false", 1), ("true", 3)])
def test_the_predecessors_script_over_bluetooth(fake_bluez: FakeBlueZ, tmp_path: Path, polling: str, count: int) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    ini = tmp_path / "config.ini"
    ini.write_text(
        "[device]\nadapter = hci0\n"
        f"mac_addr = {scene.CONTROLLER.lower()} # <-- must update\nalias = BT-TH-66EDFC11 # <-- must update\n"
        "type = RNG_CTRL\ndevice_id = 255 # modify if hub mode or daisy chain (see readme)\n\n"
        f"[data]\nenable_polling = {polling} # periodically read data\npoll_interval = 1 # read data interval (seconds)\n"
        "temperature_unit = F # F = Fahrenheit, C = Celsius\nfields = # fields to log (comma separated)\n\n"
        "[remote_logging]\nenabled = false\nurl = https://example.com/post.php\nauth_header = auth_header # optional\n\n"
        "[mqtt]\nenabled = false\nserver = 192.168.0.16\nport = 1883\ntopic = solar/state\nuser =\npassword =\n\n"
        "[pvoutput]\nenabled = false\napi_key =\nsystem_id =\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(ini)],
        env={**os.environ, **fake.env()},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("DATA")]
    assert len(lines) == count, done.stdout + done.stderr
    _, name, text = lines[0].split(" ", 2)
    data = json.loads(text)
    assert name == "BT-TH-66EDFC11"
    assert data["battery_voltage"] == 14.4
    assert data["battery_temperature"] == 77.0
    assert done.stdout.endswith("ENDED\n")
    assert fake.connections() == []
