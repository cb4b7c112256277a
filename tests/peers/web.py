"""A web server on loopback that remembers what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    path: str
    headers: Mapping[str, str]
    body: str
    client_port: int


class Web:
    """`with Web() as web: web.url, web.asked`. `answers` are the status codes to give in turn, then 200; 0 means silence."""

    def __init__(self, *answers: int) -> None:
        self.asked: list[Asked] = []
        self.answers = list(answers)
        self._quiet = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                web.asked.append(Asked(self.path, dict(self.headers), body, self.client_address[1]))
                code = web.answers.pop(0) if web.answers else 200
                if not code:
                    web._quiet.wait(30)
                    return
                self.send_response(code)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"OK")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/log"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._quiet.set()
        self._server.shutdown()
        self._server.server_close()
