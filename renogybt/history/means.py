"""What a value did in an interval of time, and its short form on disk: pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

FIVE_MINUTES, HOUR = 300, 3600
SPANS = (FIVE_MINUTES, HOUR)
"""Seconds of the intervals means are kept of; each begins at a multiple of its length since 1970 (UTC)."""
PLACES = 3
"""Decimals of a mean; lowest, highest and last are kept as they were read."""


class Stat(NamedTuple):
    """Mean, lowest, highest and last value in so many readings. A flag counts as 1 while on and 0 while off."""

    mean: float
    min: float
    max: float
    last: float
    readings: int


def stat(values: Sequence[float]) -> Stat:
    """Of the values of one interval, at least one, in the order they were read."""
    return Stat(round(sum(values) / len(values), PLACES), min(values), max(values), values[-1], len(values))


def merged(stats: Sequence[Stat]) -> Stat:
    """Of the intervals that make up a longer one, at least one, in order of time. Each weighs as much as its readings."""
    readings = sum(item.readings for item in stats)
    mean = round(sum(item.mean * item.readings for item in stats) / readings, PLACES)
    return Stat(mean, min(item.min for item in stats), max(item.max for item in stats), stats[-1].last, readings)


def stats(readings: Iterable[Mapping[str, float]]) -> dict[str, Stat]:
    """Of each key of the `readings`, which are given in order of time; a key may be missing in some of them."""
    found: dict[str, list[float]] = {}
    for values in readings:
        for key, value in values.items():
            found.setdefault(key, []).append(value)
    return {key: stat(values) for key, values in found.items()}


def merged_by_key(intervals: Sequence[Mapping[str, Stat]]) -> dict[str, Stat]:
    """The same for each key of several intervals, which are given in order of time."""
    keys = dict.fromkeys(chain.from_iterable(intervals))
    return {key: merged([item[key] for item in intervals if key in item]) for key in keys}


def packed(item: Stat, readings: int) -> Any:
    """The short form: a number for a value that stood still, [mean, min, max, last] for one that moved.

    The number of its readings is added where it differs from `readings`, that of the whole interval.
    """
    if item.readings != readings:
        return list(item)
    return item.last if item.min == item.max else list(item[:4])


def unpacked(short: Any, readings: int) -> Stat:
    """What `packed` made its short form from."""
    if not isinstance(short, list):
        return Stat(short, short, short, short, readings)
    return Stat(short[0], short[1], short[2], short[3], short[4] if len(short) > 4 else readings)
