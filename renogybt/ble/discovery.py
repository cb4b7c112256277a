"""Looking for a module, and saying why it may not be there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from bleak.backends.device import BLEDevice

from renogybt.ble.adapter import Adapter
from renogybt.ble.budget import Plan
from renogybt.ble.hearing import Heard, lookalikes
from renogybt.errors import Held, LinkError, NoAdapter, NotFound, Wedged

log = logging.getLogger(__name__)


async def search(adapter: Adapter, matches: Callable[[BLEDevice], bool], plan: Plan, until: float) -> BLEDevice | None:
    """The device that `matches`, or None when no scan heard it. Raises `LinkError` when the last scan failed."""
    loop = asyncio.get_running_loop()
    for attempt in range(1, plan.attempts + 1):
        try:
            found = await adapter.find(matches, plan.seconds, until)
        except LinkError as error:
            if attempt == plan.attempts or loop.time() + plan.delay >= until or isinstance(error, NoAdapter | Wedged):
                raise
            log.debug("%s; trying again", error)
        else:
            if found is not None or attempt == plan.attempts or loop.time() + plan.delay >= until:
                return found
        await asyncio.sleep(plan.delay)
    return None


def absence(label: str, read_before: bool, others: Mapping[str, Heard], seconds: float) -> NotFound | Held:
    """What it means that a module was not heard in so many seconds of scanning, while `others` were."""
    if read_before and others:
        return Held(
            f"{label} has been read before, but is silent now while {len(others)} other devices are heard. A Renogy module "
            "takes one connection and is silent as long as it lasts: probably a phone app is connected to it. Close the "
            "app; the bridge comes back by itself. Otherwise it is out of range or without power."
        )
    hint = lookalikes({address: heard.name for address, heard in others.items()})
    return NotFound(
        f"{label} was not seen in {seconds:g} s of scanning ({len(others)} other devices were). {hint} "
        "Is it in range and powered, is mac_addr right, and is no phone app connected to it?"
    )
