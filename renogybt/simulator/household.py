"""What uses the energy, and when the car drives. Times are seconds of local time."""

from __future__ import annotations

from renogybt.simulator.chance import between, chance, drift
from renogybt.simulator.weather import DAY, HOUR, MINUTE, air

FRIDGE, LIGHTS, PUMP = 55.0, 28.0, 80.0
"""Watts while on."""
FRIDGE_ROUND = 40 * MINUTE


def dc_load(seed: int, at: float) -> float:
    """Watts at the load terminal of the charge controller: fridge, lights in the evening, water pump."""
    return _fridge(seed, at) + _lights(seed, at) + _pump(seed, at) + 3.0


def ac_load(seed: int, at: float) -> float:
    """Watts at the inverter's socket: standing load, laptops by day, television and heater in the evening, a kettle."""
    time = at % DAY
    watts = 18.0 + 14 * drift(seed, 21, at, 5 * MINUTE)
    if 9 * HOUR < time < 17 * HOUR and chance(seed, 22, int(at // HOUR)) < 0.6:
        watts += 90.0
    if 18.5 * HOUR < time < 23 * HOUR:
        watts += 110.0 + (250.0 if chance(seed, 20, int(at // (12 * MINUTE))) < 0.45 else 0.0)
    return watts + _kettle(seed, at)


def drives(seed: int, day: int) -> list[tuple[float, float]]:
    """Start and end of the day's drives, in seconds since midnight."""
    found = []
    if chance(seed, 31, day) < 0.7:
        start = between(10.2 * HOUR, 11.5 * HOUR, seed, 32, day)
        found.append((start, start + between(30 * MINUTE, 70 * MINUTE, seed, 33, day)))
    if chance(seed, 34, day) < 0.6:
        start = between(16 * HOUR, 19 * HOUR, seed, 35, day)
        found.append((start, start + between(20 * MINUTE, 60 * MINUTE, seed, 36, day)))
    return found


def driving(seed: int, at: float) -> bool:
    return any(start <= at % DAY < end for start, end in drives(seed, int(at // DAY)))


def _fridge(seed: int, at: float) -> float:
    share = min(0.9, max(0.15, 0.35 + (air(seed, at) - 15) / 50))
    return FRIDGE if at % FRIDGE_ROUND < share * FRIDGE_ROUND else 0.0


def _lights(seed: int, at: float) -> float:
    day, time = int(at // DAY), at % DAY
    on = between(18.5 * HOUR, 20 * HOUR, seed, 23, day)
    off = between(22 * HOUR, 23.7 * HOUR, seed, 24, day)
    return LIGHTS if on <= time < off else 0.0


def _pump(seed: int, at: float) -> float:
    hour = int(at // HOUR)
    if not 7 <= hour % 24 < 22 or chance(seed, 25, hour) > 0.5:
        return 0.0
    start = between(0, 55 * MINUTE, seed, 26, hour)
    return PUMP if start <= at % HOUR < start + 3 * MINUTE else 0.0


def _kettle(seed: int, at: float) -> float:
    hour = int(at // HOUR)
    likely = {7: 0.9, 10: 0.7, 12: 0.8, 15: 0.5, 18: 1.0}.get(hour % 24, 0.0)
    if chance(seed, 27, hour) >= likely:
        return 0.0
    start = between(0, 45 * MINUTE, seed, 28, hour)
    length = between(5 * MINUTE, 14 * MINUTE, seed, 29, hour)
    return 820.0 if start <= at % HOUR < start + length else 0.0
