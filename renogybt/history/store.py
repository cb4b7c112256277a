"""The history's database for the one who writes it. Every method may raise `sqlite3.Error`; then make a new `Store`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from renogybt.history import file
from renogybt.history.intervals import Interval, begin, joined, of_readings, stored
from renogybt.history.kept import Kept, Record, text
from renogybt.history.means import FIVE_MINUTES, HOUR, packed

DAY = 86400.0
LONGEST_DAY = 26 * HOUR
"""A day in which the clocks go back has 25 hours, and an hour may begin before midnight."""
SPARE = 2 * HOUR
"""Everything is kept a little longer than asked for, until what is made from it has been made."""
BATCH = 500
BRIDGE, CONTROLLER = "bridge", "controller"

MEAN = """INSERT INTO means (device, span, start, form, count, data) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (device, span, start) DO UPDATE SET form = excluded.form, count = excluded.count, data = excluded.data
WHERE excluded.count >= means.count"""
DAILY = """INSERT INTO days (device, date, source, count, data) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (device, date, source) DO UPDATE SET count = excluded.count, data = excluded.data
WHERE excluded.count >= days.count"""
"""In both, what rests on fewer readings never takes the place of what rests on more."""


class Store:
    """`day_of(wall)` tells which local day a moment belongs to.

    Means are made anew from the readings whenever an interval has got one and is over, wherever it lies: so it does not
    matter in which order readings come, whether the clock was set, or what was written when the program was killed.
    """

    def __init__(self, path: Path, day_of: Callable[[float], date]) -> None:
        """Raises `OutletError` for a file that is none of ours, `OSError` or `sqlite3.Error` for one that cannot be used."""
        self._db, self._day_of = file.opened(path), day_of
        try:
            self._known = {uid: tuple(row) for uid, *row in self._db.execute("SELECT uid, id, label, family FROM devices")}
            self._due: set[tuple[int, int, int]] = set(self._db.execute("SELECT device, span, start FROM due"))
        except sqlite3.Error:
            self._db.close()
            raise
        self._families: dict[int, str] = {row[0]: row[2] for row in self._known.values()}
        self._forms: dict[tuple[int, str, str], tuple[int, float]] = {}

    def write(self, readings: Sequence[Kept], days: Sequence[Record], now: float | None) -> None:
        """One transaction: these, and the means of all intervals that are over at wall-clock second `now` (None: of all).

        None at all where there is nothing to write.
        """
        if not (readings or days or self._ripe(now)):
            return
        with self._transaction():
            for reading in readings:
                self._add(reading)
            for day in days:
                self._add_day(self._device(day.uid, day.label, CONTROLLER, known=True), day)
            self._settle(now)

    def prune(self, now: float, full_days: float, five_minute_days: float, hourly_days: float) -> bool:
        """Remove up to `BATCH` rows older than that, in one transaction. True when there may be more."""
        left = BATCH
        ages = ((FIVE_MINUTES, five_minute_days), (HOUR, hourly_days))
        with self._transaction():
            for device, *_ in self._known.values():
                oldest = now - full_days * DAY - SPARE
                left -= self._remove("readings", "taken_at", f"device = {device}", oldest, left)
                for span, days in ages:
                    oldest = now - days * DAY - SPARE
                    left -= self._remove("means", "start", f"device = {device} AND span = {span}", oldest, left)
            self._db.execute(
                "DELETE FROM forms WHERE id IN (SELECT id FROM forms WHERE fixed != '' AND used_at < ? AND NOT EXISTS "
                "(SELECT 1 FROM readings WHERE device = forms.device AND form = forms.id) LIMIT 1)",
                (now - full_days * DAY - SPARE - 2 * DAY,),
            )
        self._forms.clear()
        return left <= 0

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._db:  # commits, or takes everything back when something raises
            self._db.execute("BEGIN IMMEDIATE")
            yield

    def _remove(self, table: str, column: str, where: str, oldest: float, limit: int) -> int:
        if limit <= 0:
            return 0
        some = f"SELECT {column} FROM {table} WHERE {where} AND {column} < ? ORDER BY {column} LIMIT ?"
        return self._db.execute(f"DELETE FROM {table} WHERE {where} AND {column} IN ({some})", (oldest, limit)).rowcount

    def _add(self, reading: Kept) -> None:
        device = self._device(reading.uid, reading.label, reading.family)
        form = self._form(device, reading.keys, reading.fixed, reading.taken_at)
        row = (device, reading.taken_at, form, reading.data)
        self._db.execute("INSERT OR REPLACE INTO readings (device, taken_at, form, data) VALUES (?, ?, ?, ?)", row)
        self._becomes_due(device, FIVE_MINUTES, begin(reading.taken_at, FIVE_MINUTES))

    def _add_day(self, device: int, day: Record) -> None:
        self._db.execute(DAILY, (device, day.date, CONTROLLER, int(day.whole), text(day.values)))

    def _device(self, uid: str, label: str, family: str, known: bool = False) -> int:
        """Its number; `label` and `family` replace what was said of it before, unless it is only to be `known`."""
        row = self._known.get(uid)
        if row is None or (not known and row[1:] != (label, family)):
            self._db.execute(
                "INSERT INTO devices (uid, label, family) VALUES (?, ?, ?) "
                "ON CONFLICT (uid) DO UPDATE SET label = excluded.label, family = excluded.family",
                (uid, label, family),
            )
            (number,) = self._db.execute("SELECT id FROM devices WHERE uid = ?", (uid,)).fetchone()
            row = self._known[uid] = (number, label, family)
            self._families[number] = family
        return int(row[0])

    def _form(self, device: int, keys: str, fixed: str, at: float) -> int:
        number, used_at = self._forms.get((device, keys, fixed), (None, 0.0))
        if number is None or at - used_at > DAY:
            self._db.execute(
                "INSERT INTO forms (device, keys, fixed, used_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (device, keys, fixed) DO UPDATE SET used_at = max(used_at, excluded.used_at)",
                (device, keys, fixed, at),
            )
            wanted = "SELECT id FROM forms WHERE device = ? AND keys = ? AND fixed = ?"
            (number,) = self._db.execute(wanted, (device, keys, fixed)).fetchone()
            if len(self._forms) > BATCH:
                self._forms.clear()
            self._forms[device, keys, fixed] = (number, at)
        return int(number)

    def _becomes_due(self, device: int, span: int, start: int) -> None:
        if (device, span, start) not in self._due:
            self._due.add((device, span, start))
            self._db.execute("INSERT OR IGNORE INTO due VALUES (?, ?, ?)", (device, span, start))

    def _settle(self, now: float | None) -> None:
        for device, start in self._over(FIVE_MINUTES, now):
            interval = of_readings(self._db, device, self._families[device], start)
            if interval is not None:
                self._save(device, FIVE_MINUTES, interval)
                self._becomes_due(device, HOUR, begin(start, HOUR))
        for device, start in self._over(HOUR, now):
            parts = list(stored(self._db, device, FIVE_MINUTES, start, start + HOUR))
            if parts:
                self._save(device, HOUR, joined(start, parts))
            for day in sorted({self._day_of(start), self._day_of(start + HOUR - 1)}):
                self._save_day(device, start, day)

    def _over(self, span: int, now: float | None) -> Iterator[tuple[int, int]]:
        """What is due and over: taken off the list as it is handed out."""
        for device, length, start in self._ripe(now):
            if length == span:
                self._due.discard((device, span, start))
                self._db.execute("DELETE FROM due WHERE device = ? AND span = ? AND start = ?", (device, span, start))
                yield device, start

    def _ripe(self, now: float | None) -> list[tuple[int, int, int]]:
        return sorted(item for item in self._due if now is None or not item[2] <= now < item[2] + item[1])

    def _save(self, device: int, span: int, interval: Interval) -> None:
        form = self._form(device, text(list(interval.stats)), "", interval.start)
        data = text([packed(item, interval.readings) for item in interval.stats.values()])
        self._db.execute(MEAN, (device, span, interval.start, form, interval.readings, data))

    def _save_day(self, device: int, near: int, day: date) -> None:
        """Make the record of `day`, of which `near` is a moment, anew."""
        around = stored(self._db, device, FIVE_MINUTES, near - LONGEST_DAY, near + LONGEST_DAY)
        parts = [part for part in around if self._day_of(part.start) == day]
        if parts:
            whole = joined(parts[0].start, parts)
            data: Mapping[str, object] = {key: packed(item, whole.readings) for key, item in whole.stats.items()}
            self._db.execute(DAILY, (device, day.isoformat(), BRIDGE, whole.readings, text(data)))
