"""Names of values, and the time zone in which days turn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from renogybt import devices
from renogybt.config.checks.judge import Judge
from renogybt.config.report import hint
from renogybt.settings import Settings


def check_data(judge: Judge) -> None:
    data = judge.settings.data
    if data.fields:
        _fields(judge, data.fields)
    if data.timezone and (fault := timezone_fault(data.timezone)):
        judge.fault("data", "timezone", fault)


def _fields(judge: Judge, names: Iterable[str]) -> None:
    """Only what looks like a slip of the pen: some names (battery_48_..., of the link) stand in no table."""
    known = value_names(judge.settings)
    for name in names:
        numbered = re.match(r"combined_|battery_[0-9]", name)
        if numbered or any(fnmatchcase(key, name) for key in known):
            continue
        if meant := hint(name, known):
            judge.warn("data", "fields", f"no device has a value called {name}{meant}")


def value_names(settings: Settings) -> set[str]:
    """The name of every value that a device may have, and that the banks of batteries in `settings` have."""
    tables = list(devices.FAMILIES.values())
    for device in settings.devices:
        if device.type == "RNG_BATT" and len(set(device.device_id)) > 1:
            tables.append(devices.family(devices.bank_key(tuple(dict.fromkeys(device.device_id)))))
    return set().union(*(table.keys() for table in tables))


def timezone_fault(name: str) -> str:
    """Why `name` is no time zone that this machine knows; "" when it is one."""
    from zoneinfo import ZoneInfo, available_timezones  # loaded only when somebody names a zone

    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        zones = available_timezones()
        if not zones:
            return "the time zones are missing on this machine; install them (sudo apt install tzdata)"
        return f"must be a time zone like Europe/Amsterdam{_meant(name, zones)}"
    return ""


def _meant(name: str, zones: Iterable[str]) -> str:
    """Also finds a zone by its city. Etc/GMT+1 and its like are left out: they mean the opposite of what one thinks."""
    word = name.strip().replace(" ", "_").lower()
    places = sorted(zone for zone in zones if "/" in zone and not zone.startswith("Etc/"))
    for zone in (*places, "UTC"):
        if zone.lower().rpartition("/")[2] == word:
            return f"; did you mean {zone}?"
    return hint(word, places)
