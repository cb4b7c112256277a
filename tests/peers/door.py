"""A door before any server on loopback: open, connections pass; shut, they are refused, and those inside are cut."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

from tests.peers.ports import HOST, free_port

NOW = struct.pack("ii", 1, 0)


class Door:
    """`with Door(port) as door:` leads from `door.port` to `port`. `shut()` and `open()` as often as you like.

    `sieve(piece, outward)` is what passes of a piece of data, to the server (`outward`) or back; nothing at all makes a
    connection of which neither end knows that it is dead.
    """

    def __init__(self, port: int) -> None:
        self.sieve: Callable[[bytes, bool], bytes] = lambda piece, outward: piece
        self._target = port
        self.port = free_port()  # so that nobody takes it while the door is shut
        self._listener: socket.socket | None = socket.create_server((HOST, self.port), backlog=64)
        self._inside: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._let_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def open(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port), backlog=64)
            self._let_in()

    def shut(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            inside, self._inside = self._inside, set()
        for one in inside:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW)
                one.shutdown(socket.SHUT_RDWR)

    def _let_in(self) -> None:
        assert self._listener is not None
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection((HOST, self._target), 5)
                except OSError:
                    near.close()
                    continue
                with self._lock:
                    if self._listener is not listener:
                        near.close()
                        far.close()
                        return
                    self._inside |= {near, far}
                for source, target in ((near, far), (far, near)):
                    source.settimeout(None)
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._carry, args=(source, target, source is near), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, outward: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(self.sieve(piece, outward))
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        with self._lock:
            self._inside.discard(source)
