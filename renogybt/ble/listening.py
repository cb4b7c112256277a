"""Listening to everybody for as long as somebody wants to hear it: when, and in which manner. The time is an argument."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from renogybt.ble import bluez
from renogybt.ble.scan import Manner

if TYPE_CHECKING:
    from renogybt.ble.advert import Advert, Ear

log = logging.getLogger(__name__)
ENDED = 4.0
"""Seconds after which BlueZ is believed to have ended our scan, as it does when the adapter goes off."""
RETRY, LONGEST_RETRY = 5.0, 60.0
CHECK = 5.0
"""Seconds between two looks whether a scan that lasts is still all right."""
State = Literal["idle", "starting", "running", "failed"]


@dataclass(eq=False)
class Listener:
    """Somebody who wants to hear every advertisement.

    `hear` is called for each, `changed` when `Listening.state` or its manner has changed. `active_seconds` of listening
    alternate with `idle_seconds` of rest, unless one of them is 0. `pause_for_readings`: rest while modules are read.
    """

    hear: Callable[[Advert], None]
    changed: Callable[[], None]
    passive: bool = False
    active_seconds: float = 0.0
    idle_seconds: float = 0.0
    pause_for_readings: bool = False


class Listening:
    """For one adapter. `open`: a scan is running on purpose that has no end yet. `passive`: it only listens."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.open = self.passive = False
        self.state: State = "idle"
        self.heard = 0
        """Advertisements that were passed on."""
        self._ear: Ear | None = None
        self._attended = self._retry_at = 0.0
        self._failures = 0
        self._active_only = self._said_so = False
        self._ended_at: float | None = None

    def attend(self, listener: Listener, now: float) -> None:
        from renogybt.ble.advert import Ear  # not needed by whoever has no proxy

        self._ear = self._ear or Ear()
        self.listener, self._attended, self._retry_at, self._failures = listener, now, 0.0, 0
        self._active_only = False

    def dismiss(self) -> None:
        self.listener, self.state = None, "idle"

    def manner(self, searching: bool) -> Manner:
        """How to scan now. Who searches needs the answers that only active scanning brings."""
        if self.listener is None:
            return Manner()
        return Manner(passive=self.listener.passive and not searching and not self._active_only, repeats=True)

    def rest(self, now: float, reading: bool) -> float:
        """Seconds for which there is to be no listening; 0: it is its time."""
        listener = self.listener
        if listener is None:
            return LONGEST_RETRY
        if now < self._retry_at:
            return self._retry_at - now
        if reading and listener.pause_for_readings:
            return LONGEST_RETRY
        if listener.active_seconds > 0 and listener.idle_seconds > 0:
            whole = listener.active_seconds + listener.idle_seconds
            phase = (now - self._attended) % whole
            return whole - phase if phase >= listener.active_seconds else 0.0
        return 0.0

    def until(self, now: float) -> float:
        """Seconds after which to look again whether the scan should go on."""
        listener = self.listener
        if listener is None or listener.active_seconds <= 0 or listener.idle_seconds <= 0:
            return CHECK
        phase = (now - self._attended) % (listener.active_seconds + listener.idle_seconds)
        return min(CHECK, max(0.01, listener.active_seconds - phase))

    def starts(self) -> None:
        """A scan is about to begin."""
        if self.listener is not None and self.state != "running":
            self._tell("starting")

    def began(self, manner: Manner) -> None:
        if self.listener is not None:
            self.open, self.passive, self._retry_at, self._failures, self._ended_at = True, manner.passive, 0.0, 0, None
            self._tell("running")

    def is_over(self, scans: bool, now: float) -> bool:
        """Whether the scan has ended without us; `scans` is what BlueZ says of active scanning."""
        if self.passive or scans:
            self._ended_at = None
        elif self._ended_at is None:
            self._ended_at = now
        return self._ended_at is not None and now - self._ended_at >= ENDED

    def ends(self) -> bool:
        """A scan is about to be ended. Whether it was one without an end."""
        was, self.open = self.open, False
        return was

    def silent(self, manner: Manner) -> None:
        """Nothing at all was heard for a long time."""
        if manner.passive:
            self._give_up_passive("nothing is heard by it")

    def failed(self, manner: Manner, why: str, now: float) -> None:
        if self.listener is None:
            return
        if manner.passive:
            self._give_up_passive(why)
            return
        self._retry_at = now + min(LONGEST_RETRY, RETRY * 2 ** min(self._failures, 8))
        self._failures += 1
        log.log(logging.WARNING if self._failures == 1 else logging.DEBUG, "listening to advertisements failed: %s", why)
        self._tell("failed")

    def hear(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        listener, ear = self.listener, self._ear
        if listener is None or ear is None:
            return
        props = advertisement.platform_data[-1] if bluez.LINUX else None  # the device itself keeps those it had at first
        advert = ear.take(props) if isinstance(props, dict) else ear.plain(device.address, advertisement)
        if advert is not None:
            self.heard += 1
            listener.hear(advert)

    def _give_up_passive(self, why: str) -> None:
        self._active_only = True
        level = logging.DEBUG if self._said_so else logging.WARNING  # each new listener may want it again
        self._said_so = True
        log.log(level, "this adapter cannot listen passively (%s); scanning actively instead", why)

    def _tell(self, state: State) -> None:
        self.state = state
        if self.listener is not None:
            self.listener.changed()
