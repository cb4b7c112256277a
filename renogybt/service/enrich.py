"""Adds to a reading what the device itself does not know (energy totals), and lets no counter of it jump."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any

from renogybt import devices
from renogybt.energy.days import Calendar, Days
from renogybt.energy.guard import Moment, Rule, powers_of, rules_of
from renogybt.energy.totals import TODAY, TOTALS, EnergyTotals
from renogybt.protocol.table import Derived, Family
from renogybt.reading import Identity, Reading
from renogybt.settings import Device, Settings

log = logging.getLogger(__name__)
COMBINED = "combined_"
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Counted:
    """What a table says about counting: `measured` voltage and current, `rules` of its counters, `powers` its keys in W."""

    measured: tuple[str, ...]
    rules: tuple[Rule, ...]
    powers: tuple[str, ...]


class Enricher:
    """Belongs to one thread. Raises `UserError` when `timezone` is no time zone."""

    def __init__(self, settings: Settings, totals: EnergyTotals) -> None:
        self._settings, self._totals = settings, totals
        self._calendar = Calendar(Days(settings.data.timezone, settings.data.reset_hour), totals.latest_day)
        self._held: set[tuple[str, str]] = set()

    def enrich(self, reading: Reading, device: Device) -> Reading:
        """The reading with its energy totals (kWh), and with the last good value for a counter that cannot be believed.

        The keys of those counters stand in `dropped`.
        """
        counted = counted_of(reading.family)
        if not counted.rules:
            return reading
        day = self._calendar.day(reading.taken_at, reading.monotonic)
        values = dict(reading.values)
        if reading.identity.unit is None:
            values |= self._bank(reading.identity, device, day)
        elif counted.measured:
            values |= self._count(reading, counted.measured, device, day)
        held = self._guard(reading, counted, values, day)
        return replace(reading, values=values, dropped=(*reading.dropped, *held))

    def _count(self, reading: Reading, measured: tuple[str, ...], device: Device, day: date) -> dict[str, float]:
        """The totals of a device, counted from volts x amperes where both were read."""
        uid, name = reading.identity.uid, reading.identity.label
        volts, amperes = (reading.values.get(key) for key in measured)
        if volts is None or amperes is None:
            totals = self._totals.totals(uid, name)
        else:
            gap = self._settings.data.max_gap * self._settings.period(device)
            totals = self._totals.add(uid, name, volts * amperes, reading.monotonic, gap, day)
        found = (*totals, *self._totals.today(uid, name, day))
        return {key: round(value, DIGITS) for key, value in zip((*TOTALS, *TODAY), found, strict=True)}

    def _bank(self, bank: Identity, device: Device, day: date) -> dict[str, float]:
        """The sums over all batteries of a bank. A silent battery keeps its totals, but not those of a day gone by."""
        sums = [0.0] * 4
        for unit in device.device_id:
            battery = replace(bank, unit=unit)
            uid, name = battery.uid, battery.label
            found = (*self._totals.totals(uid, name), *self._totals.today(uid, name, day))
            sums = [total + more for total, more in zip(sums, found, strict=True)]
        return {COMBINED + key: round(total, DIGITS) for key, total in zip((*TOTALS, *TODAY), sums, strict=True)}

    def _guard(self, reading: Reading, counted: Counted, values: dict[str, Any], day: date) -> list[str]:
        """Correct the counters in `values`; the keys of those held back."""
        uid, label = reading.identity.uid, reading.identity.label
        guard = self._totals.guard(uid, label)
        now = Moment(reading.monotonic, reading.taken_at, day)
        for key in counted.powers:
            if (watts := values.get(key)) is not None:
                guard.saw_power(watts)
        held = []
        for rule in counted.rules:
            value = values.get(rule.key)
            if value is None:
                continue
            admitted = guard.admit(rule, value, now)
            if admitted.held:
                held.append(rule.key)
                self._say_held(uid, label, rule, value, admitted.value)
            else:
                self._held.discard((uid, rule.key))
            if admitted.rebased:
                level = logging.INFO if rule.daily else logging.WARNING
                log.log(level, "%s: %s is %s now, because several readings in a row agree", label, rule.key, value)
            values[rule.key] = admitted.value
        return held

    def _say_held(self, uid: str, label: str, rule: Rule, value: float, good: float) -> None:
        """Once per event; a day's counter that falls is no news, it does so every day."""
        if (uid, rule.key) in self._held:
            return
        self._held.add((uid, rule.key))
        level = logging.DEBUG if rule.daily and value < good else logging.WARNING
        log.log(level, "%s: %s reads %s after %s; held back until it is confirmed", label, rule.key, value, good)


@lru_cache(maxsize=64)
def counted_of(key: str) -> Counted:
    """What is counted for the table `key`."""
    family = devices.family(key)
    return Counted(metered(family) or (), rules_of(family), powers_of(family))


def metered(family: Family) -> tuple[str, ...] | None:
    """The keys (voltage, current) that a family's energy totals are counted from, None when it has no such totals."""
    row = family.row(TOTALS[0])
    return row.needs if isinstance(row, Derived) and len(row.needs) == 2 else None
