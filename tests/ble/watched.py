"""A watchdog at work in a thread of its own, over a fake BlueZ, with a manager whose worries the test decides."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import pytest

from renogybt.ble.bluez import forget_everything
from renogybt.ble.resets import Resets
from renogybt.ble.watchdog import Watchdog
from renogybt.incident import Incident
from renogybt.settings import Watchdog as Settings
from tests.peers.bluez import scenarios
from tests.peers.bluez.control import Fake
from tests.peers.fixtures import FakeBlueZ

T = TypeVar("T")
Start = Callable[..., Fake]
PATIENCE = 50.0
"""Seconds that a busy machine may need; less than the minute after which a watchdog that heard nothing would look itself."""
QUICK: dict[str, Any] = {"interval": 1, "stuck_seconds": 1, "rfkill": ""}


@dataclass
class Worries:
    """What the watchdog sees of an adapter in use."""

    name: str = "hci0"
    good_at: float | None = None
    failing_since: float | None = None
    scanning_since: float | None = None
    silent_scans: int = 0
    failed_scans: int = 0
    listens: bool = False
    held: int = 0

    def fail(self) -> None:
        self.failing_since = time.monotonic()

    def succeed(self) -> None:
        self.good_at, self.failing_since, self.silent_scans, self.failed_scans = time.monotonic(), None, 0, 0

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[None]:
        self.held += 1
        yield


@dataclass
class View:
    adapters: dict[str, Worries] = field(default_factory=lambda: {"hci0": Worries()})
    wanted: tuple[str, ...] = ("",)
    busy: bool = False
    longest_scan: float = 1.0
    lost: list[str] = field(default_factory=list)
    moves: list[tuple[str, str]] = field(default_factory=list)

    async def lose_everything(self, why: str) -> None:
        self.lost.append(why)
        await forget_everything()

    def moved(self, old: str, new: str) -> None:
        self.moves.append((old, new))
        self.adapters[new] = self.adapters.pop(old)
        self.adapters[new].name = new


class Watched:
    """`with Watched(interval=1, ...) as dog:`; `options` are settings, on top of quick ones."""

    def __init__(self, view: View | None = None, resets: Resets | None = None, **options: Any) -> None:
        self.settings = Settings(**{**QUICK, **options})
        self.view = view or View()
        self.resets = resets or Resets(self.settings.resets_per_hour)
        self.incidents: list[Incident] = []
        self.dog: Watchdog | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(RuntimeError):  # it may have ended by itself
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    @property
    def worries(self) -> Worries:
        return next(iter(self.view.adapters.values()))

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """In the watchdog's own loop, as our connections are."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @contextlib.contextmanager
    def deaf(self, fake: Fake) -> Iterator[None]:
        """What happens at `fake` meanwhile, it hears of all at once afterwards."""
        stands, go_on = threading.Event(), threading.Event()

        async def stand_still() -> None:
            stands.set()
            go_on.wait(PATIENCE)

        standing = self.run(stand_still())
        assert stands.wait(PATIENCE)
        try:
            yield
            fake.clients()  # the daemon has passed on everything that was told before it answers this
        finally:
            go_on.set()
            standing.result(PATIENCE)

    def told(self, kind: str) -> list[Incident]:
        return [incident for incident in list(self.incidents) if incident.kind == kind]

    def kinds(self) -> list[str]:
        return [incident.kind for incident in list(self.incidents)]

    def asked(self, what: str) -> bool:
        return any(incident.asks == what for incident in list(self.incidents))

    def wait(self, true: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Until it is so, and whatever made it so has come to a rest."""
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, [f"{item.kind}: {item.text}" for item in self.incidents]
            time.sleep(0.02)
        with suppress(RuntimeError):  # it may have ended by itself
            self.run(asyncio.sleep(0)).result(seconds)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.dog = Watchdog(self.settings, self.view, self.resets, self.incidents.append)
        self._task = asyncio.create_task(self.dog.run())
        self._ready.set()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and self._task.exception() is not None:
            raise RuntimeError("the watchdog ended") from self._task.exception()


@pytest.fixture
def bluez(fake_bluez: FakeBlueZ, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a fake for this process. `options` of `Fake`, fields of `Scenario` as `world`."""

    def started(world: dict[str, Any] | None = None, **options: Any) -> Fake:
        fake = fake_bluez(scenarios.scenario(scenarios.controller(), **(world or {})), **options)
        for name, value in fake.env().items():
            monkeypatch.setenv(name, value)
        return fake

    return started


def resets_of(fake: Fake) -> int:
    """How often the adapter was switched off."""
    return len(fake.events("unpowered"))


def settled(fake: Fake, dog: Watched) -> None:
    """The watchdog is on the bus and has looked at the adapter."""
    dog.wait(lambda: any(call["result"] == "ok" for call in fake.calls("GetAll")))
    dog.wait(lambda: dog.dog is not None and dog.dog._observed.adapters)


def left(fake: Fake) -> None:
    """Nobody is on the bus any more; the daemon may take a moment to notice."""
    until = time.monotonic() + PATIENCE
    while clients := fake.clients():
        assert time.monotonic() < until, clients
        time.sleep(0.02)
