"""On what terms a module is lent: its time in a cycle, how often connecting failed, until when others have it. No clock."""

from __future__ import annotations

from renogybt.ble.budget import FEWEST, Plan, budget
from renogybt.errors import ConnectFailed, LinkError, NoTime, Released


class Terms:
    """`label` names the module in messages.

    `connect_until`: until when connections may come about in this cycle, `ends`: when nothing more is asked in it (seconds
    of the event loop). `released_until`: until when the module is free for others (monotonic seconds). `failures`: attempts
    in a row in which no connection came about.
    """

    def __init__(self, label: str, plan: Plan) -> None:
        self.connect_until = self.ends = self.released_until = 0.0
        self.failures = 0
        self._label, self._plan = label, plan

    def begin(self, began: float) -> None:
        """A new cycle, which began at that moment (seconds of the event loop): it has to end in time."""
        self.connect_until = began + self._plan.cycle(self.failures)
        self.ends = began + self._plan.longest

    def refuse_if_released(self, now: float) -> None:
        """Raises `Released` while it is lent to somebody else; `now` in monotonic seconds."""
        left = self.released_until - now
        if left > 0:
            minutes = max(1, round(left / 60))
            text = f"{self._label} is free for the phone app; the bridge comes back in {minutes} min"
            raise Released(text, self.released_until)

    @property
    def limit(self) -> float:
        """Seconds for all attempts of this opening together."""
        return budget(self.failures, self._plan.fixed)

    def share(self, limit: float, now: float, before: LinkError | None = None) -> float:
        """Seconds for the next attempt, if `limit` of them are left.

        Raises `NoTime` when that is too little to begin one, or rather the error of the attempt `before`.
        """
        left = min(limit, self.connect_until - now)
        if left < min(FEWEST, limit):
            raise before or NoTime(f"no time left in this cycle to connect to {self._label}; the next one starts afresh")
        return left

    def failed(self, error: LinkError) -> None:
        """No connection came about."""
        if isinstance(error, ConnectFailed) and not isinstance(error, NoTime):
            self.failures += 1

    def opened(self) -> None:
        self.failures = 0
