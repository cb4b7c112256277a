"""InfluxDB, versions 1 and 2, by its line protocol over HTTP."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from renogybt.breaker import Breaker
from renogybt.reading import Reading
from renogybt.settings import Influxdb, Settings
from renogybt.sinks.answers import trouble, wait
from renogybt.sinks.carrier import host
from renogybt.sinks.document import CLIENT, DEVICE, FUNCTION, document
from renogybt.sinks.outlet import Answer, Call, Record, Verdict

FAILURES, COOLDOWN = 5, 120.0
NAME = "influxdb"
MOST = 500
"""Lines in one request."""
REFUSED = (400, 413, 422)
LONGEST_TEXT = 200


def line(measurement: str, tags: Mapping[str, str], values: Mapping[str, Any], taken_at: float) -> str:
    """A point in line protocol, to the second; "" when there is no value in it.

    Every number goes as a float: InfluxDB keeps the type of the first one it sees and refuses the other kind ever after.
    Lists are joined by commas; what is None is left out.
    """
    fields = [f"{_name(key)}={text}" for key, value in values.items() if (text := _field(value))]
    if not fields:
        return ""
    named = "".join(f",{_name(key)}={_name(value)}" for key, value in tags.items() if value)
    return f"{_name(measurement, equals=False)}{named} {','.join(fields)} {math.floor(taken_at)}"


def _name(text: str, equals: bool = True) -> str:
    """A measurement, tag or field name. A backslash has no escape of its own there, and a line ends at a line break."""
    text = re.sub(r"[\r\n\t]", " ", text).replace("\\", "/")
    return re.sub(r"([, =])" if equals else r"([, ])", r"\\\1", text)


def _field(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(float(value)) if math.isfinite(value) else ""
        case str():
            clean = re.sub(r"[\r\n]", " ", value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{clean}"'
        case list() | tuple():
            return _field(",".join(map(str, value)))
    return ""


class InfluxOutlet:
    """The policy of [influxdb]: up to `MOST` lines in a request.

    A request refused for what is in it may hold one bad line among good ones. InfluxDB says "partial write" when it took
    the good ones; otherwise the lines go one by one until those at fault are found, and only they are given up.
    """

    name, batch, exact = NAME, MOST, False

    def __init__(self, settings: Settings) -> None:
        self._data, self._influx = settings.data, settings.influxdb
        self._verify: str | bool = str(settings.path(self._influx.ca)) if self._influx.ca else True
        self._url, self._headers = address(self._influx), headers(self._influx)
        self._singly = 0
        self.breaker = Breaker(FAILURES, COOLDOWN)

    def records(self, reading: Reading) -> list[tuple[float, str]]:
        values = document(reading, self._data.temperature_unit, self._data.fields)
        for key in (FUNCTION, DEVICE, CLIENT):
            values.pop(key, None)
        tags = {"device": reading.identity.uid, "alias": reading.identity.alias}
        text = line(self._influx.measurement, tags, values, reading.taken_at)
        return [(reading.taken_at, text)] if text else []

    def compose(self, waiting: Sequence[Record], wall: float, mono: float) -> Call:
        records = tuple(waiting[: 1 if self._singly else MOST])
        body = "\n".join(record.body for record in records).encode()
        return Call("POST", self._url, self._headers, body, records, self._verify)

    def judge(self, call: Call, answer: Answer, wall: float, mono: float) -> Verdict:
        numbers = tuple(record.number for record in call.records)
        if 200 <= answer.status < 300:
            self._singly = max(0, self._singly - 1)
            return Verdict(done=numbers)
        where = f"{self.name}: {host(call.url)}"
        if answer.status in REFUSED:
            return self._refused(numbers, answer, where)
        return Verdict((), (), f"{where} {trouble(answer, self._remedies())}", *wait(answer, wall))

    def _refused(self, numbers: tuple[int, ...], answer: Answer, where: str) -> Verdict:
        said = told(answer.text)
        if "partial write" in said.lower():
            self._singly = max(0, self._singly - 1)
            return Verdict(dropped=numbers, reason=f"{where} took only some of the values: {said}; the others are given up")
        if len(numbers) > 1:
            self._singly = len(numbers)
            return Verdict()
        self._singly = max(0, self._singly - 1)
        return Verdict(dropped=numbers, reason=f"{where} refused a reading ({answer.status}): {said}; it is given up")

    def _remedies(self) -> Mapping[int, str]:
        one = self._influx.version == "1"
        account = "user and password" if one else "token"
        place = "database" if one else "org and bucket"
        return {
            401: f"does not let us in (401); check {account}",
            403: f"does not let us write (403); check {account}, and its rights on {place}",
            404: f"does not know the {place} (404), or is not an InfluxDB of this version; check them, url and version",
        }


def address(influx: Influxdb) -> str:
    base = influx.url.rstrip("/")
    if influx.version == "1":
        return f"{base}/write?{urlencode({'db': influx.database, 'precision': 's'})}"
    return f"{base}/api/v2/write?{urlencode({'org': influx.org, 'bucket': influx.bucket, 'precision': 's'})}"


def headers(influx: Influxdb) -> dict[str, str]:
    found = {"Content-Type": "text/plain; charset=utf-8"}
    if influx.version == "2" and influx.token:
        found["Authorization"] = f"Token {influx.token}"
    elif influx.version == "1" and influx.user:
        pair = base64.b64encode(f"{influx.user}:{influx.password}".encode()).decode()
        found["Authorization"] = f"Basic {pair}"
    return found


def told(text: str) -> str:
    """The reason in InfluxDB's answer, fit for one line of a log."""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict):
        text = str(content.get("message") or content.get("error") or text)
    return " ".join(text.split())[:LONGEST_TEXT] or "no reason given"
