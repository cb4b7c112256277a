"""The few things of bleak's BlueZ backend that it does not offer openly. bleak is pinned to >=3.1,<4 because of this file.

bleak keeps one connection to the system D-Bus per event loop, its "manager", and beside it a tree of all BlueZ objects,
which signals keep up to date. What is read here comes from that tree; what is asked goes over that connection, because BlueZ
counts a scan as owned by the connection that started it. Elsewhere than on Linux these functions do nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError

from renogybt.ble.bounded import bounded
from renogybt.ble.bus import ADAPTER, BLUEZ, CALL_LIMIT, PREFIX, PROPERTIES

log = logging.getLogger(__name__)
LINUX = sys.platform == "linux"
INIT_LIMIT = 10.0
"""Seconds bleak may take to learn of all objects; a BlueZ that ran for months has thousands."""
DEVICE = "org.bluez.Device1"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
Tree = Mapping[str, Mapping[str, Mapping[str, Any]]]
_losses: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()


def defuse_version_probe() -> None:
    """Answer bleak's question for the BlueZ version before it asks.

    bleak runs `bluetoothctl --version` without a limit before the first connect; when that hangs or is cancelled, every
    later connect of the process waits for ever.
    """
    if not LINUX:
        return
    logging.getLogger("bleak.backends.bluezdbus.manager").addFilter(_unexpected)
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


def _unexpected(record: logging.LogRecord) -> bool:
    """Keep bleak's warning of a lost D-Bus connection out of the log when we closed it: no error is named then."""
    return not (str(record.msg).startswith("D-Bus connection to BlueZ was lost") and record.args == (None,))


async def meet() -> Any:
    """bleak's manager, connected to the D-Bus and knowing all objects; None elsewhere than on Linux.

    Raises what bleak raises.
    """
    if not LINUX:
        return None
    manager = manager_of(asyncio.get_running_loop())
    if manager is not None and manager._bus is not None and manager._bus.connected:
        return manager  # without asking for bleak's lock, which a scan that hangs holds
    from bleak.backends.bluezdbus.manager import get_global_bluez_manager

    return await bounded(get_global_bluez_manager(), INIT_LIMIT, "asking BlueZ for its devices")


def manager_of(loop: asyncio.AbstractEventLoop) -> Any:
    """bleak's manager for that event loop, connected or not, None if it has none. Never waits."""
    module = sys.modules.get("bleak.backends.bluezdbus.manager")
    return module._global_instances.get(loop) if module else None


def tree() -> Tree:
    """All that is known of BlueZ's objects at this moment; nothing while there is no connection to the D-Bus."""
    manager = manager_of(asyncio.get_running_loop())
    if manager is None or manager._bus is None or not manager._bus.connected:
        return {}
    known: Tree = manager._properties
    return known


def adapters() -> dict[str, Mapping[str, Any]]:
    """Properties of each adapter, by its name like hci0."""
    return {path.rpartition("/")[2]: held[ADAPTER] for path, held in tree().items() if ADAPTER in held}


def default_adapter() -> str | None:
    """Name of the first adapter that is switched on and can connect to others, None if there is none."""
    for name, held in sorted(adapters().items()):
        if held.get("Powered") and "central" in held.get("Roles", ("central",)):
            return name
    return None


def scans(adapter: str) -> bool:
    """Whether an adapter is on and scans actively, for whomever, as far as is known."""
    if not tree():
        return True
    held = adapters().get(adapter, {})
    return bool(held.get("Powered") and held.get("Discovering", True))


def path_of(device: BLEDevice) -> str:
    """Its D-Bus path; "" elsewhere than on Linux."""
    details = device.details
    return str(details.get("path", "")) if isinstance(details, dict) else ""


def about(path: str) -> Mapping[str, Any] | None:
    """What is known of the device at `path`, None if BlueZ does not know it (any more)."""
    return tree().get(path, {}).get(DEVICE)


def linked(path: str) -> bool:
    """Whether BlueZ says that it holds a link to this device, whoever asked for it."""
    return bool((about(path) or {}).get("Connected"))


def losses(loop: asyncio.AbstractEventLoop) -> int:
    """How often everything known was forgotten in that event loop. What was learned before that is worth nothing."""
    return _losses.get(loop, 0)


