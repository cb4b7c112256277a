"""The seam between the upload thread and what it delivers to.

An outlet is policy: it says which request comes next and what an answer means. It does no I/O and has no clock; the
thread in `upload` hands it both times, does the request and keeps the records until the outlet calls them done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from renogybt.breaker import Breaker
from renogybt.outbox.record import Record
from renogybt.reading import Reading

__all__ = ["Answer", "Call", "Outlet", "Record", "Verdict"]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `verify`: True, or the path of a file with the certificates to trust."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    records: tuple[Record, ...] = field(repr=False)
    verify: str | bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; header names in lower case, at most 64 KiB of text."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means.

    `done`: numbers delivered; `dropped`: numbers that will never be accepted; `reason`: one clear line for the log
    (fault, place, remedy), "" when all went well; `failed`: counts for the breaker; `pause`: seconds before the next
    call of this outlet (Retry-After, rate limit).
    """

    done: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    reason: str = ""
    failed: bool = False
    pause: float = 0.0


class Outlet(Protocol):
    """One receiving end. `batch`: how many waiting records `compose` wants to see.

    `exact`: records are marked `sent_once` on the disk before a call with them goes out, so that after a crash
    `compose` can ask the server first instead of delivering twice.
    """

    name: str
    breaker: Breaker
    batch: int
    exact: bool

    def records(self, reading: Reading) -> list[tuple[float, str]]:
        """(taken_at, body) of what is to be delivered for a reading."""
        ...

    def compose(self, waiting: Sequence[Record], wall: float, mono: float) -> Call | Verdict | float:
        """The next call for the oldest `waiting` records (never empty), or the seconds to wait before asking again.

        A verdict settles records without any call (PVOutput takes none that are too old); `compose` is then asked again.
        """
        ...

    def judge(self, call: Call, answer: Answer, wall: float, mono: float) -> Verdict:
        """What `answer` means. A call without any answer is not judged: it failed, and its records stay."""
        ...
