"""Which fault comes when. Pure: the same seed gives the same list, whatever the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

FIRST = 5.0
"""Seconds of peace before the first fault."""
LAST = 25.0
"""Seconds before the end from which on nothing new begins, so that there is something to recover in."""
BETWEEN = 1.0
"""Seconds at least between the end of one fault and the next: two at once would be one of a third kind."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault as far as chance is concerned.

    It lasts from `shortest` to `longest` seconds. `targets`: whom it can hit. `details`: what it can be like.
    """

    name: str
    shortest: float = 0.0
    longest: float = 0.0
    targets: tuple[str, ...] = ("",)
    details: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Event:
    """One fault. `at`: seconds after the start of the soak; `number` from 1 to 3, for faults that come several times."""

    at: float
    kind: str
    seconds: float
    target: str
    detail: str
    number: int

    @property
    def end(self) -> float:
        return self.at + self.seconds

    def __str__(self) -> str:
        more = " ".join(part for part in (self.target, self.detail, f"x{self.number}" if self.number > 1 else "") if part)
        return f"{self.at:7.1f} s  {self.kind} for {self.seconds:.1f} s{f'  ({more})' if more else ''}"


def plan(seed: int, seconds: float, kinds: Sequence[Kind], every: float = 30.0) -> list[Event]:
    """Faults over `seconds`, one each `every` seconds on average; every kind comes before one comes twice."""
    dice = Random(seed)
    deck: list[Kind] = []
    events: list[Event] = []
    drawn, free = FIRST, FIRST
    while True:
        at = max(drawn, free)
        if not deck:
            deck = dice.sample(list(kinds), len(kinds))
        kind = deck.pop()
        event = Event(
            round(at, 2),
            kind.name,
            round(dice.uniform(kind.shortest, kind.longest), 2),
            dice.choice(kind.targets),
            dice.choice(kind.details),
            dice.randint(1, 3),
        )
        if event.end > seconds - LAST:
            return events
        events.append(event)
        drawn, free = drawn + dice.expovariate(1 / every), event.end + BETWEEN
