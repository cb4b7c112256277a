"""JSON by HTTP POST to a server of the user's, one reading at a time and in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from renogybt.breaker import Breaker
from renogybt.reading import Reading
from renogybt.settings import Settings
from renogybt.sinks.answers import trouble, wait
from renogybt.sinks.carrier import host
from renogybt.sinks.document import cleaned, document, iso
from renogybt.sinks.outlet import Answer, Call, Record, Verdict

FAILURES, COOLDOWN = 5, 120.0
NAME = "remote_logging"
TAKEN_AT = "taken_at"
NEVER = {400: "bad request", 409: "conflict: it may have this one already", 413: "too large", 422: "not understood"}
"""Answers after which the same record would never be accepted."""
REMEDIES = {
    401: "does not let us in (401); check auth_header",
    403: "does not let us in (403); check auth_header",
    404: "does not know this address (404); check url",
    405: "takes no POST at this address (405); check url",
    410: "has given up this address (410); check url",
}


class RemoteOutlet:
    """The policy of [remote_logging]: the predecessors' JSON, with `taken_at` added because it may arrive late.

    Each post has a key (`Idempotency-Key`) made from its contents: the same record always has the same, also after a crash,
    so that a server can tell one that comes twice.
    """

    name, batch, exact = NAME, 1, False

    def __init__(self, settings: Settings) -> None:
        self._data, self._remote = settings.data, settings.remote_logging
        self._verify: str | bool = str(settings.path(self._remote.ca)) if self._remote.ca else True
        self.breaker = Breaker(FAILURES, COOLDOWN)

    def records(self, reading: Reading) -> list[tuple[float, str]]:
        content = document(reading, self._data.temperature_unit, self._data.fields)
        return [(reading.taken_at, self.body(content, reading.taken_at))]

    def body(self, content: Mapping[str, Any], taken_at: float) -> str:
        """`content` as JSON, with the time it is of."""
        return json.dumps({TAKEN_AT: iso(taken_at)} | cleaned(content), ensure_ascii=False, allow_nan=False)

    def compose(self, waiting: Sequence[Record], wall: float, mono: float) -> Call:
        record = waiting[0]
        headers = {
            "Content-Type": "application/json",
            "X-Taken-At": iso(record.taken_at),
            "Idempotency-Key": key_of(record),
        }
        if self._remote.auth_header:
            headers["Authorization"] = f"Bearer {self._remote.auth_header}"
        return Call("POST", self._remote.url, headers, record.body.encode(), (record,), self._verify)

    def judge(self, call: Call, answer: Answer, wall: float, mono: float) -> Verdict:
        numbers = tuple(record.number for record in call.records)
        status, where = answer.status, f"{self.name}: {host(call.url)}"
        if 200 <= status < 300:
            return Verdict(done=numbers)
        if status in NEVER:
            why = f"refused a record ({status}, {NEVER[status]}); records it refuses are given up"
            return Verdict(dropped=numbers, reason=f"{where} {why}")
        return Verdict((), (), f"{where} {trouble(answer, REMEDIES)}", *wait(answer, wall))


def key_of(record: Record) -> str:
    return hashlib.sha256(f"{record.outlet}\n{record.taken_at!r}\n{record.body}".encode()).hexdigest()[:32]
