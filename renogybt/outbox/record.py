"""One thing to deliver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """`body` for the outlet called `outlet`.

    `number` is the order of arrival, unique, 0 while not yet accepted; `taken_at` wall clock seconds of the reading;
    `body` text that the outlet understands. `sent_once`: an earlier attempt may have arrived, because the program died,
    or the answer was lost, before it was noted. Only outlets that ask for it (`Outlet.exact`) get it.
    """

    number: int
    outlet: str
    taken_at: float
    body: str
    sent_once: bool = False
