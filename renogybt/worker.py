"""A thread that can be stopped, and that does not die unseen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Worker:
    """Runs `step()` again and again in a thread of its own until `stop()`.

    `step(pause)` returns the seconds to wait before the next round; `wake()` ends that wait early. An exception ends one
    round, is logged and handed to `on_crash(name, error)`, and the thread goes on after `crash_pause` seconds.
    """

    crash_pause = 1.0

    def __init__(self, name: str, on_crash: Callable[[str, Exception], None] | None = None) -> None:
        self.name = name
        self._on_crash = on_crash
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

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
            if not self.stopping:
                self._woken.wait(pause)
                self._woken.clear()
        self.close()
