"""`python example.py config.ini` with a device behind an ESPHome proxy, on a machine without Bluetooth."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from renogybt.proxy import remote_faults
from tests.e2e.program import Program, wait_until
from tests.peers.bluez import scenarios as scene
from tests.peers.esphome.proxy import FakeProxy
from tests.peers.fixtures import FakeBlueZ
from tests.peers.mosquitto import Listener, Mosquitto
from tests.proxy.remote_rig import KEY, OTHER_KEY

ADVICE = remote_faults.REMEDIES["InvalidEncryptionKeyAPIError"]


@pytest.fixture
def broker(tmp_path: Path) -> Any:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


def hub(via: str) -> str:
    return f"[device]\nmac_addr = {scene.BATTERIES}\nalias = hub\ntype = RNG_BATT\ndevice_id = 48,49,50,51\nvia = {via}\n"


def data(polling: bool, **more: Any) -> str:
    options = {"enable_polling": str(polling).lower(), "poll_interval": 1, **more}
    return "[data]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


def mqtt(broker: Mosquitto) -> str:
    return f"[mqtt]\nenabled = true\nserver = 127.0.0.1\nport = {broker.port}\nhomeassistant_discovery = true\n"


def test_the_bridge_reads_on_through_a_restart_of_the_proxy(broker: Mosquitto, tmp_path: Path) -> None:
    """The address of the D-Bus leads nowhere: whoever asked for Bluetooth here would say so."""
    ini = data(True, log_level="debug") + mqtt(broker)
    with FakeProxy(scene.batteries(), key=KEY) as proxy, Listener(broker.port) as ears:
        with Program(tmp_path, hub(proxy.via()) + ini, None) as program:
            ears.wait(lambda: len(ears.on("solar/state/hub_combined")) >= 3, 90)
            for pack in scene.PACKS:
                found = json.loads(ears.on(f"solar/state/hub_{pack.unit}")[-1])
                assert (found["voltage"], found["current"], found["capacity"]) == (pack.voltage, pack.current, pack.capacity)
            proxy.restart()
            before = len(ears.on("solar/state/hub_combined"))
            ears.wait(lambda: len(ears.on("solar/state/hub_combined")) >= before + 3, 90)
            code, seconds = program.end(signal.SIGTERM)
            assert code == 0
            assert seconds < 10
            assert KEY not in program.output
            assert "dbus" not in program.output.lower()
        wait_until(lambda: not proxy.linked() and not proxy.sessions, what="the proxy left alone")
        assert proxy.faults == []


def test_a_single_run_for_cron(tmp_path: Path) -> None:
    with FakeProxy(scene.batteries()) as proxy, Program(tmp_path, hub(proxy.via()) + data(False), None) as program:
        assert program.ended() == 0
        assert f'"voltage": {scene.PACKS[0].voltage}' in program.output
        assert proxy.faults == []


def test_a_wrong_key_is_said_once(tmp_path: Path) -> None:
    with FakeProxy(scene.batteries(), key=KEY) as proxy:
        ini = hub(proxy.via(key=OTHER_KEY)) + data(True)
        with Program(tmp_path, ini, None) as program:
            program.says(ADVICE)
            time.sleep(4)
            assert program.output.count(f"WARNING the ESPHome proxy 127.0.0.1:{proxy.port}: {ADVICE}") == 1
            assert OTHER_KEY not in program.output
            program.end()


def test_one_device_here_and_one_elsewhere(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    here = f"[device.rover]\nmac_addr = {scene.CONTROLLER}\ntype = RNG_CTRL\n"
    with FakeProxy(scene.batteries(), key=KEY) as proxy, Listener(broker.port) as ears:
        ini = hub(proxy.via()) + here + data(True) + mqtt(broker)
        with Program(tmp_path, ini, fake) as program:
            ears.wait(lambda: len(ears.on("solar/state/hub_combined")) >= 3, 90)
            ears.wait(lambda: len(ears.on("solar/state/rover_255")) >= 3, 90)
            assert program.end()[0] == 0
        wait_until(lambda: not fake.connections() and not proxy.linked(), what="nothing is left")
