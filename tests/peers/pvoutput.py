"""A server that behaves like pvoutput.org, as strict and with the same words, by a clock of the test's."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

DAYS, PER_BATCH, MOST_HISTORY = 14, 30, 288
HOUR = 3600
NAMES = tuple(f"v{number}" for number in range(1, 13))


class Refused(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True)
class Asked:
    """A request as it came in. `at` is the server's time, `statuses` how many it carried, `code` what was answered."""

    at: float
    service: str
    system: str
    parameters: dict[str, str]
    statuses: int
    code: int


@dataclass
class Fault:
    """What happens to the next request instead. `carried_out`: the server does its work before it answers so.

    A `code` of 0 breaks the connection off.
    """

    code: int
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    carried_out: bool = False


@dataclass
class System:
    """`statuses` by (d, t), what was last put there; `delivered` how often each was sent; `times` in order of arrival."""

    key: str
    statuses: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    delivered: Counter[tuple[str, str]] = field(default_factory=Counter)
    times: list[tuple[str, str]] = field(default_factory=list)


class PvoutputPeer:
    """`with PvoutputPeer(clock) as peer:` at `peer.url`. `clock()` gives Unix seconds.

    `systems` maps the system's number to what it holds, `limit` is the account's requests per hour of the clock. `moon`:
    refuse generation between 23:00 and 01:00. `torn`: a batch that is refused was put in as far as the fault.
    `takes` further says of a status why it is refused ("" when it is not); `faults` are for the next requests.
    """

    def __init__(self, clock: Callable[[], float], zone: str = "Europe/Amsterdam", limit: int = 60, **systems: str) -> None:
        self.clock, self.zone, self.limit = clock, ZoneInfo(zone), limit
        self.systems = {name.removeprefix("s"): System(key) for name, key in (systems or {"s1234": "secret-key"}).items()}
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self.moon = self.torn = False
        self.tells = True
        self.takes: Callable[[str, str, dict[str, str]], str] = lambda d, t, values: ""
        self._used: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/service/r2/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def system(self) -> System:
        """The only one, or the first."""
        return next(iter(self.systems.values()))

    def per_hour(self) -> list[int]:
        """Requests in each hour of the clock in which there were some."""
        return [count for _, count in sorted(Counter(int(one.at // HOUR) for one in self.asked).items())]

    def services(self) -> list[str]:
        return [one.service.removesuffix(".jsp") for one in self.asked]

    # One request

    def answer(self, method: str, target: str, headers: dict[str, str], body: str) -> Fault:
        with self._lock:
            now, path = self.clock(), urlsplit(target)
            service = path.path.rpartition("/")[2]
            parameters = dict(parse_qsl(path.query if method == "GET" else body, keep_blank_values=True))
            fault = self.faults.pop(0) if self.faults else None
            told: dict[str, str] = {}
            before = sum(sum(system.delivered.values()) for system in self.systems.values())
            if fault is not None and not fault.carried_out:
                reply = fault
            else:
                try:
                    system = self._admitted(headers, now, told)
                    reply = Fault(200, self._served(service, system, parameters, now))
                except Refused as refusal:
                    word = {400: "Bad request", 401: "Unauthorized", 403: "Forbidden"}.get(refusal.code, "Error")
                    reply = Fault(refusal.code, f"{word} {refusal.code}: {refusal.text}")
                reply = fault or reply
            sent = sum(sum(system.delivered.values()) for system in self.systems.values()) - before
            who = headers.get("x-pvoutput-systemid", "")
            self.asked.append(Asked(now, service, who, parameters, sent, reply.code))
            reply.headers = {**(told if headers.get("x-rate-limit") == "1" and self.tells else {}), **reply.headers}
            return reply

    def _admitted(self, headers: dict[str, str], now: float, told: dict[str, str]) -> System:
        key, system = headers.get("x-pvoutput-apikey", ""), self.systems.get(headers.get("x-pvoutput-systemid", ""))
        if not key:
            raise Refused(401, "Missing, invalid or inactive api key information (X-Pvoutput-Apikey)")
        if system is None:
            raise Refused(401, "Invalid System ID")
        if system.key != key:
            raise Refused(401, "Invalid API Key")
        hour = int(now // HOUR)
        self._used[key, hour] += 1
        told["X-Rate-Limit-Limit"] = str(self.limit)
        told["X-Rate-Limit-Remaining"] = str(max(0, self.limit - self._used[key, hour]))
        told["X-Rate-Limit-Reset"] = str((hour + 1) * HOUR)
        if self._used[key, hour] > self.limit:
            raise Refused(403, f"Exceeded {self.limit} requests per hour")
        return system

    def _served(self, service: str, system: System, parameters: dict[str, str], now: float) -> str:
        if service == "addstatus.jsp":
            values = {name: parameters[name] for name in NAMES if name in parameters}
            self._put(system, parameters.get("d", ""), parameters.get("t", ""), values, now)
            return "OK 200: Added Status"
        if service == "addbatchstatus.jsp":
            return self._batch(system, parameters.get("data", ""), now)
        if service == "getstatus.jsp":
            return self._history(system, parameters)
        raise Refused(404, "Not found")

    def _batch(self, system: System, data: str, now: float) -> str:
        rows = [row.split(",") for row in data.split(";") if row]
        if not rows or any(len(row) < 3 for row in rows):
            raise Refused(400, "Missing required data")
        if len(rows) > PER_BATCH:
            raise Refused(400, f"Exceeded maximum of {PER_BATCH} statuses")
        found = []
        for dry in (True, False):
            if dry and self.torn:
                continue
            for d, t, *cells in rows:
                values = {name: cell for name, cell in zip(NAMES, cells, strict=False) if cell}
                known = system.statuses.get((d, t))
                self._put(system, d, t, values, now, dry)
                if not dry:
                    found.append(f"{d},{t},{1 if known is None else 2 if known != values else 0}")
        return ";".join(found)

    def _put(self, system: System, d: str, t: str, values: dict[str, str], now: float, dry: bool = False) -> None:
        local = datetime.fromtimestamp(now, self.zone)
        if not re.fullmatch(r"\d{8}", d):
            raise Refused(400, f"Could not read date [{d}]")
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", t):
            raise Refused(400, f"Could not read time [{t}]")
        day = datetime.strptime(d, "%Y%m%d").date()
        if local.date() - day > timedelta(days=DAYS):
            raise Refused(400, f"Date is older than {DAYS} days [{d}]")
        if (d, t) > (f"{local:%Y%m%d}", f"{local:%H:%M}"):
            raise Refused(400, f"Date is in the future [{d} {t}]")
        if not values.keys() & {"v1", "v2", "v3", "v4"}:
            raise Refused(400, "Missing energy or power values")
        for name, value in values.items():
            pattern = r"\d+" if name in ("v1", "v2", "v3", "v4") else r"-?\d+(\.\d+)?"
            if not re.fullmatch(pattern, value):
                raise Refused(400, f"Could not read {name} [{value}]")
        if self.moon and not "01:00" <= t < "23:00" and (int(values.get("v1", 0)) or int(values.get("v2", 0))):
            raise Refused(400, "Moon Powered")
        if reason := self.takes(d, t, values):
            raise Refused(400, reason)
        if not dry:
            system.statuses[d, t] = values
            system.delivered[d, t] += 1
            system.times.append((d, t))

    def _history(self, system: System, asked: dict[str, str]) -> str:
        d = asked.get("d", "")
        if not re.fullmatch(r"\d{8}", d):
            raise Refused(400, f"Could not read date [{d}]")
        first = asked.get("from", "00:00") if asked.get("h") == "1" else asked.get("t", "")
        last = asked.get("to", "23:59") if asked.get("h") == "1" else first
        found = [(where, values) for where, values in sorted(system.statuses.items()) if where[0] == d]
        found = [(where, values) for where, values in found if first <= where[1] <= last]
        if asked.get("asc") != "1":
            found.reverse()
        if not found:
            raise Refused(400, "No status found")
        most = min(MOST_HISTORY, int(asked.get("limit", MOST_HISTORY)))
        shown = ("v1", "v2", "v3", "v4", "", "v5", "v6")
        return ";".join(",".join([*where, *(values.get(v, "NaN") for v in shown)]) for where, values in found[:most])


def _handler(peer: PvoutputPeer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one piece
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            if self.command == "POST" and headers.get("content-type") != "application/x-www-form-urlencoded":
                body = ""
            reply = peer.answer(self.command, self.path, headers, body)
            if not reply.code:
                self.close_connection = True
                return
            content = reply.text.encode()
            self.send_response(reply.code)
            for name, value in {**reply.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(peer.clock() if timestamp is None else timestamp, usegmt=True)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
