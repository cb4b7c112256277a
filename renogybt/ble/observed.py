"""What is known of bluetoothd and its adapters, kept up to date by signals and by asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

Clock = Callable[[], float]


class Seen(Struct):
    """One adapter as BlueZ shows it. The times say since when, None: it is not so.

    `went_off` stays True until somebody has dealt with it, also when it is on again before anybody looks.
    """

    name: str
    address: str = ""
    powered: bool = False
    went_off: bool = False
    power_state: str = ""
    off_since: float | None = None
    discovering_since: float | None = None

    @property
    def blocked(self) -> bool:
        return self.power_state == "off-blocked"

    def update(self, properties: dict[str, Any], now: float) -> bool:
        """Take over what BlueZ said. True when it was switched on or off."""
        before = self.powered
        self.address = str(properties.get("Address", self.address)).upper()
        self.power_state = str(properties.get("PowerState", self.power_state))
        self.powered = bool(properties.get("Powered", self.powered))
        if self.powered:
            self.off_since = None
        elif self.off_since is None:
            self.off_since, self.went_off = now, before
        if "Discovering" in properties:
            if not properties["Discovering"]:
                self.discovering_since = None
            elif self.discovering_since is None:
                self.discovering_since = now
        return before is not self.powered


class Observed:
    """Implements `view.Listener`. `news` is called when something happened that should be looked at at once.

    `owner`: the bluetoothd that runs, "" none, None not known. `absent`: adapters that are needed and not there, since when.
    `changes`: how often there were news; an answer that was under way meanwhile may be older than they are.
    """

    def __init__(self, clock: Clock, news: Callable[[], None]) -> None:
        self._clock, self._news = clock, news
        self.owner: str | None = None
        self.gone_since: float | None = None
        self.changed_owner = False
        self.lost_bus = False
        self.changes = 0
        self.adapters: dict[str, Seen] = {}
        self.absent: dict[str, float] = {}

    def owner_changed(self, owner: str) -> None:
        """`changed_owner` stays True until somebody has dealt with it."""
        if owner == self.owner:
            return
        if self.owner is not None or not owner:
            self.changed_owner = True
        self.owner = owner
        if owner:
            self.gone_since = None
        else:
            self.gone_since = self._clock()
            self.adapters.clear()
        self._tell()

    def adapter_changed(self, name: str, properties: dict[str, Any]) -> None:
        seen = self.adapters.get(name)
        if seen is not None and seen.update(properties, self._clock()):
            self._tell()

    def adapter_came(self, name: str) -> None:
        self._tell()

    def adapter_went(self, name: str) -> None:
        """It counts as absent until the next answer, also when it is there again before anybody asks."""
        if self.adapters.pop(name, None) is not None:
            self.absent.setdefault(name, self._clock())
        self._tell()

    def bus_lost(self) -> None:
        """Whoever owns a name on the next bus is somebody else, even if he is called the same."""
        self.lost_bus = True
        self.owner = None
        self.adapters.clear()
        self._tell()

    def _tell(self) -> None:
        self.changes += 1
        self._news()

    def asked(self, name: str, properties: dict[str, Any] | None) -> Seen | None:
        """Take over the answer to a question; None: there is no such adapter."""
        if properties is None:
            self.adapters.pop(name, None)
            self.absent.setdefault(name, self._clock())
            return None
        self.absent.pop(name, None)
        seen = self.adapters.setdefault(name, Seen(name))
        seen.update(properties, self._clock())
        return seen
