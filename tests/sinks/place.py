"""A house that reports to a server like PVOutput's, in virtual time and over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from renogybt.reading import Identity, Reading
from renogybt.settings import Data, Device, Pvoutput, Settings
from renogybt.sinks.pvoutput import PvoutputOutlet, outlets
from tests.peers.pvoutput import PvoutputPeer
from tests.sinks.given import MAC
from tests.sinks.pump import Clock, Pump

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
KEY = "secret-key"
DAY = 86400


def local(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM).timestamp()


class Place:
    """A house with a clock, one or more systems, and the service they report to."""

    def __init__(self, start: str, peer_options: dict[str, Any] | None = None, **options: Any) -> None:
        self.clock = Clock(local(start))
        self.peer = PvoutputPeer(self.clock.wall, **peer_options or {})
        self.options = options
        self.begin()

    def settings(self) -> Settings:
        names = list(self.peer.systems)
        rovers = [Device(section=f"device.{n}", mac_addr=f"{MAC[:-1]}{n}", alias=f"Rover{n}") for n, _ in enumerate(names)]
        systems = [
            Pvoutput(
                section="pvoutput" if not n else f"pvoutput.{n}",
                enabled=True,
                api_key=self.peer.systems[name].key,
                system_id=name,
                device=f"Rover{n}",
                url=self.peer.url,
                **self.options,
            )
            for n, name in enumerate(names)
        ]
        data = Data(enable_polling=True, timezone="Europe/Amsterdam")
        return Settings(devices=tuple(rovers), data=data, pvoutput=tuple(systems))

    def begin(self) -> None:
        """Start the program, or start it again: what waits in the outbox stays, all else is forgotten."""
        old = getattr(self, "pump", None)
        self.pump = Pump(self.clock, *outlets(self.settings()))
        if old is not None:
            self.pump.waiting, self.pump._number = old.waiting, old._number

    def outlet(self, number: int = 0) -> PvoutputOutlet:
        found: PvoutputOutlet = self.pump.outlets[number]
        return found

    def read(self, *only: int, **values: Any) -> None:
        """All devices are read once, now (or only those with these numbers)."""
        now = self.clock.wall()
        power = {"power_generation_today": int(now // 60 % 1440), "pv_power": 34, "load_power": 5, "battery_voltage": 13.1}
        for n, _ in enumerate(self.pump.outlets):
            if n in (only or (n,)):
                identity = Identity(f"{MAC[:-1]}{n}", 255, f"Rover{n}")
                self.pump.offer(Reading(identity, "controller", power | values, now, self.clock.mono()))

    def gather(self, slots: int, *only: int) -> None:
        """Read once every five minutes, so many times, while nothing is delivered."""
        for _ in range(slots):
            self.read(*only)
            self.clock.advance(300)

    def live(self, seconds: float, every: float = 60.0) -> None:
        """Read and deliver for so long."""
        for _ in range(round(seconds / every)):
            self.read()
            self.pump.run(every)

    @property
    def left(self) -> int:
        return sum(map(len, self.pump.waiting.values()))


@pytest.fixture(name="place")
def places() -> Iterator[Any]:
    made: list[Place] = []

    def make(start: str = "2026-06-01 12:00:10", peer_options: dict[str, Any] | None = None, **options: Any) -> Place:
        made.append(Place(start, peer_options, **options))
        made[-1].peer.__enter__()
        return made[-1]

    yield make
    for one in made:
        one.peer.__exit__()


def every_slot(first: str, count: int, minutes: int = 5) -> list[tuple[str, str]]:
    """`count` slots of naive local time; no day of 23 or 25 hours among them."""
    begin = datetime.fromisoformat(first)
    moments = [begin + timedelta(minutes=minutes * n) for n in range(count)]
    return [(f"{moment:%Y%m%d}", f"{moment:%H:%M}") for moment in moments]


def assert_all_once(place: Place, slots: list[tuple[str, str]]) -> None:
    system = place.peer.system
    assert system.times == slots
    assert set(system.delivered.values()) <= {1}
    assert not place.left
