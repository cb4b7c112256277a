"""Readings and histories for these tests. Times are fixed, so that nothing depends on the clock or zone of the machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from renogybt import devices
from renogybt.energy.days import Days
from renogybt.history.kept import Kept, kept
from renogybt.history.store import Store
from renogybt.history.writer import HistorySink
from renogybt.reading import Identity, Reading
from renogybt.settings import Data, History, Settings

ROVER = Identity("84:28:D7:FF:00:01", 255, "roof")
HOUSE = Identity("80:6F:B0:0F:12:34", 48, "house", shared=True)
UID, HOUSE_UID = ROVER.uid, HOUSE.uid
UTC_DAY = Days("UTC").at
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def at(text: str) -> float:
    """Seconds since 1970 of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOON = at("2026-07-01T12:00")


def reading(when: float, identity: Identity = ROVER, family: str = "controller", **values: Any) -> Reading:
    """A reading whose other values are None."""
    complete = devices.family(family).complete(values)
    return Reading(identity, family, complete, when, when, "BT-TH-1234")


def solar(when: float, watts: float | None, **more: Any) -> Kept:
    return kept(reading(when, pv_power=watts, **more))


def recorded(when: float, *days: tuple[str, int, int], identity: Identity = ROVER) -> Reading:
    """What a controller recorded: (date, days ago, Wh generated) of each day."""
    past = Identity(identity.mac, identity.unit, identity.alias, identity.shared, "history")
    daily = [
        {"date": day, "days_ago": ago, "day_generation": wh, "day_consumption": wh // 2, "day_min_voltage": None}
        for day, ago, wh in days
    ]
    return reading(when, past, "history", daily=daily)


def store(path: Path, day_of: Callable[[float], date] = UTC_DAY) -> Store:
    return Store(path, day_of)


class Clock:
    """Both clocks of a machine; `set` turns only the hands of the one on the wall."""

    def __init__(self, wall: float = NOON) -> None:
        self.wall_now, self.monotonic_now = wall, 1000.0

    def wall(self) -> float:
        return self.wall_now

    def monotonic(self) -> float:
        return self.monotonic_now

    def pass_by(self, seconds: float) -> None:
        self.wall_now += seconds
        self.monotonic_now += seconds

    def set(self, wall: float) -> None:
        self.wall_now = wall


def sink(folder: Path, clock: Clock | None = None, **options: Any) -> HistorySink:
    """Not started: `step()` does a round of its thread here."""
    clock = clock or Clock()
    settings = Settings(
        data=Data(enable_polling=True), history=History(enabled=True, **options), folder=str(folder), file="config.ini"
    )
    return HistorySink(settings, UTC_DAY, clock.wall, clock.monotonic)
