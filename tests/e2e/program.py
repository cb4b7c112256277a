"""`python example.py config.ini` as a user runs it: its own process, led to the simulated peers by the environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.bluez.control import Fake
from tests.peers.starvation import Starvation

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """Starts at once; `with Program(folder, ini, fake) as program:` kills it at the end if it still runs."""

    script = "example.py"

    def __init__(self, folder: Path, ini: str, fake: Fake | None, *arguments: str, **environment: str) -> None:
        self.folder = folder
        self.config = folder / "config.ini"
        self.config.write_text(ini, "utf-8")
        led = fake.env() if fake else {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/no-bus"}
        self._process = subprocess.Popen(
            [sys.executable, self.script, str(self.config), *arguments],
            cwd=ROOT,
            env={**os.environ, **led, "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(30)
        self._reader.join(30)
        if kind is not None:
            sys.stdout.write(f"--- output of the program ---\n{self.output}\n")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._lines.append(line)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def ended(self, timeout: float = 90) -> int:
        """Wait for its end; the exit code."""
        code = self._process.wait(timeout)
        self._reader.join(30)
        return code

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal and wait for the end."""
        return self.told_to_end(number)()

    def told_to_end(self, number: int = signal.SIGTERM) -> Callable[[], tuple[int, float]]:
        """Send a signal. What comes back waits for the end: the exit code, and the seconds it took; those in which a busy
        machine had no processor for the program do not count."""
        began, starvation, starved = time.monotonic(), Starvation(self.pid), 0.0
        self._process.send_signal(number)

        def end() -> tuple[int, float]:
            nonlocal starved
            while self.running:
                starved = max(starved, starvation.seconds())  # what is known of a thread ends with it
                assert time.monotonic() < began + 90, "it does not end"
                time.sleep(0.02)
            seconds = time.monotonic() - began
            return self.ended(), max(0.0, seconds - starved)

        return end

    def says(self, text: str, timeout: float = 60) -> None:
        """Until the output contains `text`."""
        end = time.monotonic() + timeout
        while text not in self.output:
            assert time.monotonic() < end, f"did not say {text!r} within {timeout} s"
            time.sleep(0.05)


def wait_until(condition: object, timeout: float = 60, what: str = "") -> None:
    end = time.monotonic() + timeout
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"not within {timeout} s: {what}"
        time.sleep(0.05)
