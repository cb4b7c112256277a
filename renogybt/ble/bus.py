"""A D-Bus connection of the watchdog's own: it works when bleak's hangs, and hears what bleak does not listen to.

Plain messages without introspection. Every call ends within `CALL_LIMIT` seconds, with an answer or a `BusError`.
dbus_fast is imported when it is needed, because only Linux has it.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from renogybt.ble.bounded import bounded
from renogybt.errors import LinkError

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

    from renogybt.ble.view import Listener

log = logging.getLogger(__name__)
CALL_LIMIT = 5.0
"""Seconds one call may take."""
BLUEZ, ADAPTER, PROPERTIES = "org.bluez", "org.bluez.Adapter1", "org.freedesktop.DBus.Properties"
DAEMON, SYSTEMD = "org.freedesktop.DBus", "org.freedesktop.systemd1"
PREFIX = "/org/bluez/"
NAMES = tuple(f"hci{number}" for number in range(10))
"""Adapters that are looked for. Asking for all objects would bring every device BlueZ ever saw along."""
RULES = (
    f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{BLUEZ}'",
    f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{ADAPTER}'",
    # Comings and goings of the adapters themselves; one rule for all would bring those of every device and service.
    *(f"type='signal',sender='{BLUEZ}',path='/',arg0path='{PREFIX}{name}'" for name in NAMES[:4]),
)
DENIED = ("AccessDenied", "InteractiveAuthorizationRequired", "NotAuthorized", "PermissionDenied")


class BusError(LinkError):
    """The bus or BlueZ said no, or nothing. `name` is the D-Bus name of the error, "" when it is not one."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}" if name else text)
        self.name = name

    @property
    def denied(self) -> bool:
        return self.name.endswith(DENIED)

    @property
    def nobody(self) -> bool:
        """Nobody on the bus has this name."""
        return self.name.endswith(("ServiceUnknown", "NameHasNoOwner"))

    @property
    def nothing(self) -> bool:
        """There is no such object."""
        return self.name.endswith(("UnknownObject", "UnknownMethod", "UnknownInterface", "InvalidArgs"))


