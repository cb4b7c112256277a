"""Tells systemd that the program is well, as long as it is."""

from __future__ import annotations

import logging
from typing import Protocol

from renogybt.service.health import Health
from renogybt.service.systemd import Notifier, fresh

log = logging.getLogger(__name__)


class Thread(Protocol):
    """The radio thread, as its keeper knows it."""

    @property
    def heartbeat(self) -> float: ...

    def recycling_since(self, now: float) -> float | None: ...


class Pulse:
    """Belongs to the main thread: that it ticks at all is the first thing systemd is told by it."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._next = 0.0
        self._status = self._why_not = ""
        self._ready = False

    def tick(self, now: float, radio: Thread, refused_since: float | None, health: Health) -> None:
        """To be called at least every few seconds."""
        status = f"{health.devices} devices, {health.silent} of them silent; {health.resets} resets"
        if not self._ready:
            self._ready = True
            self._notifier.ready(status)
        elif status != self._status:
            self._notifier.status(status)
        self._status = status
        if now < self._next:
            return
        self._next = now + self._notifier.interval
        why_not = fresh(
            now,
            main_tick=now,
            worker_heartbeat=radio.heartbeat,
            recycling_since=radio.recycling_since(now),
            refused_since=refused_since,
        )
        if why_not and why_not != self._why_not:
            log.error("systemd is not told that all is well: %s", why_not)
        self._why_not = why_not
        if not why_not:
            self._notifier.alive()

    def stopping(self) -> None:
        self._notifier.stopping()
