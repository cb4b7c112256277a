"""Who looks for a device, and how long a scan goes on for them. Pure but for the futures that take the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bleak.backends.device import BLEDevice

from renogybt.errors import LinkError


@dataclass(eq=False)
class Wanted:
    """Somebody looks for a device; `budget` seconds of scanning are left for it. `since`: the present scan serves it since
    then. `searched`: some scan did.
    """

    matches: Callable[[BLEDevice], bool]
    budget: float
    since: float | None = None
    searched: bool = False
    found: asyncio.Future[BLEDevice | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def left(self, now: float) -> float:
        return self.budget - (now - self.since if self.since is not None else 0.0)


class Searches:
    def __init__(self) -> None:
        self._wanted: list[Wanted] = []

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def add(self, wanted: Wanted) -> None:
        self._wanted.append(wanted)

    def remove(self, wanted: Wanted) -> None:
        if wanted in self._wanted:
            self._wanted.remove(wanted)

    @property
    def missing(self) -> list[Wanted]:
        return [wanted for wanted in self._wanted if not wanted.found.done()]

    @property
    def found_some(self) -> bool:
        """Whether somebody got an answer and has not fetched it yet."""
        return any(wanted.found.done() for wanted in self._wanted)

    def join(self, now: float) -> None:
        """A scan is running: it serves everybody who is there by now."""
        for wanted in self._wanted:
            if wanted.since is None:
                wanted.since, wanted.searched = now, True

    def leave(self, now: float) -> None:
        """The scan is over: count it, and answer those for whom there is no more of it. Those with an answer are done."""
        for wanted in self.missing:
            wanted.budget, wanted.since = wanted.left(now), None
        self.answer_used_up(now)
        self._wanted = self.missing

    def exhausted(self, now: float) -> bool:
        """Whether a scan that was not to last longer has run to its end."""
        return any(now - (wanted.since or now) >= 0.8 * wanted.budget for wanted in self.missing)

    def answer_used_up(self, now: float) -> None:
        for wanted in self.missing:
            if wanted.left(now) <= 0.01:
                wanted.found.set_result(None)

    def give_up(self, error: LinkError) -> None:
        for wanted in self.missing:
            wanted.found.set_exception(error)
        self._wanted = []

    def hear(self, device: BLEDevice) -> bool:
        """Whether somebody looked for this device, and has it now."""
        hits = [wanted for wanted in self._wanted if not wanted.found.done() and wanted.matches(device)]
        for wanted in hits:
            wanted.found.set_result(device)
        return bool(hits)
