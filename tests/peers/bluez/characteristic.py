"""org.bluez.GattCharacteristic1 and GattDescriptor1 of a connected device."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from dbus_fast import Variant

from tests.peers.bluez.faults import FAILED, IN_PROGRESS, LINK_LOST, NOT_SUPPORTED, NOTIFY_ACQUIRED, Call
from tests.peers.bluez.gatt import BLIND, CCC, NOTIFIES, READS, WRITES, Placed, uuid
from tests.peers.bluez.tree import Properties

if TYPE_CHECKING:
    from tests.peers.bluez.device import Device

CHARACTERISTIC, DESCRIPTOR = "org.bluez.GattCharacteristic1", "org.bluez.GattDescriptor1"
NO_SUCH_ATTRIBUTE = (FAILED, "Operation failed with ATT error: 0x0a")


class Descriptor:
    """The client characteristic configuration. BlueZ looks after it itself, clients may only look at it."""

    def __init__(self, owner: Characteristic) -> None:
        self.owner = owner
        self.path: str = f"{owner.path}/desc{owner.placed.descriptor:04x}"
        self.methods: dict[tuple[str, str], Callable[[Call], None]] = {
            (DESCRIPTOR, "ReadValue"): lambda call: call.done("ay", [bytes((bool(owner.listeners), 0))]),
            (DESCRIPTOR, "WriteValue"): lambda call: call.fail("org.bluez.Error.NotPermitted", "Write not permitted"),
        }

    def properties(self) -> Properties:
        return {"UUID": Variant("s", uuid(CCC)), "Characteristic": Variant("o", self.owner.path)}


class Characteristic:
    def __init__(self, device: Device, placed: Placed) -> None:
        self.device, self.placed, self.char = device, placed, placed.char
        self.path: str = f"{device.path}/service{placed.service:04x}/char{placed.handle:04x}"
        self.uuid = uuid(placed.char.number)
        self.listeners: set[str] = set()
        self.socket: socket.socket | None = None
        self._pending = False
        self.methods: dict[tuple[str, str], Callable[[Call], None]] = {
            (CHARACTERISTIC, "ReadValue"): self.read,
            (CHARACTERISTIC, "WriteValue"): self.write,
            (CHARACTERISTIC, "StartNotify"): self.start,
            (CHARACTERISTIC, "StopNotify"): self.stop,
            (CHARACTERISTIC, "AcquireNotify"): self.acquire,
        }

    def properties(self) -> Properties:
        held: Properties = {
            "UUID": Variant("s", self.uuid),
            "Service": Variant("o", self.path.rpartition("/")[0]),
            "Value": Variant("ay", b""),
            "Flags": Variant("as", list(self.char.flags)),
            "MTU": Variant("q", self.device.module.spec.mtu),
        }
        if NOTIFIES in self.char.flags:
            held |= {"Notifying": Variant("b", False), "NotifyAcquired": Variant("b", False)}
        if BLIND in self.char.flags:
            held["WriteAcquired"] = Variant("b", False)
        return held

    def read(self, call: Call) -> None:
        if READS not in self.char.flags:
            return call.fail("org.bluez.Error.NotPermitted", "Read not permitted")
        if self.char.role == "reply":
            return self._later(call, lambda: call.fail(*NO_SUCH_ATTRIBUTE))
        if self.char.role == "wake":
            self.device.module.line.awake = True
        return self._later(call, lambda: call.done("ay", [self.char.value]))

    def write(self, call: Call) -> None:
        value, options = bytes(call.body[0]), call.body[1]
        wanted = options["type"].value if "type" in options else "command" if BLIND in self.char.flags else "request"
        if (BLIND if wanted == "command" else WRITES) not in self.char.flags:
            return call.fail(*NOT_SUPPORTED)
        if wanted == "command" and len(value) > self.device.module.spec.mtu - 3:
            return call.fail(FAILED, "Failed to initiate write")
        if wanted == "request" and self._pending:
            return call.fail(*IN_PROGRESS)
        entry = self.device.bluez.journal.wrote(call.sender, self.device.address, self.uuid, wanted, value)
        if self.char.role == "request":
            self.device.module.line.request(value, entry)
        if wanted == "command":
            return call.done()
        self._pending = True
        return self._later(call, call.done)

    def start(self, call: Call) -> None:
        if NOTIFIES not in self.char.flags:
            return call.fail(*NOT_SUPPORTED)
        if self.socket is not None:
            return call.fail(*NOTIFY_ACQUIRED)
        if call.sender in self.listeners:
            return call.fail(*IN_PROGRESS)

        def subscribed() -> None:
            self.listeners.add(call.sender)
            self._notifying(True)
            call.done()

        return self._later(call, subscribed)

    def stop(self, call: Call) -> None:
        if self.socket is not None:
            self._release()
        elif call.sender not in self.listeners:
            return call.fail(FAILED, "No notify session started")
        self.forget(call.sender)
        return call.done()

    def acquire(self, call: Call) -> None:
        if NOTIFIES not in self.char.flags:
            return call.fail(*NOT_SUPPORTED)
        if self.socket is not None or self.listeners:
            return call.fail(*NOTIFY_ACQUIRED)
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mine.setblocking(False)
        self.socket = mine
        self.device.bluez.loop.add_reader(mine, self._hung_up)
        given = theirs.detach()
        call.done("hq", [0, self.device.module.spec.mtu], [given])
        # The answer may still stand in the queue of the bus; the descriptor must live until it is gone.
        self.device.bluez.loop.call_later(30.0, os.close, given)
        self._change({"NotifyAcquired": Variant("b", True)})
        self._notifying(True)
        return None

    def forget(self, sender: str) -> None:
        """A client left the bus, or stopped listening."""
        if sender in self.listeners:
            self.listeners.discard(sender)
            if not self.listeners:
                self._notifying(False)

    def notify(self, data: bytes) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.send(data)
        elif self.listeners:
            self._change({"Value": Variant("ay", data)})

    def close(self) -> None:
        """The link is gone."""
        self.listeners.clear()
        if self.socket is not None:
            self.device.bluez.loop.remove_reader(self.socket)
            self.socket.close()
            self.socket = None

    def _hung_up(self) -> None:
        assert self.socket is not None
        try:
            gone = not self.socket.recv(1)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self._release()

    def _release(self) -> None:
        self.close()
        self._change({"NotifyAcquired": Variant("b", False)})
        self._notifying(False)

    def _notifying(self, on: bool) -> None:
        if self.device.bluez.tree.get(self.path, CHARACTERISTIC, "Notifying") is not on:
            self._change({"Notifying": Variant("b", on)})
        if on and self.char.role == "stream":
            self.device.module.stream(self)

    def _change(self, changed: Properties) -> None:
        self.device.bluez.tree.change(self.path, CHARACTERISTIC, changed)

    def _later(self, call: Call, act: Callable[[], None]) -> None:
        """Act after the radio's way there and back, unless the link broke meanwhile."""
        device, token = self.device, self.device.token

        def back() -> None:
            self._pending = False
            if device.token == token:
                act()
            else:
                call.fail(*LINK_LOST)

        delay = 2 * device.module.spec.latency_ms / 1000
        if delay > 0:
            device.bluez.loop.call_later(delay, back)
        else:
            back()
