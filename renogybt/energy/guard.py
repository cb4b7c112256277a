"""One guard for every counter, ours or a device's: nothing but plausible growth passes unconfirmed.

A single wrong reading of a counter spoils the statistics of a year, because receivers take a fall for a new beginning and
count everything after it once more. So a dip, a zero or an impossible jump is held back: the last good value stays in force.
It was read and was true, and a counter is never less than it once was; nothing is made up. What three readings in a row
agree upon becomes the new truth. Pure policy: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from renogybt.protocol.codec import Number
from renogybt.protocol.quantity import INCREASING
from renogybt.protocol.table import Derived, Family, Field, Row

LASTING = 3
"""Readings in a row that must agree before a counter is believed elsewhere."""
NEW_DAY = 2
"""The same for a day's counter that fell below a tenth: the device's day has turned, which happens every day."""
FALLEN = 0.1
DAY = 86400.0
LEAST_POWER = 600.0
"""W; a device is thought able of this before anything was seen of it."""


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much a counter may grow: `slack` at any time, `hourly` per hour, `by_power` per hour and W of the device."""

    slack: float
    hourly: float = 0.0
    by_power: float = 0.0

    def most(self, hours: float, power: float) -> float:
        return self.slack + (self.hourly + self.by_power * power) * hours


GROWTH = {
    "Wh": Growth(50, by_power=1.5),
    "kWh": Growth(0.05, by_power=0.0015),
    "Ah": Growth(5, 200),
    "d": Growth(2, 1 / 24),
    "": Growth(10, 10),
}
"""By unit; "" are plain counts."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one counter moves. `daily`: it falls once a day; `ours`: the bridge counts it; `span`: where it wraps, 0 never."""

    key: str
    growth: Growth
    daily: bool = False
    ours: bool = False
    span: float = 0.0


class Moment(NamedTuple):
    """When a value was read: monotonic and wall-clock seconds, and the local day (for what the bridge counts)."""

    at: float
    wall: float
    day: date | None = None


class Admitted(NamedTuple):
    """What to publish. `held`: the value read was not believed; `rebased`: it is believed now, against the last good one."""

    value: float
    held: bool = False
    rebased: bool = False


def rules_of(family: Family) -> tuple[Rule, ...]:
    """A rule for every counter of the table: every row that Home Assistant is told only increases."""
    return tuple(rule_of(row) for row in family.rows() if row.quantity.state_class == INCREASING)


def rule_of(row: Row) -> Rule:
    """Raises `KeyError` for a unit that `GROWTH` does not know."""
    codec = row.codec if isinstance(row, Field) else None
    span = (1 << 8 * codec.size) / codec.per if isinstance(codec, Number) and not codec.signed else 0.0
    ours = isinstance(row, Derived) and row.compute is None
    return Rule(row.key, GROWTH[row.quantity.unit], "today" in row.key.split("_"), ours, span)


def powers_of(family: Family) -> tuple[str, ...]:
    """The keys that tell how much power the device can move."""
    return tuple(row.key for row in family.rows() if row.quantity.unit == "W")


@dataclass(slots=True)
class Seen:
    """A value and when it was read; `at` is None when another run of the program read it."""

    value: float
    wall: float
    at: float | None = None
    day: date | None = None

    def hours_until(self, now: Moment) -> float:
        """Hours since; never negative, whatever the clock did between two runs."""
        return max(0.0, now.wall - self.wall if self.at is None else now.at - self.at) / 3600


@dataclass(slots=True)
class Counter:
    """The last good value, and the one that waits to be confirmed by more like it (`agreed` so far)."""

    good: Seen
    waiting: Seen | None = None
    agreed: int = 0


class Guard:
    """The counters of one device. `changed`: there is something new to remember about the device's own counters."""

    def __init__(self) -> None:
        self.power = LEAST_POWER
        self.changed = False
        self._counters: dict[str, Counter] = {}
        self._kept: dict[str, None] = {}

    def saw_power(self, watts: float) -> None:
        """The device moved `watts`, in whichever direction."""
        if abs(watts) > self.power:
            self.power, self.changed = abs(watts), True

    def admit(self, rule: Rule, value: float, now: Moment) -> Admitted:
        """What to publish for a counter that reads `value`."""
        seen = Seen(value, now.wall, now.at, now.day)
        counter = self._counters.get(rule.key)
        if not rule.ours:
            self._kept[rule.key] = None
            self.changed = self.changed or counter is None or counter.good.value != value or counter.waiting is not None
        if counter is None:
            self._counters[rule.key] = Counter(seen)
            return Admitted(value)
        if self._grown(rule, counter.good, seen, now) or turned(rule, counter.good, seen, now):
            counter.good, counter.waiting, counter.agreed = seen, None, 0
            return Admitted(value)
        agrees = counter.waiting is not None and self._grown(rule, counter.waiting, seen, now)
        counter.waiting, counter.agreed = seen, counter.agreed + 1 if agrees else 1
        fallen = rule.daily and not rule.ours and value < counter.good.value * FALLEN
        if counter.agreed < (NEW_DAY if fallen else LASTING):
            return Admitted(counter.good.value, held=True)
        counter.good, counter.waiting, counter.agreed = seen, None, 0
        return Admitted(value, rebased=not fallen)

    def _grown(self, rule: Rule, before: Seen, seen: Seen, now: Moment) -> bool:
        """Whether the step is one the counter can take, past its last digit included."""
        most = before.value + rule.growth.most(before.hours_until(now), self.power)
        return before.value <= seen.value <= most or (0 < rule.span <= most and seen.value + rule.span <= most)

    def state(self) -> dict[str, Any]:
        """What to remember over a restart, as JSON has it; empty when there is nothing. What we count remembers itself."""
        if not self._kept and self.power == LEAST_POWER:
            return {}
        counters: dict[str, list[float]] = {}
        for key in self._kept:
            counter = self._counters[key]
            counters[key] = [counter.good.value, round(counter.good.wall)]
            if counter.waiting:
                counters[key] += [counter.waiting.value, round(counter.waiting.wall), counter.agreed]
        return {"most_power": self.power, "counters": counters}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state()` gave in an earlier run; what is not of that form is passed over."""
        power, counters = state.get("most_power"), state.get("counters")
        if numbers(power):
            self.power = max(self.power, power or 0.0)
        for key, kept in counters.items() if isinstance(counters, dict) else ():
            if not isinstance(kept, list) or len(kept) not in (2, 5) or not numbers(*kept):
                continue
            self._kept[key] = None
            self._counters[key] = Counter(Seen(kept[0], kept[1]))
            if len(kept) == 5:
                self._counters[key].waiting, self._counters[key].agreed = Seen(kept[2], kept[3]), int(kept[4])


def turned(rule: Rule, before: Seen, seen: Seen, now: Moment) -> bool:
    """Whether a day's counter may have begun anew.

    Ours when the local day is another one. A device's day turns when it likes, so its counter may be lower after a whole day
    without a look at it, and otherwise when further readings confirm it.
    """
    if not rule.daily or seen.value > before.value:
        return False
    return before.day != now.day if rule.ours else before.hours_until(now) * 3600 >= DAY


def numbers(*found: Any) -> bool:
    return all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e15 for n in found)
