"""What may be said of a device that is not read at present. Pure: the time is an argument (monotonic seconds)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from renogybt.reading import Failure, Identity, Reading, Stage, Standing
from renogybt.settings import Availability

STALE_PERIODS, OFFLINE_PERIODS = 1.5, 2.5
"""However short the limits, a device that is read in time never reaches them: its values are a period old then."""
UNSEEN = 90.0
"""Seconds of silence, but `OFFLINE_PERIODS` at least, after which values are stale although nobody reported a failure: more
than the longest cycle takes."""
PAUSE, LONGEST_PAUSE = 10.0, 60.0
"""Seconds between two words about the same stage: at least so many after a failed cycle, at most so many without one."""


@dataclass(slots=True)
class Entry:
    """One device. `stage` is what was last said of it, "" while it is read; `again`: a cycle has failed since then.

    `until`: it is lent out on purpose so long, and after that until somebody has tried to read it; None: it is not.
    """

    identity: Identity
    reading: Reading | None = None
    failed: bool = False
    until: float | None = None
    stage: Stage | None = None
    said_at: float = -inf
    again: bool = False


class Standings:
    """Follows every device from its last good reading to the next. `periods` are seconds between two readings, by uid.

    A limit of 0 is taken at its word as soon as a cycle has failed; apart from that, limits are as many periods long as
    the constants above say.
    """

    def __init__(self, availability: Availability, periods: Mapping[str, float]) -> None:
        self._limits, self._periods = availability, periods
        self._entries: dict[str, Entry] = {}

    def good(self, reading: Reading) -> None:
        """It was read, if in part: nothing more is to be said. An older reading than the last changes nothing."""
        entry = self._entry(reading.identity)
        if entry.reading is not None and reading.monotonic < entry.reading.monotonic:
            return
        entry.reading, entry.failed, entry.stage = reading, False, None
        self._tried(entry, reading.monotonic)

    def failed(self, failure: Failure) -> None:
        """It could not be read; of no account when it was read since."""
        entry = self._entry(failure.identity)
        if entry.reading is None or failure.monotonic >= entry.reading.monotonic:
            entry.failed = entry.again = True
            self._tried(entry, failure.monotonic)

    def released(self, identity: Identity, until: float) -> None:
        """Its module is lent out on purpose until then. A reading that was still under way does not change that."""
        self._entry(identity).until = until

    def resumed(self, identity: Identity) -> None:
        """It is to be read again from now on; the next attempt decides how it stands."""
        self._entry(identity).until = None

    def due(self, now: float) -> list[Standing]:
        """Those whose stage changed since the last call, and those of whose age there is news."""
        return [found for entry in self._entries.values() if (found := self._news(entry, now)) is not None]

    def _entry(self, identity: Identity) -> Entry:
        return self._entries.setdefault(identity.uid, Entry(identity))

    def _tried(self, entry: Entry, at: float) -> None:
        if entry.until is not None and at >= entry.until:
            entry.until = None

    def _news(self, entry: Entry, now: float) -> Standing | None:
        age = None if entry.reading is None else max(0.0, now - entry.reading.monotonic)
        stage = self._stage(entry, age)
        if stage is None:
            entry.stage = None
            return None
        if stage == entry.stage:
            aging = age is not None and stage in ("stale", "released")
            if not aging or now - entry.said_at < (PAUSE if entry.again else LONGEST_PAUSE):
                return None
        entry.stage, entry.said_at, entry.again = stage, now, False
        return Standing(entry.identity, stage, entry.reading, age)

    def _stage(self, entry: Entry, age: float | None) -> Stage | None:
        lent = entry.until is not None
        if age is None:
            return "released" if lent else "offline" if entry.failed else None
        period, known = self._periods.get(entry.identity.uid, 0.0), entry.failed or lent
        stale = limit(self._limits.stale_seconds, STALE_PERIODS * period, known)
        if age >= limit(self._limits.offline_seconds, OFFLINE_PERIODS * period, known):
            return "offline"
        if age >= stale:
            return "blank"
        if lent:
            return "released"
        return "stale" if known or age >= max(OFFLINE_PERIODS * period, UNSEEN) else None


def limit(seconds: float, least: float, known: bool) -> float:
    """The age that counts; `known`: that the device is not read at present is beyond doubt."""
    return 0.0 if known and not seconds else max(seconds, least)
