"""org.bluez.Device1: one module as one adapter knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from dbus_fast import Variant

from tests.peers.bluez.faults import FAILED, IN_PROGRESS, NOT_READY, Call
from tests.peers.bluez.gatt import uuid
from tests.peers.bluez.module import Module
from tests.peers.bluez.services import Services
from tests.peers.bluez.tree import Properties

if TYPE_CHECKING:
    from tests.peers.bluez.adapter import Adapter
    from tests.peers.bluez.characteristic import Characteristic

DEVICE = "org.bluez.Device1"
CANCELED = (FAILED, "br-connection-canceled")
ABORTED = (FAILED, "le-connection-abort-by-local")
FORMER = "shunt"
"""What a module looks like, for the rule `former`, that has other firmware now."""


class Device:
    """`temporary` until a Connect was accepted: such an object vanishes when it was not heard for a while.

    `token` changes whenever a link comes or goes, so that late work of an old link can tell.
    """

    def __init__(self, adapter: Adapter, module: Module) -> None:
        self.adapter, self.module, self.bluez = adapter, module, adapter.bluez
        self.address = module.spec.address
        self.path = f"{adapter.path}/dev_{self.address.replace(':', '_')}"
        self.temporary = True
        self.connected = False
        self.resolved = False
        self.token = 0
        self.heard_at = self.bluez.loop.time()
        self.pending: Call | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self.services = Services(self)
        self.methods: dict[tuple[str, str], Callable[[Call], None]] = {
            (DEVICE, "Connect"): self.connect,
            (DEVICE, "Disconnect"): self.disconnect,
            (DEVICE, "Pair"): self.pair,
        }

    @property
    def chars(self) -> dict[str, Characteristic]:
        """The characteristics by path, while they are published."""
        return self.services.chars

    def properties(self) -> Properties:
        spec = self.module.spec
        held: Properties = {
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", spec.address_type),
            "Alias": Variant("s", spec.name or self.address.replace(":", "-")),
            "Adapter": Variant("o", self.adapter.path),
            "Paired": Variant("b", spec.paired),
            "Bonded": Variant("b", spec.paired),
            "Trusted": Variant("b", False),
            "Blocked": Variant("b", False),
            "LegacyPairing": Variant("b", False),
            "Connected": Variant("b", self.connected),
            "ServicesResolved": Variant("b", self.resolved),
            "UUIDs": Variant("as", [uuid(number) for number in spec.uuids]),
        }
        if spec.name:
            held["Name"] = Variant("s", spec.name)
        if spec.manufacturer:
            number, data = self.module.manufacturer()
            held["ManufacturerData"] = Variant("a{qv}", {number: Variant("ay", data)})
        return {name: value for name, value in held.items() if name not in spec.omit}

    def publish(self, *, heard: bool) -> None:
        """Enter the tree; `heard` just now, or known from storage."""
        held = self.properties()
        if heard:
            held["RSSI"] = Variant("n", self.module.rssi())
        self.bluez.paths[self.path] = self
        self.bluez.tree.add(self.path, DEVICE, held)
        self._expire_later()

    def hear(self) -> None:
        """An advertisement came in."""
        self.heard_at = self.bluez.loop.time()
        self.bluez.tree.change(self.path, DEVICE, {"RSSI": Variant("n", self.module.rssi())})

    def hush(self) -> None:
        """Discovery ended: the signal strength is no longer known."""
        if self.bluez.tree.get(self.path, DEVICE, "RSSI") is not None:
            self.bluez.tree.change(self.path, DEVICE, {}, ["RSSI"])

    def connect(self, call: Call) -> None:
        if not self.adapter.powered:
            return call.fail(*NOT_READY)
        if self.pending is not None:
            return call.fail(*IN_PROGRESS)
        if self.connected:
            return call.done()
        if self.adapter.sessions:
            self.bluez.journal.happened("violation", text="Connect while discovering", path=self.path, sender=call.sender)
        self.temporary = False
        self.pending = call
        if self.module.audible and self.module.in_range(self.adapter.name):
            self._after(self.module.spec.connect_s, self._linked)
        else:
            self._after(self.bluez.scenario.page_s, lambda: self.abandon((FAILED, self.bluez.scenario.page_error)))
        return None

    def abort_local(self, call: Call) -> None:
        """The link comes up, breaks at once, and Connect fails: what interference looks like."""
        self.temporary = False
        self._property("Connected", True)
        call.fail(*ABORTED)
        self._property("Connected", False)

    def disconnect(self, call: Call) -> None:
        def gone() -> None:
            if self.pending is not None:
                self.abandon(CANCELED)
            self.lose("asked")
            call.done()

        if self.connected and self.module.spec.disconnect_s:
            self.bluez.loop.call_later(self.module.spec.disconnect_s, gone)
        else:
            gone()

    def pair(self, call: Call) -> None:
        if not self.module.spec.pairs:
            return call.fail("org.bluez.Error.AuthenticationFailed", "Authentication Failed")
        self.module.spec.paired = True
        changed = {"Paired": Variant("b", True), "Bonded": Variant("b", True)}
        self.bluez.tree.change(self.path, DEVICE, changed)
        return call.done()

    def abandon(self, reason: tuple[str, str]) -> None:
        """Give up connecting."""
        self._stop_timer()
        call, self.pending = self.pending, None
        if call is not None:
            call.fail(*reason)

    def lose(self, why: str) -> None:
        """The link is over, whoever ended it. BlueZ takes the services away before it says so."""
        if self.pending is not None:
            self.abandon((FAILED, "le-connection-abort-by-remote"))
        if not self.connected:
            return
        self._stop_timer()
        self.token += 1
        self.module.link = None
        self.module.line.detach()
        self.services.withdraw()
        self.connected = False
        if self.resolved:
            self.resolved = False
            self._property("ServicesResolved", False)
        self._property("Connected", False)
        self.heard_at = self.bluez.loop.time()
        self.bluez.journal.happened("disconnected", address=self.address, adapter=self.adapter.name, why=why)

    def adopt(self) -> None:
        """Be connected already, from a time before this service."""
        self.temporary = False
        self._up()
        self.resolved = True
        self.services.expose()

    def vanish(self) -> None:
        """Leave the tree."""
        self.lose("removed")
        if self._expiry is not None:
            self._expiry.cancel()
        self.bluez.paths.pop(self.path, None)
        self.adapter.devices.pop(self.address, None)
        self.bluez.tree.remove(self.path)

    def _linked(self) -> None:
        if not (self.module.audible and self.module.in_range(self.adapter.name)):
            return self.abandon(ABORTED)
        self._up()
        call, self.pending = self.pending, None
        self._property("Connected", True)
        if call is not None:
            call.done()
        rule = self.bluez.faults.take("resolve", self.path)
        if rule is None or rule.action != "never":
            how = "whole" if rule is None else rule.action
            self._after(self.module.spec.resolve_s, lambda: self._resolve(how))
        return None

    def _up(self) -> None:
        self.connected = True
        self.token += 1
        self.module.link = self
        role = "stream" if self.module.spec.preset == "shunt" else "reply"
        self.module.line.attach(lambda data: self.services.notify(role, data), lambda: self.lose("dropped"))
        self.bluez.journal.happened("connected", address=self.address, adapter=self.adapter.name)

    def _resolve(self, how: str) -> None:
        if how != "empty":
            self.services.expose(FORMER if how == "former" else None)
        if how == "torn":
            self.services.tear()
        self.resolved = True
        known = [uuid(0x1800)] + [uuid(service.number) for _, service in self.module.services]
        changed = {"UUIDs": Variant("as", known), "ServicesResolved": Variant("b", True)}
        self.bluez.tree.change(self.path, DEVICE, changed)
        self.bluez.journal.happened("resolved", address=self.address, adapter=self.adapter.name)

    def _property(self, name: str, value: bool) -> None:
        self.bluez.tree.change(self.path, DEVICE, {name: Variant("b", value)})

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.bluez.loop.call_later(seconds, act)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire_later(self) -> None:
        self._expiry = self.bluez.loop.call_at(self.heard_at + self.bluez.scenario.temporary_timeout_s, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        if not self.temporary or self.connected:
            return
        if self.heard_at + self.bluez.scenario.temporary_timeout_s > self.bluez.loop.time():
            self._expire_later()
        else:
            self.vanish()
