"""What can go wrong between the MQTT sink and a broker."""

from __future__ import annotations

import logging
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from renogybt.sinks.connection import Connection
from renogybt.sinks.mqtt import MqttSink
from tests.peers.mosquitto import HOST, Certificates, Listener, Mosquitto, free_port, kept, until
from tests.sinks.conftest import Sinks
from tests.sinks.given import HOUSE_48, ROVER, reading, settings

STATE = "solar/BT-TH-1234_255"
BRIDGE = "solar/bridge/availability"
CHILD = """
import sys, time
from renogybt.settings import Data, Device, Mqtt, Settings
from renogybt.sinks.mqtt import MqttSink
mqtt = Mqtt(enabled=True, server="127.0.0.1", port=int(sys.argv[1]), topic="solar")
sink = MqttSink(Settings(devices=(Device(alias="x"),), data=Data(enable_polling=sys.argv[2] == "daemon"), mqtt=mqtt))
sink.start()
time.sleep(60)
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings logged so far, whenever they are looked at."""
    caplog.set_level(logging.WARNING)

    class Lines(list[str]):
        def __iter__(self) -> Iterator[str]:
            return iter([record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING])

    return Lines()


def warned(lines: list[str], *words: str) -> list[str]:
    return [line for line in lines if all(word in line for word in words)]


@pytest.mark.parametrize(("mode", "left"), [("daemon", "offline"), ("once", "online")])
def test_a_killed_daemon_leaves_its_will_a_single_run_none(broker: Mosquitto, ears: Listener, mode: str, left: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(broker.port), mode], cwd=Path(__file__).parents[2])
    try:
        ears.wait_for(BRIDGE, "online", 60)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    until(lambda: re.search("closed its connection|disconnected", broker.log))
    assert kept(broker.port)[BRIDGE] == left


def test_encrypted_with_a_client_certificate(tmp_path: Path, certificates: Certificates, sink: Sinks) -> None:
    with Mosquitto(tmp_path / "tls", certificates=certificates, client_certificate=True) as broker:
        files = {"tls_ca": certificates.path("ca.crt"), "tls_cert": "client.crt", "tls_key": "client.key"}
        sender = sink(ROVER, at=broker, daemon=False, tls=True, folder=str(certificates.folder), **files)
        sender.offer(reading())
        assert sender.flush(60) == ""
        assert sender.stop(30)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ("not trusted", "tls_ca")),
        ({"tls_ca": "ca.crt"}, ("client certificate", "tls_cert")),
        ({"tls_ca": "ca.crt", "server": HOST}, ("not trusted", "check server")),
        ({"tls_ca": "nowhere.crt"}, ("nowhere.crt", "check tls_ca")),
        ({"tls": False}, ("did not accept the connection", "TLS port")),
    ],
)
def test_what_is_wrong_with_tls_is_said(
    tmp_path: Path,
    certificates: Certificates,
    sink: Sinks,
    lines: list[str],
    options: dict[str, object],
    words: tuple[str, ...],
) -> None:
    with Mosquitto(tmp_path / "tls", certificates=certificates, client_certificate=True) as broker:
        sender = sink(ROVER, at=broker, daemon=False, folder=str(certificates.folder), **{"tls": True, **options})
        sender.offer(reading())
        until(lambda: warned(lines, *words))
        assert all(word in sender.flush(0.1) for word in words)


def test_a_name_in_the_certificate_can_be_ignored(tmp_path: Path, certificates: Certificates, sink: Sinks) -> None:
    with Mosquitto(tmp_path / "tls", certificates=certificates) as broker:
        ca = certificates.path("ca.crt")
        sender = sink(ROVER, at=broker, daemon=False, tls=True, tls_ca=ca, tls_insecure=True, server=HOST)
        sender.offer(reading())
        assert sender.flush(60) == ""


def test_user_and_password(tmp_path: Path, sink: Sinks) -> None:
    with Mosquitto(tmp_path / "users", users={"solar": "a#%word"}) as broker:
        sender = sink(ROVER, at=broker, daemon=False, user="solar", password="a#%word")
        sender.offer(reading())
        assert sender.flush(60) == ""


def test_a_wrong_password_is_said_once_and_never_shown(tmp_path: Path, sink: Sinks, lines: list[str]) -> None:
    with Mosquitto(tmp_path / "users", users={"solar": "right"}) as broker:
        sender = sink(ROVER, at=broker, daemon=False, user="solar", password="wrong-secret")
        sender.offer(reading())
        until(lambda: broker.log.count("disconnected, not authorised") >= 2, 60)
        reason = sender.flush(0.1)
    assert reason.startswith(f"broker {HOST}:{broker.port} did not accept the connection: not authorized")
    assert "check user and password" in reason
    assert len(warned(lines, "not authorized")) == 1
    assert not warned(lines, "wrong-secret")


def test_no_broker_says_why_and_delivers_when_it_comes(tmp_path: Path, sink: Sinks, lines: list[str]) -> None:
    broker = Mosquitto(tmp_path / "late")
    sender = sink(ROVER, at=broker, daemon=False)
    sender.offer(reading())
    begun = time.monotonic()
    reason = sender.flush(2.5)
    assert 2.4 < time.monotonic() - begun < 30
    assert reason.startswith(f"broker {HOST}:{broker.port} did not accept the connection: connection refused; is the broker")
    assert len(warned(lines, "connection refused")) == 1
    with broker:
        assert sender.flush(60) == ""
        assert STATE in kept(broker.port)


