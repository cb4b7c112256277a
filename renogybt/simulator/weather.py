"""Sun, clouds and air temperature. Times are seconds of local time: `at % DAY` is the time of day."""

from __future__ import annotations

from math import cos, pi, sin

from renogybt.simulator.chance import chance, drift

DAY, HOUR, MINUTE = 86400, 3600, 60
SUNRISE, SUNSET = 6 * HOUR, 20 * HOUR


def clear_sky(at: float) -> float:
    """Sunlight under a clear sky, 1 at noon of a summer day, 0 at night."""
    height = sin(pi * (at % DAY - SUNRISE) / (SUNSET - SUNRISE))
    return max(0.0, height) ** 1.2 if SUNRISE < at % DAY < SUNSET else 0.0


def cloud(seed: int, at: float) -> float:
    """Share of the light that clouds take, 0 … 0.85. Each day has its own weather, each hour its own sky."""
    grey = chance(seed, 1, int(at // DAY)) ** 2
    sky = 0.7 * drift(seed, 2, at, 2400) + 0.3 * drift(seed, 3, at, 240)
    return min(0.85, max(0.0, (sky - 0.75 + grey) * 1.6))


def sunlight(seed: int, at: float) -> float:
    """Light on the panels, 0 … 1 (1 = 1000 W/m²)."""
    return clear_sky(at) * (1 - cloud(seed, at))


def air(seed: int, at: float) -> float:
    """Air temperature in °C: coldest before sunrise, warmest in the afternoon."""
    season = 14 + 8 * (drift(seed, 4, at, 3 * DAY) - 0.5)
    return season + 6 * cos(2 * pi * (at % DAY - 15 * HOUR) / DAY) - 2 * cloud(seed, at)
