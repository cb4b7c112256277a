"""A status: values for one moment, as they wait in the outbox and as PVOutput wants them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from renogybt.sinks.pvoutput.values import DECIMALS, NEEDED, PARAMETERS

Slot = tuple[str, str]
"""Local date and time at which a status interval begins: YYYYMMDD, HH:MM."""
REMEMBERED_HOURS = 8
"""How long a slot counts as done: more than the hour that a summer ends with and than a clock is usually set by."""
NIGHT = ("23:00", "01:00")
"""Local times between which PVOutput refuses energy from the sun ("Moon Powered")."""


def moment(at: float, zone: tzinfo | None) -> datetime:
    """Local time of wall-clock second `at`; the machine's own zone for None."""
    return datetime.fromtimestamp(at, zone)


def slot(at: float, interval: int, zone: tzinfo | None) -> Slot:
    """(d, t) of the status interval, in minutes from local midnight on, that wall-clock second `at` falls into."""
    local = moment(at, zone)
    minutes = (local.hour * 60 + local.minute) // interval * interval
    return f"{local:%Y%m%d}", f"{minutes // 60:02d}:{minutes % 60:02d}"


class Slots:
    """Which slots have their status already.

    The first reading inside a slot gives its status, at once and with the slot's own time. So what is live appears within
    the interval, nothing waits in memory for the slot's end, a poll interval longer than the status interval still gives
    one status per reading, and the counters are those at the slot's beginning. Later readings of the same slot give none;
    neither does the second pass through the hour that is repeated when summer time ends (PVOutput knows local times only,
    a status of 02:00 would overwrite the other one), nor a clock that was set back.
    """

    def __init__(self, interval: int) -> None:
        self._most = REMEMBERED_HOURS * 60 // interval + 1
        self._made: dict[int, None] = {}

    def take(self, d: str, t: str) -> bool:
        """Whether this slot is still free; from now on it is not."""
        number = int(d) * 10000 + int(t.replace(":", ""))
        if number in self._made:
            return False
        self._made[number] = None
        if len(self._made) > self._most:
            del self._made[next(iter(self._made))]
        return True


@dataclass(frozen=True, slots=True)
class Status:
    """A status as it waits in the outbox. `first`: the first of a run, whose slot an earlier run may have sent."""

    d: str
    t: str
    values: Mapping[str, int | float] = field(default_factory=dict)
    first: bool = False

    @property
    def slot(self) -> Slot:
        return self.d, self.t

    @property
    def flag(self) -> int:
        """PVOutput's cumulative flag c1; 0 when every energy is the day's own."""
        return int(self.values.get("c1", 0))

    def text(self) -> str:
        first = {"first": 1} if self.first else {}
        return json.dumps({"d": self.d, "t": self.t, **self.values, **first}, separators=(",", ":"))

    @property
    def by_night(self) -> bool:
        """Whether it claims generation at a time when PVOutput refuses it."""
        inside = self.t >= NIGHT[0] or self.t < NIGHT[1]
        return inside and any(self.values.get(name) for name in ("v1", "v2"))

    def parameters(self, sunless: bool) -> dict[str, str]:
        """What is sent, v1 to v12 in order; with `sunless` no generation by night. Empty when nothing needed is left."""
        hidden = ("v1", "v2") if sunless and self.by_night else ()
        shown = {name: _digits(self.values[name]) for name in PARAMETERS if name in self.values and name not in hidden}
        return shown if shown.keys() & NEEDED else {}

    def row(self, sunless: bool) -> str:
        """Its line in a batch: `d,t,v1,v2,...`, left out values empty."""
        shown = self.parameters(sunless)
        return ",".join([self.d, self.t, *(shown.get(name, "") for name in PARAMETERS)]).rstrip(",")

    def older_than(self, days: int, today: date) -> bool:
        return today - datetime.strptime(self.d, "%Y%m%d").date() > timedelta(days=days)


def parsed(text: str) -> Status | None:
    """The status in the body of a record, None for anything that is none."""
    try:
        content = json.loads(text)
        d, t, first = str(content.pop("d")), str(content.pop("t")), bool(content.pop("first", 0))
        datetime.strptime(f"{d} {t}", "%Y%m%d %H:%M")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in content.values()):
        return None
    return Status(d, t, content, first)


def _digits(value: int | float) -> str:
    return f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
