"""The database file of the history: its tables, and what may be wrong with it."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from renogybt.errors import OutletError, UserError

APPLICATION, VERSION = 0x524E4859, 1
"""Marks in the head of the file: it is a history, and of which layout (PRAGMA application_id, user_version)."""
LOCKED_FOR = 5.0
"""Seconds to wait while another program holds the file."""
CACHE_KIB = 512

TABLES = """
CREATE TABLE devices (id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, label TEXT NOT NULL, family TEXT NOT NULL);
CREATE TABLE forms (
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL, keys TEXT NOT NULL, fixed TEXT NOT NULL, used_at REAL NOT NULL,
    UNIQUE (device, keys, fixed)
);
CREATE TABLE readings (
    device INTEGER NOT NULL, taken_at REAL NOT NULL, form INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (device, taken_at)
) WITHOUT ROWID;
CREATE TABLE means (
    device INTEGER NOT NULL, span INTEGER NOT NULL, start INTEGER NOT NULL,
    form INTEGER NOT NULL, count INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (device, span, start)
) WITHOUT ROWID;
CREATE TABLE days (
    device INTEGER NOT NULL, date TEXT NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (device, date, source)
) WITHOUT ROWID;
CREATE TABLE due (
    device INTEGER NOT NULL, span INTEGER NOT NULL, start INTEGER NOT NULL,
    PRIMARY KEY (device, span, start)
) WITHOUT ROWID;
"""
"""`forms`: what readings, or means, have in common; a form of means has no `fixed`. `data`: JSON, the values of the form's
`keys` in their order. `due`: intervals with readings that their means do not contain yet. `days.count`: readings of that day
(source bridge), or whether the day was over (source controller)."""


def opened(path: Path) -> sqlite3.Connection:
    """The file at `path` for writing, made if it is not there.

    In WAL mode nothing is synced to the card at each transaction, only from time to time: a power cut may cost the latest
    transactions, but not the file. Raises `sqlite3.Error`, `OSError`, and `OutletError` for a file that is none of ours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # one thread at a time; when that dies, its successor goes on with the same connection
    db = sqlite3.connect(path, timeout=LOCKED_FOR, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if _empty(db):
            db.execute("PRAGMA journal_mode = WAL")
            statements = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {TABLES}"
            db.executescript(f"BEGIN IMMEDIATE; {statements} COMMIT;")
        elif problem := _doubt(db):
            raise OutletError(f"{path} {problem}; give another name as file in [history]")
    except (sqlite3.Error, OutletError):
        db.close()
        raise
    return db


def opened_to_read(path: Path) -> sqlite3.Connection:
    """The file at `path` for reading, also while the bridge writes it. Raises `UserError`."""
    if not path.is_file():
        raise UserError(f"there is no history at {path}; set enabled = true in [history] and let the bridge run for a while")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCKED_FOR, isolation_level=None)
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        problem = "holds nothing yet; let the bridge run for a while" if _empty(db) else _doubt(db)
    except sqlite3.Error as error:
        raise UserError(f"the history at {path} cannot be read: {error}") from error
    if problem:
        db.close()
        raise UserError(f"{path} {problem}")
    return db


def broken(error: Exception) -> bool:
    """Whether `error` says that the file itself is damaged, or no database at all."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def put_aside(path: Path) -> Path:
    """Rename the file, with what belongs to it, to `<name>.broken-<time>`; the new name. Raises `OSError`."""
    aside = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
    os.replace(path, aside)
    for tail in ("-wal", "-shm"):
        extra = path.with_name(path.name + tail)
        if extra.exists():
            os.replace(extra, aside.with_name(aside.name + tail))
    return aside


def _empty(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _doubt(db: sqlite3.Connection) -> str:
    """Why this database is none of ours, as the rest of a sentence; "" if it is."""
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        return "is a database of another program"
    if (version := db.execute("PRAGMA user_version").fetchone()[0]) != VERSION:
        return f"has layout {version}, and this program knows layout {VERSION}: another release wrote it"
    return ""
