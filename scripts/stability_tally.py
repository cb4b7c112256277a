"""What the stability test counts, and its verdict: steady or not."""

# ruff: noqa: T201 (it talks to a person)

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

EXIT_STEADY, EXIT_NOT, EXIT_CANNOT = 0, 1, 2
WANTED_SHARE, WANTED_SECONDS = 80.0, 15.0
WARM_UP = 2
"""Cycles that do not count for leaks: what is loaded once is loaded in them."""
GROWTH_START, GROWTH_PER_CYCLE = 3.0, 0.002
"""MB the memory may grow in all, and per cycle: Python takes memory in steps."""


@dataclass
class Footprint:
    """What this process holds: a number that only grows is a leak. `clients`: D-Bus connections, None where unknown."""

    fds: int
    threads: int
    tasks: int
    clients: int | None
    rss: float


@dataclass
class Tally:
    """What was counted. `causes`: why attempts failed; `lost`: why cycles did."""

    attempts: int = 0
    connects: list[float] = field(default_factory=list)
    cycles: int = 0
    good: int = 0
    partial: int = 0
    retried: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)
    incidents: Counter[str] = field(default_factory=Counter)
    footprints: list[Footprint] = field(default_factory=list)

    def failed(self, labels: Sequence[str], error: str) -> str:
        """Count a failure; the same one with other numbers in it is the same."""
        who = ", ".join(sorted(labels))
        gist = f"{who}: {re.sub(r'[0-9]+', '#', error)[:80]}"
        self.example.setdefault(gist, f"{who}: {error}")
        self.causes[gist] += 1
        return gist


def leaks(footprints: Sequence[Footprint]) -> list[tuple[str, float, float, bool]]:
    """Name, amount after the first cycles, amount at the end, and whether that is a leak.

    Compared is the least of the last cycles with the most of the first ones, so that what comes and goes is none.
    """
    held = list(footprints[WARM_UP:] or footprints[-1:])
    if not held:
        return []
    early, final = held[: max(1, len(held) // 3)], held[-max(1, len(held) // 3) :]
    found = []
    for name, of in (
        ("file descriptors", lambda each: each.fds),
        ("threads", lambda each: each.threads),
        ("asyncio tasks", lambda each: each.tasks),
        ("D-Bus connections", lambda each: each.clients),
    ):
        values = [of(each) for each in held]
        if None not in values:
            leak = min(map(of, final)) > max(map(of, early))
            found.append((name, values[0], values[-1], leak))
    first, last = held[0].rss, held[-1].rss
    found.append(("memory (MB)", first, last, last - first > GROWTH_START + GROWTH_PER_CYCLE * len(held)))
    return found


def report(tally: Tally, ended: bool) -> int:
    """Print the result; the exit code."""
    share = 100 * tally.good / tally.cycles if tally.cycles else 0.0
    mean = sum(tally.connects) / len(tally.connects) if tally.connects else None
    print(f"\n{verdict(share >= WANTED_SHARE)} good cycles     {tally.good} of {tally.cycles} = {share:.1f} %", end="")
    print(f", {tally.retried} of them at the second attempt (wanted: at least {WANTED_SHARE:g} %)")
    if tally.partial:
        print(f"     in part         {tally.partial} readings lacked some of their values")
    print(f"     attempts        {tally.attempts}, of which {len(tally.connects)} connected")
    quick = mean is not None and mean < WANTED_SECONDS
    times = f"{mean:.2f} s on average, {max(tally.connects):.2f} s at most" if mean is not None else "no connection at all"
    print(f"{verdict(quick)} time to connect {times} (wanted: less than {WANTED_SECONDS:g} s on average)")
    held = leaks(tally.footprints)
    for name, first, last, leak in held:
        print(f"{verdict(not leak)} {name:<18} {round(first, 1):g} -> {round(last, 1):g}")
    print(f"{verdict(ended)} end                Bluetooth {'was released' if ended else 'did not end in time'}")
    for title, counts in (("Why cycles were lost", tally.lost), ("Why attempts failed", tally.causes)):
        if counts:
            print(f"\n{title}")
            for gist, count in counts.most_common():
                print(f"{count:6} times  {tally.example[gist]}")
    if tally.incidents:
        print("\nWhat the Bluetooth watchdog did: " + ", ".join(f"{kind} {n}" for kind, n in tally.incidents.most_common()))
    steady = share >= WANTED_SHARE and quick and ended and not any(leak for *_, leak in held)
    print(f"\n{'Steady.' if steady else 'Not steady.'}")
    return EXIT_STEADY if steady else EXIT_NOT


def verdict(kept: bool) -> str:
    return "ok  " if kept else "FAIL"
