"""The daily records a charge controller keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date

from renogybt.devices import history
from renogybt.errors import LinkError, Refused
from renogybt.link import Link
from renogybt.protocol.modbus import UNIVERSAL
from renogybt.protocol.table import Gatt
from renogybt.reading import Identity, Reading
from renogybt.settings import Device
from renogybt.sources.unit import Unit


class History:
    """Seven days as dated records, and as the predecessors' three arrays.

    The controller has no clock: record n is "n of its days ago", dated here by this machine's local day. With `guest_of`,
    the unit of a reader of the same controller that has just read it, the days are asked for in between: at the address
    that was learned, and the first silence ends it, so that the controller's own turn does not suffer.
    """

    def __init__(
        self,
        identity: Identity,
        device: Device,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        guest_of: Unit | None = None,
    ) -> None:
        self.identity = identity
        self.family = history.HISTORY
        self.unit = guest_of or Unit(identity.unit or UNIVERSAL, self.family.units, identity.label)
        self._guest = guest_of is not None
        self._monotonic, self._wall = monotonic, wall

    @property
    def gatt(self) -> Gatt:
        return self.family.gatt

    async def read(self, link: Link) -> Reading:
        """One reading of all days. Raises `LinkError` when not one day could be read, or a guest was not answered."""
        if not self._guest:
            self.unit.begin()
        now = self._wall()
        today = date.fromtimestamp(now)
        records: list[dict[str, object]] = []
        missing: list[str] = []
        dropped: list[str] = []
        for window in self.family.windows:
            try:
                wanted = replace(window, optional=True) if self._guest else window
                answer = await self.unit.ask(link, wanted, self.family.timeout, self.family.pacing)
            except (LinkError, Refused):
                self.unit.again(window)  # silence says nothing about the next time
                if self._guest or not self.unit.answered:
                    raise
                answer = None
            if answer is None:
                missing.append(window.name)
                continue
            decoded, ago = self.family.decode(*answer), history.days_ago(answer[0])
            dropped += [f"{key} ({ago} days ago)" for key in decoded.dropped]
            records.append(history.record(decoded.values, today, ago))
        values = self.family.complete(history.summary(records))
        return Reading(
            self.identity, self.family.key, values, now, self._monotonic(), link.name, tuple(missing), tuple(dropped)
        )
