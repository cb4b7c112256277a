"""What was answered: one immutable snapshot of one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Value = Any
"""int, float, str, bool, list of str or int, or None for "not read"."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which device a reading is of.

    `mac` upper case with colons, `unit` the bus address asked for (None for a combined bank), `shared` whether several
    devices sit behind this address, `part` which side of the device when it is not its live values ("history"). `uid` is
    the identity for ever: topics may follow the alias, ids never do.
    """

    mac: str
    unit: int | None
    alias: str
    shared: bool = False
    part: str = ""
    uid: str = field(init=False, repr=False, compare=False)
    """`aabbccddeeff`, `aabbccddeeff_48` behind a hub, `aabbccddeeff_combined` for a bank."""

    def __post_init__(self) -> None:
        base = self.mac.replace(":", "").replace("-", "").lower()
        if self.unit is None:
            uid = f"{base}_combined"
        else:
            uid = "_".join([base, *([str(self.unit)] if self.shared else []), *([self.part] if self.part else [])])
        object.__setattr__(self, "uid", uid)  # made once: everybody who follows a device asks for it, many times a second

    @property
    def label(self) -> str:
        """`<alias>_<unit>`, the name that topics and the log use."""
        return f"{self.alias}_{'combined' if self.unit is None else self.unit}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One device's values at one moment.

    `values` holds every key the device has, None where nothing was read; temperatures in °C, energies in the row's unit.
    `taken_at` is wall-clock seconds since 1970, `monotonic` the same moment on the monotonic clock. `missing` names the
    windows that did not answer in this cycle, `dropped` the keys whose value was outside its plausible range
    (it is None then) or an unlikely step of a counter (which keeps its last good value).
    `family` is the table's key (`devices.family(key)` gives the table).
    """

    identity: Identity
    family: str
    values: Mapping[str, Value]
    taken_at: float
    monotonic: float
    name: str = ""
    missing: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        return bool(self.missing)


@dataclass(frozen=True, slots=True)
class Failure:
    """A device that could not be read at all in a cycle, and why."""

    identity: Identity
    error: str
    monotonic: float
    taken_at: float


Stage = Literal["stale", "blank", "offline", "released"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with a device that is not read at present.

    `stale`: its last values still count, with their `age` in seconds. `blank`: they do not any more, but it is not given up.
    `offline`: it is. `released`: as stale, but on purpose, for the phone app. `reading` is the last good one, None if there
    never was one.
    """

    identity: Identity
    stage: Stage
    reading: Reading | None = None
    age: float | None = None


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """How well the link to one device does; counts since the start of the program.

    `success_rate` in % of the last 100 attempts to read it; `connect_seconds` what the last connection took; `data_age`
    seconds since the last good reading; `resets` of the adapter by the watchdog.
    """

    connected: bool = False
    rssi: int | None = None
    reads: int = 0
    read_errors: int = 0
    success_rate: float | None = None
    connect_seconds: float | None = None
    data_age: float | None = None
    resets: int = 0
    crc_errors: int = 0
    timeouts: int = 0
    reconnects: int = 0
    last_update: float | None = None
    last_error: str = ""
    extra: Mapping[str, Value] = field(default_factory=dict)
