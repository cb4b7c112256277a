"""What the program is surrounded by during a soak, and its configuration."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.program import Program
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.bluez.scenario import Scenario
from tests.peers.door import Door
from tests.peers.mosquitto import Listener, Mosquitto
from tests.peers.web import Web

PERIOD = 2.0
CONNECT, STUCK, RETRY, SCAN = 10.0, 10.0, 1.0, 3.0
"""Shorter than usual, so that half an hour holds many faults and their ends: `connection_timeout`, `stuck_seconds`,
`battery_retry_seconds`, `discovery_timeout`."""
LONGEST_RETRY = 6 * RETRY * 1.2
REST = 30.0
"""Seconds that a silent unit among answering neighbours is left alone."""
STALE, OFFLINE = 15.0, 30.0

MODULES = {"hub": scene.BATTERIES, "rover": scene.CONTROLLER, "shunt": scene.SHUNT}
LABELS = {
    "hub": ("hub_48", "hub_49", "hub_50", "hub_51", "hub_combined"),
    "rover": ("rover_255",),
    "shunt": ("shunt_255",),
}
ALL = tuple(label for labels in LABELS.values() for label in labels)
TOPIC = "solar"


@dataclass
class Rig:
    """`adapter` is the name the adapter goes by at present."""

    folder: Path
    fake: Fake
    broker: Mosquitto
    door: Door
    web: Web
    ears: Listener
    program: Program
    adapter: str = "hci0"
    healed: list[str] = field(default_factory=list)

    @property
    def rfkill(self) -> Path:
        return self.folder / "rfkill"

    def unblock_if_asked(self) -> None:
        """What the kernel does when the word to unblock is written to /dev/rfkill."""
        if self.rfkill.stat().st_size:
            self.rfkill.write_bytes(b"")
            self.fake.set_blocked(False, self.adapter)

    def status(self) -> dict[str, Any]:
        """What the program says of itself through its control socket; empty when it has none or is too busy."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            try:
                line.connect(str(self.folder / "config.ini.sock"))
                line.sendall(b'{"do": "status"}\n')
                with line.makefile("rb") as stream:
                    return dict(json.loads(stream.readline() or b"{}"))
            except OSError:
                return {}


@contextmanager
def rigged(folder: Path) -> Iterator[Rig]:
    """Peers and the program, running. All of it is gone afterwards."""
    (folder / "rfkill").write_bytes(b"")
    with (
        Fake(scenario()) as fake,
        Mosquitto(folder / "broker") as broker,
        Door(broker.port) as door,
        Web() as web,
        Listener(broker.port, f"{TOPIC}/#") as ears,
        Program(folder, config(folder, door.port, web.url), fake) as program,
    ):
        yield Rig(folder, fake, broker, door, web, ears, program)


def scenario() -> Scenario:
    """A bank of four batteries behind a hub, a charge controller, a shunt."""
    return scene.scenario(scene.batteries(), scene.controller(), scene.shunt(), adv_interval_s=0.2)


def config(folder: Path, port: int, url: str) -> str:
    sections = {"hub": ("RNG_BATT", "48,49,50,51"), "rover": ("RNG_CTRL", "255"), "shunt": ("RNG_SHNT", "255")}
    devices = "".join(
        f"[device.{name}]\nmac_addr = {MODULES[name]}\ntype = {kind}\ndevice_id = {units}\n"
        for name, (kind, units) in sections.items()
    )
    return f"""{devices}
[data]
enable_polling = true
poll_interval = {PERIOD}
[bluetooth]
connection_timeout = {CONNECT}
battery_retry_seconds = {RETRY}
discovery_timeout = {SCAN}
[watchdog]
interval = 5
stuck_seconds = {STUCK}
resets_per_hour = 60
rfkill = {folder / "rfkill"}
[availability]
stale_seconds = {STALE}
offline_seconds = {OFFLINE}
[mqtt]
enabled = true
server = 127.0.0.1
port = {port}
topic = {TOPIC}
homeassistant_discovery = true
[remote_logging]
enabled = true
url = {url}
"""