class Bus:
    """`tells`: BlueZ's own news arrive. Otherwise (the daemon allows no more match rules) one has to ask."""

    def __init__(self, listener: Listener) -> None:
        self.tells = False
        self._listener = listener
        self._bus: MessageBus | None = None
        self._end: asyncio.Future[None] | None = None

    @property
    def connected(self) -> bool:
        return self._bus is not None and self._bus.connected

    async def open(self) -> None:
        """Connect and listen. Raises `BusError`."""
        from bleak.backends.bluezdbus.utils import get_dbus_authenticator
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus
        from dbus_fast.errors import DBusFastError

        await self.close()
        bus: MessageBus | None = None
        try:
            bus = MessageBus(bus_type=BusType.SYSTEM, auth=get_dbus_authenticator())
            await bounded(bus.connect(), CALL_LIMIT, "connecting to the system D-Bus")
            self._bus = bus
        except (OSError, EOFError, ValueError, DBusFastError) as error:
            raise BusError("", f"no connection to the system D-Bus ({str(error) or type(error).__name__})") from error
        finally:
            if bus is not None and self._bus is not bus:
                bus.disconnect()  # it may stand all the same, if this was cancelled just then
        self._end = asyncio.ensure_future(bus.wait_for_disconnect())  # type: ignore[no-untyped-call]
        self._end.add_done_callback(partial(self._ended, bus))
        bus.add_message_handler(self._heard)
        self.tells = await self._listen()

    async def close(self) -> None:
        bus, self._bus, self.tells = self._bus, None, False
        if bus is not None and self._end is not None:
            bus.disconnect()
            await asyncio.wait({self._end}, timeout=1)

    def shut(self) -> None:
        """End the connection from another thread: the daemon sees it go, whatever this loop is doing."""
        bus = self._bus
        if bus is not None and bus.connected:
            bus.disconnect()

    async def owner(self) -> str:
        """Unique name of the bluetoothd that runs, "" when none does."""
        try:
            return str(await self._call(DAEMON, "/org/freedesktop/DBus", DAEMON, "GetNameOwner", "s", [BLUEZ]))
        except BusError as error:
            if error.nobody:
                return ""
            raise

    async def adapter(self, name: str) -> dict[str, Any] | None:
        """Properties of an adapter, None when there is none of this name."""
        try:
            held = await self._call(BLUEZ, PREFIX + name, PROPERTIES, "GetAll", "s", [ADAPTER])
        except BusError as error:
            if error.nothing:
                return None
            raise
        return {key: value.value for key, value in held.items()}

    async def power(self, name: str, on: bool) -> None:
        """Have BlueZ switch an adapter. It says yes without doing anything when it takes the adapter to be there already."""
        from dbus_fast import Variant

        body = [ADAPTER, "Powered", Variant("b", on)]
        await self._call(BLUEZ, PREFIX + name, PROPERTIES, "Set", "ssv", body)

    async def restart_bluetooth(self) -> None:
        """Have systemd restart bluetooth.service; needs the permission described in docs/resilience.md."""
        path, interface = "/org/freedesktop/systemd1", f"{SYSTEMD}.Manager"
        await self._call(SYSTEMD, path, interface, "RestartUnit", "ss", ["bluetooth.service", "replace"])

    async def _listen(self) -> bool:
        for rule in RULES:
            try:
                await self._call(DAEMON, "/org/freedesktop/DBus", DAEMON, "AddMatch", "s", [rule])
            except BusError as error:
                log.info("the D-Bus daemon does not tell news of Bluetooth (%s); asking now and then instead", error)
                return False
        return True

    async def _call(self, to: str, path: str, interface: str, member: str, signature: str, body: list[Any]) -> Any:
        """The first value of the answer."""
        from dbus_fast import Message, MessageFlag

        bus = self._bus
        if bus is None or not bus.connected:
            raise BusError("", "no connection to the system D-Bus")
        # Without this flag the daemon would start a bluetoothd that somebody stopped.
        flags = MessageFlag.NO_AUTOSTART
        message = Message(to, path, interface, member, flags=flags, signature=signature, body=body)
        return await answer(bus, message, CALL_LIMIT)

    def _ended(self, bus: MessageBus, end: asyncio.Future[None]) -> None:
        if not end.cancelled() and end.exception():
            log.debug("the D-Bus connection ended: %r", end.exception())
        if bus is self._bus:
            self._bus, self.tells = None, False
            self._listener.bus_lost()

    def _heard(self, message: Message) -> None:
        body, member, path = message.body, message.member, message.path or ""
        if member == "NameOwnerChanged" and body[0] == BLUEZ:
            self._listener.owner_changed(body[2])
        elif member == "PropertiesChanged" and body[0] == ADAPTER and path.startswith(PREFIX):
            values = {key: value.value for key, value in body[1].items()}
            self._listener.adapter_changed(path.removeprefix(PREFIX), values)
        elif member == "InterfacesAdded" and ADAPTER in body[1]:
            self._listener.adapter_came(body[0].removeprefix(PREFIX))
        elif member == "InterfacesRemoved" and ADAPTER in body[1]:
            self._listener.adapter_went(body[0].removeprefix(PREFIX))


async def answer(bus: MessageBus, message: Message, seconds: float) -> Any:
    """The first value of the answer to `message`. Raises `BusError` for an error, silence, and a connection that ended."""
    from dbus_fast import MessageType

    try:
        reply = await bounded(bus.call(message), seconds, f"{message.member} to {message.destination}")
    except (OSError, EOFError) as error:
        raise BusError("", str(error) or "the D-Bus connection ended") from error
    if reply is None:
        raise BusError("", "the D-Bus connection ended")
    if reply.message_type is MessageType.ERROR:
        raise BusError(reply.error_name or "", str(reply.body[0]) if reply.body else "")
    return reply.body[0] if reply.body else None
