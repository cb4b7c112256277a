"""A small disk that can be filled up: a file system of its own where that is allowed, else a limit on file sizes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK = 4096


class Disk:
    """`with small_disk(folder) as disk:` gives `disk.folder`; `with disk.full():` nothing more can be written there."""

    def __init__(self, folder: Path, mounted: bool) -> None:
        self.folder, self.mounted = folder, mounted

    @contextmanager
    def full(self, leaving: int = 0) -> Iterator[None]:
        """`leaving`: bytes that can still be written; nothing at all where the disk is no disk of its own."""
        if not self.mounted:
            with no_file_may_grow():
                yield
            return
        filler = self.folder / "filler"
        fill_up(filler, leaving)
        try:
            yield
        finally:
            filler.unlink()


@contextmanager
def small_disk(folder: Path, kilobytes: int = 2048, mount: bool = True) -> Iterator[Disk]:
    """A disk of that size at `folder`; with `mount` false, or where mounting is not allowed, an ordinary folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    allowed = mount and os.geteuid() == 0
    mounted = allowed and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(filler: Path, leaving: int) -> None:
    with open(filler, "wb", buffering=0) as file:
        for size in (BLOCK, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
        file.truncate(max(0, file.tell() - leaving))


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Nothing can be written beyond the first bytes of any file of this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
