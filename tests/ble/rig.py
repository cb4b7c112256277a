"""The real BLEManager with the real bleak in a thread of its own, led to the fake BlueZ."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from renogybt import devices
from renogybt.ble.manager import BLEManager
from renogybt.ble.resets import Resets
from renogybt.ble.thread import RadioThread
from renogybt.errors import RenogyError
from renogybt.incident import Incident
from renogybt.protocol import modbus
from renogybt.settings import Bluetooth, Device, Settings, Watchdog
from tests.peers.bluez import scenarios
from tests.peers.bluez.control import Fake
from tests.peers.bluez.scenario import Module

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds after which what a test waits for is not believed in any more."""
PROMPT = 20.0
"""Seconds, also on a busy machine, for what must not have to wait until a limit of the program's own is over: those for a
connection and a cycle are longer. How soon readings come again is measured by benchmarks/recovery.py."""
ANSWER = 15.0
QUICK = Bluetooth(discovery_timeout=15, discovery_retries=2, discovery_delay=0.1, battery_retry_seconds=0.5)
"""For modules that are there; a scan ends when they are seen."""
HASTY = replace(QUICK, discovery_timeout=0.6)
"""For modules that are not."""
UNWATCHED = Watchdog(enabled=False)
REQUEST = modbus.read(255, 0x0100, 2)
BATTERY = modbus.read(48, 5042, 2)
ROVER = Device(mac_addr=scenarios.CONTROLLER, alias="rover", type="RNG_CTRL")
PACK = Device(section="device.pack", mac_addr=scenarios.BATTERIES, alias="pack", type="RNG_BATT", device_id=(48,))
DCDC = Device(section="device.dcdc", mac_addr=scenarios.DCDC, alias="dcdc", type="RNG_DCC")


class Rig:
    """`read` and the like block the test until the radio thread has done it, and raise what it raised there."""

    def __init__(self, fake: Fake, settings: Settings, patient: bool) -> None:
        self.fake, self.settings = fake, settings
        self.incidents: list[Incident] = []
        self.resets = Resets(settings.watchdog.resets_per_hour)
        self._patient = patient
        self._managers: list[BLEManager] = []
        self.thread = self.new_thread()

    def new_thread(self) -> RadioThread:
        def make() -> BLEManager:
            self._managers.append(BLEManager(self.settings, self.incidents.append, self.resets, self._patient))
            return self._managers[-1]

        self.thread = RadioThread(make)
        self.thread.start()
        return self.thread

    @property
    def manager(self) -> BLEManager:
        return self._managers[-1]

    def do(self, task: Callable[[BLEManager], Awaitable[T]], seconds: float = PATIENCE) -> T:
        return self.begin(task)(seconds)

    def begin(self, task: Callable[[BLEManager], Awaitable[T]]) -> Callable[..., T]:
        """Start it; the answer waits for its result so many seconds."""
        results: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

        async def job(radio: BLEManager) -> None:
            try:
                results.put(("good", await task(radio)))
            except (RenogyError, AssertionError, pytest.fail.Exception) as error:
                results.put(("bad", error))

        self.thread.submit(job, lambda error: results.put(("bad", error)) if error else None)

        def wait(seconds: float = PATIENCE) -> T:
            kind, result = results.get(timeout=seconds)
            if kind == "bad":
                raise result
            answer: T = result
            return answer

        return wait

    def read(self, device: Device = ROVER, answer: float = ANSWER) -> bytes:
        """One request over a lent connection; the registers it brought. `answer`: seconds until they must have come."""
        return self.begin_read(device, answer)()

    def begin_read(self, device: Device = ROVER, answer: float = ANSWER) -> Callable[..., bytes]:
        return self.begin(partial(ask, device=device, seconds=answer))

    def read_until(self, seconds: float = PROMPT, device: Device = ROVER) -> float:
        """Try as the bridge would until it works; how long that took."""
        began = time.monotonic()
        error: Exception | None = None
        while time.monotonic() - began < seconds:
            try:
                self.read(device)
                return time.monotonic() - began
            except RenogyError as trouble:
                error = trouble
            time.sleep(0.05)
        raise AssertionError(f"not read within {seconds} s: {error}")

    def until(self, true: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """What happens by itself needs its time, on a busy machine a little more."""
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, f"not within {seconds:g} s: {self.incidents}"
            time.sleep(0.02)

    def until_told(self, true: Callable[[], Any]) -> None:
        """Until it is so in the radio thread: BlueZ's news take their way over the bus."""

        async def looked(radio: BLEManager) -> Any:
            return true()

        self.until(lambda: self.do(looked))

    def kinds(self) -> list[str]:
        return [incident.kind for incident in list(self.incidents)]

    def members(self, *wanted: str) -> list[str]:
        return [call["member"] for call in self.fake.calls() if call["member"] in wanted]

    def ours(self) -> list[dict[str, Any]]:
        """Connections of this process to the bus."""
        return [client for client in self.fake.clients() if client["pid"] == os.getpid()]


async def ask(radio: BLEManager, device: Device = ROVER, seconds: float = ANSWER) -> bytes:
    request = BATTERY if device.type == "RNG_BATT" else REQUEST
    family = devices.for_type(device.type, device.variant)
    async with radio.lend(device, family.gatt) as link:
        frame = await link.exchange(request.frame, partial(modbus.find_answer, request), seconds)
    return modbus.payload_of(request, frame)


Start = Callable[..., Rig]


@pytest.fixture
def rig(fake_bluez: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a rig: `rig(module, ..., bluetooth=..., wanted=(...), **scenario)`. At the end nothing is left of it.

    BlueZ may take its time for the end of a scan; where it is not to come at all, `monkeypatch` what is waited for it.
    """
    from renogybt.ble import bounded, scan

    monkeypatch.setattr(bounded, "GRACE", 0.5)
    monkeypatch.setattr(scan, "STOP_LIMIT", ANSWER)
    monkeypatch.setattr(scan, "FREE_LIMIT", ANSWER)
    started: list[Rig] = []

    def start(
        *modules: Module,
        bluetooth: Bluetooth = QUICK,
        watchdog: Watchdog = UNWATCHED,
        wanted: tuple[Device, ...] = (ROVER,),
        patient: bool = False,
        bluetoothctl: str = "5.82",
        limits: dict[str, int] | None = None,
        **more: Any,
    ) -> Rig:
        scene = scenarios.scenario(*(modules or (scenarios.controller(),)), **{"adv_interval_s": 0.02, **more})
        fake = fake_bluez(scene, bluetoothctl=bluetoothctl, limits=limits)
        for name, value in fake.env().items():
            monkeypatch.setenv(name, value)
        started.append(Rig(fake, Settings(devices=wanted, bluetooth=bluetooth, watchdog=watchdog), patient))
        return started[-1]

    before = len(os.listdir("/proc/self/fd"))
    yield start
    for each in started:
        end(each)
    until = time.monotonic() + PATIENCE
    while len(os.listdir("/proc/self/fd")) > before + 3 * len(started):
        assert time.monotonic() < until, "open files are left"
        time.sleep(0.02)


def end(rig: Rig) -> None:
    """Stop it; nothing of it may be left."""
    rig.fake.clear_rules()
    assert rig.thread.stop(PATIENCE), "the radio thread did not end"
    rig.until(lambda: not rig.ours())
    rig.until(lambda: not rig.fake.sessions())
    assert rig.fake.violations() == []


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """At the latest after that; see `PROMPT`."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds
