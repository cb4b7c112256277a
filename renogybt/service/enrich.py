"""Adds to a reading what the device itself does not know: energy totals."""

from __future__ import annotations

from dataclasses import replace

from renogybt import devices
from renogybt.energy.totals import EnergyTotals
from renogybt.protocol.table import Derived, Family
from renogybt.reading import Reading
from renogybt.settings import Device, Settings

IN, OUT = "energy_in_kwh", "energy_out_kwh"


class Enricher:
    def __init__(self, settings: Settings, totals: EnergyTotals) -> None:
        self._settings, self._totals = settings, totals

    def enrich(self, reading: Reading, device: Device) -> Reading:
        """The reading with its energy totals (kWh), where its table has such rows; the power is volts x amperes."""
        measured = metered(devices.family(reading.family)) if reading.identity.unit is not None else None
        if measured is None:
            return reading
        identity = reading.identity
        volts, amperes = (reading.values.get(key) for key in measured)
        if volts is None or amperes is None:
            totals = self._totals.totals(identity.uid, identity.label)
        else:
            gap = self._settings.data.max_gap * self._settings.period(device)
            totals = self._totals.add(identity.uid, identity.label, volts * amperes, reading.monotonic, gap)
        return replace(reading, values={**reading.values, IN: round(totals[0], 6), OUT: round(totals[1], 6)})


def metered(family: Family) -> tuple[str, ...] | None:
    """The keys (voltage, current) that a family's energy totals are counted from, None when it has no such totals."""
    row = family.row(IN)
    return row.needs if isinstance(row, Derived) and len(row.needs) == 2 else None
