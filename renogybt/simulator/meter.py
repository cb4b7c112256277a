"""What a charger counts: today, the days before, and since it was new."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

DAYS_KEPT = 30


@dataclass
class Day:
    """One day's record. Volts, amperes, watts, Ah and Wh."""

    min_voltage: float = 0.0
    max_voltage: float = 0.0
    max_charge_current: float = 0.0
    max_discharge_current: float = 0.0
    max_charge_power: float = 0.0
    max_discharge_power: float = 0.0
    charge_ah: float = 0.0
    discharge_ah: float = 0.0
    generation: float = 0.0
    consumption: float = 0.0

    def note(self, voltage: float, charge: float, discharge: float, hours: float) -> None:
        """`charge` and `discharge` in A, both positive."""
        self.min_voltage = min(self.min_voltage or voltage, voltage)
        self.max_voltage = max(self.max_voltage, voltage)
        self.max_charge_current = max(self.max_charge_current, charge)
        self.max_discharge_current = max(self.max_discharge_current, discharge)
        self.max_charge_power = max(self.max_charge_power, charge * voltage)
        self.max_discharge_power = max(self.max_discharge_power, discharge * voltage)
        self.charge_ah += charge * hours
        self.discharge_ah += discharge * hours
        self.generation += charge * voltage * hours
        self.consumption += discharge * voltage * hours


@dataclass
class Meter:
    """Counters of one charger; the totals include today. `past` holds the days before, yesterday first."""

    days: int = 300
    overdischarged: int = 0
    fully_charged: int = 60
    charge_ah: float = 0.0
    discharge_ah: float = 0.0
    generation: float = 0.0
    consumption: float = 0.0
    today: Day = field(default_factory=Day)
    past: deque[Day] = field(default_factory=lambda: deque(maxlen=DAYS_KEPT))

    def note(self, voltage: float, charge: float, discharge: float, hours: float) -> None:
        self.today.note(voltage, charge, discharge, hours)
        self.charge_ah += charge * hours
        self.discharge_ah += discharge * hours
        self.generation += charge * voltage * hours
        self.consumption += discharge * voltage * hours

    def midnight(self) -> None:
        self.past.appendleft(self.today)
        self.today = Day()
        self.days += 1

    def day(self, ago: int) -> Day:
        """The record of `ago` days back, 0 = today; all zero where none was kept."""
        if ago == 0:
            return self.today
        return self.past[ago - 1] if ago <= len(self.past) else Day()
