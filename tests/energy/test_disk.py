"""A disk that is full: said once, counted on in memory, written again when there is room."""

import json
import logging
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from renogybt.energy.totals import EnergyTotals


def small_disk(folder: Path) -> bool:
    """Mount a disk of 64 KiB on `folder`; False where that is not allowed."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own for root, an ordinary folder for everybody else."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = small_disk(folder)
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """While this lasts nothing more can be written: the disk is filled up, or files may not grow."""
    if os.path.ismount(folder):
        filler = folder / "filler"
        with pytest.raises(OSError, match="No space left"):
            fill_up(filler)
        yield
        filler.unlink()
        return
    with no_file_may_grow():
        yield


def fill_up(filler: Path) -> None:
    with open(filler, "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def count(totals: EnergyTotals, minutes: range) -> float:
    return [totals.add("a", "a", 6000, 60 * minute, 180)[0] for minute in minutes][-1]


def test_a_full_disk_costs_nothing_but_the_memory_of_a_crash(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = disk / "energy_totals.json"
    totals = EnergyTotals(path)
    count(totals, range(10))
    assert totals.flush()
    kept = path.read_text()
    count(totals, range(10, 20))
    with full(disk):
        for minute in range(20, 40):
            count(totals, range(minute, minute + 1))
            totals.flush_if_due(60 * minute)
        assert totals.problem
        assert path.read_text() == kept
    assert caplog.text.count("cannot be written") == 1
    assert not (disk / "energy_totals.json.new").exists()
    total = count(totals, range(40, 42))
    totals.flush_if_due(60 * 42)
    assert totals.problem == ""
    assert caplog.text.count("are written to") == 1
    assert json.loads(path.read_text())["a"]["energy_in_kwh"] == total == pytest.approx(4.1)


def test_files_that_may_not_grow_are_left_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    totals = EnergyTotals(path)
    count(totals, range(10))
    totals.flush()
    kept = path.read_text()
    count(totals, range(10, 20))
    with no_file_may_grow():
        assert not totals.flush()
    assert path.read_text() == kept
    assert totals.flush()
    assert EnergyTotals(path).totals("a", "a")[0] == pytest.approx(1.9)
