"""Chance that can be repeated: numbers that depend on a seed and a key and on nothing else."""

from __future__ import annotations

from math import floor

_MASK = (1 << 64) - 1


def chance(seed: int, *key: int) -> float:
    """A number in 0 … 1 (1 excluded), evenly spread, always the same for the same arguments."""
    state = (seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _MASK
    for part in key:
        state = ((state ^ part) * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & _MASK
        state ^= state >> 29
    state = (state * 0x94D049BB133111EB) & _MASK
    return ((state ^ state >> 31) & _MASK) / 2.0**64


def between(low: float, high: float, seed: int, *key: int) -> float:
    return low + (high - low) * chance(seed, *key)


def drift(seed: int, channel: int, at: float, period: float) -> float:
    """A smooth curve in 0 … 1 that takes a new direction every `period` seconds."""
    place = at / period
    index = floor(place)
    share = place - index
    share = share * share * (3 - 2 * share)
    return chance(seed, channel, index) * (1 - share) + chance(seed, channel, index + 1) * share
