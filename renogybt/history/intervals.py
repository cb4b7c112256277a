"""Intervals made from what is stored: of readings five minutes, of five minutes an hour. For writing and for reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple

import msgspec

from renogybt.history.kept import numbers
from renogybt.history.means import FIVE_MINUTES, Stat, merged_by_key, stats, unpacked

decode = msgspec.json.Decoder().decode


class Interval(NamedTuple):
    """`start` in seconds since 1970; made of so many readings."""

    start: int
    readings: int
    stats: dict[str, Stat]


def of_readings(db: sqlite3.Connection, device: int, family: str, start: int) -> Interval | None:
    """The five minutes from `start`, None when no reading of them is kept."""
    rows = db.execute(
        "SELECT f.keys, r.data FROM readings r JOIN forms f ON f.id = r.form "
        "WHERE r.device = ? AND r.taken_at >= ? AND r.taken_at < ? ORDER BY r.taken_at",
        (device, start, start + FIVE_MINUTES),
    ).fetchall()
    if not rows:
        return None
    values = (numbers(family, dict(zip(decode(keys), decode(data), strict=True))) for keys, data in rows)
    return Interval(start, len(rows), stats(values))


def stored(
    db: sqlite3.Connection,
    device: int,
    span: int,
    start: float,
    end: float,
    limit: int = -1,
    only: Collection[str] | None = None,
) -> Iterator[Interval]:
    """The intervals of `span` seconds that begin in [start, end), in order of time, at most `limit` of them.

    With `only`, not more than those keys of them, which is quicker.
    """
    places: dict[int, list[tuple[int, str]]] = {}
    rows = db.execute(
        "SELECT start, form, count, data FROM means WHERE device = ? AND span = ? AND start >= ? AND start < ? "
        "ORDER BY start LIMIT ?",
        (device, span, start, end, limit),
    ).fetchall()
    for at, form, readings, data in rows:
        if form not in places:
            keys = decode(db.execute("SELECT keys FROM forms WHERE id = ?", (form,)).fetchone()[0])
            places[form] = [(place, key) for place, key in enumerate(keys) if only is None or key in only]
        items = decode(data)
        yield Interval(at, readings, {key: unpacked(items[place], readings) for place, key in places[form]})


def joined(start: int, parts: list[Interval]) -> Interval:
    """One interval that begins at `start`, of `parts` in order of time."""
    return Interval(start, sum(part.readings for part in parts), merged_by_key([part.stats for part in parts]))


def begin(at: float, span: int) -> int:
    """When the interval of `span` seconds that holds `at` began."""
    return int(at // span) * span
