"""`make demo`, run as its own program."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from renogybt.cli.board import Board
from renogybt.reading import Identity, Reading
from renogybt.simulator.broker import HOST
from tests.peers.ports import free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0
DEVICES = (
    *("roof_255", "bank_48", "bank_49", "bank_50", "bank_51", "bank_combined"),
    *("van_255", "inverter_32", "shunt_255"),
)


def demo(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "renogybt.cli.demo", "--poll", "1", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def running(port: int) -> Iterator[subprocess.Popen[str]]:
    process = demo("--port", str(port))
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def messages(port: int, wanted: set[str]) -> dict[str, bytes]:
    """The first message on each topic, collected until all the `wanted` ones have come."""
    heard: dict[str, bytes] = {}
    enough = threading.Event()

    def take(client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        heard.setdefault(message.topic, message.payload)
        if wanted <= heard.keys():
            enough.set()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = take
    client.on_connect = lambda client, *rest: client.subscribe("#")
    end = time.monotonic() + PATIENCE
    while True:
        try:
            client.connect(HOST, port)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < end, "no broker"
            time.sleep(0.05)
    client.loop_start()
    assert enough.wait(PATIENCE), f"never heard of {wanted - heard.keys()}, only of {sorted(heard)}"
    client.disconnect()
    client.loop_stop()
    return heard


def test_it_ends_after_the_cycles_asked_for(port):
    process = demo("--port", str(port), "--cycles", "2")
    text, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert errors == ""
    assert f"{HOST}:{port}" in text
    assert f"mosquitto_sub -h {HOST} -p {port}" in text
    for device in DEVICES:
        assert device in text
    assert re.search(r"Solar power +\d+ W", text)
    assert re.search(r"State of charge +\d+\.\d %", text)
    assert "warning" not in text
    assert "error" not in text
    assert "\x1b" not in text


def test_it_ends_after_the_seconds_asked_for(port):
    started = time.monotonic()
    process = demo("--port", str(port), "--seconds", "1.5")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert time.monotonic() - started > 1.5


def test_everything_arrives_at_the_broker(running, port):
    heard = messages(port, {f"solar/state/{name}" for name in DEVICES})
    announced = [topic for topic in heard if topic.startswith("homeassistant/device/") and topic.endswith("/config")]
    assert len(announced) >= 9
    battery = json.loads(heard["solar/state/bank_48"])
    assert 10 < battery["voltage"] < 15
    assert battery["cell_count"] == 4
    assert 0 < json.loads(heard["solar/state/bank_combined"])["combined_charge_percentage"] <= 100


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(running, port, how):
    messages(port, {"solar/state/shunt_255"})
    started = time.monotonic()
    running.send_signal(how)
    text, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0
    assert time.monotonic() - started < 60
    assert errors == ""
    assert re.search(r"Ended after \d+ readings", text)


def test_a_taken_port_is_no_obstacle(running, port):
    messages(port, {"solar/state/shunt_255"})
    other = demo("--port", str(port), "--cycles", "1")
    text, errors = other.communicate(timeout=PATIENCE)
    assert other.returncode == 0
    assert errors == ""
    assert f"Port {port} is taken" in text


def test_without_the_broker_library_it_says_what_to_install(port):
    script = (
        f"import sys; sys.modules['amqtt'] = None\nfrom renogybt.cli.demo import main\nsys.exit(main(['--port', '{port}']))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr


def reading(alias: str, unit: int | None, family: str, moment: float, **values: object) -> Reading:
    return Reading(Identity("02:00:00:00:00:01", unit, alias, True), family, values, 0.0, moment)


def test_the_board_shows_value_unit_age_and_count():
    board = Board()
    for moment in (1.0, 2.5):
        board.take(reading("roof", 1, "controller", moment, pv_power=312, battery_voltage=13.4, charging_status="mppt"))
    title, values = board.lines(now=3.0, width=80)
    assert title.startswith("roof_1  Charge controller")
    assert title.endswith("2 readings, 0.5 s old")
    assert re.search(r"Solar power +312 W  Battery voltage +13\.4 V  Charging state +mppt", values)


def test_the_board_fits_the_screen():
    board = Board()
    shown = {
        "voltage": 13.2,
        "current": 1.0,
        "power": 13.2,
        "battery_level": 50.0,
        "temperature": 20.0,
        "temperature_0": 20.0,
    }
    for unit in range(48, 58):
        board.take(reading("bank", unit, "battery", 1.0, **shown))
    assert len(board.lines(1.0, 80, 24)) == 20
    assert len(board.lines(1.0, 80, 7)) == 7
    assert len(board.lines(1.0, 80)) == 30
    for width in (20, 40, 80, 200):
        assert all(len(line) <= width for line in board.lines(1.0, width))


def test_the_board_counts_whole_rounds():
    board = Board()
    board.take(reading("bank", 48, "battery", 1.0))
    board.take(reading("bank", None, "bank:48,49", 1.0))
    assert board.rounds(2) == 0
    board.take(reading("bank", 49, "battery", 1.0))
    assert board.rounds(2) == 1
    board.take(reading("bank", 48, "battery", 2.0))
    assert board.rounds(2) == 1
    assert board.readings == 4


def test_the_board_names_what_is_missing():
    board = Board()
    board.take(
        Reading(Identity("02:00:00:00:00:01", 48, "bank"), "battery", {"voltage": None}, 0.0, 0.0, missing=("alarms",))
    )
    (title,) = board.lines(0.0, 80)
    assert "missing alarms" in title
