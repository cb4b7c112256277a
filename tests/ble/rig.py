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
QUICK = Bluetooth(discovery_timeout=0.6, discovery_retries=2, discovery_delay=0.1, battery_retry_seconds=0.5)
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

    def do(self, task: Callable[[BLEManager], Awaitable[T]], seconds: float = 60.0) -> T:
        return self.begin(task)(seconds)

    def begin(self, task: Callable[[BLEManager], Awaitable[T]]) -> Callable[[float], T]:
        """Start it; the answer waits for its result so many seconds."""
        results: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

        async def job(radio: BLEManager) -> None:
            try:
                results.put(("good", await task(radio)))
            except (RenogyError, AssertionError, pytest.fail.Exception) as error:
                results.put(("bad", error))

        self.thread.submit(job, lambda error: results.put(("bad", error)) if error else None)

        def wait(seconds: float = 60.0) -> T:
            kind, result = results.get(timeout=seconds)
            if kind == "bad":
                raise result
            answer: T = result
            return answer

        return wait

    def read(self, device: Device = ROVER, seconds: float = 60.0) -> bytes:
        """One request over a lent connection; the registers it brought."""
        return self.begin_read(device)(seconds)

    def begin_read(self, device: Device = ROVER) -> Callable[[float], bytes]:
        return self.begin(partial(ask, device=device))

    def read_until(self, seconds: float, device: Device = ROVER) -> float:
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

    def kinds(self) -> list[str]:
        return [incident.kind for incident in self.incidents]

    def members(self, *wanted: str) -> list[str]:
        return [call["member"] for call in self.fake.calls() if call["member"] in wanted]

    def ours(self) -> list[dict[str, Any]]:
        """Connections of this process to the bus."""
        return [client for client in self.fake.clients() if client["pid"] == os.getpid()]


async def ask(radio: BLEManager, device: Device = ROVER) -> bytes:
    request = BATTERY if device.type == "RNG_BATT" else REQUEST
    family = devices.for_type(device.type, device.variant)
    async with radio.lend(device, family.gatt) as link:
        frame = await link.exchange(request.frame, partial(modbus.find_answer, request), 1.0)
    return modbus.payload_of(request, frame)


Start = Callable[..., Rig]


@pytest.fixture
def rig(fake_bluez: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a rig: `rig(module, ..., bluetooth=..., wanted=(...), **scenario)`. At the end nothing is left of it."""
    from renogybt.ble import bounded

    monkeypatch.setattr(bounded, "GRACE", 0.2)
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
    assert len(os.listdir("/proc/self/fd")) <= before + 3 * len(started)


def end(rig: Rig) -> None:
    """Stop it; nothing of it may be left."""
    rig.fake.clear_rules()
    assert rig.thread.stop(10), "the radio thread did not end"
    until = time.monotonic() + 5
    while left := rig.ours():
        assert time.monotonic() < until, f"D-Bus connections left: {left}"
        time.sleep(0.02)
    assert rig.fake.violations() == []
    assert rig.fake.sessions() == []


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds
