"""The SQLite file of the outbox.

Write-ahead log, so that a commit is one append and one sync. `synchronous = FULL`: when a commit returns, the log has been
synced, so what it holds survives kill -9 and a pulled plug. NORMAL would leave the last commits to chance, and with them the
marks that keep PVOutput from getting a status twice; the sync is affordable because commits are rare (one a minute at most
in normal running). The file is locked for this process alone: two programs must not deliver the same records.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from renogybt.errors import OutletError
from renogybt.outbox.record import Record

log = logging.getLogger(__name__)

APPLICATION = 0x52_4E_47_59
"""Marks the file as ours ("RNGY"); anybody else's database is left alone."""
VERSION = 1
CHECKPOINT_PAGES = 250
"""Pages of log (1 MB) after which SQLite moves them into the file proper."""
ROOM = 0.95
"""What is left of the permitted size after the oldest records were given up."""
LOCK_WAIT = 1.0
TABLE = """
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY, outlet TEXT NOT NULL, taken_at REAL NOT NULL, body TEXT NOT NULL,
    sent_once INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_outlet ON waiting (outlet, number);
"""


class NoDisk(OutletError):
    """Nothing can be written now; what the disk holds is untouched."""


class Broken(OutletError):
    """The file was damaged and has been put aside; a new one can be begun."""


@dataclass(frozen=True, slots=True)
class Given:
    """What had to be given up: everything numbered under `below`, so many of each outlet."""

    below: int | None = None
    counts: Counter[str] = field(default_factory=Counter)


