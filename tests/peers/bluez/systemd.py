"""org.freedesktop.systemd1, as far as a watchdog needs it: RestartUnit for bluetooth.service."""

from __future__ import annotations

import asyncio

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from tests.peers.bluez.service import BlueZ

DOWN_S = 0.2
"""How long the restarted service is away."""


class Systemd:
    def __init__(self, bluez: BlueZ, address: str) -> None:
        self._bluez, self._address = bluez, address
        self._tasks: set[asyncio.Task[None]] = set()

    async def appear(self) -> None:
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._on_message)
        await self._bus.request_name("org.freedesktop.systemd1")

    def _on_message(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "RestartUnit":
            return None
        entry = self._bluez.journal.called(
            message.sender or "", message.interface or "", "RestartUnit", message.path or "", message.body
        )
        if message.body[0] != "bluetooth.service":
            return Message.new_error(message, "org.freedesktop.systemd1.NoSuchUnit", f"Unit {message.body[0]} not found.")
        entry["result"] = "ok"
        task = asyncio.create_task(self._restart())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Message.new_method_return(message, "o", ["/org/freedesktop/systemd1/job/1"])

    async def _restart(self) -> None:
        await self._bluez.die(keep_links=False)
        await asyncio.sleep(DOWN_S)
        await self._bluez.appear()
        self._bluez.announce()
