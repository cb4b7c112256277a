"""A wire between the program and a broker that can be cut without either end noticing."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self

HOST = "127.0.0.1"


class Wire:
    """`with Wire() as wire:` leads from `wire.port` to wherever it was told. While it is cut, connections are accepted and
    nothing passes; what was in it then is lost."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0), backlog=16)
        self.port: int = self._listener.getsockname()[1]
        self._target = 0
        self._cut = threading.Event()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def leads_to(self, port: int) -> None:
        self._target = port

    def cut(self) -> None:
        self._cut.set()

    def mend(self) -> None:
        """For new connections; the old ones stay dead."""
        self._cut.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, socket.create_connection((HOST, self._target), 5) as far:
            other, dead = {near: far, far: near}, False
            while not self._over.is_set():
                ready, _, _ = select.select([] if dead else [near, far], [], [], 0.05)
                dead = dead or self._cut.is_set()
                for source in ready:
                    piece = source.recv(65536)
                    if not dead and not piece:
                        return
                    if not dead:
                        other[source].sendall(piece)
