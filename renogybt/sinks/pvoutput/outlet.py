"""The policy of one system at PVOutput, in the terms of the upload thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, tzinfo
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from renogybt.breaker import Breaker
from renogybt.errors import UserError
from renogybt.protocol.table import Family
from renogybt.reading import Reading
from renogybt.settings import Pvoutput, Settings
from renogybt.sinks.outlet import Answer, Call, Record, Verdict
from renogybt.sinks.pvoutput import answers
from renogybt.sinks.pvoutput.backlog import Backlog, Waiting
from renogybt.sinks.pvoutput.judge import MOST_HISTORY, Judge, counted
from renogybt.sinks.pvoutput.rate import Budget
from renogybt.sinks.pvoutput.recorder import SANE, Recorder
from renogybt.sinks.pvoutput.status import Slot, Status, moment, parsed

FAILURES, COOLDOWN = 3, 300.0
LOOK_AGAIN = 60.0
SEEN = 3
"""Batches of waiting statuses to look at: enough to see past some that wait for their time."""
CHECK, LIVE, BATCH = "getstatus.jsp", "addstatus.jsp", "addbatchstatus.jsp"


def outlets(settings: Settings) -> list[PvoutputOutlet]:
    """An outlet for every system that is switched on; those with the same API key share its requests per hour."""
    budgets: dict[tuple[str, str], Budget] = {}
    found = []
    for system in settings.pvoutput:
        if system.enabled:
            budget = budgets.setdefault((system.url, system.api_key), Budget(system.requests_per_hour))
            found.append(PvoutputOutlet(system, settings, budget))
    return found


class PvoutputOutlet:
    """Statuses go out oldest first, up to `batch_size` in a request as soon as more than one waits.

    A refused batch is halved until the status at fault is found; only that one is given up. What may have arrived before is
    asked for first. `budget` is shared by systems of the same account. Records that lie in the future wait for their time
    (the clock was set back), and all wait while the clock is not set at all.
    """

    exact = True

    def __init__(self, system: Pvoutput, settings: Settings, budget: Budget | None = None) -> None:
        self.name = system.section
        self.breaker = Breaker(FAILURES, COOLDOWN)
        self.batch = SEEN * system.batch_size
        self._system, self._zone = system, _zone(settings.data.timezone)
        # Tolerates the address of addstatus.jsp itself, as older programs want it.
        self._base = system.url[: system.url.rfind("/") + 1] if system.url.endswith(".jsp") else f"{system.url.rstrip('/')}/"
        self._recorder = Recorder(system, settings, self._zone)
        # A single run (for cron) sends what it has read, even when that updates the slot.
        self._backlog = Backlog(system.batch_size, unsure=settings.data.enable_polling)
        self._judge = Judge(system, self._backlog)
        # Where two sections feed one system, a status found there may be the other's: better send ours a second time.
        same = [other for other in settings.pvoutput if other.enabled and other.system_id == system.system_id]
        self._asks = len(same) < 2
        self._budget = budget or Budget(system.requests_per_hour)
        self._budget.join(self.name, 60 / system.status_interval, system.requests_per_hour)
        self._given_up, self._why = 0, ""

    def records(self, reading: Reading) -> list[tuple[float, str]]:
        return self._recorder.of(reading, self._backlog.unsure)

    def status(self, values: Mapping[str, Any], family: Family, taken_at: float) -> list[tuple[float, str]]:
        """As `records`, for values (°C) from whatever device of that family."""
        return self._recorder.status(values, family, taken_at, self._backlog.unsure)

    def compose(self, waiting: Sequence[Record], wall: float, mono: float) -> Call | Verdict | float:
        if wall < SANE:
            return LOOK_AGAIN
        self._backlog.keep(waiting)
        verdict = self._hopeless(waiting, moment(wall, self._zone).date())
        if verdict:
            return verdict
        due = [Waiting(record, status) for record in waiting if record.taken_at <= wall and (status := parsed(record.body))]
        if not due:
            return max(1.0, min(LOOK_AGAIN, min(record.taken_at for record in waiting) - wall))
        short = len(waiting) <= self._system.batch_size
        pause = self._budget.wait(mono, 0 if short else self._budget.spare(self.name, mono))
        if pause > 0:
            return pause
        self._budget.spend(mono)
        group = self._backlog.next(due)
        doubtful = self._backlog.doubtful(group, short) if self._asks else []
        return self._ask(doubtful) if doubtful else self._send(group)

    def judge(self, call: Call, answer: Answer, wall: float, mono: float) -> Verdict:
        self._budget.told(answer.headers, wall, mono)
        group = [Waiting(record, status) for record in call.records if (status := parsed(record.body))]
        asking = f"/{CHECK}?" in call.url
        if answer.status == 403 and answers.spent(answer.text):
            pause = self._budget.exhausted(answer.headers, wall, mono)
            until = f"{moment(wall + pause, self._zone):%H:%M}"
            return self._judge.exhausted([] if asking else group, self._budget.limit, until, pause)
        return self._judge.checked(group, answer, wall) if asking else self._judge.sent(group, answer, wall)

    def _hopeless(self, waiting: Sequence[Record], today: date) -> Verdict | None:
        """Give up what PVOutput will never take; one line for all of them, when the last is seen."""
        reasons = [(record.number, self._why_not(parsed(record.body), today)) for record in waiting]
        why = next((why for _, why in reasons if why), "")
        numbers = tuple(number for number, found in reasons if found and found == why)
        if self._given_up and why != self._why:
            numbers = ()
        elif not numbers:
            return None
        else:
            self._given_up, self._why = self._given_up + len(numbers), why
            if len(numbers) == self.batch:
                return Verdict(dropped=numbers)
        text = f"PVOutput [{self.name}]: {counted(self._given_up)} given up: {self._why}"
        self._given_up, self._why = 0, ""
        return Verdict(dropped=numbers, reason=text)

    def _why_not(self, status: Status | None, today: date) -> str:
        if status is None:
            return "not readable"
        if status.older_than(self._system.max_age_days, today):
            return f"older than the {self._system.max_age_days} days that PVOutput accepts (max_age_days)"
        return "" if status.parameters(self._judge.sunless) else "nothing in it that PVOutput takes by night"

    def _ask(self, doubtful: list[Waiting]) -> Call:
        """Whether the statuses of the first day in `doubtful` are there."""
        d = doubtful[0].status.d
        asked = [item for item in doubtful if item.status.d == d]
        times = sorted({item.status.t for item in asked})
        query = {"d": d, "t": times[0]}
        if len(times) > 1:
            query = {"d": d, "h": "1", "asc": "1", "from": times[0], "to": times[-1], "limit": str(MOST_HISTORY)}
        return self._call("GET", f"{CHECK}?{urlencode(query, safe=':')}", {}, asked)

    def _send(self, group: list[Waiting]) -> Call:
        self._backlog.leaving(group)
        sunless, once = self._judge.sunless, dict[Slot, Status]()
        for item in group:
            once.setdefault(item.slot, item.status)
        statuses = list(once.values())
        flag = {"c1": str(statuses[0].flag)} if statuses[0].flag else {}
        if len(statuses) == 1:
            only = statuses[0]
            return self._call("POST", LIVE, {"d": only.d, "t": only.t, **only.parameters(sunless), **flag}, group)
        return self._call("POST", BATCH, {"data": ";".join(status.row(sunless) for status in statuses), **flag}, group)

    def _call(self, method: str, path: str, form: Mapping[str, str], group: list[Waiting]) -> Call:
        headers = {
            "X-Pvoutput-Apikey": self._system.api_key,
            "X-Pvoutput-SystemId": self._system.system_id,
            "X-Rate-Limit": "1",
        }
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        records = tuple(item.record for item in group)
        return Call(method, self._base + path, headers, urlencode(form).encode(), records)


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError) as error:
        raise UserError(f"timezone in [data]: there is no time zone {name!r}; write one like Europe/Amsterdam") from error
