"""The service itself: its bus connection, its objects, and the way a call takes to the object it is meant for."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Protocol

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.peers.bluez.adapter import ADAPTER, Adapter
from tests.peers.bluez.bus import PatientBus
from tests.peers.bluez.characteristic import Characteristic
from tests.peers.bluez.device import DEVICE
from tests.peers.bluez.faults import GONE, Call, Faults, Rule
from tests.peers.bluez.journal import Journal
from tests.peers.bluez.module import Module
from tests.peers.bluez.scenario import Module as ModuleSpec
from tests.peers.bluez.scenario import Scenario
from tests.peers.bluez.tree import MANAGER, PROPERTIES, Tree

NAME = "org.bluez"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
UNKNOWN_PROPERTY = "org.freedesktop.DBus.Error.UnknownProperty"
READ_ONLY = "org.freedesktop.DBus.Error.PropertyReadOnly"
_SENDERS = "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged'"
_LEFT_TO_LIBRARY = ("org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable")
_EMPTY_REPLIES: dict[str, tuple[str, list[object]]] = {
    "GetManagedObjects": ("a{oa{sa{sv}}}", [{}]),
    "ReadValue": ("ay", [b""]),
    "Get": ("v", [Variant("s", "")]),
    "GetAll": ("a{sv}", [{}]),
}


class Published(Protocol):
    """An object of the tree that takes calls."""

    methods: dict[tuple[str, str], Callable[[Call], None]]


class BlueZ:
    def __init__(self, scenario: Scenario, address: str) -> None:
        self.scenario, self._address = scenario, address
        self.loop = asyncio.get_running_loop()
        self.dice = random.Random(scenario.seed)
        self.journal, self.faults, self.tree = Journal(), Faults(), Tree()
        self.paths: dict[str, Published] = {}
        self.adapters: dict[str, Adapter] = {}
        self.modules: dict[str, Module] = {}
        self.bus: MessageBus | None = None
        for spec in scenario.modules:
            self.add_module(spec)
        for adapter in scenario.adapters:
            self.adapters[adapter.name] = Adapter(self, adapter)
            self.adapters[adapter.name].publish()
        for module in self.modules.values():
            if module.spec.connected or module.spec.paired:
                self._adapter_of(module.spec).device(module)
        self._crowd()

    def add_module(self, spec: ModuleSpec) -> Module:
        self.modules[spec.address] = Module(spec, self.dice)
        return self.modules[spec.address]

    async def appear(self) -> None:
        """Join the bus, own the name, and tell of every object."""
        bus = await PatientBus(bus_address=self._address, negotiate_unix_fd=True).connect()
        bus.add_message_handler(self._on_message)
        await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="AddMatch",
                signature="s",
                body=[_SENDERS],
            )
        )
        self.bus = bus
        self.tree.send = self._send
        await bus.request_name(NAME)
        self._watcher = asyncio.create_task(self._watch(bus))

    def announce(self) -> None:
        """Send InterfacesAdded for everything, as a service does that has just started."""
        for path in sorted(self.tree.objects):
            self.tree.announce(path)

    async def die(self, *, keep_links: bool) -> None:
        """Vanish from the bus without a word. What was temporary is forgotten, and so are the links unless they are kept."""
        bus, self.bus, self.tree.send = self.bus, None, None
        if bus is not None:
            bus.disconnect()
        for adapter in self.adapters.values():
            adapter.silence()
            adapter.filters.clear()
            for device in list(adapter.devices.values()):
                device.abandon(GONE)
                if not keep_links:
                    device.lose("died")
                for char in device.chars.values():
                    char.close()
                if device.temporary:
                    device.vanish()
        self.journal.happened("died")
        await asyncio.sleep(0)

    async def _watch(self, bus: MessageBus) -> None:
        with contextlib.suppress(EOFError, OSError):
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        if self.bus is bus:  # the bus itself went away
            await self.die(keep_links=False)

    def _adapter_of(self, spec: ModuleSpec) -> Adapter:
        wanted = spec.adapters or list(self.adapters)
        return self.adapters[wanted[0]]

    def _crowd(self) -> None:
        if not self.adapters:
            return
        adapter = next(iter(self.adapters.values()))
        for number in range(self.scenario.crowd):
            raw = (0x40_00_00_00_00_00 + number * 2_654_435_761 % 2**40).to_bytes(6, "big")
            address = ":".join(f"{byte:02X}" for byte in raw)
            spec = ModuleSpec(address=address, name="", advertising=False, manufacturer=False)
            device = adapter.device(Module(spec, self.dice))
            device.temporary = False

    def _on_message(self, message: Message) -> Message | bool | None:
        if message.message_type is MessageType.SIGNAL:
            if message.member == "NameOwnerChanged" and message.body[0].startswith(":") and not message.body[2]:
                self._left(message.body[0])
            return None
        if message.message_type is not MessageType.METHOD_CALL or message.interface in _LEFT_TO_LIBRARY:
            return None
        interface, member, path = message.interface or "", message.member or "", message.path or ""
        entry = self.journal.called(message.sender or "", interface, member, path, message.body)
        call = Call(message, entry, self._send)
        rule = self.faults.take(member, path) if self.faults.rules else None
        if rule is None:
            self._carry_out(call)
        else:
            entry["rule"] = rule.action
            self._misbehave(call, rule)
        return True

    def _send(self, message: Message) -> None:
        if self.bus is not None and self.bus.connected:  # the bus may be gone without our having been told yet
            self.bus.send(message)

    def _left(self, sender: str) -> None:
        for adapter in self.adapters.values():
            adapter.forget(sender)
            for device in adapter.devices.values():
                for char in device.chars.values():
                    char.forget(sender)

    def _misbehave(self, call: Call, rule: Rule) -> None:
        if rule.action == "hang":
            return
        if rule.action == "delay":
            self.loop.call_later(rule.seconds, self._carry_out, call)
        elif rule.action == "ok_but_nothing":
            signature, body = _EMPTY_REPLIES.get(call.message.member or "", ("", []))
            call.done(signature, list(body))
        elif rule.action == "abort_local":
            self.paths[call.message.path or ""].abort_local(call)  # type: ignore[attr-defined]
        elif rule.effect:
            call.verdict = (rule.name, rule.text)
            self._carry_out(call)
        else:
            call.fail(rule.name, rule.text)

    def _carry_out(self, call: Call) -> None:
        message = call.message
        interface, member, path = message.interface or "", message.member or "", message.path or ""
        if self.bus is None:
            return None
        if interface == MANAGER and member == "GetManagedObjects" and path == "/":
            return call.done("a{oa{sa{sv}}}", [self.tree.objects])
        target = self.paths.get(path)
        if interface == PROPERTIES and path in self.tree.objects:
            return self._property(call, path, target)
        if target is None:
            text = f'Method "{member}" with signature "{message.signature}" on interface "{interface}" doesn\'t exist\n'
            return call.fail(UNKNOWN_OBJECT, text)
        act = target.methods.get((interface, member))
        if act is None:
            return call.fail(UNKNOWN_METHOD, f'Method "{member}" on interface "{interface}" doesn\'t exist\n')
        return act(call)

    def _property(self, call: Call, path: str, target: Published | None) -> None:
        held = self.tree.objects[path].get(call.body[0])
        if held is None:
            return call.fail("org.freedesktop.DBus.Error.InvalidArgs", f'No such interface "{call.body[0]}"')
        if call.message.member == "GetAll":
            return call.done("a{sv}", [held])
        interface, name = call.body[0], call.body[1]
        if name not in held:
            return call.fail(UNKNOWN_PROPERTY, f'No such property "{name}"')
        if call.message.member == "Get":
            return call.done("v", [held[name]])
        value = call.body[2]
        if isinstance(target, Adapter) and (interface, name) == (ADAPTER, "Powered"):
            return target.ask_power(bool(value.value), call)
        if (interface, name) in {(ADAPTER, "Alias"), (DEVICE, "Trusted"), (DEVICE, "Blocked"), (DEVICE, "Alias")}:
            self.tree.change(path, interface, {name: value})
            return call.done()
        return call.fail(READ_ONLY, f'Property "{name}" is not writable')

    def characteristics(self) -> list[Characteristic]:
        return [item for item in self.paths.values() if isinstance(item, Characteristic)]
