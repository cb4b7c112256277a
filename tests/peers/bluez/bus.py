"""The service's connection to the bus."""

from __future__ import annotations

import socket
from typing import Any, Self

from dbus_fast.aio import MessageBus


class PatientBus(MessageBus):
    """Waits while the daemon takes nothing more. dbus_fast (5.2) takes a full socket for the end of the connection, and
    closes it: a large list of devices and a few signals suffice."""

    async def connect(self) -> Self:
        await super().connect()
        self._writer.sock = PatientSocket(self._sock)
        return self


class PatientSocket:
    """Nothing is written when nothing can be, and that is no error."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def send(self, data: memoryview) -> int:
        try:
            return self._line.send(data)
        except BlockingIOError:
            return 0

    def sendmsg(self, *given: Any) -> int:
        return self._line.sendmsg(*given)
