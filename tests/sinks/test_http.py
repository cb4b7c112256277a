"""The HTTP sink against a web server on loopback."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from renogybt.settings import Data, Pvoutput, RemoteLogging, Settings
from renogybt.sinks.http import QUEUE, HttpSink, status
from tests.peers.mosquitto import free_port, until
from tests.peers.web import Web
from tests.sinks.given import CONTROLLER, HOUSE_48, ROVER, battery, reading

SECRET = "very-secret"


def remote(url: str, auth: str = SECRET, unit: str = "C") -> Settings:
    return Settings(
        data=Data(temperature_unit=unit),  # type: ignore[arg-type]
        remote_logging=RemoteLogging(enabled=True, url=url, auth_header=auth),
    )


def pvoutput(unit: str = "C") -> Settings:
    return Settings(
        data=Data(temperature_unit=unit),  # type: ignore[arg-type]
        pvoutput=Pvoutput(enabled=True, api_key=SECRET, system_id="99"),
    )


def test_a_reading_is_posted_as_json_with_the_bearer() -> None:
    with Web() as web:
        sink = HttpSink(remote(web.url, unit="F"))
        sink.start()
        sink.offer(reading())
        assert sink.flush(5) == ""
        assert sink.stop(2)
        (asked,) = web.asked
    assert asked.path == "/log"
    assert asked.headers["Authorization"] == f"Bearer {SECRET}"
    assert asked.headers["Content-Type"] == "application/json"
    assert json.loads(asked.body)["pv_power"] == 34
    assert json.loads(asked.body)["controller_temperature"] == 77.0
    assert json.loads(asked.body)["__client"] == "RoverClient"


def test_no_header_without_a_secret_and_one_connection_for_all() -> None:
    with Web() as web:
        sink = HttpSink(remote(web.url, auth=""))
        sink.start()
        for _ in range(3):
            sink.offer(battery(HOUSE_48))
            assert sink.flush(5) == ""
        sink.stop(2)
    assert "Authorization" not in web.asked[0].headers
    assert len({asked.client_port for asked in web.asked}) == 1
    assert len(web.asked) == 3


@pytest.mark.parametrize("unit", ["C", "F"])
def test_a_status_for_pvoutput_is_always_celsius(unit: str) -> None:
    with Web() as web:
        sink = HttpSink(pvoutput(unit), pvoutput_url=web.url)
        sink.start()
        taken = reading()
        sink.offer(taken)
        sink.offer(battery(HOUSE_48))
        assert sink.flush(5) == ""
        sink.stop(2)
        (asked,) = web.asked
    when = datetime.fromtimestamp(taken.taken_at)
    assert {key: value[0] for key, value in parse_qs(asked.body).items()} == {
        "d": when.strftime("%Y%m%d"),
        "t": when.strftime("%H:%M"),
        "v1": "561",
        "v2": "34",
        "v4": "5",
        "v5": "25",
        "v6": "13.1",
    }
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert (headers["x-pvoutput-apikey"], headers["x-pvoutput-systemid"]) == (SECRET, "99")


def test_a_status_that_would_say_nothing_is_none() -> None:
    assert status({"battery_voltage": 13.0, "controller_temperature": 20}, 0) is None
    assert status(CONTROLLER, 0) is not None


@pytest.mark.parametrize(("code", "words"), [(403, "check auth_header"), (404, "check url"), (500, "its own fault")])
def test_a_refusal_is_said_once_until_it_changes(code: int, words: str, caplog: pytest.LogCaptureFixture) -> None:
    with Web(code, code, 200, code) as web, caplog.at_level(logging.INFO):
        sink = HttpSink(remote(web.url))
        sink.start()
        sink.offer(reading())
        reason = sink.flush(5)
        sink.offer(reading())
        assert sink.flush(5) == reason
        assert f"127.0.0.1 answered {code}" in reason
        assert words in reason
        assert len([line for line in caplog.messages if words in line]) == 1
        sink.offer(reading())
        assert sink.flush(5) == ""
        assert "remote logging works again" in caplog.messages
        sink.offer(reading())
        assert sink.flush(5) == reason
        sink.stop(2)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"http://127.0.0.1:{free_port()}/", "not reachable"),
        (f"http://user:{SECRET}@127.0.0.1:1/?key={SECRET}", "not reachable"),
        ("nonsense", "url must look like"),
        ("https://", "url must look like"),
    ],
)
def test_a_server_that_is_not_there(url: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    sink = HttpSink(remote(url))
    sink.start()
    sink.offer(reading())
    assert words in sink.flush(5)
    assert sink.stop(2)
    assert SECRET not in caplog.text


def test_a_secret_that_is_no_header_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with Web() as web:
        for secret in (f"{SECRET}\nx", f"{SECRET} ☃"):
            sink = HttpSink(remote(web.url, auth=secret))
            sink.start()
            sink.offer(reading())
            assert "HTTP cannot carry" in sink.flush(5)
            assert sink.stop(2)
    assert SECRET not in caplog.text


def test_a_server_that_says_nothing_blocks_nobody() -> None:
    with Web(0) as web:
        sink = HttpSink(remote(web.url))
        sink.start()
        sink.offer(reading())
        until(lambda: web.asked)
        begun = time.monotonic()
        for _ in range(QUEUE + 5):
            sink.offer(battery(HOUSE_48))
        assert time.monotonic() - begun < 2
        assert sink.dropped == 5
        assert "did not end within" in sink.flush(0.2)
        begun = time.monotonic()
        assert not sink.stop(1)
        assert time.monotonic() - begun < 2


def test_requests_is_not_loaded_before_it_is_needed() -> None:
    program = (
        "import sys\n"
        "from renogybt.data_logger import DataLogger\n"
        "from renogybt.settings import Mqtt, Settings\n"
        "logger = DataLogger(Settings(mqtt=Mqtt(enabled=True)))\n"
        "print('requests' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr


def test_the_reading_is_the_one_of_its_own_time() -> None:
    found = status({**reading(ROVER).values}, datetime(2026, 6, 1, 12, 34).timestamp())
    assert found is not None
    assert (found["d"], found["t"]) == ("20260601", "12:34")
