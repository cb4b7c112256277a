"""Runs a soak: carries out the plan, watches every message and the process, and hands everything to the verdict."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.starvation import Starvation
from tests.soak.faults import BY_NAME, KINDS, Undo, windows
from tests.soak.plan import Event, plan
from tests.soak.rig import ALL, LABELS, PERIOD, TOPIC, Rig, rigged
from tests.soak.truth import Truth, fresh
from tests.soak.verdict import Line, Record, Sample, judged, table

WARM_UP, PATIENCE = 4 * PERIOD, 120.0
OFTEN = 3
"""Readings of each device before the first fault."""
SAMPLES_EVERY, CLIENTS_EVERY, TICK = 1.0, 5.0, 0.1
LAST_EVENTS, LAST_LINES, MOST_WRONG = 5, 60, 20
Say = Callable[[str], None]


@dataclass
class Outcome:
    lines: list[Line]
    events: list[Event]
    record: Record
    log: str = ""

    @property
    def passed(self) -> bool:
        return all(line.kept is not False for line in self.lines)

    def __str__(self) -> str:
        text = table(self.lines)
        if self.record.wrong:
            text += "\n\nWrong values\n" + "\n".join(self.record.wrong[:MOST_WRONG])
        if not self.passed:
            events = "\n".join(map(str, self.events[-LAST_EVENTS:]))
            text += f"\n\nThe last events\n{events}\n\nThe end of the program's log\n{self.log}"
        return text


@dataclass
class Soak:
    """One run. `say` takes a line about each event."""

    rig: Rig
    events: list[Event]
    say: Say
    truth: Truth = field(default_factory=Truth)
    record: Record = field(default_factory=Record)
    starvation: Starvation = field(init=False)
    fed_at: float = 0.0

    def run(self, seconds: float) -> Outcome:
        self._warm_up()
        self.record.began = began = time.monotonic()
        self._note_windows(began)
        ahead, under_way = list(self.events), list[tuple[Event, Undo]]()
        next_tick = next_sample = began
        self._feed(began)
        while (now := time.monotonic()) < began + seconds and self.rig.program.running:
            while ahead and ahead[0].at <= now - began:
                event = ahead.pop(0)
                self.say(str(event))
                under_way.append((event, BY_NAME[event.kind].begin(self.rig, event)))
                self.record.faults += 1
            for event, undo in [each for each in under_way if each[0].end <= now - began]:
                undo()
                under_way.remove((event, undo))
            self.rig.unblock_if_asked()
            self._starve(now)
            if now >= next_tick:
                self.truth.tick(self.rig, now)
                next_tick += PERIOD
            if now >= next_sample:
                self._sample(now, idle=not under_way)
                next_sample += SAMPLES_EVERY
            self._read_messages()
            time.sleep(TICK)
        for _, undo in under_way:
            undo()
        self.record.ended = time.monotonic()
        self._await_all()
        return self._finish()

    def _warm_up(self) -> None:
        """Until everything was read often enough to know what is true."""
        ears = self.rig.ears
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE and self.rig.program.running:
            self.truth.tick(self.rig, time.monotonic())
            time.sleep(PERIOD)
            often = all(len(ears.on(f"{TOPIC}/{label}")) >= OFTEN for label in ALL)
            if often and time.monotonic() - began >= WARM_UP:
                break
        self.record.wrong += self.truth.learn(list(ears.messages))
        ears.forget()

    def _feed(self, now: float) -> None:
        rig = self.rig
        self.starvation = Starvation(rig.program.pid, rig.fake.pid, rig.fake.daemon.pid, rig.broker.pid)
        self.fed_at = now

    def _starve(self, now: float) -> None:
        """Note what the machine took from all of us since the last look: processors, or simply time."""
        stolen = now - self.fed_at - 2 * TICK
        self.record.starved.append((now, max(self.starvation.seconds(), stolen, 0.0)))
        self._feed(now)

    def _await_all(self) -> None:
        """The last faults are over: every device is read again, however slow the machine is."""
        until, good, missing = self.record.ended + PATIENCE, self.record.good, list(ALL)
        while self.rig.program.running and time.monotonic() < until:
            self._read_messages()
            missing = [label for label in ALL if not good[label] or good[label][-1] < self.record.ended]
            if not missing:
                return
            time.sleep(TICK)
        self.record.missing = missing

    def _note_windows(self, began: float) -> None:
        self.record.good = {label: [] for label in ALL}
        for event in self.events:
            for label, start, end in windows(event, BY_NAME[event.kind]):
                self.record.windows.setdefault(label, []).append((began + start, began + end))

    def _read_messages(self) -> None:
        messages = list(self.rig.ears.messages)
        del self.rig.ears.messages[: len(messages)]
        for heard in messages:
            label = heard.topic.removeprefix(f"{TOPIC}/")
            if label not in self.record.good or heard.retained:
                continue
            wrong = self.truth.faults_of(heard)
            self.record.wrong += [f"{heard.at - self.record.began:7.1f} s  {text}" for text in wrong]
            if fresh(label, heard.payload):
                self.record.good[label].append(heard.at)

    def _sample(self, now: float, idle: bool) -> None:
        process = Path(f"/proc/{self.rig.program.pid}")
        try:
            status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
            fds = len(list((process / "fd").iterdir()))
        except OSError:
            return  # it has just ended, which is judged elsewhere
        clients = None
        if idle and len(self.record.samples) % int(CLIENTS_EVERY) == 0:
            clients = sum(client["pid"] == self.rig.program.pid for client in self.rig.fake.clients()) or None
        good = self.record.good
        cycles = sum(max(len(good[label]) for label in labels) for labels in LABELS.values())
        rss = int(status["VmRSS"].split()[0]) / 1024
        self.record.samples.append(Sample(now, cycles, rss, fds, int(status["Threads"]), clients))

    def _finish(self) -> Outcome:
        record, program = self.record, self.rig.program
        if program.running:
            record.counts = {str(kind): int(count) for kind, count in self.rig.status().get("counts", {}).items()}
            record.exit_code, record.exit_seconds = program.end()
        else:
            record.restarts, record.exit_code = 1, program.ended(5)
        done = [event for event in self.events if event.at <= record.ended - record.began]
        log = "".join(program.output.splitlines(keepends=True)[-LAST_LINES:])
        return Outcome(judged(record), done, record, log)


def soak(minutes: float, seed: int, every: float = 30.0, say: Say = lambda line: None) -> Outcome:
    """Run the program for so many minutes under faults from `seed`, one each `every` seconds on average, and judge it."""
    seconds = minutes * 60
    events = plan(seed, seconds, KINDS, every)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, rigged(Path(folder)) as rig:
        return Soak(rig, events, say).run(seconds)
