"""The fan-out to the sinks, and the predecessors' methods."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from renogybt.data_logger import DataLogger
from renogybt.reading import LinkFigures
from renogybt.settings import Data, Mqtt, RemoteLogging, Settings
from tests.outbox.given import on_disk
from tests.peers.mosquitto import Listener, Mosquitto, kept
from tests.peers.web import Turn, Web
from tests.sinks.given import HOUSE_48, HOUSE_49, ROVER, battery, failure, parser, reading, settings

Loggers = Callable[..., DataLogger]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def logger() -> Iterator[Loggers]:
    """`logger(...)` makes a DataLogger that is stopped when the test ends."""
    with ExitStack() as stack:

        def made(*given: Any, **more: Any) -> DataLogger:
            found = DataLogger(*given, **more)
            stack.callback(found.stop, 2.0, False)
            return found

        yield made


INI = """
[device]
mac_addr = 84:28:D7:FF:00:01
alias = BT-TH-1234
type = RNG_CTRL
device_id = {ids}
[data]
enable_polling = false
temperature_unit = F
[mqtt]
enabled = true
server = 127.0.0.1  # the broker
port = {port}
topic = solar/state
homeassistant_discovery = {discovery}
[remote_logging]
enabled = {remote}
url = {url}
[pvoutput]
enabled = false
api_key = key
system_id = 1
url = {url}/pvoutput
"""


def ini(port: int, ids: str = "255", discovery: bool = False, url: str = "http://127.0.0.1:9") -> str:
    return INI.format(port=port, ids=ids, discovery=discovery, remote=False, url=url)


def test_every_sink_gets_every_reading(broker: Mosquitto, logger: Loggers, tmp_path: Path) -> None:
    with Web() as web:
        both = Settings(
            devices=settings(broker.settings(), ROVER).devices,
            mqtt=broker.settings(homeassistant_discovery=True),
            remote_logging=RemoteLogging(enabled=True, url=web.url),
            folder=str(tmp_path),
        )
        found = logger(both, [ROVER], daemon=False)
        found.start()
        found.log(reading())
        found.log_figures(ROVER, LinkFigures(connected=True))
        assert found.flush(8) == ""
        assert found.stop(4, last_words=False)
        assert json.loads(web.asked[0].body)["pv_power"] == 34
    held = kept(broker.port)
    assert json.loads(held["solar/BT-TH-1234_255"])["pv_power"] == 34
    assert json.loads(held["solar/BT-TH-1234_255/link"])["connected"] is True
    assert held["solar/BT-TH-1234_255/availability"] == "online"


def test_failures_reach_the_broker(broker: Mosquitto, logger: Loggers) -> None:
    found = logger(settings(broker.settings(), ROVER, daemon=False), [ROVER])
    found.start()
    found.log_failure(failure(ROVER))
    assert found.flush(8) == ""
    assert kept(broker.port)["solar/availability"] == "offline"


def test_what_is_stored_counts_as_delivered_what_mqtt_could_not_publish_does_not(tmp_path: Path, logger: Loggers) -> None:
    away = Mosquitto(tmp_path / "away").settings()
    both = Settings(mqtt=away, remote_logging=RemoteLogging(enabled=True, url="http://127.0.0.1:9/"), folder=str(tmp_path))
    found = logger(both, [ROVER], daemon=False)
    found.start()
    found.log(reading())
    reason = found.flush(3)
    assert "connection refused" in reason
    assert "remote" not in reason
    found.stop(3, last_words=False)
    assert len(on_disk(tmp_path / "outbox.sqlite")) == 1


def test_health_of_every_way_out(tmp_path: Path, broker: Mosquitto, logger: Loggers) -> None:
    both = Settings(
        mqtt=broker.settings(), remote_logging=RemoteLogging(enabled=True, url="http://127.0.0.1:9/"), folder=str(tmp_path)
    )
    found = logger(both, [ROVER])
    found.start()
    found.log(reading())
    assert found.flush(8) == ""
    health = found.health()
    assert set(health) == {"mqtt", "remote_logging", "outbox"}
    assert health["mqtt"]["state"] == "connected"
    assert health["mqtt"]["delivered"] >= 1
    assert health["remote_logging"]["waiting"] == health["outbox"]["waiting"] == 1
    assert "nothing listens" in health["remote_logging"]["trouble"]
    assert health["outbox"]["state"] == "disk"
    json.dumps(health)


def test_nothing_switched_on_is_fine(logger: Loggers) -> None:
    found = logger(Settings())
    found.start()
    found.log(reading())
    assert found.flush(1) == ""
    assert found.stop(1)
    assert found.stop(1)


def test_unknown_fields_are_said_once_when_no_device_has_them(caplog: pytest.LogCaptureFixture, logger: Loggers) -> None:
    found = logger(Settings(data=Data(fields=("pv_power", "voltage", "volltage"))), [ROVER, HOUSE_48])
    with caplog.at_level(logging.WARNING):
        found.log(reading())
        found.log(reading())
        assert caplog.messages == []
        found.log(battery(HOUSE_48))
        found.log(battery(HOUSE_48))
    assert len(caplog.messages) == 1
    assert "volltage" in caplog.messages[0]
    assert "pv_power" not in caplog.messages[0]


def test_the_predecessors_way_with_a_parser(broker: Mosquitto, logger: Loggers) -> None:
    with Listener(broker.port) as ears:
        found = logger(parser(ini(broker.port)))
        found.log_mqtt(json_data={"function": "READ", "device_id": 1, "pv_power": 12})
        assert json.loads(ears.wait_for("solar/state")) == {"function": "READ", "device_id": 1, "pv_power": 12}
        assert not ears.messages[-1].retained
        found.cleanup()
    assert "solar/state" not in kept(broker.port)


@pytest.mark.parametrize(
    ("ids", "discovery", "data", "topic"),
    [
        ("48,49", False, {"device_id": 49}, "solar/state/BT-TH-1234_49"),
        ("48,49", False, {"device_id": "combined"}, "solar/state/BT-TH-1234_combined"),
        ("48,49", False, {"voltage": 1}, "solar/state/BT-TH-1234_48"),
        ("255", True, {"device_id": 1}, "solar/state/BT-TH-1234_1"),
    ],
)
def test_the_predecessors_topics(
    broker: Mosquitto, logger: Loggers, ids: str, discovery: bool, data: dict[str, Any], topic: str
) -> None:
    found = logger(parser(ini(broker.port, ids, discovery)))
    with Listener(broker.port) as ears:
        found.log_mqtt(json_data=data)
        assert json.loads(ears.wait_for(topic)) == data
    assert found.flush(5) == ""
    assert (topic in kept(broker.port)) == discovery


def test_any_topic(broker: Mosquitto, logger: Loggers) -> None:
    found = logger(settings(broker.settings(), HOUSE_48, HOUSE_49, daemon=False))
    with Listener(broker.port) as ears:
        found.log_mqtt_bytopic("a/b", {"c": float("nan")})
        found.log_mqtt_bytopic("a/c", "words")
        assert ears.wait_for("a/b") == '{"c": null}'
        assert ears.wait_for("a/c") == "words"


def test_cleanup_right_after_a_message_still_delivers_it(broker: Mosquitto, logger: Loggers) -> None:
    with Listener(broker.port) as ears:
        found = logger(parser(ini(broker.port)))
        found.log_mqtt(json_data={"a": 1})
        found.cleanup()
        assert json.loads(ears.wait_for("solar/state", timeout=2)) == {"a": 1}


def test_the_predecessors_uploads(
    broker: Mosquitto, logger: Loggers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever `enabled` says: who calls these methods wants them to send."""
    monkeypatch.chdir(tmp_path)
    with Web(200, chance=lambda number: Turn(text="OK 200: Added Status")) as web:
        found = logger(parser(ini(broker.port, url=web.url)))
        found.log_remote(json_data={"a": 1})
        assert found.flush(5) == ""
        found.log_pvoutput(json_data={"pv_power": 5, "controller_temperature": 77.0})
        assert found.flush(5) == ""
        found.start()
        found.log(reading())
        assert found.flush(5) == ""
    assert len(web.asked) == 2
    content = json.loads(web.asked[0].body)
    assert content.pop("taken_at")
    assert content == {"a": 1}
    assert web.asked[1].path == "/log/pvoutput/addstatus.jsp"
    assert "v2=5" in web.asked[1].body
    assert "v5=25" in web.asked[1].body


def test_pvoutput_without_a_section_is_an_error_in_the_log(logger: Loggers, caplog: pytest.LogCaptureFixture) -> None:
    logger(Settings(mqtt=Mqtt())).log_pvoutput({"pv_power": 5})
    assert "[pvoutput] with api_key and system_id is missing" in caplog.text
