"""The local socket through which commands reach the running program: one line of JSON in, one line of JSON out."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from renogybt.command import RELEASE_MINUTES, Command
from renogybt.settings import Settings
from renogybt.worker import Worker

log = logging.getLogger(__name__)
ENDING = ".sock"
MODE = 0o660
LONGEST_LINE = 4096
MOST_CALLERS = 16
PATIENCE = 5.0
"""Seconds for a caller to say what it wants, and to take the answer."""
ANSWER_LIMIT = 40.0
"""Seconds for the main loop to answer: freeing a module may have to wait for a reading."""
LONGEST_ADDRESS = 100
"""Characters of a path that every system takes for a socket; longer ones need a detour."""


class Request(msgspec.Struct, forbid_unknown_fields=True):
    do: Literal["release", "resume", "status"]
    device: str = ""
    minutes: float = RELEASE_MINUTES


def place(settings: Settings) -> Path | None:
    """Where the socket of a configuration is; None for one that is no file and names none."""
    name = settings.data.control_socket or (settings.file and settings.file + ENDING)
    return settings.path(name) if name else None


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """`path` as `bind` and `connect` take it: a long one is named by its folder's number in this process."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class Caller:
    """Somebody at the door. `until`: when patience with what it does now, or with main's answer, ends."""

    def __init__(self, line: socket.socket, now: float) -> None:
        self.line, self.until = line, now + PATIENCE
        self.said, self.answer = bytearray(), b""
        self.waiting = self.gone = False


class Door(Worker):
    """Serves several callers in one thread; each may ask one thing. `on_command` must not block.

    Without a place to put the socket there is one warning and no door.
    """

    def __init__(
        self,
        path: Path,
        on_command: Callable[[Command], None],
        on_crash: Callable[[str, Exception], None] | None = None,
    ) -> None:
        super().__init__("door", on_crash)
        self.path, self._on_command = path, on_command
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._number: tuple[int, int] | None = None
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._callers: set[Caller] = set()
        self._answers: deque[tuple[Caller, bytes]] = deque()

    def start(self) -> None:
        try:
            self._listener = self._listen()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            log.warning("%s: no socket for commands (%s); everything else works", self.path, reason)
            self._end()
            return
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._bell, selectors.EVENT_READ)
        super().start()

    def wake(self) -> None:
        super().wake()
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody is there any more
            self._button.send(b"!")

    def stop(self, timeout: float = 5.0) -> bool:
        self._stopping.set()
        self.wake()
        return super().stop(timeout)

    def step(self) -> float:
        pause = 0.0
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is self._listener:
                pause = self._let_in()
            elif key.fileobj is self._bell:
                with contextlib.suppress(BlockingIOError):
                    self._bell.recv(LONGEST_LINE)
            elif not key.data.gone:
                self._serve(key.data)
        while self._answers:
            self._reply(*self._answers.popleft())
        self._send_away(time.monotonic())
        return pause

    def close(self) -> None:
        for caller in list(self._callers):
            if not caller.answer:
                self._refuse(caller, "the program is ending")
            self._part(caller)
        with contextlib.suppress(OSError):
            if self._number == _number(self.path):
                self.path.unlink()
        self._end()

    def _end(self) -> None:
        for one in (self._listener, self._bell, self._button):
            if one is not None:
                one.close()
        self._selector.close()

    # The socket

    def _listen(self) -> socket.socket:
        if not hasattr(socket, "AF_UNIX"):
            raise ValueError("this system has no such sockets")
        _make_room(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with reachable(self.path) as address:
                listener.bind(address)
            self._number = _number(self.path)
            self.path.chmod(MODE)  # before anybody can get in, whatever the umask
            listener.listen(MOST_CALLERS)
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        return listener

    # Callers

    def _patience(self) -> float | None:
        """Seconds until the first caller has to be sent away."""
        first = min((caller.until for caller in self._callers), default=None)
        return None if first is None else max(0.0, first - time.monotonic())

    def _let_in(self) -> float:
        """Returns the seconds to wait before the next: when the process has no more files, pressing on does not help."""
        assert self._listener
        try:
            line, _ = self._listener.accept()
        except BlockingIOError:
            return 0.0
        except OSError:
            return 1.0
        line.setblocking(False)
        caller = Caller(line, time.monotonic())
        self._callers.add(caller)
        self._selector.register(line, selectors.EVENT_READ, caller)
        if len(self._callers) > MOST_CALLERS:
            self._refuse(caller, "too many at once; try again in a moment")
        return 0.0

    def _serve(self, caller: Caller) -> None:
        try:
            if caller.answer:
                self._speak(caller)
            else:
                self._listen_to(caller, caller.line.recv(LONGEST_LINE + 1))
        except BlockingIOError:
            pass
        except OSError:  # it has gone away
            self._part(caller)

    def _listen_to(self, caller: Caller, piece: bytes) -> None:
        caller.said += piece
        text, end, _ = caller.said.partition(b"\n")
        if len(text) > LONGEST_LINE:
            self._refuse(caller, f"a command has at most {LONGEST_LINE} bytes")
        elif end or (not piece and text):
            self._understand(caller, bytes(text))
        elif not piece:
            self._part(caller)

    def _understand(self, caller: Caller, text: bytes) -> None:
        try:
            wish = msgspec.json.decode(text, type=Request)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._refuse(caller, f"not understood: {error}")
            return
        self._selector.unregister(caller.line)
        caller.waiting, caller.until = True, time.monotonic() + ANSWER_LIMIT

        def answer(said: Mapping[str, Any]) -> None:
            self._answers.append((caller, encoded(said)))
            self.wake()

        self._on_command(Command(wish.do, wish.device, wish.minutes, answer))

    def _refuse(self, caller: Caller, why: str) -> None:
        self._reply(caller, encoded({"ok": False, "text": why}))

    def _reply(self, caller: Caller, answer: bytes) -> None:
        if caller.gone or caller.answer:
            return
        caller.answer, caller.until = answer, time.monotonic() + PATIENCE
        if caller.waiting:
            self._selector.register(caller.line, selectors.EVENT_WRITE, caller)
        else:
            self._selector.modify(caller.line, selectors.EVENT_WRITE, caller)
        caller.waiting = False
        self._serve(caller)

    def _speak(self, caller: Caller) -> None:
        caller.answer = caller.answer[caller.line.send(caller.answer) :]
        if not caller.answer:
            self._part(caller)

    def _send_away(self, now: float) -> None:
        for caller in [caller for caller in self._callers if caller.until <= now]:
            if caller.waiting:
                self._refuse(caller, f"no answer within {ANSWER_LIMIT:g} s; the log may say why")
            elif caller.answer:
                self._part(caller)
            else:
                self._refuse(caller, f"nothing was asked within {PATIENCE:g} s")

    def _part(self, caller: Caller) -> None:
        if not caller.gone:
            if not caller.waiting:
                self._selector.unregister(caller.line)
            caller.gone = True
            caller.line.close()
            self._callers.discard(caller)


def encoded(said: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(said, enc_hook=str) + b"\n"


def _make_room(path: Path) -> None:
    """Remove the socket of a program that is no more. Raises when something else is there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ValueError("a file of that name is there, and it is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, reachable(path) as address:
        probe.setblocking(False)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # it listens, but has no time
    raise ValueError("another program listens there")


def _number(path: Path) -> tuple[int, int]:
    """What tells this file from a later one of the same name."""
    found = path.lstat()
    return found.st_dev, found.st_ino