def test_stop_without_a_broker_is_quick_and_says_that_it_failed(tmp_path: Path, sink: Sinks) -> None:
    sender = sink(ROVER, at=Mosquitto(tmp_path / "none"))
    sender.offer(reading())
    until(lambda: sender.trouble)
    begun = time.monotonic()
    assert not sender.stop(40)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("server", ["no.such.host.invalid", "a" * 70 + ".example"])
def test_an_impossible_host_name(broker: Mosquitto, sink: Sinks, server: str) -> None:
    sender = sink(ROVER, server=server)
    sender.offer(reading())
    until(lambda: sender.trouble)
    assert f"{server}:{broker.port}" in sender.trouble
    assert "check server" in sender.trouble
    assert sender.alive


def test_two_programs_have_two_client_ids(broker: Mosquitto, sink: Sinks, tmp_path: Path) -> None:
    one, two, three = sink(ROVER), sink(HOUSE_48), sink(ROVER, folder=str(tmp_path))
    once, again = sink(ROVER, daemon=False), MqttSink(settings(broker.settings(homeassistant_discovery=True), ROVER))
    assert len({one.client_id, two.client_id, three.client_id, once.client_id}) == 4
    assert again.client_id == one.client_id
    assert all(len(each.client_id) <= 23 for each in (one, two, three, once))
    until(lambda: one.connected and two.connected and three.connected and once.connected)
    time.sleep(1)
    assert "already connected" not in broker.log


def test_namesakes_that_throw_each_other_out_calm_down_and_say_so(broker: Mosquitto, sink: Sinks, lines: list[str]) -> None:
    sink(ROVER, client_id="twin", topic="one")
    sink(ROVER, client_id="twin", topic="two")
    until(lambda: warned(lines, "twin", "another client_id"), 60)
    time.sleep(1)
    before = broker.log.count("New client connected")
    time.sleep(6)
    assert broker.log.count("New client connected") - before <= 4


def test_the_connection_survives_its_thread(broker: Mosquitto, ears: Listener, sink: Sinks, lines: list[str]) -> None:
    """paho's thread ends with any error it does not expect, while it goes on claiming to be connected."""
    crashes: list[tuple[str, str]] = []
    sender = sink(ROVER, on_crash=lambda name, error: crashes.append((name, str(error))))
    sender.offer(reading())
    ears.wait_for(STATE)
    connection: Connection = sender._connection
    victim = connection._thread
    assert victim is not None
    silence = threading.excepthook
    threading.excepthook = lambda *_: None
    try:
        connection._client._sock = object()  # type: ignore[union-attr]
        until(lambda: not victim.is_alive())
    finally:
        threading.excepthook = silence
    ears.forget()
    sender.offer(reading(ROVER, "controller", pv_power=77))
    ears.wait(lambda: any('"pv_power":77' in payload for payload in ears.on(STATE)), 60)
    assert warned(lines, "network thread", "starting it anew")
    until(lambda: crashes)
    assert [(name, "had ended" in error) for name, error in crashes] == [("paho", True)]


def test_told_to_end_while_it_is_connecting(broker: Mosquitto, sink: Sinks, monkeypatch: pytest.MonkeyPatch) -> None:
    """paho's thread would connect all the same, and stay."""
    real, begun, go_on = socket.create_connection, threading.Event(), threading.Event()

    def slow(*given: Any, **more: Any) -> socket.socket:
        begun.set()
        go_on.wait(60)
        return real(*given, **more)

    monkeypatch.setattr(socket, "create_connection", slow)
    sender = sink(ROVER, daemon=False)
    assert begun.wait(60)
    until(lambda: sender._connection._thread)
    thread = sender._connection._thread
    assert thread is not None
    threading.Timer(0.5, go_on.set).start()
    assert sender.stop(20)
    assert not thread.is_alive()


def test_a_mute_broker_neither_blocks_nor_hangs_the_end(tmp_path: Path, sink: Sinks) -> None:
    """Something accepts the connection and never says a word."""
    with socket.create_server((HOST, 0)) as mute:
        broker = Mosquitto(tmp_path / "unused")
        broker.port = mute.getsockname()[1]
        sender = sink(ROVER, at=broker)
        begun = time.monotonic()
        for _ in range(1000):
            sender.offer(reading())
        assert time.monotonic() - begun < 20
        assert "did not answer within" in sender.flush(0.5)
        begun = time.monotonic()
        assert not sender.stop(2)
        assert time.monotonic() - begun < 20


def test_nothing_piles_up_while_the_broker_is_away(tmp_path: Path, sink: Sinks) -> None:
    broker = Mosquitto(tmp_path / "away")
    broker.port = free_port()
    sender = sink(ROVER, at=broker)
    for watts in range(3000):
        sender.offer(reading(ROVER, "controller", pv_power=watts))
    until(lambda: not sender._inbox)
    assert sender._session.waiting <= 3


def test_names_reach_the_resolver_without_the_tables_for_international_ones(broker: Mosquitto) -> None:
    """A contract with paho: it opens its socket through this method, and asks nobody else for the address."""
    code = (
        "import sys, time; from paho.mqtt.enums import CallbackAPIVersion; "
        "from renogybt.sinks.connection import PlainNames; "
        "client = PlainNames(CallbackAPIVersion.VERSION2); "
        f"client.connect('localhost', {broker.port}); client.loop_start(); "
        "end = time.monotonic() + 40\n"
        "while not client.is_connected() and time.monotonic() < end: time.sleep(0.02)\n"
        "sys.exit(0 if client.is_connected() and 'encodings.idna' not in sys.modules else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=90, check=False).returncode == 0
