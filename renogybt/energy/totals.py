"""The energy totals of all devices: in memory, and from time to time in a file."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from renogybt.energy import file
from renogybt.energy.guard import Guard, numbers
from renogybt.energy.meter import Meter

log = logging.getLogger(__name__)
FLUSH_EVERY = 60.0
REMEMBER_EVERY = 600.0
"""Seconds between two writes for the guards' sake alone: what they remember is a bound, and an older one holds as well."""
TOTALS = ("energy_in_kwh", "energy_out_kwh")
TODAY = ("energy_in_today_kwh", "energy_out_today_kwh")


@dataclass(slots=True)
class Account:
    """What is kept of one device; `rest` are the entries of the file that others may have put there."""

    name: str
    meter: Meter
    guard: Guard
    rest: dict[str, Any] = field(default_factory=dict)


class EnergyTotals:
    """Meters and guards by device, read from `path` once and written back when something changed.

    The predecessor's file (same layout, keyed by `<alias>_<device_id>`) is carried on, and what nobody here knows stays in
    the file as it is. `problem` tells why the file cannot be written, "" while it can. `latest_day` is the latest day of
    which something was counted when the file was read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._accounts: dict[str, Account] = {}
        self._unclaimed: dict[str, Any] = file.read(path, parse) or {}
        days = [day_of(entry) for entry in self._unclaimed.values()]
        self.latest_day = max((day for day in days if day), default=None)
        self._written_at: float | None = None
        self._dirty = False

    def add(
        self, uid: str, name: str, power: float, at: float, longest_gap: float, day: date | None = None
    ) -> tuple[float, float]:
        """Count `power` (W) measured at monotonic second `at`; the totals of device `uid` in kWh, in and out.

        `day` is the local day of the measurement; without it no days are counted.
        """
        account = self._accounts.get(uid)
        if account is None or account.name != name:
            account = self._account(uid, name)
        meter = account.meter
        if day is not None and meter.turn(day):
            self._dirty = True
        if meter.add(power, at, longest_gap):
            self._dirty = True
        return meter.energy_in, meter.energy_out

    def totals(self, uid: str, name: str) -> tuple[float, float]:
        """kWh of all time, in and out."""
        meter = self._account(uid, name).meter
        return meter.energy_in, meter.energy_out

    def today(self, uid: str, name: str, day: date) -> tuple[float, float]:
        """kWh of the local day `day`, in and out."""
        meter = self._account(uid, name).meter
        self._dirty = meter.turn(day) or self._dirty
        return meter.today_in, meter.today_out

    def guard(self, uid: str, name: str) -> Guard:
        """The guard of the device's counters, with what it remembers from earlier runs."""
        return self._account(uid, name).guard

    def flush_if_due(self, now: float) -> None:
        """Write the file if something changed and the last time was long enough ago (monotonic seconds)."""
        if self._written_at is None:
            self._written_at = now
        since = now - self._written_at
        if since >= FLUSH_EVERY and (self._dirty or (since >= REMEMBER_EVERY and self._guards_changed())):
            self.flush()
            self._written_at = now

    def flush(self) -> bool:
        """Write the file now if something changed. A disk that fails is reported once; counting goes on in memory."""
        if not self._dirty and not self._guards_changed():
            return True
        try:
            file.write(self.path, json.dumps(self._content(), indent=1))
        except OSError as error:
            if not self.problem:
                log.error("energy totals cannot be written to %s: %s; counting goes on in memory", self.path, error)
            self.problem = str(error)
            return False
        if self.problem:
            log.info("energy totals are written to %s again", self.path)
        self.problem, self._dirty = "", False
        for account in self._accounts.values():
            account.guard.changed = False
        return True

    def _guards_changed(self) -> bool:
        return any(account.guard.changed for account in self._accounts.values())

    def _account(self, uid: str, name: str) -> Account:
        account = self._accounts.get(uid)
        if account is None:
            entry = self._claim(uid)
            if not entry and (entry := self._claim(name)):
                self._dirty = True  # it belongs under its new key
            self._accounts[uid] = account = opened(name, entry)
        account.name = name
        return account

    def _claim(self, key: str) -> dict[str, Any]:
        """Take the entry `key` out of what the file had; empty when there is none."""
        entry = self._unclaimed.get(key)
        return dict(self._unclaimed.pop(key)) if isinstance(entry, dict) else {}

    def _content(self) -> dict[str, Any]:
        return self._unclaimed | {uid: entry_of(account) for uid, account in self._accounts.items()}


def opened(name: str, entry: dict[str, Any]) -> Account:
    """The account that an entry of the file stands for. Takes what it knows out of `entry`."""
    day = day_of(entry)
    values = [entry.pop(key, 0.0) for key in (*TOTALS, *TODAY)]
    entry.pop("day", None)
    meter = Meter(float(values[0]), float(values[1]))
    if day and numbers(*values[2:]):
        meter.today_in, meter.today_out, meter.day = float(values[2]), float(values[3]), day
    guard = Guard()
    guard.restore({key: entry.pop(key, None) for key in ("most_power", "counters")})
    entry.pop("name", None)
    return Account(name, meter, guard, entry)


def entry_of(account: Account) -> dict[str, Any]:
    meter = account.meter
    entry = account.rest | {TOTALS[0]: meter.energy_in, TOTALS[1]: meter.energy_out, "name": account.name}
    if meter.day:
        entry |= {TODAY[0]: meter.today_in, TODAY[1]: meter.today_out, "day": meter.day.isoformat()}
    return entry | account.guard.state()


def parse(text: str) -> dict[str, Any]:
    """A file's content by device. Raises `ValueError` for anything that is no such file."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("not a table of totals")
    for device, entry in content.items():
        found = [entry.get(key, 0) for key in TOTALS] if isinstance(entry, dict) else []
        if not numbers(*found) or any(not 0 <= number < 1e9 for number in found):
            raise ValueError(f"{device} holds no energy totals")
    return content


def day_of(entry: Any) -> date | None:
    """The day an entry counts, None when it says none."""
    try:
        return date.fromisoformat(entry["day"])
    except (TypeError, KeyError, ValueError):
        return None
