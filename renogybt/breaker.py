"""Leaves a dead server alone for a while, and then asks it once."""

from __future__ import annotations

LONGEST = 900.0


class Breaker:
    """A circuit breaker; every time is an argument, in monotonic seconds.

    closed: calls go out; `threshold` failures in a row open it. open: no calls for `cooldown` seconds. half-open: exactly
    one call goes out as a probe. Its success closes the breaker, its failure opens it again, each time for twice as long
    up to `longest` seconds. Belongs to one thread, and nothing is locked during a call.
    """

    def __init__(self, threshold: int, cooldown: float, longest: float = LONGEST) -> None:
        self.threshold, self.cooldown, self.longest = threshold, cooldown, max(longest, cooldown)
        self.failures = 0
        self._pause = cooldown
        self._open_until: float | None = None
        self._probing = False

    def state(self, now: float) -> str:
        """closed, open or half-open."""
        if self._open_until is None:
            return "closed"
        return "half-open" if self._probing or now >= self._open_until else "open"

    def wait(self, now: float) -> float:
        """Seconds until `allow` may say yes; 0 when it may now."""
        return 0.0 if self._open_until is None else min(self._pause, max(0.0, self._open_until - now))

    def allow(self, now: float) -> bool:
        """Whether a call may go out. Whoever hears yes reports `succeeded` or `failed` (or `abandoned`) afterwards."""
        if self._open_until is None:
            return True
        if self._probing or now < self._open_until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self.failures, self._pause = 0, self.cooldown
        self._open_until, self._probing = None, False

    def failed(self, now: float) -> bool:
        """Count a failed call. True when this one opened the breaker (for the first time since it was closed)."""
        self.failures += 1
        if self._open_until is not None:
            self._probing = False
            self._pause = min(self.longest, self._pause * 2)
            self._open_until = now + self._pause
            return False
        if self.failures < self.threshold:
            return False
        self._open_until = now + self._pause
        return True

    def abandoned(self) -> None:
        """The call that was allowed did not go out: the next one may probe in its place."""
        self._probing = False
