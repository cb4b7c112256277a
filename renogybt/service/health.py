"""How the program does: what happened to it, and in which state its parts are. Lives in the main thread."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from renogybt.incident import Incident
from renogybt.reading import Failure, Identity, LinkFigures, Reading

REMEMBERED = 100
RESETS = ("power_cycle", "new_loop", "restart_service")
"""The kinds of incidents that interrupt readings: they count as resets."""


class Health:
    """Keeps the last incidents, counts all of them by kind, and knows how each device was last read."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._incidents: deque[Incident] = deque(maxlen=REMEMBERED)
        self.counts: Counter[str] = Counter()
        self._devices: dict[str, dict[str, Any]] = {}

    @property
    def resets(self) -> int:
        return sum(self.counts[kind] for kind in RESETS)

    def happened(self, incident: Incident) -> None:
        self._incidents.append(incident)
        self.counts[incident.kind] += 1

    def expect(self, identity: Identity) -> None:
        """A device that is to be read."""
        self._device(identity)

    def read(self, reading: Reading) -> None:
        device = self._device(reading.identity)
        device |= {"state": "online", "family": reading.family, "last_read": timestamp(reading.taken_at), "error": None}
        device["missing"] = list(reading.missing)

    def failed(self, failure: Failure) -> None:
        self._device(failure.identity)["error"] = failure.error

    def stands(self, identity: Identity, stage: str) -> None:
        self._device(identity)["state"] = stage

    def figures(self, identity: Identity, figures: LinkFigures) -> None:
        device = self._device(identity)
        names = ("reads", "read_errors", "success_rate", "connect_seconds", "rssi", "crc_errors", "timeouts", "reconnects")
        device["link"] = {name: getattr(figures, name) for name in names}

    def _device(self, identity: Identity) -> dict[str, Any]:
        return self._devices.setdefault(identity.label, {"state": "waiting", "uid": identity.uid, "error": None})

    def snapshot(self, wall: float, **more: Mapping[str, Any]) -> dict[str, Any]:
        """Everything, as JSON can carry it. `state` is ok, or degraded while a device is not read."""
        silent = [label for label, device in self._devices.items() if device["state"] not in ("online", "released")]
        return {
            "state": "degraded" if silent else "ok",
            "started": timestamp(self._started),
            "now": timestamp(wall),
            "devices": {label: dict(device) for label, device in self._devices.items()},
            "resets": {kind: self.counts[kind] for kind in RESETS},
            "counts": dict(self.counts),
            "incidents": [{"at": timestamp(i.at), "kind": i.kind, "text": i.text} for i in self._incidents],
            **more,
        }

    @property
    def silent(self) -> int:
        """Devices that are not read at present."""
        return sum(device["state"] not in ("online", "released", "waiting") for device in self._devices.values())

    @property
    def devices(self) -> int:
        return len(self._devices)


def timestamp(seconds: float) -> str:
    """Wall-clock seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
