"""What waits for every outlet, in memory first and on the disk when it has to wait longer.

A record that is delivered within `flush_seconds` never touches the disk. Everything else (new records, marks, deletions) is
written together, in one transaction per `flush_seconds` at most, sooner only when much has gathered or the caller says so.

Exactly once, for outlets that ask for it. Before a call leaves, its records are committed with `sent_once` set. So after a
crash, whenever it came:
- a record without the mark on the disk, or not on the disk at all, was never sent: it is sent, or was lost before it was
  acknowledged as stored;
- a record with the mark may have arrived. It is handed out with `sent_once` set, and the outlet asks the server before it
  sends anything. The mark stays until the record is deleted, and it is deleted only after the server's own word, so every
  moment between sending and deleting falls under this case.
That is exactly once as far as the server answers truthfully. One exception: when the disk cannot be written, a mark cannot
be made; delivery goes on all the same, and a crash during that time may send a record of the disk a second time.
For the other outlets the order is the same without marks: after a crash some are delivered again, with the same key.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from math import inf
from pathlib import Path
from typing import TypeVar

from renogybt.outbox.file import Broken, File, Given, NoDisk
from renogybt.outbox.queue import WINDOW, Queue
from renogybt.outbox.record import Record

log = logging.getLogger(__name__)
T = TypeVar("T")

SPILL = 100_000
"""Letters of text in memory that are reason enough to write before the time."""
MEMORY = 16_000_000
"""The most that is held in memory while the disk cannot be written."""
GONE = 500
"""Deletions that are reason enough to write before the time: so many records at most come twice after a crash."""


class Store:
    """Belongs to one thread. `now` is monotonic, `wall` the wall clock, both in seconds.

    Nothing here raises because of the disk: `trouble` says what is wrong with it, and memory has to do until it is mended.
    `dropped` counts, by outlet, what was given up for want of room or because of its age.
    """

    def __init__(self, path: Path, *, max_age: float, max_bytes: int, flush_seconds: float) -> None:
        self.path = path
        self._file = File(path, max_bytes)
        self._max_age, self._pace = max_age, flush_seconds
        self._queues: dict[str, Queue] = {}
        self._next = 1
        self._letters = 0
        self._marks: set[int] = set()
        self._gone: set[int] = set()
        self._gone_since: float | None = None
        self._last_write = -inf
        self._retry_at = -inf
        self._known = False
        self._said_dropping = False
        self.trouble = ""
        self.commits = 0
        self.dropped: Counter[str] = Counter()

    def open(self, now: float) -> None:
        """See what an earlier run left. Makes no file where there is none."""
        self._file.load()
        if self._file.exists:
            self._opened(now)

    def accept(self, outlet: str, taken_at: float, body: str, now: float) -> None:
        """Take a record; in memory at first."""
        record = Record(self._next, outlet, taken_at, body)
        self._next += 1
        self._queue(outlet).fresh[record.number] = record, now
        self._letters += len(body)
        while self._letters > MEMORY:
            self._forget_oldest()

    def waiting(self, outlet: str, most: int, now: float) -> list[Record]:
        """The next records to deliver, in order of arrival; at most `most`, and at most `WINDOW`."""
        queue, most = self._queue(outlet), min(most, WINDOW)
        queue.reach = max(queue.reach, most)
        if queue.short_of(most) and self._opened(now):
            asked = queue.reach - len(queue.window)
            found = self._safely(lambda: self._file.read(outlet, queue.read_to, asked), now)
            if found is not None:
                queue.loaded(found, asked)
        return queue.first(most, only_memory=not self._file.is_open)

    def count(self, outlet: str) -> int:
        return len(self._queue(outlet))

    @property
    def total(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def unsaved(self) -> int:
        """Records that only memory holds."""
        return sum(len(queue.fresh) for queue in self._queues.values())

    def remove(self, outlet: str, numbers: Iterable[int], now: float) -> None:
        """These are delivered, or given up by the outlet."""
        queue = self._queue(outlet)
        for number in numbers:
            on_disk, record = queue.remove(number)
            if record is None:
                continue
            if on_disk:
                self._gone.add(number)
                self._marks.discard(number)
                self._gone_since = now if self._gone_since is None else self._gone_since
            else:
                self._letters -= len(record.body)

    def mark(self, outlet: str, numbers: Iterable[int]) -> bool:
        """These are about to be sent. True when the disk does not know it yet: commit before sending."""
        queue = self._queue(outlet)
        news = False
        for number in numbers:
            if queue.mark(number, True) and number not in queue.marked:
                self._marks.add(number)
            news = news or number not in queue.marked
        return news

    def unmark(self, records: Iterable[Record]) -> None:
        """The call with these cannot have arrived: as they were before. The disk keeps its mark, to be safe."""
        for record in records:
            self._queue(record.outlet).mark(record.number, record.sent_once)

    def may_mark(self, record: Record, now: float) -> float:
        """Seconds until marking `record`, which takes a transaction unless it is marked already, is within the pace."""
        if record.number in self._queue(record.outlet).marked:
            return 0.0
        return max(0.0, self._last_write + self._pace - now)

    def due(self, now: float) -> float:
        """Seconds until there is something to write; infinite when there is nothing."""
        ages = [queue.oldest for queue in self._queues.values()]
        since = [age for age in (*ages, self._gone_since) if age is not None]
        if not since:
            return inf
        if self._letters > SPILL or len(self._gone) >= GONE:
            return max(0.0, self._retry_at - now)
        return max(0.0, min(since) + self._pace - now, self._retry_at - now)

    def commit(self, now: float, wall: float) -> bool:
        """Write down all there is. True when the disk holds everything."""
        if not (self._marks or self._gone or self.unsaved):
            return True
        given = self._write(now, wall)
        if given is None and now >= self._retry_at:  # a damaged file was put aside: all of it goes into a new one
            given = self._write(now, wall)
        if given is None:
            return False
        for queue in self._queues.values():
            queue.marked |= self._marks & queue.window.keys()
            queue.saved()
        self._marks, self._gone, self._gone_since, self._letters = set(), set(), None, 0
        self._last_write = now
        self.commits += 1
        if self.trouble:
            log.info("outbox: %s can be written again", self._file.path)
            self.trouble = ""
        if given.below is not None:
            self._gave_up(given.below, given.counts, now)
        elif not self.total:
            self._said_dropping = False
        return True

    def _write(self, now: float, wall: float) -> Given | None:
        if not self._opened(now):
            return None
        new = sorted((r for queue in self._queues.values() for r, _ in queue.fresh.values()), key=lambda r: r.number)
        return self._safely(
            lambda: self._file.write(new, sorted(self._marks), sorted(self._gone), wall - self._max_age), now
        )

    def close(self) -> None:
        self._file.close()

    def _queue(self, outlet: str) -> Queue:
        return self._queues.setdefault(outlet, Queue())

    def _opened(self, now: float) -> bool:
        if self._file.is_open:
            return True
        if now < self._retry_at or self._safely(self._open, now) is None:
            return False
        self._known = True
        return True

    def _open(self) -> bool:
        """The first time, find out what an earlier run left: it is older than everything in memory, so it comes before."""
        self._file.open()
        if not self._known:
            last = self._file.last_number()
            if self._next > 1 and last > 0:
                self._file.renumber(-last - 1)
            else:
                self._next = max(self._next, last + 1)
            for outlet, count in self._file.counts().items():
                self._queue(outlet).beyond = count
        return True

    def _safely(self, work: Callable[[], T], now: float) -> T | None:
        try:
            return work()
        except NoDisk as error:
            self._retry_at = now + self._pace
            if str(error) != self.trouble:
                self.trouble = str(error)
                log.error("outbox: %s. Until then records wait in memory only", error)
        except Broken as error:
            log.error("outbox: %s", error)
            self._from_memory(now)
        return None

    def _from_memory(self, now: float) -> None:
        """The file is gone. What is in memory goes into the next one."""
        lost = sum(queue.beyond for queue in self._queues.values())
        if lost:
            log.error("outbox: %d records are only in the damaged file and will not be delivered", lost)
        for queue in self._queues.values():
            queue.unsaved(now)
        self._marks, self._gone, self._gone_since = set(), set(), None
        self._letters = sum(len(r.body) for queue in self._queues.values() for r, _ in queue.fresh.values())
        self._retry_at = -inf

    def _gave_up(self, below: int, counts: Counter[str], now: float) -> None:
        held = self._safely(self._file.counts, now)
        if held is not None:
            for outlet, queue in self._queues.items():
                queue.pruned(below, held.get(outlet, 0))
        self._count_dropped(counts)

    def _forget_oldest(self) -> None:
        name, queue = min(
            ((name, queue) for name, queue in self._queues.items() if queue.fresh),
            key=lambda item: next(iter(item[1].fresh)),
        )
        number = next(iter(queue.fresh))
        record, _ = queue.fresh.pop(number)
        self._letters -= len(record.body)
        self._count_dropped(Counter({name: 1}))

    def _count_dropped(self, counts: Counter[str]) -> None:
        self.dropped += counts
        if not self._said_dropping:
            self._said_dropping = True
            log.warning(
                "outbox: too much or too old; the oldest records are given up (%s). See max_age_days and max_size_mb "
                "in [outbox]",
                ", ".join(f"{count} of {name}" for name, count in counts.items()),
            )
