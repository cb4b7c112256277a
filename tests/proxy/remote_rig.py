"""RemoteRadio in a radio thread, led to a simulated ESP32; and the truth: the same devices read without any radio."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from renogybt.ble.thread import RadioThread
from renogybt.errors import NoAnswer, RenogyError
from renogybt.incident import Incident
from renogybt.link import Complete
from renogybt.proxy.remote import RemoteRadio
from renogybt.reading import Failure, Reading
from renogybt.settings import Bluetooth, Device, Settings
from renogybt.sources.module import Section
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.scenario import Module
from tests.peers.bluez.slave import Slave

T = TypeVar("T")
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_KEY = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
QUICK = Bluetooth(discovery_timeout=0.5, discovery_retries=1, battery_retry_seconds=0.5)


def hub(via: str, **more: Any) -> Device:
    whole = {"section": "device.hub", "mac_addr": scene.BATTERIES, "alias": "hub", "type": "RNG_BATT", "via": via}
    return Device(**{**whole, "device_id": (48, 49, 50, 51), **more})


def rover(via: str, **more: Any) -> Device:
    whole = {"section": "device.rover", "mac_addr": scene.CONTROLLER, "alias": "rover", "type": "RNG_CTRL", "via": via}
    return Device(**{**whole, "device_id": (16,), **more})


class Rig:
    """`cycle` reads a device once and blocks until that is done; what became of it is returned."""

    def __init__(
        self, *devices: Device, bluetooth: Bluetooth = QUICK, radio: Callable[[Settings], Any] | None = None
    ) -> None:
        self.settings = Settings(devices=devices, bluetooth=bluetooth)
        self.incidents: list[Incident] = []
        make = radio or (lambda settings: RemoteRadio(settings, self.incidents.append))
        self.radios: list[Any] = []

        def made() -> Any:
            self.radios.append(make(self.settings))
            return self.radios[-1]

        self.thread = RadioThread(made)
        self.sections = {device.alias: Section(device, self.settings) for device in devices}
        self.thread.start()

    @property
    def radio(self) -> Any:
        return self.radios[-1]

    def do(self, task: Callable[[Any], Awaitable[T]], seconds: float = 90.0) -> T:
        return self.begin(task)(seconds)

    def begin(self, task: Callable[[Any], Awaitable[T]]) -> Callable[[float], T]:
        results: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        async def job(radio: Any) -> None:
            try:
                results.put((True, await task(radio)))
            except RenogyError as error:
                results.put((False, error))

        self.thread.submit(job, lambda error: results.put((False, error)) if error else None)

        def wait(seconds: float = 60.0) -> T:
            good, result = results.get(timeout=seconds)
            if not good:
                raise result
            answer: T = result
            return answer

        return wait

    def begin_cycle(self, alias: str) -> Callable[[float], list[Any]]:
        async def cycle(radio: Any) -> list[Any]:
            news: list[Any] = []
            await self.sections[alias].cycle(radio, news.append)
            return news

        return self.begin(cycle)

    def cycle(self, alias: str = "hub") -> dict[int | None, Reading]:
        """What was read, by unit."""
        return {news.identity.unit: news for news in self.begin_cycle(alias)(90) if isinstance(news, Reading)}

    def failures(self, alias: str = "hub") -> list[str]:
        return [news.error for news in self.begin_cycle(alias)(90) if isinstance(news, Failure)]

    def error(self, alias: str = "hub") -> Exception:
        """What borrowing the module raises."""
        device = self.sections[alias].device
        gatt = self.sections[alias].sources[0].reader.gatt

        async def borrow(radio: Any) -> Exception:
            try:
                async with radio.lend(device, gatt):
                    raise AssertionError("it was lent")
            except RenogyError as error:
                return error

        return self.do(borrow)

    def until_read(self, alias: str, seconds: float, units: int = 4) -> dict[int | None, Reading]:
        """Try as the bridge would until everything is read."""
        end = time.monotonic() + seconds
        while True:
            found = self.cycle(alias)
            if len(found) == units:
                return found
            assert time.monotonic() < end, f"not read within {seconds} s"
            for source in self.sections[alias].sources:
                source.resting_until = 0.0
            time.sleep(0.1)


@contextmanager
def rig(*devices: Device, **more: Any) -> Iterator[Rig]:
    started = Rig(*devices, **more)
    try:
        yield started
    finally:
        assert started.thread.stop(40), "the radio thread did not end"


class Wire:
    """A link without any radio: the answers of the simulated units as they are."""

    name, generation = "", 1

    def __init__(self, spec: Module) -> None:
        self.name = spec.name.strip()
        self._slaves = [Slave(unit) for unit in spec.units]

    async def exchange(self, frame: bytes | None, complete: Complete, timeout: float, pause: float = 0.0) -> bytes:
        for slave in self._slaves:
            if frame is not None and slave.hears(frame):
                found = complete(slave.answer(frame) or b"")
                if found is not None:
                    return found
        raise NoAnswer("silence")

    async def renew(self) -> None:
        pass


def truth(spec: Module, device: Device) -> dict[int | None, dict[str, Any]]:
    """The values of each unit."""

    async def read() -> dict[int | None, dict[str, Any]]:
        section = Section(device, Settings(devices=(device,)))
        return {source.identity.unit: dict((await source.reader.read(Wire(spec))).values) for source in section.sources}

    return asyncio.run(read())
