"""The load output of a charge controller: switched on request of the owner, then read back."""

from __future__ import annotations

from functools import partial
from typing import Any

from renogybt import devices
from renogybt.link import Link
from renogybt.protocol import modbus
from renogybt.settings import Device
from renogybt.sources.module import Radio

SWITCH = 0x010A
"""Write only; 1 = on, 0 = off."""
STATE = 0x0120


async def switch_load(radio: Radio, device: Device, on: bool) -> dict[str, Any]:
    """Write the switch and return `{"function": "WRITE", "load_status": "on" or "off"}` as the controller then reports.

    Raises `Refused` when the controller says no, `LinkError` when it does not answer.
    """
    family = devices.for_type(device.type, device.variant)
    unit = device.device_id[0]
    async with radio.lend(device, family.gatt) as link:
        await _ask(link, modbus.write(unit, SWITCH, int(on)), family.timeout)
        payload = await _ask(link, modbus.read(unit, STATE, 1), family.timeout)
        return {"function": "WRITE", "load_status": family.decode(STATE, payload).values.get("load_status")}


async def _ask(link: Link, request: modbus.Request, timeout: float) -> bytes:
    frame = await link.exchange(request.frame, partial(modbus.find_answer, request), timeout)
    return modbus.payload_of(request, frame)
