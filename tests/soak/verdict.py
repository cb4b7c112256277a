"""What the soak has shown, judged. Pure: times and samples go in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from tests.soak.rig import PERIOD

SHARE, WORST = 95.0, 90.0
"""% of cycles outside the fault windows: of all devices together, and of each."""
SLOPE, GROWTH = 1.0, 3.0
"""MB per 10 000 cycles; MB from the second quarter to the end of a soak too short for a slope."""
LONG_ENOUGH = 20 * 60.0
"""Seconds from which on a slope means something."""
SLACK = 0.6
"""Seconds by which a cycle may come early or late at the edge of a calm stretch."""
FEWEST = 30
END_LIMIT = 18.0
"""Seconds from SIGTERM to the end of the program."""

Span = tuple[float, float]
Lack = Callable[[float, float], float]


class Sample(NamedTuple):
    """`cycles`: turns of sections so far; `rss` in MB; `clients`: connections to the D-Bus, None while it is not there."""

    at: float
    cycles: int
    rss: float
    fds: int
    threads: int
    clients: int | None


class Line(NamedTuple):
    name: str
    value: str
    limit: str
    kept: bool | None


@dataclass
class Record:
    """Everything noted during a soak, times in monotonic seconds. `good`: arrivals of fresh readings by label.

    `starved`: moments, and for how many seconds before each the machine had no processor for us. `missing`: labels of
    devices that were not read any more after the end.
    """

    began: float = 0.0
    ended: float = 0.0
    good: dict[str, list[float]] = field(default_factory=dict)
    windows: dict[str, list[Span]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    starved: list[Span] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)
    faults: int = 0
    restarts: int = 0
    exit_code: int | None = None
    exit_seconds: float = 0.0

    def lack(self, start: float, end: float) -> float:
        """Seconds in which nothing could be expected."""
        return sum(seconds for at, seconds in self.starved if start <= at < end)

    def calm(self, label: str) -> list[Span]:
        """When the device was to be read as if nothing were; what the machine took, a recovery may take longer."""
        windows = self.windows.get(label, [])
        return calm(self.began, self.ended, [(start, end + self.lack(start, end)) for start, end in windows])


def calm(began: float, ended: float, windows: Iterable[Span]) -> list[Span]:
    """What is left between the windows."""
    free, at = [], began
    for start, end in sorted(windows):
        if start > at:
            free.append((at, min(start, ended)))
        at = max(at, end)
    if at < ended:
        free.append((at, ended))
    return [(start, end) for start, end in free if end > start]


def delivered(
    good: Sequence[float], stretches: Iterable[Span], period: float = PERIOD, lack: Lack = lambda start, end: 0.0
) -> tuple[int, int]:
    """Readings that came, and that were due, in these stretches of time. None makes up for one missing in another.

    `lack`: seconds between two moments in which none was due.
    """
    came = due = 0
    for start, end in stretches:
        wanted = max(0, int((end - start - SLACK - lack(start, end)) // period))
        due += wanted
        came += min(wanted, sum(start <= at < end for at in good))
    return came, due


def share(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0


def longest_gap(good: Sequence[float], began: float, ended: float) -> float:
    return max(later - earlier for earlier, later in pairwise([began, *good, ended]))


def slope(samples: Sequence[Sample]) -> float:
    """MB per 10 000 cycles: least squares over the second half of the samples."""
    half = samples[len(samples) // 2 :]
    mean_x, mean_y = sum(s.cycles for s in half) / len(half), sum(s.rss for s in half) / len(half)
    across = sum((s.cycles - mean_x) ** 2 for s in half)
    return 1e4 * sum((s.cycles - mean_x) * (s.rss - mean_y) for s in half) / across if across else 0.0


def growth(values: Sequence[float]) -> float:
    """From the most in the second quarter to the least in the last tenth: what stays, and not what comes and goes."""
    quarter, tenth = len(values) // 4, max(1, len(values) // 10)
    return min(values[-tenth:]) - max(values[quarter : 2 * quarter] or values[:1])


def judged(record: Record) -> list[Line]:
    """The table."""
    lines, came, due, planned, total, possible = [], 0, 0, 0, 0, 0
    for label, good in sorted(record.good.items()):
        ours, wanted = delivered(good, record.calm(label), lack=record.lack)
        came, due = came + ours, due + wanted
        planned += delivered(good, calm(record.began, record.ended, record.windows.get(label, [])))[1]
        all_ours, all_wanted = delivered(good, [(record.began, record.ended)])
        total, possible = total + all_ours, possible + all_wanted
        gap = longest_gap(good, record.began, record.ended)
        text = f"{share(ours, wanted):.1f} % of {wanted} outside, {share(all_ours, all_wanted):.1f} % in all"
        well = share(ours, wanted) >= WORST if wanted else None
        lines.append(Line(f"{label}: cycles delivered; longest gap", f"{text}; {gap:.1f} s", f">= {WORST:g} %", well))
    outside = share(came, due)
    well = outside >= SHARE if due else None
    lines.append(Line("cycles delivered outside the fault windows", f"{outside:.1f} % of {due}", f">= {SHARE:g} %", well))
    lines.append(Line("calm cycles to judge by, on an idle machine", str(planned), f">= {FEWEST}", planned >= FEWEST))
    lack = record.lack(record.began, record.ended)
    lines.append(Line("no processor for any of us, altogether", f"{lack:.1f} s", "", None))
    missing = ", ".join(record.missing) or "none"
    lines.append(Line("devices not read after all the faults", missing, "none", not record.missing))
    lines.append(Line("availability over the whole time, faults included", f"{share(total, possible):.1f} %", "", None))
    wrong = len(record.wrong)
    lines.append(Line("wrong values published", str(wrong), "0", wrong == 0))
    lines.append(Line("faults injected", str(record.faults), "", None))
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(record.counts.items())) or "none told"
    lines.append(Line("incidents and recoveries by rung", told, "", None))
    lines += resources(record)
    lines.append(Line("restarts of the process", str(record.restarts), "0", record.restarts == 0))
    end = f"code {record.exit_code} after {record.exit_seconds:.1f} s"
    lines.append(
        Line("end at SIGTERM", end, f"0 within {END_LIMIT:g} s", not record.exit_code and record.exit_seconds <= END_LIMIT)
    )
    return lines


def resources(record: Record) -> list[Line]:
    samples = record.samples
    if len(samples) < 8:
        return [Line("samples of the process", str(len(samples)), ">= 8", False)]
    lines = []
    cycles, peak = samples[-1].cycles, max(s.rss for s in samples)
    if record.ended - record.began >= LONG_ENOUGH:
        per = slope(samples)
        lines.append(Line("RSS slope per 10 000 cycles", f"{per:+.2f} MB", f"< {SLOPE:g} MB", per < SLOPE))
    else:
        grown = growth([s.rss for s in samples])
        lines.append(Line("RSS growth after the first half", f"{grown:+.2f} MB", f"<= {GROWTH:g} MB", grown <= GROWTH))
    lines.append(
        Line("RSS at the end, at most; section cycles", f"{samples[-1].rss:.1f}, {peak:.1f} MB; {cycles}", "", None)
    )
    for name, values, most in (
        ("file descriptors", [s.fds for s in samples], 2),
        ("threads", [s.threads for s in samples], 1),
        ("D-Bus connections", [s.clients for s in samples if s.clients is not None], 1),
    ):
        grown = growth(values)
        text = f"{values[0]} -> {values[-1]}, at most {max(values)}"
        lines.append(Line(f"{name} at the start and the end", text, f"growth <= {most}", grown <= most))
    return lines


def table(lines: Sequence[Line]) -> str:
    words = {True: "ok  ", False: "FAIL", None: "    "}
    wide, value = max(len(line.name) for line in lines), max(len(line.value) for line in lines)
    return "\n".join(
        f"{words[line.kept]} {line.name:<{wide}}  {line.value:<{value}}  {line.limit}".rstrip() for line in lines
    )
