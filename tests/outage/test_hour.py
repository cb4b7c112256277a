"""An hour without network at both ends of a day: everything arrives once, in order, with its own time."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.outage.given import (
    HOUR,
    MINUTE,
    ZONE,
    as_sent,
    hasten,
    moment,
    of_time,
    reading,
    running,
    settings,
    short_rests,
    slots,
    through,
    until,
    yesterday,
)
from tests.peers.door import Door
from tests.peers.mosquitto import Listener, Mosquitto
from tests.peers.pvoutput import PvoutputPeer
from tests.peers.web import Web


def minutes(start: float, end: float) -> list[float]:
    return [start + MINUTE * n for n in range(round((end - start) / MINUTE))]


def test_remote_records_and_statuses_of_two_lost_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    day = yesterday()
    midnight, late = moment(day, 0), moment(day, 23)
    with Web() as web, PvoutputPeer(time.time, ZONE) as service:
        own = int(service.url.split(":")[2].split("/")[0])
        with Door(web.port) as to_web, Door(own) as to_service:
            config = settings(
                tmp_path, remote=through(web.url, to_web.port), pvoutput=through(service.url, to_service.port), interval=5
            )
            offered: list[float] = []
            with running(config, short_rests) as logger:

                def offer(start: float, end: float) -> None:
                    for taken_at in minutes(start, end):
                        logger.log(reading(taken_at, power=round(taken_at - midnight) % 1000))
                        offered.append(taken_at)

                for begin in (midnight, late):
                    offer(begin - 10 * MINUTE, begin)
                    until(lambda: len(of_time(web)) == len(offered), what=lambda: logger.health())
                    to_web.shut()
                    to_service.shut()
                    offer(begin, begin + HOUR / 2)
                    until(lambda: "not reachable" in str(logger.health()["remote_logging"]["trouble"]))
                    offer(begin + HOUR / 2, begin + HOUR)
                    until(lambda: logger.health()["outbox"]["waiting"] >= 60 + 12)
                    assert len(of_time(web)) == len(offered) - 60
                    to_web.open()
                    to_service.open()
                    offer(begin + HOUR, begin + HOUR + 10 * MINUTE)
                    until(lambda: len(of_time(web)) == len(offered), what=lambda: logger.health())
                    until(lambda: not logger.health()["outbox"]["waiting"], what=lambda: logger.health())
        assert of_time(web) == as_sent(offered)
        assert [json.loads(asked.body)["taken_at"] for asked in web.asked] == as_sent(offered)
        assert len(web.asked) == len(offered), "something was sent twice"
        assert service.system.times == slots(offered)
        assert set(service.system.delivered.values()) == {1}
        assert service.system.statuses[f"{day:%Y%m%d}", "00:05"]["v2"] == "300"
        batches = [asked for asked in service.asked if asked.service == "addbatchstatus.jsp"]
        assert len(batches) >= 2
        assert max(asked.statuses for asked in batches) >= 12


def heard(ears: Listener, mark: str) -> bool:
    return any(mark in payload for payload in ears.on("solar"))


def test_mqtt_readings_of_two_lost_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)
    day = yesterday()
    lost: list[float] = []
    with Mosquitto(tmp_path / "broker") as broker, Door(broker.port) as door, Listener(broker.port) as ears:
        mqtt = broker.settings(replay=True, qos=1)
        config = settings(tmp_path, mqtt=replace(mqtt, port=door.port))
        with running(config) as logger:
            until(lambda: logger.health()["mqtt"]["state"] == "connected")
            for begin in (moment(day, 0), moment(day, 23)):
                mark = f'"pv_power":{1000 + len(lost)},'
                logger.log(reading(begin - MINUTE, power=1000 + len(lost)))
                ears.wait(partial(heard, ears, mark), 20)
                until(lambda: not logger.health()["mqtt"]["waiting"])
                door.shut()
                for taken_at in minutes(begin, begin + HOUR):
                    logger.log(reading(taken_at))
                    lost.append(taken_at)
                until(lambda: logger.health()["mqtt"]["state"] == "disconnected")
                until(lambda: logger.health()["outbox"]["waiting"] >= 59, what=lambda: logger.health())
                door.open()
                ears.wait(lambda: len(ears.on("solar/replay")) >= len(lost), 30)
                until(lambda: logger.health()["mqtt"]["state"] == "connected", 30)
    replayed = [json.loads(payload) for payload in ears.on("solar/replay")]
    assert [record["taken_at_epoch"] for record in replayed] == lost
    assert [record["taken_at"] for record in replayed] == as_sent(lost)
    assert {record["topic"] for record in replayed} == {"solar"}
