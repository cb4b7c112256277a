"""A web server on loopback that remembers what it was sent, and misbehaves in every way on request."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple

NOW = struct.pack("ii", 1, 0)
"""SO_LINGER that makes `close` a reset."""
DRIP = 0.1
"""Seconds between two bytes of an answer that drips."""


class Asked(NamedTuple):
    """A request, and the status it was answered with (0: with none)."""

    path: str
    headers: Mapping[str, str]
    body: str
    client_port: int
    status: int = 200

    @property
    def key(self) -> str:
        return self.headers.get("Idempotency-Key", "")


@dataclass(frozen=True)
class Turn:
    """What the server does with one request, after it has read and remembered it.

    `how`: `answer` it · `hang` and say nothing · `reset` the connection instead of answering · `drip`: an answer that never
    ends, byte by byte · `close`: answer, promise to keep the connection, and close it · `dead`: answer, and reset the
    connection as soon as the next request comes over it, unread.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    how: Literal["answer", "hang", "reset", "drip", "close", "dead"] = "answer"
    text: str = "OK"


class Web:
    """`with Web() as web: web.url, web.asked`. `answers` are what to do in turn, then 200; 0 means silence.

    Each is a status code or a `Turn`; with `chance(number)` given, that decides about every request that `answers` does not.
    """

    def __init__(self, *answers: int | Turn, chance: Callable[[int], Turn] | None = None) -> None:
        self.asked: list[Asked] = []
        self.answers: list[int | Turn] = list(answers)
        self.chance = chance or (lambda number: Turn())
        self.quiet = threading.Event()
        self.connections = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/log"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.quiet.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, headers: Mapping[str, str], body: str, client_port: int) -> Turn:
        """Remember a request; what to do with it."""
        with self._lock:
            answer = self.answers.pop(0) if self.answers else self.chance(len(self.asked))
            turn = answer if isinstance(answer, Turn) else Turn(answer) if answer else Turn(how="hang")
            answered = turn.status if turn.how in ("answer", "close", "dead") else 0
            self.asked.append(Asked(path, headers, body, client_port, answered))
            return turn

    def connected(self) -> None:
        with self._lock:
            self.connections += 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go away as they like."""


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one piece
        disable_nagle_algorithm = True
        dead = False

        def setup(self) -> None:
            web.connected()
            super().setup()

        def parse_request(self) -> bool:
            if self.dead:
                self._reset()
                return False
            return super().parse_request()

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # the client has gone away
                self.close_connection = True
                return
            turn = web.take(self.path, dict(self.headers), body.decode(), self.client_address[1])
            match turn.how:
                case "hang":
                    web.quiet.wait(30)
                    self.close_connection = True
                case "reset":
                    self._reset()
                case "drip":
                    self._drip(turn)
                case _:
                    self._answer(turn, len(turn.text))
                    self.wfile.write(turn.text.encode())
                    self.close_connection = turn.how == "close"
                    self.dead = turn.how == "dead"

        do_GET = do_POST

        def _answer(self, turn: Turn, length: int) -> None:
            self.send_response(turn.status)
            for name, value in {**turn.headers, "Content-Length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()

        def _drip(self, turn: Turn) -> None:
            self._answer(turn, 1_000_000)
            while not web.quiet.wait(DRIP):
                self.wfile.write(b".")
                self.wfile.flush()

        def _reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW)
            self.connection.close()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
