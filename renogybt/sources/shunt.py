"""The Smart Shunt: nothing is asked, it sends blocks by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from renogybt import devices
from renogybt.link import Link
from renogybt.protocol.table import Gatt
from renogybt.reading import Identity, Reading
from renogybt.settings import Device
from renogybt.sources.unit import Tally


class Shunt:
    def __init__(
        self,
        identity: Identity,
        device: Device,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.identity = identity
        self.family = devices.for_type(device.type, device.variant)
        self.tally = Tally()
        self._monotonic, self._wall = monotonic, wall

    @property
    def gatt(self) -> Gatt:
        return self.family.gatt

    async def read(self, link: Link) -> Reading:
        """The next live block. Raises `NoAnswer` when none comes in time."""
        assert self.family.block_in is not None
        block = await link.exchange(None, self.family.block_in, self.family.timeout)
        decoded = self.family.decode(0, block)
        self.tally.dropped += len(decoded.dropped)
        values = self.family.complete(self.family.derive(decoded.values))
        return Reading(
            self.identity, self.family.key, values, self._wall(), self._monotonic(), link.name, dropped=decoded.dropped
        )
