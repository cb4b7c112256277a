"""No configuration runs twice; the kernel frees the lock of a killed process."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from renogybt.service.lock import Claims, Lock, place
from renogybt.settings import Settings

HOLDER = """
import sys
from pathlib import Path
from renogybt.service.lock import Claims, Lock
lock = Lock(Path(sys.argv[1]))
claims = Claims(sys.argv[2:])
print(lock.take(), len(claims.taken), flush=True)
sys.stdin.read()
"""


@contextmanager
def another(path: Path, *modules: str) -> Iterator[subprocess.Popen[str]]:
    """A process that takes the lock and holds it."""
    words = [sys.executable, "-c", HOLDER, str(path), *modules]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "True 0\n"
        try:
            yield process
        finally:
            process.kill()


def test_it_lies_beside_the_configuration() -> None:
    assert place(Settings(folder="/etc/solar", file="roof.ini")) == Path("/etc/solar/roof.ini.lock")
    assert place(Settings()) is None


def test_only_one_process_has_it(tmp_path: Path) -> None:
    path = tmp_path / "config.ini.lock"
    lock = Lock(path)
    with another(path) as process:
        assert not lock.take()
        assert lock.holder == str(process.pid)
        assert Lock(tmp_path / "other.ini.lock").take()
    assert lock.take()
    assert path.read_text() == f"{os.getpid()}\n"
    assert not Lock(path).take()
    lock.release()
    again = Lock(path)
    assert again.take()
    again.release()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "config.ini.lock"
    with another(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        lock = Lock(path)
        assert lock.take()
        assert lock.holder == str(os.getpid())
        lock.release()


def test_a_child_of_the_program_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "config.ini.lock")
    assert lock.take()
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        lock.release()
        successor = Lock(lock.path)
        assert successor.take()
        successor.release()
        child.kill()


def test_a_holder_that_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.ini.lock"
    path.write_text("")
    assert Lock(path).holder == "?"


def test_where_no_file_can_be_it_goes_on_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = Lock(tmp_path / "gone" / "config.ini.lock")
    with caplog.at_level(logging.WARNING):
        assert lock.take()
    assert len(caplog.records) == 1
    assert "no lock" in caplog.text
    lock.release()


def test_a_file_that_cannot_be_written_locks_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.ini.lock"
    path.write_text("1\n")
    opened = os.open

    def read_only(name: object, flags: int, *more: int) -> int:
        """As for a user who may read the file only; tests may run as root, who may do anything."""
        if name == path and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return opened(str(name), flags, *more)

    monkeypatch.setattr(os, "open", read_only)
    lock, other = Lock(path), Lock(path)
    assert lock.take()
    assert not other.take()
    assert path.read_text() == "1\n"
    lock.release()


def test_a_module_that_another_configuration_reads_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mine = f"84:28:D7:00:{os.getpid() % 251:02X}:01"
    other = f"84:28:D7:00:{os.getpid() % 251:02X}:02"
    with another(tmp_path / "config.ini.lock", mine) as process, caplog.at_level(logging.WARNING):
        claims = Claims([mine.lower(), other, other])
        assert claims.taken == {mine.lower(): str(process.pid)}
        claims.warn()
        assert len(caplog.records) == 1
        assert str(process.pid) in caplog.text
        claims.release()
        for _ in range(100):
            crowd = Claims([mine])
            assert crowd.taken[mine] in (str(process.pid), "")
        crowd.warn()
        assert "another process" in caplog.text
    again = Claims([mine, other])
    assert again.taken == {}
    again.release()
