"""What is known of the statuses that wait, and which of them go out next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from renogybt.sinks.outlet import Record
from renogybt.sinks.pvoutput.status import Slot, Status


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record and the status in it."""

    record: Record
    status: Status

    @property
    def number(self) -> int:
        return self.record.number

    @property
    def slot(self) -> Slot:
        return self.status.slot


def numbers(items: Iterable[Waiting]) -> tuple[int, ...]:
    return tuple(item.number for item in items)


def slots(items: Iterable[Waiting]) -> list[Slot]:
    """Their slots in order, each once."""
    return list(dict.fromkeys(item.slot for item in items))


class Backlog:
    """Chooses what goes out together, and remembers what answers have told about single records.

    `doubtful` says whether a status may be at PVOutput already: the record says so (`sent_once`) unless an answer since
    then has said better. `unsure` is True until PVOutput has shown that this run does not repeat what an earlier one sent.
    """

    def __init__(self, size: int, unsure: bool) -> None:
        self.size, self.unsure = size, unsure
        self._absent: dict[int, bool] = {}
        self._halves: deque[frozenset[int]] = deque()

    def keep(self, waiting: Iterable[Record]) -> None:
        """Forget what is known of records that do not wait any more."""
        known = self._absent
        self._absent = {record.number: known[record.number] for record in waiting if record.number in known}

    def next(self, due: Sequence[Waiting]) -> list[Waiting]:
        """The front half of a refused batch, else the oldest `size` slots with the same cumulative flag.

        A second record of the same slot (of two runs of the program) rides along: the slot's outcome is its own.
        """
        while self._halves:
            group = [item for item in due if item.number in self._halves[0]]
            if group:
                return group
            self._halves.popleft()
        group, taken = [], set()
        for item in due:
            taken.add(item.slot)
            if len(taken) > self.size or item.status.flag != due[0].status.flag:
                break
            group.append(item)
        return group

    def halve(self, group: Sequence[Waiting]) -> None:
        """One of `group` made PVOutput refuse them all: the halves go out one after the other."""
        order = slots(group)
        front = set(order[: (len(order) + 1) // 2])
        first = frozenset(item.number for item in group if item.slot in front)
        second = frozenset(item.number for item in group if item.slot not in front)
        if self._halves and self._halves[0] & (first | second):
            self._halves.popleft()
        self._halves.extendleft((second, first))

    def doubtful(self, group: Iterable[Waiting], short: bool) -> list[Waiting]:
        """Those that PVOutput is to be asked about before they are sent.

        The first statuses of a run are, unless more wait than one request holds (not `short`): a long backlog must fit into
        the account's hour, and at worst one slot is then sent again with values of the same slot.
        """
        return [item for item in group if self._doubtful(item, short)]

    def _doubtful(self, item: Waiting, short: bool) -> bool:
        absent = self._absent.get(item.number)
        if absent is not None:
            return not absent
        return item.record.sent_once or (item.status.first and self.unsure and short)

    def absent(self, group: Iterable[Waiting]) -> None:
        """They are surely not at PVOutput."""
        self._absent.update(dict.fromkeys(numbers(group), True))

    def perhaps(self, group: Iterable[Waiting]) -> None:
        """They may be there: it was not said, or said unclearly."""
        self._absent.update(dict.fromkeys(numbers(group), False))

    def leaving(self, group: Iterable[Waiting]) -> None:
        """They go out now: what was known of them counts no more, from here on the record tells."""
        for number in numbers(group):
            self._absent.pop(number, None)
