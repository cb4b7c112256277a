"""One program per configuration, and a warning when two configurations want the same module.

Both locks belong to the kernel, which takes them back however a program ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from renogybt.settings import Settings

log = logging.getLogger(__name__)
ENDING = ".lock"
WRITING = 0.2
"""Seconds that the holder of a lock is given to write its number into the file."""
WHO_ASKS = 64
"""How often a claim says whose it is: nobody takes these calls, so they are never forgotten."""
CREDENTIALS = struct.Struct("3i")


def place(settings: Settings) -> Path | None:
    """The lock file of a configuration; None for one that is no file."""
    return settings.path(settings.file + ENDING) if settings.file else None


class Lock:
    """An exclusive lock on a file, held until `release()` or the end of the process. The file stays; it means nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self) -> bool:
        """False when another process has it. Where no file can be written there is no lock: a warning, and True."""
        if sys.platform == "win32":
            return True
        import fcntl

        try:
            file = self._open()
        except OSError as error:
            self._useless(error)
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError as error:
            os.close(file)
            self._useless(error)
            return True
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        return True

    @property
    def holder(self) -> str:
        """The number of the process that has the lock, "?" when it does not say."""
        end = time.monotonic() + WRITING
        while True:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                number = self.path.read_text("ascii").strip()
                if number.isdecimal():
                    return number
            if time.monotonic() > end:
                return "?"
            time.sleep(0.02)

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            if not self.path.exists():
                raise
            return os.open(self.path, os.O_RDONLY)  # left by a run as another user; it can be locked all the same

    def _useless(self, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        log.warning("%s: no lock (%s); see to it that this configuration is not run twice", self.path, reason)


class Claims:
    """Names the modules that this process uses to all processes of the machine. Held until `release()`.

    A claim is a socket with a name and no file (Linux has such names). Two configurations may share a module on purpose, one
    after the other; so this keeps nobody away.
    """

    def __init__(self, modules: Iterable[str]) -> None:
        self._sockets: list[socket.socket] = []
        self.taken: dict[str, str] = {}
        """Module -> the number of the process that claimed it before, "" when that is not known."""
        if sys.platform == "linux":
            for module in sorted(set(modules)):
                self._claim(module)

    def warn(self) -> None:
        for module, pid in self.taken.items():
            log.warning(
                "%s is also read by %s, with another configuration: a module takes one connection at a time, "
                "so each keeps the other out. Put both devices into one configuration",
                module,
                f"process {pid}" if pid else "another process",
            )

    def release(self) -> None:
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    def _claim(self, module: str) -> None:
        address = f"\0renogybt/{module.upper()}"
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            one.bind(address)
            one.listen(WHO_ASKS)
        except OSError:
            one.close()
            self.taken[module] = _owner(address)
        else:
            self._sockets.append(one)


def _owner(address: str) -> str:
    """The number of the process that listens at `address`, "" when that cannot be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address)
            said = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        except OSError:
            return ""
    return str(CREDENTIALS.unpack(said)[0])
