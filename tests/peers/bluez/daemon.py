"""A private dbus-daemon: own configuration, own socket, everything allowed unless a test says otherwise."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="method_return" send_requested_reply="false"/>
    <allow send_type="error" send_requested_reply="false"/>
    <allow send_type="signal"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return" receive_requested_reply="false"/>
    <allow receive_type="error" receive_requested_reply="false"/>
    <allow receive_type="signal"/>
    {policy}
  </policy>
{limits}
</busconfig>
"""
READY_S = 60.0


class Daemon:
    """Runs in `folder` (its path must be short: a socket path has room for about 100 characters).

    `limits` as in a busconfig, e.g. {"max_match_rules_per_connection": 8}; `policy`: further rules, XML, which win.
    """

    def __init__(self, folder: Path, limits: dict[str, int] | None = None, policy: str = "") -> None:
        self.folder, self._socket = folder, folder / "bus"
        self._process: subprocess.Popen[bytes] | None = None
        text = "\n".join(f'  <limit name="{name}">{value}</limit>' for name, value in (limits or {}).items())
        (folder / "bus.conf").write_text(_CONFIG.format(socket=self._socket, policy=policy, limits=text))

    @property
    def address(self) -> str:
        """For DBUS_SYSTEM_BUS_ADDRESS."""
        return f"unix:path={self._socket}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start and wait until it takes connections. Raises RuntimeError when it does not."""
        program = shutil.which("dbus-daemon")
        if program is None:
            raise RuntimeError("dbus-daemon is not installed; on Debian: sudo apt install dbus")
        self._socket.unlink(missing_ok=True)
        # Its output goes to a file: a pipe would stay open as long as the daemon does.
        with (self.folder / "bus.log").open("ab") as log:
            command = [program, f"--config-file={self.folder / 'bus.conf'}", "--nofork", "--nopidfile"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_bare()
            )
        until = time.monotonic() + READY_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"dbus-daemon did not start: {(self.folder / 'bus.log').read_text()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it, whatever state it is in. May be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
        return True


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DBUS_")}
