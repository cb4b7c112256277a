"""The few things of bleak's BlueZ backend that it does not offer openly. bleak is pinned to >=3.1,<4 because of this file.

Elsewhere than on Linux these do nothing.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import Any

from bleak.backends.device import BLEDevice

from renogybt.ble.bounded import bounded

log = logging.getLogger(__name__)
LINUX = sys.platform == "linux"
CALL_LIMIT = 5.0
"""Seconds one D-Bus call of ours may take."""


def defuse_version_probe() -> None:
    """Answer bleak's question for the BlueZ version before it asks.

    bleak runs `bluetoothctl --version` without a limit before the first connect; when that hangs or is cancelled, every
    later connect of the process waits for ever.
    """
    if not LINUX:
        return
    from bleak.backends.bluezdbus.version import BlueZFeatures

    if BlueZFeatures.checked_bluez_version:
        return
    try:
        found = subprocess.run(["bluetoothctl", "--version"], capture_output=True, text=True, timeout=3, check=False)
        version = found.stdout.split()[-1] if found.stdout.split() else ""
    except (OSError, subprocess.TimeoutExpired):
        version = ""
    log.debug("BlueZ version: %s", version or "unknown")
    BlueZFeatures.checked_bluez_version = True


async def _manager() -> Any:
    from bleak.backends.bluezdbus.manager import get_global_bluez_manager

    return await get_global_bluez_manager()


async def known_device(adapter: str, address: str, name: str) -> BLEDevice | None:
    """The device as BlueZ remembers it, by address or (without one) by name: no scan needed to connect to it."""
    if not LINUX:
        return None
    manager = await bounded(_manager(), CALL_LIMIT, "asking BlueZ for its devices")
    prefix = f"/org/bluez/{adapter}/" if adapter else "/org/bluez/"
    for path, interfaces in list(manager._properties.items()):
        props = interfaces.get("org.bluez.Device1")
        if props is None or not path.startswith(prefix):
            continue
        alias = str(props.get("Alias", "")).strip()
        if props.get("Address", "").upper() == address if address else alias == name:
            return BLEDevice(props.get("Address", ""), alias or None, {"path": path, "props": props})
    return None


async def is_connected(device: BLEDevice) -> bool:
    """Whether BlueZ holds a link to the device, ours or one left over from a program that was killed."""
    if not LINUX:
        return False
    manager = await bounded(_manager(), CALL_LIMIT, "asking BlueZ for its devices")
    interfaces = manager._properties.get(device.details["path"], {})
    return bool(interfaces.get("org.bluez.Device1", {}).get("Connected"))


async def forget_everything() -> None:
    """Let bleak ask BlueZ anew for all it knows.

    bleak notices when the D-Bus daemon goes, but not when bluetoothd does: it then takes dead connections for live ones, for
    ever. Closing its bus connection makes it drop its memory, and the next use opens a new one.
    """
    if not LINUX:
        return
    manager = await bounded(_manager(), CALL_LIMIT, "asking BlueZ for its devices")
    bus = manager._bus
    if bus is not None:
        log.info("bluetoothd has changed; forgetting what it said before")
        bus.disconnect()
        await asyncio.sleep(0.1)


async def default_adapter() -> str:
    """Name of the first adapter that is switched on, like hci0; "" elsewhere than on Linux. Raises what bleak raises."""
    if not LINUX:
        return ""
    manager = await bounded(_manager(), CALL_LIMIT, "looking for a Bluetooth adapter")
    return str(manager.get_default_adapter()).rsplit("/", 1)[-1]
