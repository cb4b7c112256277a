"""What goes over the network in an hour, against a new connection for every message.

Both ways get the same readings, one a minute for an hour: to an MQTT broker, to a server by JSON POST, and to PVOutput. The
other way is that of cyrils/renogy-bt: `paho.mqtt.publish.single` and `requests.post` for each of them.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from paho.mqtt import publish

from benchmarks import given
from benchmarks.peers import Broker, Door, Web, broker, equipped, wait_until
from benchmarks.report import Figure
from renogybt.reading import Reading
from renogybt.settings import Outbox
from renogybt.sinks.document import document
from tests.peers.mosquitto import Certificates

HOUR, STEP, KEEPALIVE = 3600, 60, 30
PVOUTPUT_FIELDS = ("power_generation_today", "pv_power", "power_consumption_today", "load_power", "controller_temperature")


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Used:
    connections: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """The three servers, each behind its door."""

    broker: Broker
    web: Web
    pvoutput: Web
    doors: tuple[Door, Door, Door]
    certificates: Certificates | None
    folder: Path

    @property
    def used(self) -> Used:
        return Used(sum(door.connections for door in self.doors), sum(door.bytes for door in self.doors))

    @property
    def host(self) -> str:
        return "localhost" if self.certificates else "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Case:
    """`keeps`: PVOutput holds a connection from one status to the next, five minutes later; many servers do not."""

    name: str
    fields: tuple[str, ...]
    tls: bool
    keeps: bool = True
    promised: bool = False


CASES = (
    Case("six values, TLS", given.FEW, True, promised=True),
    Case("six values, TLS, PVOutput hangs up", given.FEW, True, keeps=False),
    Case("all values, TLS", (), True),
    Case("six values, not encrypted", given.FEW, False),
    Case("all values, not encrypted", (), False),
)


def figures() -> Iterator[Figure]:
    for case in CASES:
        if case.tls and not equipped():
            log.error("not measured: %s. Install mosquitto and openssl for that", case.name)
            continue
        with place(case) as there:
            other, ours = other_way(there, case.fields), our_way(there, case.fields)
        share = 100 * ours.bytes / other.bytes
        method = f"{ours.bytes / 1024:.1f} KB an hour; with a connection for each message {other.bytes / 1024:.1f} KB"
        yield Figure(f"bytes: {case.name}", share, 15 if case.promised else None, "%", method)
        share = 100 * ours.connections / other.connections
        method = f"{ours.connections} an hour; with one for each message {other.connections}"
        yield Figure(f"connections: {case.name}", share, 15, "%", method)


@contextmanager
def place(case: Case) -> Iterator[Place]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="traffic-")))
        certificates = Certificates(folder / "certificates") if case.tls else None
        server = stack.enter_context(broker(folder / "broker", certificates))
        web = stack.enter_context(Web(certificates=certificates))
        pvoutput = stack.enter_context(Web(keep=case.keeps, certificates=certificates))
        mqtt, post, status = (stack.enter_context(Door(port)) for port in (server.port, web.port, pvoutput.port))
        if certificates:
            stack.enter_context(trusting(certificates.path("ca.crt")))
        yield Place(server, web, pvoutput, (mqtt, post, status), certificates, folder)


@contextmanager
def trusting(authority: str) -> Iterator[None]:
    """`requests` believes this authority meanwhile."""
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = authority
    try:
        yield
    finally:
        del os.environ["REQUESTS_CA_BUNDLE"]
        if before is not None:
            os.environ["REQUESTS_CA_BUNDLE"] = before


def other_way(there: Place, fields: tuple[str, ...]) -> Used:
    logging.getLogger("paho").setLevel(logging.CRITICAL)
    before = there.used
    mqtt, post, status = (door.port for door in there.doors)
    trust = {"ca_certs": there.certificates.path("ca.crt")} if there.certificates else None
    for reading in given.readings(HOUR // STEP, STEP):
        content = document(reading, "C", fields)
        publish.single(given.TOPIC, json.dumps(content), hostname=there.host, port=mqtt, client_id="renogy-bt", tls=trust)
        bearer = {"Authorization": "Bearer 0123456789abcdef"}
        requests.post(there.web.url("post", post), json=content, timeout=15, headers=bearer).raise_for_status()
        requests.post(
            there.pvoutput.url("addstatus.jsp", status), data=old_status(reading), timeout=15, headers=keys()
        ).raise_for_status()
    return difference(there, before)


def our_way(there: Place, fields: tuple[str, ...]) -> Used:
    """With the signs of life that the broker would get in an hour."""
    before, heard = there.used, there.broker.heard(given.TOPIC)
    mqtt, post, status = (door.port for door in there.doors)
    more = {"server": there.host, "tls": True, "tls_ca": there.certificates.path("ca.crt")} if there.certificates else {}
    configuration = given.settings(
        there.folder,
        fields,
        mqtt=given.mqtt(mqtt, keepalive=KEEPALIVE, **more),
        remote_logging=given.remote(there.web.url("post", post)),
        pvoutput=given.pvoutput(there.pvoutput.url("", status)),
        outbox=Outbox(flush_seconds=0.001),  # an hour passes in a moment here: no status may wait for the next one
    )
    statuses = there.pvoutput.requests
    with given.running(configuration) as logger:
        number = given.log_each(logger, given.readings(HOUR // STEP, STEP), there.broker, there.web)
        wait_until(lambda: there.pvoutput.requests >= statuses + HOUR // 300, given.DEADLINE, "the statuses at PVOutput")
        life = sign_of_life(there, logger)
    assert there.broker.heard(given.TOPIC) == heard + number
    used = difference(there, before)
    return Used(used.connections, used.bytes + life * (HOUR // KEEPALIVE - 1))


def sign_of_life(there: Place, logger: given.DataLogger) -> int:
    """Bytes of one MQTT ping and its answer, by sending one."""
    settled(there)
    before = there.used.bytes
    given.client_of(logger)._send_pingreq()  # type: ignore[attr-defined]
    wait_until(lambda: there.used.bytes > before, given.DEADLINE, "a ping")
    settled(there)
    return there.used.bytes - before


def settled(there: Place) -> None:
    """Wait until nothing moves any more."""
    last = -1
    while there.used.bytes != last:
        last = there.used.bytes
        time.sleep(0.25)


def difference(there: Place, before: Used) -> Used:
    settled(there)
    now = there.used
    return Used(now.connections - before.connections, now.bytes - before.bytes)


def old_status(reading: Reading) -> str:
    values = reading.values
    return (
        "d=20250621&t=12:00"
        + "".join(f"&v{n}={values[key]}" for n, key in enumerate(PVOUTPUT_FIELDS, 1))
        + f"&v6={values['battery_voltage']}"
    )


def keys() -> dict[str, str]:
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Pvoutput-Apikey": "0123456789abcdef",
        "X-Pvoutput-SystemId": "12345",
    }
