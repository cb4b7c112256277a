"""Start a bus and the fake service on it, and end both whatever happens."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tests.peers.bluez.daemon import READY_S, Daemon
from tests.peers.bluez.scenario import Scenario

ROOT = Path(__file__).resolve().parents[3]
ANSWER_S = 60.0

# Both end with the process that called them: nothing may outlive a test.
_STUBS = {
    "hang": "#!/bin/sh\nwhile kill -0 $PPID 2>/dev/null; do sleep 0.2; done\n",
    "missing": "#!/bin/sh\nexit 127\n",
}


class Launch:
    """A bus and the service process on it.

    `bluetoothctl`: the version the stub on PATH prints, or "hang" (never answers), or "missing" (fails). `limits` and
    `policy` as in `Daemon`.
    """

    def __init__(
        self, scenario: Scenario, *, bluetoothctl: str = "5.82", limits: dict[str, int] | None = None, policy: str = ""
    ) -> None:
        self.scenario = scenario
        self.folder = Path(tempfile.mkdtemp(prefix="bluez-"))
        self.daemon = Daemon(self.folder, limits, policy)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._stream: Any = None
        self._write_stub(bluetoothctl)

    def start(self) -> Self:
        """Start both processes and wait until the service is on the bus."""
        atexit.register(self.stop)
        try:
            self.daemon.start()
            self._start_service()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End both processes and remove their files. May be called twice, and at any time."""
        atexit.unregister(self.stop)
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._socket.close()
            self._socket = None
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin is not None
            process.stdin.close()
        self.daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        complaints = self.log()
        self.stop()
        if kind is None and "Traceback" in complaints:
            raise RuntimeError(f"the fake BlueZ itself failed:\n{complaints}")

    def log(self) -> str:
        """What the service process printed."""
        path = self.folder / "fake.log"
        return path.read_text() if path.exists() else ""

    @property
    def pid(self) -> int:
        """The service's process."""
        return self._process.pid if self._process is not None else 0

    @property
    def address(self) -> str:
        return self.daemon.address

    def env(self) -> dict[str, str]:
        """What a process needs in its environment, beside the usual, to meet this BlueZ."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", os.defpath)])
        return {"DBUS_SYSTEM_BUS_ADDRESS": self.daemon.address, "PATH": path}

    def _start_service(self) -> None:
        (self.folder / "scenario.json").write_bytes(msgspec.json.encode(self.scenario))
        control = self.folder / "control"
        command = [sys.executable, "-m", "tests.peers.bluez.fake", "--address", self.daemon.address, "--orphan"]
        command += ["--scenario", str(self.folder / "scenario.json"), "--control", str(control)]
        command += ["--daemon", str(self.daemon.pid), "--scratch", str(self.folder)]
        with (self.folder / "fake.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
            )
        until = time.monotonic() + READY_S
        while not self._connected(control):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the fake BlueZ did not start:\n{self.log()}")
            time.sleep(0.01)

    def _connected(self, control: Path) -> bool:
        attempt = socket.socket(socket.AF_UNIX)
        try:
            attempt.connect(str(control))
        except OSError:
            attempt.close()
            return False
        attempt.settimeout(ANSWER_S)
        self._socket, self._stream = attempt, attempt.makefile("rwb")
        return True

    def order(self, what: str, **arguments: Any) -> Any:
        """Have the service carry out a command of `Remote`. Raises ValueError when it cannot."""
        if self._socket is None:
            raise RuntimeError("this fake BlueZ is not running")
        self._stream.write(msgspec.json.encode({"do": what, "with": arguments}) + b"\n")
        self._stream.flush()
        line = self._stream.readline()
        if not line:
            raise RuntimeError(f"the fake BlueZ is gone:\n{self.log()}")
        answer = msgspec.json.decode(line)
        if "error" in answer:
            raise ValueError(f"{what}: {answer['error']}")
        return answer["ok"]

    def _write_stub(self, bluetoothctl: str) -> None:
        stub = self.folder / "bin" / "bluetoothctl"
        stub.parent.mkdir()
        stub.write_text(_STUBS.get(bluetoothctl, f'#!/bin/sh\necho "bluetoothctl: {bluetoothctl}"\n'))
        stub.chmod(0o755)
