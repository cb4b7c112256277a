"""Files that are damaged, foreign, out of reach or on a full disk: said once, nothing that matters lost."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from renogybt.errors import UserError
from renogybt.history import History
from renogybt.history.writer import MOST_PENDING, HistorySink
from tests.energy.test_disk import full
from tests.history.given import MINUTE, UID, Clock, reading, sink

LIFE = 1e12


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB for root, an ordinary folder for everybody else."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def run(found: HistorySink, clock: Clock, minutes: int, first: int = 0) -> None:
    for n in range(first, first + minutes):
        found.offer(reading(clock.wall(), pv_power=n))
        clock.pass_by(MINUTE)
        found.step()


def powers(path: Path) -> list[int]:
    with History(path) as history:
        return [values["pv_power"] for _, values in history.readings(UID, 0, LIFE)]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to look like one " * 100, b"\x00" * 5000])
def test_a_file_that_is_no_database_is_put_aside_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / "history.sqlite").write_bytes(content)
    clock = Clock()
    found = sink(tmp_path, clock)
    run(found, clock, 10)
    found.close()
    assert powers(found.path) == list(range(10))
    (aside,) = tmp_path.glob("history.sqlite.broken-*")
    assert aside.read_bytes() == content
    (said,) = errors(caplog)
    assert "is damaged" in said
    assert aside.name in said


def test_damage_found_while_writing_loses_no_reading_that_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    found = sink(tmp_path, clock)
    run(found, clock, 300)
    found.close()
    content = bytearray(found.path.read_bytes())
    content[4096:] = random.Random(3).randbytes(len(content) - 4096)
    found.path.write_bytes(content)
    again = sink(tmp_path, clock)
    run(again, clock, 20, 300)
    again.close()
    assert powers(again.path) == list(range(300, 320))
    assert len(list(tmp_path.glob("*.broken-*"))) == 1
    assert len(errors(caplog)) == 1


def test_a_torn_file_does_not_stop_the_history(tmp_path: Path) -> None:
    clock = Clock()
    found = sink(tmp_path, clock)
    run(found, clock, 300)
    found.close()
    found.path.write_bytes(found.path.read_bytes()[: 4096 * 3 + 100])
    again = sink(tmp_path, clock)
    run(again, clock, 20, 300)
    again.close()
    assert powers(again.path)[-20:] == list(range(300, 320))


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        ("CREATE TABLE recipes (name TEXT)", "is a database of another program"),
        (
            "PRAGMA application_id = 1380862041; PRAGMA user_version = 99; CREATE TABLE devices (a)",
            "another release wrote it",
        ),
    ],
)
def test_what_is_not_ours_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, statements: str, reason: str
) -> None:
    path = tmp_path / "history.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(statements)
    db.close()
    before, clock = path.read_bytes(), Clock()
    found = sink(tmp_path, clock)
    run(found, clock, 10)
    assert path.read_bytes() == before
    (said,) = errors(caplog)
    assert reason in said
    assert "give another name as file in [history]" in said
    assert reason in found.flush(0)
    with pytest.raises(UserError, match=reason):
        History(path)


def test_a_folder_that_cannot_be_used_is_said_once_and_made_up_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    obstacle = tmp_path / "card"
    obstacle.write_text("a file where the folder should be")
    clock = Clock()
    found = sink(tmp_path, clock, file="card/history.sqlite")
    run(found, clock, 30)
    (said,) = errors(caplog)
    assert "cannot be written" in said
    assert "Readings wait in memory" in said
    obstacle.unlink()
    run(found, clock, 30, 30)
    assert powers(found.path) == list(range(60))
    assert "is written to" in caplog.messages[-1]
    assert found.trouble == ""


def test_a_full_disk_costs_no_reading_and_is_said_once(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    found = sink(disk, clock)
    found.step()
    with full(disk):
        run(found, clock, 300)
        assert "full" in found.trouble
        assert len(errors(caplog)) == 1
    run(found, clock, 20, 300)
    assert found.trouble == ""
    assert powers(found.path) == list(range(320))
    found.close()
    with sqlite3.connect(found.path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_memory_is_bounded_while_the_disk_fails(tmp_path: Path) -> None:
    (tmp_path / "card").write_text("")
    clock = Clock()
    found = sink(tmp_path, clock, file="card/history.sqlite")
    given = MOST_PENDING + 700
    run(found, clock, given)
    assert found.dropped == 700
    (tmp_path / "card").unlink()
    found.close()
    assert powers(found.path) == list(range(700, given))


def test_a_reader_is_told_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="set enabled = true in"):
        History(tmp_path / "history.sqlite")
    (tmp_path / "history.sqlite").touch()
    with pytest.raises(UserError, match="holds nothing yet"):
        History(tmp_path / "history.sqlite")
    (tmp_path / "history.sqlite").write_text("no database at all, but some text of some length" * 50)
    with pytest.raises(UserError, match="cannot be read"):
        History(tmp_path / "history.sqlite")
