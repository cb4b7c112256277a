"""Stores to test, and what is in their files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from renogybt.outbox.store import Store

PACE = 60.0
WALL = 1_750_000_000.0
OUTLET = "remote"


def store(path: Path, **options: float) -> Store:
    """A store whose file has been looked at, at monotonic time 0."""
    found = Store(
        path,
        max_age=options.get("max_age", 30 * 86400.0),
        max_bytes=int(options.get("max_bytes", 64_000_000)),
        flush_seconds=options.get("pace", PACE),
    )
    found.open(0.0)
    return found


def fill(found: Store, *bodies: str | int, outlet: str = OUTLET, now: float = 0.0, taken_at: float = WALL) -> None:
    for body in bodies:
        found.accept(outlet, taken_at, str(body), now)


def bodies(found: Store, most: int = 500, outlet: str = OUTLET, now: float = 0.0) -> list[str]:
    return [record.body for record in found.waiting(outlet, most, now)]


def drain(found: Store, outlet: str = OUTLET, now: float = 0.0, step: int = 100) -> list[str]:
    """Deliver everything; the bodies in the order in which they came."""
    got: list[str] = []
    while waiting := found.waiting(outlet, step, now):
        got += [record.body for record in waiting]
        found.remove(outlet, [record.number for record in waiting], now)
    return got


def on_disk(path: Path) -> list[tuple[str, bool]]:
    """(body, sent_once) of what the file holds, as another process would see it after a crash."""
    database = sqlite3.connect(path)
    try:
        return [(body, bool(once)) for body, once in database.execute("SELECT body, sent_once FROM waiting ORDER BY number")]
    finally:
        database.close()
