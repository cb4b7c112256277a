"""The ESPHome node as the program runs it: in the radio thread's event loop, and in the next one when that is replaced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from renogybt.command import Command
from renogybt.errors import UserError
from renogybt.proxy.choice import SomeRadios
from renogybt.proxy.node import EsphomeNode
from renogybt.reading import Identity
from renogybt.settings import Settings

log = logging.getLogger(__name__)
AGAIN = 30.0
"""Seconds until the next attempt to open the port."""
LOOK = 10.0
"""Seconds between two looks at how it does."""


class Resident:
    """Node and Bluetooth proxy. Implements `ble.thread.Resident`. Raises `UserError` when the extra is not installed.

    `lend_radio` false: without Bluetooth proxy, because there is no Bluetooth (the simulator). `on_command` as for the node.
    """

    def __init__(
        self,
        settings: Settings,
        identities: Iterable[Identity],
        lend_radio: bool = True,
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        self._settings, self._lend_radio = settings, lend_radio and settings.home_assistant_proxy.bluetooth_proxy
        self.node = EsphomeNode(settings, identities, on_command=on_command)
        self._said = ""
        self._kept: Any = None
        self.figures: Mapping[str, Any] = {}

    async def live(self, radio: Any) -> None:
        """Open port and proxy; a port that is taken is asked for again until it can be had."""
        self.node.proxy = await self._relay(radio) if self._lend_radio else None
        while True:
            try:
                await self.node.start()
            except UserError as error:
                if str(error) != self._said:
                    self._said = str(error)
                    log.error("%s; trying again every %.0f s", error, AGAIN)
                await asyncio.sleep(AGAIN)
            else:
                break
        while True:
            self.figures = {"clients": self.node.clients, **(self._kept.figures() if self.node.proxy else {})}
            await asyncio.sleep(LOOK)

    async def close(self) -> None:
        await self.node.close()
        if self.node.proxy is not None:
            await cast(Any, self.node.proxy).close()

    def abandon(self) -> None:
        self.node.abandon()

    async def _relay(self, radio: Any) -> Any:
        from renogybt.proxy.bluetooth import BluetoothRelay

        options = self._settings.home_assistant_proxy
        adapters = [device.adapter for device in self._settings.devices if device.adapter]
        if self._kept is None:  # one for all event loops: it knows what is left over of one that hung
            self._kept = BluetoothRelay(options, adapters[0] if adapters else "")
        await self._kept.start(radio.local if isinstance(radio, SomeRadios) else radio, lambda: self.node.sessions)
        return self._kept
