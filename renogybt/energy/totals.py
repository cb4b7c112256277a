"""The energy totals of all devices: in memory, and from time to time in a file."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from renogybt.energy.meter import Meter

log = logging.getLogger(__name__)
FLUSH_EVERY = 60.0
KEYS = ("energy_in_kwh", "energy_out_kwh")


class EnergyTotals:
    """Meters by device, read from `path` once and written back at most every `FLUSH_EVERY` seconds, if changed.

    The file is written beside, synced and renamed; the previous one stays as `.bak` and is used when the file is torn. The
    predecessor's file (same layout, keyed by `<alias>_<device_id>`) is carried on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        self._meters: dict[str, Meter] = {}
        self._names: dict[str, str] = {}
        self._foreign = self._load()
        self._written_at: float | None = None
        self._dirty = False

    def add(self, uid: str, name: str, power: float, at: float, longest_gap: float) -> tuple[float, float]:
        """Count `power` (W) measured at monotonic second `at`; the totals of device `uid` in kWh, in and out."""
        meter = self._meter(uid, name)
        before = (meter.energy_in, meter.energy_out)
        meter.add(power, at, longest_gap)
        self._dirty = self._dirty or before != (meter.energy_in, meter.energy_out)
        return meter.energy_in, meter.energy_out

    def totals(self, uid: str, name: str) -> tuple[float, float]:
        meter = self._meter(uid, name)
        return meter.energy_in, meter.energy_out

    def flush_if_due(self, now: float) -> None:
        """Write the file if something changed and the last time was long enough ago (monotonic seconds)."""
        if self._written_at is None:
            self._written_at = now
        if self._dirty and now - self._written_at >= FLUSH_EVERY:
            self.flush()
            self._written_at = now

    def flush(self) -> bool:
        """Write the file now if something changed. A disk that fails is reported once; counting goes on in memory."""
        if not self._dirty:
            return True
        try:
            self._write(json.dumps(self._content(), indent=1))
        except OSError as error:
            if not self.problem:
                log.error("energy totals cannot be written to %s: %s; counting goes on in memory", self.path, error)
            self.problem = str(error)
            return False
        if self.problem:
            log.info("energy totals are written to %s again", self.path)
        self.problem, self._dirty = "", False
        return True

    def _meter(self, uid: str, name: str) -> Meter:
        if uid not in self._meters:
            stored = self._foreign.pop(uid, None) or self._foreign.pop(name, None) or {}
            self._meters[uid] = Meter(*(float(stored.get(key, 0.0)) for key in KEYS))
            self._dirty = self._dirty or bool(stored)
        self._names[uid] = name
        return self._meters[uid]

    def _content(self) -> dict[str, Any]:
        own = {
            uid: {KEYS[0]: meter.energy_in, KEYS[1]: meter.energy_out, "name": self._names[uid]}
            for uid, meter in self._meters.items()
        }
        return self._foreign | own

    def _load(self) -> dict[str, dict[str, Any]]:
        """Totals by device as the file has them; from the backup when the file cannot be read."""
        backup = self.path.with_name(self.path.name + ".bak")
        for path in (self.path, backup):
            try:
                totals = parse(path.read_text("utf-8"))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                log.error("energy totals in %s cannot be read (%s)", path, error)
                keep_aside(path)
                continue
            if path == backup:
                log.warning("energy totals are taken from the backup %s", backup)
            return totals
        return {}

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(self.path.name + ".new")
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if self.path.exists():
            os.replace(self.path, self.path.with_name(self.path.name + ".bak"))
        os.replace(fresh, self.path)
        sync_folder(self.path.parent)


def parse(text: str) -> dict[str, dict[str, Any]]:
    """Totals by device from a file's text. Raises `ValueError` for anything that is no such file."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("not a table of totals")
    totals: dict[str, dict[str, Any]] = {}
    for device, entry in content.items():
        if not isinstance(entry, dict):
            continue
        numbers = {key: entry.get(key, 0) for key in KEYS}
        if any(isinstance(n, bool) or not isinstance(n, int | float) or not 0 <= n < 1e9 for n in numbers.values()):
            raise ValueError(f"{device} holds no energy totals")
        totals[device] = entry
    return totals


def keep_aside(path: Path) -> None:
    """Rename a file that cannot be read, so that nothing in it is lost."""
    try:
        os.replace(path, path.with_name(path.name + ".broken"))
    except OSError as error:
        log.debug("keeping %s aside: %s", path, error)


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
