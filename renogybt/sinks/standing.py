"""What the JSON says about the device itself being read: whether it is, and how old its values are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from renogybt.protocol.quantity import MEASUREMENT, STATE, Quantity
from renogybt.protocol.table import Derived, Row
from renogybt.reading import Identity
from renogybt.sinks.document import CLIENT, CONNECTION_STATUS, DATA_AGE, DEVICE, FUNCTION, wanted

ONLINE, OFFLINE, RELEASED = "online", "offline", "released"
SECONDS = Quantity("s", "duration", MEASUREMENT, diagnostic=True)

STATUS_ROWS = (
    Derived(
        CONNECTION_STATUS,
        (),
        None,
        STATE.but(diagnostic=True, icon="mdi:lan-connect"),
        "Connection status",
        options=[ONLINE, OFFLINE, RELEASED],
    ),
    Derived(DATA_AGE, (), None, SECONDS, "Age of values", hidden=True, precision=0),
)


def status_rows(identity: Identity, fields: Sequence[str]) -> dict[str, Row]:
    """The rows that are entities of this device. Where there is a link, that tells the age: it does so also when the
    device is offline."""
    rows = (row for row in STATUS_ROWS if row.key != DATA_AGE or identity.unit is None)
    return {row.key: row for row in rows if wanted(row.key, fields)}


def with_status(content: Mapping[str, Any], status: str, age: float | None, fields: Sequence[str]) -> dict[str, Any]:
    """`content`, a reading's JSON, with the two keys; `age` in seconds."""
    more = {CONNECTION_STATUS: status, DATA_AGE: None if age is None else int(age)}
    return dict(content) | {key: value for key, value in more.items() if wanted(key, fields)}


def blanked(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same keys without any value; only whose they are still stands there."""
    return {key: value if key in (FUNCTION, DEVICE, CLIENT) else None for key, value in content.items()}


def without_status(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What was measured; the two keys held for the moment of publishing only."""
    return ((key, value) for key, value in content.items() if key not in (CONNECTION_STATUS, DATA_AGE))
