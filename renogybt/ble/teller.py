"""Says each thing once: in the log, and as an incident for the health history."""

from __future__ import annotations

import logging
from collections.abc import Callable

from renogybt.incident import Ask, Incident, Kind

log = logging.getLogger("renogybt.ble.watchdog")


class Teller:
    """`said`: keys of what holds and was said; kept by somebody who lives longer."""

    def __init__(self, report: Callable[[Incident], None], said: set[str]) -> None:
        self._report, self._said = report, said

    def tell(self, level: int, kind: Kind, text: str, asks: Ask = "") -> None:
        log.log(level, "%s", text)
        self._report(Incident(kind, text, asks))

    def once(self, key: str, level: int, kind: Kind, text: str) -> None:
        """Tell it unless that was done since it was `over` last."""
        if key not in self._said:
            self._said.add(key)
            self.tell(level, kind, text)

    def over(self, key: str) -> bool:
        """It does not hold any more. True when it had been told."""
        told = key in self._said
        self._said.discard(key)
        return told
