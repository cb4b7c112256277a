"""A thread that can be stopped, and that does not die unseen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Worker:
    """Runs `step()` again and again in a thread of its own until `stop()`.

    `step(pause)` returns the seconds to wait before the next round; `wake()` ends that wait early. An exception ends one
    round, is logged and handed to `on_crash(name, error)`, and the thread goes on after `crash_pause` seconds. What ends it
    all the same (`SystemExit` of a library, a failing `on_crash`) can be mended with `revive()`. `heartbeat` is the
    monotonic time at which the last round ended.
    """

    crash_pause = 1.0

    def __init__(self, name: str, on_crash: Callable[[str, Exception], None] | None = None) -> None:
        self.name = name
        self._on_crash = on_crash
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = self._new_thread()
        self.heartbeat = time.monotonic()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def stop(self, timeout: float = 5.0) -> bool:
        """Ask the thread to end and wait for it. True when it has ended; calling again is harmless."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def revive(self) -> bool:
        """True when the thread had died though nobody stopped it: a new one does its work now.

        To be called from one thread only. False also while the machine has no room for a thread; then try again later.
        """
        if self._thread.is_alive() or self.stopping or self._thread.ident is None:
            return False
        successor = self._new_thread()
        try:
            successor.start()
        except (RuntimeError, MemoryError):
            return False
        self._thread = successor
        return True

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def step(self) -> float:
        """One round of work; returns the seconds to wait before the next."""
        raise NotImplementedError

    def close(self) -> None:
        """Runs once in the thread after the last round."""

    def _run(self) -> None:
        while not self.stopping:
            try:
                pause = self.step()
            except Exception as error:  # the outermost frame of this thread
                log.exception("thread %s failed; going on in %.0f s", self.name, self.crash_pause)
                if self._on_crash:
                    self._on_crash(self.name, error)
                pause = self.crash_pause
            self.heartbeat = time.monotonic()
            if not self.stopping:
                self._woken.wait(pause)
                self._woken.clear()
        self.close()
