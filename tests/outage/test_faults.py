"""A server that fails in every way: nothing lost, nothing twice, and nobody else notices."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from renogybt.service.bridge import Bridge
from renogybt.simulator.plant import Plant
from renogybt.simulator.radio import SimulatedRadio
from renogybt.simulator.system import DEMO_SEED, DEMO_START
from tests.outage.given import (
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
    until,
    uploader,
    yesterday,
)
from tests.peers.pvoutput import Fault, PvoutputPeer
from tests.peers.starvation import Starvation
from tests.peers.web import Turn, Web

NEW_YEAR = "Thu, 01 Jan 1970 00:00"
BUSY = Turn(429, {"Retry-After": "1"})
FAULTS = {
    "500": [Turn(500)] * 4,
    "429": [BUSY],
    "429 with a date": [
        Turn(429, {"Retry-After": "Thu, 01 Jan 1970 00:00:01 GMT", "Date": "Thu, 01 Jan 1970 00:00:00 GMT"})
    ],
    "hang": [Turn(how="hang")] * 2,
    "reset": [Turn(how="reset")] * 4,
    "drip": [Turn(how="drip")],
    "close": [Turn(how="close")] * 10,
    "dead": [Turn(how="dead")] * 10,
    "404": [Turn(404)] * 4,
    "redirect": [Turn(302, {"Location": "http://127.0.0.1:9/elsewhere"})] * 2,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_everything_arrives_in_order_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    hasten(monkeypatch)
    begin = moment(yesterday(), 12)
    times = [begin + MINUTE * n for n in range(40)]
    with (
        Web() as web,
        PvoutputPeer(time.time, ZONE) as service,
        running(settings(tmp_path, remote=web.url, pvoutput=service.url), short_rests) as logger,
    ):
        for number, taken_at in enumerate(times):
            if number == 10:
                until(lambda: len(web.asked) == 10)
                web.answers.extend(FAULTS[fault])
            logger.log(reading(taken_at, number))
        until(lambda: logger.health()["remote_logging"]["delivered"] == len(times), what=lambda: logger.health())
        until(lambda: len(service.system.times) == len(slots(times)), what=lambda: logger.health())
        health = logger.health()
    assert of_time(web) == as_sent(times)
    assert [asked.headers["X-Taken-At"] for asked in web.asked if asked.status == 200] == as_sent(times)
    assert service.system.times == slots(times)
    assert set(service.system.delivered.values()) == {1}
    assert health["remote_logging"]["dropped"] == 0
    assert health["remote_logging"]["delivered"] == len(times)
    repeated = len(web.asked) - len(times)
    expected = {"close": 0, "dead": 0}.get(fault, len(FAULTS[fault]))
    assert repeated == expected, "each fault costs one attempt, a connection that was closed none"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(0, carried_out=True),
        Fault(0),
        Fault(500, carried_out=True),
        Fault(500),
        Fault(503, headers={"Retry-After": "1"}, carried_out=True),
        Fault(429, headers={"Retry-After": "1"}),
    ],
    ids=["cut but taken", "cut", "500 but taken", "500", "503 but taken", "429"],
)
def test_pvoutput_gets_no_status_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    hasten(monkeypatch)
    begin = moment(yesterday(), 12)
    times = [begin + 5 * MINUTE * n for n in range(40)]
    with PvoutputPeer(time.time, ZONE) as service:
        with running(settings(tmp_path, pvoutput=service.url), short_rests) as logger:
            for taken_at in times[:3]:
                logger.log(reading(taken_at))
            until(lambda: len(service.system.times) == 3, what=lambda: logger.health())
            service.faults.append(replace(fault, headers=dict(fault.headers)))
            for taken_at in times[3:]:
                logger.log(reading(taken_at))
            until(lambda: len(service.system.times) == len(times), what=lambda: logger.health())
            until(lambda: not logger.health()["outbox"]["waiting"], what=lambda: logger.health())
        assert not service.faults
    assert service.system.times == slots(times)
    assert set(service.system.delivered.values()) == {1}


def test_a_day_of_all_faults_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch, silence=0.2)
    dice = random.Random(20261120)
    kinds = [Turn(), Turn(), Turn(), Turn(), Turn(how="dead"), Turn(how="close"), Turn(500), Turn(how="reset")]
    rare = [Turn(how="hang"), Turn(503, {"Retry-After": "0"})]
    begin = moment(yesterday(), 0)
    times = [begin + MINUTE * n for n in range(200)]
    with (
        Web(chance=lambda number: dice.choice(rare if dice.random() < 0.01 else kinds)) as web,
        running(settings(tmp_path, remote=web.url), lambda logger: short_rests(logger, 0.1, 3.0)) as logger,
    ):
        for taken_at in times:
            logger.log(reading(taken_at))
            time.sleep(0.001)
        until(lambda: logger.health()["remote_logging"]["delivered"] == len(times), 100, what=lambda: logger.health())
    assert of_time(web) == as_sent(times)
    taken = [asked.headers["X-Taken-At"] for asked in web.asked if asked.status == 200]
    assert len(taken) == len(times)
    assert taken == as_sent(times)


LONG = 2.0
"""Seconds for a call in which nothing comes."""


def both_have(service: PvoutputPeer, influx: Web, count: int) -> bool:
    return len(service.system.times) >= count and len(influx.asked) >= count


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_silent_server_does_not_hold_up_the_other_outlets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    hasten(monkeypatch)
    begin = moment(yesterday(), 12)
    with Web(chance=lambda number: Turn(how=how)) as web, PvoutputPeer(time.time, ZONE) as service, Web() as influx:  # type: ignore[arg-type]
        config = settings(tmp_path, remote=web.url, pvoutput=service.url, influx=influx.url)
        with running(config, lambda logger: short_rests(logger, deadline=LONG)) as logger:
            worst = 0.0
            for number in range(6):
                since, starvation = time.monotonic(), Starvation()
                logger.log(reading(begin + 5 * MINUTE * number))
                until(partial(both_have, service, influx, number + 1))
                worst = max(worst, time.monotonic() - since - starvation.seconds())
            assert worst < 1.9 * LONG, "one call of the silent server, cut off after its time, and our own"
            assert logger.health()["remote_logging"]["waiting"] == 6
            begun = time.monotonic()
        assert time.monotonic() - begun < 20, "stopping waits for nobody"


def test_handing_over_a_reading_takes_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = moment(yesterday(), 12)
    with (
        Web(chance=lambda number: Turn(how="hang")) as web,
        running(settings(tmp_path, remote=web.url, pvoutput=web.url, influx=web.url, history=True)) as logger,
    ):
        until(lambda: uploader(logger).alive)
        spent = []
        for number in range(300):
            taken = reading(begin + MINUTE * number)
            since = time.perf_counter()
            logger.log(taken)
            spent.append(time.perf_counter() - since)
            time.sleep(0.002)
        assert sorted(spent)[len(spent) // 2] < 0.01
        assert max(spent) < 5, "nobody waits for a server, which would take half a minute"


def cadence(config_of: Callable[[], object], enough: Callable[[int], object]) -> list[float]:
    """When the simulated controller was read by a bridge that reads ten times a second, until `enough` of the count."""
    config = config_of()
    plant = Plant(DEMO_SEED, DEMO_START)
    read: list[float] = []

    def take(taken: object) -> None:
        read.append(time.monotonic())
        if enough(len(read)):
            bridge.stop()

    bridge = Bridge(
        config,  # type: ignore[arg-type]
        radio=SimulatedRadio(plant, config),  # type: ignore[arg-type]
        on_reading=take,
    )
    alarm = threading.Timer(60, bridge.stop)
    alarm.start()
    assert bridge.run() == 0
    alarm.cancel()
    return read


def test_no_reading_is_missed_while_every_server_is_silent(tmp_path: Path) -> None:
    with Web(chance=lambda number: Turn(how="hang")) as silent:

        def config() -> object:
            return settings(
                tmp_path,
                remote=silent.url,
                pvoutput=silent.url.replace("/log", "/service/r2/"),
                influx=silent.url,
                history=True,
                poll_interval=0.1,
            )

        read = cadence(config, lambda count: count >= 30 and silent.asked)
        gaps = [later - earlier for earlier, later in pairwise(read)]
        assert silent.asked
    assert len(read) >= 30
    assert max(gaps) < 5, "nobody waits for a server, which would take half a minute"