def known_device(adapter: str, address: str, name: str) -> BLEDevice | None:
    """The device as BlueZ remembers it, by address or (without one) by name: no scan needed to connect to it."""
    for path, props in devices(f"{PREFIX}{adapter}/" if adapter else PREFIX):
        alias = str(props.get("Alias", "")).strip()
        if str(props.get("Address", "")).upper() == address if address else alias == name:
            return BLEDevice(props.get("Address", ""), alias or None, {"path": path, "props": props})
    return None


def devices(prefix: str = PREFIX) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Path and properties of each device below `prefix`."""
    for path, held in list(tree().items()):
        if DEVICE in held and path.startswith(prefix):
            yield path, held[DEVICE]


async def call(path: str, interface: str, member: str, signature: str = "", *body: Any, limit: float = CALL_LIMIT) -> Any:
    """The first value of BlueZ's answer, None if it is empty. Raises what bleak raises, and `TimeoutError`."""
    from bleak.backends.bluezdbus.utils import assert_reply
    from dbus_fast import Message

    manager = await meet()
    message = Message(BLUEZ, path, interface, member, signature=signature, body=list(body))
    reply = await bounded(manager._bus.call(message), limit, f"{member} of {path}")
    assert_reply(reply)
    return reply.body[0] if reply.body else None


async def is_healthy(path: str) -> bool:
    """Whether BlueZ itself, asked just now, says that the device is connected and its services are known."""
    for name in ("Connected", "ServicesResolved"):
        value = await call(path, PROPERTIES, "Get", "ss", DEVICE, name)
        if not getattr(value, "value", value):
            return False
    return True


async def contradicts(path: str) -> bool:
    """Whether BlueZ, asked just now, does not know a device that bleak believes in: then bleak's memory is of another
    bluetoothd. Signals arrive before the answer, so that what remains different after it was never told."""
    if not LINUX:
        return False
    try:
        value = await call(path, PROPERTIES, "Get", "ss", DEVICE, "Connected")
    except BleakDBusError as error:
        return error.dbus_error != UNKNOWN_OBJECT or about(path) is not None
    return bool(getattr(value, "value", value)) != linked(path)


async def disconnect(path: str, seconds: float = CALL_LIMIT) -> bool:
    """Have BlueZ end a link or an attempt at one, whoever asked for it, and wait. True when there is none any more."""
    try:
        await call(path, DEVICE, "Disconnect", limit=seconds)
    except BleakDBusError as error:
        if not error.dbus_error.startswith("org.bluez."):
            raise
        log.debug("%s: %s", path, error)  # like NotConnected: what counts is what comes of it
    until = asyncio.get_running_loop().time() + seconds
    while linked(path) and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.05)
    return not linked(path)


async def remove_device(path: str) -> None:
    """Have BlueZ forget a device and all it has stored of it."""
    await call(path.rpartition("/")[0], ADAPTER, "RemoveDevice", "o", path)


async def forget_everything() -> None:
    """Let bleak ask BlueZ anew for all it knows, and end all our scans.

    bleak notices when the D-Bus daemon goes, but not when bluetoothd does: it then takes dead connections for live ones, for
    ever. Closing its bus connection makes it drop its memory, and the next use opens a new one; BlueZ ends the scans of a
    connection that is gone. Needs no answer from anybody.
    """
    loop = asyncio.get_running_loop()
    _losses[loop] = losses(loop) + 1
    manager = manager_of(loop) if LINUX else None
    if manager is None or manager._bus is None:
        return
    manager._bus.disconnect()
    if manager._bus_watcher_task is not None:
        await asyncio.wait({manager._bus_watcher_task}, timeout=1)


def sockets(loop: asyncio.AbstractEventLoop, clients: Iterable[Any]) -> Iterator[socket.socket]:
    """The D-Bus sockets of bleak's manager and of these clients. May be asked for by another thread."""
    manager = manager_of(loop)
    for owner in (manager, *(getattr(client, "_backend", None) for client in clients)):
        found = getattr(getattr(owner, "_bus", None), "_sock", None)
        if found is not None:
            yield found


def shut(found: Iterable[socket.socket]) -> None:
    """Break these connections at once, also those that a stuck thread owns: BlueZ then frees what they held."""
    for item in found:
        with contextlib.suppress(OSError):
            item.shutdown(socket.SHUT_RDWR)
