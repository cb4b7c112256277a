"""Connections made for others: a client of the Bluetooth proxy uses a device of its own over this machine's radio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from bleak import BleakClient
from bleak.backends.device import BLEDevice

from renogybt.ble import bluez
from renogybt.ble.adapter import Adapter
from renogybt.ble.bounded import bounded
from renogybt.ble.faults import TRANSIENT, text_of
from renogybt.ble.guest import Guest
from renogybt.ble.status import Denied, Status, status_of
from renogybt.errors import LinkError, NoAdapter, NoTime

log = logging.getLogger(__name__)
FIND_LIMIT = 8.0
"""Seconds to look for a device that BlueZ does not know."""
AIR_LIMIT = 25.0
"""Seconds from the request in which others must have left the air, so that the client still waits for the answer."""
CONNECT_LIMIT = 15.0
"""Seconds one attempt holds the air; the bridge's own modules wait meanwhile."""
LEAST = 1.0
FORGET_LIMIT = 5.0


class Host(Protocol):
    """Who owns the adapters, and modules of its own. In the program the `BLEManager`."""

    async def adapter_called(self, name: str) -> Adapter:
        """Raises `LinkError`."""
        ...

    def keeps(self, address: str) -> bool:
        """Whether that device is a module of its own, which nobody else may connect to."""
        ...


class Guests:
    """At most `most` at a time. `adapter` is a name or address, "" the first that is on."""

    def __init__(self, host: Host, adapter: str, most: int) -> None:
        self._host, self._adapter, self.most = host, adapter, most
        self._held: dict[str, Guest | None] = {}
        self.unconfirmed: set[str] = set()
        """Devices that were connected, and of which BlueZ did not say that they are not any more."""

    @property
    def addresses(self) -> list[str]:
        """Whose connections exist or come about."""
        return list(self._held)

    @property
    def free(self) -> int:
        return max(0, self.most - len(self._held))

    @property
    def clients(self) -> Iterator[BleakClient]:
        """For whoever has to break their connections to the D-Bus."""
        return (guest.client for guest in list(self._held.values()) if guest is not None)

    def reserve(self, address: str) -> None:
        """Take a slot for that device; `release` gives it back. Raises `Denied`."""
        if address in self._held:
            raise Denied(Status.BUSY, f"{address} is connected already, for another client")
        if self._host.keeps(address):
            raise Denied(
                Status.BUSY,
                f"{address} is a module that this bridge reads itself, and it takes one connection only; its values come "
                "from the bridge. The command release gives it to others for a while",
            )
        if not self.free:
            raise Denied(Status.NO_RESOURCES, f"all {self.most} connections (max_connections) are in use")
        self._held[address] = None

    async def connect(self, address: str, lost: Callable[[], None]) -> Guest:
        """Connect to a device whose slot is reserved; `lost` is called when the connection ends unasked. Raises `Denied`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + AIR_LIMIT
        try:
            adapter = await self._host.adapter_called(self._adapter)
            device = await self._find(adapter, address, until)
            async with adapter.connecting(until):
                limit = max(LEAST, min(CONNECT_LIMIT, until - loop.time()))
                guest = Guest(device, address, limit, lost)
                self._held[address] = guest
                self.unconfirmed.add(address)
                await guest.open()
        except Denied:
            raise
        except NoAdapter as error:
            raise Denied(Status.ERROR, str(error)) from error
        except NoTime as error:
            raise Denied(Status.BUSY, f"the radio was busy with other connections for {AIR_LIMIT:g} s") from error
        except (*TRANSIENT, LinkError) as error:
            raise Denied(status_of(error), f"connecting to {address}: {text_of(error)}") from error
        log.info("connected to %s for a client of the Bluetooth proxy", address)
        return guest

    async def release(self, address: str) -> None:
        """End the connection, if there is one, and free the slot. Raises nothing."""
        guest = self._held.get(address)
        try:
            if guest is not None:
                await guest.close()
                if bluez.tree() and not bluez.linked(guest.path):
                    self.unconfirmed.discard(address)
                if guest.forget:
                    await self._forget(guest.path)
        finally:
            if self._held.get(address) is guest:
                self._held.pop(address, None)

    async def forget(self, address: str) -> None:
        """Have BlueZ throw away keys and stored services of a device, which ends a connection to it. Raises `Denied`."""
        try:
            adapter = await self._host.adapter_called(self._adapter)
            known = bluez.known_device(adapter.name, address, "")
            if known is not None:
                await bounded(bluez.remove_device(bluez.path_of(known)), FORGET_LIMIT, f"forgetting {address}")
        except (*TRANSIENT, LinkError) as error:
            raise Denied(status_of(error), f"forgetting {address}: {text_of(error)}") from error

    async def end_leftovers(self, adapter: Adapter) -> None:
        """End links that BlueZ has kept, although the D-Bus connection that asked for them is gone. Raises nothing."""
        for address in self.unconfirmed - self._held.keys():
            path = bluez.path_of(known) if (known := bluez.known_device(adapter.name, address, "")) is not None else ""
            try:
                if not path or not bluez.linked(path) or await bluez.disconnect(path):
                    self.unconfirmed.discard(address)
            except (*TRANSIENT, LinkError) as error:
                log.debug("ending the connection to %s: %s", address, text_of(error))

    def is_paired(self, address: str) -> bool:
        path = address.replace(":", "_")
        return any(name.endswith(path) and held.get("Paired") for name, held in bluez.devices())

    async def close(self) -> None:
        await asyncio.gather(*(self.release(address) for address in list(self._held)))

    async def _find(self, adapter: Adapter, address: str, until: float) -> BLEDevice:
        known = bluez.known_device(adapter.name, address, "")
        if known is not None:
            return known

        def matches(device: BLEDevice) -> bool:
            return device.address.upper() == address

        found = await adapter.find(matches, FIND_LIMIT, until)
        if found is None:
            raise Denied(Status.NOT_ESTABLISHED, f"{address} was not heard in {FIND_LIMIT:g} s")
        return found

    async def _forget(self, path: str) -> None:
        try:
            if path and not (bluez.about(path) or {}).get("Paired"):
                await bounded(bluez.remove_device(path), FORGET_LIMIT, f"forgetting {path}")
        except (*TRANSIENT, LinkError) as error:
            log.debug("forgetting %s: %s", path, text_of(error))
