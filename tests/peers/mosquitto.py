"""A real mosquitto on loopback, and a listener that remembers what it heard."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from renogybt.settings import Mqtt
from tests.peers.ports import HOST, free_port

PATIENCE = 30.0
"""Seconds for what takes a moment, on however busy a machine."""


def until(condition: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Wait until `condition()` holds; fails when it does not in time."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout} s"
        time.sleep(0.02)


class Certificates:
    """A certificate authority, a server certificate for `localhost` and a client certificate, made with openssl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._ssl(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-days",
            "2",
            "-subj",
            "/CN=test CA",
        )
        for name, subject in (("server", "/CN=localhost"), ("client", "/CN=bridge")):
            (folder / f"{name}.ext").write_text(
                "subjectAltName=DNS:localhost\n" if name == "server" else "extendedKeyUsage=clientAuth\n"
            )
            self._ssl(
                "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject
            )
            self._ssl(
                "x509",
                "-req",
                "-in",
                f"{name}.csr",
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                f"{name}.ext",
                "-out",
                f"{name}.crt",
            )

    def _ssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def path(self, name: str) -> str:
        return str(self.folder / name)


class Mosquitto:
    """A broker without persistence: whatever it held is gone after `restart()`.

    `users` are names and passwords (nobody else is let in), `certificates` switch on TLS, `client_certificate` demands one.
    `with Mosquitto(folder) as broker: ...`
    """

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str] | None = None,
        certificates: Certificates | None = None,
        client_certificate: bool = False,
    ) -> None:
        self.folder, self.port, self.certificates = folder, free_port(), certificates
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"listener {self.port} {HOST}",
            "persistence false",
            "user root",
            f"allow_anonymous {'false' if users else 'true'}",
        ]
        if users:
            passwords = folder / "passwords"
            passwords.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
            passwords.chmod(0o600)
            subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, timeout=30)
            lines.append(f"password_file {passwords}")
        if certificates:
            lines += [f"cafile {certificates.path('ca.crt')}", f"certfile {certificates.path('server.crt')}"]
            lines += [
                f"keyfile {certificates.path('server.key')}",
                f"require_certificate {'true' if client_certificate else 'false'}",
            ]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens. Raises `RuntimeError` with its log when it does not."""
        log = (self.folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(["mosquitto", "-v", "-c", str(self._config)], stdout=log, stderr=log)
        log.close()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"mosquitto did not start: {self.log}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def settings(self, **more: Any) -> Mqtt:
        """[mqtt] for this broker."""
        host = "localhost" if self.certificates else HOST
        return Mqtt(**{"enabled": True, "server": host, "port": self.port, "topic": "solar", **more})


class Heard(NamedTuple):
    topic: str
    payload: str
    retained: bool
    at: float


class Listener:
    """Subscribes to everything (or `filters`) and remembers it in order. `with Listener(broker.port) as ears: ...`"""

    def __init__(self, port: int, *filters: str, user: str = "", password: str = "", host: str = HOST) -> None:
        self.messages: list[Heard] = []
        self._news = threading.Condition()
        self._ready = threading.Event()
        self._filters = filters or ("#",)
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._own = f"$fence/{os.getpid()}-{id(self)}"  # "#" does not include it
        self._fences = itertools.count(1)
        self._passed = 0
        self._client.on_message = self._on_message
        if user:
            self._client.username_pw_set(user, password)
        self._address = (host, port)

    def __enter__(self) -> Listener:
        self._client.connect_async(*self._address)
        self._client.reconnect_delay_set(1, 1)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE), "the listener could not subscribe"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe([(each, 1) for each in (*self._filters, self._own)])

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        with self._news:
            if message.topic == self._own:
                self._passed = int(message.payload)
                self._news.notify_all()
                return
            self.messages.append(Heard(message.topic, message.payload.decode(), bool(message.retain), time.monotonic()))
            self._news.notify_all()

    def say(self, topic: str, payload: str, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(PATIENCE)

    def caught_up(self) -> None:
        """Until everything is heard that the broker has at this moment: what it gets now comes after that."""
        number = next(self._fences)
        self._client.publish(self._own, str(number), 1)
        with self._news:
            assert self._news.wait_for(lambda: self._passed >= number, PATIENCE), "the broker is silent"

    def on(self, topic: str) -> list[str]:
        """The payloads heard on a topic, in order."""
        return [heard.payload for heard in list(self.messages) if heard.topic == topic]

    def wait(self, condition: Callable[[], object], timeout: float = PATIENCE) -> None:
        """Until `condition()` holds; fails with what was heard when it does not in time."""
        with self._news:
            if not self._news.wait_for(condition, timeout):
                heard = "\n".join(
                    f"{m.topic} {m.payload[:200]!r}{' (retained)' if m.retained else ''}" for m in self.messages
                )
                raise AssertionError(f"not within {timeout} s; heard:\n{heard}")

    def wait_for(self, topic: str, payload: str | None = None, timeout: float = PATIENCE) -> str:
        """Until `topic` says `payload` (or anything); returns the newest payload there."""
        self.wait(lambda: payload in self.on(topic) if payload is not None else self.on(topic), timeout)
        return self.on(topic)[-1]

    def forget(self) -> None:
        with self._news:
            self.messages.clear()


def kept(port: int) -> dict[str, str]:
    """What the broker holds: topic and payload of every retained message."""
    with Listener(port) as ears:
        ears.caught_up()
        return {heard.topic: heard.payload for heard in list(ears.messages) if heard.retained}
