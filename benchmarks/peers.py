"""What stands at the other end while outlets are measured: a counting door before any server, and a web server that counts.

Only the standard library, so that `python test_optimizations.py` needs nothing besides the program's own requirements.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from tests.peers.mosquitto import Certificates, Mosquitto

HOST = "127.0.0.1"
CHUNK = 65536
ANSWER = (
    b"HTTP/1.1 %d OK\r\nServer: nginx\r\nDate: Sat, 21 Jun 2025 12:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 20\r\nConnection: keep-alive\r\n\r\n%b"
)
"""What a usual web server says, with twenty letters of text."""


class Door:
    """Lets connections through to `port` and counts them, and every byte of their streams in both directions.

    With TLS these are the encrypted bytes, handshake included; headers of TCP and IP are not counted.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def bytes(self) -> int:
        with self._lock:
            return self._bytes

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        with self._lock:
            left = list(self._open)
        for one in left:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((HOST, self._target), 5)
            except OSError:
                near.close()
                continue
            with self._lock:
                self.connections += 1
                self._open |= {near, far}
            threading.Thread(target=self._carry_both, args=(near, far), daemon=True).start()

    def _carry_both(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
        back.start()
        self._carry(near, far)
        back.join()
        with self._lock:
            self._open -= {near, far}
        near.close()
        far.close()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        for one in (source, target):
            one.settimeout(None)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            while piece := source.recv(CHUNK):
                with self._lock:
                    self._bytes += len(piece)
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


class Web:
    """Counts posts, connections and all that was `asked`. `status` is what it answers; `keep` false ends each connection
    after one answer.

    Not made of http.server, which leaves more in memory than the program that is measured beside it.
    """

    def __init__(
        self, status: int = 200, keep: bool = True, certificates: Certificates | None = None, remember: bool = False
    ) -> None:
        self.status, self.requests, self.asked, self.connections = status, 0, 0, 0
        self.bodies: list[bytes] = []
        self._keep, self._remember = keep, remember
        self._lock = threading.Lock()
        self._server = _Server((HOST, 0), partial(_Visit, self))
        scheme, host = "http", HOST
        if certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            scheme, host = "https", "localhost"
        self.port: int = self._server.server_address[1]
        self._where = f"{scheme}://{host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def url(self, path: str, port: int | None = None) -> str:
        """The address of `path`, at this server or at a door before it."""
        return f"{self._where}:{port or self.port}/{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def posted(self) -> int:
        return self.requests

    def visited(self) -> None:
        with self._lock:
            self.connections += 1

    def answer(self, post: bool, body: bytes) -> tuple[bytes, bool]:
        """What to say, and whether to go on listening."""
        with self._lock:
            self.asked += 1
            self.requests += post
            if post and self._remember:
                self.bodies.append(body)
        if post or self.status != 200:
            said = ANSWER % (self.status, b"OK 200: Added Status")
        else:
            said = ANSWER % (400, b"No status found 0000")  # as PVOutput says of a time it has nothing of
        return (said if self._keep else said.replace(b"keep-alive", b"close")), self._keep


class _Visit(socketserver.StreamRequestHandler):
    """One connection to a `Web`."""

    disable_nagle_algorithm = True

    def __init__(self, web: Web, *given: Any) -> None:
        self._web = web
        super().__init__(*given)

    def handle(self) -> None:
        self._web.visited()
        going = True
        with contextlib.suppress(OSError):
            while going and (request := self.rfile.readline()):
                size = 0
                while (line := self.rfile.readline()) not in (b"\r\n", b""):
                    if line[:15].lower() == b"content-length:":
                        size = int(line[15:])
                said, going = self._web.answer(request.startswith(b"POST"), self.rfile.read(size))
                self.wfile.write(said)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go away as they like."""


class Broker(Protocol):
    """A running MQTT broker. `name` says which one it is."""

    name: str
    port: int

    def heard(self, topic: str) -> int:
        """How many messages were published to `topic`."""
        ...


class _Mosquitto:
    name = "mosquitto"

    def __init__(self, process: Mosquitto) -> None:
        self._process, self.port = process, process.port

    def heard(self, topic: str) -> int:
        lines = self._process.log.splitlines()
        return sum("Received PUBLISH" in line and f"'{topic}'" in line for line in lines)


class SmallBroker:
    """Just enough of an MQTT broker for a machine without mosquitto: takes everything, passes nothing on."""

    name = "a small counting broker, because mosquitto is not installed"

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._heard: Counter[str] = Counter()
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def heard(self, topic: str) -> int:
        with self._lock:
            return self._heard[topic]

    def stop(self) -> None:
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), client, client.makefile("rb") as stream:
            while True:
                client.sendall(self._answer(*_packet(stream)))

    def _answer(self, head: int, body: bytes) -> bytes:
        match head >> 4:
            case 1:  # CONNECT
                return b"\x20\x02\x00\x00"
            case 3:  # PUBLISH
                size = struct.unpack_from(">H", body)[0]
                with self._lock:
                    self._heard[body[2 : 2 + size].decode()] += 1
                return b"\x40\x02" + body[2 + size : 4 + size] if head & 0x06 else b""
            case 8:  # SUBSCRIBE
                return b"\x90\x03" + body[:2] + b"\x00"
            case 10:  # UNSUBSCRIBE
                return b"\xb0\x02" + body[:2]
            case 12:  # PINGREQ
                return b"\xd0\x00"
            case 14:  # DISCONNECT
                raise EOFError
        return b""


def _packet(stream: Any) -> tuple[int, bytes]:
    """First byte and body of the next packet. Raises `EOFError` when there is none."""
    head = stream.read(1)
    size, shift = 0, 0
    while head:
        byte = stream.read(1)
        if not byte:
            break
        size |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return head[0], stream.read(size)
    raise EOFError


def equipped() -> bool:
    """Whether this machine has what encrypted connections are measured with."""
    return bool(shutil.which("mosquitto") and shutil.which("openssl"))


@contextmanager
def broker(folder: Path, certificates: Certificates | None = None) -> Iterator[Broker]:
    """A running broker: mosquitto where it is installed, else the small one (which knows no TLS)."""
    if shutil.which("mosquitto"):
        with Mosquitto(folder, certificates=certificates) as found:
            yield _Mosquitto(found)
        return
    small = SmallBroker()
    try:
        yield small
    finally:
        small.stop()


def wait_until(condition: Any, timeout: float, what: str) -> None:
    """Raises `TimeoutError` naming `what` when `condition()` does not hold within `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout:g} s: {what}")
        time.sleep(0.002)
