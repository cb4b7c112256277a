"""The days that charge controllers keep themselves: read in the background, after start and then daily, for the history."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from renogybt.errors import RenogyError
from renogybt.reading import Reading
from renogybt.sources.module import Section

log = logging.getLogger(__name__)
RETRY = 3600.0
NOON = 12
"""By then every controller has begun the day that this machine calls today: some begin theirs at sunrise."""
Submit = Callable[[Callable[[Any], Awaitable[Any]], Callable[[Any], None]], None]


class Past:
    """Asks right after a good reading, when the controller is there and its next turn is farthest away.

    `submit(task, report)` lets the radio thread do a task, `deliver` takes what was read. Lives in the main thread.
    """

    def __init__(
        self,
        sections: Iterable[Section],
        submit: Submit,
        deliver: Callable[[Reading], None],
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._sections = {section.device.section: section for section in sections if section.has_past}
        self._due = dict.fromkeys(self._sections, float("-inf"))
        self._submit, self._deliver, self._monotonic, self._wall = submit, deliver, monotonic, wall

    def seen(self, name: str) -> None:
        """A device of the section `name` was just read."""
        if name in self._due and self._monotonic() >= self._due[name]:
            self._due[name] = self._monotonic() + RETRY
            self._submit(self._sections[name].read_past, partial(self._take, name))

    def _take(self, name: str, outcome: list[Reading] | RenogyError) -> None:
        if isinstance(outcome, RenogyError):
            alias = self._sections[name].device.alias
            log.info("%s: its records of former days were not read (%s); next try in an hour", alias, outcome)
            return
        self._due[name] = self._monotonic() + until_noon(self._wall())
        for reading in outcome:
            self._deliver(reading)


def until_noon(wall: float) -> float:
    """Seconds from `wall` to the next noon on this machine's clock."""
    now = datetime.fromtimestamp(wall)
    noon = now.replace(hour=NOON, minute=0, second=0, microsecond=0)
    return (noon if now < noon else noon + timedelta(days=1)).timestamp() - wall
