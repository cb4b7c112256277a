"""What happened to the machinery: something broke, or something was done about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import Literal

Kind = Literal[
    "bluetoothd",
    "adapter",
    "stop_discovery",
    "drop_bus",
    "power_cycle",
    "new_loop",
    "restart_service",
    "leave",
    "refused",
    "thread",
    "module",
    "release",
]
"""What it is about: the first two say what was noticed, the next six are the rungs of the ladder that the watchdog climbs,
`refused` is a reset that was one too many, `thread` a thread that was started anew, `module` a module's own trouble."""
Ask = Literal["", "hasten", "new_loop", "leave"]
"""What the main thread is asked for: try at once what waits for its next attempt, start a new radio thread, end."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Logged by whoever reports it, once; kept and counted in the health history. `at` is wall-clock seconds since 1970."""

    kind: Kind
    text: str
    asks: Ask = ""
    at: float = field(default_factory=time)
