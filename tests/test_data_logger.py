"""The fan-out to the sinks, and the predecessors' methods."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from renogybt.command import Command
from renogybt.data_logger import DataLogger
from renogybt.reading import LinkFigures, Stage
from renogybt.settings import Data, History, Mqtt, Outbox, RemoteLogging, Settings
from tests.outbox.given import on_disk
from tests.peers.mosquitto import Listener, Mosquitto, kept, until
from tests.peers.web import Turn, Web
from tests.sinks.given import HOUSE_48, HOUSE_49, ROVER, battery, failure, parser, reading, settings, standing

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


def test_a_failure_of_a_single_run_reaches_the_broker(broker: Mosquitto, logger: Loggers) -> None:
    found = logger(settings(broker.settings(), ROVER, daemon=False), [ROVER])
    found.start()
    found.log_failure(failure(ROVER))
    assert found.flush(8) == ""
    assert kept(broker.port)["solar/availability"] == "offline"


def everything_on(broker: Mosquitto, folder: Path, url: str) -> Settings:
    return Settings(
        devices=settings(broker.settings(), ROVER).devices,
        data=Data(enable_polling=True),
        mqtt=broker.settings(homeassistant_discovery=True),
        remote_logging=RemoteLogging(enabled=True, url=url),
        history=History(enabled=True, flush_seconds=0.1),
        outbox=Outbox(flush_seconds=0.1),
        folder=str(folder),
    )


def test_old_values_are_for_those_who_show_the_present_only(broker: Mosquitto, logger: Loggers, tmp_path: Path) -> None:
    with Web() as web:
        found = logger(everything_on(broker, tmp_path, web.url), [ROVER])
        found.start()
        last = reading()
        found.log(last)
        assert found.flush(8) == ""
        written = found.health()["history"]["delivered"]
        stages: tuple[tuple[Stage, float], ...] = (("stale", 60.0), ("blank", 300.0), ("offline", 600.0))
        for stage, age in stages:
            found.log_failure(failure(ROVER))
            found.log_standing(standing(ROVER, stage, last, age))
            assert found.flush(8) == ""
        held = kept(broker.port)
        assert held["solar/BT-TH-1234_255/availability"] == "offline"
        assert json.loads(held["solar/BT-TH-1234_255"])["pv_power"] is None
        (posted,) = web.asked
        assert not {"connection_status", "data_age"} & set(json.loads(posted.body))
        assert found.health()["history"]["delivered"] == written == 1


def test_somebody_at_the_broker_asks_for_something(broker: Mosquitto, logger: Loggers) -> None:
    asked: list[Command] = []
    found = logger(settings(broker.settings(topic="one"), ROVER), [ROVER], on_command=asked.append)
    found.start()
    with Listener(broker.port) as ears:
        ears.wait_for("one/bridge/availability")
        ears.say("one/release", "5")
        until(lambda: asked)
    assert asked == [Command("release", ROVER.uid, 5.0)]


class Leaves:
    """Stands in for something deep inside that ends the thread it is called in."""

    def __init__(self, error: BaseException) -> None:
        self.error: BaseException | None = error

    def __call__(self, *_: Any, **__: Any) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


@pytest.fixture
def sinks_of(broker: Mosquitto, logger: Loggers, tmp_path: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    with Web() as web:

        def made(**more: Any) -> dict[str, Any]:
            found = logger(everything_on(broker, tmp_path, web.url), [ROVER], **more)
            found.start()
            found.log(reading())
            assert found.flush(8) == ""
            return {"logger": found} | {sink.name: sink for sink in found.sinks}

        yield made


PLACES = {"mqtt": "_session.round", "upload": "store.due", "history": "_prune"}
"""What each thread calls again and again."""


@contextmanager
def broken(sink: Any, error: BaseException) -> Iterator[Leaves]:
    """`error` is raised once in the thread of `sink`."""
    *path, name = PLACES[sink.name].split(".")
    owner = sink
    for part in path:
        owner = getattr(owner, part)
    real, leaves = getattr(owner, name), Leaves(error)

    def called(*given: Any, **more: Any) -> Any:
        leaves()
        return real(*given, **more)

    setattr(owner, name, called)
    if sink.name == "history":
        sink._next_prune = 0.0
    (sink._thread if sink.name == "mqtt" else sink).wake()
    try:
        yield leaves
    finally:
        delattr(owner, name)


def ended(sink: Any) -> None:
    until(lambda: not sink.alive)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", ["mqtt", "upload", "history"])
def test_a_thread_that_died_is_started_anew_and_goes_on_working(name: str, sinks_of: Callable[..., dict[str, Any]]) -> None:
    found = sinks_of()
    logger, sink = found["logger"], found[name]
    assert logger.supervise() == []
    with broken(sink, SystemExit()):
        ended(sink)
        assert logger.supervise() == [name]
        assert sink.alive
        assert logger.supervise() == []
        logger.log(reading())
        assert logger.flush(8) == ""
    ways = {"mqtt": "mqtt", "upload": "remote_logging", "history": "history"}
    health = logger.health()[ways[name]]
    assert health["delivered"] >= 2
    assert health["trouble"] == ""
    logger.stop(4)
    assert logger.supervise() == []
    assert not sink.alive


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_starts_anew_goes_on_with_the_files(
    broker: Mosquitto, logger: Loggers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = logger(everything_on(broker, tmp_path, "http://127.0.0.1:9"), [ROVER])
    found.start()
    found.log(reading())
    assert found.flush(8) == ""
    by_name = {sink.name: sink for sink in found.sinks}
    for name in ("upload", "history"):
        with broken(by_name[name], SystemExit()):
            ended(by_name[name])
            late = threading.Event()
            for _ in range(4):  # they take the numbers of threads that are free, so that the next is not the one before
                threading.Thread(target=late.wait, args=(20,), daemon=True).start()
            assert found.supervise() == [name]
            late.set()
    found.log(reading())
    assert found.flush(8) == ""
    assert found.stop(4)
    assert "SQLite" not in caplog.text
    assert len(on_disk(tmp_path / "outbox.sqlite")) == 2
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as database:
        assert database.execute("SELECT count FROM days").fetchall() == [(2,)]


@pytest.mark.parametrize("name", ["mqtt", "upload", "history"])
def test_what_a_thread_survives_is_reported(name: str, sinks_of: Callable[..., dict[str, Any]]) -> None:
    crashes: list[tuple[str, str]] = []
    found = sinks_of(on_crash=lambda thread, error: crashes.append((thread, str(error))))
    with broken(found[name], ValueError("something new")):
        until(lambda: crashes)
    assert crashes == [(name, "something new")]
    assert found["logger"].supervise() == []


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
