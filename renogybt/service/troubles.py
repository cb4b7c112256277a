"""Which devices are not read at present, and why: said once, in one line for all that sit behind a module."""

from __future__ import annotations

import logging
import re

from renogybt.reading import Failure, Identity

log = logging.getLogger("renogybt.service.bridge")


class Troubles:
    """Belongs to the main thread. `now`: why a device (by label) or a section (by name) is not read at present.

    What a cycle brings is collected, and said when `ended` tells that it is over; nothing is when not `aloud`.
    """

    def __init__(self, aloud: bool) -> None:
        self._aloud = aloud
        self.now: dict[str, str] = {}
        self._fresh: dict[str, dict[str, Failure]] = {}
        self._over: dict[str, list[str]] = {}
        self._in_part: dict[str, tuple[str, ...]] = {}
        self._said: dict[str, str] = {}
        """What was said last of a module itself, by its address; its devices may be spread over several sections."""

    def failed(self, section: str, failure: Failure) -> None:
        label = failure.identity.label
        before, self.now[label] = self.now.get(label, ""), failure.error
        if gist(before) != gist(failure.error):
            self._fresh.setdefault(section, {})[label] = failure

    def read(self, section: str, identity: Identity, missing: tuple[str, ...] = ()) -> None:
        """`missing`: what of it was not read."""
        self._said.pop(identity.mac, None)
        if missing and missing != self._in_part.get(identity.label):
            log.warning("%s was read in part; missing: %s", identity.label, ", ".join(missing))
        self._in_part[identity.label] = missing
        if self.now.pop(identity.label, None) is not None and self._fresh.get(section, {}).pop(identity.label, None) is None:
            self._over.setdefault(section, []).append(identity.label)

    def ended(self, section: str, error: str = "") -> None:
        """The cycle is over; with an `error` that concerns all of it."""
        if error:
            self.now[section] = error
        else:
            self.now.pop(section, None)
        fresh, over = self._fresh.pop(section, {}), self._over.pop(section, [])
        if not self._aloud:
            return
        alike: dict[str, list[Failure]] = {}
        for failure in fresh.values():
            alike.setdefault(failure.error, []).append(failure)
        for text, failures in alike.items():
            self._say(text, failures)
        if over:
            log.info("%s %s read again", ", ".join(over), "is" if len(over) == 1 else "are")

    def alike(self) -> list[tuple[str, list[str]]]:
        """Each trouble there is, with those who have it."""
        found: dict[str, list[str]] = {}
        for name, error in self.now.items():
            found.setdefault(error, []).append(name)
        return list(found.items())

    def _say(self, text: str, failures: list[Failure]) -> None:
        mac = failures[0].identity.mac
        level = logging.WARNING
        if mac in text:
            level = logging.DEBUG if self._said.get(mac) == gist(text) else logging.WARNING
            self._said[mac] = gist(text)
        log.log(level, "%s: %s", ", ".join(failure.identity.label for failure in failures), text)


def gist(error: str) -> str:
    """What an error says apart from its numbers and details: the same trouble is not logged at every turn."""
    return re.sub(r"[0-9]+", "", error)[:60]
