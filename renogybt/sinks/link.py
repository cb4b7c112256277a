"""How the link to a device does, as rows and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from renogybt.protocol.quantity import CONNECTED, COUNT, PERCENT, RSSI, TEXT, TIMESTAMP
from renogybt.protocol.table import Derived
from renogybt.reading import LinkFigures
from renogybt.sinks.document import DATA_AGE, cleaned
from renogybt.sinks.standing import SECONDS

ERRORS = COUNT.but(icon="mdi:alert-circle-outline", precision=0)
LONGEST_TEXT = 250
"""Home Assistant shows texts over 255 characters as unknown."""

LINK_ROWS: tuple[Derived, ...] = (
    Derived("connected", (), None, CONNECTED, "Connection"),
    Derived("rssi", (), None, RSSI, "Signal strength", hidden=True, precision=0),
    Derived("last_update", (), None, TIMESTAMP, "Last update", hidden=True),
    Derived("reads", (), None, COUNT.but(icon="mdi:counter"), "Reads", hidden=True, precision=0),
    Derived("read_errors", (), None, ERRORS, "Read errors", hidden=True),
    Derived("success_rate", (), None, PERCENT.but(diagnostic=True), "Success rate", precision=0),
    Derived("connect_seconds", (), None, SECONDS, "Time to connect", hidden=True, precision=1),
    Derived(DATA_AGE, (), None, SECONDS, "Age of values", hidden=True, precision=0),
    Derived("crc_errors", (), None, ERRORS, "Checksum errors", hidden=True),
    Derived("timeouts", (), None, ERRORS, "Timeouts", hidden=True),
    Derived("reconnects", (), None, COUNT.but(icon="mdi:lan-pending"), "Reconnects", hidden=True, precision=0),
    Derived("resets", (), None, COUNT.but(icon="mdi:restart"), "Adapter resets", hidden=True, precision=0),
    Derived("last_error", (), None, TEXT.but(icon="mdi:alert-circle-outline"), "Last error", hidden=True),
)


def link_document(figures: LinkFigures) -> dict[str, Any]:
    """The JSON of the link topic; `last_update` in ISO 8601 with zone, null for what is not known."""
    found: dict[str, Any] = {row.key: cleaned(getattr(figures, row.key), 2) for row in LINK_ROWS}
    found["last_update"] = timestamp(figures.last_update)
    found["last_error"] = figures.last_error[:LONGEST_TEXT] or None
    return found | {key: cleaned(value) for key, value in figures.extra.items()}


def timestamp(seconds: float | None) -> str | None:
    """Wall-clock seconds as ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