class File:
    """Belongs to one thread. Every method but `close` raises `NoDisk` or `Broken`, after which the file is closed."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path, self._max_bytes = path, max_bytes
        self._database: sqlite3.Connection | None = None

    @staticmethod
    def load() -> None:
        """Let SQLite do on nothing what it will do on the file, so that the half megabyte of its library which that takes is
        in memory from the start: a program that has found room at its start has it in the first outage, too.
        """
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, TABLE.split(";")):
                database.execute(statement)
            database.executemany("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?)", [(1, "", 0.0, "", 0)])
            database.execute("UPDATE waiting SET sent_once = 1 WHERE number = 1")
            database.execute("SELECT * FROM waiting WHERE outlet = '' ORDER BY number LIMIT 1").fetchall()
            database.execute("DELETE FROM waiting WHERE number = 1")
            database.execute("COMMIT")

    @property
    def is_open(self) -> bool:
        return self._database is not None

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def open(self) -> None:
        """Open the file, or make it. Harmless when it is open."""
        if self._database is None:
            with self._faults():
                self._database = sqlite3.connect(
                    self.path,
                    timeout=LOCK_WAIT,
                    isolation_level=None,
                    cached_statements=16,
                    check_same_thread=False,  # when the thread dies, its successor goes on with the same connection
                )
                self._prepare(self._database)

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA cache_size = -128")
        if database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION:
                raise NoDisk(f"{self.path} is the database of another program; set another file in [outbox]")
            if version != VERSION:
                raise NoDisk(f"{self.path} was written by a newer version of this program; set another file in [outbox]")
            (sound,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if sound != "ok":
                raise _Damaged(" ".join(sound.split()))
        else:
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        database.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * 4096}")
        database.execute("BEGIN IMMEDIATE")  # takes the lock for good
        database.execute("SELECT 1 FROM sqlite_schema").fetchone()
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute(f"PRAGMA user_version = {VERSION}")
        for statement in filter(str.strip, TABLE.split(";")):
            database.execute(statement)
        database.execute("COMMIT")

    def counts(self) -> dict[str, int]:
        """How many records of each outlet there are."""
        with self._faults() as database:
            return dict(database.execute("SELECT outlet, count(*) FROM waiting GROUP BY outlet"))

    def last_number(self) -> int:
        with self._faults() as database:
            return int(database.execute("SELECT coalesce(max(number), 0) FROM waiting").fetchone()[0])

    def read(self, outlet: str, after: int | None, most: int) -> list[Record]:
        """The oldest `most` records of `outlet` with a number above `after`."""
        with self._faults() as database:
            rows = database.execute(
                "SELECT number, outlet, taken_at, body, sent_once FROM waiting "
                "WHERE outlet = ? AND (? IS NULL OR number > ?) ORDER BY number LIMIT ?",
                (outlet, after, after, most),
            )
            return [Record(number, name, taken, body, bool(once)) for number, name, taken, body, once in rows]

    def renumber(self, change: int) -> None:
        """Add `change`, a negative number, to every number."""
        with self._transaction() as database:
            database.execute("UPDATE waiting SET number = number + ?", (change,))

    def write(self, new: Sequence[Record], marks: Sequence[int], gone: Sequence[int], oldest: float) -> Given:
        """In one transaction: add `new`, note `marks` as sent once, delete `gone`; give up what was taken before `oldest`
        (wall clock) and what the permitted size has no room for, the oldest arrivals first."""
        with self._transaction() as database:
            database.executemany("DELETE FROM waiting WHERE number = ?", [(number,) for number in gone])
            database.executemany("UPDATE waiting SET sent_once = 1 WHERE number = ?", [(number,) for number in marks])
            database.executemany(  # REPLACE: what a failing disk called a failure may have got there all the same
                "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?)",
                [(r.number, r.outlet, r.taken_at, r.body, int(r.sent_once)) for r in new],
            )
            given = self._prune(database, oldest)
        if gone:
            self._give_back()
        return given

    def _prune(self, database: sqlite3.Connection, oldest: float) -> Given:
        limits = [limit for limit in (_too_old(database, oldest), self._too_much(database)) if limit is not None]
        if not limits:
            return Given()
        below = max(limits)
        query = "SELECT outlet, count(*) FROM waiting WHERE number < ? GROUP BY outlet"
        counts = Counter(dict(database.execute(query, (below,))))
        database.execute("DELETE FROM waiting WHERE number < ?", (below,))
        return Given(below, counts)

    def _too_much(self, database: sqlite3.Connection) -> int | None:
        """The number below which everything must go for the size to be right again."""
        pages, free, size = (
            database.execute(f"PRAGMA {n}").fetchone()[0] for n in ("page_count", "freelist_count", "page_size")
        )
        used = (pages - free) * size
        if used <= self._max_bytes:
            return None
        (count,) = database.execute("SELECT count(*) FROM waiting").fetchone()
        surplus = max(1, round(count * (1 - ROOM * self._max_bytes / used)))
        query = "SELECT number FROM waiting ORDER BY number LIMIT 1 OFFSET ?"
        row = database.execute(query, (min(surplus, count - 1),)).fetchone()
        return int(row[0]) if row else None

    def _give_back(self) -> None:
        """Shrink the file when nothing waits any more."""
        with self._faults() as database:
            if database.execute("SELECT 1 FROM waiting LIMIT 1").fetchone() is None:
                database.executescript("PRAGMA incremental_vacuum")  # `execute` would give back one page only

    def close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with contextlib.suppress(sqlite3.Error):  # e.g. a full disk; the log then stays, and is read next time
                database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._faults() as database:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")

    @contextlib.contextmanager
    def _faults(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._database  # type: ignore[misc]  # None only while `open` makes it
        except NoDisk:
            self.close()
            raise
        except _Damaged as error:
            self.close()
            raise self._put_aside(str(error)) from None
        except sqlite3.Error as error:
            self.close()  # which rolls back
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise self._put_aside(str(error)) from None
            raise NoDisk(f"{self.path} {_fault(error, code)}") from None

    def _put_aside(self, reason: str) -> OutletError:
        """The damaged file and its log keep their contents under another name."""
        away = self.path.with_name(f"{self.path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            for tail in ("-wal", "-shm", ""):
                part = self.path.with_name(self.path.name + tail)
                if part.exists():
                    part.rename(away.with_name(away.name + tail))
        except OSError as error:
            return NoDisk(f"{self.path} is damaged ({reason}) and cannot be renamed ({error.strerror}); delete it")
        return Broken(f"{self.path} is damaged ({reason}); kept as {away.name}, beginning a new one")


class _Damaged(Exception):
    """SQLite's own check found a fault."""


def _too_old(database: sqlite3.Connection, oldest: float) -> int | None:
    """The number of the first record that is young enough, when there are older ones before it."""
    head = database.execute("SELECT taken_at FROM waiting ORDER BY number LIMIT 1").fetchone()
    if head is None or head[0] >= oldest:
        return None
    query = "SELECT number FROM waiting WHERE taken_at >= ? ORDER BY number LIMIT 1"
    young = database.execute(query, (oldest,)).fetchone()
    last = database.execute("SELECT max(number) FROM waiting").fetchone()
    return int(young[0]) if young else int(last[0]) + 1


def _fault(error: sqlite3.Error, code: int) -> str:
    match code:
        case sqlite3.SQLITE_FULL:
            return "cannot be written: the disk is full; free some space"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return "cannot be written: it is read-only; check its rights, and whether the disk is dying"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "is in use by another running program; give each its own file in [outbox]"
        case sqlite3.SQLITE_CANTOPEN:
            return "cannot be opened; check that the folder is there and may be written to"
        case sqlite3.SQLITE_IOERR:
            return "cannot be written: the disk reports an error; check its space and its health"
    return f"cannot be used ({error})"
