"""All devices of one configuration section: one reading cycle over one borrowed connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Protocol

from renogybt.errors import ConnectFailed, DeviceError, Held, LinkError, LinkLost, NoAdapter, NotFound, Released, Wedged
from renogybt.link import Link
from renogybt.protocol.table import Gatt
from renogybt.reading import Failure, Identity, LinkFigures, Reading
from renogybt.settings import Device, Settings
from renogybt.sources.bank import Bank
from renogybt.sources.history import History
from renogybt.sources.modbus_device import ModbusDevice
from renogybt.sources.shunt import Shunt
from renogybt.sources.unit import Tally

log = logging.getLogger(__name__)
Report = Callable[[Reading | Failure | tuple[Identity, LinkFigures]], None]
REST = 6.0
"""Times `battery_retry_seconds` that a silent unit among answering neighbours is left alone."""
FIGURES_EVERY, FAILING_EVERY = 60.0, 10.0
"""Seconds between two reports of the same figures, and of those of a device that is not read, which change each cycle."""
ATTEMPTS = 100
"""So many of the last attempts make the success rate."""


class Radio(Protocol):
    """What lends connections: Bluetooth or the simulator."""

    def lend(self, device: Device, gatt: Gatt) -> AbstractAsyncContextManager[Link]: ...

    def rssi(self, device: Device) -> int | None: ...

    def connect_seconds(self, device: Device) -> float | None:
        """What the last connection to this module took; None when there was none yet."""
        ...


class Source:
    """One device and how well its link does. `_attempts` has a bit for each of the last attempts, set if it was read."""

    def __init__(self, reader: ModbusDevice | Shunt | History, device: Device, rest: float = 30.0) -> None:
        self.reader, self.device, self._rest = reader, device, rest
        self.identity = reader.identity
        self.reads = self.errors = 0
        self.last_update: float | None = None
        self.last_error = ""
        self.resting_until = 0.0
        self._told: tuple[float, str] | None = None
        self._attempts = 0
        self._good_at: float | None = None

    def succeeded(self, reading: Reading) -> None:
        self.reads += 1
        self._attempted(True)
        self.last_update, self._good_at, self.last_error = reading.taken_at, reading.monotonic, ""
        self.resting_until = 0.0

    def failed(self, error: Exception) -> None:
        """It was not read. While somebody has the module on our own terms, that is no failed attempt."""
        self.last_error = str(error)
        if not isinstance(error, Released):
            self.errors += 1
            self._attempted(False)

    def _attempted(self, good: bool) -> None:
        self._attempts = (self._attempts << 1 | good) & (1 << ATTEMPTS) - 1

    @property
    def success_rate(self) -> float | None:
        """In % of the last attempts; None before the first."""
        known = min(ATTEMPTS, self.reads + self.errors)
        return round(100 * self._attempts.bit_count() / known, 1) if known else None

    def rest(self, now: float) -> None:
        """Leave a unit that is silent among neighbours alone for a while: each question costs a time-out."""
        if self.identity.shared:
            self.resting_until = now + self._rest

    def worth_telling(self, now: float) -> bool:
        """Whether the figures should go out: when something came up or passed, else now and then."""
        told, self._told = self._told, (now, self.last_error)
        pause = FAILING_EVERY if self.last_error else FIGURES_EVERY
        if told is None or told[1] != self.last_error or now - told[0] >= pause:
            return True
        self._told = told
        return False

    def figures(self, radio: Radio, now: float) -> LinkFigures:
        tally: Tally = self.reader.tally if isinstance(self.reader, Shunt) else self.reader.unit.tally
        return LinkFigures(
            connected=not self.last_error,
            rssi=radio.rssi(self.device),
            reads=self.reads,
            read_errors=self.errors,
            success_rate=self.success_rate,
            connect_seconds=radio.connect_seconds(self.device),
            data_age=None if self._good_at is None else max(0.0, now - self._good_at),
            crc_errors=tally.crc_errors,
            timeouts=tally.timeouts,
            reconnects=tally.reconnects,
            last_update=self.last_update,
            last_error=self.last_error,
        )


class Section:
    """The devices of one `[device]` section, read one after the other."""

    def __init__(self, device: Device, settings: Settings) -> None:
        self.device = device
        rest = REST * settings.bluetooth.battery_retry_seconds
        self.sources = [Source(reader(identity, device), device, rest) for identity in identities(device, settings)]
        several_batteries = device.type == "RNG_BATT" and len(device.device_id) > 1
        combined = Identity(device.module, None, device.alias, True)
        self.bank = Bank(combined, device.device_id) if several_batteries else None
        self._pasts = list(pasts(self.sources, device)) if wants_past(device, settings) else []

    @property
    def identities(self) -> list[Identity]:
        """Everything this section makes readings of."""
        return [source.identity for source in self.sources] + ([self.bank.identity] if self.bank else [])

    async def cycle(self, radio: Radio, report: Report) -> None:
        """Read every device once and report each as soon as it is read."""
        now = time.monotonic()
        due = [source for source in self.sources if now >= source.resting_until]
        for source in self.sources:
            if source not in due:
                report(Failure(source.identity, source.last_error, now, time.time()))
        pending, silent, answered = list(due), list[Source](), False
        try:
            if due:
                async with radio.lend(self.device, self.sources[0].reader.gatt) as link:
                    for source in due:
                        trouble = await self._read(source, link, report)
                        pending.remove(source)
                        answered = answered or trouble is None
                        if trouble is not None and not isinstance(trouble, LinkLost):
                            silent.append(source)
        except LinkError as error:
            for source in pending:
                source.failed(error)
                report(Failure(source.identity, str(error), time.monotonic(), time.time()))
        now = time.monotonic()
        if answered or len(self.sources) == 1:  # when nobody answers, it is the module that fails, not a unit behind it
            for source in silent:
                source.rest(now)
        for source in self.sources:
            if source.worth_telling(now):
                report((source.identity, source.figures(radio, now)))

    @property
    def has_past(self) -> bool:
        """Whether its devices keep records of former days, and the history is to have them."""
        return bool(self._pasts)

    async def read_past(self, radio: Radio) -> list[Reading]:
        """The days that its charge controllers keep, read between their turns. Raises `LinkError` or `DeviceError`."""
        async with radio.lend(self.device, self._pasts[0].gatt) as link:
            return [await reader.read(link) for reader in self._pasts]

    async def _read(self, source: Source, link: Link, report: Report) -> LinkError | DeviceError | None:
        """Read one device; returns why that failed. Raises when there is no connection to the module any more, which
        concerns all its devices."""
        try:
            reading = await source.reader.read(link)
        except (NotFound, ConnectFailed, Held, NoAdapter, Released, Wedged):
            raise
        except (LinkError, DeviceError) as error:
            source.failed(error)
            report(Failure(source.identity, str(error), time.monotonic(), time.time()))
            return error
        source.succeeded(reading)
        report(reading)
        return None


def identities(device: Device, settings: Settings) -> Iterator[Identity]:
    """Who lives behind the module of `device`; `shared` when the whole configuration knows more than one unit there."""
    mac = device.module
    units = {unit for other in settings.devices if other.module == mac for unit in other.device_id}
    part = "history" if device.type == "RNG_CTRL_HIST" else ""
    for unit in device.device_id:
        yield Identity(mac, unit, device.alias, len(units) > 1, part)


def reader(identity: Identity, device: Device) -> Any:
    """What reads a device of this type."""
    makers: dict[str, Any] = {"RNG_SHNT": Shunt, "RNG_CTRL_HIST": History}
    return makers.get(device.type, ModbusDevice)(identity, device)


def wants_past(device: Device, settings: Settings) -> bool:
    """Whether to read the days a controller keeps in the background: not if a section of the user's own reads them."""
    mac, wish = device.module, settings.history
    own = any(other.type == "RNG_CTRL_HIST" and other.module == mac for other in settings.devices)
    return device.type == "RNG_CTRL" and wish.enabled and wish.controller_history and not own


def pasts(sources: list[Source], device: Device) -> Iterator[History]:
    """What reads the former days of the controllers that `sources` read, as their guests."""
    for source in sources:
        if isinstance(source.reader, ModbusDevice):
            yield History(replace(source.identity, part="history"), device, guest_of=source.reader.unit)
