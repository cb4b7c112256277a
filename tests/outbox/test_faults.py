"""The outbox on bad disks and with strange files."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.outbox.given import OUTLET, PACE, WALL, bodies, drain, fill, on_disk, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def broken(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.broken-*[0-9]"))


def stored(path: Path, count: int = 2000) -> None:
    found = store(path)
    fill(found, *(f"{n:05}" + "x" * 300 for n in range(count)))
    found.commit(0.0, WALL)
    found.close()


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, b"\0" * 4096, b"SQLite format 3\0" + b"\1" * 5000])
def test_a_file_that_is_none_is_kept_beside(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(content)
    found = store(path)
    fill(found, "a")
    assert found.commit(0.0, WALL)
    found.close()
    assert on_disk(path) == [("a", False)]
    assert [one.read_bytes() for one in broken(path)] == ([content] if content else [])
    assert len([line for line in caplog.messages if "damaged" in line]) == (1 if content else 0)


def test_a_torn_file_is_kept_beside_and_the_next_begun(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2 + 100)
    found = store(path)
    fill(found, "new")
    assert found.commit(0.0, WALL)
    assert bodies(found) == ["new"]
    found.close()
    assert on_disk(path) == [("new", False)]
    assert len(broken(path)) == 1
    assert len([line for line in caplog.messages if "damaged" in line]) == 1


def test_damage_that_shows_up_later_keeps_what_is_in_memory(path: Path) -> None:
    stored(path)
    found = store(path)
    assert len(found.waiting(OUTLET, 10, 0.0)) == 10
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(os.urandom(path.stat().st_size - 4096 * 2))
    fill(found, "new", now=1.0)
    delivered = drain(found, now=1.0)
    assert delivered[:10] == [f"{n:05}" + "x" * 300 for n in range(10)]
    assert delivered[-1] == "new"
    found.commit(2.0, WALL)
    fill(found, "more", now=3.0)
    assert found.commit(3.0, WALL)
    found.close()
    assert on_disk(path) == [("more", False)]
    assert len(broken(path)) == 1


def test_the_database_of_another_program_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE states (x)")
    database.commit()
    database.close()
    before = path.read_bytes()
    found = store(path)
    fill(found, "a")
    assert not found.commit(0.0, WALL)
    assert not found.commit(PACE, WALL)
    assert bodies(found) == ["a"]
    assert "another program" in found.trouble
    assert path.read_bytes() == before
    assert len([line for line in caplog.messages if "another program" in line]) == 1


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    stored(path, 3)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    found = store(path)
    fill(found, "a")
    assert not found.commit(0.0, WALL)
    assert "newer version" in found.trouble
    assert len(on_disk(path)) == 3


def test_two_programs_do_not_share_a_file(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first = store(path)
    fill(first, "a", "b")
    first.commit(0.0, WALL)
    second = store(path)
    fill(second, "mine")
    assert bodies(second) == ["mine"]
    assert not second.commit(0.0, WALL)
    assert "another running program" in second.trouble
    first.close()
    assert bodies(second, now=PACE) == ["mine"]
    assert second.commit(PACE, WALL)
    assert second.trouble == ""
    assert drain(second, now=PACE) == ["a", "b", "mine"]
    assert [line for line in caplog.messages if "can be written again" in line]


def test_a_folder_that_comes_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "later" / "outbox.sqlite"
    found = store(path)
    fill(found, "a")
    for minute in range(5):
        assert not found.commit(minute * PACE, WALL)
        assert not found.commit(minute * PACE + 1, WALL)
        assert found.due(minute * PACE + 1) == PACE - 1
    assert len(caplog.messages) == 1
    assert "folder is there" in caplog.messages[0]
    path.parent.mkdir()
    assert not found.commit(4 * PACE + 2, WALL)
    assert found.commit(5 * PACE, WALL)
    found.close()
    assert on_disk(path) == [("a", False)]


FULL_DISK = """
import logging, resource, signal, sys
from pathlib import Path
from tests.outbox.given import WALL, bodies, drain, fill, store
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
found = store(Path(sys.argv[1]))
fill(found, *(f"{n:03}" + "x" * 1000 for n in range(100)))
assert found.commit(0.0, WALL)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, most))  # no file may grow any more
fill(found, *(f"{n:03}" + "x" * 1000 for n in range(100, 300)), now=1.0)
for minute in range(1, 4):
    assert not found.commit(minute * 60.0, WALL)
    assert found.trouble
got = [body[:3] for body in bodies(found, 50, now=200.0)]
assert got == [f"{n:03}" for n in range(50)], got
gone = found.waiting("remote", 10, 200.0)
found.remove("remote", [record.number for record in gone], 200.0)
assert not found.commit(240.0, WALL)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
assert found.commit(300.0, WALL)
assert found.trouble == ""
got = [body[:3] for body in drain(found, now=300.0)]
assert got == [f"{n:03}" for n in range(10, 300)], got
print("all there")
"""


def test_a_full_disk_is_outlived_in_memory_and_said_once(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert "records wait in memory" in lines[0]
    assert "can be written again" in lines[1]


KILLED = """
import sys
from pathlib import Path
from tests.outbox.given import WALL, fill, store
found = store(Path(sys.argv[1]))
number, delivered = int(sys.argv[2]), []
while True:
    fill(found, number, number + 1, number + 2, now=float(number))
    number += 3
    records = found.waiting("remote", 2, float(number))
    if number % 2:
        found.mark("remote", [record.number for record in records])
    assert found.commit(float(number), WALL)
    print("stored", number, flush=True)
    if number % 2:
        found.remove("remote", [record.number for record in records], float(number))
        print("delivered", *(record.body for record in records), flush=True)
"""


def test_kill_at_any_moment_loses_nothing_that_was_stored(path: Path) -> None:
    """What was reported as stored is there afterwards, in order and without gaps; what comes again carries its mark."""
    chance, number, delivered = random.Random(7), 0, set()
    for _ in range(25):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), str(number)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.03))
        child.kill()
        reported = 0
        for line in child.stdout.read().splitlines(keepends=True):
            words = line.split()
            if line.startswith("stored ") and line.endswith("\n"):
                reported = int(words[1])
            if line.startswith("delivered") and line.endswith("\n"):
                delivered |= set(map(int, words[1:]))
        child.wait(60)
        rows = [(int(body), once) for body, once in on_disk(path)]
        there = [body for body, _ in rows]
        assert there == sorted(set(there))
        last = max(there)
        assert last + 1 >= reported
        assert set(range(last + 1)) - set(there) <= delivered | {last}, "something stored is gone that was not delivered"
        assert all(once for body, once in rows if body in delivered), "something delivered comes back without its mark"
        number = last + 1
