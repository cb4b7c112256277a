"""The program itself, from config.ini over the real Bluetooth backend to real servers, all outlets on."""

from __future__ import annotations

import json
import sqlite3
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from renogybt.history import History
from renogybt.sinks.document import iso
from tests.e2e.program import Program, wait_until
from tests.outage.given import ZONE, of_time, slots, through
from tests.peers.bluez import scenarios as scene
from tests.peers.door import Door
from tests.peers.fixtures import FakeBlueZ
from tests.peers.mosquitto import Listener, Mosquitto
from tests.peers.pvoutput import PvoutputPeer
from tests.peers.web import Web

SYSTEM = {"api_key": "secret-key", "system_id": "1234"}


def section(name: str, **options: object) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


def rover(**more: object) -> str:
    return section("device", mac_addr=scene.CONTROLLER, type="RNG_CTRL", device_id=255, alias="rover", **more)


def truth() -> dict[str, Any]:
    return dict(scene.captured("rvr40-dynamic")["expected"])


def kept(folder: Path) -> list[str]:
    """The outlets of the records in the outbox."""
    with sqlite3.connect(folder / "outbox.sqlite") as database:
        found = [str(row[0]) for row in database.execute("SELECT outlet FROM waiting ORDER BY number")]
    database.close()
    return found


def test_a_single_run_keeps_what_the_next_delivers(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Web() as web, Door(web.port) as door:
        ini = rover() + section("data", enable_polling="false")
        ini += section("remote_logging", enabled="true", url=through(web.url, door.port))
        door.shut()
        times = [time.time()]
        with Program(tmp_path, ini, fake) as program:
            assert program.ended() == 0
            assert "nothing listens there" in program.output
            assert "kept in the outbox" in program.output
        assert kept(tmp_path) == ["remote_logging"]
        door.open()
        times.append(time.time())
        with Program(tmp_path, ini, fake) as program:
            assert program.ended() == 0
        times.append(time.time())
        assert kept(tmp_path) == []
    bodies = [json.loads(asked.body) for asked in web.asked]
    assert [body["battery_voltage"] for body in bodies] == [14.4, 14.4]
    assert len(of_time(web)) == 2
    assert of_time(web) == sorted(of_time(web))
    for taken_at, (after, before) in zip(of_time(web), pairwise(times), strict=True):
        assert iso(after) <= taken_at <= iso(before)


def test_all_outlets_on(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    began = time.time()
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Listener(broker.port) as ears,
        Web() as web,
        Door(web.port) as door,
        Web() as influx,
        PvoutputPeer(time.time, ZONE) as service,
    ):
        ini = (
            rover()
            + section("data", enable_polling="true", poll_interval=1, temperature_unit="F", timezone=ZONE)
            + section("mqtt", enabled="true", server="127.0.0.1", port=broker.port, topic="solar/state", replay="true")
            + section("remote_logging", enabled="true", url=through(web.url, door.port), auth_header="token")
            + section("pvoutput", enabled="true", url=service.url, status_interval=1, **SYSTEM)
            + section("influxdb", enabled="true", url=influx.url.removesuffix("/log"), org="home", token="t")
            + section("history", enabled="true", flush_seconds=1)
            + section("outbox", flush_seconds=1)
        )
        with Program(tmp_path, ini, fake) as program:
            wait_until(lambda: len(web.asked) >= 3 and influx.asked and service.system.times, what="the first records")
            door.shut()
            broker.stop()
            since, frames = time.time(), len(fake.frames())
            wait_until(lambda: len(fake.frames()) >= frames + 7, what="readings that are not delivered")
            back = time.time()
            broker.start()
            ears.wait(lambda: len(ears.on("solar/state/replay")) >= 4, 60)
            code, seconds = program.end()
        ended = time.time()
        assert (code, program.running) == (0, False)
        assert seconds < 18
        assert "Traceback" not in program.output
        assert "secret-key" not in program.output
        waiting = kept(tmp_path)
        assert waiting.count("remote_logging") >= 5
        assert set(waiting) <= {"remote_logging", "mqtt_replay", "pvoutput"}
        read = [json.loads(asked.body) for asked in web.asked]

    expected = truth()
    warm = round(expected["controller_temperature"] * 9 / 5 + 32, 2)
    assert {body["controller_temperature"] for body in read} == {warm}
    assert {body["battery_voltage"] for body in read} == {expected["battery_voltage"]}
    assert {asked.headers["Authorization"] for asked in web.asked} == {"Bearer token"}
    assert of_time(web) == sorted(of_time(web))

    live = json.loads(ears.on("solar/state")[-1])
    assert live["controller_temperature"] == warm
    replayed = [json.loads(payload) for payload in ears.on("solar/state/replay")]
    moments = [record["taken_at_epoch"] for record in replayed]
    assert moments == sorted(set(moments))
    assert len([at for at in moments if since < at < back]) >= 4, "those that the broker missed"

    assert service.system.times == [
        slot for slot in slots(range(int(began), int(ended) + 1), 1) if slot in service.system.times
    ]
    for status in service.system.statuses.values():
        assert status["v2"] == str(expected["pv_power"])
        assert float(status["v5"]) == expected["controller_temperature"], "°C, whatever temperature_unit says"
        assert float(status["v6"]) == expected["battery_voltage"]
    assert set(service.system.delivered.values()) == {1}

    assert influx.asked[0].path.startswith("/api/v2/write?org=home&bucket=solar&precision=s")
    assert influx.asked[0].headers["Authorization"] == "Token t"
    lines = [line for asked in influx.asked for line in asked.body.splitlines()]
    assert all(f"battery_voltage={expected['battery_voltage']}" in line for line in lines)
    assert all(began - 1 <= int(line.rpartition(" ")[2]) <= ended for line in lines)

    uid = scene.CONTROLLER.replace(":", "").lower()
    with History(tmp_path / "history.sqlite") as history:
        assert [known.uid for known in history.devices()] == [uid]
        found = list(history.readings(uid, began, ended + 1))
        assert len(found) >= len(read) + 5
        assert {values["controller_temperature"] for _, values in found} == {expected["controller_temperature"]}
        assert len(lines) in (len(found), len(found) - 1)
        past = history.days(uid, "2000-01-01", "2999-12-31")
        assert len(past) == 7, "the days before the installation, as the controller has them"
