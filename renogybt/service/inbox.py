"""What other threads put into the main thread's queue, besides readings, incidents and commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ended:
    """The cycle of a section is over; `thread` tells which radio thread it ran in."""

    section: str
    thread: int
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a submitted task, for the one who asked."""

    report: Callable[[Any], None]
    result: Any


class Stop:
    """Put into the inbox to end the main loop."""
