"""What the broker is known to have received. Pure."""

from __future__ import annotations

from itertools import count

from renogybt.sinks.outbox import Message


class Proof:
    """Nobody confirms a message of quality 0; but a confirmation of a later one proves that it has arrived, because they
    travel in order. Until then it may have gone into a connection of which the other end was no longer there.
    """

    def __init__(self) -> None:
        self._order = count(1)
        self._awaited: dict[int, int] = {}
        self._doubtful: dict[str, int] = {}

    def handed(self, number: int, message: Message) -> None:
        """The connection took `message` and gave it this number."""
        if message.qos:
            self._awaited[number] = next(self._order)
        else:
            self._doubtful[message.topic] = next(self._order)

    def confirmed(self, number: int) -> None:
        order = self._awaited.pop(number, 0)
        self._doubtful = {topic: at for topic, at in self._doubtful.items() if at > order}

    def broken(self) -> list[str]:
        """The connection has ended. The topics whose last message may have been lost; a new connection starts afresh."""
        topics = list(self._doubtful)
        self._awaited.clear()
        self._doubtful.clear()
        return topics
