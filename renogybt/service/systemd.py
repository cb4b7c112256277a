"""Tells systemd how things stand (sd_notify), and decides whether it may be told that all is well."""

from __future__ import annotations

import contextlib
import logging
import socket

log = logging.getLogger(__name__)
LONGEST_INTERVAL = 20.0
"""Seconds between two signs of life."""
MAIN_LIMIT, WORKER_LIMIT, RECYCLING_LIMIT, REFUSED_LIMIT = 5.0, 30.0, 60.0, 3600.0


class Notifier:
    """Sends datagrams to systemd. Never waits, never raises: whether systemd listens is no concern of the program.

    `address` is what systemd puts into NOTIFY_SOCKET: a path, or "@" and a name without a file; "" switches all of it off.
    `watchdog_usec` is its WATCHDOG_USEC, from which `interval` follows: the seconds between two calls of `alive()`.
    """

    def __init__(self, address: str = "", watchdog_usec: str = "") -> None:
        limit = int(watchdog_usec) / 1e6 if watchdog_usec.isdecimal() else 0.0
        self.interval = min(LONGEST_INTERVAL, limit / 4) if limit else LONGEST_INTERVAL
        self._address = f"\0{address[1:]}" if address.startswith("@") else address if address.startswith("/") else ""
        self._socket: socket.socket | None = None
        if self._address:
            with contextlib.suppress(OSError):
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)

    def ready(self, status: str) -> None:
        """The start is over; systemd starts what waits for this program."""
        self._send("READY=1", f"STATUS={line(status)}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={line(text)}")

    def alive(self) -> None:
        """The sign of life. Without one for WatchdogSec, systemd ends the program and starts it anew."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=ending")

    def _send(self, *words: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(words).encode(), self._address)
        except OSError as error:
            log.debug("systemd was not told %s: %s", words[0], error)


def line(text: str) -> str:
    """`text` on one line, because each line of a message is a message."""
    return " ".join(text.split())[:200]


def fresh(
    now: float,
    *,
    main_tick: float,
    worker_heartbeat: float | None,
    recycling_since: float | None,
    refused_since: float | None,
) -> str:
    """Why systemd must not be told that all is well, "" when it may be. All times in monotonic seconds.

    `worker_heartbeat` is None before there is a radio thread, `recycling_since` while that is not being replaced,
    `refused_since` as long as the watchdog may reset the adapter.
    """
    if now - main_tick >= MAIN_LIMIT:
        return f"the main loop has not turned for {now - main_tick:.0f} s"
    if recycling_since is not None:
        if now - recycling_since >= RECYCLING_LIMIT:
            return f"the Bluetooth thread is being replaced for {now - recycling_since:.0f} s"
    elif worker_heartbeat is not None and now - worker_heartbeat >= WORKER_LIMIT:
        return f"the Bluetooth thread has not moved for {now - worker_heartbeat:.0f} s"
    if refused_since is not None and now - refused_since > REFUSED_LIMIT:
        return f"the adapter would need a reset for {(now - refused_since) / 60:.0f} min, and has had as many as it may"
    return ""
