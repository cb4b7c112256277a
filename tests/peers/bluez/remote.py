"""What a test may do to the service while it runs: one method per command, and the socket that carries them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any

import msgspec
from dbus_fast import Message, Variant

from tests.peers.bluez.adapter import Adapter
from tests.peers.bluez.device import DEVICE, Device
from tests.peers.bluez.faults import Rule
from tests.peers.bluez.scenario import Adapter as AdapterSpec
from tests.peers.bluez.scenario import Beacon, Quirk, Unit
from tests.peers.bluez.scenario import Module as ModuleSpec
from tests.peers.bluez.service import BlueZ

FOREIGN = "foreign"
"""The name under which another program's discovery session is held."""


class Remote:
    def __init__(self, bluez: BlueZ) -> None:
        self.bluez = bluez
        self.finished = asyncio.Event()
        self.daemon = 0

    # Commands. Everything they return is put into JSON.

    def ping(self) -> bool:
        return True

    def quit(self) -> None:
        self.finished.set()

    def watch_daemon(self, pid: int) -> None:
        """The bus daemon to end when the test process is gone."""
        self.daemon = pid

    def rule(self, **fields: Any) -> None:
        self.bluez.faults.rules.append(msgspec.convert(fields, Rule))

    def clear_rules(self, member: str = "") -> None:
        self.bluez.faults.clear(member)

    def drop_link(self, address: str) -> bool:
        found = [device for device in self._devices(address) if device.connected or device.pending]
        for device in found:
            device.lose("dropped")
        return bool(found)

    def mute(self, address: str) -> None:
        for device in self._devices(address):
            for char in device.chars.values():
                char.listeners.clear()

    def remove_device(self, address: str) -> bool:
        found = self._devices(address)
        for device in found:
            device.vanish()
        return bool(found)

    def add_adapter(self, spec: dict[str, Any]) -> None:
        adapter = Adapter(self.bluez, msgspec.convert(spec, AdapterSpec))
        self.bluez.adapters[adapter.name] = adapter
        adapter.publish()

    def remove_adapter(self, name: str) -> None:
        self.bluez.adapters.pop(name).vanish()

    def set_powered(self, on: bool, adapter: str) -> None:
        self.bluez.adapters[adapter].power(on)

    def set_blocked(self, on: bool, adapter: str) -> None:
        self.bluez.adapters[adapter].block(on)

    async def die(self, keep_links: bool) -> None:
        await self.bluez.die(keep_links=keep_links)

    async def restart(self, announce: bool) -> None:
        if self.bluez.bus is not None:
            await self.bluez.die(keep_links=False)
        await self.bluez.appear()
        if announce:
            self.bluez.announce()

    def foreign_discovery(self, on: bool, adapter: str) -> None:
        if on:
            self.bluez.adapters[adapter].hold(FOREIGN, {})
        else:
            self.bluez.adapters[adapter].release(FOREIGN)

    def beacon(self, spec: dict[str, Any], adapter: str) -> None:
        """A device of others comes, or says something else than before."""
        beacon = msgspec.convert(spec, Beacon, strict=False, str_keys=True)
        self.bluez.adapters[adapter].beacons.known[beacon.address] = beacon

    def flood(self, devices: int, rate: float, seconds: float, adapter: str) -> None:
        self.bluez.adapters[adapter].beacons.flood(devices, rate, seconds)

    def flooded(self, adapter: str) -> list[Any]:
        beacons = self.bluez.adapters[adapter].beacons
        return [beacons.flooding, beacons.sent]

    def property(self, address: str, name: str, signature: str, value: Any) -> None:
        """A property of a device changes, for whatever reason."""
        for path, held in self.bluez.tree.objects.items():
            if path.endswith(address.replace(":", "_")) and DEVICE in held:
                self.bluez.tree.change(path, DEVICE, {name: Variant(signature, value)})

    def add_module(self, spec: dict[str, Any]) -> None:
        self.bluez.add_module(msgspec.convert(spec, ModuleSpec))

    def module(self, address: str, changes: dict[str, Any]) -> None:
        """Change fields of a module's specification; services and units have commands of their own."""
        spec = self.bluez.modules[address].spec
        for name in changes:
            if name not in ModuleSpec.__struct_fields__ or name in ("address", "preset", "units"):
                raise KeyError(f"a running module has no {name} to change")
        whole = {**msgspec.to_builtins(spec), **changes}
        changed = msgspec.convert(whole, ModuleSpec)
        for name in changes:
            setattr(spec, name, getattr(changed, name))

    def add_unit(self, address: str, unit: dict[str, Any]) -> None:
        self.bluez.modules[address].line.add(msgspec.convert(unit, Unit, strict=False, str_keys=True))

    def remove_unit(self, address: str, unit: int) -> None:
        self.bluez.modules[address].line.remove(unit)

    def quirk(self, address: str, unit: int | None, fields: dict[str, Any]) -> None:
        for slave in self.bluez.modules[address].line.slaves:
            if unit is None or slave.spec.id == unit:
                slave.spec.quirks.append(msgspec.convert(fields, Quirk))

    def clear_quirks(self, address: str, unit: int | None) -> None:
        for slave in self.bluez.modules[address].line.slaves:
            if unit is None or slave.spec.id == unit:
                slave.spec.quirks.clear()

    def registers(self, address: str, unit: int, words: dict[str, int]) -> dict[str, int]:
        """Set words; returns the contents of all."""
        slave = self.bluez.modules[address].line.slave(unit)
        slave.words.update({int(at): value & 0xFFFF for at, value in words.items()})
        return {str(at): value for at, value in sorted(slave.words.items())}

    def notify(self, address: str, data: str) -> None:
        self.bluez.modules[address].line.notify(bytes.fromhex(data))

    def calls(self) -> list[Any]:
        return list(self.bluez.journal.calls)

    def frames(self) -> list[Any]:
        return list(self.bluez.journal.frames)

    def events(self) -> list[Any]:
        return list(self.bluez.journal.events)

    def clear_log(self) -> None:
        self.bluez.journal.clear()

    def connections(self) -> list[dict[str, Any]]:
        return [
            {
                "adapter": device.adapter.name,
                "address": device.address,
                "resolved": device.resolved,
                "notifying": {char.uuid: sorted(char.listeners) for char in device.chars.values() if char.listeners},
            }
            for device in self._devices()
            if device.connected
        ]

    def sessions(self) -> list[dict[str, str]]:
        return [
            {"adapter": adapter.name, "sender": who} for adapter in self.bluez.adapters.values() for who in adapter.sessions
        ]

    def devices(self) -> list[dict[str, Any]]:
        return [
            {"path": d.path, "address": d.address, "temporary": d.temporary, "connected": d.connected}
            for d in self._devices()
        ]

    async def clients(self) -> list[dict[str, Any]]:
        """The connections on the bus, with the process of each; the fake's own are left out. None on a bus that is gone."""
        try:
            return await self._clients()
        except (EOFError, OSError):
            return []

    async def _clients(self) -> list[dict[str, Any]]:
        bus = self.bluez.bus
        if bus is None or not bus.connected:
            return []
        names = (await self._ask_daemon("ListNames")).body[0]
        found = []
        for name in names:
            if not name.startswith(":") or name == bus.unique_name:
                continue
            reply = await self._ask_daemon("GetConnectionUnixProcessID", name)
            if reply.error_name is None:
                found.append({"name": name, "pid": reply.body[0]})
        return found

    def _devices(self, address: str = "") -> list[Device]:
        every = [device for adapter in self.bluez.adapters.values() for device in adapter.devices.values()]
        return [device for device in every if not address or device.address == address]

    async def _ask_daemon(self, member: str, *arguments: str) -> Message:
        assert self.bluez.bus is not None
        name = "org.freedesktop.DBus"
        signature, body = "s" * len(arguments), list(arguments)
        return await self.bluez.bus.call(
            Message(name, "/org/freedesktop/DBus", name, member, signature=signature, body=body)
        )


async def serve(remote: Remote, path: str) -> asyncio.Server:
    """Take commands as JSON lines {"do": name, "with": {...}} and answer {"ok": ...} or {"error": text}."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(msgspec.json.encode(await _obey(remote, line)) + b"\n")
            await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(talk, path, limit=64 * 1024 * 1024)


async def _obey(remote: Remote, line: bytes) -> dict[str, Any]:
    try:
        order = msgspec.json.decode(line)
        act = getattr(remote, "" if order["do"].startswith("_") else order["do"])
        result: Any = act(**order.get("with", {}))
        if isawaitable(result):
            waiting: Awaitable[Any] = result
            result = await waiting
        return {"ok": result}
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as fault:
        return {"error": f"{type(fault).__name__}: {fault}"}
