"""Buttons that a client presses, on their way to the main loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from renogybt.command import RELEASE_MINUTES, Command
from renogybt.proxy.entities import Button

log = logging.getLogger(__name__)
AGAIN = 1.0
"""Seconds in which pressing the same button again means nothing new."""
MOST_TOLD = 64


class Presses:
    """`on_command` gets what they ask for, and must not wait."""

    def __init__(self, on_command: Callable[[Command], None] | None) -> None:
        self._on_command = on_command
        self._told: set[int] = set()
        self._pressed: dict[int, float] = {}

    def press(self, buttons: Mapping[int, Button], number: int, device: int, who: str, now: float) -> None:
        """A client pressed the button `number`. One that does not know of sub-devices names `device` 0."""
        button = buttons.get(number)
        if button is None or device not in (0, button.device) or self._on_command is None:
            self._refuse(number, who)
        elif now - self._pressed.get(number, now - AGAIN) >= AGAIN:
            self._pressed[number] = now
            log.info('%s has pressed "%s" of %s', who, button.name, button.uid)
            self._on_command(Command("release", button.uid, RELEASE_MINUTES))

    def _refuse(self, number: int, who: str) -> None:
        """Once for each button, because automations press for ever."""
        if number in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told.add(number)
        log.warning(
            "%s has pressed a button that does not exist (%d); in Home Assistant reload the ESPHome integration", who, number
        )
