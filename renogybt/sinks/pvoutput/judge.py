"""What PVOutput's answers mean for the statuses that were sent or asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from renogybt.settings import Pvoutput
from renogybt.sinks.answers import trouble, wait
from renogybt.sinks.outlet import Answer, Verdict
from renogybt.sinks.pvoutput import answers
from renogybt.sinks.pvoutput.backlog import Backlog, Waiting, numbers, slots
from renogybt.sinks.pvoutput.status import Slot

MOST_HISTORY = 288
"""Statuses in one answer of getstatus."""


class Judge:
    """Reads answers, tells `backlog` what they say, and puts the rest into one line for the log.

    `sunless`: PVOutput has said that it takes no generation by night.
    """

    def __init__(self, system: Pvoutput, backlog: Backlog) -> None:
        self._system, self._backlog = system, backlog
        self._name = f"PVOutput [{system.section}]"
        self.sunless = False

    def sent(self, group: list[Waiting], answer: Answer, wall: float) -> Verdict:
        """An answer to addstatus or addbatchstatus with these."""
        if answer.status == 200:
            return self._accepted(group, answer)
        if answer.status == 400:
            return self._refused(group, answer)
        if 400 <= answer.status < 500:
            self._backlog.absent(group)
        else:
            self._backlog.perhaps(group)
        return self._trouble(answer, wall)

    def checked(self, asked: list[Waiting], answer: Answer, wall: float) -> Verdict:
        """An answer to getstatus, about these: what it does not name is still to be sent. A 400 says that it names none."""
        if answer.status not in (200, 400):
            return self._trouble(answer, wall)
        there = answers.rows(answer.text) if answer.status == 200 else {}
        if answer.status == 200 and not there:
            return self._foreign(answer)
        reach = max(there) if len(there) >= MOST_HISTORY else None
        missing = [item for item in asked if item.slot not in there and (reach is None or item.slot <= reach)]
        self._backlog.absent(missing)
        self._backlog.unsure = self._backlog.unsure and not missing
        return Verdict(done=numbers(item for item in asked if item.slot in there))

    def exhausted(self, group: list[Waiting], limit: int, until: str, pause: float) -> Verdict:
        """The account's hour is used up."""
        self._backlog.absent(group)
        text = f"the account has used its {limit} requests of this hour; statuses wait until {until}"
        return Verdict(reason=f"{self._name}: {text}", pause=pause)

    def _accepted(self, group: list[Waiting], answer: Answer) -> Verdict:
        wanted = set(slots(group))
        put_in: Collection[Slot] = wanted
        left: Collection[Slot] = ()
        if not answer.text.strip().upper().startswith("OK 200"):
            put_in, left = answers.taken(answer.text)
        unclear = [item for item in group if item.slot not in put_in and item.slot not in left]
        self._backlog.perhaps(unclear)
        if len(unclear) == len(group):
            return self._foreign(answer)
        self._backlog.unsure = False
        done = [item for item in group if item.slot in put_in]
        dropped = [item for item in group if item.slot in left and item.slot not in put_in]
        reason = ""
        if dropped:
            reason = f"{self._name} left {counted(len(dropped))} ({_span(dropped)}) as it had them before; given up"
        return Verdict(done=numbers(done), dropped=numbers(dropped), reason=reason)

    def _refused(self, group: list[Waiting], answer: Answer) -> Verdict:
        """A 400: the fault is in a status. A batch may have been taken up to it, so the rest is asked for first."""
        single = len(slots(group)) == 1
        if single:
            self._backlog.absent(group)
        else:
            self._backlog.perhaps(group)
        if answers.moon(answer.text) and not self.sunless and any(item.status.by_night for item in group):
            self.sunless = True
            text = "takes no generated energy from 23:00 to 01:00; these values are left out then"
            return Verdict(reason=f"{self._name} {text} (does the device begin its day too late?)")
        limit = answers.too_old(answer.text)
        lost = [item for item in group if limit and item.status.d <= limit]
        if not lost and single:
            lost = group
        if not lost:
            self._backlog.halve(group)
            return Verdict()
        reason = f"{self._name} refuses {counted(len(lost))} ({_span(lost)}) with {self._quoted(answer)}; given up"
        return Verdict(dropped=numbers(lost), reason=reason)

    def _trouble(self, answer: Answer, wall: float) -> Verdict:
        """Nothing is wrong with the statuses: they stay."""
        keys = f"does not let us in, {self._quoted(answer)}; check api_key and system_id in [{self._system.section}]"
        failed, pause = wait(answer, wall)
        return Verdict(reason=f"{self._name} {trouble(answer, {401: keys, 403: keys})}", failed=failed, pause=pause)

    def _foreign(self, answer: Answer) -> Verdict:
        remedy = f"check url in [{self._system.section}], or whether this network shows a login page"
        text = f"what answers is not PVOutput ({self._quoted(answer)}); {remedy}"
        return Verdict(reason=f"{self._name}: {text}", failed=True)

    def _quoted(self, answer: Answer) -> str:
        return answers.quoted(answer.text, (self._system.api_key,))


def counted(count: int) -> str:
    return f"{count} status{'es' if count != 1 else ''}"


def _span(items: Sequence[Waiting]) -> str:
    (d, t), (last_d, last_t) = items[0].slot, items[-1].slot
    return f"{d} {t}" if (d, t) == (last_d, last_t) else f"{d} {t} to {last_d} {last_t}"
