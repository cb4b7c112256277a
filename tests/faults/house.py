"""A house to break things in: fake BlueZ, mosquitto and the real program between them, with short settings.

    with House(folder, scenario, sections) as house:
        house.fake.drop_link(scene.CONTROLLER)
        house.recovers(5)

On leaving it without an error, `check()` asserts that nothing wrong was published and nothing leaked.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.e2e.program import Program
from tests.faults.truth import Told, bank, lies, pack, rover
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.bluez.scenario import Module, Scenario
from tests.peers.mosquitto import Heard, Listener, Mosquitto
from tests.peers.starvation import Starvation

INSIDE = Path(__file__).parent / "inside"
START = 60.0
"""Seconds until everything is read for the first time; the machine may be busy."""
QUIET = 20.0
"""Seconds within which what was used for a recovery is given back."""
STEADY = 0.4
"""Seconds without any change that count as quiet."""
PATIENCE = 40.0
"""Seconds for what happens in one or two, where nothing is promised about the time."""
SHORT: Mapping[str, Mapping[str, object]] = {
    "data": {"enable_polling": "true", "poll_interval": 1},
    "bluetooth": {
        "discovery_timeout": 2,
        "discovery_retries": 2,
        "discovery_delay": 0.2,
        "connection_timeout": 6,
        "battery_retry_seconds": 0.5,
    },
    "watchdog": {"interval": 1, "stuck_seconds": 3},
    "mqtt": {"enabled": "true", "server": "127.0.0.1", "topic": "solar", "homeassistant_discovery": "true"},
}
TROUBLE = ("Traceback", "nobody foresaw", "never retrieved", "was destroyed but it is pending", "never awaited")


@dataclass(frozen=True)
class Part:
    """A section of the configuration, the module it leads to, and the devices there."""

    name: str
    module: Callable[[], Module]
    told: Callable[[], Iterable[Told]]
    options: Mapping[str, object]


ROVER = Part(
    "rover",
    scene.controller,
    lambda: [rover()],
    {"mac_addr": scene.CONTROLLER, "type": "RNG_CTRL", "device_id": 255, "alias": "rover"},
)
HUB = Part(
    "hub",
    scene.batteries,
    lambda: [pack(48), pack(49), bank(48, 49)],
    {"mac_addr": scene.BATTERIES, "type": "RNG_BATT", "device_id": "48,49", "alias": "hub"},
)


class Used(NamedTuple):
    """What the process holds of the machine."""

    files: int
    threads: int
    connections: int


class House:
    """`more` are options by section over the short ones; `sabotage` opens a way to do things inside the program.

    `bluez` are options of `Fake`, `environment` variables for the program. With `started` false, call `start()`.
    """

    def __init__(
        self,
        folder: Path,
        *parts: Part,
        scenario: Scenario | None = None,
        sabotage: bool = False,
        bluez: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        started: bool = True,
        **more: Mapping[str, object],
    ) -> None:
        self.folder, self.parts = folder, parts or (ROVER, HUB)
        self.told = [told for part in self.parts for told in part.told()]
        self._fake = Fake(scenario or scene.scenario(*(part.module() for part in self.parts)), **bluez or {})
        self._more, self._started, self._sabotage = more, started, sabotage
        self._environment = dict(environment or {})
        self._stack = ExitStack()
        self._checked = self._log_checked = 0
        self._used: Used | None = None
        self._over = False

    # Life

    def __enter__(self) -> Self:
        self.fake = self._stack.enter_context(self._fake)
        self.broker = self._stack.enter_context(Mosquitto(self.folder / "broker"))
        self.ears = self._stack.enter_context(Listener(self.broker.port))
        if self._started:
            try:
                self.start()
                self.settled()
            except BaseException:
                self._stack.__exit__(*sys.exc_info())
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and not self._over:
                self.check()
        finally:
            self._stack.__exit__(*(sys.exc_info() if kind is None else (kind, error, trace)))

    def start(self) -> None:
        """Start the program (again)."""
        environment = {"FAULTS_HAND": str(self.folder / "hand"), "PYTHONPATH": str(INSIDE)} if self._sabotage else {}
        (self.folder / "hand").unlink(missing_ok=True)
        program = Program(self.folder, self.ini(), self.fake, **environment, **self._environment)
        self.program = self._stack.enter_context(program)
        self._used, self._log_checked = None, 0

    def ini(self) -> str:
        options = {name: dict(given) for name, given in SHORT.items()}
        options["mqtt"]["port"] = self.broker.port
        for name, given in self._more.items():
            options.setdefault(name, {}).update(given)
        options |= {f"device.{part.name}": dict(part.options) for part in self.parts}
        return "".join(
            f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in held.items()) for name, held in options.items()
        )

    def settled(self, timeout: float = START) -> None:
        """Everything as it should be: no faults, all devices read. What is held now is what may be held later."""
        self.tidy()
        self.recovers(timeout)
        self.fake.clear_log()
        if self._used is None:
            self.used_now()

    def tidy(self) -> None:
        """No faults any more, and nothing noted."""
        self.fake.clear_rules()
        for module in self._fake.scenario.modules:
            self.fake.clear_quirks(module.address)
        self.fake.clear_log()

    # Assertions

    def recovers(self, within: float, *labels: str) -> float:
        """From now on (the injection is over), until a true new reading of every device (or these); returns the seconds.

        The registers are rewritten first, so that an old value cannot pass for a new one. Time in which a busy machine had
        no processor for those who take part does not count.
        """
        begin, starvation = time.monotonic(), self.starvation()
        awaited = {told.label: told.stamp(self.fake, begin) for told in self.told if not labels or told.label in labels}
        keys = {told.label: told.key for told in self.told}

        def missing() -> list[str]:
            return [name for name, value in awaited.items() if not self._read(name, keys[name], value, begin)]

        while left := missing():
            elapsed = time.monotonic() - begin
            if elapsed > within and elapsed - starvation.seconds() > within:
                raise AssertionError(f"not read again within {within:g} s: {', '.join(left)}\n{self.tail()}")
            assert self.program.running, f"the program has ended\n{self.tail()}"
            time.sleep(0.02)
        return time.monotonic() - begin

    def _read(self, label: str, key: str, value: Any, since: float) -> bool:
        for heard in self.heard(label, since):
            said = json.loads(heard.payload)
            if said.get("connection_status", "online") == "online" and (not key or said.get(key) == value):
                return True
        return False

    def truthful(self) -> None:
        """Every value published since the last look is what the device held when it was measured, or null."""
        heard_so_far = list(self.ears.messages)
        news, self._checked = heard_so_far[self._checked :], len(heard_so_far)
        by_topic = {f"solar/{told.label}": told for told in self.told}
        found = [
            lie
            for heard in news
            if heard.topic in by_topic and heard.payload and not heard.retained
            for lie in lies(by_topic[heard.topic], heard)
        ]
        assert not found, "\n".join(found[:10])

    def no_leak(self) -> None:
        """No more files, threads and D-Bus connections than in quiet times, no scan left on, nothing forbidden done."""
        assert self._used is not None
        begin = time.monotonic()
        while True:
            now, scans = self.used(), self.fake.sessions()
            if not scans and all(held <= before for held, before in zip(now, self._used, strict=True)):
                break
            if time.monotonic() - begin > QUIET:
                names = ", ".join(self.files())
                raise AssertionError(f"held now {now}, scans {scans}; before {self._used}; files: {names}\n{self.tail()}")
            time.sleep(0.05)
        assert self.fake.violations() == []

    def calm(self, *but: str) -> None:
        """The log shows no trouble inside the program since the last look."""
        output = self.program.output
        log, self._log_checked = output[self._log_checked :], len(output)
        found = [word for word in TROUBLE if word in log and word not in but]
        assert not found, log[-6000:]

    def check(self) -> None:
        assert self.program.running, self.tail()
        self.truthful()
        self.no_leak()
        self.calm()

    def goodbye(self) -> None:
        """The program has ended in good order: nothing wrong was published, nothing of it is left, and all is said."""
        self._over = True
        self.ears.caught_up()
        self.truthful()
        self.calm()
        assert json.loads((self.folder / "energy_totals.json").read_text())
        self.until(lambda: not self.fake.clients() and not self.fake.sessions(), what="nothing is left in BlueZ")
        assert "RuntimeError" not in self.program.output

    # Looking

    def used(self) -> Used:
        place = Path("/proc") / str(self.program.pid)
        mine = [client for client in self.fake.clients() if client["pid"] == self.program.pid]
        return Used(len(os.listdir(place / "fd")), len(os.listdir(place / "task")), len(mine))

    def files(self) -> list[str]:
        """What is open, with its number."""
        place = Path("/proc") / str(self.program.pid) / "fd"
        return [f"{item.name} {os.readlink(item)}" for item in sorted(place.iterdir(), key=lambda item: int(item.name))]

    def starvation(self) -> Starvation:
        """Of everybody who takes part, from now on."""
        return Starvation(self.program.pid, self.fake.pid, self.fake.daemon.pid, self.broker.pid)

    def used_now(self) -> None:
        """What is held now, in quiet, is what may be held later."""
        self._used, since = self.used(), time.monotonic()
        end = since + PATIENCE
        while time.monotonic() < min(since + STEADY, end):
            time.sleep(0.05)
            if (used := self.used()) != self._used:
                self._used, since = used, time.monotonic()

    def heard(self, label: str, since: float = 0.0) -> list[Heard]:
        """States of a device since that moment (monotonic seconds), oldest first."""
        topic = f"solar/{label}"
        return [heard for heard in list(self.ears.messages) if heard.topic == topic and heard.at >= since]

    def states(self, label: str, since: float = 0.0) -> list[dict[str, Any]]:
        return [json.loads(heard.payload) for heard in self.heard(label, since)]

    def says(self, text: str, timeout: float = PATIENCE) -> None:
        """Until the log of the program contains `text`."""
        self.program.says(text, timeout)

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.program.output.splitlines()[-lines:])

    def until(self, condition: Callable[[], object], timeout: float = PATIENCE, what: str = "") -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"not within {timeout:g} s: {what}\n{self.tail()}"
            time.sleep(0.02)

    # Doing

    def inside(self, code: str) -> str:
        """Have the program (started with `sabotage`) execute this in a thread of its own; what it calls `said`."""
        with socket.socket(socket.AF_UNIX) as hand:
            hand.settimeout(PATIENCE)
            hand.connect(str(self.folder / "hand"))
            hand.sendall(code.encode())
            hand.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: hand.recv(65536), b"")).decode()
        assert "Traceback" not in answer, answer
        return answer


class Home:
    """One house for the tests of a file, one after the other; a new one after a test that failed."""

    def __init__(self, make: Callable[[int], House]) -> None:
        self._make, self._number = make, 0
        self._house: House | None = None
        self.suspect = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def house(self) -> House:
        """As good as new."""
        if self.suspect:
            self._leave()
        if self._house is None:
            self._number, self.suspect = self._number + 1, False
            self._house = self._make(self._number).__enter__()
        else:
            self._house.tidy()  # that all devices are read was shown by the test before
        return self._house

    def _leave(self) -> None:
        house, self._house = self._house, None
        if house is not None:
            house._stack.close()
