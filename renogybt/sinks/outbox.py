"""What waits to be published: the latest message of each topic, and when it may go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Message(NamedTuple):
    """Something to publish; an empty retained payload removes what the broker keeps on that topic.

    `taken_at`, wall clock seconds, is set where a reading must not get lost ([mqtt] replay): who drops it sees to that.
    """

    topic: str
    payload: str
    qos: int = 0
    retain: bool = False
    taken_at: float = 0.0


class Outbox:
    """Holds at most one message per topic, the newest, and lets a topic speak once in `spacing` seconds.

    Pure: `now` is any clock that does not go back (seconds). Messages leave in the order in which their topics came.
    """

    def __init__(self, spacing: float = 1.0) -> None:
        self.spacing = spacing
        self._waiting: dict[str, Message] = {}
        self._spoke: dict[str, float] = {}

    def put(self, message: Message) -> Message | None:
        """`message` takes the place of the one that waits for this topic, if any; that one is returned."""
        displaced = self._waiting.get(message.topic)
        self._waiting[message.topic] = message
        return displaced

    def lead(self, messages: Iterable[Message]) -> None:
        """As `put`, but these go before everything that waits."""
        first = {message.topic: message for message in messages}
        self._waiting = first | {topic: message for topic, message in self._waiting.items() if topic not in first}

    def restore(self, message: Message) -> None:
        """`message` was taken out but did not go; it may go again at once, unless a newer one waits."""
        self._waiting.setdefault(message.topic, message)
        self._spoke.pop(message.topic, None)

    def due(self, now: float, hurry: bool = False) -> list[Message]:
        """Takes out what may go now; with `hurry` everything."""
        self._spoke = {topic: at for topic, at in self._spoke.items() if now - at < self.spacing}
        taken = [message for topic, message in self._waiting.items() if hurry or topic not in self._spoke]
        for message in taken:
            del self._waiting[message.topic]
            self._spoke[message.topic] = now
        return taken

    def next_due(self, now: float) -> float | None:
        """Seconds until something may go: 0 for at once, None when nothing waits."""
        waits = [self._spoke.get(topic, now - self.spacing) + self.spacing - now for topic in self._waiting]
        return max(0.0, min(waits)) if waits else None

    def clear(self) -> list[Message]:
        """Takes out everything that waits, without counting it as sent."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken

    def holds_any(self, topics: Iterable[str]) -> bool:
        return any(topic in self._waiting for topic in topics)

    def __len__(self) -> int:
        return len(self._waiting)
