"""Ports on loopback that nobody else takes, although several test processes look for some at once."""

from __future__ import annotations

import contextlib
import os
import socket
from itertools import cycle

HOST = "127.0.0.1"
FIRST, LAST = 20_000, 32_700
"""Below those that Linux gives to whoever asks for any (net.ipv4.ip_local_port_range), outgoing connections included."""
SHARE = 100
"""Ports of a process."""


class Ports:
    """A share of all ports, this process's own until it ends: a name that only one can have marks it."""

    def __init__(self) -> None:
        self._mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._own = cycle(self._taken())

    def _taken(self) -> range:
        for first in range(FIRST, LAST - SHARE + 1, SHARE):
            with contextlib.suppress(OSError):
                self._mark.bind(f"\0renogybt-tests-{first}")
                return range(first, first + SHARE)
        raise OSError("every port is in use by tests")

    def free(self) -> int:
        """The next one where nobody listens. It comes again only after all the others."""
        for _ in range(SHARE):
            port = next(self._own)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what was closed a moment ago is in no way
                probe.bind((HOST, port))
                return port
        raise OSError("no port is free")


_by_process: dict[int, Ports] = {}


def free_port() -> int:
    """One that nobody listens at, and that no other process of these tests is given."""
    number = os.getpid()  # a fork does not share with its parent
    if number not in _by_process:
        _by_process[number] = Ports()
    return _by_process[number].free()
