"""Readings by HTTP: JSON to a server of the user's, and live status to PVOutput."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from renogybt import devices
from renogybt.errors import OutletError
from renogybt.reading import Failure, Identity, LinkFigures, Reading
from renogybt.settings import Settings
from renogybt.sinks.document import cleaned, document
from renogybt.worker import Worker

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

PVOUTPUT = "https://pvoutput.org/service/r2/addstatus.jsp"
CONTROLLER = "RoverClient"
STATUS = {
    "v1": "power_generation_today",
    "v2": "pv_power",
    "v3": "power_consumption_today",
    "v4": "load_power",
    "v5": "controller_temperature",
    "v6": "battery_voltage",
}
"""PVOutput's parameters (Wh, W, Wh, W, °C, V) and the keys that go there."""
TIMEOUTS = (3.05, 10.0)
"""Seconds to connect, and between two pieces of the answer."""
QUEUE = 100


@dataclass(frozen=True, slots=True)
class Post:
    """One request. `outlet` is its name in messages; `secret` headers never reach the log."""

    outlet: str
    url: str
    body: Any
    as_json: bool
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


def status(values: Mapping[str, Any], taken_at: float) -> dict[str, str] | None:
    """A PVOutput status from controller values (°C) taken at wall-clock seconds `taken_at`; None when it would be empty."""
    found = {name: str(cleaned(values[key], 3)) for name, key in STATUS.items() if values.get(key) is not None}
    if not found.keys() & {"v1", "v2", "v3", "v4"}:
        return None
    when = datetime.fromtimestamp(taken_at)
    return {"d": when.strftime("%Y%m%d"), "t": when.strftime("%H:%M"), **found}


class HttpSink(Worker):
    """The thread `upload`: a bounded queue, oldest dropped first, and one kept-alive session.

    `dropped` counts what never went because the queue was full. `pvoutput_url` is there for tests.
    """

    def __init__(self, settings: Settings, pvoutput_url: str = PVOUTPUT) -> None:
        super().__init__("upload")
        self._settings, self._pvoutput_url = settings, pvoutput_url
        self._queue: deque[Post] = deque()
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._session: requests.Session | None = None
        self._troubles: dict[str, str] = {}
        self.dropped = 0

    @property
    def trouble(self) -> str:
        return "; ".join(self._troubles.values())

    def offer(self, reading: Reading) -> None:
        data = self._settings.data
        if self._settings.remote_logging.enabled:
            self.post_remote(document(reading, data.temperature_unit, data.fields))
        if self._settings.pvoutput.enabled and devices.family(reading.family).client == CONTROLLER:
            self.post_pvoutput(reading.values, reading.taken_at)

    def failed(self, failure: Failure) -> None:
        """Nobody here wants to know."""

    def figures(self, identity: Identity, figures: LinkFigures) -> None:
        """Nobody here wants to know."""

    def post_remote(self, content: Mapping[str, Any]) -> None:
        remote = self._settings.remote_logging
        secret = {"Authorization": f"Bearer {remote.auth_header}"} if remote.auth_header else {}
        self._put(Post("remote logging", remote.url, cleaned(content), True, secret))

    def post_pvoutput(self, values: Mapping[str, Any], taken_at: float) -> None:
        """`values` with temperatures in °C."""
        account, body = self._settings.pvoutput, status(values, taken_at)
        if body is not None:
            secret = {"X-Pvoutput-Apikey": account.api_key, "X-Pvoutput-SystemId": account.system_id}
            self._put(Post("PVOutput", self._pvoutput_url, body, False, secret))

    def _put(self, post: Post) -> None:
        with self._lock:
            if len(self._queue) >= QUEUE:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(post)
            self._idle.clear()
        self.wake()

    def flush(self, timeout: float) -> str:
        """Wait until everything was posted. "" when it was, else why not."""
        if not self._idle.wait(timeout):
            return self.trouble or f"uploads did not end within {timeout:g} s"
        return self.trouble

    def stop(self, timeout: float = 5.0, last_words: bool = True) -> bool:
        if self.alive and not self.stopping:
            self._idle.wait(timeout / 2)
        return super().stop(timeout / 2) and not self._queue

    def step(self) -> float:
        with self._lock:
            if not self._queue:
                self._idle.set()
                return 60.0
            post = self._queue.popleft()
        try:
            self._deliver(post)
        except OutletError as error:
            self._say(post.outlet, str(error))
        else:
            if self._troubles.pop(post.outlet, ""):
                log.info("%s works again", post.outlet)
        return 0.0

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def _say(self, outlet: str, trouble: str) -> None:
        if self._troubles.get(outlet) != trouble:
            self._troubles[outlet] = trouble
            log.warning("%s", trouble)

    def _deliver(self, post: Post) -> None:
        """Raises `OutletError`; its text holds neither headers nor the path of the address, which may be secret."""
        import requests  # 7 MB that only users of these outlets pay

        if self._session is None:
            self._session = requests.Session()
        host = urlsplit(post.url).hostname or "(no host)"
        headers = dict(post.secret)
        body = post.body
        if post.as_json:
            headers["Content-Type"] = "application/json"
            body = json.dumps(post.body, ensure_ascii=False, allow_nan=False).encode()
        try:
            answer = self._session.post(post.url, data=body, headers=headers, timeout=TIMEOUTS)
        except requests.RequestException as error:
            raise OutletError(f"{post.outlet}: {host} {_fault(error)}") from None
        except UnicodeError:
            raise OutletError(f"{post.outlet}: url or password holds letters that HTTP cannot carry") from None
        if not answer.ok:
            raise OutletError(f"{post.outlet}: {host} answered {answer.status_code}{_remedy(answer.status_code)}")


def _fault(error: requests.RequestException) -> str:
    import requests

    match error:
        case requests.Timeout():
            return f"did not answer within {TIMEOUTS[1]:g} s"
        case requests.exceptions.SSLError():
            return "has no certificate this machine trusts"
        case requests.ConnectionError():
            return "is not reachable; check url and this machine's network"
        case requests.exceptions.InvalidHeader():
            return "was not asked: the password holds letters that HTTP cannot carry"
        case requests.TooManyRedirects() | ValueError():
            return "cannot be asked: url must look like https://example.com/post.php"
    return f"could not be asked ({type(error).__name__})"


def _remedy(code: int) -> str:
    if code in (401, 403):
        return " (not allowed); check auth_header, or api_key and system_id"
    if code == 404:
        return " (not found); check url"
    return " (its own fault); it will be tried with the next reading" if code >= 500 else ""
