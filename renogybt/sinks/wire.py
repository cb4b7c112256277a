"""One HTTP session, with an end to everything. All of requests and urllib3 is here; importing this costs 7 MB.

requests' own timeouts bound a connection attempt to one address and the silence between two pieces, not a call as a whole.
So every socket of a call is known here, and `interrupt` (from another thread) shuts it down.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError

from renogybt.sinks.outlet import Answer, Call
from renogybt.version import __version__

TIMEOUTS = (3.05, 10.0)
"""Seconds to connect to one address, and between two pieces of the answer."""
LARGEST = 65536
"""Bytes of an answer that are read; nobody has more to say to us."""
PIECE = 4096
HOSTS = 8


class NoAnswer(Exception):
    """No usable answer came; the text says why. `sent`: the request may have arrived all the same."""

    def __init__(self, text: str, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class Watch:
    """Knows the socket of the call that is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._connection: Any = None
        self.interrupted = False
        self.connects = 0
        self.ready = False

    def begin(self) -> None:
        with self._lock:
            self._release()
            self.connects, self.ready, self._connection = 0, False, None

    def connecting(self, sock: socket.socket) -> None:
        """A new connection; a handle of our own outlives what TLS does with the socket."""
        with self._lock:
            self._release()
            self._handle = sock.dup()
            self.connects += 1
            if self.interrupted:
                _shut(self._handle)

    def using(self, connection: Any) -> None:
        with self._lock:
            self._connection = connection

    def interrupt(self) -> None:
        with self._lock:
            self.interrupted = True
            for sock in (self._handle, getattr(self._connection, "sock", None)):
                if sock is not None:
                    _shut(sock)

    def _release(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _shut(sock: socket.socket) -> None:
    with suppress(OSError, ValueError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not SSLSocket's, which takes TLS away under the reader's feet


def _pools(watch: Watch) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's connection pools, with connections that tell `watch` about themselves."""

    class Watched:
        sock: socket.socket | None

        def _new_conn(self) -> socket.socket:
            sock: socket.socket = super()._new_conn()  # type: ignore[misc]  # of the class this is mixed into
            watch.connecting(sock)
            return sock

        def connect(self) -> None:
            super().connect()  # type: ignore[misc]
            watch.ready = True

        def request(self, *given: Any, **more: Any) -> None:
            watch.using(self)
            watch.ready = watch.ready or self.sock is not None
            super().request(*given, **more)  # type: ignore[misc]

    class Plain(HTTPConnectionPool):
        ConnectionCls = type("WatchedHTTPConnection", (Watched, HTTPConnection), {})

    class Secure(HTTPSConnectionPool):
        ConnectionCls = type("WatchedHTTPSConnection", (Watched, HTTPSConnection), {})

    return {"http": Plain, "https": Secure}


class _Adapter(HTTPAdapter):
    def __init__(self, watch: Watch) -> None:
        self._classes = _pools(watch)
        super().__init__(pool_connections=HOSTS, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *given: Any, **more: Any) -> None:
        super().init_poolmanager(*given, **more)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = self._classes
        return manager


class Wire:
    """Sends calls, one at a time, over kept connections. Belongs to one thread, except for `interrupt`."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.session = requests.Session()
        adapter = _Adapter(self.watch)
        self.session.mount("http://", adapter)
        self.session.mount("https://", adapter)
        self.session.auth = _from_address  # else requests would put a password of ~/.netrc in the place of ours
        self.session.headers["User-Agent"] = f"renogybt/{__version__}"
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(self, call: Call, until: float, again: bool) -> Answer:
        """Do `call` before the monotonic time `until`. Raises `NoAnswer`.

        `again`: when a kept connection turns out to be dead, send once more over a new one. Never after a timeout: then
        the server may be busy with it.
        """
        try:
            try:
                return self._once(call, until)
            except requests.ConnectionError as error:
                if not (again and _was_dead(error) and not self.watch.connects and not self.watch.interrupted):
                    raise
                self.session.close()
                return self._once(call, until)
        except (requests.RequestException, OSError, ValueError) as error:  # UnicodeError is a ValueError
            self.session.close()
            if self.watch.interrupted:
                raise NoAnswer("did not answer in full within the time limit", self.watch.ready) from None
            raise NoAnswer(fault(error), self.watch.ready) from None

    def _once(self, call: Call, until: float) -> Answer:
        self.watch.begin()
        response = self.session.request(
            call.method,
            call.url,
            data=call.body or None,
            headers=dict(call.headers),
            timeout=TIMEOUTS,
            verify=call.verify,
            allow_redirects=False,  # requests would follow most of them with a GET and lose the record
            stream=True,
        )
        body = bytearray()
        with response:
            for piece in response.iter_content(PIECE):
                body += piece
                if len(body) >= LARGEST:
                    break
                if time.monotonic() > until:
                    raise requests.ReadTimeout
        if self.watch.interrupted:  # http.client takes the end of a connection for the end of a head
            raise requests.ReadTimeout
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body[:LARGEST].decode("utf-8", "replace"))

    def interrupt(self) -> None:
        """End the call that is under way, from another thread. Only name lookup cannot be ended."""
        self.watch.interrupt()

    def close(self) -> None:
        self.session.close()


def _from_address(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """User and password that stand in the address, unless the call has a header of its own."""
    user, password = get_auth_from_url(request.url or "")
    if (user or password) and "Authorization" not in request.headers:
        HTTPBasicAuth(user, password)(request)
    return request


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what is wrapped in it, as urllib3 and requests wrap."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]


def _was_dead(error: BaseException) -> bool:
    if isinstance(error, requests.Timeout):
        return False
    dead = (RemoteDisconnected, ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
    return any(isinstance(cause, dead) for cause in _causes(error))


def fault(error: BaseException) -> str:
    """What went wrong and what to do, to be put after the server's name; without the address, which may hold a secret."""
    causes = list(_causes(error))
    match error:
        case requests.ConnectTimeout():
            return f"did not accept a connection within {TIMEOUTS[0]:g} s; is it switched on?"
        case requests.Timeout():
            return f"did not answer within {TIMEOUTS[1]:g} s"
        case requests.exceptions.SSLError():
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
                return "has no certificate this machine trusts; check url, ca and the clock of this machine"
            return "speaks no TLS this machine understands; should url begin with http:// ?"
        case requests.exceptions.ProxyError():
            return "was not asked, because the proxy of this machine (HTTP_PROXY, HTTPS_PROXY) is not reachable"
        case requests.exceptions.InvalidHeader() | UnicodeError():
            return "was not asked: url or password holds letters that HTTP cannot carry"
        case requests.exceptions.ContentDecodingError():
            return "gave an answer that cannot be read"
        case requests.ConnectionError() if any(isinstance(c, NameResolutionError | socket.gaierror) for c in causes):
            return "has no known address; check url and this machine's network"
        case requests.ConnectionError() if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
            return "is not reachable: nothing listens there; check url, and that the server runs"
        case requests.ConnectionError() if _was_dead(error):
            return "closed the connection without an answer"
        case requests.ConnectionError():
            return "is not reachable; check url and this machine's network"
        case requests.exceptions.ChunkedEncodingError():
            return "broke off in the middle of its answer"
        case ValueError():
            return "cannot be asked: url must look like https://example.com/post.php"
        case OSError() if not isinstance(error, requests.RequestException):
            return "was not asked: the file named as ca cannot be read, or holds no certificate"
    return f"could not be asked ({type(error).__name__})"
