"""The history for those who show it. Times are seconds since 1970 (UTC), temperatures °C, energies in the row's own unit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from heapq import merge
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msgspec import Struct, field

from renogybt.errors import UserError
from renogybt.history.file import opened_to_read
from renogybt.history.intervals import Interval, begin, decode, joined, of_readings, stored
from renogybt.history.kept import counted, numbers, rows
from renogybt.history.means import FIVE_MINUTES, HOUR, SPANS, Stat, unpacked
from renogybt.history.store import BRIDGE, CONTROLLER

FULL = 0
"""The step of single readings."""
MOST_POINTS = 2000
"""So many points a curve has at most when `series` chooses the step, unless it is a curve of hours."""
PAGE = 1000
"""Rows fetched at once: no reader keeps the file busy for longer."""


class Known(Struct, frozen=True):
    """A device of which there is something. `label` as in topics (`<alias>_<id>`), `family` the key of its table."""

    uid: str
    label: str
    family: str


class Key(Struct, frozen=True):
    """A value of a device: its name, unit ("" if none), and whether means and curves are made of it."""

    name: str
    unit: str
    counted: bool


class Curve(Struct):
    """One value over time, equally long lists. With single readings all four are that reading."""

    times: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    min: list[float] = field(default_factory=list)
    max: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)

    def add(self, at: float, item: Stat) -> None:
        self.times.append(at)
        self.mean.append(item.mean)
        self.min.append(item.min)
        self.max.append(item.max)
        self.last.append(item.last)


class Series(Struct):
    """Curves by key. `step`: seconds from point to point, each at the begin of its interval; 0 = single readings."""

    step: int
    curves: dict[str, Curve]


class Day(Struct):
    """A local day. `values`: what the bridge read. `controller`: what the charge controller itself recorded.

    `generation` and `consumption` in Wh: the controller's record of that day if it was over, else what the bridge read
    last. None when neither knows. For a counter that only rises, `last - min` of its values is what the day added.
    """

    date: str
    generation: float | None
    consumption: float | None
    values: dict[str, Stat]
    controller: dict[str, float]


class History:
    """Reads the file at `path`, also while the bridge writes it. Belongs to the thread that made it; opening is cheap.

    Raises `UserError` when there is no such file, or for a device that is not in it.
    """

    def __init__(self, path: str | Path) -> None:
        self._db = opened_to_read(Path(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def devices(self) -> list[Known]:
        return [Known(*row) for row in self._db.execute("SELECT uid, label, family FROM devices ORDER BY label, uid")]

    def keys(self, uid: str) -> list[Key]:
        """Every value there is of a device, in the order of its table."""
        number, family = self._device(uid)
        names: set[str] = set()
        for keys, fixed in self._db.execute("SELECT keys, fixed FROM forms WHERE device = ?", (number,)):
            names.update(decode(keys), decode(fixed) if fixed else ())
        return [Key(name, row.quantity.unit, counted(row)) for name, row in rows(family).items() if name in names]

    def latest(self, uid: str, now: float | None = None) -> tuple[float, dict[str, Any]] | None:
        """The newest reading and when it was taken, None when none is kept.

        With `now`, readings from a time still to come (the clock was wrong then) do not count.
        """
        number, _ = self._device(uid)
        query = f"{READINGS} AND r.taken_at <= ? ORDER BY r.taken_at DESC LIMIT 1"
        row = self._db.execute(query, (number, float("inf") if now is None else now)).fetchone()
        return None if row is None else (row[0], _values(*row[1:]))

    def readings(self, uid: str, start: float, end: float) -> Iterator[tuple[float, dict[str, Any]]]:
        """Every reading taken in [start, end) that is kept, in order of time, with its values by key."""
        number, _ = self._device(uid)
        query = f"{READINGS} AND r.taken_at >= ? AND r.taken_at < ? ORDER BY r.taken_at LIMIT ?"
        while page := self._db.execute(query, (number, start, end, PAGE)).fetchall():
            for at, *parts in page:
                yield at, _values(*parts)
            start = page[-1][0] + 0.0005  # times are kept in milliseconds

    def means(
        self, uid: str, span: int, start: float, end: float, only: Collection[str] | None = None
    ) -> Iterator[Interval]:
        """The intervals of `span` seconds (300 or 3600) that begin in [start, end), up to the latest reading written.

        With `only`, those keys are enough for you.
        """
        if span not in SPANS:
            raise UserError(f"there are means of {' and '.join(map(str, SPANS))} seconds, none of {span}")
        number, family = self._device(uid)
        fresh = self._unfinished(number, family, span, start, end)
        finished = self._stored(number, span, start, end, only)
        instead = {item.start for item in fresh}
        return merge((item for item in finished if item.start not in instead), fresh, key=lambda item: item.start)

    def series(self, uid: str, keys: Sequence[str], start: float, end: float, step: int | None = None) -> Series:
        """Curves of `keys` in [start, end), flags as 1 and 0; a key without numbers has an empty one.

        `step` 0 (single readings), 300 or 3600 seconds; None: the finest that reaches back to `start` (or as far as any)
        and does not give more than `MOST_POINTS` points.
        """
        step = self._step(uid, start, end) if step is None else step
        curves = {key: Curve() for key in keys}
        if step == FULL:
            _, family = self._device(uid)
            for at, values in self.readings(uid, start, end):
                for key, value in numbers(family, {key: values.get(key) for key in curves}).items():
                    curves[key].add(at, Stat(value, value, value, value, 1))
        else:
            for interval in self.means(uid, step, start, end, curves.keys()):
                for key, curve in curves.items():
                    if item := interval.stats.get(key):
                        curve.add(interval.start, item)
        return Series(step, curves)

    def days(self, uid: str, start: date | str, end: date | str) -> list[Day]:
        """The days from `start` to `end`, both included (dates, or ISO 8601), that are known, in order.

        The day that is not over yet is renewed every hour.
        """
        number, _ = self._device(uid)
        query = "SELECT date, source, count, data FROM days WHERE device = ? AND date BETWEEN ? AND ? ORDER BY date"
        found: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {}
        for day, source, count, data in self._db.execute(query, (number, str(start), str(end))).fetchall():
            found.setdefault(day, {})[source] = (count, decode(data))
        return [_day(day, sources) for day, sources in found.items()]

    def _device(self, uid: str) -> tuple[int, str]:
        row = self._db.execute("SELECT id, family FROM devices WHERE uid = ?", (uid,)).fetchone()
        if row is None:
            known = ", ".join(device.uid for device in self.devices()) or "none"
            raise UserError(f"the history knows no device {uid}; it knows {known}")
        return row[0], row[1]

    def _stored(self, number: int, span: int, start: float, end: float, only: Collection[str] | None) -> Iterator[Interval]:
        while page := list(stored(self._db, number, span, start, end, PAGE, only)):
            yield from page
            start = page[-1].start + span

    def _unfinished(self, number: int, family: str, span: int, start: float, end: float) -> list[Interval]:
        """Those intervals that the writer has not finished, made now."""
        made = (
            of_readings(self._db, number, family, at)
            for at in self._due(number, FIVE_MINUTES, begin(start, span), end + span)
        )
        fresh = {item.start: item for item in made if item}
        if span == HOUR:
            hours = {*self._due(number, HOUR, start, end), *(begin(at, HOUR) for at in fresh)}
            fresh = {at: self._hour(number, at, fresh) for at in sorted(hours)}
        return [item for at, item in fresh.items() if start <= at < end and item.readings]

    def _due(self, number: int, span: int, start: float, end: float) -> list[int]:
        query = "SELECT start FROM due WHERE device = ? AND span = ? AND start >= ? AND start < ? ORDER BY start"
        return [at for (at,) in self._db.execute(query, (number, span, start, end))]

    def _hour(self, number: int, start: int, fresh: dict[int, Interval]) -> Interval:
        parts = {item.start: item for item in stored(self._db, number, FIVE_MINUTES, start, start + HOUR)}
        parts |= {at: item for at, item in fresh.items() if begin(at, HOUR) == start}
        return joined(start, [parts[at] for at in sorted(parts)])

    def _step(self, uid: str, start: float, end: float) -> int:
        number, _ = self._device(uid)
        first: dict[int, float] = {}
        for step in (FULL, *SPANS):
            where, which = _range(number, step)
            earliest = f"SELECT min(at) FROM ({where} AND at >= ? AND at < ?)"
            (at,) = self._db.execute(earliest, (*which, start, end)).fetchone()
            if at is not None:
                first[step] = at
        reach = min(first.values(), default=start)
        for step, at in first.items():
            where, which = _range(number, step)
            few = f"SELECT count(*) FROM ({where} AND at >= ? AND at < ? LIMIT ?)"
            (points,) = self._db.execute(few, (*which, start, end, MOST_POINTS + 1)).fetchone()
            if at <= max(start, reach) + HOUR and points <= MOST_POINTS:
                return step
        return HOUR


READINGS = "SELECT r.taken_at, f.keys, f.fixed, r.data FROM readings r JOIN forms f ON f.id = r.form WHERE r.device = ?"


def _range(number: int, step: int) -> tuple[str, tuple[int, ...]]:
    """A query for the times (`at`) of what is kept of a device at `step`, and its parameters."""
    if step == FULL:
        return "SELECT at FROM (SELECT taken_at AS at FROM readings WHERE device = ?) WHERE true", (number,)
    return "SELECT at FROM (SELECT start AS at FROM means WHERE device = ? AND span = ?) WHERE true", (number, step)


def _values(keys: str, fixed: str, data: str) -> dict[str, Any]:
    changing: dict[str, Any] = dict(zip(decode(keys), decode(data), strict=True))
    return {**changing, **decode(fixed)}


def _day(day: str, sources: dict[str, tuple[int, dict[str, Any]]]) -> Day:
    count, short = sources.get(BRIDGE, (0, {}))
    values = {key: unpacked(item, count) for key, item in short.items()}
    whole, own = sources.get(CONTROLLER, (0, {}))

    def energy(recorded: str, read: str) -> float | None:
        seen = values[read].last if read in values else None
        return own[recorded] if recorded in own and (whole or seen is None) else seen

    return Day(
        day,
        energy("day_generation", "power_generation_today"),
        energy("day_consumption", "power_consumption_today"),
        values,
        own,
    )
