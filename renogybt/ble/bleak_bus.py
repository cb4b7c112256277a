"""Ending a scan on bleak's own D-Bus connection. BlueZ counts a scan for the connection that began it, so no other can."""

from __future__ import annotations

import asyncio

from renogybt.ble import bluez
from renogybt.ble.bus import ADAPTER, BLUEZ, CALL_LIMIT, PREFIX, BusError, answer


async def stop_discovery(name: str, limit: float = 0.0) -> bool:
    """End the scan that bleak began on this adapter, within `limit` seconds (0: as long as any call may take).

    False: bleak has none there, so it is somebody else's. Asks bleak's manager neither for its lock, which a hanging scan
    holds, nor for a new connection. Raises `BusError` and `Wedged`.
    """
    manager = bluez.manager_of(asyncio.get_running_loop())
    bus = manager._bus if manager is not None else None
    if bus is None or not bus.connected:
        return False
    from dbus_fast import Message

    try:
        await answer(bus, Message(BLUEZ, PREFIX + name, ADAPTER, "StopDiscovery"), limit or CALL_LIMIT)
    except BusError as error:
        if error.name == "org.bluez.Error.Failed" and "No discovery" in str(error):
            return False
        raise
    return True
