"""How often the adapter may be reset, and how far the ladder of remedies was climbed.

Created once per program and handed to each new radio thread, which has to go on where the one before it stopped. All times
are monotonic seconds, and the caller's.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from msgspec import Struct, field

HOUR = 3600.0


class Memory(Struct):
    """How far the ladder was climbed: `rung` tried last ("" none), at time `at`, for which `family` of troubles.

    `rounds`: how often the whole ladder was climbed in vain. `said`: what was told to the user and still holds, so that it
    is told once. `addresses`: of adapters, by name, and `renamed`: what an adapter is called now, by the name it had.
    """

    rung: Literal["", "stop_discovery", "drop_bus", "power_cycle", "new_loop", "restart_service", "leave"] = ""
    family: str = ""
    at: float = 0.0
    rounds: int = 0
    said: set[str] = field(default_factory=set)
    addresses: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


class Resets:
    """At most `per_hour` resets in any sixty minutes. Attempts count, whether or not they help.

    `count`: resets taken since the program started. `taken`: how many of each kind.
    """

    def __init__(self, per_hour: int) -> None:
        self.per_hour = per_hour
        self.count = 0
        self.taken: dict[str, int] = {}
        self.memory = Memory()
        self._recent: deque[tuple[float, str]] = deque()
        self._taken_at = float("-inf")
        self._refused_at: float | None = None

    def allowed(self, now: float) -> bool:
        """Whether one more may be taken."""
        self._forget(now)
        return len(self._recent) < self.per_hour

    def take(self, now: float, kind: str = "") -> bool:
        """Count one, before it is done. False: it must not be done."""
        if not self.allowed(now):
            if self._refused_at is None and self.per_hour:
                self._refused_at = now
            return False
        self._recent.append((now, kind))
        self._taken_at = now
        self.count += 1
        self.taken[kind] = self.taken.get(kind, 0) + 1
        return True

    def recent(self, now: float, kind: str) -> int:
        """How many of this kind were taken within the last hour."""
        self._forget(now)
        return sum(1 for _, other in self._recent if other == kind)

    def exhausted_since(self, now: float) -> float | None:
        """When a reset was refused first since everything was well; None when none was, or when resets are switched off.

        An hour after the last attempt it is over, too. Safe to ask from another thread.
        """
        if self._refused_at is None or now - self._taken_at >= HOUR:
            return None
        return self._refused_at

    def calm(self) -> None:
        """All is well again: the next trouble starts at the lowest rung."""
        self._refused_at = None
        self.memory.rung, self.memory.family, self.memory.rounds = "", "", 0

    def _forget(self, now: float) -> None:
        while self._recent and now - self._recent[0][0] >= HOUR:
            self._recent.popleft()
