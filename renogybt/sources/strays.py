"""Answers that may belong to another question.

A Modbus answer says who speaks and how many bytes follow, but not which register they are from. One that comes too late, or
twice, can so pass for the answer to the next question, if that asks for as many words: cells and temperatures of a battery,
the days of a controller. A new connection does not help, because the line behind the module knows nothing of it.
"""

from __future__ import annotations

from collections import deque

from renogybt.protocol.modbus import EXCEPTION, Request

LATE = 15.0
"""Seconds for which an answer that did not come in time may still come."""
MOST = 4
"""Answers that may be under way at once; a slow device is asked no faster than that."""


class Strays:
    """For one unit: `missed` and `taken` tell what became of each question, `needed` how sure an answer is.

    Pure: the time is an argument, in monotonic seconds.
    """

    def __init__(self) -> None:
        self._owed: deque[tuple[float, Request]] = deque(maxlen=MOST)
        self._last: tuple[Request, bytes] | None = None

    def missed(self, request: Request, now: float) -> None:
        """Its answer did not come in time."""
        self._owed.append((now + LATE, request))

    def taken(self, request: Request, frame: bytes) -> None:
        """This was its answer."""
        self._last = (request, frame)

    def needed(self, request: Request, frame: bytes, now: float) -> int:
        """How often in a row the answer must come to be believed: more often than others of its kind are under way."""
        while self._owed and self._owed[0][0] <= now:
            self._owed.popleft()
        under_way = sum(alike(request, other, frame) for _, other in self._owed)
        if not under_way and self._last is not None and self._last[1] == frame:
            under_way = alike(request, self._last[0], frame)  # perhaps the one before once more
        return 1 + under_way


def alike(request: Request, other: Request, frame: bytes) -> bool:
    """Whether `frame`, an answer to `request`, may just as well be one to `other`. Refusals all look the same."""
    if (request.register, request.words) == (other.register, other.words):
        return False
    return bool(frame[1] & EXCEPTION) or request.answer_size == other.answer_size
