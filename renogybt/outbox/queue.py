"""The records of one outlet, in their order; of those on the disk only the next ones are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice

from renogybt.outbox.record import Record

WINDOW = 500
"""The most an outlet can ask to see."""
KEPT = 50
"""Records of the disk that are held in memory for an outlet that has not asked for more: each of a battery takes 2 kB."""


class Queue:
    """`window`: the oldest on the disk; `beyond`: how many more are there; `fresh`: not on the disk, with their arrival.

    In this order they are to be delivered. `read_to` is the highest number that came from the disk or went there through the
    window; `marked` holds the numbers that the disk knows as sent once. `reach`: so many the window holds at least if there
    are so many, because the outlet was shown them.
    """

    def __init__(self, on_disk: int = 0) -> None:
        self.window: dict[int, Record] = {}
        self.beyond = on_disk
        self.fresh: dict[int, tuple[Record, float]] = {}
        self.marked: set[int] = set()
        self.read_to: int | None = None
        self.reach = KEPT

    def __len__(self) -> int:
        return len(self.window) + self.beyond + len(self.fresh)

    @property
    def oldest(self) -> float | None:
        """When the longest waiting record that is not on the disk arrived."""
        first = next(iter(self.fresh.values()), None)
        return first[1] if first else None

    def short_of(self, most: int) -> bool:
        """Whether the disk has to be read to see the next `most` records."""
        return self.beyond > 0 and len(self.window) < most

    def first(self, most: int, only_memory: bool = False) -> list[Record]:
        """The next `most` records; `only_memory`: the disk cannot be read, so its further ones do not hold up the rest."""
        fresh = () if self.beyond and not only_memory else (record for record, _ in self.fresh.values())
        return list(islice(chain(self.window.values(), fresh), most))

    def loaded(self, records: Sequence[Record], asked: int) -> None:
        """The disk gave `records`, when asked for `asked`; fewer means that there are no more."""
        for record in records:
            if record.number not in self.fresh:  # it may be, after a commit that got there although it failed
                self._in_window(record)
        self.beyond = max(0, self.beyond - len(records)) if len(records) == asked else 0

    def saved(self) -> None:
        """What was fresh is on the disk now."""
        for record, _ in self.fresh.values():
            if self.beyond or len(self.window) >= self.reach:
                self.beyond += 1
            else:
                self._in_window(record)
        self.fresh = {}

    def _in_window(self, record: Record) -> None:
        self.window[record.number] = record
        self.read_to = record.number
        if record.sent_once:
            self.marked.add(record.number)

    def unsaved(self, now: float) -> None:
        """The disk has lost everything: what is in memory is all there is."""
        self.fresh = {number: (record, now) for number, record in self.window.items()} | self.fresh
        self.window, self.beyond, self.marked, self.read_to = {}, 0, set(), None

    def pruned(self, below: int, on_disk: int) -> None:
        """The disk gave up everything numbered under `below`; it now holds `on_disk` records."""
        self.window = {number: record for number, record in self.window.items() if number >= below}
        self.marked = {number for number in self.marked if number >= below}
        self.beyond = max(0, on_disk - len(self.window))

    def remove(self, number: int) -> tuple[bool, Record | None]:
        """Forget a record: (whether it is on the disk, the record if it was known)."""
        self.marked.discard(number)
        if number in self.fresh:
            return False, self.fresh.pop(number)[0]
        return True, self.window.pop(number, None)

    def mark(self, number: int, sent_once: bool) -> bool:
        """Change `sent_once` in memory; True when the record is on the disk."""
        if number in self.fresh:
            record, arrived = self.fresh[number]
            self.fresh[number] = replace(record, sent_once=sent_once), arrived
            return False
        if number in self.window:
            self.window[number] = replace(self.window[number], sent_once=sent_once)
            return True
        return False
