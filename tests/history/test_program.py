"""The whole way: from the modules over the real bleak backend into the file, and out of it again with the export."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

from renogybt.data_logger import DataLogger
from renogybt.errors import UserError
from renogybt.history import History
from renogybt.settings import Data, Settings
from renogybt.settings import History as Wish
from tests.e2e.program import Program, wait_until
from tests.e2e.test_example import HUB, ROVER, data
from tests.history.given import NOON, reading
from tests.peers.bluez import scenarios as scene
from tests.peers.fixtures import FakeBlueZ
from tests.peers.mosquitto import Listener, Mosquitto

KEEP = "[history]\nenabled = true\nflush_seconds = 1\n"


def exported(config: Path, *words: str) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "renogybt.cli.export", str(config), *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    return list(csv.DictReader(io.StringIO(ended.stdout)))


def days_known(path: Path) -> int:
    try:
        with History(path) as history:
            uids = [device.uid for device in history.devices() if device.label.startswith("rover")]
            return sum(bool(day.controller) for uid in uids for day in history.days(uid, "2000-01-01", "2100-01-01"))
    except UserError:
        return 0


def test_readings_and_the_controllers_own_days_are_kept_and_exported(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(), scene.batteries(), adv_interval_s=0.05))
    with Mosquitto(tmp_path / "broker") as broker, Listener(broker.port) as ears:
        mqtt = f"[mqtt]\nenabled = true\nserver = 127.0.0.1\nport = {broker.port}\n"
        devices = ROVER.replace("[device]", "[device.rover]") + HUB
        with Program(tmp_path, devices + data(True) + KEEP + mqtt, fake) as program:
            wait_until(lambda: days_known(tmp_path / "history.sqlite") == 7, 60, "the days that the controller keeps")
            ears.wait(lambda: len(ears.on("solar/state/hub_combined")) >= 4, 30)
            while_running = exported(program.config, "--device", "rover", "--resolution", "full")
            assert program.end()[0] == 0
        topics = {message.topic for message in ears.messages if "history" in message.topic or "daily" in message.payload}
    assert topics == set()
    assert while_running[0]["battery_voltage"] == "14.4"
    assert while_running[0]["time"].startswith(date.today().isoformat())
    yesterday = (date.today() - timedelta(days=1)).isoformat()
    month = ("--from", (date.today() - timedelta(days=30)).isoformat(), "--resolution", "day")
    days = {row["time"]: row for row in exported(program.config, "--device", "rover", *month)}
    assert len(days) == 7
    assert float(days[yesterday]["generation"]) > 0
    assert days[yesterday]["battery_voltage_mean"] == ""
    assert days[date.today().isoformat()]["battery_voltage_mean"] == "14.4"
    for pack in scene.PACKS:
        found = exported(program.config, "--device", f"hub_{pack.unit}", "--resolution", "full")
        assert {row["current"] for row in found} == {str(pack.current)}
    assert len(exported(program.config, "--device", "hub_combined", "--resolution", "full")) >= 4
    assert fake.violations() == []


def test_the_data_logger_tells_how_the_history_does(tmp_path: Path) -> None:
    wish = Settings(data=Data(enable_polling=True), history=Wish(enabled=True), folder=str(tmp_path))
    logger = DataLogger(wish)
    logger.start()
    logger.log(reading(NOON, pv_power=1))
    assert logger.flush(5) == ""
    assert logger.health()["history"] == {"state": "disk", "waiting": 0, "delivered": 1, "dropped": 0, "trouble": ""}
    assert logger.stop(5)


def test_without_the_wish_there_is_no_history(tmp_path: Path) -> None:
    logger = DataLogger(Settings(folder=str(tmp_path)))
    logger.start()
    logger.log(reading(NOON, pv_power=1))
    logger.log_past(reading(NOON, pv_power=1))
    assert logger.stop(5)
    assert list(tmp_path.iterdir()) == []
