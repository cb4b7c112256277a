"""A small upload thread without a thread: real HTTP, virtual time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import requests

from renogybt.reading import Reading
from renogybt.sinks.outlet import Answer, Call, Record, Verdict


class Clock:
    """`wall()` and `mono()` go on together by `advance`; `set` moves the wall clock alone."""

    def __init__(self, wall: float) -> None:
        self._wall, self._mono = wall, 1000.0

    def wall(self) -> float:
        return self._wall

    def mono(self) -> float:
        return self._mono

    def advance(self, seconds: float) -> None:
        self._wall += seconds
        self._mono += seconds

    def set(self, jump: float) -> None:
        self._wall += jump


class Pump:
    """Delivers records of `outlets` in turn. `online` false: no connection comes about. `dies` true: the next answer is
    lost, as when the program is killed before it notes it. `said` are the lines for the log."""

    def __init__(self, clock: Clock, *outlets: Any) -> None:
        self.clock, self.outlets = clock, list(outlets)
        self.waiting: dict[str, list[Record]] = defaultdict(list)
        self.online, self.dies = True, False
        self.said: list[str] = []
        self.dropped: list[int] = []
        self.calls: list[Call] = []
        self._session = requests.Session()
        self._number = 0
        self._not_before: dict[str, float] = {}

    def offer(self, reading: Reading) -> None:
        for outlet in self.outlets:
            for taken_at, body in outlet.records(reading):
                self._number += 1
                self.waiting[outlet.name].append(Record(self._number, outlet.name, taken_at, body))

    def run(self, seconds: float) -> None:
        """Go on for so long, doing what falls due."""
        end = self.clock.mono() + seconds
        while True:
            pauses = [self.round(outlet) for outlet in self.outlets]
            left = end - self.clock.mono()
            if left <= 0:
                return
            self.clock.advance(min(left, max(0.2, min(pauses))))

    def round(self, outlet: Any) -> float:
        """At most one call; the seconds until this outlet wants the next."""
        now, waiting = self.clock.mono(), self.waiting[outlet.name]
        if now < self._not_before.get(outlet.name, 0.0):
            return self._not_before[outlet.name] - now
        if not waiting or outlet.breaker.wait(now):
            return outlet.breaker.wait(now) if waiting else 1e9
        what = outlet.compose(waiting[: outlet.batch], self.clock.wall(), now)
        if isinstance(what, float):
            return what
        if isinstance(what, Verdict):
            self._settle(outlet, what)
        elif outlet.breaker.allow(now):
            self._call(outlet, what)
        return 0.0

    def _call(self, outlet: Any, call: Call) -> None:
        self.calls.append(call)
        before = {record.number: record for record in call.records}
        self._replace(outlet, {number: replace(record, sent_once=True) for number, record in before.items()})
        if not self.online:
            self._replace(outlet, before)
            outlet.breaker.failed(self.clock.mono())
            return
        try:
            got = self._session.request(call.method, call.url, headers=call.headers, data=call.body, timeout=10)
        except requests.ConnectionError:
            outlet.breaker.failed(self.clock.mono())
            return
        if self.dies:
            return
        answer = Answer(got.status_code, {name.lower(): value for name, value in got.headers.items()}, got.text)
        verdict = outlet.judge(call, answer, self.clock.wall(), self.clock.mono())
        if verdict.failed:
            outlet.breaker.failed(self.clock.mono())
        else:
            outlet.breaker.succeeded()
        self._settle(outlet, verdict)

    def _settle(self, outlet: Any, verdict: Verdict) -> None:
        self.said += [verdict.reason] if verdict.reason else []
        self.dropped += verdict.dropped
        gone = {*verdict.done, *verdict.dropped}
        self.waiting[outlet.name] = [record for record in self.waiting[outlet.name] if record.number not in gone]
        self._not_before[outlet.name] = self.clock.mono() + verdict.pause

    def _replace(self, outlet: Any, news: dict[int, Record]) -> None:
        self.waiting[outlet.name] = [news.get(record.number, record) for record in self.waiting[outlet.name]]
