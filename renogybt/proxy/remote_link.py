"""One connection to a module through an ESPHome proxy: from its connecting to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from renogybt.ble.budget import CLEAN_UP_SHARE, DISCONNECT_LIMIT, FEWEST, OPERATION_LIMIT, WRITE_LIMIT
from renogybt.ble.characteristics import READ, WRITE_BLIND, choose, ends, uuid
from renogybt.errors import ConnectFailed, LinkError, LinkLost
from renogybt.protocol.table import Gatt
from renogybt.proxy.bluetooth_numbers import PROPERTIES, number_of
from renogybt.proxy.remote_faults import TRANSIENT, broken, text_of, translate
from renogybt.proxy.remote_host import Host

log = logging.getLogger(__name__)
GENERIC_ACCESS, DEVICE_NAME, CONFIGURATION = 0x1800, 0x2A00, 0x2902
NOTIFICATIONS_ON = b"\x01\x00"


class RemoteConnection:
    """Not to be used again once it is closed or lost. `label` names the module in messages."""

    def __init__(
        self, host: Host, address: str, label: str, hear: Callable[[bytes], None], lost: Callable[[], None]
    ) -> None:
        self._host, self._address, self._label = host, number_of(address), label
        self._hear, self._lost = hear, lost
        self._client, self._session = host.client, host.session
        self._up = self._closed = False
        self._code = 0
        self._until = 0.0
        self._services: list[Any] = []
        self._write: Any = None
        self._forget: Callable[[], None] | None = None
        host.losses.add(self._host_is_gone)

    @property
    def alive(self) -> bool:
        return self._up and not self._closed and self._host.up and self._host.session == self._session

    async def vacate(self) -> None:
        """Have the proxy end what may be left of an earlier connection, also of an earlier run of this program.

        It would take the new one for the old, and a late answer could pass for the next. Raises `ConnectFailed`.
        """
        try:
            await self._disconnect(DISCONNECT_LIMIT)
        except (*TRANSIENT, LinkError) as error:
            what = f"connecting to {self._label}"
            raise ConnectFailed(f"{what}: the {self._host} does not end the connection before ({text_of(error)})") from error

    async def open(self, address_type: int, seconds: float) -> None:
        """Everything until the first question has to be done in so many seconds. Raises `ConnectFailed` and `LinkLost`."""
        self._until = asyncio.get_running_loop().time() + seconds
        what = f"connecting to {self._label} through the {self._host}"
        share = seconds * CLEAN_UP_SHARE
        work = self._client.bluetooth_device_connect(
            self._address,
            self._state,
            timeout=seconds - share,
            disconnect_timeout=share,
            feature_flags=self._host.flags,
            has_cache=False,
            address_type=address_type,
        )
        try:
            self._forget = await self._host.call(work, seconds, what)
        except TRANSIENT as error:
            late = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
            text = f"{what}: it did not come about within {seconds:.0f} s" if late else f"{what}: {text_of(error)}"
            raise ConnectFailed(text) from error
        if not self._up:
            raise broken(what, self._code)
        try:
            asking = self._client.bluetooth_gatt_get_services(self._address)
            found = await self._host.call(asking, self._left(OPERATION_LIMIT), f"asking {self._label} for its services")
        except TRANSIENT as error:
            raise self._translated(error, f"asking {self._label} for its services") from error
        self._services = list(found.services)

    async def subscribe(self, gatt: Gatt) -> None:
        """Be able to write, and receive what the module says. Raises `ConnectFailed` and `LinkLost`."""
        notify, self._write = ends(self._services, gatt, can, self._label)
        if gatt.wake:
            await self.wake(gatt)
        what = f"subscribing to {self._label}"
        try:
            work = self._client.bluetooth_gatt_start_notify(self._address, notify.handle, self._notified, OPERATION_LIMIT)
            await self._host.call(work, self._left(OPERATION_LIMIT), what)
        except TRANSIENT as error:
            raise self._translated(error, what) from error
        await self._switch_on(notify)

    async def wake(self, gatt: Gatt) -> None:
        """Inverters with Bluetooth inside answer nothing before this was read once; what it holds is irrelevant."""
        await asyncio.sleep(gatt.settle)
        await self._read(choose(self._services, gatt.write_service, gatt.wake, (READ,), can), f"waking {self._label}")

    async def advertised_name(self) -> str:
        """What the module calls itself, where it can be asked."""
        item = choose(self._services, GENERIC_ACCESS, DEVICE_NAME, (READ,), can)
        return (await self._read(item, f"asking {self._label} for its name")).decode("utf-8", "replace").strip(" \0")

    async def write(self, frame: bytes) -> None:
        """Raises `LinkError`."""
        respond = not can(self._write, WRITE_BLIND)
        what = f"writing to {self._label}"
        try:
            work = self._client.bluetooth_gatt_write(self._address, self._write.handle, frame, respond, WRITE_LIMIT)
            await self._host.call(work, WRITE_LIMIT, what)
        except TRANSIENT as error:
            raise LinkLost(f"{what}: {text_of(error)}") from error

    async def close(self, seconds: float = 0.0) -> None:
        """Disconnect, and wait `seconds`, or the usual time, until the proxy says that it is done."""
        if self._closed:
            return
        self._closed, self._up = True, False
        self._host.losses.discard(self._host_is_gone)
        try:
            await self._disconnect(seconds or DISCONNECT_LIMIT)
        except (*TRANSIENT, LinkError) as error:
            log.debug("disconnecting from %s: %s", self._label, text_of(error))
        finally:
            self._unhook()

    async def _disconnect(self, seconds: float) -> None:
        if self._host.session != self._session:
            raise LinkLost(f"the connection to the {self._host} is a new one")
        work = self._client.bluetooth_device_disconnect(self._address, seconds)
        await self._host.call(work, seconds + 0.5, f"disconnecting from {self._label}")

    async def _switch_on(self, notify: Any) -> None:
        """An ESP32 leaves this to its client; others do it themselves, and may refuse it here."""
        item = next((each for each in notify.descriptors if each.uuid == uuid(CONFIGURATION)), None)
        if item is None:
            return
        what = f"switching on what {self._label} says"
        try:
            work = self._client.bluetooth_gatt_write_descriptor(self._address, item.handle, NOTIFICATIONS_ON, WRITE_LIMIT)
            await self._host.call(work, self._left(WRITE_LIMIT), what)
        except TRANSIENT as error:
            if not self.alive:
                raise self._translated(error, what) from error
            log.debug("%s: %s", what, text_of(error))

    async def _read(self, item: Any, what: str) -> bytes:
        """b"" when that fails: nothing that is read this way is needed for sure."""
        if item is None:
            return b""
        try:
            work = self._client.bluetooth_gatt_read(self._address, item.handle, WRITE_LIMIT)
            return bytes(await self._host.call(work, WRITE_LIMIT, what))
        except TRANSIENT as error:
            log.debug("%s: %s", what, text_of(error))
            return b""

    def _left(self, limit: float) -> float:
        """Seconds for one step of opening."""
        return max(FEWEST, min(limit, self._until - asyncio.get_running_loop().time()))

    def _translated(self, error: BaseException, what: str) -> LinkError:
        return translate(error, what) if self._up else broken(what, self._code)

    def _state(self, connected: bool, mtu: int, code: int) -> None:
        was, self._up, self._code = self._up, connected and not self._closed, code
        if was and not connected:
            self._lost()

    def _host_is_gone(self) -> None:
        was, self._up = self._up, False
        if was:
            self._lost()

    def _notified(self, _: int, data: bytearray) -> None:
        if self.alive:
            self._hear(bytes(data))

    def _unhook(self) -> None:
        forget, self._forget = self._forget, None
        if forget is not None and self._host.session == self._session:
            forget()


def can(item: Any, what: str) -> bool:
    return bool(item.properties & PROPERTIES[what])
