"""The adapters that are needed: which they are, whether they are there, whether they are on."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from renogybt.ble.bus import NAMES, Bus, BusError
from renogybt.ble.diagnosis import AdapterFacts, Facts
from renogybt.ble.observed import Observed, Seen
from renogybt.ble.resets import Memory
from renogybt.ble.teller import Teller
from renogybt.ble.treatment import FAULTS, Treatment
from renogybt.settings import Watchdog as Settings

if TYPE_CHECKING:
    from renogybt.ble.view import AdapterView, ManagerView

log = logging.getLogger(__name__)
OFF_PAUSE = 2.0
"""Seconds an adapter may be off before it is switched on: somebody may be switching it off and on himself."""
GRACE = 0.8
"""Seconds an adapter is missing before it is said."""


class Adapters:
    def __init__(
        self,
        settings: Settings,
        view: ManagerView,
        bus: Bus,
        observed: Observed,
        treatment: Treatment,
        teller: Teller,
        memory: Memory,
    ) -> None:
        self._settings, self._view, self._bus, self._observed = settings, view, bus, observed
        self._treatment, self._teller, self._memory = treatment, teller, memory
        self._unanswered: dict[str, int] = {}
        self._switched: dict[str, tuple[float, int]] = {}
        """When switching on was tried last, and how often in vain."""
        self._scans = Scans()

    @property
    def needed(self) -> list[str]:
        """Names; those that were found while it is not decided yet which is used; [""] when there is none."""
        return self._decided() or list(self._observed.adapters) or [""]

    async def ask(self, quiet: bool) -> None:
        """Bring everything up to date. What does not answer is counted. `quiet`: do not mind adapters that are missing."""
        decided = self._decided()
        for name in decided or NAMES:
            changes = self._observed.changes
            try:
                held = await self._bus.adapter(name)
            except FAULTS as error:
                log.debug("asking about %s: %s", name, error)
                if isinstance(error, BusError) and (error.nobody or error.denied):
                    return  # a reset brings no permission; the reading that fails says which one is missing
                key = name if decided else ""
                self._unanswered[key] = self._unanswered.get(key, 0) + 1
                if decided:
                    continue
                return
            self._unanswered.pop(name if decided else "", None)
            if self._observed.changes != changes:
                return  # the news may be newer than the answer, and make that everything is asked for again at once
            if decided:
                missed = name in self._observed.absent
                await self._found(name, self._observed.asked(name, held), quiet, missed)
            elif held is not None and self._would_do(held):
                self._observed.asked(name, held)
        self._missing_any(not decided, quiet)
        self._forget_others(decided)
        self._mind_sessions()

    @property
    def unsure(self) -> bool:
        """An adapter went a moment ago. Adapters also go when bluetoothd is about to end: ask again before talking."""
        latest = max(self._observed.absent.values(), default=float("-inf"))
        return time.monotonic() - latest < min(GRACE, self._settings.interval)

    def facts(self, now: float) -> Facts:
        adapters = tuple(self._facts(name) for name in self.needed)
        return Facts(now, self._observed.gone_since, adapters, self._view.longest_scan)

    async def check_power(self) -> None:
        seen = [self._observed.adapters[name] for name in self.needed if name in self._observed.adapters]
        if not self._decided() and any(adapter.powered for adapter in seen):
            seen = [adapter for adapter in seen if adapter.powered]
        for adapter in seen:
            await self._check_power(adapter)

    def begin_anew(self, ended: bool) -> None:
        """After a remedy only what happens from now on counts. `ended`: so are our scans, whatever their user believes."""
        self._unanswered.clear()
        for used in self._view.adapters.values():
            self._scans.begin_anew(used, ended)

    # Which ones

    def _decided(self) -> list[str]:
        """Names of those in use, and of those that the configuration names."""
        given = (*self._view.adapters, *(name for name in self._view.wanted if name.startswith("hci")))
        return list(dict.fromkeys(self._memory.renamed.get(name, name) for name in given if name))

    def _would_do(self, held: dict[str, Any]) -> bool:
        """Whether it may be the one that will be used: any, unless the configuration gives addresses."""
        addresses = {name.upper() for name in self._view.wanted if name}
        return "" in self._view.wanted or str(held.get("Address", "")).upper() in addresses

    def _forget_others(self, decided: list[str]) -> None:
        """Nobody waits any more for an adapter that is not needed."""
        for name in [name for name in self._observed.absent if name and name not in decided]:
            del self._observed.absent[name]
            self._teller.over(f"absent {name}")

    # Being there

    async def _found(self, name: str, seen: Seen | None, quiet: bool, missed: bool) -> None:
        other = await self._same_as(name) if seen is None or self._is_another(seen) else None
        if other is not None:
            self._moved(name, other)
        elif seen is None:
            if not quiet and not self.unsure:
                self._teller.once(f"absent {name}", logging.WARNING, "adapter", f"{name} is not there; waiting for it")
        else:
            if seen.address:
                self._memory.addresses[name] = seen.address
            if self._teller.over(f"absent {name}") or (missed and not quiet):
                self._tell_back(f"{name} is back", seen)

    def _is_another(self, seen: Seen) -> bool:
        """Whether this adapter has the name that one of ours had."""
        ours = self._memory.addresses.get(seen.name, "")
        return bool(ours and seen.address) and ours != seen.address

    def _moved(self, name: str, other: Seen) -> None:
        self._teller.over(f"absent {name}")
        self._observed.absent.pop(name, None)
        for old in {name, *(old for old, new in self._memory.renamed.items() if new == name)}:
            self._memory.renamed[old] = other.name
        self._memory.addresses.pop(name, None)
        self._memory.addresses[other.name] = other.address
        known = other.name in self._view.adapters  # a reading found it first, and said so
        self._view.moved(name, other.name)
        if not known:
            self._tell_back(f"{name} is now called {other.name}", other)

    async def _same_as(self, name: str) -> Seen | None:
        """The adapter with the address that `name` had, under its new name."""
        address = self._memory.addresses.get(name)
        for candidate in NAMES if address else ():
            if candidate == name:
                continue
            try:
                held = await self._bus.adapter(candidate)
            except FAULTS as error:
                log.debug("asking about %s: %s", candidate, error)
                continue
            if held is not None and str(held.get("Address", "")).upper() == address:
                return self._observed.asked(candidate, held)
        return None

    def _missing_any(self, any_would_do: bool, quiet: bool) -> None:
        """Say so when there is no adapter at all, and when one came."""
        absent, found = self._observed.absent, list(self._observed.adapters.values())
        if any_would_do and not found:
            absent.setdefault("", time.monotonic())
            text = "this machine shows no Bluetooth adapter (yet); waiting for one"
            if not quiet:
                self._teller.once("absent ", logging.WARNING, "adapter", text)
        elif absent.pop("", None) is not None and self._teller.over("absent ") and found:
            self._tell_back(f"{found[0].name} is there", found[0])

    def _tell_back(self, text: str, seen: Seen) -> None:
        self._teller.tell(logging.INFO, "adapter", text, "hasten" if seen.powered else "")

    # Being on

    async def _check_power(self, seen: Seen) -> None:
        name, now = seen.name, time.monotonic()
        at, failures = self._switched.get(name, (float("-inf"), 0))
        went_off, seen.went_off = seen.went_off, False
        if seen.powered:
            if self._switched.pop(name, None) is not None or went_off:
                self._teller.over(f"off {name}")
                self._teller.tell(logging.INFO, "adapter", f"{name} is on again", "hasten")
            return
        if seen.off_since is None or now - seen.off_since < min(OFF_PAUSE, self._settings.interval):
            self._switched.setdefault(name, (at, failures))
            return
        if now - at < self._settings.interval:
            return
        self._switched[name] = (now, failures)
        failed = await self._treatment.power_on(name)
        if not failed:
            self._switched.pop(name, None)
            self._teller.over(f"off {name}")
            self._teller.tell(logging.INFO, "adapter", f"{name} was switched off; switched it on", "hasten")
        else:
            self._switched[name] = (time.monotonic(), failures + 1)
            text = f"{name} is switched off and could not be switched on: {failed}"
            self._teller.once(f"off {name}", logging.WARNING, "adapter", text)

    # Being used

    def _facts(self, name: str) -> AdapterFacts:
        seen, used = self._observed.adapters.get(name), self._view.adapters.get(name)
        foreign = seen is not None and not (used is not None and used.listens)
        silent, failed = self._scans.counts(used) if used is not None else (0, 0)
        return AdapterFacts(
            name,
            powered=seen is None or seen.powered,
            blocked=seen is not None and seen.blocked,
            discovering_since=seen.discovering_since if seen is not None and foreign else None,
            absent_since=self._observed.absent.get(name),
            session_since=self._scans.session(used) if used is not None else None,
            good_at=used.good_at if used is not None else None,
            failing_since=used.failing_since if used is not None else None,
            silent_scans=silent,
            failed_scans=failed,
            unanswered=self._unanswered.get(name, 0),
            power_failures=self._switched.get(name, (0.0, 0))[1],
        )

    def _mind_sessions(self) -> None:
        """Without news of it, that the adapter scans says nothing while the scan is ours: its pauses went unseen."""
        if self._bus.tells:
            return
        for name, used in self._view.adapters.items():
            seen = self._observed.adapters.get(name)
            if seen is not None and (used.listens or used.scanning_since is not None):
                seen.discovering_since = None


class Scans:
    """What our own scans told since the last remedy."""

    def __init__(self) -> None:
        self._base: dict[str, tuple[int, int]] = {}
        """Silent and failed scans counted before it."""
        self._ended: dict[str, float | None] = {}
        """Scans that are ended for certain, by the time they began."""

    def begin_anew(self, used: AdapterView, ended: bool) -> None:
        self._base[used.name] = (used.silent_scans, used.failed_scans)
        if ended:
            self._ended[used.name] = used.scanning_since

    def counts(self, used: AdapterView) -> tuple[int, int]:
        """Silent and failed scans in a row; a count that fell has begun anew by itself."""
        silent, failed = self._base.get(used.name, (0, 0))
        silent, failed = (silent if silent <= used.silent_scans else 0), (failed if failed <= used.failed_scans else 0)
        self._base[used.name] = (silent, failed)
        return used.silent_scans - silent, used.failed_scans - failed

    def session(self, used: AdapterView) -> float | None:
        since = used.scanning_since
        return None if since is None or since == self._ended.get(used.name) else since
