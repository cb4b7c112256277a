"""The port of the node, and the connections to it."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Callable

from renogybt.errors import UserError
from renogybt.proxy.session import Session, Transport

log = logging.getLogger(__name__)
MOST_CLIENTS = 8
"""Connections at the same time; Home Assistant needs one, sometimes two."""
SWEEP = 5.0
"""Seconds between two looks after silent and stuck clients."""
BACKLOG = 16
"""Connections that may wait to be let in."""
MOST_TOLD = 64
WELL = 0.2
"""Seconds in which an event loop that does not hang does what it is asked to."""
Open = Callable[[Transport, str, float], Session]


class Server:
    """Listens on `port` of `host`; "" means every address of this machine, with IPv6 where there is any."""

    def __init__(self, port: int, host: str, open_session: Open) -> None:
        self._port, self._host, self._open = port, host, open_session
        self._listening: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._lines: dict[Line, Session] = {}
        self._told: set[tuple[str, str]] = set()

    @property
    def port(self) -> int:
        """The port in use; differs from the wished one when that was 0."""
        return int(self._listening.getsockname()[1]) if self._listening else self._port

    @property
    def sessions(self) -> list[Session]:
        return list(self._lines.values())

    async def start(self) -> None:
        """Raises `UserError` when the port cannot be had."""
        loop = asyncio.get_running_loop()
        self._listening = listening_socket(self._port, self._host)
        self._server = await loop.create_server(lambda: Line(self), sock=self._listening, backlog=BACKLOG)
        self._sweeper = loop.create_task(self._sweep())

    async def close(self, seconds: float = 1.5) -> None:
        """Let nobody in any more and say goodbye to all; those still there after `seconds` are cut off."""
        if self._server is None or self._sweeper is None:
            return
        self._server.close()
        self._sweeper.cancel()
        self._server = self._sweeper = self._listening = None
        loop = asyncio.get_running_loop()
        for session in self.sessions:
            session.farewell(loop.time())
        end = loop.time() + seconds
        while self._lines and loop.time() < end:
            await asyncio.sleep(0.02)
        for session in self.sessions:
            session.abort("")
        await asyncio.sleep(0)

    def abandon(self) -> None:
        """From another thread, when the event loop hangs: give the port and the clients back to the system.

        The sockets are shut, not closed: their numbers must not go to others while the loop still knows them.
        """
        lines, listening, server = list(self._lines), self._listening, self._server
        self._lines.clear()
        self._server = self._sweeper = self._listening = None
        if server is not None and _closed_by_its_loop(server):
            listening = None  # a loop that still runs would complain of a socket that is shut, without end
        for each in [*([listening] if listening else []), *(line.socket for line in lines if line.socket)]:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # gone already
                continue

    def enter(self, line: Line, transport: asyncio.Transport) -> Session | None:
        """A connection came; None when there is no place for it."""
        peer = address_of(transport)
        if len(self._lines) >= MOST_CLIENTS and not self._make_room(asyncio.get_running_loop().time()):
            self._tell(peer, f"there are {MOST_CLIENTS} clients already")
            transport.abort()
            return None
        self._lines[line] = self._open(transport, peer, asyncio.get_running_loop().time())
        return self._lines[line]

    def _make_room(self, now: float) -> bool:
        """The oldest that says nothing gives way: else a few of those shut out who has something to say."""
        for session in self._lines.values():
            if why := session.gives_way(now):
                session.abort(f"{why}, and there are {MOST_CLIENTS} clients")
                return True
        return False

    def leave(self, line: Line) -> None:
        session = self._lines.pop(line, None)
        if session is None:
            return
        session.gone()
        if session.fault:
            self._tell(session.peer, session.fault)
        elif session.greeted:
            log.info("%s at %s has left", session.client or "a client", session.peer)

    def _tell(self, peer: str, fault: str) -> None:
        """Once for each client and fault: one with a wrong key comes back every minute, for ever."""
        level = logging.DEBUG if (peer, fault) in self._told else logging.WARNING
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told.add((peer, fault))
        log.log(level, "the client %s of the ESPHome native API was sent away: %s", peer, fault)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP)
            for session in self.sessions:
                session.tick(loop.time())


def _closed_by_its_loop(server: asyncio.Server) -> bool:
    """Whether the loop was well enough to close the port itself."""
    done = threading.Event()

    def close() -> None:
        server.close()
        done.set()

    try:
        server.get_loop().call_soon_threadsafe(close)
    except RuntimeError:  # it has ended
        return False
    return done.wait(WELL)


class Line(asyncio.Protocol):
    """One TCP connection, as asyncio knows it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session: Session | None = None
        self.socket: socket.socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.socket = _socket_of(transport)
        self._session = self._server.enter(self, transport)

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._session.feed(data, asyncio.get_running_loop().time())

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.leave(self)


def _socket_of(transport: asyncio.Transport) -> socket.socket | None:
    """asyncio hands out a wrapper around the socket, which knows `shutdown` too."""
    found: socket.socket | None = transport.get_extra_info("socket")
    return found


def address_of(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]).removeprefix("::ffff:") if peer else "unknown"


def listening_socket(port: int, host: str = "") -> socket.socket:
    """A socket that listens and takes IPv4 and IPv6 alike, or IPv4 alone where there is no IPv6. Raises `UserError`."""
    places = [(socket.AF_INET6 if ":" in host else socket.AF_INET, host)]
    if not host:
        places = [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]
    error: OSError | None = None
    for family, address in places:
        try:
            return _bound(family, address, port)
        except OSError as trouble:
            error = trouble
            if trouble.errno == errno.EADDRINUSE:
                break
    why = "another program uses it" if error and error.errno == errno.EADDRINUSE else str(error)
    raise UserError(
        f"port {port} of the ESPHome native API cannot be opened: {why}; end the other program, or set native_api_port "
        "in [home_assistant_proxy]"
    )


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # Only where TCP is named does asyncio switch off the waiting for more to send, which costs 40 ms per answer.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        found.bind((address, port))
        found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    found.setblocking(False)
    return found
