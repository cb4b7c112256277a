"""org.bluez.Adapter1: power, discovery sessions, and the devices one adapter knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dbus_fast import Variant

from tests.peers.bluez.beacons import Beacons
from tests.peers.bluez.device import Device
from tests.peers.bluez.faults import BLOCKED, BUSY, DOES_NOT_EXIST, FAILED, IN_PROGRESS, NOT_READY, Call
from tests.peers.bluez.gatt import uuid
from tests.peers.bluez.module import Module
from tests.peers.bluez.scenario import Adapter as Spec
from tests.peers.bluez.tree import Properties

if TYPE_CHECKING:
    from tests.peers.bluez.service import BlueZ

ADAPTER, MONITORS = "org.bluez.Adapter1", "org.bluez.AdvertisementMonitorManager1"
Filter = dict[str, Any]


class Adapter:
    """`sessions`: who discovers, with which filter; a session belongs to the bus connection that started it. `monitors`: who
    listens passively.
    """

    def __init__(self, bluez: BlueZ, spec: Spec) -> None:
        self.bluez, self.spec, self.name = bluez, spec, spec.name
        self.path = f"/org/bluez/{spec.name}"
        self.powered = spec.powered and not spec.blocked
        self.sessions: dict[str, Filter] = {}
        self.filters: dict[str, Filter] = {}
        self.devices: dict[str, Device] = {}
        self.monitors: set[str] = set()
        self.beacons = Beacons(self, bluez.scenario.beacons)
        self._beat: asyncio.TimerHandle | None = None
        self._switching: asyncio.TimerHandle | None = None
        self.methods: dict[tuple[str, str], Callable[[Call], None]] = {
            (ADAPTER, "StartDiscovery"): self.start_discovery,
            (ADAPTER, "StopDiscovery"): self.stop_discovery,
            (ADAPTER, "SetDiscoveryFilter"): self.set_filter,
            (ADAPTER, "RemoveDevice"): self.remove_device,
        }
        if spec.monitors:
            self.methods[MONITORS, "RegisterMonitor"] = self.add_monitor
            self.methods[MONITORS, "UnregisterMonitor"] = self.remove_monitor

    def properties(self) -> Properties:
        held = {
            "Address": Variant("s", self.spec.address),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", "raspberrypi"),
            "Alias": Variant("s", "raspberrypi"),
            "Class": Variant("u", 0x6C0000),
            "Powered": Variant("b", self.powered),
            "PowerState": Variant("s", self._power_state()),
            "Discoverable": Variant("b", False),
            "DiscoverableTimeout": Variant("u", 180),
            "Pairable": Variant("b", False),
            "PairableTimeout": Variant("u", 0),
            "Discovering": Variant("b", bool(self.sessions)),
            "UUIDs": Variant("as", [uuid(0x1800), uuid(0x1801)]),
            "Modalias": Variant("s", "usb:v1D6Bp0246d0552"),
            "Roles": Variant("as", list(self.spec.roles)),
        }
        return {name: value for name, value in held.items() if name not in self.spec.omit}

    def publish(self) -> None:
        self.bluez.paths[self.path] = self
        self.bluez.tree.add(self.path, ADAPTER, self.properties())

    def vanish(self) -> None:
        """The controller was pulled out."""
        self.silence()
        for device in list(self.devices.values()):
            device.vanish()
        self.bluez.paths.pop(self.path, None)
        self.bluez.tree.remove(self.path)

    def start_discovery(self, call: Call) -> None:
        if not self.powered:
            return call.fail(*NOT_READY)
        if call.sender in self.sessions:
            return call.fail(*IN_PROGRESS)
        if any(device.pending is not None for device in self.devices.values()):
            self.bluez.journal.happened("violation", text="StartDiscovery while connecting", sender=call.sender)
        self.hold(call.sender, self.filters.get(call.sender, {}))
        return call.done()

    def stop_discovery(self, call: Call) -> None:
        if not self.powered:
            return call.fail(*NOT_READY)
        if call.sender not in self.sessions:
            return call.fail(FAILED, "No discovery started")
        self.release(call.sender)
        return call.done()

    def set_filter(self, call: Call) -> None:
        if not self.powered:
            return call.fail(*NOT_READY)
        wanted = {name: value.value for name, value in call.body[0].items()}
        self.filters[call.sender] = wanted
        if call.sender in self.sessions:
            self.sessions[call.sender] = wanted
        return call.done()

    def remove_device(self, call: Call) -> None:
        device = self.bluez.paths.get(call.body[0])
        if not isinstance(device, Device) or device.adapter is not self:
            return call.fail(*DOES_NOT_EXIST)
        device.vanish()
        return call.done()

    def add_monitor(self, call: Call) -> None:
        self.monitors.add(call.sender)
        self.bluez.journal.happened("monitoring", adapter=self.name)
        self._listen()
        return call.done()

    def remove_monitor(self, call: Call) -> None:
        if call.sender not in self.monitors:
            return call.fail(*DOES_NOT_EXIST)
        self.monitors.discard(call.sender)
        self._listen()
        return call.done()

    @property
    def listening(self) -> bool:
        return bool(self.sessions or self.monitors)

    @property
    def repeats(self) -> bool:
        """Whether somebody wants to hear of advertisements that say nothing new, as BlueZ does unless told otherwise."""
        return any(wanted.get("DuplicateData", True) for wanted in self.sessions.values())

    def hold(self, sender: str, wanted: Filter) -> None:
        self.sessions[sender] = wanted
        if len(self.sessions) == 1:
            self._discovering(True)
            self._listen()

    def release(self, sender: str) -> None:
        if self.sessions.pop(sender, None) is not None and not self.sessions:
            for device in self.devices.values():
                device.hush()
            self.beacons.hush()
            self._listen()
            self._discovering(False)

    def _listen(self) -> None:
        """Start or end the beat."""
        if not self.listening and self._beat is not None:
            self._beat.cancel()
            self._beat = None
        elif self.listening and self._beat is None:
            self._beat = self.bluez.loop.call_later(self.bluez.scenario.adv_interval_s, self._tick)

    def forget(self, sender: str) -> None:
        """A client left the bus."""
        self.filters.pop(sender, None)
        self.monitors.discard(sender)
        self.release(sender)
        self._listen()

    def silence(self) -> None:
        self.monitors.clear()
        self._listen()
        for sender in list(self.sessions):
            self.release(sender)

    def ask_power(self, on: bool, call: Call) -> None:
        """Set Powered, with BlueZ's answers. Nothing is sent to the controller when the value is there already."""
        if self._switching is not None:
            return call.fail(*BUSY)
        if on and self.spec.blocked:
            return call.fail(*BLOCKED)
        if on is self.powered:
            return call.done()
        self._change({"PowerState": Variant("s", "off-enabling" if on else "on-disabling")})

        def switched() -> None:
            self._switching = None
            self.power(on)
            call.done()

        if self.spec.power_s:
            self._switching = self.bluez.loop.call_later(self.spec.power_s, switched)
        else:
            switched()
        return None

    def power(self, on: bool) -> None:
        """Go on or off; off ends every session and every link."""
        if not on:
            self.silence()
            for device in list(self.devices.values()):
                device.lose("power off")
        self.powered = on
        self._change({"Powered": Variant("b", on), "PowerState": Variant("s", self._power_state())})
        self.bluez.journal.happened("powered" if on else "unpowered", adapter=self.name)

    def block(self, on: bool) -> None:
        """What rfkill does: off at once, and not to be switched on."""
        self.spec.blocked = on
        if on and self.powered:
            self.power(False)
        else:
            self._change({"PowerState": Variant("s", self._power_state())})

    def device(self, module: Module) -> Device:
        """The object of this module, known from storage when it was not there."""
        if module.spec.address not in self.devices:
            self.devices[module.spec.address] = device = Device(self, module)
            if module.spec.connected:
                device.adopt()
            device.publish(heard=False)
        return self.devices[module.spec.address]

    def _tick(self) -> None:
        self._beat = self.bluez.loop.call_later(self.bluez.scenario.adv_interval_s, self._tick)
        for module in self.bluez.modules.values():
            if module.audible and module.in_range(self.name) and self._wanted(module):
                self._hear(module)
        self.beacons.beat()

    def _hear(self, module: Module) -> None:
        known = self.devices.get(module.spec.address)
        if known is not None:
            known.hear()
        else:
            self.devices[module.spec.address] = device = Device(self, module)
            device.publish(heard=True)

    def _wanted(self, module: Module) -> bool:
        return bool(self.monitors) or any(_passes(module, wanted) for wanted in self.sessions.values())

    def _power_state(self) -> str:
        if self.powered:
            return "on"
        return "off-blocked" if self.spec.blocked else "off"

    def _discovering(self, on: bool) -> None:
        self._change({"Discovering": Variant("b", on)})
        self.bluez.journal.happened("discovering" if on else "idle", adapter=self.name)

    def _change(self, changed: Properties) -> None:
        held = {name: value for name, value in changed.items() if name not in self.spec.omit}
        self.bluez.tree.change(self.path, ADAPTER, held)


def _passes(module: Module, wanted: Filter) -> bool:
    uuids, rssi, pattern = wanted.get("UUIDs"), wanted.get("RSSI"), wanted.get("Pattern")
    if uuids and not {uuid(number) for number in module.spec.uuids} & {str(item).lower() for item in uuids}:
        return False
    if rssi is not None and module.spec.rssi < rssi:
        return False
    return not pattern or module.spec.name.startswith(pattern) or module.spec.address.startswith(pattern)
